/*
 * The CA's generations in the store: which one issues, which one is prepared, and the change from one to the other.
 */
#include <stdio.h>
#include <string.h>

#include "appliance/store_change.h"
#include "appliance/store_read.h"
#include "board/base/clock.h"

static const char *const state_names[] = {
	[APP_ISSUER_NONE] = "none",         [APP_ISSUER_NEXT] = "next",           [APP_ISSUER_CURRENT] = "current",
	[APP_ISSUER_PREVIOUS] = "previous", [APP_ISSUER_CANCELLED] = "cancelled",
};

const char *
app_issuer_state_name(enum app_issuer_state state)
{
	return (size_t)state < ARRAY_SIZE(state_names) ? state_names[state] : "none";
}

static enum app_issuer_state
state_parse(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(state_names); i++) {
		if (strcmp(state_names[i], name) == 0)
			return (enum app_issuer_state)i;
	}
	return APP_ISSUER_NONE;
}

unsigned
app_issuers_find(const struct app_issuers *issuers, enum app_issuer_state state)
{
	unsigned g = 0;

	while (g < CA_GENERATIONS && issuers->of[g].state != state)
		g++;
	return g;
}

int
app_store_read_issuers(struct app_store_db *db, struct app_issuers *ret_issuers, struct err *e)
{
	AUTO_QUERY q = app_store_query(db, APP_STMT_ISSUERS);
	struct app_issuers issuers = {0};
	int code;

	for (code = app_store_query_step(&q, e); code == 1; code = app_store_query_step(&q, e)) {
		int64_t g = app_store_query_get_int(&q, 0);

		if (g < 0 || g >= CA_GENERATIONS)
			return err_set(e, ERR_STORE, 0, "the store knows a CA generation %lld", (long long)g + 1);
		issuers.of[g].state = state_parse(app_store_query_get_text(&q, 1));
		issuers.of[g].since = app_store_query_get_int(&q, 2);
		issuers.of[g].rollover_at = app_store_query_get_int(&q, 3);
	}
	if (code < 0)
		return code;
	if (app_issuers_find(&issuers, APP_ISSUER_CURRENT) == CA_GENERATIONS)
		return err_set(e, ERR_STORE, 0, "the store knows no current CA generation");
	*ret_issuers = issuers;
	return 0;
}

int
app_store_read_issuer_end(struct app_store_db *db, struct app_store_request *r, struct err *e)
{
	AUTO_QUERY q = app_store_query(db, APP_STMT_ISSUER_END);
	int code;

	app_store_query_int(&q, r->issuer);
	code = app_store_query_step(&q, e);
	if (code < 0)
		return code;
	r->not_after = app_store_query_get_int(&q, 0);
	return 0;
}

/* ---- changes ---- */

static int
set_state(struct app_store_writer *w, const struct app_store_request *r, unsigned generation,
	  enum app_issuer_state state, int64_t rollover_at, struct err *e)
{
	struct app_store_query q = app_store_query(w->db, APP_STMT_ISSUER_SET);

	app_store_query_int(&q, generation);
	app_store_query_text(&q, app_issuer_state_name(state));
	app_store_query_int(&q, app_store_change_now(r));
	app_store_query_int(&q, rollover_at);
	return app_store_query_run(&q, e);
}

static int
audit(struct app_store_writer *w, const struct app_store_request *r, enum app_audit_event event, struct err *e)
{
	char number[8], when[24];

	snprintf(number, sizeof(number), "%u", r->issuer + 1);
	app_audit_put_text(&w->detail, "generation", number);
	if (event == APP_AUDIT_ROLLOVER_PLANNED)
		app_audit_put_text(&w->detail, "at",
				   r->expires == 0 ? "no date" : clock_text(r->expires, when, sizeof(when)));
	return app_store_change_audit(w, r, event, (struct bytes){NULL, 0}, r->subject, e);
}

static int
prepare(struct app_store_writer *w, const struct app_store_request *r, const struct app_issuers *issuers, struct err *e)
{
	unsigned next = app_issuers_find(issuers, APP_ISSUER_NEXT);
	struct app_store_query q;
	int code;

	if (issuers->of[r->issuer].state != APP_ISSUER_NONE)
		return 0;
	if (next != CA_GENERATIONS)
		return err_set(e, ERR_STAGE, 0, "CA generation %u is prepared already", next + 1);
	q = app_store_query(w->db, APP_STMT_ISSUER_ADD);
	app_store_query_int(&q, r->issuer);
	app_store_query_int(&q, app_store_change_now(r));
	code = app_store_query_run(&q, e);
	return code < 0 ? code : audit(w, r, APP_AUDIT_CA_PREPARED, e);
}

/* The old generation first: there is one current one at any time. */
static int
roll_over(struct app_store_writer *w, const struct app_store_request *r, unsigned current, struct err *e)
{
	int code = set_state(w, r, current, APP_ISSUER_PREVIOUS, 0, e);

	if (code == 0)
		code = set_state(w, r, r->issuer, APP_ISSUER_CURRENT, 0, e);
	return code < 0 ? code : audit(w, r, APP_AUDIT_ROLLOVER, e);
}

static int
change(struct app_store_writer *w, const struct app_store_request *r, const struct app_issuers *issuers, struct err *e)
{
	int code;

	if (r->op == APP_STORE_ISSUER_PREPARE)
		return prepare(w, r, issuers, e);
	if (issuers->of[r->issuer].state != APP_ISSUER_NEXT)
		return err_set(e, ERR_STAGE, 0, "CA generation %u is not the next one, it is %s", r->issuer + 1,
			       app_issuer_state_name(issuers->of[r->issuer].state));
	if (r->op == APP_STORE_ROLLOVER)
		return roll_over(w, r, app_issuers_find(issuers, APP_ISSUER_CURRENT), e);
	if (r->op == APP_STORE_ROLLOVER_CANCEL)
		code = set_state(w, r, r->issuer, APP_ISSUER_CANCELLED, 0, e);
	else
		code = set_state(w, r, r->issuer, APP_ISSUER_NEXT, r->expires, e);
	if (code < 0)
		return code;
	return audit(w, r,
		     r->op == APP_STORE_ROLLOVER_CANCEL ? APP_AUDIT_ROLLOVER_CANCELLED : APP_AUDIT_ROLLOVER_PLANNED, e);
}

int
app_store_change_issuer(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	struct app_issuers issuers = {0};
	int code;

	if (r->issuer >= CA_GENERATIONS)
		return err_set(e, ERR_LIMIT, 0, "there is no CA generation %u", r->issuer + 1);
	code = app_store_read_issuers(w->db, &issuers, e);
	if (code == 0)
		code = change(w, r, &issuers, e);
	return code < 0 ? code : app_store_read_issuers(w->db, &r->issuers, e);
}
