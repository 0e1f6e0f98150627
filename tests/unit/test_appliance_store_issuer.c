/* appliance/store_issuer: which generation of the CA is what, and what each of them issued and revoked. */
#include <stdlib.h>
#include <unistd.h>

#include "tests/lib/sql.h"
#include "tests/lib/storeroom.h"

#include "appliance/store_schema.h"

static int
change(struct fixture *f, enum app_store_op op, unsigned issuer, int64_t at, struct app_issuers *ret_issuers)
{
	struct app_store_request r = {.op = op, .issuer = issuer, .now = NOW, .expires = at, .actor = "test"};
	int code = ask(f, &r);

	if (code == 0 && ret_issuers != NULL)
		*ret_issuers = r.issuers;
	app_store_request_fini(&r);
	return code;
}

static void
issue(struct fixture *f, int n, unsigned issuer, int64_t not_after)
{
	struct app_store_request r = about(APP_STORE_RESERVE, n);

	r.issuer = issuer;
	CHECK_INT(ask(f, &r), 0);
	app_store_request_fini(&r);
	r = about(APP_STORE_ISSUE, n);
	r.not_after = not_after;
	CHECK_INT(ask(f, &r), 0);
}

static int
put_crl(struct fixture *f, unsigned issuer, int64_t number, int64_t changes)
{
	struct app_store_request r = about(APP_STORE_CRL_PUT, 0);

	r.issuer = issuer;
	r.number = number;
	r.this_update = NOW;
	r.next_update = LATER;
	r.changes = changes;
	return ask(f, &r);
}

struct list {
	size_t count;
	uint8_t last; /* last octet of the last serial */
};

static void
count_one(const struct app_revoked *entry, void *arg)
{
	struct list *list = arg;

	list->count++;
	list->last = entry->serial[APP_SERIAL_SIZE - 1];
}

static struct list
list_of(struct fixture *f, enum app_store_op op, unsigned issuer, int64_t *changes)
{
	struct app_store_request r = about(op, 0);
	struct list list = {0};

	r.issuer = issuer;
	r.each = count_one;
	r.each_arg = &list;
	r.changes = *changes;
	CHECK_INT(ask(f, &r), 0);
	*changes = r.changes;
	return list;
}

TEST(a_generation_is_prepared_planned_and_becomes_the_current_one)
{
	struct app_issuers issuers;
	struct fixture f;

	set_up(&f);
	CHECK_INT(app_store_issuers(f.store)->of[0].state, APP_ISSUER_CURRENT);
	CHECK_INT(app_issuers_find(app_store_issuers(f.store), APP_ISSUER_NEXT), CA_GENERATIONS);
	CHECK_INT(change(&f, APP_STORE_ROLLOVER, 1, 0, NULL), ERR_STAGE);
	CHECK_INT(change(&f, APP_STORE_ISSUER_PREPARE, CA_GENERATIONS, 0, NULL), ERR_LIMIT);
	CHECK_INT(change(&f, APP_STORE_ISSUER_PREPARE, 1, 0, &issuers), 0);
	CHECK_INT(issuers.of[1].state, APP_ISSUER_NEXT);
	CHECK_INT(change(&f, APP_STORE_ISSUER_PREPARE, 1, 0, NULL), 0); /* as at each start */
	CHECK_INT(change(&f, APP_STORE_ISSUER_PREPARE, 2, 0, NULL), ERR_STAGE);
	CHECK_INT(change(&f, APP_STORE_ROLLOVER, 0, 0, NULL), ERR_STAGE);
	CHECK_INT(change(&f, APP_STORE_ROLLOVER_AT, 1, LATER, &issuers), 0);
	CHECK_INT(issuers.of[1].rollover_at, LATER);
	CHECK_INT(change(&f, APP_STORE_ROLLOVER_CANCEL, 0, 0, NULL), ERR_STAGE);
	CHECK_INT(change(&f, APP_STORE_ROLLOVER, 1, 0, &issuers), 0);
	CHECK_INT(issuers.of[0].state, APP_ISSUER_PREVIOUS);
	CHECK_INT(issuers.of[1].state, APP_ISSUER_CURRENT);
	CHECK_INT(issuers.of[1].rollover_at, 0);
	CHECK_INT(change(&f, APP_STORE_ROLLOVER_CANCEL, 1, 0, NULL), ERR_STAGE);
	/* There is a next one after it, and it can be given up; its number is not used again. */
	CHECK_INT(change(&f, APP_STORE_ISSUER_PREPARE, 2, 0, NULL), 0);
	CHECK_INT(change(&f, APP_STORE_ROLLOVER_CANCEL, 2, 0, &issuers), 0);
	CHECK_INT(issuers.of[2].state, APP_ISSUER_CANCELLED);
	CHECK_INT(change(&f, APP_STORE_ISSUER_PREPARE, 2, 0, &issuers), 0);
	CHECK_INT(issuers.of[2].state, APP_ISSUER_CANCELLED);
	CHECK_INT(change(&f, APP_STORE_ROLLOVER, 2, 0, NULL), ERR_STAGE);
	CHECK_INT(change(&f, APP_STORE_ISSUER_PREPARE, 3, 0, NULL), 0);

	close_store(&f);
	CHECK_INT(open_store(&f, 256, NULL), 0);
	CHECK_INT(app_issuers_find(app_store_issuers(f.store), APP_ISSUER_CURRENT), 1);
	CHECK_INT(app_issuers_find(app_store_issuers(f.store), APP_ISSUER_NEXT), 3);
	CHECK_INT(app_issuers_find(app_store_issuers(f.store), APP_ISSUER_PREVIOUS), 0);
	tear_down(&f);
}

TEST(each_generation_has_its_certificates_and_crls)
{
	struct fixture f;
	struct app_store_request r;
	int64_t changes = 0;
	struct list list;

	set_up(&f);
	CHECK_INT(change(&f, APP_STORE_ISSUER_PREPARE, 1, 0, NULL), 0);
	CHECK_INT(change(&f, APP_STORE_ROLLOVER, 1, 0, NULL), 0);
	issue(&f, 1, 0, NOW + DAY);
	issue(&f, 2, 1, LATER);
	r = about(APP_STORE_SHOW, 2);
	CHECK_INT(ask(&f, &r), 0);
	CHECK_INT(r.records[0].issuer, 1);
	app_store_request_fini(&r);
	r = (struct app_store_request){.op = APP_STORE_ISSUER_END, .issuer = 0};
	CHECK_INT(ask(&f, &r), 0);
	CHECK_INT(r.not_after, NOW + DAY);
	r = (struct app_store_request){.op = APP_STORE_ISSUER_END, .issuer = 5};
	CHECK_INT(ask(&f, &r), 0);
	CHECK_INT(r.not_after, 0);

	CHECK_INT(run(&f, APP_STORE_REVOKE, 1), 0);
	CHECK_INT(run(&f, APP_STORE_REVOKE, 2), 0);
	list = list_of(&f, APP_STORE_REVOKED, 0, &changes);
	CHECK_INT(list.count, 1);
	CHECK_INT(list.last, 1);
	list = list_of(&f, APP_STORE_REVOKED, 1, &changes);
	CHECK_INT(list.count, 1);
	CHECK_INT(list.last, 2);
	changes = 0;
	CHECK_INT(list_of(&f, APP_STORE_CHANGED, 1, &changes).last, 2);

	/* Numbers are counted for each. */
	CHECK_INT(put_crl(&f, 0, 7, 0), 0);
	CHECK_INT(put_crl(&f, 1, 1, 0), 0);
	CHECK_INT(put_crl(&f, 0, 7, 0), ERR_EXISTS);
	r = (struct app_store_request){.op = APP_STORE_CRL_GET, .issuer = 1};
	CHECK_INT(ask(&f, &r), 0);
	CHECK_INT(r.number, 1);
	CHECK_INT(r.last, 1);
	app_store_request_fini(&r);
	tear_down(&f);
}

/* A change that the full CRL of one generation knows may still be news for the delta CRL of the other. */
TEST(a_crl_of_one_generation_forgets_nothing_of_the_other)
{
	struct fixture f;
	int64_t changes = 0;

	set_up(&f);
	CHECK_INT(change(&f, APP_STORE_ISSUER_PREPARE, 1, 0, NULL), 0);
	CHECK_INT(change(&f, APP_STORE_ROLLOVER, 1, 0, NULL), 0);
	for (int n = 1; n <= 4; n++)
		issue(&f, n, n % 2 == 0 ? 0 : 1, LATER);
	CHECK_INT(put_crl(&f, 0, 1, 0), 0);
	for (int n = 1; n <= 4; n++)
		CHECK_INT(run(&f, APP_STORE_REVOKE, n), 0);
	CHECK_INT(put_crl(&f, 1, 1, 4), 0);
	changes = 0;
	CHECK_INT(list_of(&f, APP_STORE_CHANGED, 0, &changes).count, 2);
	CHECK_INT(put_crl(&f, 0, 2, 4), 0);
	changes = 0;
	CHECK_INT(list_of(&f, APP_STORE_CHANGED, 0, &changes).count, 1); /* the last is kept for its number */
	tear_down(&f);
}

/* What a crash left is revoked on the list of who may have signed it. */
TEST(an_intent_keeps_its_generation)
{
	struct app_store_request r;
	struct fixture f;
	int64_t changes = 0;

	set_up(&f);
	CHECK_INT(change(&f, APP_STORE_ISSUER_PREPARE, 1, 0, NULL), 0);
	r = about(APP_STORE_RESERVE, 9);
	r.issuer = 1;
	CHECK_INT(ask(&f, &r), 0);
	app_store_request_fini(&r);
	close_store(&f);
	CHECK_INT(open_store(&f, 256, NULL), 0);
	CHECK_INT(f.intents, 1);
	CHECK_INT(list_of(&f, APP_STORE_REVOKED, 0, &changes).count, 0);
	CHECK_INT(list_of(&f, APP_STORE_REVOKED, 1, &changes).last, 9);
	tear_down(&f);
}

TEST(a_store_from_before_is_that_of_the_first_generation)
{
	struct app_store_migration before[4] = {{0}};
	struct app_store_request r;
	struct fixture f;
	int64_t changes = 0;

	for (int i = 0; i < 3; i++)
		before[i] = app_store_migrations[i];
	make_folder(&f);
	CHECK_INT(app_store_schema_update(f.path, before, NULL), 0);
	sql_run(f.path, "INSERT INTO certificate (id, serial, usage, not_before, not_after, issued, revoked, reason, "
			"subject, template, peer, der) VALUES (1, x'40404040404040404040404040404001', 'device', 1, "
			"2000000000, 1, 7, 4, 'CN=a', 'device', '', x'30');"
			"INSERT INTO crl VALUES (5, 1, 2, x'3000', 0, 3)");
	CHECK_INT(open_store(&f, 256, NULL), 0);
	CHECK_INT(app_issuers_find(app_store_issuers(f.store), APP_ISSUER_CURRENT), 0);
	r = (struct app_store_request){.op = APP_STORE_CRL_GET};
	CHECK_INT(ask(&f, &r), 0);
	CHECK_INT(r.number, 5);
	CHECK_INT(r.changes, 3);
	CHECK_INT(r.der.len, 2);
	app_store_request_fini(&r);
	CHECK_INT(list_of(&f, APP_STORE_REVOKED, 0, &changes).last, 1);
	CHECK_INT(put_crl(&f, 0, 5, 0), ERR_EXISTS);
	CHECK_INT(put_crl(&f, 0, 6, 0), 0);
	tear_down(&f);
}

TEST_MAIN(RUN(a_generation_is_prepared_planned_and_becomes_the_current_one),
	  RUN(each_generation_has_its_certificates_and_crls), RUN(a_crl_of_one_generation_forgets_nothing_of_the_other),
	  RUN(an_intent_keeps_its_generation), RUN(a_store_from_before_is_that_of_the_first_generation))
