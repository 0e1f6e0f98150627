/* Requests that more than one operator has to approve: store, issue, and what the device sees meanwhile. */
#include "appliance/held.h"
#include "appliance/pending.h"
#include "board/base/clock.h"
#include "tests/lib/certs.h"
#include "tests/lib/office.h"
#include "tests/lib/sql.h"
#include "tests/lib/test.h"

#define CHALLENGE "0123456789ABCDEF0123456789ABCDEF"

/* One approval or denial under way, and its end. */
struct decision {
	struct app_store_request request;
	bool done;
	enum app_held_state state;
	int approvals;
	char approvers[256];
	uint8_t key_hash[APP_HASH_SIZE];
};

static void
on_decided(struct app_store_request *request, void *arg)
{
	struct decision *decision = arg;

	decision->done = true;
	if (request->held_count > 0) {
		decision->state = request->held[0].state;
		decision->approvals = request->held[0].approvals;
		snprintf(decision->approvers, sizeof(decision->approvers), "%s", request->held[0].approvers);
		memcpy(decision->key_hash, request->held[0].key_hash, APP_HASH_SIZE);
	}
	app_store_request_fini(request);
}

static void
begin(struct office *o, struct decision *decision, enum app_store_op op, int64_t number, const char *account)
{
	memset(decision, 0, sizeof(*decision));
	decision->request = (struct app_store_request){.op = op, .number = number, .done = on_decided, .arg = decision};
	snprintf(decision->request.account, sizeof(decision->request.account), "%s", account);
	snprintf(decision->request.actor, sizeof(decision->request.actor), "operator %.40s", account);
	CHECK_INT(app_store_submit(o->authority.store, &decision->request), 0);
}

/* Approves as this account ("": root without a name); the code, and all else in *ret_decision unless NULL. */
static int
approve(struct office *o, int64_t number, const char *account, struct decision *ret_decision)
{
	struct decision decision;

	begin(o, &decision, APP_STORE_APPROVE, number, account);
	OFFICE_UNTIL(o, decision.done);
	if (ret_decision != NULL)
		*ret_decision = decision;
	return decision.request.code;
}

/* The only request that waits; false when there is none. */
static bool
look(struct office *o, struct decision *ret_decision)
{
	struct decision decision;

	begin(o, &decision, APP_STORE_HELD, 0, "");
	OFFICE_UNTIL(o, decision.done);
	*ret_decision = decision;

	return decision.state != APP_HELD_NONE;
}

static void
change_store(struct office *o, const char *statements)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/store/store.db", o->folder);
	sql_run(path, statements);
}

/* Accounts as "chancery operator add" makes them, but for their passwords. */
static void
hire(struct office *o)
{
	change_store(o, "INSERT INTO account (name, member_of, created, n, r, p, salt, hash) "
			"SELECT column1, 'ra-operators', 1, 2, 1, 1, zeroblob(16), zeroblob(32) "
			"FROM (VALUES ('alice'), ('bob'), ('carol'), ('dave'))");
}

/* An office in which requests need so many approvals; one of CN=t waits, number 1. */
static void
open_needing(struct office *o, int approvals, EVP_PKEY *key)
{
	office_open(o, true);
	hire(o);
	snprintf(o->conf.challenge_missing, sizeof(o->conf.challenge_missing), "pending");
	o->conf.template_approvals = approvals;
	office_reload(o);
	office_enroll(o, "t", key, NULL);
	CHECK_INT(o->front.last.status, STATUS_PENDING);
}

static bool
still_pending(struct office *o, EVP_PKEY *key)
{
	office_lookup(o, "t", key);
	return o->front.last.status == STATUS_PENDING;
}

TEST(root_without_a_name_is_nobody)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	struct decision decision;

	open_needing(&o, 2, key);
	CHECK_INT(approve(&o, 1, "", &decision), ERR_DENIED);
	CHECK(strstr(decision.request.e.text, "needs 2 named operators: chancery --operator NAME request approve 1") !=
	      NULL);
	CHECK(look(&o, &decision));
	CHECK_INT(decision.approvals, 0);
	CHECK(still_pending(&o, key));
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(nobody_counts_twice)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	struct decision decision;

	open_needing(&o, 3, key);
	CHECK_INT(approve(&o, 1, "alice", NULL), 0);
	CHECK_INT(approve(&o, 1, "alice", &decision), ERR_EXISTS);
	CHECK(strstr(decision.request.e.text, "already approved by alice; 2 more are needed") != NULL);
	CHECK_INT(approve(&o, 1, "bob", NULL), 0);
	CHECK_INT(approve(&o, 1, "alice", &decision), ERR_EXISTS);
	CHECK(strstr(decision.request.e.text, "already approved by alice; 1 more is needed") != NULL);
	CHECK(look(&o, &decision));
	CHECK_INT(decision.approvals, 2);
	CHECK_INT(decision.state, APP_HELD_PENDING);
	CHECK(still_pending(&o, key));
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(the_last_of_them_completes_it)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	struct decision decision;

	open_needing(&o, 2, key);
	CHECK_INT(approve(&o, 1, "alice", &decision), 0);
	CHECK_INT(decision.state, APP_HELD_PENDING);
	CHECK(still_pending(&o, key));
	office_stop(&o);
	office_open_again(&o, true);
	CHECK(still_pending(&o, key));
	CHECK(look(&o, &decision));
	CHECK_INT(decision.approvals, 1);
	CHECK_TEXT(decision.approvers, "alice");
	CHECK_INT(approve(&o, 1, "bob", &decision), 0);
	CHECK_INT(decision.state, APP_HELD_APPROVED);
	CHECK_TEXT(decision.approvers, "alice, bob");
	CHECK_INT(approve(&o, 1, "carol", NULL), ERR_STAGE);
	/* The device's question has it issued. */
	office_lookup(&o, "t", key);
	OFFICE_UNTIL(&o, !look(&o, &decision));
	office_lookup(&o, "t", key);
	CHECK_INT(o.front.last.status, STATUS_ISSUED);
	CHECK_INT(approve(&o, 1, "carol", NULL), ERR_UNKNOWN);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(of_two_that_come_at_once_one_completes_it)
{
	static const char *const accounts[] = {"bob", "carol", "dave", "bob"};
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	struct decision decisions[ARRAY_SIZE(accounts)];
	int complete = 0;

	open_needing(&o, 2, key);
	CHECK_INT(approve(&o, 1, "alice", NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(accounts); i++)
		begin(&o, &decisions[i], APP_STORE_APPROVE, 1, accounts[i]);
	for (size_t i = 0; i < ARRAY_SIZE(accounts); i++) {
		OFFICE_UNTIL(&o, decisions[i].done);
		complete += decisions[i].request.code == 0 && decisions[i].state == APP_HELD_APPROVED;
		CHECK(decisions[i].request.code == 0 || decisions[i].request.code == ERR_STAGE);
	}
	CHECK_INT(complete, 1);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(who_is_no_operator_any_more_does_not_count)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	struct decision decision;

	open_needing(&o, 2, key);
	CHECK_INT(approve(&o, 1, "mallory", &decision), ERR_DENIED);
	CHECK(strstr(decision.request.e.text, "mallory is no operator") != NULL);
	CHECK_INT(approve(&o, 1, "alice", NULL), 0);
	CHECK_INT(approve(&o, 1, "alice", NULL), ERR_EXISTS);
	change_store(&o, "UPDATE account SET disabled = 1 WHERE name = 'alice'");
	CHECK(look(&o, &decision));
	CHECK_INT(decision.approvals, 0);
	CHECK_TEXT(decision.approvers, "");
	CHECK_INT(approve(&o, 1, "alice", NULL), ERR_DENIED);
	CHECK_INT(approve(&o, 1, "bob", &decision), 0);
	CHECK_INT(decision.state, APP_HELD_PENDING);
	change_store(&o, "DELETE FROM account WHERE name = 'bob'");
	CHECK_INT(approve(&o, 1, "carol", &decision), 0);
	CHECK_INT(decision.state, APP_HELD_PENDING);
	CHECK_INT(decision.approvals, 1);
	CHECK_INT(approve(&o, 1, "dave", &decision), 0);
	CHECK_INT(decision.state, APP_HELD_APPROVED);
	CHECK_TEXT(decision.approvers, "carol, dave");
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(a_new_account_of_an_old_name_has_no_vote_yet)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	struct app_operator alice = {.name = "alice"};
	struct decision decision = {.done = false};

	open_needing(&o, 2, key);
	CHECK_INT(approve(&o, 1, "alice", NULL), 0);
	decision.request = (struct app_store_request){
		.op = APP_STORE_ACCOUNT_REMOVE, .operators.who = &alice, .done = on_decided, .arg = &decision};
	CHECK_INT(app_store_submit(o.authority.store, &decision.request), 0);
	OFFICE_UNTIL(&o, decision.done);
	CHECK_INT(decision.request.code, 0);
	change_store(&o, "INSERT INTO account (name, member_of, created, n, r, p, salt, hash) VALUES "
			 "('alice', 'ra-operators', 2, 2, 1, 1, zeroblob(16), zeroblob(32))");
	CHECK(look(&o, &decision));
	CHECK_INT(decision.approvals, 0);
	CHECK_INT(approve(&o, 1, "bob", &decision), 0);
	CHECK_INT(decision.state, APP_HELD_PENDING);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(one_denial_ends_it)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	struct decision decision;

	open_needing(&o, 2, key);
	CHECK_INT(approve(&o, 1, "alice", NULL), 0);
	begin(&o, &decision, APP_STORE_DENY, 1, "bob");
	OFFICE_UNTIL(&o, decision.done);
	CHECK_INT(decision.request.code, 0);
	CHECK_INT(approve(&o, 1, "carol", NULL), ERR_STAGE);
	office_lookup(&o, "t", key);
	CHECK_INT(o.front.last.status, STATUS_REFUSED);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(the_setting_counts_for_what_comes_after)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256"), *other = certs_ec("P-256");
	struct decision decision;

	open_needing(&o, 2, key);
	o.conf.template_approvals = 1;
	office_reload(&o);
	CHECK_INT(approve(&o, 1, "", NULL), ERR_DENIED);
	office_enroll(&o, "u", other, NULL);
	CHECK_INT(approve(&o, 2, "", &decision), 0);
	CHECK_INT(decision.state, APP_HELD_APPROVED);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	office_close(&o);
}

/* Puts a challenge into the store that alice made. */
static void
challenge_by_alice(struct office *o)
{
	struct decision decision = {.done = false};
	struct app_store_request *r = &decision.request;

	*r = (struct app_store_request){
		.op = APP_STORE_CHALLENGE, .max_open = 10, .done = on_decided, .arg = &decision};
	r->expires = clock_wall() + 3600;
	strcpy(r->account, "alice");
	app_challenge_hash(o->authority.challenge_key, bytes_of_text(CHALLENGE), r->challenge_hash);
	CHECK_INT(app_store_submit(o->authority.store, r), 0);
	OFFICE_UNTIL(o, decision.done);
	CHECK_INT(r->code, 0);
}

TEST(who_made_the_challenge_does_not_approve)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256"), *other = certs_ec("P-256");
	struct decision decision;

	office_open(&o, true);
	o.conf.template_approval = true;
	o.conf.template_approvals = 2;
	hire(&o);
	office_reload(&o);
	challenge_by_alice(&o);
	office_enroll(&o, "t", key, CHALLENGE);
	CHECK_INT(o.front.last.status, STATUS_PENDING);
	CHECK_INT(approve(&o, 1, "alice", &decision), ERR_DENIED);
	CHECK(strstr(decision.request.e.text, "alice made its challenge") != NULL);
	CHECK_INT(approve(&o, 1, "bob", NULL), 0);
	CHECK_INT(approve(&o, 1, "carol", &decision), 0);
	CHECK_INT(decision.state, APP_HELD_APPROVED);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	office_close(&o);
}

TEST(alone_who_made_the_challenge_may_approve)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");

	office_open(&o, true);
	o.conf.template_approval = true;
	hire(&o);
	challenge_by_alice(&o);
	office_enroll(&o, "t", key, CHALLENGE);
	CHECK_INT(approve(&o, 1, "alice", NULL), 0);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(a_request_whose_challenge_was_revoked_is_not_approved)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	struct decision decision;

	office_open(&o, true);
	o.conf.template_approval = true;
	hire(&o);
	challenge_by_alice(&o);
	office_enroll(&o, "t", key, CHALLENGE);
	begin(&o, &decision, APP_STORE_CHALLENGE_REVOKE, 1, "bob");
	OFFICE_UNTIL(&o, decision.done);
	CHECK_INT(decision.request.code, 0);
	CHECK_INT(approve(&o, 1, "bob", &decision), ERR_DENIED);
	CHECK(strstr(decision.request.e.text, "revoked") != NULL);
	begin(&o, &decision, APP_STORE_DENY, 1, "bob");
	OFFICE_UNTIL(&o, decision.done);
	CHECK_INT(decision.request.code, 0);
	/* And it is not free again. */
	office_enroll(&o, "u", key, CHALLENGE);
	CHECK_INT(o.front.last.status, STATUS_REFUSED);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(a_challenge_that_ended_while_held_is_good_for_what_is_approved_alone)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	struct decision decision;

	office_open(&o, true);
	o.conf.template_approval = true;
	hire(&o);
	office_reload(&o);
	challenge_by_alice(&o);
	office_enroll(&o, "t", key, CHALLENGE);
	CHECK_INT(o.front.last.status, STATUS_PENDING);
	change_store(&o, "UPDATE challenge SET expires = 1");
	/* The same transaction where no approval is needed. */
	o.conf.template_approval = false;
	office_reload(&o);
	office_enroll(&o, "t", key, CHALLENGE);
	CHECK_INT(o.front.last.status, STATUS_REFUSED);
	CHECK_INT(approve(&o, 1, "bob", &decision), 0);
	office_lookup(&o, "t", key);
	OFFICE_UNTIL(&o, !look(&o, &decision));
	office_lookup(&o, "t", key);
	CHECK_INT(o.front.last.status, STATUS_ISSUED);
	EVP_PKEY_free(key);
	office_close(&o);
}

/* Reserves a serial number for request 1 of transaction "t"; the code. */
static int
reserve(struct office *o, const uint8_t key_hash[APP_HASH_SIZE])
{
	struct decision reservation;
	struct app_store_request *r = &reservation.request;

	memset(&reservation, 0, sizeof(reservation));
	*r = (struct app_store_request){.op = APP_STORE_RESERVE,
					.usage = APP_USAGE_DEVICE,
					.number = 1,
					.not_after = clock_wall() + 3600,
					.serial = {1},
					.done = on_decided,
					.arg = &reservation};
	strcpy(r->transaction_id, "t");
	memcpy(r->key_hash, key_hash, APP_HASH_SIZE);
	CHECK_INT(app_store_submit(o->authority.store, r), 0);
	OFFICE_UNTIL(o, reservation.done);
	return r->code;
}

TEST(a_denial_stops_what_is_about_to_be_issued)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	struct decision decision, denial;

	open_needing(&o, 1, key);
	CHECK(look(&o, &decision));
	CHECK_INT(reserve(&o, decision.key_hash), ERR_STAGE);
	CHECK_INT(approve(&o, 1, "alice", NULL), 0);
	begin(&o, &denial, APP_STORE_DENY, 1, "bob");
	OFFICE_UNTIL(&o, denial.done);
	CHECK_INT(denial.request.code, 0);
	CHECK_INT(reserve(&o, decision.key_hash), ERR_STAGE);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST_MAIN(RUN(root_without_a_name_is_nobody), RUN(nobody_counts_twice), RUN(the_last_of_them_completes_it),
	  RUN(of_two_that_come_at_once_one_completes_it), RUN(who_is_no_operator_any_more_does_not_count),
	  RUN(a_new_account_of_an_old_name_has_no_vote_yet), RUN(one_denial_ends_it),
	  RUN(the_setting_counts_for_what_comes_after), RUN(who_made_the_challenge_does_not_approve),
	  RUN(alone_who_made_the_challenge_may_approve), RUN(a_request_whose_challenge_was_revoked_is_not_approved),
	  RUN(a_challenge_that_ended_while_held_is_good_for_what_is_approved_alone),
	  RUN(a_denial_stops_what_is_about_to_be_issued))
