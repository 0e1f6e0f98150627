#include "appliance/store_writer.h"

#include <stdio.h>
#include <string.h>

#include "board/base/clock.h"
#include "board/base/log.h"

/* An audit record's detail is a few hundred bytes; four times a request's texts, all escaped, must fit. */
enum { DETAIL_MAX = 8192 };

/* Intents that the start resolves with one commit. */
enum { RECOVER_BATCH = 64 };

static int
read_tail(struct app_store_writer *w, struct err *e)
{
	AUTO_QUERY q = app_store_query(w->db, APP_STMT_AUDIT_LAST);
	struct bytes hash;
	int code;

	code = app_store_query_step(&q, e);
	if (code <= 0)
		return code;
	hash = app_store_query_get_blob(&q, 1);
	if (hash.len != sizeof(w->state.tail.hash))
		return err_set(e, ERR_STORE, 0, "the last audit record is damaged");
	w->state.tail.seq = app_store_query_get_int(&q, 0);
	memcpy(w->state.tail.hash, hash.data, hash.len);
	return 0;
}

int
app_store_writer_open(const char *path, int64_t cache_kib, struct app_store_writer **ret_writer, struct err *e)
{
	AUTO_STRUCT(app_store_writer) w = calloc(1, sizeof(*w));
	int code;

	if (w == NULL)
		return err_set(e, ERR_NOMEM, 0, "opening the store");
	buf_init(&w->detail, DETAIL_MAX);
	code = app_audit_chain_new(&w->chain, e);
	if (code == 0)
		code = app_store_db_open(path, cache_kib, &w->db, e);
	if (code == 0)
		code = read_tail(w, e);
	if (code < 0)
		return code;
	*ret_writer = TAKE(w);
	return 0;
}

void
app_store_writer_close(struct app_store_writer *w)
{
	if (w == NULL)
		return;
	app_store_db_close(w->db);
	app_audit_chain_free(w->chain);
	buf_fini(&w->detail);
	free(w);
}

static int
run(struct app_store_writer *w, enum app_store_stmt id, struct err *e)
{
	struct app_store_query q = app_store_query(w->db, id);

	return app_store_query_run(&q, e);
}

/* Ends a transaction that failed.  SQLite may have done it by itself, so its answer is of no interest. */
static void
roll_back(struct app_store_writer *w, const struct app_store_state *before)
{
	if (!app_store_db_idle(w->db) && run(w, APP_STMT_ROLLBACK, NULL) < 0)
		w->stopped = true;
	w->state = *before;
}

/* Turns one intent into a revoked certificate that nobody has seen. */
static int
resolve(struct app_store_writer *w, struct app_store_query *q, int64_t now, struct err *e)
{
	struct app_store_row row = {.revoked = now, .reason = APP_REASON_UNSPECIFIED};
	struct app_store_query gone = app_store_query(w->db, APP_STMT_INTENT_DELETE);
	struct bytes challenge = app_store_query_get_blob(q, 2);
	int code;

	row.serial = app_store_query_get_blob(q, 0);
	row.issuer = app_store_query_get_int(q, 9);
	row.usage = app_store_query_get_text(q, 1);
	row.issued = row.not_before = app_store_query_get_int(q, 3);
	row.not_after = app_store_query_get_int(q, 4);
	row.subject = app_store_query_get_text(q, 5);
	row.template_name = app_store_query_get_text(q, 6);
	row.peer = app_store_query_get_text(q, 7);
	if (row.serial.len != APP_SERIAL_SIZE)
		return err_set(e, ERR_STORE, 0, "an intent has a serial number of the wrong size");
	/* No transaction_hash: the device may ask again. */
	code = app_store_change_insert(w, &row, e);
	/* Spent, not freed: somebody may have the certificate that this challenge was good for. */
	if (code == 0 && challenge.len > 0)
		code = app_store_change_spend(w, challenge, row.serial, now, e);
	if (code < 0)
		return code;
	app_store_query_blob(&gone, row.serial);
	code = app_store_query_run(&gone, e);
	if (code < 0)
		return code;
	buf_clear(&w->detail);
	app_audit_put_text(&w->detail, "usage", row.usage);
	app_audit_put_bytes(&w->detail, "tbs", app_store_query_get_blob(q, 8));
	return app_store_audit_add(w, APP_AUDIT_INTENT_UNRESOLVED, now, "system", row.serial, row.subject, e);
}

/* What the caller is told about an intent once its revocation is on the disk. */
struct found {
	uint8_t serial[APP_SERIAL_SIZE];
	char subject[256];
	int64_t since;
};

/* Resolves the first intent: 1, or 0 when there is none. */
static int
resolve_first(struct app_store_writer *w, int64_t now, struct found *found, struct err *e)
{
	AUTO_QUERY q = app_store_query(w->db, APP_STMT_INTENT_FIRST);
	int code;

	code = app_store_query_step(&q, e);
	if (code <= 0)
		return code;
	code = resolve(w, &q, now, e);
	if (code < 0)
		return code;
	memcpy(found->serial, app_store_query_get_blob(&q, 0).data, sizeof(found->serial));
	found->since = app_store_query_get_int(&q, 3);
	snprintf(found->subject, sizeof(found->subject), "%s", app_store_query_get_text(&q, 5));
	return 1;
}

static void
report(const struct found *found, app_store_intent_fn intent, void *arg)
{
	char since[32];

	log_event(STORE_INTENT_UNRESOLVED, log_hex((struct bytes){found->serial, sizeof(found->serial)}),
		  log_text(found->subject), clock_text(found->since, since, sizeof(since)));
	if (intent != NULL)
		intent(found->serial, found->subject, found->since, arg);
}

/* Resolves what found has room for; notes that the store is open when nothing is left. */
static int
resolve_some(struct app_store_writer *w, struct found *found, size_t *ret_count, struct err *e)
{
	int64_t now = clock_wall();
	int code = 1;

	for (*ret_count = 0; code == 1 && *ret_count < RECOVER_BATCH; *ret_count += code == 1) {
		memset(&found[*ret_count], 0, sizeof(*found));
		code = resolve_first(w, now, &found[*ret_count], e);
	}
	if (code != 0)
		return code < 0 ? code : 0;
	buf_clear(&w->detail);
	return app_store_audit_add(w, APP_AUDIT_STORE_OPENED, now, "system", (struct bytes){NULL, 0}, "", e);
}

/* One step of the recovery, committed; found and *ret_count: what it resolved, RECOVER_BATCH when there may be more. */
static int
recover_step(struct app_store_writer *w, struct found *found, size_t *ret_count, struct err *e)
{
	struct app_store_state before = w->state;
	int code;

	code = run(w, APP_STMT_BEGIN, e);
	if (code == 0)
		code = resolve_some(w, found, ret_count, e);
	if (code == 0)
		code = run(w, APP_STMT_COMMIT, e);
	if (code < 0)
		roll_back(w, &before);
	return code;
}

int
app_store_writer_recover(struct app_store_writer *w, app_store_intent_fn intent, void *arg, struct err *e)
{
	struct found found[RECOVER_BATCH];
	size_t count = 0;
	int code;

	do {
		code = recover_step(w, found, &count, e);
		for (size_t i = 0; code == 0 && i < count; i++)
			report(&found[i], intent, arg);
	} while (code == 0 && count == RECOVER_BATCH);
	return code;
}

/* A request may be tried twice; each time it starts without an answer. */
static void
forget_answer(struct app_store_request *r)
{
	app_store_request_fini(r);
	memset(&r->e, 0, sizeof(r->e));
	r->code = 0;
	r->verdict = APP_CHALLENGE_OK;
}

/* Changes and purge; the caller commits or rolls back. */
static int
run_changes(struct app_store_writer *w, struct app_store_request *first, struct err *e)
{
	int64_t now = 0;

	for (struct app_store_request *r = first; r != NULL; r = r->next) {
		forget_answer(r);
		r->code = app_store_change_run(w, r, &r->e);
		if (r->code == ERR_STORE)
			return err_set(e, ERR_STORE, r->e.detail, "%s", r->e.text);
		if (r->now > now)
			now = r->now;
	}
	return now > 0 ? app_store_change_purge(w, now, e) : 0;
}

static int
run_transaction(struct app_store_writer *w, struct app_store_request *first, struct err *e)
{
	struct app_store_state before = w->state;
	int code;

	code = run(w, APP_STMT_BEGIN, e);
	if (code == 0)
		code = run_changes(w, first, e);
	if (code == 0)
		code = run(w, APP_STMT_COMMIT, e);
	if (code < 0)
		roll_back(w, &before);
	return code;
}

/* None of the list took effect, whatever was noted for it before. */
static void
fail(struct app_store_writer *w, struct app_store_request *first, const struct err *e)
{
	unsigned count = 0;

	for (struct app_store_request *r = first; r != NULL; r = r->next) {
		forget_answer(r);
		r->code = ERR_STORE;
		r->e = *e;
		count++;
	}
	log_event(STORE_FAILED, count, (unsigned)e->detail, log_text(e->text));
	/*
	 * After a failed fsync the kernel forgets what it could not write, so a second one that succeeds proves
	 * nothing.
	 */
	if (!w->stopped && app_store_error_of_sync(e)) {
		w->stopped = true;
		log_event(STORE_STOPPED, log_text(e->text));
	}
}

/* Each in its own transaction, so that only the one that SQLite does not take fails. */
static void
run_singly(struct app_store_writer *w, struct app_store_request *first)
{
	struct app_store_request *next;
	struct err e;

	for (struct app_store_request *r = first; r != NULL; r = next) {
		next = r->next;
		r->next = NULL;
		memset(&e, 0, sizeof(e));
		if (run_transaction(w, r, &e) < 0)
			fail(w, r, &e);
		r->next = next;
	}
}

void
app_store_writer_run(struct app_store_writer *w, struct app_store_request *first)
{
	struct err e = {0};

	if (w->stopped) {
		(void)err_set(&e, ERR_STORE, 0, "the store takes no change before a restart");
		fail(w, first, &e);
		return;
	}
	if (run_transaction(w, first, &e) == 0)
		return;
	if (first->next != NULL && app_store_error_of_request(&e))
		run_singly(w, first);
	else
		fail(w, first, &e);
}
