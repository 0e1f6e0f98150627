/* appliance/store: challenges that are good for one thing alone, and those that are revoked. */
#include "appliance/binding.h"
#include "board/base/x509.h"
#include "tests/lib/storeroom.h"

static const uint8_t name_one[] = {0x30, 0x0f, 0x31, 0x0d, 0x30, 0x0b, 0x06, 0x03, 0x55,
				   0x04, 0x03, 0x0c, 0x04, 'd',  'e',  'v',  '1'};
static const uint8_t name_two[] = {0x30, 0x0f, 0x31, 0x0d, 0x30, 0x0b, 0x06, 0x03, 0x55,
				   0x04, 0x03, 0x0c, 0x04, 'd',  'e',  'v',  '2'};

/* What device 1 asks for, and what device 2 does. */
static const struct app_claim one = {
	.template_name = "device", .name = {name_one, sizeof(name_one)}, .spki = {name_one, 3}, .key_usage = 0xa0};
static const struct app_claim two = {
	.template_name = "device", .name = {name_two, sizeof(name_two)}, .spki = {name_one, 3}, .key_usage = 0xa0};

/* Makes challenge number which, bound to CN=dev1; returns the number by which operators call it. */
static int64_t
create_bound(struct fixture *f, int which)
{
	struct app_store_request r = about(APP_STORE_CHALLENGE, which);
	struct app_binding binding = {.key_usage = 0xa0};

	CHECK_INT(app_binding_set(&binding, "subject", "CN=dev1", NULL), 0);
	CHECK_INT(app_binding_set(&binding, "san", "none", NULL), 0);
	CHECK_INT(app_binding_set(&binding, "template", "device", NULL), 0);
	memset(r.challenge_hash, which, sizeof(r.challenge_hash));
	strcpy(r.account, "alice");
	r.expires = NOW + 3600;
	r.max_open = 100;
	r.binding = &binding;
	CHECK_INT(ask(f, &r), 0);
	app_binding_fini(&binding);
	return r.number;
}

static int
reserve_as(struct fixture *f, int n, int challenge, const struct app_claim *claim,
	   enum app_challenge_verdict *ret_verdict)
{
	struct app_store_request r = about(APP_STORE_RESERVE, n);
	int code;

	memset(r.challenge_hash, challenge, sizeof(r.challenge_hash));
	r.has_challenge = true;
	r.claim = claim;
	code = ask(f, &r);
	*ret_verdict = r.verdict;
	app_store_request_fini(&r);
	return code;
}

/* Revokes one challenge, or all with 0. */
static int
take_back(struct fixture *f, int64_t number, int64_t *ret_count)
{
	struct app_store_request r = {
		.op = APP_STORE_CHALLENGE_REVOKE, .now = NOW, .number = number, .all = number == 0};
	int code = ask(f, &r);

	*ret_count = r.counts.challenges_open;
	return code;
}

TEST(what_it_was_not_made_for_is_refused_and_leaves_it_good)
{
	enum app_challenge_verdict verdict;
	struct fixture f;

	set_up(&f);
	create_bound(&f, 11);
	CHECK_INT(reserve_as(&f, 1, 11, &two, &verdict), ERR_DENIED);
	CHECK_INT(verdict, APP_CHALLENGE_BOUND_SUBJECT);
	/* Whoever does not say what it is for is not let through. */
	CHECK_INT(reserve_as(&f, 1, 11, NULL, &verdict), ERR_DENIED);
	CHECK_INT(verdict, APP_CHALLENGE_BOUND_SUBJECT);
	CHECK_INT(counts(&f).challenges_open, 1);
	CHECK_INT(counts(&f).intents_open, 0);
	CHECK_INT(reserve_as(&f, 1, 11, &one, &verdict), 0);
	CHECK_INT(run(&f, APP_STORE_ISSUE, 1), 0);
	/* From here on the others hear why nobody can use it. */
	CHECK_INT(reserve_as(&f, 2, 11, &two, &verdict), ERR_DENIED);
	CHECK_INT(verdict, APP_CHALLENGE_USED);
	tear_down(&f);
}

TEST(of_many_at_once_one_of_those_it_was_made_for_wins)
{
	struct app_store_request r[20];
	struct fixture f;
	int done = 0;
	int won = 0;

	set_up(&f);
	create_bound(&f, 11);
	for (int i = 0; i < 20; i++) {
		r[i] = about(APP_STORE_RESERVE, i);
		memset(r[i].challenge_hash, 11, sizeof(r[i].challenge_hash));
		r[i].has_challenge = true;
		r[i].claim = i % 2 == 0 ? &two : &one;
		r[i].done = on_done;
		r[i].arg = &done;
		CHECK_INT(app_store_submit(f.store, &r[i]), 0);
	}
	wait_for(&f, &done, 20);
	for (int i = 0; i < 20; i++) {
		won += r[i].code == 0;
		CHECK(r[i].code == 0 || r[i].code == ERR_DENIED);
		if (i % 2 == 0)
			CHECK_INT(r[i].verdict, APP_CHALLENGE_BOUND_SUBJECT);
		else if (r[i].code != 0)
			CHECK_INT(r[i].verdict, APP_CHALLENGE_RESERVED);
	}
	CHECK_INT(won, 1);
	tear_down(&f);
}

TEST(bindings_and_numbers_outlive_a_restart)
{
	struct app_store_request r = {.op = APP_STORE_CHALLENGES, .now = NOW};
	enum app_challenge_verdict verdict;
	struct fixture f;
	char text[64];

	set_up(&f);
	CHECK_INT(create_challenge(&f, 10, NOW, 10), 0);
	CHECK_INT(create_bound(&f, 11), 2);
	close_store(&f);
	CHECK_INT(open_store(&f, 256, NULL), 0);
	CHECK_INT(reserve_as(&f, 1, 11, &two, &verdict), ERR_DENIED);
	CHECK_INT(verdict, APP_CHALLENGE_BOUND_SUBJECT);
	CHECK_INT(create_bound(&f, 12), 3);
	CHECK_INT(ask(&f, &r), 0);
	CHECK_INT(r.challenge_count, 2);
	CHECK_INT(r.challenges[0].number, 2);
	CHECK_INT(r.challenges[0].expires, NOW + 3600);
	CHECK_TEXT(r.challenges[0].creator, "alice");
	CHECK_TEXT(r.challenges[0].bound.template_name, "device");
	CHECK_TEXT(x509_name_text(r.challenges[0].bound.subject, text, sizeof(text)), "CN=dev1");
	CHECK_TEXT(app_binding_san_text(r.challenges[0].bound.san, text, sizeof(text)), "none");
	CHECK_INT(r.challenges[0].bound.key_usage, 0xa0);
	CHECK(!r.challenges[0].bound.has_key);
	app_store_request_fini(&r);
	r.all = true;
	CHECK_INT(ask(&f, &r), 0);
	CHECK_INT(r.challenge_count, 3);
	CHECK_INT(r.challenges[0].number, 1);
	CHECK(!app_binding_is_any(&r.challenges[0].bound));
	app_store_request_fini(&r);
	tear_down(&f);
}

TEST(a_revoked_challenge_is_good_for_nothing)
{
	enum app_challenge_verdict verdict;
	struct fixture f;
	int64_t count;

	set_up(&f);
	CHECK_INT(take_back(&f, 1, &count), ERR_UNKNOWN);
	CHECK_INT(take_back(&f, 0, &count), 0);
	CHECK_INT(count, 0);
	create_bound(&f, 1);
	create_bound(&f, 2);
	create_bound(&f, 3);
	CHECK_INT(take_back(&f, 2, &count), 0);
	CHECK_INT(take_back(&f, 2, &count), ERR_STAGE);
	CHECK_INT(counts(&f).challenges_open, 2);
	CHECK_INT(reserve_as(&f, 1, 2, &one, &verdict), ERR_DENIED);
	CHECK_INT(verdict, APP_CHALLENGE_REVOKED);
	CHECK_INT(reserve_as(&f, 1, 1, &one, &verdict), 0);
	CHECK_INT(take_back(&f, 0, &count), 0);
	CHECK_INT(count, 2);
	CHECK_INT(counts(&f).challenges_open, 0);
	/* What is being signed is issued, and then its challenge was used. */
	CHECK_INT(run(&f, APP_STORE_ISSUE, 1), 0);
	CHECK_INT(reserve_as(&f, 2, 1, &one, &verdict), ERR_DENIED);
	CHECK_INT(verdict, APP_CHALLENGE_USED);
	CHECK_INT(reserve_as(&f, 2, 3, &one, &verdict), ERR_DENIED);
	CHECK_INT(verdict, APP_CHALLENGE_REVOKED);
	/* Numbers are not given again, and the count of open ones is right. */
	CHECK_INT(create_bound(&f, 4), 4);
	CHECK_INT(create_challenge(&f, 5, NOW, 1), ERR_LIMIT);
	CHECK_INT(create_challenge(&f, 5, NOW, 2), 0);
	tear_down(&f);
}

TEST(the_audit_trail_tells_what_it_was_made_for)
{
	struct app_store_request r = {.op = APP_STORE_AUDIT, .now = NOW, .limit = 2};
	struct fixture f;
	int64_t count;

	set_up(&f);
	create_bound(&f, 1);
	CHECK_INT(take_back(&f, 1, &count), 0);
	CHECK_INT(ask(&f, &r), 0);
	buf_put_u8(&r.out, 0);
	CHECK(strstr((char *)r.out.data, "challenge-created") != NULL);
	CHECK(strstr((char *)r.out.data, "for_subject=\"CN=dev1\"") != NULL);
	CHECK(strstr((char *)r.out.data, "for_key_usage=\"0xa0\"") != NULL);
	CHECK(strstr((char *)r.out.data, "challenge-revoked") != NULL);
	app_store_request_fini(&r);
	tear_down(&f);
}

TEST_MAIN(RUN(what_it_was_not_made_for_is_refused_and_leaves_it_good),
	  RUN(of_many_at_once_one_of_those_it_was_made_for_wins), RUN(bindings_and_numbers_outlive_a_restart),
	  RUN(a_revoked_challenge_is_good_for_nothing), RUN(the_audit_trail_tells_what_it_was_made_for))
