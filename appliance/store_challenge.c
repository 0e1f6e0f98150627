/*
 * Challenges in the store: made, checked, spent, revoked, forgotten, listed.
 */
#include <stdio.h>
#include <string.h>

#include "appliance/binding.h"
#include "appliance/held.h"
#include "appliance/store_change.h"
#include "appliance/store_read.h"
#include "appliance/store_registration.h"
#include "board/base/clock.h"
#include "board/base/x509.h"

/* A challenge is remembered for this long behind its expiry, so that "used" and "expired" differ from "not known". */
enum { CHALLENGE_MEMORY_S = 24 * 3600, PURGE_MAX = 64, AUDIT_CHALLENGE_BYTES = 4, LIST_MAX = 10000 };

/* Columns of CHALLENGE_GET. */
enum { GET_HASH, GET_EXPIRES, GET_USED, GET_SERIAL, GET_CREATOR, GET_BOUND, GET_PROFILE = GET_BOUND + 5 };

void
app_store_change_put_challenge(struct app_store_writer *w, const struct app_store_request *r)
{
	app_audit_put_bytes(&w->detail, "challenge", (struct bytes){r->challenge_hash, AUDIT_CHALLENGE_BYTES});
}

int
app_store_change_spend(struct app_store_writer *w, struct bytes hash, struct bytes serial, int64_t now, struct err *e)
{
	struct app_store_query q = app_store_query(w->db, APP_STMT_CHALLENGE_GET);
	struct app_store_state *state = &w->state;
	int code;

	app_store_query_blob(&q, hash);
	code = app_store_query_step(&q, e);
	/* One that was revoked meanwhile is not open any more. */
	if (code == 1 && app_store_query_get_int(&q, GET_USED) == 0 &&
	    app_store_query_get_int(&q, GET_EXPIRES) > state->swept)
		state->open--;
	app_store_query_end(&q);
	if (code < 0)
		return code;
	q = app_store_query(w->db, APP_STMT_CHALLENGE_USE);
	app_store_query_blob(&q, hash);
	app_store_query_int(&q, now);
	app_store_query_blob(&q, serial);
	return app_store_query_run(&q, e);
}

/* 1: a request that waits has it; *ret_own tells that it is the one of this transaction. */
static int
is_held(struct app_store_writer *w, struct bytes challenge, struct bytes transaction, bool *ret_own, struct err *e)
{
	AUTO_QUERY q = app_store_query(w->db, APP_STMT_HELD_OF_CHALLENGE);
	int code;

	app_store_query_blob(&q, challenge);
	code = app_store_query_step(&q, e);
	if (code == 1)
		*ret_own = transaction.len > 0 && bytes_equal(app_store_query_get_blob(&q, 0), transaction);
	return code;
}

/* What it is bound to, in the columns from first on; borrowed from the row. */
static struct app_binding
binding_at(struct app_store_query *q, int first)
{
	struct app_binding bound = {
		.subject = app_store_query_get_blob(q, first + 1),
		.san = app_store_query_get_blob(q, first + 2),
		.key_usage = (unsigned)app_store_query_get_int(q, first + 4),
	};
	struct bytes key = app_store_query_get_blob(q, first + 3);

	snprintf(bound.template_name, sizeof(bound.template_name), "%s", app_store_query_get_text(q, first));
	bound.has_key = key.len == APP_HASH_SIZE;
	if (bound.has_key)
		memcpy(bound.key_hash, key.data, APP_HASH_SIZE);
	return bound;
}

/* The verdict on the row of a challenge, whoever else may hold it. */
static enum app_challenge_verdict
judge(struct app_store_query *q, const struct app_store_request *r, bool own)
{
	struct app_binding bound = binding_at(q, GET_BOUND);

	if (app_store_query_get_int(q, GET_USED) != 0)
		return app_store_query_get_blob(q, GET_SERIAL).len > 0 ? APP_CHALLENGE_USED : APP_CHALLENGE_REVOKED;
	/*
	 * It was good when it was held, and that is so for the request that was approved: not for another one of the
	 * same transaction, at a URL whose template needs no approval.
	 */
	if (!(own && r->number != 0) && app_store_query_get_int(q, GET_EXPIRES) <= app_store_change_now(r))
		return APP_CHALLENGE_EXPIRED;
	if (app_store_query_get_text(q, GET_PROFILE)[0] != '\0' && (r->claim == NULL || !r->claim->registered))
		return APP_CHALLENGE_REGISTRATION;
	if (r->claim != NULL)
		return app_binding_check(&bound, r->claim);
	return app_binding_is_any(&bound) ? APP_CHALLENGE_BOUND_SUBJECT : APP_CHALLENGE_OK;
}

int
app_store_change_check_challenge(struct app_store_writer *w, struct app_store_request *r, struct bytes transaction,
				 struct err *e)
{
	bool own = false;
	int held;
	AUTO_QUERY q = app_store_query(w->db, APP_STMT_CHALLENGE_GET);
	struct bytes hash = {r->challenge_hash, sizeof(r->challenge_hash)};
	int code;

	held = is_held(w, hash, transaction, &own, e);
	if (held < 0)
		return held;
	app_store_query_blob(&q, hash);
	code = app_store_query_step(&q, e);
	if (code < 0)
		return code;
	if (code == 0 || !bytes_equal(app_store_query_get_blob(&q, GET_HASH), hash))
		r->verdict = APP_CHALLENGE_NOT_KNOWN;
	else if (held == 1 && !own && app_store_query_get_int(&q, GET_USED) == 0)
		r->verdict = APP_CHALLENGE_RESERVED;
	else
		r->verdict = judge(&q, r, own);
	if (r->verdict != APP_CHALLENGE_OK)
		return err_set(e, ERR_DENIED, 0, "the challenge is not good");
	code = app_store_change_exists(w, APP_STMT_INTENT_OF_CHALLENGE, hash, e);
	if (code != 1)
		return code;
	r->verdict = APP_CHALLENGE_RESERVED;
	return err_set(e, ERR_DENIED, 0, "another request holds the challenge");
}

int
app_store_change_may_approve(struct app_store_writer *w, const struct app_held *held, const char *account,
			     struct err *e)
{
	AUTO_QUERY q = app_store_query(w->db, APP_STMT_CHALLENGE_GET);
	int code;

	if (!held->has_challenge)
		return 0;
	app_store_query_blob(&q, (struct bytes){held->challenge_hash, sizeof(held->challenge_hash)});
	code = app_store_query_step(&q, e);
	if (code <= 0)
		return code;
	if (app_store_query_get_int(&q, GET_USED) != 0)
		return err_set(e, ERR_DENIED, 0, "its challenge was revoked, so it can only be denied");
	if (held->approvals_needed > 1 && strcmp(app_store_query_get_text(&q, GET_CREATOR), account) == 0)
		return err_set(e, ERR_DENIED, 0, "%s made its challenge, so others have to approve it", account);
	return 0;
}

static int
count_challenges(struct app_store_writer *w, enum app_store_stmt id, int64_t from, int64_t to, int64_t *ret_count,
		 struct err *e)
{
	AUTO_QUERY q = app_store_query(w->db, id);
	int code;

	app_store_query_int(&q, from);
	if (id == APP_STMT_CHALLENGE_LAPSED)
		app_store_query_int(&q, to);
	code = app_store_query_step(&q, e);
	if (code < 0)
		return code;
	*ret_count = app_store_query_get_int(&q, 0);
	return 0;
}

/* Brings state->open up to now: counted once, then only what expired since is looked at. */
static int
sweep_open(struct app_store_writer *w, int64_t now, struct err *e)
{
	struct app_store_state *state = &w->state;
	int64_t lapsed = 0;
	int code;

	if (state->open_known && now >= state->swept) {
		code = count_challenges(w, APP_STMT_CHALLENGE_LAPSED, state->swept, now, &lapsed, e);
		if (code < 0)
			return code;
		state->open -= lapsed;
	} else {
		code = count_challenges(w, APP_STMT_CHALLENGE_OPEN, now, now, &state->open, e);
		if (code < 0)
			return code;
		state->open_known = true;
	}
	state->swept = now;
	return 0;
}

/* The next number; it is never given again. */
static int
next_number(struct app_store_writer *w, int64_t *ret_number, struct err *e)
{
	AUTO_QUERY q = app_store_query(w->db, APP_STMT_CHALLENGE_NUMBER);
	int code = app_store_query_step(&q, e);

	if (code < 0)
		return code;
	*ret_number = app_store_query_get_int(&q, 0);
	return code == 1 ? 0 : err_set(e, ERR_STORE, 0, "the store does not count challenges");
}

static int
insert(struct app_store_writer *w, const struct app_store_request *r, struct err *e)
{
	static const struct app_binding nothing;
	const struct app_binding *bound = r->binding != NULL ? r->binding : &nothing;
	struct app_store_query q = app_store_query(w->db, APP_STMT_CHALLENGE_ADD);

	app_store_query_blob(&q, (struct bytes){r->challenge_hash, sizeof(r->challenge_hash)});
	app_store_query_int(&q, app_store_change_now(r));
	app_store_query_int(&q, r->expires);
	app_store_query_int(&q, r->number);
	app_store_query_text(&q, r->account);
	app_store_query_text(&q, bound->template_name);
	app_store_query_blob(&q, bound->subject);
	app_store_query_blob(&q, bound->san);
	app_store_query_blob(
		&q, (struct bytes){bound->has_key ? bound->key_hash : NULL, bound->has_key ? APP_HASH_SIZE : 0});
	app_store_query_int(&q, bound->key_usage);
	return app_store_query_run(&q, e);
}

static void
put_number(struct app_store_writer *w, const char *word, int64_t v)
{
	char number[24];

	snprintf(number, sizeof(number), "%lld", (long long)v);
	app_audit_put_text(&w->detail, word, number);
}

/* The audit record tells what a challenge was bound to. */
static void
put_binding(struct app_store_writer *w, const struct app_binding *bound)
{
	char text[APP_BINDING_TEXT_SIZE];

	app_audit_put_text(&w->detail, "for_template", bound->template_name);
	if (bound->subject.len > 0)
		app_audit_put_text(&w->detail, "for_subject", x509_name_text(bound->subject, text, sizeof(text)));
	if (bound->san.len > 0)
		app_audit_put_text(&w->detail, "for_san", app_binding_san_text(bound->san, text, sizeof(text)));
	if (bound->has_key)
		app_audit_put_bytes(&w->detail, "for_key", (struct bytes){bound->key_hash, APP_HASH_SIZE});
	snprintf(text, sizeof(text), "0x%02x", bound->key_usage);
	if (bound->key_usage != 0)
		app_audit_put_text(&w->detail, "for_key_usage", text);
}

int
app_store_change_create(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	char when[32];
	int code;

	if (r->expires <= app_store_change_now(r))
		return err_set(e, ERR_FORMAT, 0, "a challenge that has expired already");
	code = app_store_change_exists(w, APP_STMT_CHALLENGE_GET,
				       (struct bytes){r->challenge_hash, sizeof(r->challenge_hash)}, e);
	if (code == 1)
		return err_set(e, ERR_EXISTS, 0, "the challenge exists already");
	if (code == 0)
		code = sweep_open(w, app_store_change_now(r), e);
	if (code < 0)
		return code;
	if (w->state.open >= r->max_open)
		return err_set(e, ERR_LIMIT, 0, "%lld challenges are open", (long long)w->state.open);
	code = next_number(w, &r->number, e);
	if (code == 0)
		code = insert(w, r, e);
	if (code == 0 && r->registration != NULL)
		code = app_store_change_terms(w, r, e);
	if (code < 0)
		return code;
	w->state.open++;
	app_store_change_put_challenge(w, r);
	put_number(w, "number", r->number);
	app_audit_put_text(&w->detail, "expires", clock_text(r->expires, when, sizeof(when)));
	if (r->binding != NULL)
		put_binding(w, r->binding);
	return app_store_change_audit(w, r, APP_AUDIT_CHALLENGE_CREATED, (struct bytes){NULL, 0}, r->subject, e);
}

/* Marks the one with the request's number. */
static int
revoke_one(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	AUTO_QUERY found = app_store_query(w->db, APP_STMT_CHALLENGE_OF_NUMBER);
	struct app_store_query q;
	struct bytes hash;
	int code;

	app_store_query_int(&found, r->number);
	code = app_store_query_step(&found, e);
	if (code <= 0)
		return code < 0 ? code : err_set(e, ERR_UNKNOWN, 0, "no challenge has this number");
	if (app_store_query_get_int(&found, 1) != 0)
		return err_set(e, ERR_STAGE, 0, "the challenge is used or revoked already");
	hash = app_store_query_get_blob(&found, 0);
	if (hash.len != APP_HASH_SIZE)
		return err_set(e, ERR_STORE, 0, "a challenge's hash in the store has the wrong size");
	memcpy(r->challenge_hash, hash.data, APP_HASH_SIZE);
	app_store_query_end(&found);
	q = app_store_query(w->db, APP_STMT_CHALLENGE_REVOKE);
	app_store_query_blob(&q, (struct bytes){r->challenge_hash, APP_HASH_SIZE});
	app_store_query_int(&q, app_store_change_now(r));
	return app_store_query_run(&q, e);
}

static int
revoke_all(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	struct app_store_query q;
	int code = sweep_open(w, app_store_change_now(r), e);

	if (code < 0)
		return code;
	r->counts.challenges_open = w->state.open;
	q = app_store_query(w->db, APP_STMT_CHALLENGE_REVOKE_ALL);
	app_store_query_int(&q, app_store_change_now(r));
	return app_store_query_run(&q, e);
}

int
app_store_change_revoke_challenge(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	int code = r->all ? revoke_all(w, r, e) : revoke_one(w, r, e);

	if (code < 0)
		return code;
	if (!r->all)
		app_store_change_put_challenge(w, r);
	put_number(w, r->all ? "all" : "number", r->all ? r->counts.challenges_open : r->number);
	w->state.open_known = false;
	return app_store_change_audit(w, r, APP_AUDIT_CHALLENGE_REVOKED, (struct bytes){NULL, 0}, "", e);
}

int
app_store_change_purge(struct app_store_writer *w, int64_t now, struct err *e)
{
	struct app_store_query q;
	int64_t before = now - CHALLENGE_MEMORY_S;
	int64_t old = 0;
	int code;

	if (w->state.purge_idle == now)
		return 0;
	code = count_challenges(w, APP_STMT_CHALLENGE_OLD, before, 0, &old, e);
	if (code < 0)
		return code;
	if (old == 0) {
		w->state.purge_idle = now;
		return 0;
	}
	q = app_store_query(w->db, APP_STMT_CHALLENGE_PURGE);
	app_store_query_int(&q, before);
	app_store_query_int(&q, PURGE_MAX);
	return app_store_query_run(&q, e);
}

/* Copies what the row lends. */
static int
copy_binding(struct app_binding *bound)
{
	bool has_subject = bound->subject.len > 0, has_san = bound->san.len > 0;

	bound->subject = has_subject ? bytes_dup(bound->subject) : (struct bytes){NULL, 0};
	bound->san = has_san ? bytes_dup(bound->san) : (struct bytes){NULL, 0};
	if ((!has_subject || bound->subject.data != NULL) && (!has_san || bound->san.data != NULL))
		return 0;
	app_binding_fini(bound);
	return ERR_NOMEM;
}

/* Appends the current row of CHALLENGES to the answer. */
static int
add_challenge(struct app_store_request *r, struct app_store_query *q, struct err *e)
{
	struct app_open_challenge *more = reallocarray(r->challenges, r->challenge_count + 1, sizeof(*more));
	struct app_open_challenge *one;

	if (more == NULL)
		return err_set(e, ERR_NOMEM, 0, "reading challenges");
	r->challenges = more;
	one = &more[r->challenge_count];
	*one = (struct app_open_challenge){
		.number = app_store_query_get_int(q, 0),
		.created = app_store_query_get_int(q, 1),
		.expires = app_store_query_get_int(q, 2),
		.request = app_store_query_get_int(q, 9),
		.bound = binding_at(q, 4),
	};
	snprintf(one->creator, sizeof(one->creator), "%s", app_store_query_get_text(q, 3));
	if (copy_binding(&one->bound) != 0)
		return err_set(e, ERR_NOMEM, 0, "reading challenges");
	r->challenge_count++;
	return 0;
}

int
app_store_read_challenges(struct app_store_db *db, struct app_store_request *r, struct err *e)
{
	AUTO_QUERY q = app_store_query(db, APP_STMT_CHALLENGES);
	int code;

	app_store_query_int(&q, app_store_change_now(r));
	app_store_query_int(&q, r->all);
	app_store_query_int(&q, r->limit > 0 && r->limit < LIST_MAX ? r->limit : LIST_MAX);
	app_store_query_int(&q, r->offset > 0 ? r->offset : 0);
	for (code = app_store_query_step(&q, e); code == 1; code = app_store_query_step(&q, e)) {
		code = add_challenge(r, &q, e);
		if (code < 0)
			return code;
	}
	return code;
}
