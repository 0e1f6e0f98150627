/*
 * Requests that wait for an operator: held, decided, looked up.
 */
#include <stdio.h>
#include <string.h>

#include "appliance/held.h"
#include "appliance/store_change.h"
#include "appliance/store_read.h"

enum { LIST_MAX = 1000 };

/* The row of a transaction: 1, its number and state; 0 when there is none. */
static int
find(struct app_store_db *db, struct bytes transaction, int64_t *ret_number, enum app_held_state *ret_state,
     struct err *e)
{
	AUTO_QUERY q = app_store_query(db, APP_STMT_HELD_OF_TRANSACTION);
	int code;

	app_store_query_blob(&q, transaction);
	code = app_store_query_step(&q, e);
	if (code == 1) {
		*ret_number = app_store_query_get_int(&q, 0);
		*ret_state = app_held_state_parse(app_store_query_get_text(&q, 1));
	}
	return code;
}

/* Forgets what nobody decided in time, and refusals that are old enough.  Their challenges are free again. */
static int
purge(struct app_store_writer *w, int64_t now, struct err *e)
{
	struct app_store_query q = app_store_query(w->db, APP_STMT_HELD_PURGE);

	app_store_query_int(&q, now);
	return app_store_query_run(&q, e);
}

static int
check_room(struct app_store_writer *w, const struct app_store_request *r, struct err *e)
{
	AUTO_QUERY q = app_store_query(w->db, APP_STMT_HELD_COUNT);
	int code = app_store_query_step(&q, e);

	if (code < 0)
		return code;
	if (app_store_query_get_int(&q, 0) >= r->max_open)
		return err_set(e, ERR_LIMIT, 0, "%lld requests wait already (scep.pending_max)",
			       (long long)app_store_query_get_int(&q, 0));
	return 0;
}

static int
insert(struct app_store_writer *w, const struct app_store_request *r, struct bytes transaction, struct err *e)
{
	struct app_store_query q = app_store_query(w->db, APP_STMT_HELD_ADD);
	const struct app_held *held = r->hold;

	app_store_query_blob(&q, transaction);
	app_store_query_text(&q, app_held_state_name(APP_HELD_PENDING));
	app_store_query_int(&q, app_store_change_now(r));
	app_store_query_int(&q, r->expires);
	app_store_query_blob(&q, r->has_challenge ? (struct bytes){r->challenge_hash, sizeof(r->challenge_hash)}
						  : (struct bytes){NULL, 0});
	app_store_query_text(&q, r->transaction_id);
	app_store_query_blob(&q, (struct bytes){r->key_hash, sizeof(r->key_hash)});
	app_store_query_text(&q, r->subject);
	app_store_query_text(&q, r->peer);
	app_store_query_blob(&q, held->name);
	app_store_query_blob(&q, held->spki);
	app_store_query_blob(&q, held->san);
	app_store_query_int(&q, held->requested_not_after);
	app_store_query_int(&q, held->key_usage);
	app_store_query_int(&q, held->approvals_needed > 1 ? held->approvals_needed : 1);
	app_store_query_text(&q, held->template_name);
	return app_store_query_run(&q, e);
}

int
app_store_change_hold(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	enum app_held_state state = APP_HELD_NONE;
	uint8_t hash[APP_STORE_TXHASH_SIZE];
	struct bytes transaction = {hash, sizeof(hash)};
	int code;

	app_store_read_transaction_hash(r, hash);
	code = purge(w, app_store_change_now(r), e);
	if (code == 0)
		code = app_store_change_check_transaction(w, r, transaction, e);
	if (code < 0)
		return code;
	code = find(w->db, transaction, &r->number, &state, e);
	if (code < 0)
		return code;
	if (state == APP_HELD_DENIED)
		return err_set(e, ERR_DENIED, 0, "an operator denied request %lld", (long long)r->number);
	if (code == 1)
		return 0;
	code = check_room(w, r, e);
	if (code == 0 && r->has_challenge)
		code = app_store_change_check_challenge(w, r, transaction, e);
	if (code == 0)
		code = insert(w, r, transaction, e);
	if (code == 0)
		code = find(w->db, transaction, &r->number, &state, e) < 0 ? ERR_STORE : 0;
	if (code < 0)
		return code;
	app_audit_put_text(&w->detail, "template", r->hold->template_name);
	app_audit_put_text(&w->detail, "transaction", r->transaction_id);
	app_audit_put_bytes(&w->detail, "key", (struct bytes){r->key_hash, sizeof(r->key_hash)});
	if (r->has_challenge)
		app_store_change_put_challenge(w, r);
	return app_store_change_audit(w, r, APP_AUDIT_REQUEST_HELD, (struct bytes){NULL, 0}, r->subject, e);
}

static struct bytes
keep(struct bytes v)
{
	return v.len > 0 ? v : (struct bytes){NULL, 0};
}

/* Takes the HELD_COLUMNS of the current row apart and appends them to the answer. */
static int
add_held(struct app_store_request *r, struct app_store_query *q, struct err *e)
{
	struct app_held *more = reallocarray(r->held, r->held_count + 1, sizeof(*more));
	struct bytes challenge = app_store_query_get_blob(q, 4);
	struct bytes key = app_store_query_get_blob(q, 6);
	struct app_held *held;

	if (more == NULL)
		return err_set(e, ERR_NOMEM, 0, "reading requests");
	r->held = more;
	held = &more[r->held_count];
	*held = (struct app_held){
		.number = app_store_query_get_int(q, 0),
		.state = app_held_state_parse(app_store_query_get_text(q, 1)),
		.created = app_store_query_get_int(q, 2),
		.expires = app_store_query_get_int(q, 3),
		.requested_not_after = app_store_query_get_int(q, 14),
		.has_challenge = challenge.len == APP_HASH_SIZE,
		.key_usage = (unsigned)app_store_query_get_int(q, 15),
		.approvals_needed = (int)app_store_query_get_int(q, 16),
		.approvals = (int)app_store_query_get_int(q, 17),
	};
	if (held->has_challenge)
		memcpy(held->challenge_hash, challenge.data, APP_HASH_SIZE);
	if (key.len != APP_HASH_SIZE)
		return err_set(e, ERR_STORE, 0, "a key's hash in the store has the wrong size");
	memcpy(held->key_hash, key.data, APP_HASH_SIZE);
	snprintf(held->transaction_id, sizeof(held->transaction_id), "%s", app_store_query_get_text(q, 5));
	snprintf(held->subject, sizeof(held->subject), "%s", app_store_query_get_text(q, 7));
	snprintf(held->peer, sizeof(held->peer), "%s", app_store_query_get_text(q, 8));
	snprintf(held->operator, sizeof(held->operator), "%s", app_store_query_get_text(q, 12));
	snprintf(held->reason, sizeof(held->reason), "%s", app_store_query_get_text(q, 13));
	snprintf(held->approvers, sizeof(held->approvers), "%s", app_store_query_get_text(q, 18));
	snprintf(held->template_name, sizeof(held->template_name), "%s", app_store_query_get_text(q, 19));
	if (app_held_copy(held, keep(app_store_query_get_blob(q, 9)), keep(app_store_query_get_blob(q, 10)),
			  keep(app_store_query_get_blob(q, 11))) != 0)
		return err_set(e, ERR_NOMEM, 0, "reading requests");
	r->held_count++;
	return 0;
}

int
app_store_read_held(struct app_store_db *db, struct app_store_request *r, struct err *e)
{
	AUTO_QUERY q = app_store_query(db, r->number != 0 ? APP_STMT_HELD_GET : APP_STMT_HELD_LIST);
	int code;

	app_store_query_int(&q, r->number != 0 ? r->number : LIST_MAX);
	app_store_query_int(&q, app_store_change_now(r));
	for (code = app_store_query_step(&q, e); code == 1; code = app_store_query_step(&q, e)) {
		code = add_held(r, &q, e);
		if (code < 0)
			return code;
	}
	if (code == 0 && r->number != 0 && r->held_count == 0)
		return err_set(e, ERR_UNKNOWN, 0, "no request %lld waits", (long long)r->number);
	return code;
}

int
app_store_read_held_state(struct app_store_db *db, struct app_store_request *r, struct err *e)
{
	enum app_held_state state = APP_HELD_NONE;
	uint8_t hash[APP_STORE_TXHASH_SIZE];
	AUTO_QUERY q = app_store_query(db, APP_STMT_HELD_OF_TRANSACTION);
	int code;

	app_store_read_transaction_hash(r, hash);
	app_store_query_blob(&q, (struct bytes){hash, sizeof(hash)});
	code = app_store_query_step(&q, e);
	if (code < 0)
		return code;
	if (code == 1 && app_store_query_get_int(&q, 2) > app_store_change_now(r)) {
		state = app_held_state_parse(app_store_query_get_text(&q, 1));
		r->number = app_store_query_get_int(&q, 0);
	}
	r->held_state = (int)state;
	return state != APP_HELD_NONE ? 0 : err_set(e, ERR_UNKNOWN, 0, "no request of this transaction and key");
}

/* 1: this account approved the request already. */
static int
has_approved(struct app_store_writer *w, const struct app_store_request *r, struct err *e)
{
	AUTO_QUERY q = app_store_query(w->db, APP_STMT_APPROVAL_GET);

	app_store_query_int(&q, r->number);
	app_store_query_text(&q, r->account);
	return app_store_query_step(&q, e);
}

/* 1: it is an operator who may log in, at this moment. */
static int
is_operator(struct app_store_writer *w, const char *account, struct err *e)
{
	AUTO_QUERY q = app_store_query(w->db, APP_STMT_APPROVAL_MAY);

	app_store_query_text(&q, account);
	return app_store_query_step(&q, e);
}

/* Does the account of the request count, as one of those that are needed? */
static int
check_approver(struct app_store_writer *w, const struct app_store_request *r, struct err *e)
{
	const struct app_held *held = &r->held[0];
	int missing = held->approvals_needed - held->approvals;
	int code;

	if (r->account[0] == '\0' && held->approvals_needed > 1)
		return err_set(e, ERR_DENIED, 0,
			       "this request needs %d named operators: chancery --operator NAME request approve %lld",
			       held->approvals_needed, (long long)r->number);
	if (r->account[0] == '\0')
		return 0;
	code = is_operator(w, r->account, e);
	if (code <= 0)
		return code < 0 ? code : err_set(e, ERR_DENIED, 0, "%s is no operator any more", r->account);
	code = has_approved(w, r, e);
	if (code == 1)
		return err_set(e, ERR_EXISTS, 0, "already approved by %s; %d more %s needed", r->account, missing,
			       missing == 1 ? "is" : "are");
	return code;
}

/* Is this a decision that can still be taken, by this account? */
static int
check_decision(struct app_store_writer *w, const struct app_store_request *r, struct err *e)
{
	const struct app_held *held = &r->held[0];
	bool approves = r->op == APP_STORE_APPROVE;
	int code;

	/* A denial may still be followed by nothing, an approval by a denial: until it is issued it can be stopped. */
	if (held->state == APP_HELD_DENIED || (approves && held->state == APP_HELD_APPROVED))
		return err_set(e, ERR_STAGE, 0, "request %lld is %s already", (long long)r->number,
			       app_held_state_name(held->state));
	code = approves ? check_approver(w, r, e) : 0;
	return code == 0 && approves ? app_store_change_may_approve(w, held, r->account, e) : code;
}

/* Notes who approves.  Of what one is enough for, root need not say a name. */
static int
add_approval(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	struct app_held *held = &r->held[0];
	const char *account = r->account[0] != '\0' ? r->account : "root";
	struct app_store_query q = app_store_query(w->db, APP_STMT_APPROVAL_ADD);
	size_t len = strlen(held->approvers);

	held->approvals++;
	snprintf(held->approvers + len, sizeof(held->approvers) - len, "%s%s", len > 0 ? ", " : "", account);
	app_store_query_int(&q, r->number);
	app_store_query_text(&q, account);
	app_store_query_int(&q, app_store_change_now(r));
	return app_store_query_run(&q, e);
}

/* Writes the new state, if this is the decision and not one of several approvals. */
static int
set_state(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	struct app_held *held = &r->held[0];
	bool approves = r->op == APP_STORE_APPROVE;
	struct app_store_query q;

	if (approves && held->approvals < held->approvals_needed)
		return 0;
	held->state = approves ? APP_HELD_APPROVED : APP_HELD_DENIED;
	q = app_store_query(w->db, approves ? APP_STMT_HELD_APPROVE : APP_STMT_HELD_DENY);
	app_store_query_int(&q, r->number);
	app_store_query_text(&q, r->actor);
	if (!approves)
		app_store_query_text(&q, r->text);
	return app_store_query_run(&q, e);
}

int
app_store_change_decide(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	bool approves = r->op == APP_STORE_APPROVE;
	char text[48];
	int code = app_store_read_held(w->db, r, e);

	if (code == 0)
		code = check_decision(w, r, e);
	if (code == 0 && approves)
		code = add_approval(w, r, e);
	if (code == 0)
		code = set_state(w, r, e);
	if (code < 0)
		return code;
	snprintf(text, sizeof(text), "%lld", (long long)r->number);
	app_audit_put_text(&w->detail, "request", text);
	app_audit_put_text(&w->detail, "transaction", r->held[0].transaction_id);
	snprintf(text, sizeof(text), "%d of %d", r->held[0].approvals, r->held[0].approvals_needed);
	if (approves && r->held[0].approvals_needed > 1)
		app_audit_put_text(&w->detail, "approvals", text);
	if (!approves)
		app_audit_put_text(&w->detail, "why", r->text);
	return app_store_change_audit(w, r, approves ? APP_AUDIT_REQUEST_APPROVED : APP_AUDIT_REQUEST_DENIED,
				      (struct bytes){NULL, 0}, r->held[0].subject, e);
}

int
app_store_change_check_approved(struct app_store_writer *w, const struct app_store_request *r, struct bytes transaction,
				struct err *e)
{
	enum app_held_state state = APP_HELD_NONE;
	int64_t number = 0;
	int code = find(w->db, transaction, &number, &state, e);

	if (code < 0)
		return code;
	return code == 1 && number == r->number && state == APP_HELD_APPROVED
		       ? 0
		       : err_set(e, ERR_STAGE, 0, "request %lld is not approved any more", (long long)r->number);
}

int
app_store_change_unhold(struct app_store_writer *w, struct bytes transaction, struct err *e)
{
	struct app_store_query q = app_store_query(w->db, APP_STMT_HELD_END);

	app_store_query_blob(&q, transaction);
	return app_store_query_run(&q, e);
}
