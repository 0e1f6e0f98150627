#include "appliance/store_read.h"

#include <stdio.h>
#include <string.h>

#include "appliance/store_registration.h"
#include "board/base/clock.h"
#include "board/base/x509.h"

enum { LIST_DEFAULT = 100, LIST_MAX = 10000 };

void
app_store_read_transaction_hash(const struct app_store_request *r, uint8_t ret_hash[APP_STORE_TXHASH_SIZE])
{
	uint8_t text[APP_TRANSACTION_MAX + APP_HASH_SIZE];
	uint8_t hash[APP_HASH_SIZE];
	size_t len = strnlen(r->transaction_id, APP_TRANSACTION_MAX);

	/* The key's hash has a fixed size, so the two need no separator.  Two devices may use one transaction id. */
	memcpy(text, r->transaction_id, len);
	memcpy(text + len, r->key_hash, APP_HASH_SIZE);
	x509_sha256((struct bytes){text, len + APP_HASH_SIZE}, hash);
	memcpy(ret_hash, hash, APP_STORE_TXHASH_SIZE);
}

static int64_t
request_now(const struct app_store_request *r)
{
	return r->now > 0 ? r->now : clock_wall();
}

/* Takes the RECORD_COLUMNS of the current row apart and appends them to the request's records. */
static int
add_record(struct app_store_request *r, struct app_store_query *q, struct err *e)
{
	struct app_record *more = reallocarray(r->records, r->record_count + 1, sizeof(*more));
	struct bytes serial = app_store_query_get_blob(q, 0);
	struct bytes der = app_store_query_get_blob(q, 10);
	struct app_record *record;

	if (more == NULL)
		return err_set(e, ERR_NOMEM, 0, "reading certificates");
	r->records = more;
	record = &more[r->record_count];
	memset(record, 0, sizeof(*record));
	if (serial.len != sizeof(record->serial))
		return err_set(e, ERR_STORE, 0, "a serial number in the store has the wrong size");
	memcpy(record->serial, serial.data, serial.len);
	record->usage = (enum app_usage)app_usage_parse(app_store_query_get_text(q, 1));
	record->not_before = app_store_query_get_int(q, 2);
	record->not_after = app_store_query_get_int(q, 3);
	record->issued = app_store_query_get_int(q, 4);
	record->revoked = app_store_query_get_int(q, 5);
	record->reason = (int)app_store_query_get_int(q, 6);
	snprintf(record->subject, sizeof(record->subject), "%s", app_store_query_get_text(q, 7));
	snprintf(record->template_name, sizeof(record->template_name), "%s", app_store_query_get_text(q, 8));
	snprintf(record->peer, sizeof(record->peer), "%s", app_store_query_get_text(q, 9));
	record->der = bytes_dup(der);
	if (der.len > 0 && record->der.data == NULL)
		return err_set(e, ERR_NOMEM, 0, "reading certificates");
	record->invalidity = app_store_query_get_int(q, 11);
	record->issuer = (unsigned)app_store_query_get_int(q, 12);
	if (record->issuer >= CA_GENERATIONS)
		return err_set(e, ERR_STORE, 0, "a certificate in the store is of an unknown CA");
	r->record_count++;
	return 0;
}

static int
add_records(struct app_store_request *r, struct app_store_query *q, struct err *e)
{
	int code;

	for (code = app_store_query_step(q, e); code == 1; code = app_store_query_step(q, e)) {
		code = add_record(r, q, e);
		if (code < 0)
			return code;
	}
	return code;
}

int
app_store_read_transaction(struct app_store_db *db, struct app_store_request *r, struct err *e)
{
	AUTO_QUERY q = app_store_query(db, APP_STMT_BY_TRANSACTION);
	uint8_t hash[APP_STORE_TXHASH_SIZE];
	struct bytes want = {hash, sizeof(hash)};
	int code;

	if (r->transaction_id[0] == '\0')
		return err_set(e, ERR_UNKNOWN, 0, "no transaction");
	app_store_read_transaction_hash(r, hash);
	app_store_query_blob(&q, want);
	code = app_store_query_step(&q, e);
	if (code < 0)
		return code;
	if (code == 0 || !bytes_equal(app_store_query_get_blob(&q, 13), want))
		return err_set(e, ERR_UNKNOWN, 0, "no certificate of this transaction and key");
	code = add_record(r, &q, e);
	if (code == 0 && (r->records[0].revoked != 0 || r->records[0].not_after <= request_now(r)))
		code = err_set(e, ERR_UNKNOWN, 0, "the certificate of this transaction has ended or is revoked");
	return code;
}

static int
show(struct app_store_db *db, struct app_store_request *r, struct err *e)
{
	AUTO_QUERY q = app_store_query(db, APP_STMT_BY_SERIAL);
	int code;

	app_store_query_blob(&q, (struct bytes){r->serial, sizeof(r->serial)});
	code = add_records(r, &q, e);
	if (code == 0 && r->record_count == 0)
		code = err_set(e, ERR_UNKNOWN, 0, "no certificate has this serial number");
	return code;
}

static enum app_store_stmt
list_statement(const struct app_store_request *r)
{
	if (r->usage < 0 && r->text[0] == '\0')
		return APP_STMT_LIST_ALL;
	/* The CA's own are few and found by index, while a search of the devices reads them all. */
	return r->usage > APP_USAGE_DEVICE ? APP_STMT_LIST_OWN : APP_STMT_LIST_SEARCH;
}

static int
list_some(struct app_store_db *db, struct app_store_request *r, struct err *e)
{
	enum app_store_stmt id = list_statement(r);
	AUTO_QUERY q = app_store_query(db, id);

	if (r->usage >= APP_USAGE_COUNT)
		return err_set(e, ERR_FORMAT, 0, "no such usage");
	app_store_query_int(&q, r->limit <= 0 ? LIST_DEFAULT : r->limit < LIST_MAX ? r->limit : LIST_MAX);
	app_store_query_int(&q, r->offset > 0 ? r->offset : 0);
	if (id != APP_STMT_LIST_ALL) {
		app_store_query_text(&q, r->usage < 0 ? "" : app_usage_name((enum app_usage)r->usage));
		app_store_query_text(&q, r->text);
	}
	return add_records(r, &q, e);
}

static int
current(struct app_store_db *db, struct app_store_request *r, struct err *e)
{
	AUTO_QUERY q = app_store_query(db, APP_STMT_CURRENT);

	if (r->usage <= APP_USAGE_DEVICE || r->usage >= APP_USAGE_COUNT)
		return err_set(e, ERR_FORMAT, 0, "current certificates are those of the CA itself");
	app_store_query_text(&q, app_usage_name((enum app_usage)r->usage));
	app_store_query_int(&q, request_now(r));
	return add_records(r, &q, e);
}

static int
crl_get(struct app_store_db *db, struct app_store_request *r, struct err *e)
{
	AUTO_QUERY q = app_store_query(db, APP_STMT_CRL_GET);
	struct bytes der;
	int code;

	app_store_query_int(&q, r->issuer);
	code = app_store_query_step(&q, e);
	if (code < 0)
		return code;
	if (code == 0)
		return err_set(e, ERR_UNKNOWN, 0, "there is no CRL yet");
	der = bytes_dup(app_store_query_get_blob(&q, 3));
	if (der.data == NULL)
		return err_set(e, ERR_NOMEM, 0, "reading the CRL");
	r->number = app_store_query_get_int(&q, 0);
	r->this_update = app_store_query_get_int(&q, 1);
	r->next_update = app_store_query_get_int(&q, 2);
	r->changes = app_store_query_get_int(&q, 4);
	r->last = app_store_query_get_int(&q, 5);
	r->der = der;
	return 0;
}

static int
tell_each(struct app_store_query *q, const struct app_store_request *r, struct err *e)
{
	struct app_revoked entry;
	struct bytes serial;
	int code;

	for (code = app_store_query_step(q, e); code == 1; code = app_store_query_step(q, e)) {
		serial = app_store_query_get_blob(q, 0);
		if (serial.len != APP_SERIAL_SIZE)
			return err_set(e, ERR_STORE, 0, "a serial number in the store has the wrong size");
		memcpy(entry.serial, serial.data, APP_SERIAL_SIZE);
		entry.revoked = app_store_query_get_int(q, 1);
		entry.reason = (int)app_store_query_get_int(q, 2);
		entry.invalidity = app_store_query_get_int(q, 3);
		r->each(&entry, r->each_arg);
	}
	return code;
}

static int
revoked(struct app_store_db *db, struct app_store_request *r, struct err *e)
{
	AUTO_QUERY q = app_store_query(db, APP_STMT_CHANGES_LAST);
	int code;

	/* Asked first: what comes in between is told twice, never missed. */
	code = app_store_query_step(&q, e);
	if (code < 0)
		return code;
	r->changes = app_store_query_get_int(&q, 0);
	app_store_query_end(&q);
	q = app_store_query(db, APP_STMT_REVOKED);
	app_store_query_int(&q, request_now(r) - r->grace);
	app_store_query_int(&q, r->issuer);
	return tell_each(&q, r, e);
}

static int
changed(struct app_store_db *db, struct app_store_request *r, struct err *e)
{
	AUTO_QUERY q = app_store_query(db, APP_STMT_CHANGED);

	app_store_query_int(&q, r->changes);
	app_store_query_int(&q, r->issuer);
	return tell_each(&q, r, e);
}

static int
count(struct app_store_db *db, enum app_store_stmt id, bool by_time, int64_t now, int64_t *ret_count, struct err *e)
{
	AUTO_QUERY q = app_store_query(db, id);
	int code;

	if (by_time)
		app_store_query_int(&q, now);
	code = app_store_query_step(&q, e);
	if (code < 0)
		return code;
	*ret_count = app_store_query_get_int(&q, 0);
	return 0;
}

static int
counts(struct app_store_db *db, struct app_store_request *r, struct err *e)
{
	struct app_store_counts *c = &r->counts;
	int64_t now = request_now(r);
	int code;

	code = count(db, APP_STMT_COUNT_ISSUED, false, now, &c->issued, e);
	if (code == 0)
		code = count(db, APP_STMT_COUNT_VALID, true, now, &c->valid, e);
	if (code == 0)
		code = count(db, APP_STMT_COUNT_REVOKED, false, now, &c->revoked, e);
	if (code == 0)
		code = count(db, APP_STMT_CHALLENGE_OPEN, true, now, &c->challenges_open, e);
	if (code == 0)
		code = count(db, APP_STMT_COUNT_INTENTS, false, now, &c->intents_open, e);
	if (code == 0)
		code = count(db, APP_STMT_COUNT_WAITING, true, now, &c->requests_waiting, e);
	if (code == 0)
		code = count(db, APP_STMT_COUNT_AUDIT, false, now, &c->audit_records, e);
	return code;
}

/* The certificate of a transaction, or what became of its request until now. */
static int
transaction(struct app_store_db *db, struct app_store_request *r, struct err *e)
{
	struct err why = {0};
	int code = app_store_read_transaction(db, r, &why);

	if (code == 0)
		return 0;
	app_store_request_fini(r);
	if (code != ERR_UNKNOWN)
		return err_set(e, code, why.detail, "%s", why.text);
	return app_store_read_held_state(db, r, e);
}

int
app_store_read_run(struct app_store_db *db, struct app_store_request *r, const struct app_store_tail *tail,
		   struct err *e)
{
	switch (r->op) {
	case APP_STORE_TRANSACTION:
		return transaction(db, r, e);
	case APP_STORE_ACCOUNT_LOGIN:
	case APP_STORE_ACCOUNT_HASH:
	case APP_STORE_ACCOUNT_OF:
	case APP_STORE_ACCOUNT_ALL:
		return app_store_read_account(db, r, e);
	case APP_STORE_HELD:
		return app_store_read_held(db, r, e);
	case APP_STORE_CERTPROFILE:
	case APP_STORE_REGISTRATION_FIND:
		return app_store_read_registration(db, r, e);
	case APP_STORE_CHALLENGES:
		return app_store_read_challenges(db, r, e);
	case APP_STORE_SHOW:
		return show(db, r, e);
	case APP_STORE_LIST:
		return list_some(db, r, e);
	case APP_STORE_CURRENT:
		return current(db, r, e);
	case APP_STORE_CRL_GET:
		return crl_get(db, r, e);
	case APP_STORE_REVOKED:
		return revoked(db, r, e);
	case APP_STORE_CHANGED:
		return changed(db, r, e);
	case APP_STORE_ISSUER_END:
		return app_store_read_issuer_end(db, r, e);
	case APP_STORE_COUNTS:
		return counts(db, r, e);
	case APP_STORE_AUDIT:
		return app_store_audit_page(db, r, e);
	case APP_STORE_AUDIT_CHECK:
		return app_store_audit_check(db, r, tail, e);
	default:
		return err_set(e, ERR_INTERNAL, 0, "not a look-up");
	}
}
