#include "tests/lib/office.h"

#include <openssl/x509.h>

#include "board/base/clock.h"
#include "tests/lib/certs.h"
#include "tests/lib/test.h"

enum { DAY_S = 86400 };

struct told {
	int times;
	int code;
};

static void
on_told(int code, const struct err *e, void *arg)
{
	struct told *told = arg;

	told->times++;
	told->code = code;
}

/* The CRL that the front has, verified; the caller frees. */
static X509_CRL *
front_crl(const struct office *o)
{
	const unsigned char *p = o->front.crl;
	X509_CRL *crl = d2i_X509_CRL(NULL, &p, (long)o->front.crl_len);

	assert_non_null(crl);
	assert_int_equal(X509_CRL_verify(crl, o->ca_key), 1);
	return crl;
}

static int
crl_entries(const struct office *o)
{
	X509_CRL *crl = front_crl(o);
	int count = sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl));

	X509_CRL_free(crl);
	return count < 0 ? 0 : count;
}

static void
on_revoked(struct app_store_request *request, void *arg)
{
	*(bool *)arg = true;
}

/* Revokes the certificate that the front got last. */
static void
revoke_last(struct office *o)
{
	struct app_store_request request = {.op = APP_STORE_REVOKE, .now = clock_wall(), .done = on_revoked};
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

TEST(keeps_the_old_crl_while_the_signer_is_away_and_heals_by_itself)
{
	struct office o;
	struct told told = {0};
	struct app_publish_wait wait = {.fn = on_told, .arg = &told};
	int before;

	office_open(&o, true);
	before = o.front.crls;
	office_drop_signer(&o);
	OFFICE_UNTIL(&o, o.authority.links.signer == NULL);
	app_publish_make(&o.authority, &wait);
	OFFICE_UNTIL(&o, told.times > 0);
	CHECK(told.code != 0);
	CHECK_INT(o.authority.publish[0].number, 1);
	CHECK(o.authority.publish[0].crl.len > 0);
	/* Nobody asks again: the signer's return is enough. */
	office_connect_signer(&o);
	OFFICE_UNTIL(&o, o.front.crls > before);
	CHECK_INT(o.authority.publish[0].number, 2);
	CHECK_INT(told.times, 1);
	office_close(&o);
}

TEST(tells_the_truth_about_a_signature_that_failed)
{
	struct office o;
	struct told told = {0};
	struct app_publish_wait wait = {.fn = on_told, .arg = &told};

	office_open(&o, true);
	o.mood = OFFICE_FAILS;
	app_publish_make(&o.authority, &wait);
	OFFICE_UNTIL(&o, told.times > 0);
	CHECK_INT(told.code, ERR_TOKEN);
	CHECK_INT(o.front.crls, 1);
	CHECK_INT(crl_entries(&o), 0);
	office_close(&o);
}

TEST(puts_a_revoked_certificate_on_the_next_crl)
{
	struct office o;
	struct told told = {0};
	struct app_publish_wait wait = {.fn = on_told, .arg = &told};
	EVP_PKEY *key = certs_ec("P-256");

	office_open(&o, true);
	CHECK_INT(secret_new("all", 3, &o.authority.static_challenge), 0);
	office_enroll(&o, "t", key, "all");
	revoke_last(&o);
	app_publish_make(&o.authority, &wait);
	OFFICE_UNTIL(&o, told.times > 0 && o.front.crls == 2);
	CHECK_INT(told.code, 0);
	CHECK_INT(crl_entries(&o), 1);
	CHECK_INT(o.authority.publish[0].entries, 1);
	CHECK_INT(o.authority.publish[0].number, 2);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(serves_all_that_is_asked_meanwhile_with_one_more_crl)
{
	struct office o;
	struct told told = {0};
	struct app_publish_wait wait[10];

	office_open(&o, true);
	for (int i = 0; i < 10; i++) {
		wait[i] = (struct app_publish_wait){.fn = on_told, .arg = &told};
		app_publish_make(&o.authority, &wait[i]);
	}
	OFFICE_UNTIL(&o, told.times == 10);
	CHECK_INT(told.code, 0);
	CHECK_INT(o.authority.publish[0].number, 3);
	CHECK_INT(o.signatures[KEY_CRL], 3);
	office_close(&o);
}

TEST(goes_on_with_number_and_list_after_a_restart)
{
	struct office o;
	struct told told = {0};
	struct app_publish_wait wait = {.fn = on_told, .arg = &told};
	EVP_PKEY *key = certs_ec("P-256");

	office_open(&o, true);
	CHECK_INT(secret_new("all", 3, &o.authority.static_challenge), 0);
	office_enroll(&o, "t", key, "all");
	revoke_last(&o);
	app_publish_make(&o.authority, &wait);
	OFFICE_UNTIL(&o, told.times > 0);
	office_stop(&o);
	/* Without a signer: the stored CRL and our own certificates are enough to serve. */
	office_open_again(&o, false);
	OFFICE_UNTIL(&o, o.front.crls == 1 && o.front.identities == 1);
	CHECK(o.authority.internal.ready);
	CHECK_INT(o.authority.publish[0].number, 2);
	CHECK_INT(o.authority.publish[0].entries, 1);
	CHECK_INT(crl_entries(&o), 1);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(publishes_at_the_start_what_a_crash_kept_off_the_crl)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	EVP_PKEY *other = certs_ec("P-256");
	struct bytes csr = office_csr(other, "lost", "all", NULL);
	int asked;

	office_open(&o, true);
	CHECK_INT(secret_new("all", 3, &o.authority.static_challenge), 0);
	office_enroll(&o, "t", key, "all");
	/* Revoked, but no CRL is made; and an intent that is never resolved. */
	revoke_last(&o);
	o.mood = OFFICE_SILENT;
	asked = o.asked;
	office_ask(&o, "lost", csr, other);
	OFFICE_UNTIL(&o, o.asked > asked);
	CHECK_INT(crl_entries(&o), 0);
	office_stop(&o);
	office_open_again(&o, true);
	OFFICE_UNTIL(&o, o.authority.publish[0].number == 2 && o.front.crls == 2);
	CHECK_INT(crl_entries(&o), 2);
	free((void *)csr.data);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	office_close(&o);
}

/* Makes one more CRL at this time. */
static void
make_crl_at(struct office *o, int64_t now)
{
	struct told told = {0};
	struct app_publish_wait wait = {.fn = on_told, .arg = &told};
	int crls = o->front.crls;

	clock_set_fake(now, -1);
	app_publish_make(&o->authority, &wait);
	OFFICE_UNTIL(o, told.times > 0 && o->front.crls > crls);
	CHECK_INT(told.code, 0);
}

/* RFC 5280 3.3: an entry stays until a CRL was issued beyond the certificate's end, however long that takes. */
TEST(keeps_what_expired_while_the_appliance_was_off_for_one_crl_more)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	int64_t now = clock_wall(), late;

	office_open(&o, true);
	CHECK_INT(secret_new("all", 3, &o.authority.static_challenge), 0);
	office_enroll(&o, "t", key, "all");
	revoke_last(&o);
	make_crl_at(&o, now);
	CHECK_INT(crl_entries(&o), 1);
	office_stop(&o);
	late = now + (o.conf.template_validity_days + 1) * (int64_t)DAY_S + 3 * (int64_t)o.conf.ca_crl_hours * 3600;
	clock_set_fake(late, -1);
	office_open_again(&o, true);
	OFFICE_UNTIL(&o, o.authority.publish[0].number == 3 && o.front.crls == 2);
	CHECK_INT(crl_entries(&o), 1);
	make_crl_at(&o, late + 60);
	CHECK_INT(crl_entries(&o), 0);
	clock_set_fake(-1, -1);
	EVP_PKEY_free(key);
	office_close(&o);
}

/* Some take the CRL with the latest thisUpdate for the newest, whatever its number. */
TEST(gives_no_crl_an_earlier_date_than_the_one_before_it)
{
	struct office o;
	int64_t now = clock_wall(), first;

	office_open(&o, true);
	first = o.authority.publish[0].this_update;
	make_crl_at(&o, now - 200);
	CHECK(o.authority.publish[0].this_update >= first);
	CHECK_INT(o.authority.publish[0].next_update,
		  o.authority.publish[0].this_update + (int64_t)o.conf.ca_crl_hours * 3600);
	/* A clock that was far off is mended all the same: nobody takes a CRL of next year. */
	make_crl_at(&o, now + 300 * (int64_t)DAY_S);
	make_crl_at(&o, now);
	CHECK_INT(o.authority.publish[0].this_update, now);
	clock_set_fake(-1, -1);
	office_close(&o);
}

/* A box whose battery is empty starts in 1970: the list that it has is better than one that has ended long ago. */
TEST(makes_no_crl_with_a_clock_before_the_ca)
{
	struct office o;
	struct told told = {0};
	struct app_publish_wait wait = {.fn = on_told, .arg = &told};

	office_open(&o, true);
	office_stop(&o);
	clock_set_fake(86400, -1);
	office_open_again(&o, false);
	office_connect_signer(&o);
	OFFICE_UNTIL(&o, o.front.crls > 0 && o.authority.publish[0].job == NULL);
	app_publish_make(&o.authority, &wait);
	OFFICE_UNTIL(&o, told.times > 0);
	CHECK_INT(told.code, ERR_STAGE);
	CHECK_INT(o.authority.publish[0].number, 1);
	CHECK_INT(o.signatures[KEY_CRL], 0);
	clock_set_fake(-1, -1);
	app_publish_wake(&o.authority);
	OFFICE_UNTIL(&o, o.authority.publish[0].number == 2);
	office_close(&o);
}

TEST(makes_the_next_crl_when_it_is_due_and_not_before)
{
	struct office o;
	int64_t now = clock_wall();

	office_open(&o, true);
	app_publish_wake(&o.authority);
	CHECK(o.authority.publish[0].job == NULL);
	clock_set_fake(now + o.conf.ca_crl_interval_minutes * 60 - 60, -1);
	app_publish_wake(&o.authority);
	CHECK(o.authority.publish[0].job == NULL);
	clock_set_fake(now + o.conf.ca_crl_interval_minutes * 60 + 60, -1);
	app_publish_wake(&o.authority);
	OFFICE_UNTIL(&o, o.authority.publish[0].number == 2);
	clock_set_fake(-1, -1);
	office_close(&o);
}

TEST(makes_no_second_ra_certificates_while_the_first_are_good)
{
	struct office o;

	office_open(&o, true);
	CHECK_INT(o.signatures[KEY_CA], 2);
	app_internal_check(&o.authority);
	OFFICE_UNTIL(&o, o.authority.internal.jobs == NULL);
	office_stop(&o);
	office_open_again(&o, true);
	OFFICE_UNTIL(&o, o.authority.internal.jobs == NULL);
	CHECK_INT(o.signatures[KEY_CA], 0);
	CHECK_INT(o.front.decrypt_count, 1);
	office_close(&o);
}

TEST(renews_ra_certificates_ahead_and_keeps_the_old_decryption_one)
{
	struct office o;
	int64_t now = clock_wall();

	office_open(&o, true);
	office_stop(&o);
	clock_set_fake(now + (int64_t)(o.conf.ca_ra_days - o.conf.ca_ra_renew_days + 1) * DAY_S, -1);
	office_open_again(&o, true);
	OFFICE_UNTIL(&o, o.signatures[KEY_CA] == 2 && o.front.decrypt_count == 2);
	OFFICE_UNTIL(&o, o.authority.internal.jobs == NULL && o.authority.internal.issuing == 0);
	CHECK_INT(o.signatures[KEY_CA], 2);
	clock_set_fake(-1, -1);
	office_close(&o);
}

TEST(makes_no_certificates_without_end_when_the_ca_ends)
{
	struct office o;
	int64_t now = clock_wall();

	office_open(&o, false);
	office_stop(&o);
	/* The CA ends in ten days: RA certificates end with it, and renewing gains nothing. */
	clock_set_fake(now + 3640 * (int64_t)DAY_S, -1);
	office_open_again(&o, true);
	for (int i = 0; i < 5; i++) {
		app_internal_check(&o.authority);
		OFFICE_UNTIL(&o, o.authority.internal.jobs == NULL && o.authority.internal.issuing == 0);
	}
	CHECK_INT(o.signatures[KEY_CA], 2);
	clock_set_fake(-1, -1);
	office_close(&o);
}

TEST(issues_nothing_with_a_token_that_has_another_ca_key)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	EVP_PKEY *right;

	office_open(&o, false);
	CHECK_INT(secret_new("all", 3, &o.authority.static_challenge), 0);
	right = o.ca_key;
	o.ca_key = key;
	office_connect_signer(&o);
	OFFICE_UNTIL(&o, o.authority.internal.ca_key_wrong);
	office_enroll(&o, "t", key, "all");
	CHECK_INT(o.front.last.status, STATUS_RETRY);
	CHECK_INT(o.signatures[KEY_CA], 0);
	o.ca_key = right;
	EVP_PKEY_free(key);
	office_close(&o);
}

/* Asks for a TLS certificate and waits for the answer. */
static void
ask_tls(struct office *o, const char *cn, const char *san)
{
	EVP_PKEY *key = certs_ec("P-256");
	struct bytes csr = office_csr(key, cn, NULL, san);
	struct msg_tls_request m = {.csr = csr};
	int before = o->front.answers;

	CHECK_INT(msg_tls_request_send(o->front.ipc, 3, &m), 0);
	OFFICE_UNTIL(o, o->front.answers > before);
	free((void *)csr.data);
	EVP_PKEY_free(key);
}

TEST(gives_the_front_tls_certificates_for_configured_names_alone)
{
	struct office o;
	struct x509 cert;
	char name[64];

	office_open(&o, true);
	snprintf(o.conf.front_tls_names, sizeof(o.conf.front_tls_names), "ca.example.org 192.0.2.7 2001:db8::1");
	ask_tls(&o, "x", "DNS:www.bank.example");
	CHECK_INT(o.front.last.status, STATUS_REFUSED);
	ask_tls(&o, "x", "DNS:ca.example.org,DNS:www.bank.example");
	CHECK_INT(o.front.last.status, STATUS_REFUSED);
	ask_tls(&o, "www.bank.example", "DNS:ca.example.org,IP:192.0.2.7");
	CHECK_INT(o.front.last.status, STATUS_ISSUED);
	CHECK(office_certificate_good(&o));
	CHECK_INT(x509_parse(o.front.last.certificate, &cert, NULL), 0);
	CHECK_TEXT(x509_name_text(cert.tbs.subject, name, sizeof(name)), "CN=ca.example.org");
	office_close(&o);
}

TEST(bounds_how_often_the_front_gets_tls_certificates)
{
	struct office o;

	office_open(&o, true);
	for (int i = 0; i < APP_TLS_BURST + 10; i++)
		ask_tls(&o, "localhost", NULL);
	CHECK(o.front.issued <= APP_TLS_BURST + 1);
	CHECK(o.front.retries > 0);
	office_close(&o);
}

static int broken;

static void
on_broken(void)
{
	broken++;
}

TEST(gives_up_when_the_store_takes_no_change_for_long_and_not_before)
{
	struct app_authority a = {.on_broken = on_broken};

	clock_set_fake(1000, 1000);
	app_state_note(&a, ERR_STORE);
	clock_set_fake(1000, 1000 + APP_STORE_PATIENCE_MS - 1);
	app_state_note(&a, ERR_STORE);
	app_state_note(&a, 0);
	clock_set_fake(1000, 1000 + APP_STORE_PATIENCE_MS);
	app_state_note(&a, ERR_STORE);
	app_state_note(&a, ERR_BUSY);
	CHECK_INT(broken, 0);
	clock_set_fake(1000, 1000 + 2 * APP_STORE_PATIENCE_MS);
	app_state_note(&a, ERR_STORE);
	CHECK_INT(broken, 1);
	clock_set_fake(-1, -1);
}

TEST_MAIN(RUN(gives_up_when_the_store_takes_no_change_for_long_and_not_before),
	  RUN(keeps_the_old_crl_while_the_signer_is_away_and_heals_by_itself),
	  RUN(tells_the_truth_about_a_signature_that_failed), RUN(puts_a_revoked_certificate_on_the_next_crl),
	  RUN(serves_all_that_is_asked_meanwhile_with_one_more_crl), RUN(goes_on_with_number_and_list_after_a_restart),
	  RUN(publishes_at_the_start_what_a_crash_kept_off_the_crl),
	  RUN(keeps_what_expired_while_the_appliance_was_off_for_one_crl_more),
	  RUN(gives_no_crl_an_earlier_date_than_the_one_before_it), RUN(makes_no_crl_with_a_clock_before_the_ca),
	  RUN(makes_the_next_crl_when_it_is_due_and_not_before),
	  RUN(makes_no_second_ra_certificates_while_the_first_are_good),
	  RUN(renews_ra_certificates_ahead_and_keeps_the_old_decryption_one),
	  RUN(makes_no_certificates_without_end_when_the_ca_ends),
	  RUN(issues_nothing_with_a_token_that_has_another_ca_key),
	  RUN(gives_the_front_tls_certificates_for_configured_names_alone),
	  RUN(bounds_how_often_the_front_gets_tls_certificates))
