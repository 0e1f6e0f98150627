#include "appliance/held.h"
#include "board/base/clock.h"
#include "tests/lib/certs.h"
#include "tests/lib/office.h"
#include "tests/lib/test.h"

#define CHALLENGE "0123456789ABCDEF0123456789ABCDEF"

enum { DAY_S = 86400 };

/* An office in which requests without a challenge wait. */
static void
open_waiting(struct office *o)
{
	office_open(o, true);
	snprintf(o->conf.challenge_missing, sizeof(o->conf.challenge_missing), "pending");
}

static void
on_done(struct app_store_request *request, void *arg)
{
	*(bool *)arg = true;
}

/* Decides request number; the code of the store. */
static int
decide(struct office *o, enum app_store_op op, int64_t number)
{
	struct app_store_request request = {.op = op, .number = number, .done = on_done};
	bool done = false;

	request.arg = &done;
	snprintf(request.actor, sizeof(request.actor), "operator test");
	CHECK_INT(app_store_submit(o->authority.store, &request), 0);
	OFFICE_UNTIL(o, done);
	app_store_request_fini(&request);
	return request.code;
}

/* How many wait, and the number of the last. */
static size_t
waiting(struct office *o, int64_t *ret_number)
{
	struct app_store_request request = {.op = APP_STORE_HELD, .done = on_done};
	bool done = false;
	size_t count;

	request.arg = &done;
	CHECK_INT(app_store_submit(o->authority.store, &request), 0);
	OFFICE_UNTIL(o, done);
	count = request.held_count;
	if (count > 0 && ret_number != NULL)
		*ret_number = request.held[count - 1].number;
	app_store_request_fini(&request);
	return count;
}

TEST(nothing_waits_unless_it_is_configured)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");

	office_open(&o, true);
	office_enroll(&o, "t", key, NULL);
	CHECK_INT(o.front.last.status, STATUS_REFUSED);
	CHECK_INT(waiting(&o, NULL), 0);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(a_wrong_challenge_does_not_wait)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");

	open_waiting(&o);
	o.conf.template_approval = true;
	office_challenge(&o, "EXPIRED", clock_wall() - 10);
	office_enroll(&o, "a", key, "unknown");
	CHECK_INT(o.front.last.status, STATUS_REFUSED);
	office_enroll(&o, "b", key, "EXPIRED");
	CHECK_INT(o.front.last.status, STATUS_REFUSED);
	CHECK_INT(waiting(&o, NULL), 0);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(a_transaction_is_its_keys_alone)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256"), *other = certs_ec("P-256");

	open_waiting(&o);
	office_enroll(&o, "t", key, NULL);
	CHECK_INT(o.front.last.status, STATUS_PENDING);
	office_lookup(&o, "t", other);
	CHECK_INT(o.front.last.status, STATUS_NONE);
	office_lookup(&o, "u", key);
	CHECK_INT(o.front.last.status, STATUS_NONE);
	office_lookup(&o, "t", key);
	CHECK_INT(o.front.last.status, STATUS_PENDING);
	/* The same request again is the same one. */
	office_enroll(&o, "t", key, NULL);
	CHECK_INT(o.front.last.status, STATUS_PENDING);
	CHECK_INT(waiting(&o, NULL), 1);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	office_close(&o);
}

TEST(what_is_denied_stays_denied_until_it_is_forgotten)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	int64_t number = 0;

	open_waiting(&o);
	office_enroll(&o, "t", key, NULL);
	CHECK_INT(waiting(&o, &number), 1);
	CHECK_INT(decide(&o, APP_STORE_DENY, number), 0);
	CHECK_INT(decide(&o, APP_STORE_DENY, number), ERR_STAGE);
	CHECK_INT(decide(&o, APP_STORE_APPROVE, number), ERR_STAGE);
	CHECK_INT(decide(&o, APP_STORE_APPROVE, number + 1), ERR_UNKNOWN);
	office_lookup(&o, "t", key);
	CHECK_INT(o.front.last.status, STATUS_REFUSED);
	CHECK_INT(o.front.last.fail_info, SCEP_BAD_REQUEST);
	office_enroll(&o, "t", key, NULL);
	CHECK_INT(o.front.last.status, STATUS_REFUSED);
	clock_set_fake(clock_wall() + (int64_t)o.conf.scep_pending_days * DAY_S + 60, -1);
	office_lookup(&o, "t", key);
	CHECK_INT(o.front.last.status, STATUS_NONE);
	office_enroll(&o, "t", key, NULL);
	CHECK_INT(o.front.last.status, STATUS_PENDING);
	clock_set_fake(-1, -1);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(no_more_wait_than_may)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");

	open_waiting(&o);
	o.conf.scep_pending_max = 2;
	office_enroll(&o, "a", key, NULL);
	office_enroll(&o, "b", key, NULL);
	CHECK_INT(o.front.last.status, STATUS_PENDING);
	office_enroll(&o, "c", key, NULL);
	CHECK_INT(o.front.last.status, STATUS_RETRY);
	CHECK_INT(waiting(&o, NULL), 2);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(what_is_approved_is_issued_when_the_token_is_there)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	int64_t number = 0;

	open_waiting(&o);
	office_enroll(&o, "t", key, NULL);
	CHECK_INT(waiting(&o, &number), 1);
	CHECK_INT(decide(&o, APP_STORE_APPROVE, number), 0);
	CHECK_INT(decide(&o, APP_STORE_APPROVE, number), ERR_STAGE);
	o.mood = OFFICE_FAILS;
	office_lookup(&o, "t", key);
	CHECK_INT(o.front.last.status, STATUS_PENDING);
	OFFICE_UNTIL(&o, o.authority.issuing.failed == 1);
	OFFICE_UNTIL(&o, o.authority.issuing.count == 0);
	o.mood = OFFICE_SIGNS;
	office_lookup(&o, "t", key);
	CHECK_INT(o.front.last.status, STATUS_PENDING);
	OFFICE_UNTIL(&o, waiting(&o, NULL) == 0);
	office_lookup(&o, "t", key);
	CHECK_INT(o.front.last.status, STATUS_ISSUED);
	CHECK(office_certificate_good(&o));
	/* And again. */
	office_lookup(&o, "t", key);
	CHECK_INT(o.front.last.status, STATUS_ISSUED);
	CHECK_INT(office_counts(&o).issued, 1);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(a_challenge_is_held_and_used_by_the_certificate_alone)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	int64_t number = 0;

	office_open(&o, true);
	o.conf.template_approval = true;
	office_challenge(&o, CHALLENGE, clock_wall() + 3600);
	office_enroll(&o, "t", key, CHALLENGE);
	CHECK_INT(o.front.last.status, STATUS_PENDING);
	office_enroll(&o, "u", key, CHALLENGE);
	CHECK_INT(o.front.last.status, STATUS_REFUSED);
	/* Denied, it is free again. */
	CHECK_INT(waiting(&o, &number), 1);
	CHECK_INT(decide(&o, APP_STORE_DENY, number), 0);
	office_enroll(&o, "v", key, CHALLENGE);
	CHECK_INT(o.front.last.status, STATUS_PENDING);
	CHECK_INT(waiting(&o, &number), 2);
	CHECK_INT(decide(&o, APP_STORE_APPROVE, number), 0);
	/* It was good when the request came. */
	clock_set_fake(clock_wall() + 2 * DAY_S, -1);
	office_lookup(&o, "v", key);
	OFFICE_UNTIL(&o, waiting(&o, NULL) == 1);
	office_lookup(&o, "v", key);
	CHECK_INT(o.front.last.status, STATUS_ISSUED);
	CHECK_INT(office_counts(&o).challenges_open, 0);
	clock_set_fake(-1, -1);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(requests_wait_through_a_restart)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");

	open_waiting(&o);
	office_enroll(&o, "t", key, NULL);
	office_stop(&o);
	office_open_again(&o, true);
	office_lookup(&o, "t", key);
	CHECK_INT(o.front.last.status, STATUS_PENDING);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST_MAIN(RUN(nothing_waits_unless_it_is_configured), RUN(a_wrong_challenge_does_not_wait),
	  RUN(a_transaction_is_its_keys_alone), RUN(what_is_denied_stays_denied_until_it_is_forgotten),
	  RUN(no_more_wait_than_may), RUN(what_is_approved_is_issued_when_the_token_is_there),
	  RUN(a_challenge_is_held_and_used_by_the_certificate_alone), RUN(requests_wait_through_a_restart))
