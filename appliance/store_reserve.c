/*
 * The beginning of a certificate in the store: may there be one, and the intent that says so.
 */
#include <string.h>

#include "appliance/store_change.h"
#include "appliance/store_read.h"
#include "board/base/clock.h"
#include "board/base/x509.h"

/* The end of time (RFC 5280 4.1.2.5): what a crash left may have been signed for any time. */
static const int64_t NO_END = 253402300799;

int
app_store_change_check_transaction(struct app_store_writer *w, struct app_store_request *r, struct bytes hash,
				   struct err *e)
{
	struct err failed = {0};
	bool compromised;
	int code;

	code = app_store_read_transaction(w->db, r, &failed);
	if (code == 0)
		return err_set(e, ERR_EXISTS, 0, "this transaction has its certificate already");
	compromised = r->record_count > 0 && r->records[0].reason == APP_REASON_KEY_COMPROMISE;
	app_store_request_fini(r); /* one that ended or is revoked helps nobody */
	if (compromised)
		return err_set(e, ERR_DENIED, 0, "the key was revoked as compromised");
	if (code < 0 && code != ERR_UNKNOWN)
		return err_set(e, code, failed.detail, "%s", failed.text);
	code = app_store_change_exists(w, APP_STMT_INTENT_OF_TRANSACTION, hash, e);
	return code == 1 ? err_set(e, ERR_BUSY, 0, "this transaction is being answered") : code;
}

/* A renewal is as good as its old certificate is at this moment. */
static int
check_old(struct app_store_writer *w, const struct app_store_request *r, struct err *e)
{
	AUTO_QUERY q = app_store_query(w->db, APP_STMT_CERTIFICATE_OLD);
	uint8_t hash[APP_HASH_SIZE];
	int code;

	app_store_query_blob(&q, (struct bytes){r->old_serial, sizeof(r->old_serial)});
	code = app_store_query_step(&q, e);
	if (code < 0)
		return code;
	x509_sha256(app_store_query_get_blob(&q, 2), hash);
	if (code == 0 || memcmp(hash, r->old_hash, sizeof(hash)) != 0)
		return err_set(e, ERR_UNKNOWN, 0, "renewal: the old certificate is not in the store");
	if (app_usage_parse(app_store_query_get_text(&q, 0)) != APP_USAGE_DEVICE)
		return err_set(e, ERR_DENIED, 0, "renewal: the old certificate is not that of a device");
	if (app_store_query_get_int(&q, 1) != 0)
		return err_set(e, ERR_DENIED, 0, "renewal: the old certificate is revoked");
	return 0;
}

static int
check_reserve(struct app_store_writer *w, struct app_store_request *r, struct bytes transaction, struct err *e)
{
	int code;

	if (r->usage < 0 || r->usage >= APP_USAGE_COUNT)
		return err_set(e, ERR_FORMAT, 0, "no such usage");
	code = app_store_change_exists(w, APP_STMT_SERIAL_USED, (struct bytes){r->serial, sizeof(r->serial)}, e);
	if (code == 1)
		return err_set(e, ERR_STAGE, 0, "the serial number is in use");
	if (code == 0 && transaction.len > 0)
		code = app_store_change_check_transaction(w, r, transaction, e);
	if (code == 0 && r->number != 0)
		code = app_store_change_check_approved(w, r, transaction, e);
	if (code == 0 && r->renews)
		code = check_old(w, r, e);
	if (code == 0 && r->has_challenge)
		code = app_store_change_check_challenge(w, r, transaction, e);
	return code;
}

int
app_store_change_reserve(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	struct app_store_query q;
	char when[24];
	uint8_t hash[APP_STORE_TXHASH_SIZE];
	struct bytes transaction = {NULL, 0};
	struct bytes challenge = {r->challenge_hash, sizeof(r->challenge_hash)};
	int code;

	if (r->transaction_id[0] != '\0') {
		app_store_read_transaction_hash(r, hash);
		transaction = (struct bytes){hash, sizeof(hash)};
	}
	code = check_reserve(w, r, transaction, e);
	if (code < 0)
		return code;
	q = app_store_query(w->db, APP_STMT_INTENT_ADD);
	app_store_query_blob(&q, (struct bytes){r->serial, sizeof(r->serial)});
	app_store_query_text(&q, app_usage_name((enum app_usage)r->usage));
	app_store_query_blob(&q, (struct bytes){r->tbs_hash, sizeof(r->tbs_hash)});
	app_store_query_blob(&q, transaction);
	app_store_query_blob(&q, r->has_challenge ? challenge : (struct bytes){NULL, 0});
	app_store_query_int(&q, app_store_change_now(r));
	app_store_query_int(&q, r->not_after > 0 ? r->not_after : NO_END);
	app_store_query_text(&q, r->subject);
	app_store_query_text(&q, r->template_name);
	app_store_query_text(&q, r->peer);
	app_store_query_int(&q, r->issuer);
	code = app_store_query_run(&q, e);
	if (code < 0)
		return code;
	app_audit_put_text(&w->detail, "usage", app_usage_name((enum app_usage)r->usage));
	app_audit_put_text(&w->detail, "template", r->template_name);
	if (r->actor[0] != '\0')
		app_audit_put_text(&w->detail, "peer", r->peer);
	app_audit_put_text(&w->detail, "transaction", r->transaction_id);
	app_audit_put_bytes(&w->detail, "key", (struct bytes){r->key_hash, sizeof(r->key_hash)});
	app_audit_put_bytes(&w->detail, "tbs", (struct bytes){r->tbs_hash, sizeof(r->tbs_hash)});
	if (r->renews)
		app_audit_put_bytes(&w->detail, "renews", (struct bytes){r->old_serial, sizeof(r->old_serial)});
	if (r->expires != 0)
		app_audit_put_text(&w->detail, "requested_not_after", clock_text(r->expires, when, sizeof(when)));
	if (r->has_challenge)
		app_store_change_put_challenge(w, r);
	return app_store_change_audit(w, r, APP_AUDIT_INTENT, (struct bytes){r->serial, sizeof(r->serial)}, r->subject,
				      e);
}
