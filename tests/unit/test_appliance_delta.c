#include <openssl/x509v3.h>

#include "board/base/clock.h"
#include "tests/lib/certs.h"
#include "tests/lib/office.h"
#include "tests/lib/test.h"

static void
on_done(struct app_store_request *request, void *arg)
{
	*(bool *)arg = true;
}

/* Changes the state of the certificate that the front got last. */
static int
change(struct office *o, enum app_store_op op, int reason)
{
	struct app_store_request request = {.op = op, .reason = reason, .now = clock_wall(), .done = on_done};
	struct x509 cert;
	bool done = false;

	assert_int_equal(x509_parse(o->front.last.certificate, &cert, NULL), 0);
	memcpy(request.serial, cert.tbs.serial.data, APP_SERIAL_SIZE);
	request.arg = &done;
	assert_int_equal(app_store_submit(o->authority.store, &request), 0);
	OFFICE_UNTIL(o, done);
	app_store_request_fini(&request);
	return request.code;
}

static void
open_with_device(struct office *o)
{
	EVP_PKEY *key = certs_ec("P-256");

	office_open(o, true);
	CHECK_INT(secret_new("all", 3, &o->authority.static_challenge), 0);
	office_enroll(o, "t", key, "all");
	EVP_PKEY_free(key);
}

TEST(a_hold_is_released_or_becomes_final_and_nothing_else_is)
{
	struct office o;

	open_with_device(&o);
	CHECK_INT(change(&o, APP_STORE_RELEASE, 0), ERR_STAGE);
	CHECK_INT(change(&o, APP_STORE_REVOKE, APP_REASON_HOLD), 0);
	CHECK_INT(change(&o, APP_STORE_REVOKE, APP_REASON_HOLD), ERR_EXISTS);
	CHECK_INT(change(&o, APP_STORE_RELEASE, 0), 0);
	CHECK_INT(change(&o, APP_STORE_RELEASE, 0), ERR_STAGE);
	CHECK_INT(change(&o, APP_STORE_REVOKE, APP_REASON_HOLD), 0);
	CHECK_INT(change(&o, APP_STORE_REVOKE, APP_REASON_KEY_COMPROMISE), 0);
	CHECK_INT(change(&o, APP_STORE_RELEASE, 0), ERR_STAGE);
	CHECK_INT(change(&o, APP_STORE_REVOKE, APP_REASON_SUPERSEDED), ERR_EXISTS);
	office_close(&o);
}

/* The delta CRL that the front has, verified; the caller frees. */
static X509_CRL *
front_delta(const struct office *o)
{
	const unsigned char *p = o->front.delta;
	X509_CRL *crl = d2i_X509_CRL(NULL, &p, (long)o->front.delta_len);

	assert_non_null(crl);
	assert_int_equal(X509_CRL_verify(crl, o->ca_key), 1);
	return crl;
}

static long
number_of(X509_CRL *crl, int nid, int expected_critical)
{
	int critical = -5;
	ASN1_INTEGER *number = X509_CRL_get_ext_d2i(crl, nid, &critical, NULL);
	long value = ASN1_INTEGER_get(number);

	CHECK_INT(critical, expected_critical);
	ASN1_INTEGER_free(number);
	return value;
}

/* The front has a delta CRL with these numbers, and one entry for this reason; -1: without entries. */
static void
check_delta(const struct office *o, long number, long base, long reason)
{
	X509_CRL *crl = front_delta(o);
	STACK_OF(X509_REVOKED) *entries = X509_CRL_get_REVOKED(crl);
	ASN1_ENUMERATED *found;

	CHECK_INT(number_of(crl, NID_crl_number, 0), number);
	CHECK_INT(number_of(crl, NID_delta_crl, 1), base);
	CHECK_INT(X509_CRL_get_ext_count(crl), 3);
	if (reason < 0) {
		assert_null(entries);
	} else {
		CHECK_INT(sk_X509_REVOKED_num(entries), 1);
		found = X509_REVOKED_get_ext_d2i(sk_X509_REVOKED_value(entries, 0), NID_crl_reason, NULL, NULL);
		CHECK_INT(ASN1_ENUMERATED_get(found), reason);
		ASN1_ENUMERATED_free(found);
	}
	X509_CRL_free(crl);
}

/* Has a delta CRL made, and waits for it. */
static void
publish(struct office *o)
{
	int before = o->front.deltas;

	app_publish_revoked(&o->authority, 0, NULL);
	OFFICE_UNTIL(o, o->front.deltas > before);
}

TEST(a_delta_says_what_changed_since_the_full_crl_and_shares_its_numbers)
{
	struct office o;
	const unsigned char *p;
	X509_CRL *full;

	open_with_device(&o);
	CHECK_INT(o.front.deltas, 0);
	o.conf.ca_delta_hours = 24;
	snprintf(o.conf.ca_delta_url, sizeof(o.conf.ca_delta_url), "http://127.0.0.1/delta.crl");
	snprintf(o.conf.ca_crl_on_revocation, sizeof(o.conf.ca_crl_on_revocation), "delta");
	app_publish_make(&o.authority, NULL);
	OFFICE_UNTIL(&o, o.front.crls == 2 && o.front.deltas == 1);
	check_delta(&o, 3, 2, -1);
	p = o.front.crl;
	full = d2i_X509_CRL(NULL, &p, (long)o.front.crl_len);
	CHECK_INT(number_of(full, NID_crl_number, 0), 2);
	CHECK(X509_CRL_get_ext_by_NID(full, NID_freshest_crl, -1) >= 0);
	CHECK(X509_CRL_get_ext_by_NID(full, NID_delta_crl, -1) < 0);
	X509_CRL_free(full);

	CHECK_INT(change(&o, APP_STORE_REVOKE, APP_REASON_HOLD), 0);
	publish(&o);
	check_delta(&o, 4, 2, APP_REASON_HOLD);
	CHECK_INT(change(&o, APP_STORE_RELEASE, 0), 0);
	publish(&o);
	check_delta(&o, 5, 2, 8);
	CHECK_INT(change(&o, APP_STORE_REVOKE, APP_REASON_KEY_COMPROMISE), 0);
	publish(&o);
	check_delta(&o, 6, 2, APP_REASON_KEY_COMPROMISE);
	CHECK_INT(o.front.crls, 2);
	/* What the next full one says, its delta does not repeat. */
	app_publish_make(&o.authority, NULL);
	OFFICE_UNTIL(&o, o.front.crls == 3 && o.front.deltas == 5);
	CHECK_INT(o.authority.publish[0].entries, 1);
	check_delta(&o, 8, 7, -1);
	office_close(&o);
}

TEST(numbers_go_on_behind_a_delta_after_a_restart)
{
	struct office o;

	open_with_device(&o);
	o.conf.ca_delta_hours = 24;
	app_publish_make(&o.authority, NULL);
	OFFICE_UNTIL(&o, o.front.deltas == 1);
	CHECK_INT(o.authority.publish[0].last, 3);
	office_stop(&o);
	office_open_again(&o, true);
	OFFICE_UNTIL(&o, o.authority.publish[0].number == 4 && o.authority.publish[0].delta.number == 5);
	office_close(&o);
}

TEST(delta_crls_that_are_turned_off_go_away)
{
	struct office o;

	open_with_device(&o);
	o.conf.ca_delta_hours = 24;
	app_publish_make(&o.authority, NULL);
	OFFICE_UNTIL(&o, o.front.deltas == 1);
	o.conf.ca_delta_hours = 0;
	app_publish_wake(&o.authority);
	OFFICE_UNTIL(&o, o.front.deltas == 2);
	CHECK_INT(o.front.delta_len, 0);
	office_close(&o);
}

TEST_MAIN(RUN(a_hold_is_released_or_becomes_final_and_nothing_else_is),
	  RUN(a_delta_says_what_changed_since_the_full_crl_and_shares_its_numbers),
	  RUN(numbers_go_on_behind_a_delta_after_a_restart), RUN(delta_crls_that_are_turned_off_go_away))
