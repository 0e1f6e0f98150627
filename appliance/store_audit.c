#include <string.h>

#include <openssl/crypto.h>

#include "appliance/store_read.h"

enum { PAGE_MAX = 10000, PAGE_BYTES = 16 << 20 };

int
app_store_audit_add(struct app_store_writer *w, enum app_audit_event event, int64_t now, const char *actor,
		    struct bytes serial, const char *subject, struct err *e)
{
	struct app_store_query q = app_store_query(w->db, APP_STMT_AUDIT_ADD);
	struct app_store_tail next = {.seq = w->state.tail.seq + 1};
	struct app_audit_record record = {
		.seq = next.seq, .time = now, .actor = actor, .serial = serial, .subject = subject};
	int code;

	buf_put_u8(&w->detail, 0);
	if (buf_status(&w->detail) < 0)
		return err_set(e, ERR_STORE, 0, "audit record: %s", err_name(buf_status(&w->detail)));
	record.event = app_audit_event_name(event);
	record.detail = (const char *)w->detail.data;
	code = app_audit_chain_next(w->chain, w->state.tail.hash, &record, next.hash, NULL);
	if (code < 0)
		return err_set(e, ERR_STORE, 0, "audit record: %s", err_name(code));
	app_store_query_int(&q, record.seq);
	app_store_query_int(&q, record.time);
	app_store_query_text(&q, record.event);
	app_store_query_text(&q, record.actor);
	app_store_query_blob(&q, record.serial);
	app_store_query_text(&q, record.subject);
	app_store_query_text(&q, record.detail);
	app_store_query_blob(&q, (struct bytes){next.hash, sizeof(next.hash)});
	code = app_store_query_run(&q, e);
	if (code < 0)
		return code;
	w->state.tail = next;
	return 0;
}

/* The record of the current row and its stored hash. */
static struct bytes
take_record(struct app_store_query *q, struct app_audit_record *record)
{
	record->seq = app_store_query_get_int(q, 0);
	record->time = app_store_query_get_int(q, 1);
	record->event = app_store_query_get_text(q, 2);
	record->actor = app_store_query_get_text(q, 3);
	record->serial = app_store_query_get_blob(q, 4);
	record->subject = app_store_query_get_text(q, 5);
	record->detail = app_store_query_get_text(q, 6);
	return app_store_query_get_blob(q, 7);
}

int
app_store_audit_page(struct app_store_db *db, struct app_store_request *r, struct err *e)
{
	AUTO_QUERY q = app_store_query(db, APP_STMT_AUDIT_PAGE);
	struct app_audit_record record;
	struct bytes hash;
	int code;

	buf_init(&r->out, PAGE_BYTES);
	app_store_query_int(&q, r->limit > 0 && r->limit < PAGE_MAX ? r->limit : PAGE_MAX);
	app_store_query_int(&q, r->offset > 0 ? r->offset : 0);
	for (code = app_store_query_step(&q, e); code == 1; code = app_store_query_step(&q, e)) {
		hash = take_record(&q, &record);
		app_audit_line(&r->out, &record, hash);
	}
	if (code == 0)
		code = buf_status(&r->out);
	return code < 0 ? err_set(e, code, 0, "reading the audit trail") : 0;
}

/* Where the walk along the chain is. */
struct walk {
	struct app_audit_chain *chain;
	struct app_store_tail at;
	const struct app_store_tail *must; /* the end that the open store remembers */
};

/* Text behind a NUL, which neither the hash nor a reader of the record would see. */
static bool
has_hidden_text(struct app_store_query *q)
{
	static const int texts[] = {2, 3, 5, 6};
	struct bytes text;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		text = app_store_query_get_blob(q, texts[i]);
		if (text.len > 0 && memchr(text.data, 0, text.len) != NULL)
			return true;
	}
	return false;
}

static bool
holds(struct walk *walk, struct app_store_query *q)
{
	uint8_t hash[APP_AUDIT_HASH_SIZE];
	struct app_audit_record record;
	struct bytes stored = take_record(q, &record);

	if (record.seq != walk->at.seq + 1 || stored.len != sizeof(hash) || has_hidden_text(q) ||
	    app_audit_chain_next(walk->chain, walk->at.hash, &record, hash, NULL) < 0 ||
	    CRYPTO_memcmp(hash, stored.data, sizeof(hash)) != 0)
		return false;
	if (record.seq == walk->must->seq && CRYPTO_memcmp(hash, walk->must->hash, sizeof(hash)) != 0)
		return false;
	walk->at.seq = record.seq;
	memcpy(walk->at.hash, hash, sizeof(hash));
	return true;
}

/*
 * The next few thousand records: a read transaction must end now and then, or the WAL cannot be folded in.  0: no
 * more.
 */
static int
walk_some(struct walk *walk, struct app_store_db *db, struct err *e)
{
	AUTO_QUERY q = app_store_query(db, APP_STMT_AUDIT_NEXT);
	int rows = 0;
	int code;

	app_store_query_int(&q, walk->at.seq);
	for (code = app_store_query_step(&q, e); code == 1; code = app_store_query_step(&q, e)) {
		if (!holds(walk, &q))
			return err_set(e, ERR_VERIFY, 0, "the audit chain breaks at record %lld",
				       (long long)walk->at.seq + 1);
		rows = 1;
	}
	return code < 0 ? code : rows;
}

int
app_store_audit_check(struct app_store_db *db, struct app_store_request *r, const struct app_store_tail *tail,
		      struct err *e)
{
	AUTO_STRUCT(app_audit_chain) chain = NULL;
	struct walk walk = {.must = tail};
	int code;

	code = app_audit_chain_new(&chain, e);
	if (code < 0)
		return code;
	walk.chain = chain;
	do {
		code = walk_some(&walk, db, e);
	} while (code == 1);
	if (code == 0 && walk.at.seq < tail->seq)
		code = err_set(e, ERR_VERIFY, 0, "the audit chain ends at record %lld of %lld", (long long)walk.at.seq,
			       (long long)tail->seq);
	if (code < 0 && code != ERR_VERIFY)
		return code;
	r->number = code == 0 ? walk.at.seq : walk.at.seq + 1;
	r->counts.audit_records = r->number;
	return code;
}
