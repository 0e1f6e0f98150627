#include "tests/lib/office.h"

#include <signal.h>
#include <sys/resource.h>

#include "board/base/clock.h"
#include "tests/lib/certs.h"
#include "tests/lib/test.h"

#define CHALLENGE "0123456789ABCDEF0123456789ABCDEF"

static int64_t
soon(void)
{
	return clock_wall() + 3600;
}

/* Refused with this failInfo, and no certificate was signed for it. */
static void
check_refused(struct office *o, int fail_info, int signed_before)
{
	CHECK_INT(o->front.last.status, STATUS_REFUSED);
	CHECK_INT(o->front.last.fail_info, fail_info);
	CHECK_INT(o->front.last.certificate.len, 0);
	CHECK_INT(o->signatures[KEY_CA], signed_before);
}

TEST(tells_unknown_used_expired_and_missing_challenges_apart_only_in_the_log)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	char text[200];
	int before;

	office_open(&o, true);
	office_challenge(&o, CHALLENGE, soon());
	office_challenge(&o, "EXPIRED", clock_wall() - 10);
	before = o.signatures[KEY_CA];
	office_enroll(&o, "unknown", key, "FEDCBA9876543210");
	check_refused(&o, SCEP_BAD_REQUEST, before);
	snprintf(text, sizeof(text), "%s", o.front.last.text);
	CHECK(text[0] != '\0');
	office_enroll(&o, "missing", key, NULL);
	check_refused(&o, SCEP_BAD_REQUEST, before);
	CHECK_TEXT(o.front.last.text, text);
	office_enroll(&o, "expired", key, "EXPIRED");
	check_refused(&o, SCEP_BAD_REQUEST, before);
	CHECK_TEXT(o.front.last.text, text);

	office_enroll(&o, "first", key, CHALLENGE);
	CHECK_INT(o.front.last.status, STATUS_ISSUED);
	office_enroll(&o, "second", key, CHALLENGE);
	check_refused(&o, SCEP_BAD_REQUEST, before + 1);
	CHECK_TEXT(o.front.last.text, text);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(refuses_a_message_that_another_key_signed)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	struct bytes csr = office_csr(key, "device", CHALLENGE, NULL);
	int before;

	office_open(&o, true);
	office_challenge(&o, CHALLENGE, soon());
	before = o.signatures[KEY_CA];
	office_ask(&o, "t", csr, certs_rsa());
	OFFICE_UNTIL(&o, o.front.answers == 1);
	check_refused(&o, SCEP_BAD_REQUEST, before);
	CHECK_INT(office_counts(&o).challenges_open, 1);
	free((void *)csr.data);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(refuses_what_is_no_proper_request_with_the_right_fail_info)
{
	struct office o;
	EVP_PKEY *small = EVP_RSA_gen(1024);
	EVP_PKEY *key = certs_ec("P-256");
	struct bytes csr = office_csr(key, "device", CHALLENGE, NULL);
	uint8_t *broken = (uint8_t *)csr.data;
	int before;

	office_open(&o, true);
	office_challenge(&o, CHALLENGE, soon());
	before = o.signatures[KEY_CA];
	office_enroll(&o, "small", small, CHALLENGE);
	check_refused(&o, SCEP_BAD_ALG, before);
	office_ask(&o, "garbage", bytes_of_text("garbage"), key);
	OFFICE_UNTIL(&o, o.front.answers == 2);
	check_refused(&o, SCEP_BAD_MESSAGE_CHECK, before);
	/* The last octet belongs to the signature. */
	broken[csr.len - 1] ^= 1;
	office_ask(&o, "signature", csr, key);
	OFFICE_UNTIL(&o, o.front.answers == 3);
	check_refused(&o, SCEP_BAD_MESSAGE_CHECK, before);
	/* The CA's own name, "CA", which the signer would refuse again and again. */
	office_enroll(&o, "ca", key, CHALLENGE);
	check_refused(&o, SCEP_BAD_REQUEST, before);
	CHECK_INT(office_counts(&o).challenges_open, 1);
	free((void *)csr.data);
	EVP_PKEY_free(small);
	EVP_PKEY_free(key);
	office_close(&o);
}

/* Somebody who changes a captured request, octet by octet, learns nothing from the answers. */
TEST(gives_one_answer_to_whatever_no_key_vouches_for)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	struct bytes csr = office_csr(key, "device", CHALLENGE, NULL);
	uint8_t *octets = (uint8_t *)csr.data;
	struct buf large;
	char text[200] = "";
	int before;

	office_open(&o, true);
	office_challenge(&o, CHALLENGE, soon());
	before = o.signatures[KEY_CA];
	for (size_t i = 0; i < csr.len; i++) {
		octets[i] ^= 1;
		/* Another key vouches for the outer message, as the attacker's would. */
		office_ask(&o, "t", csr, certs_rsa());
		octets[i] ^= 1;
		OFFICE_UNTIL(&o, o.front.answers == (int)i + 1);
		check_refused(&o, SCEP_BAD_MESSAGE_CHECK, before);
		if (i == 0)
			snprintf(text, sizeof(text), "%s", o.front.last.text);
		CHECK_TEXT(o.front.last.text, text);
	}
	buf_init(&large, CONFIG_APP_CSR_MAX + 1);
	memset(buf_put_room(&large, CONFIG_APP_CSR_MAX + 1), 0, CONFIG_APP_CSR_MAX + 1);
	office_ask(&o, "t", buf_bytes(&large), certs_rsa());
	OFFICE_UNTIL(&o, o.front.answers == (int)csr.len + 1);
	check_refused(&o, SCEP_BAD_MESSAGE_CHECK, before);
	CHECK_TEXT(o.front.last.text, text);
	buf_fini(&large);
	free((void *)csr.data);
	EVP_PKEY_free(key);
	office_close(&o);
}

static void
on_done(struct app_store_request *request, void *arg)
{
	*(bool *)arg = true;
}

/* Does the newest audit record have this text? */
static bool
last_audit_has(struct office *o, const char *text)
{
	struct app_store_request request = {.op = APP_STORE_AUDIT, .limit = 1, .done = on_done};
	bool done = false;
	bool found;

	request.arg = &done;
	assert_int_equal(app_store_submit(o->authority.store, &request), 0);
	OFFICE_UNTIL(o, done);
	assert_int_equal(request.code, 0);
	found = memmem(request.out.data, request.out.len, text, strlen(text)) != NULL;
	app_store_request_fini(&request);
	return found;
}

TEST(refuses_every_truncation_and_every_other_message_type)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	struct bytes csr = office_csr(key, "device", CHALLENGE, NULL);
	struct msg_enroll m = {.csr = csr, .transaction_id = bytes_of_text("t"), .peer = "192.0.2.1"};
	int before, sent = 0;
	uint64_t skipped;
	char why[100];

	office_open(&o, true);
	office_challenge(&o, CHALLENGE, soon());
	before = o.signatures[KEY_CA];
	for (size_t len = 0; len < csr.len; len++, sent++) {
		office_ask(&o, "t", (struct bytes){csr.data, len}, key);
		OFFICE_UNTIL(&o, o.front.answers == sent + 1);
		check_refused(&o, SCEP_BAD_MESSAGE_CHECK, before);
	}
	m.signer = certs_self_signed(key, EVP_sha256());
	for (int type = 0; type < 256; type++) {
		if (type == 19)
			continue;
		m.message_type = (uint8_t)type;
		CHECK_INT(msg_enroll_send(o.front.ipc, 1, &m), 0);
		sent++;
	}
	OFFICE_UNTIL(&o, o.front.answers == sent);
	CHECK_INT(o.front.refused, sent);
	CHECK_INT(o.signatures[KEY_CA], before);
	/* What was refused is in the audit trail, but nobody can fill the disk with it: in a day, some megabytes. */
	CHECK(APP_REFUSE_RATE <= 5);
	CHECK(office_counts(&o).audit_records < APP_REFUSE_BURST + 10 * APP_REFUSE_RATE + 20);
	/* The next one that is recorded tells how many were not. */
	skipped = o.authority.enrolling.skipped;
	CHECK(skipped >= (uint64_t)sent - APP_REFUSE_BURST - 10 * APP_REFUSE_RATE);
	o.authority.enrolling.records.used = 0;
	office_enroll(&o, "after", key, "FEDCBA9876543210");
	OFFICE_UNTIL(&o, o.authority.enrolling.refusals == 0);
	snprintf(why, sizeof(why), "challenge: not known (%llu before it not recorded)", (unsigned long long)skipped);
	CHECK(last_audit_has(&o, why));
	CHECK_INT(o.authority.enrolling.skipped, 0);
	free((void *)m.signer.data);
	free((void *)csr.data);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(gives_the_challenge_back_when_the_token_fails)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");

	office_open(&o, true);
	office_challenge(&o, CHALLENGE, soon());
	o.mood = OFFICE_FAILS;
	office_enroll(&o, "t", key, CHALLENGE);
	CHECK_INT(o.front.last.status, STATUS_RETRY);
	CHECK_INT(o.front.last.code, ERR_TOKEN);
	CHECK_INT(office_counts(&o).intents_open, 0);
	o.mood = OFFICE_WRONG_ALGORITHM;
	office_enroll(&o, "t", key, CHALLENGE);
	CHECK_INT(o.front.last.status, STATUS_RETRY);
	o.mood = OFFICE_SIGNS;
	office_enroll(&o, "t", key, CHALLENGE);
	CHECK_INT(o.front.last.status, STATUS_ISSUED);
	CHECK(office_certificate_good(&o));
	CHECK_INT(office_counts(&o).issued, 1);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(asks_to_come_again_while_the_signer_is_away_or_silent)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");

	office_open(&o, true);
	office_challenge(&o, CHALLENGE, soon());
	office_drop_signer(&o);
	OFFICE_UNTIL(&o, o.authority.links.signer == NULL);
	office_enroll(&o, "t", key, CHALLENGE);
	CHECK_INT(o.front.last.status, STATUS_RETRY);

	office_connect_signer(&o);
	o.mood = OFFICE_SILENT;
	o.conf.scep_timeout_ms = 100;
	office_enroll(&o, "t", key, CHALLENGE);
	CHECK_INT(o.front.last.status, STATUS_RETRY);
	CHECK_INT(o.authority.issuing.count, 0);

	o.mood = OFFICE_SIGNS;
	office_enroll(&o, "t", key, CHALLENGE);
	CHECK_INT(o.front.last.status, STATUS_ISSUED);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(answers_what_the_signer_had_when_it_dies)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	struct bytes csr = office_csr(key, "device", CHALLENGE, NULL);
	int asked;

	office_open(&o, true);
	office_challenge(&o, CHALLENGE, soon());
	o.mood = OFFICE_SILENT;
	asked = o.asked;
	office_ask(&o, "t", csr, key);
	OFFICE_UNTIL(&o, o.asked > asked);
	office_drop_signer(&o);
	OFFICE_UNTIL(&o, o.front.answers == 1);
	CHECK_INT(o.front.last.status, STATUS_RETRY);
	CHECK_INT(office_counts(&o).challenges_open, 1);
	free((void *)csr.data);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(issues_once_and_answers_the_same_transaction_again)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	EVP_PKEY *other = certs_ec("P-256");
	uint8_t first[8192];
	size_t len;
	int signed_once;

	office_open(&o, true);
	office_challenge(&o, CHALLENGE, soon());
	office_lookup(&o, "t", key);
	CHECK_INT(o.front.last.status, STATUS_NONE);
	office_enroll(&o, "t", key, CHALLENGE);
	CHECK_INT(o.front.last.status, STATUS_ISSUED);
	CHECK(office_certificate_good(&o));
	len = o.front.last.certificate.len;
	memcpy(first, o.front.certificate, len);
	signed_once = o.signatures[KEY_CA];

	office_lookup(&o, "t", key);
	CHECK_INT(o.front.last.status, STATUS_ISSUED);
	CHECK_BYTES(o.front.last.certificate, first, len);
	office_enroll(&o, "t", key, CHALLENGE);
	CHECK_INT(o.front.last.status, STATUS_ISSUED);
	CHECK_BYTES(o.front.last.certificate, first, len);
	CHECK_INT(o.signatures[KEY_CA], signed_once);
	/* The transaction is the key's: with another one it is unknown. */
	office_lookup(&o, "t", other);
	CHECK_INT(o.front.last.status, STATUS_NONE);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	office_close(&o);
}

/* Revokes the certificate that the front got last. */
static void
revoke_last(struct office *o, int reason)
{
	struct app_store_request request = {.op = APP_STORE_REVOKE, .reason = reason, .done = on_done};
	struct x509 cert;
	bool done = false;

	assert_int_equal(x509_parse(o->front.last.certificate, &cert, NULL), 0);
	memcpy(request.serial, cert.tbs.serial.data, APP_SERIAL_SIZE);
	request.arg = &done;
	assert_int_equal(app_store_submit(o->authority.store, &request), 0);
	OFFICE_UNTIL(o, done);
	assert_int_equal(request.code, 0);
	app_store_request_fini(&request);
}

/* sscep makes the transactionID from the key, so it is the same in the next year and after a revocation. */
TEST(answers_no_transaction_with_a_certificate_that_has_ended_or_is_revoked)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	int64_t now = clock_wall();
	int signed_once;

	office_open(&o, true);
	office_challenge(&o, CHALLENGE, soon());
	office_challenge(&o, "SECOND", soon());
	office_challenge(&o, "THIRD", now + 400 * 86400);
	office_enroll(&o, "t", key, CHALLENGE);
	CHECK_INT(o.front.last.status, STATUS_ISSUED);
	revoke_last(&o, APP_REASON_SUPERSEDED);
	signed_once = o.signatures[KEY_CA];
	office_lookup(&o, "t", key);
	CHECK_INT(o.front.last.status, STATUS_NONE);
	/* A recording of the first request is worth nothing; the operator's next challenge is. */
	office_enroll(&o, "t", key, CHALLENGE);
	check_refused(&o, SCEP_BAD_REQUEST, signed_once);
	office_enroll(&o, "t", key, "SECOND");
	CHECK_INT(o.front.last.status, STATUS_ISSUED);
	CHECK_INT(o.signatures[KEY_CA], signed_once + 1);

	clock_set_fake(now + (int64_t)(o.conf.template_validity_days + 1) * 86400, -1);
	office_lookup(&o, "t", key);
	CHECK_INT(o.front.last.status, STATUS_NONE);
	office_enroll(&o, "t", key, "THIRD");
	CHECK_INT(o.front.last.status, STATUS_ISSUED);
	clock_set_fake(-1, -1);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(certifies_no_key_again_whose_certificate_was_revoked_as_compromised)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	int signed_once;

	office_open(&o, true);
	office_challenge(&o, CHALLENGE, soon());
	office_challenge(&o, "SECOND", soon());
	office_enroll(&o, "t", key, CHALLENGE);
	revoke_last(&o, APP_REASON_KEY_COMPROMISE);
	signed_once = o.signatures[KEY_CA];
	office_enroll(&o, "t", key, "SECOND");
	check_refused(&o, SCEP_BAD_REQUEST, signed_once);
	CHECK_INT(office_counts(&o).challenges_open, 1);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(signs_once_for_a_transaction_that_is_asked_twice_at_a_time)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	struct bytes csr = office_csr(key, "device", CHALLENGE, NULL);
	int before;

	office_open(&o, true);
	office_challenge(&o, CHALLENGE, soon());
	before = o.signatures[KEY_CA];
	office_ask(&o, "t", csr, key);
	office_ask(&o, "t", csr, key);
	OFFICE_UNTIL(&o, o.front.answers == 2);
	CHECK_INT(o.front.refused, 0);
	CHECK(o.front.issued >= 1);
	CHECK_INT(o.signatures[KEY_CA], before + 1);
	CHECK_INT(office_counts(&o).issued, 1);
	free((void *)csr.data);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(finishes_for_a_front_that_died_and_tells_the_next_one)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	struct bytes csr = office_csr(key, "device", CHALLENGE, NULL);
	int before;

	office_open(&o, true);
	office_challenge(&o, CHALLENGE, soon());
	before = o.asked;
	office_ask(&o, "t", csr, key);
	OFFICE_UNTIL(&o, o.asked > before);
	office_drop_front(&o);
	OFFICE_UNTIL(&o, o.authority.issuing.count == 0);
	office_connect_front(&o);
	office_lookup(&o, "t", key);
	CHECK_INT(o.front.last.status, STATUS_ISSUED);
	CHECK(office_certificate_good(&o));
	free((void *)csr.data);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(answers_each_of_many_requests_exactly_once_when_the_store_is_full)
{
	enum { MANY = 300 };
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	char name[32];
	int before;

	office_open(&o, false);
	office_stop(&o);
	o.conf.store_queue = 16;
	office_open_again(&o, true);
	o.authority.static_challenge = NULL;
	CHECK_INT(secret_new(CHALLENGE, strlen(CHALLENGE), &o.authority.static_challenge), 0);
	before = o.signatures[KEY_CA];
	for (int i = 0; i < MANY; i++) {
		struct bytes csr;

		snprintf(name, sizeof(name), "t%d", i);
		csr = office_csr(key, name, CHALLENGE, NULL);
		office_ask(&o, name, csr, key);
		free((void *)csr.data);
	}
	OFFICE_UNTIL(&o, o.front.answers == MANY);
	CHECK_INT(o.front.issued + o.front.retries, MANY);
	CHECK(o.front.issued > 0);
	CHECK_INT(o.signatures[KEY_CA] - before, o.front.issued);
	CHECK_INT(office_counts(&o).issued, o.front.issued);
	CHECK_INT(office_counts(&o).intents_open, 0);
	CHECK_INT(o.front.answers, MANY);
	EVP_PKEY_free(key);
	office_close(&o);
}

/* The disk takes nothing more, or takes things again. */
static void
fill_disk(bool full)
{
	static struct rlimit old;
	struct rlimit small;

	if (full) {
		signal(SIGXFSZ, SIG_IGN);
		assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
		small = old;
		small.rlim_cur = 1;
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	} else {
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	}
}

/* Else the transaction would be "being answered", and its challenge held, until somebody restarts the authority. */
TEST(stores_what_is_signed_or_given_up_as_soon_as_the_disk_takes_it)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	struct bytes csr = office_csr(key, "device", CHALLENGE, NULL);

	for (enum office_mood mood = OFFICE_SIGNS; mood <= OFFICE_FAILS; mood++) {
		int asked;
		int64_t end;

		office_open(&o, true);
		office_challenge(&o, CHALLENGE, soon());
		o.mood = mood;
		asked = o.asked;
		office_ask(&o, "t", csr, key);
		OFFICE_UNTIL(&o, o.asked > asked);
		fill_disk(true);
		for (end = clock_mono_ms() + 500; clock_mono_ms() < end;)
			loop_run_once(o.loop, 10);
		CHECK_INT(o.front.answers, 0);
		fill_disk(false);
		OFFICE_UNTIL(&o, o.front.answers == 1);
		CHECK_INT(o.front.last.status, mood == OFFICE_SIGNS ? STATUS_ISSUED : STATUS_RETRY);
		CHECK_INT(office_counts(&o).intents_open, 0);
		CHECK_INT(office_counts(&o).challenges_open, mood == OFFICE_SIGNS ? 0 : 1);
		office_close(&o);
	}
	free((void *)csr.data);
	EVP_PKEY_free(key);
}

TEST(takes_the_static_challenge_again_and_again_and_no_other)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");

	office_open(&o, true);
	CHECK_INT(secret_new("one for all", 11, &o.authority.static_challenge), 0);
	office_enroll(&o, "a", key, "one for all");
	CHECK_INT(o.front.last.status, STATUS_ISSUED);
	office_enroll(&o, "b", key, "one for all");
	CHECK_INT(o.front.last.status, STATUS_ISSUED);
	office_enroll(&o, "c", key, "one for al");
	CHECK_INT(o.front.last.status, STATUS_REFUSED);
	office_enroll(&o, "d", key, "one for all ");
	CHECK_INT(o.front.last.status, STATUS_REFUSED);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(hangs_up_on_a_front_that_sends_what_is_no_message)
{
	struct office o;

	office_open(&o, true);
	CHECK_INT(ipc_send(o.front.ipc, MSG_ENROLL, 1, bytes_of_text("x"), -1), 0);
	OFFICE_UNTIL(&o, o.front.ipc == NULL);
	office_connect_front(&o);
	OFFICE_UNTIL(&o, o.front.identities == 2);
	office_close(&o);
}

TEST(stops_with_work_under_way)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	struct bytes csr = office_csr(key, "device", CHALLENGE, NULL);
	int before;

	office_open(&o, true);
	office_challenge(&o, CHALLENGE, soon());
	o.mood = OFFICE_SILENT;
	before = o.asked;
	office_ask(&o, "t", csr, key);
	OFFICE_UNTIL(&o, o.asked > before);
	office_stop(&o);
	/* The intent is found, its serial number revoked; the challenge is spent. */
	office_open_again(&o, true);
	CHECK_INT(office_counts(&o).intents_open, 0);
	office_enroll(&o, "t2", key, CHALLENGE);
	CHECK_INT(o.front.last.status, STATUS_REFUSED);
	free((void *)csr.data);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST_MAIN(RUN(tells_unknown_used_expired_and_missing_challenges_apart_only_in_the_log),
	  RUN(answers_no_transaction_with_a_certificate_that_has_ended_or_is_revoked),
	  RUN(certifies_no_key_again_whose_certificate_was_revoked_as_compromised),
	  RUN(stores_what_is_signed_or_given_up_as_soon_as_the_disk_takes_it),
	  RUN(refuses_a_message_that_another_key_signed),
	  RUN(refuses_what_is_no_proper_request_with_the_right_fail_info),
	  RUN(gives_one_answer_to_whatever_no_key_vouches_for),
	  RUN(refuses_every_truncation_and_every_other_message_type),
	  RUN(gives_the_challenge_back_when_the_token_fails),
	  RUN(asks_to_come_again_while_the_signer_is_away_or_silent), RUN(answers_what_the_signer_had_when_it_dies),
	  RUN(issues_once_and_answers_the_same_transaction_again),
	  RUN(signs_once_for_a_transaction_that_is_asked_twice_at_a_time),
	  RUN(finishes_for_a_front_that_died_and_tells_the_next_one),
	  RUN(answers_each_of_many_requests_exactly_once_when_the_store_is_full),
	  RUN(takes_the_static_challenge_again_and_again_and_no_other),
	  RUN(hangs_up_on_a_front_that_sends_what_is_no_message), RUN(stops_with_work_under_way))
