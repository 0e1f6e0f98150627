/*
 * Operators' accounts: log-ins, and what administrators change.
 */
#include <stdio.h>
#include <string.h>

#include "appliance/store_change.h"
#include "appliance/store_read.h"
#include "board/base/secret.h"

enum { LIST_MAX = 10000 };

static struct bytes
fingerprint_of(const struct app_operator *who)
{
	return who->has_certificate ? (struct bytes){who->certificate, sizeof(who->certificate)}
				    : (struct bytes){NULL, 0};
}

static int
take_bytes(uint8_t *out, size_t size, struct bytes from, struct err *e)
{
	if (from.len != size)
		return err_set(e, ERR_STORE, 0, "a hash of an account in the store has the wrong size");
	memcpy(out, from.data, size);
	return 0;
}

/* Takes the ACCOUNT_COLUMNS of the current row apart. */
static int
take_row(struct app_store_query *q, struct app_operator *ret_operator, struct err *e)
{
	struct bytes certificate = app_store_query_get_blob(q, 2);
	struct app_operator found = {
		.has_certificate = certificate.len > 0,
		.created = app_store_query_get_int(q, 3),
		.disabled = app_store_query_get_int(q, 4) != 0,
		.failed = app_store_query_get_int(q, 5),
		.failed_at = app_store_query_get_int(q, 6),
		.credential = {.n = app_store_query_get_int(q, 7),
			       .r = app_store_query_get_int(q, 8),
			       .p = app_store_query_get_int(q, 9)},
	};
	int code = 0;

	snprintf(found.name, sizeof(found.name), "%s", app_store_query_get_text(q, 0));
	snprintf(found.groups, sizeof(found.groups), "%s", app_store_query_get_text(q, 1));
	if (found.has_certificate)
		code = take_bytes(found.certificate, sizeof(found.certificate), certificate, e);
	if (code == 0)
		code = take_bytes(found.credential.salt, sizeof(found.credential.salt), app_store_query_get_blob(q, 10),
				  e);
	if (code == 0)
		code = take_bytes(found.credential.hash, sizeof(found.credential.hash), app_store_query_get_blob(q, 11),
				  e);
	if (code == 0)
		*ret_operator = found;
	secret_wipe(&found.credential, sizeof(found.credential));
	return code;
}

/* The account that a query finds: 1, or 0 when there is none. */
static int
find_by(struct app_store_query *q, struct app_operator *ret_operator, struct err *e)
{
	int code = app_store_query_step(q, e);

	if (code == 1)
		code = take_row(q, ret_operator, e) < 0 ? ERR_STORE : 1;
	app_store_query_end(q);
	return code;
}

static int
find(struct app_store_db *db, const char *name, struct app_operator *ret_operator, struct err *e)
{
	struct app_store_query q = app_store_query(db, APP_STMT_ACCOUNT_GET);

	app_store_query_text(&q, name);
	return find_by(&q, ret_operator, e);
}

static int
find_known(struct app_store_db *db, const char *name, struct app_operator *ret_operator, struct err *e)
{
	int code = find(db, name, ret_operator, e);

	return code == 0 ? err_set(e, ERR_UNKNOWN, 0, "there is no account %s", name) : code;
}

static int
find_owner(struct app_store_db *db, const struct app_operator *wanted, struct app_operator *ret_operator, struct err *e)
{
	struct app_store_query q = app_store_query(db, APP_STMT_ACCOUNT_OF);

	app_store_query_blob(&q, (struct bytes){wanted->certificate, sizeof(wanted->certificate)});
	return find_by(&q, ret_operator, e);
}

/* ---- look-ups ---------------------------------------------------------------------------------------------------- */

static void
answer_without_credential(struct app_store_request *r, struct app_operator *found)
{
	secret_wipe(&found->credential, sizeof(found->credential));
	*r->operators.who = *found;
}

/* The hash is calculated in every case, so that the time tells nobody which of them it was. */
static int
log_in(struct app_store_db *db, struct app_store_request *r, struct err *e)
{
	struct app_operator found = {.failed = 0};
	bool matches = false;
	int known = find(db, r->operators.who->name, &found, e);
	int code;

	if (known < 0)
		return known;
	code = app_credential_verify(known == 1 ? &found.credential : NULL, r->operators.password, &matches, e);
	if (code < 0)
		return code;
	if (known == 0)
		r->operators.cause = APP_LOGIN_NO_ACCOUNT;
	else if (found.disabled)
		r->operators.cause = APP_LOGIN_DISABLED;
	else if (app_operator_failures(&found, app_store_change_now(r), &r->operators.lockout) >=
		 r->operators.lockout.failures)
		r->operators.cause = APP_LOGIN_LOCKED;
	else
		r->operators.cause = matches ? APP_LOGIN_GOOD : APP_LOGIN_WRONG_PASSWORD;
	if (r->operators.cause != APP_LOGIN_GOOD) {
		secret_wipe(&found.credential, sizeof(found.credential));
		return err_set(e, ERR_DENIED, 0, "%s", app_login_cause_text(r->operators.cause));
	}
	answer_without_credential(r, &found);
	return 0;
}

static int
owner(struct app_store_db *db, struct app_store_request *r, struct err *e)
{
	struct app_operator found = {.name = ""};
	int code = find_owner(db, r->operators.who, &found, e);

	if (code < 0)
		return code;
	if (code == 0)
		return err_set(e, ERR_UNKNOWN, 0, "the certificate belongs to no account");
	answer_without_credential(r, &found);
	return 0;
}

static int
list_all(struct app_store_db *db, struct app_store_request *r, struct err *e)
{
	AUTO_QUERY q = app_store_query(db, APP_STMT_ACCOUNT_LIST);
	struct app_operator *more;
	int code;

	app_store_query_int(&q, LIST_MAX);
	for (code = app_store_query_step(&q, e); code == 1; code = app_store_query_step(&q, e)) {
		more = reallocarray(r->operators.list, r->operators.count + 1, sizeof(*more));
		if (more == NULL)
			return err_set(e, ERR_NOMEM, 0, "reading accounts");
		r->operators.list = more;
		code = take_row(&q, &more[r->operators.count], e);
		if (code < 0)
			return code;
		memset(&more[r->operators.count].credential, 0, sizeof(more->credential));
		r->operators.count++;
	}
	return code;
}

int
app_store_read_account(struct app_store_db *db, struct app_store_request *r, struct err *e)
{
	switch (r->op) {
	case APP_STORE_ACCOUNT_LOGIN:
		return log_in(db, r, e);
	case APP_STORE_ACCOUNT_HASH:
		return app_credential_make(r->operators.password, &r->operators.who->credential, e);
	case APP_STORE_ACCOUNT_OF:
		return owner(db, r, e);
	case APP_STORE_ACCOUNT_ALL:
		return list_all(db, r, e);
	default:
		return err_set(e, ERR_INTERNAL, 0, "not a look-up of accounts");
	}
}

/* ---- changes ----------------------------------------------------------------------------------------------------- */

static int
audit(struct app_store_writer *w, const struct app_store_request *r, enum app_audit_event event, struct err *e)
{
	char subject[sizeof(r->operators.who->name) + sizeof("operator ")];

	snprintf(subject, sizeof(subject), "operator %s", r->operators.who->name);
	return app_store_change_audit(w, r, event, (struct bytes){NULL, 0}, subject, e);
}

static int
check_certificate(struct app_store_writer *w, const struct app_operator *wanted, struct err *e)
{
	struct app_operator found = {.name = ""};
	int code;

	if (!wanted->has_certificate)
		return 0;
	code = find_owner(w->db, wanted, &found, e);
	if (code == 1 && strcmp(found.name, wanted->name) != 0)
		return err_set(e, ERR_EXISTS, 0, "the certificate belongs to the account %s already", found.name);
	return code < 0 ? code : 0;
}

static void
put_credential(struct app_store_query *q, const struct app_credential *credential)
{
	app_store_query_int(q, credential->n);
	app_store_query_int(q, credential->r);
	app_store_query_int(q, credential->p);
	app_store_query_blob(q, (struct bytes){credential->salt, sizeof(credential->salt)});
	app_store_query_blob(q, (struct bytes){credential->hash, sizeof(credential->hash)});
}

static int
add(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	const struct app_operator *who = r->operators.who;
	struct app_store_query q;
	struct app_operator found = {.name = ""};
	int code = find(w->db, who->name, &found, e);

	if (code == 1)
		return err_set(e, ERR_EXISTS, 0, "there is an account %s already", who->name);
	if (code == 0)
		code = check_certificate(w, who, e);
	if (code < 0)
		return code;
	q = app_store_query(w->db, APP_STMT_ACCOUNT_ADD);
	app_store_query_text(&q, who->name);
	app_store_query_text(&q, who->groups);
	app_store_query_blob(&q, fingerprint_of(who));
	app_store_query_int(&q, app_store_change_now(r));
	put_credential(&q, &who->credential);
	code = app_store_query_run(&q, e);
	if (code < 0)
		return code;
	app_audit_put_text(&w->detail, "groups", who->groups);
	app_audit_put_bytes(&w->detail, "certificate", fingerprint_of(who));
	return audit(w, r, APP_AUDIT_ACCOUNT_ADDED, e);
}

/* Another person may get an account of this name; the vote of the one before is not his. */
static int
drop_votes(struct app_store_writer *w, const char *name, struct err *e)
{
	struct app_store_query q = app_store_query(w->db, APP_STMT_ACCOUNT_UNVOTE);

	app_store_query_text(&q, name);
	return app_store_query_run(&q, e);
}

static int
remove_one(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	struct app_store_query q;
	struct app_operator found = {.name = ""};
	int code = find_known(w->db, r->operators.who->name, &found, e);

	if (code < 0)
		return code;
	q = app_store_query(w->db, APP_STMT_ACCOUNT_REMOVE);
	app_store_query_text(&q, r->operators.who->name);
	code = app_store_query_run(&q, e);
	if (code == 0)
		code = drop_votes(w, r->operators.who->name, e);
	if (code < 0)
		return code;
	app_audit_put_text(&w->detail, "groups", found.groups);
	app_audit_put_bytes(&w->detail, "certificate", fingerprint_of(&found));
	return audit(w, r, APP_AUDIT_ACCOUNT_REMOVED, e);
}

/* The wrong passwords were guesses of the old one, so they are forgotten with it. */
static int
set_password(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	struct app_store_query q;
	struct app_operator found = {.name = ""};
	int code = find_known(w->db, r->operators.who->name, &found, e);

	if (code < 0)
		return code;
	q = app_store_query(w->db, APP_STMT_ACCOUNT_PASSWORD);
	app_store_query_text(&q, r->operators.who->name);
	put_credential(&q, &r->operators.who->credential);
	code = app_store_query_run(&q, e);
	return code < 0 ? code : audit(w, r, APP_AUDIT_ACCOUNT_PASSWORD, e);
}

static int
write_change(struct app_store_writer *w, const struct app_operator *who, struct err *e)
{
	struct app_store_query q = app_store_query(w->db, APP_STMT_ACCOUNT_CHANGE);

	app_store_query_text(&q, who->name);
	app_store_query_text(&q, who->groups);
	app_store_query_blob(&q, fingerprint_of(who));
	app_store_query_int(&q, who->disabled);
	app_store_query_int(&q, who->failed);
	app_store_query_int(&q, who->failed_at);
	return app_store_query_run(&q, e);
}

/* Takes what changes from wanted, and tells the audit trail. */
static void
apply(struct app_store_writer *w, const struct app_operator *wanted, struct app_operator *who)
{
	if (wanted->changes & APP_OPERATOR_GROUPS) {
		app_audit_put_text(&w->detail, "groups_before", who->groups);
		app_audit_put_text(&w->detail, "groups", wanted->groups);
		memcpy(who->groups, wanted->groups, sizeof(who->groups));
	}
	if (wanted->changes & APP_OPERATOR_CERTIFICATE) {
		app_audit_put_bytes(&w->detail, "certificate_before", fingerprint_of(who));
		app_audit_put_bytes(&w->detail, "certificate", fingerprint_of(wanted));
		who->has_certificate = wanted->has_certificate;
		memcpy(who->certificate, wanted->certificate, sizeof(who->certificate));
	}
	if (wanted->changes & APP_OPERATOR_DISABLED) {
		app_audit_put_text(&w->detail, "disabled", wanted->disabled ? "yes" : "no");
		who->disabled = wanted->disabled;
	}
	if (wanted->changes & APP_OPERATOR_UNLOCK) {
		app_audit_put_text(&w->detail, "unlocked", "yes");
		who->failed = 0;
		who->failed_at = 0;
	}
}

static int
change(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	struct app_operator found = {.name = ""};
	int code = find_known(w->db, r->operators.who->name, &found, e);

	if (code < 0)
		return code;
	if (r->operators.who->changes & APP_OPERATOR_CERTIFICATE)
		code = check_certificate(w, r->operators.who, e);
	if (code < 0)
		return code;
	apply(w, r->operators.who, &found);
	code = write_change(w, &found, e);
	return code < 0 ? code : audit(w, r, APP_AUDIT_ACCOUNT_CHANGED, e);
}

static int
count_failure(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	struct app_operator found = {.name = ""};
	int64_t now = app_store_change_now(r);
	char number[24];
	int code = find(w->db, r->operators.who->name, &found, e);

	if (code <= 0)
		return code;
	found.failed = app_operator_failures(&found, now, &r->operators.lockout) + 1;
	found.failed_at = now;
	r->operators.failures = found.failed;
	code = write_change(w, &found, e);
	if (code < 0 || found.failed < r->operators.lockout.failures)
		return code;
	snprintf(number, sizeof(number), "%lld", (long long)found.failed);
	app_audit_put_text(&w->detail, "wrong_passwords", number);
	return audit(w, r, APP_AUDIT_ACCOUNT_LOCKED, e);
}

/* A log-in to a locked account does not count, so that nobody is kept out for ever. */
static int
note_failure(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	struct app_store_query q = app_store_query(w->db, APP_STMT_REFUSED_LOGIN);
	int code;

	app_store_query_int(&q, app_store_change_now(r));
	code = app_store_query_run(&q, e);
	if (code == 0 && r->operators.cause == APP_LOGIN_WRONG_PASSWORD)
		code = count_failure(w, r, e);
	return code;
}

int
app_store_change_account(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	switch (r->op) {
	case APP_STORE_ACCOUNT_ADD:
		return add(w, r, e);
	case APP_STORE_ACCOUNT_REMOVE:
		return remove_one(w, r, e);
	case APP_STORE_ACCOUNT_PASSWORD:
		return set_password(w, r, e);
	case APP_STORE_ACCOUNT_CHANGE:
		return change(w, r, e);
	case APP_STORE_ACCOUNT_FAILED:
		return note_failure(w, r, e);
	default:
		return err_set(e, ERR_INTERNAL, 0, "not a change of accounts");
	}
}
