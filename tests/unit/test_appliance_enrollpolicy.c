#include "tests/lib/office.h"

#include "appliance/command.h"
#include "board/base/clock.h"
#include "board/base/der.h"
#include "board/base/oid.h"
#include "board/base/x509.h"
#include "tests/lib/certs.h"
#include "tests/lib/test.h"

/* Requests at a URL that has a policy module, with a stand-in for the courier. */
struct courier {
	struct ipc *ipc;
	bool silent;
	bool silent_notify;
	int64_t code;        /* of its answers to verify */
	int64_t notify_code; /* to notify */
	const char *reason;
	const char *notify_reason;
	int verified;
	int notified;
	int answers_at_notify; /* decisions that the front had then */
	size_t signer_len;
	size_t certificate_len;
	int disposition;
	char transaction[256];
	int modules;
	size_t chain_count;
	uint8_t certificate[32];
};

static struct office o;
static struct courier courier;

static void
answer(uint64_t id, int64_t code, const char *reason)
{
	struct msg_policy_result m = {.code = code};

	if (code == 0)
		snprintf(m.reason, sizeof(m.reason), "%s", reason);
	else
		snprintf(m.text, sizeof(m.text), "connection refused");
	assert_int_equal(msg_policy_result_send(courier.ipc, id, &m), 0);
}

static void
on_message(struct ipc *ipc, struct ipc_message *message, void *arg)
{
	struct msg_policy_module module;
	struct msg_policy_verify verify;
	struct msg_policy_notify notify;

	if (message->type == MSG_POLICY_MODULE) {
		assert_int_equal(msg_policy_module_get(message->body, &module), 0);
		courier.modules++;
		courier.chain_count = module.chain.count;
		if (module.chain.count > 0)
			x509_sha256(module.chain.item[0], courier.certificate);
	}
	if (message->type == MSG_POLICY_VERIFY) {
		assert_int_equal(msg_policy_verify_get(message->body, &verify), 0);
		courier.verified++;
		courier.signer_len = verify.signer.len;
		snprintf(courier.transaction, sizeof(courier.transaction), "%s", verify.transaction_id);
		CHECK(verify.csr.len > 0);
		if (!courier.silent)
			answer(message->id, courier.code, courier.reason);
	}
	if (message->type == MSG_POLICY_NOTIFY) {
		assert_int_equal(msg_policy_notify_get(message->body, &notify), 0);
		courier.notified++;
		courier.answers_at_notify = o.front.answers;
		courier.disposition = notify.disposition;
		courier.certificate_len = notify.certificate.len;
		CHECK(notify.csr.len > 0);
		if (!courier.silent_notify)
			answer(message->id, courier.notify_code, courier.notify_reason);
	}
}

static void
on_closed(struct ipc *ipc, void *arg)
{
	ipc_free(TAKE(courier.ipc));
}

static void
connect_courier(void)
{
	struct ipc_handlers handlers = {on_message, on_closed, NULL};
	int fds[2];

	ipc_free(TAKE(courier.ipc));
	assert_int_equal(ipc_pair(fds, NULL), 0);
	assert_int_equal(ipc_new(o.loop, fds[0], ROLE_COURIER, ROLE_AUTHORITY, &handlers, &courier.ipc), 0);
	assert_int_equal(app_policy_courier(&o.authority, fds[1]), 0);
}

static EVP_PKEY *
begin(int kind)
{
	struct msg_policy_module m = {.kind = (uint8_t)kind, .deadline_ms = 200, .name = "crp"};

	memset(&courier, 0, sizeof(courier));
	courier.reason = courier.notify_reason = "Success";
	office_open(&o, true);
	strcpy(o.conf.policy_module, "crp");
	office_reload(&o);
	strcpy(m.url, "https://crp.example.com/CMCertificateRegistration");
	if (kind != POLICY_NONE)
		CHECK_INT(app_policy_set(&o.authority, &m, NULL), 0);
	connect_courier();
	return certs_ec("P-256");
}

static void
end(EVP_PKEY *key)
{
	OFFICE_UNTIL(&o, !app_state_busy(&o.authority));
	EVP_PKEY_free(key);
	office_close(&o);
	ipc_free(TAKE(courier.ipc));
}

TEST(granted_request_is_issued_and_the_module_told_after_the_device)
{
	EVP_PKEY *key = begin(POLICY_REGISTRATION_POINT);

	office_enroll(&o, "one", key, "from elsewhere");
	CHECK_INT(o.front.last.status, STATUS_ISSUED);
	CHECK(office_certificate_good(&o));
	CHECK_TEXT(courier.transaction, "one");
	CHECK_INT(courier.signer_len, 0);
	OFFICE_UNTIL(&o, courier.notified == 1);
	CHECK_INT(courier.disposition, DISPOSITION_SUCCESS);
	CHECK(courier.certificate_len > 0);
	CHECK_INT(courier.verified, 1);
	/* Again the same: it has its certificate. */
	office_enroll(&o, "one", key, "from elsewhere");
	CHECK_INT(o.front.last.status, STATUS_ISSUED);
	CHECK_INT(courier.verified, 1);
	CHECK_INT(courier.notified, 1);
	CHECK_INT(office_counts(&o).issued, 1);
	end(key);
}

TEST(intune_is_told_before_the_device_has_it)
{
	EVP_PKEY *key = begin(POLICY_INTUNE);

	office_enroll(&o, "one", key, "from elsewhere");
	CHECK_INT(o.front.last.status, STATUS_ISSUED);
	CHECK_INT(courier.notified, 1);
	CHECK_INT(courier.answers_at_notify, 0);
	end(key);
}

TEST(what_intune_was_not_told_of_is_not_handed_out_and_revoked)
{
	EVP_PKEY *key = begin(POLICY_INTUNE);

	courier.notify_code = ERR_IO;
	office_enroll(&o, "one", key, "from elsewhere");
	CHECK_INT(o.front.last.status, STATUS_RETRY);
	OFFICE_UNTIL(&o, !app_state_busy(&o.authority));
	CHECK_INT(office_counts(&o).revoked, 1);
	office_lookup(&o, "one", key);
	CHECK_INT(o.front.last.status, STATUS_NONE);
	/* The transaction is repeated, and gets another. */
	courier.notify_code = 0;
	office_enroll(&o, "one", key, "from elsewhere");
	CHECK_INT(o.front.last.status, STATUS_ISSUED);
	CHECK_INT(courier.verified, 2);
	CHECK_INT(office_counts(&o).valid, 1);
	end(key);
}

TEST(certificate_that_the_registration_point_did_not_take_is_revoked)
{
	EVP_PKEY *key = begin(POLICY_REGISTRATION_POINT);

	courier.notify_reason = "BadCertificateRequestIdInChallenge";
	office_enroll(&o, "one", key, "from elsewhere");
	CHECK_INT(o.front.last.status, STATUS_ISSUED);
	OFFICE_UNTIL(&o, courier.notified == 1 && !app_state_busy(&o.authority));
	OFFICE_UNTIL(&o, office_counts(&o).revoked == 1);
	end(key);
}

TEST(refused_request_is_not_issued_and_says_no_more_than_a_wrong_challenge)
{
	EVP_PKEY *key = begin(POLICY_REGISTRATION_POINT);
	int before = o.signatures[KEY_CA];
	struct msg_decision wrong;

	courier.reason = "SubjectNameMismatch";
	office_enroll(&o, "one", key, "from elsewhere");
	CHECK_INT(o.front.last.status, STATUS_REFUSED);
	CHECK_INT(o.front.last.fail_info, SCEP_BAD_REQUEST);
	CHECK_INT(o.signatures[KEY_CA], before);
	CHECK(strstr(o.front.last.text, "Subject") == NULL);
	CHECK_INT(courier.notified, 0);
	wrong = o.front.last;
	o.conf.policy_module[0] = '\0';
	office_reload(&o);
	office_enroll(&o, "two", key, "from elsewhere");
	CHECK_TEXT(o.front.last.text, wrong.text);
	CHECK_INT(o.front.last.hresult, wrong.hresult);
	end(key);
}

TEST(request_without_challenge_is_refused_and_never_asked_about)
{
	EVP_PKEY *key = begin(POLICY_REGISTRATION_POINT);

	strcpy(o.conf.challenge_missing, "pending");
	office_reload(&o);
	office_enroll(&o, "one", key, NULL);
	CHECK_INT(o.front.last.status, STATUS_REFUSED);
	CHECK_INT(courier.verified, 0);
	end(key);
}

TEST(built_in_challenge_counts_for_nothing_where_a_module_is_wanted)
{
	EVP_PKEY *key = begin(POLICY_NONE);

	office_challenge(&o, "0123456789ABCDEF0123456789ABCDEF", clock_wall() + 3600);
	office_enroll(&o, "one", key, "0123456789ABCDEF0123456789ABCDEF");
	CHECK_INT(o.front.last.status, STATUS_REFUSED);
	CHECK_INT(office_counts(&o).challenges_open, 1);
	CHECK_INT(courier.verified, 0);
	end(key);
}

TEST(module_that_cannot_be_asked_means_try_again)
{
	EVP_PKEY *key = begin(POLICY_REGISTRATION_POINT);

	courier.code = ERR_IO;
	for (int i = 0; i < APP_POLICY_FAILURES; i++) {
		office_enroll(&o, "one", key, "from elsewhere");
		CHECK_INT(o.front.last.status, STATUS_RETRY);
	}
	CHECK_INT(courier.verified, APP_POLICY_FAILURES);
	/* It rests. */
	office_enroll(&o, "one", key, "from elsewhere");
	CHECK_INT(o.front.last.status, STATUS_RETRY);
	CHECK_INT(courier.verified, APP_POLICY_FAILURES);
	CHECK_INT(office_counts(&o).issued, 0);
	end(key);
}

TEST(silent_or_lost_courier_means_try_again)
{
	EVP_PKEY *key = begin(POLICY_REGISTRATION_POINT);
	struct bytes csr = office_csr(key, "device", "from elsewhere", NULL);

	courier.silent = true;
	office_enroll(&o, "one", key, "from elsewhere");
	CHECK_INT(o.front.last.status, STATUS_RETRY);
	office_ask(&o, "two", csr, key);
	OFFICE_UNTIL(&o, courier.verified == 2);
	ipc_free(TAKE(courier.ipc));
	OFFICE_UNTIL(&o, o.front.answers == 2);
	CHECK_INT(o.front.last.status, STATUS_RETRY);
	office_enroll(&o, "three", key, "from elsewhere");
	CHECK_INT(o.front.last.status, STATUS_RETRY);
	CHECK_INT(o.front.retries, 3);
	free((void *)csr.data);
	end(key);
}

TEST(front_that_went_away_changes_nothing)
{
	EVP_PKEY *key = begin(POLICY_INTUNE);
	struct bytes csr = office_csr(key, "device", "from elsewhere", NULL);

	courier.silent_notify = true;
	office_ask(&o, "one", csr, key);
	OFFICE_UNTIL(&o, courier.notified == 1);
	office_drop_front(&o);
	OFFICE_UNTIL(&o, !app_state_busy(&o.authority));
	CHECK_INT(o.front.answers, 0);
	CHECK_INT(office_counts(&o).revoked, 1);
	office_connect_front(&o);
	free((void *)csr.data);
	end(key);
}

TEST(template_with_approval_goes_with_no_module)
{
	EVP_PKEY *key = begin(POLICY_REGISTRATION_POINT);

	o.conf.template_approval = true;
	office_reload(&o);
	office_enroll(&o, "one", key, "from elsewhere");
	CHECK_INT(o.front.last.status, STATUS_RETRY);
	CHECK_INT(courier.verified, 0);
	CHECK_INT(office_counts(&o).requests_waiting, 0);
	end(key);
}

static void
put_attribute(struct buf *b, struct bytes oid, const char *text)
{
	size_t outer = der_open(b, DER_SEQUENCE), set;

	der_put_oid(b, oid);
	set = der_open(b, DER_SET);
	der_put(b, DER_PRINTABLE_STRING, bytes_of_text(text));
	der_close(b, set);
	der_close(b, outer);
}

/* A RenewalReq that the old key signed, as the front passes it on; waits for the decision. */
static void
renew(EVP_PKEY *old, struct bytes certificate, EVP_PKEY *key, bool good)
{
	struct bytes csr = office_csr(key, "device", NULL, NULL);
	struct msg_enroll m = {.message_type = 17, .digest = DIGEST_SHA256, .peer = "::1", .csr = csr};
	int before = o.front.answers;
	AUTO_BUF attributes;
	size_t set;

	buf_init(&attributes, 1000);
	set = der_open(&attributes, DER_SET);
	put_attribute(&attributes, OID_SCEP_MESSAGE_TYPE, "17");
	put_attribute(&attributes, OID_SCEP_TRANSACTION_ID, "renewal");
	der_close(&attributes, set);
	m.transaction_id = bytes_of_text("renewal");
	m.signer = certificate;
	m.attributes = buf_bytes(&attributes);
	m.signature = certs_sign(old, EVP_sha256(), m.attributes);
	((uint8_t *)m.signature.data)[m.signature.len - 1] ^= !good;
	CHECK_INT(msg_enroll_send(o.front.ipc, 7, &m), 0);
	OFFICE_UNTIL(&o, o.front.answers > before);
	free((void *)m.signature.data);
	free((void *)csr.data);
}

TEST(renewal_is_asked_about_with_its_signer_and_no_challenge)
{
	EVP_PKEY *key = begin(POLICY_REGISTRATION_POINT);
	EVP_PKEY *rsa = EVP_RSA_gen(2048);
	EVP_PKEY *fresh = certs_ec("P-256");
	struct bytes old;

	o.conf.scep_renewal_window_days = 0;
	office_reload(&o);
	office_enroll(&o, "device", rsa, "from elsewhere");
	CHECK_INT(o.front.last.status, STATUS_ISSUED);
	old = bytes_dup((struct bytes){o.front.certificate, o.front.last.certificate.len});
	/* What the old key did not sign is refused before anybody is asked. */
	renew(rsa, old, fresh, false);
	CHECK_INT(o.front.last.status, STATUS_REFUSED);
	CHECK_INT(courier.verified, 1);
	courier.reason = "DeviceIdMismatchInChallenge";
	renew(rsa, old, fresh, true);
	CHECK_INT(o.front.last.status, STATUS_REFUSED);
	CHECK_INT(courier.verified, 2);
	CHECK_INT(courier.signer_len, old.len);
	courier.reason = "Success";
	renew(rsa, old, fresh, true);
	CHECK_INT(o.front.last.status, STATUS_ISSUED);
	CHECK_INT(courier.verified, 3);
	OFFICE_UNTIL(&o, courier.notified == 2);
	free((void *)old.data);
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(fresh);
	end(key);
}

static void
on_revoked(struct app_store_request *request, void *arg)
{
	CHECK_INT(request->code, 0);
	*(bool *)arg = true;
}

/* The courier gets the new one without being asked, and without a restart. */
TEST(certificate_of_the_policy_key_is_made_and_made_again)
{
	EVP_PKEY *key = begin(POLICY_REGISTRATION_POINT);
	const struct app_ra *ra = &o.authority.internal.ra[APP_RA_POLICY];
	struct app_store_request request = {
		.op = APP_STORE_REVOKE, .reason = APP_REASON_SUPERSEDED, .done = on_revoked};
	uint8_t first[32];
	struct x509 cert;
	bool revoked = false;

	app_internal_check(&o.authority);
	OFFICE_UNTIL(&o, courier.chain_count > 0);
	CHECK_INT(ra->count, 1);
	CHECK_INT(x509_parse(ra->certificates[0].der, &cert, NULL), 0);
	CHECK(memmem(cert.whole.data, cert.whole.len, OID_KP_CLIENT_AUTH.data, OID_KP_CLIENT_AUTH.len) != NULL);
	memcpy(first, courier.certificate, sizeof(first));
	request.arg = &revoked;
	memcpy(request.serial, cert.tbs.serial.data, APP_SERIAL_SIZE);
	CHECK_INT(app_store_submit(o.authority.store, &request), 0);
	OFFICE_UNTIL(&o, revoked);
	app_internal_check(&o.authority);
	OFFICE_UNTIL(&o, memcmp(first, courier.certificate, sizeof(first)) != 0);
	CHECK(courier.chain_count > 0);
	end(key);
}

TEST(intune_needs_no_certificate_of_the_policy_key)
{
	EVP_PKEY *key = begin(POLICY_INTUNE);

	app_internal_check(&o.authority);
	office_enroll(&o, "one", key, "from elsewhere");
	CHECK_INT(o.authority.internal.ra[APP_RA_POLICY].count, 0);
	CHECK_INT(courier.chain_count, 0);
	end(key);
}

TEST_MAIN(RUN(granted_request_is_issued_and_the_module_told_after_the_device),
	  RUN(intune_is_told_before_the_device_has_it), RUN(what_intune_was_not_told_of_is_not_handed_out_and_revoked),
	  RUN(certificate_that_the_registration_point_did_not_take_is_revoked),
	  RUN(refused_request_is_not_issued_and_says_no_more_than_a_wrong_challenge),
	  RUN(request_without_challenge_is_refused_and_never_asked_about),
	  RUN(built_in_challenge_counts_for_nothing_where_a_module_is_wanted),
	  RUN(module_that_cannot_be_asked_means_try_again), RUN(silent_or_lost_courier_means_try_again),
	  RUN(front_that_went_away_changes_nothing), RUN(template_with_approval_goes_with_no_module),
	  RUN(renewal_is_asked_about_with_its_signer_and_no_challenge),
	  RUN(certificate_of_the_policy_key_is_made_and_made_again), RUN(intune_needs_no_certificate_of_the_policy_key))
