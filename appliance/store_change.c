#include <stdio.h>
#include <string.h>

#include "appliance/store_read.h"
#include "appliance/store_change.h"
#include "appliance/store_policy.h"
#include "appliance/store_registration.h"
#include "appliance/store_point.h"
#include "appliance/store_template.h"
#include "board/base/clock.h"
#include "board/base/x509.h"

int64_t
app_store_change_now(const struct app_store_request *r)
{
	return r->now > 0 ? r->now : clock_wall();
}

static struct bytes
request_serial(const struct app_store_request *r)
{
	return (struct bytes){r->serial, sizeof(r->serial)};
}

int
app_store_change_audit(struct app_store_writer *w, const struct app_store_request *r, enum app_audit_event event,
		       struct bytes serial, const char *subject, struct err *e)
{
	char actor[sizeof(r->peer) + sizeof("peer ")];

	if (r->actor[0] != '\0')
		return app_store_audit_add(w, event, app_store_change_now(r), r->actor, serial, subject, e);
	snprintf(actor, sizeof(actor), "%s%s", r->peer[0] != '\0' ? "peer " : "system", r->peer);
	return app_store_audit_add(w, event, app_store_change_now(r), actor, serial, subject, e);
}

static void
put_der_hash(struct app_store_writer *w, struct bytes der)
{
	uint8_t hash[APP_HASH_SIZE];

	x509_sha256(der, hash);
	app_audit_put_bytes(&w->detail, "sha256", (struct bytes){hash, sizeof(hash)});
}

int
app_store_change_exists(struct app_store_writer *w, enum app_store_stmt id, struct bytes key, struct err *e)
{
	AUTO_QUERY q = app_store_query(w->db, id);

	app_store_query_blob(&q, key);
	return app_store_query_step(&q, e);
}

/* Tells the next delta CRL that it has to say something about this certificate. */
static int
note_change(struct app_store_writer *w, struct bytes serial, struct err *e)
{
	struct app_store_query q = app_store_query(w->db, APP_STMT_REVOCATION_ADD);

	app_store_query_blob(&q, serial);
	return app_store_query_run(&q, e);
}

int
app_store_change_insert(struct app_store_writer *w, const struct app_store_row *row, struct err *e)
{
	struct app_store_query q = app_store_query(w->db, APP_STMT_CERTIFICATE_ADD);
	int code;

	app_store_query_blob(&q, row->serial);
	app_store_query_text(&q, row->usage);
	app_store_query_int(&q, row->not_before);
	app_store_query_int(&q, row->not_after);
	app_store_query_int(&q, row->issued);
	app_store_query_int(&q, row->revoked);
	app_store_query_int(&q, row->reason);
	app_store_query_blob(&q, row->transaction_hash);
	app_store_query_text(&q, row->subject);
	app_store_query_text(&q, row->template_name);
	app_store_query_text(&q, row->peer);
	app_store_query_blob(&q, row->der);
	app_store_query_int(&q, row->issuer);
	code = app_store_query_run(&q, e);
	return code < 0 || row->revoked == 0 ? code : note_change(w, row->serial, e);
}

static int
delete_intent(struct app_store_writer *w, struct bytes serial, struct err *e)
{
	struct app_store_query q = app_store_query(w->db, APP_STMT_INTENT_DELETE);

	app_store_query_blob(&q, serial);
	return app_store_query_run(&q, e);
}

static int
issue(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	AUTO_QUERY q = app_store_query(w->db, APP_STMT_INTENT_GET);
	struct app_store_row row = {.serial = request_serial(r), .der = r->der, .reason = APP_REASON_NONE};
	struct bytes challenge;
	char when[32];
	int code;

	if (r->der.len == 0)
		return err_set(e, ERR_FORMAT, 0, "a certificate without content");
	app_store_query_blob(&q, row.serial);
	code = app_store_query_step(&q, e);
	if (code <= 0)
		return code < 0 ? code : err_set(e, ERR_UNKNOWN, 0, "there is no intent with this serial number");
	row.not_before = r->not_before;
	row.not_after = r->not_after;
	row.issued = app_store_change_now(r);
	row.usage = app_store_query_get_text(&q, 0);
	row.transaction_hash = app_store_query_get_blob(&q, 1);
	challenge = app_store_query_get_blob(&q, 2);
	row.subject = app_store_query_get_text(&q, 3);
	row.template_name = app_store_query_get_text(&q, 4);
	row.peer = app_store_query_get_text(&q, 5);
	row.issuer = app_store_query_get_int(&q, 6);
	code = app_store_change_insert(w, &row, e);
	if (code == 0 && challenge.len > 0)
		code = app_store_change_spend(w, challenge, row.serial, row.issued, e);
	if (code == 0 && row.transaction_hash.len > 0)
		code = app_store_change_unhold(w, row.transaction_hash, e);
	if (code == 0)
		code = delete_intent(w, row.serial, e);
	if (code < 0)
		return code;
	put_der_hash(w, r->der);
	app_audit_put_text(&w->detail, "not_after", clock_text(r->not_after, when, sizeof(when)));
	return app_store_change_audit(w, r, APP_AUDIT_ISSUE, row.serial, row.subject, e);
}

static int
abandon(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	int code;

	code = app_store_change_exists(w, APP_STMT_INTENT_GET, request_serial(r), e);
	if (code <= 0)
		return code < 0 ? code : err_set(e, ERR_UNKNOWN, 0, "there is no intent with this serial number");
	code = delete_intent(w, request_serial(r), e);
	if (code < 0)
		return code;
	app_audit_put_text(&w->detail, "why", r->text);
	return app_store_change_audit(w, r, APP_AUDIT_ABANDON, request_serial(r), r->subject, e);
}

static int
refuse(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	app_audit_put_text(&w->detail, "why", r->text);
	if (r->actor[0] != '\0')
		app_audit_put_text(&w->detail, "peer", r->peer);
	app_audit_put_text(&w->detail, "transaction", r->transaction_id);
	return app_store_change_audit(w, r, APP_AUDIT_REFUSE, (struct bytes){NULL, 0}, r->subject, e);
}

/* Writes the certificate's new state and notes that it changed. */
static int
set_revoked(struct app_store_writer *w, const struct app_store_request *r, int64_t id, int64_t revoked, int reason,
	    struct err *e)
{
	struct app_store_query q = app_store_query(w->db, APP_STMT_CERTIFICATE_REVOKE);
	int code;

	app_store_query_int(&q, id);
	app_store_query_int(&q, revoked);
	app_store_query_int(&q, reason);
	app_store_query_int(&q, r->invalidity);
	code = app_store_query_run(&q, e);
	return code < 0 ? code : note_change(w, request_serial(r), e);
}

static int
revoke(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	AUTO_QUERY found = app_store_query(w->db, APP_STMT_CERTIFICATE_STATE);
	bool on_hold;
	char when[32];
	int code;

	if (r->reason < 0 || app_reason_name(r->reason) == NULL)
		return err_set(e, ERR_FORMAT, 0, "no such reason");
	app_store_query_blob(&found, request_serial(r));
	code = app_store_query_step(&found, e);
	if (code <= 0)
		return code < 0 ? code : err_set(e, ERR_UNKNOWN, 0, "no certificate has this serial number");
	on_hold = app_store_query_get_int(&found, 1) != 0 && app_store_query_get_int(&found, 3) == APP_REASON_HOLD;
	if (app_store_query_get_int(&found, 1) != 0 && (!on_hold || r->reason == APP_REASON_HOLD))
		return err_set(e, ERR_EXISTS, 0, "the certificate is revoked already");
	/* What was on hold stays not valid since then. */
	code = set_revoked(w, r, app_store_query_get_int(&found, 0),
			   on_hold ? app_store_query_get_int(&found, 1) : app_store_change_now(r), r->reason, e);
	if (code < 0)
		return code;
	app_audit_put_text(&w->detail, "reason", app_reason_name(r->reason));
	if (r->invalidity != 0)
		app_audit_put_text(&w->detail, "invalidity", clock_text(r->invalidity, when, sizeof(when)));
	return app_store_change_audit(w, r, APP_AUDIT_REVOKE, request_serial(r), app_store_query_get_text(&found, 2),
				      e);
}

static int
release(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	AUTO_QUERY found = app_store_query(w->db, APP_STMT_CERTIFICATE_STATE);
	int code;

	app_store_query_blob(&found, request_serial(r));
	code = app_store_query_step(&found, e);
	if (code <= 0)
		return code < 0 ? code : err_set(e, ERR_UNKNOWN, 0, "no certificate has this serial number");
	if (app_store_query_get_int(&found, 1) == 0 || app_store_query_get_int(&found, 3) != APP_REASON_HOLD)
		return err_set(e, ERR_STAGE, 0, "the certificate is not on hold");
	r->invalidity = 0;
	code = set_revoked(w, r, app_store_query_get_int(&found, 0), 0, APP_REASON_NONE, e);
	if (code < 0)
		return code;
	return app_store_change_audit(w, r, APP_AUDIT_RELEASE, request_serial(r), app_store_query_get_text(&found, 2),
				      e);
}

/* What no CRL to come has to say again: older CRLs, a delta only other deltas; changes that a full one knows. */
static int
trim_crls(struct app_store_writer *w, const struct app_store_request *r, struct err *e)
{
	struct app_store_query q = app_store_query(w->db, APP_STMT_CRL_TRIM);
	int code;

	app_store_query_int(&q, r->number);
	app_store_query_int(&q, r->base != 0);
	app_store_query_int(&q, r->issuer);
	code = app_store_query_run(&q, e);
	if (code < 0 || r->base != 0)
		return code;
	q = app_store_query(w->db, APP_STMT_CHANGES_TRIM);
	app_store_query_int(&q, r->changes);
	app_store_query_int(&q, app_store_change_now(r));
	return app_store_query_run(&q, e);
}

/* A CRL number never goes back, and full and delta CRLs share the numbers (RFC 5280 5.2.3). */
static int
put_crl(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	AUTO_QUERY last = app_store_query(w->db, APP_STMT_CRL_LAST);
	struct app_store_query q;
	char number[32];
	int code;

	if (r->der.len == 0 || r->number <= 0)
		return err_set(e, ERR_FORMAT, 0, "a CRL without content or number");
	app_store_query_int(&last, r->issuer);
	code = app_store_query_step(&last, e);
	if (code < 0)
		return code;
	if (app_store_query_get_int(&last, 0) >= r->number)
		return err_set(e, ERR_EXISTS, 0, "the last CRL has number %lld",
			       (long long)app_store_query_get_int(&last, 0));
	app_store_query_end(&last);
	q = app_store_query(w->db, APP_STMT_CRL_ADD);
	app_store_query_int(&q, r->number);
	app_store_query_int(&q, r->this_update);
	app_store_query_int(&q, r->next_update);
	app_store_query_int(&q, r->base);
	app_store_query_int(&q, r->changes);
	app_store_query_blob(&q, r->der);
	app_store_query_int(&q, r->issuer);
	code = app_store_query_run(&q, e);
	if (code == 0)
		code = trim_crls(w, r, e);
	if (code < 0)
		return code;
	snprintf(number, sizeof(number), "%u", r->issuer + 1);
	if (r->issuer != 0)
		app_audit_put_text(&w->detail, "generation", number);
	snprintf(number, sizeof(number), "%lld", (long long)r->number);
	app_audit_put_text(&w->detail, "number", number);
	snprintf(number, sizeof(number), "%lld", (long long)r->base);
	if (r->base != 0)
		app_audit_put_text(&w->detail, "base", number);
	put_der_hash(w, r->der);
	return app_store_change_audit(w, r, APP_AUDIT_CRL, (struct bytes){NULL, 0}, "", e);
}

/* 1: exactly this certificate is there. */
static int
has_certificate(struct app_store_writer *w, const struct app_store_request *r, struct err *e)
{
	AUTO_QUERY q = app_store_query(w->db, APP_STMT_CERTIFICATE_DER);
	int code;

	app_store_query_blob(&q, request_serial(r));
	code = app_store_query_step(&q, e);
	if (code == 1 && !bytes_equal(app_store_query_get_blob(&q, 0), r->der))
		return err_set(e, ERR_EXISTS, 0, "another certificate has this serial number");
	return code;
}

static int
put_ca(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	struct app_store_row row = {
		.serial = request_serial(r), .issuer = r->issuer, .der = r->der, .reason = APP_REASON_NONE};
	int code;

	if (r->usage < 0 || r->usage >= APP_USAGE_COUNT || r->der.len == 0)
		return err_set(e, ERR_FORMAT, 0, "a certificate without usage or content");
	code = has_certificate(w, r, e);
	if (code != 0)
		return code == 1 ? 0 : code;
	row.usage = app_usage_name((enum app_usage)r->usage);
	row.not_before = r->not_before;
	row.not_after = r->not_after;
	row.issued = app_store_change_now(r);
	row.subject = r->subject;
	row.template_name = r->template_name;
	row.peer = r->peer;
	code = app_store_change_insert(w, &row, e);
	if (code < 0)
		return code;
	app_audit_put_text(&w->detail, "usage", row.usage);
	put_der_hash(w, r->der);
	return app_store_change_audit(w, r, r->usage == APP_USAGE_CA ? APP_AUDIT_CA_IMPORTED : APP_AUDIT_ISSUE,
				      row.serial, r->subject, e);
}

int
app_store_change_run(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	buf_clear(&w->detail);
	switch (r->op) {
	case APP_STORE_RESERVE:
		return app_store_change_reserve(w, r, e);
	case APP_STORE_ISSUE:
		return issue(w, r, e);
	case APP_STORE_ABANDON:
		return abandon(w, r, e);
	case APP_STORE_REFUSE:
		return refuse(w, r, e);
	case APP_STORE_HOLD:
		return app_store_change_hold(w, r, e);
	case APP_STORE_APPROVE:
	case APP_STORE_DENY:
		return app_store_change_decide(w, r, e);
	case APP_STORE_CHALLENGE:
		return app_store_change_create(w, r, e);
	case APP_STORE_CHALLENGE_REVOKE:
		return app_store_change_revoke_challenge(w, r, e);
	case APP_STORE_ACCOUNT_ADD:
	case APP_STORE_ACCOUNT_REMOVE:
	case APP_STORE_ACCOUNT_PASSWORD:
	case APP_STORE_ACCOUNT_CHANGE:
	case APP_STORE_ACCOUNT_FAILED:
		return app_store_change_account(w, r, e);
	case APP_STORE_REVOKE:
		return revoke(w, r, e);
	case APP_STORE_RELEASE:
		return release(w, r, e);
	case APP_STORE_CRL_PUT:
		return put_crl(w, r, e);
	case APP_STORE_TEMPLATE_PUT:
	case APP_STORE_TEMPLATE_REMOVE:
	case APP_STORE_TEMPLATE_PERMIT:
		return app_store_change_template(w, r, e);
	case APP_STORE_POLICY_PUT:
	case APP_STORE_POLICY_REMOVE:
	case APP_STORE_POLICY_CHAIN:
		return app_store_change_policy(w, r, e);
	case APP_STORE_CERTPROFILE_PUT:
	case APP_STORE_CERTPROFILE_REMOVE:
	case APP_STORE_REGISTRATION_NOTE:
	case APP_STORE_REGISTRATION_END:
		return app_store_change_registration(w, r, e);
	case APP_STORE_POINT_ADD:
	case APP_STORE_POINT_REMOVE:
	case APP_STORE_TRUST_PUT:
	case APP_STORE_TRUST_REMOVE:
		return app_store_change_point(w, r, e);
	case APP_STORE_CA_PUT:
		return put_ca(w, r, e);
	case APP_STORE_ISSUER_PREPARE:
	case APP_STORE_ROLLOVER_AT:
	case APP_STORE_ROLLOVER_CANCEL:
	case APP_STORE_ROLLOVER:
		return app_store_change_issuer(w, r, e);
	default:
		return err_set(e, ERR_INTERNAL, 0, "not a change");
	}
}
