#include "appliance/store_db.h"

#include <stdio.h>
#include <string.h>

#include <sqlite3.h>

#define STMT(name, sql) sql,
static const char *const statements[] = {
#include "appliance/store_sql.def"
};
#undef STMT

static int
failure(struct app_store_db *db, int rc, const char *step, struct err *e)
{
	const char *text = db->handle != NULL ? sqlite3_errmsg(db->handle) : sqlite3_errstr(rc);

	if ((rc & 0xff) == SQLITE_INTERRUPT)
		return err_set(e, ERR_CLOSED, (uint32_t)rc, "%s: the store closes", step);
	return err_set(e, ERR_STORE, (uint32_t)rc, "%s: %s", step, text);
}

static int
configure(struct app_store_db *db, int64_t cache_kib, struct err *e)
{
	char sql[400];
	int rc;

	/*
	 * FULL: a commit is on the disk before it is answered.  Temporary tables stay in memory: nothing of the store
	 * is written outside its folder, and the sandbox need not allow more files.
	 */
	snprintf(sql, sizeof(sql),
		 "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA cache_size=-%lld; "
		 "PRAGMA temp_store=MEMORY; PRAGMA journal_size_limit=67108864; PRAGMA trusted_schema=OFF; "
		 "PRAGMA cell_size_check=ON; PRAGMA wal_autocheckpoint=2000",
		 (long long)cache_kib);
	rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : failure(db, sqlite3_extended_errcode(db->handle), "opening the store", e);
}

int
app_store_db_open(const char *path, int64_t cache_kib, struct app_store_db **ret_db, struct err *e)
{
	AUTO_STRUCT(app_store_db) db = calloc(1, sizeof(*db));
	int rc;

	if (db == NULL)
		return err_set(e, ERR_NOMEM, 0, "opening the store");
	/*
	 * No mutexes: a connection belongs to one thread.  No busy handler: there is one writer, and readers do not
	 * wait.
	 */
	rc = sqlite3_open_v2(path, &db->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW,
			     NULL);
	if (rc != SQLITE_OK)
		return failure(db, rc, "opening the store", e);
	sqlite3_extended_result_codes(db->handle, 1);
	rc = configure(db, cache_kib, e);
	if (rc < 0)
		return rc;
	*ret_db = TAKE(db);
	return 0;
}

void
app_store_db_close(struct app_store_db *db)
{
	if (db == NULL)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(db->stmts); i++)
		sqlite3_finalize(db->stmts[i]);
	sqlite3_close(db->handle);
	free(db);
}

void
app_store_db_interrupt(struct app_store_db *db)
{
	sqlite3_interrupt(db->handle);
}

bool
app_store_db_idle(const struct app_store_db *db)
{
	return sqlite3_get_autocommit(db->handle) != 0;
}

struct app_store_query
app_store_query(struct app_store_db *db, enum app_store_stmt id)
{
	struct app_store_query q = {.db = db, .next = 1};

	if (db->stmts[id] == NULL)
		q.rc = sqlite3_prepare_v3(db->handle, statements[id], -1, SQLITE_PREPARE_PERSISTENT, &db->stmts[id],
					  NULL);
	q.stmt = db->stmts[id];
	return q;
}

static void
note(struct app_store_query *q, int rc)
{
	if (q->rc == SQLITE_OK)
		q->rc = rc;
}

void
app_store_query_int(struct app_store_query *q, int64_t v)
{
	note(q, sqlite3_bind_int64(q->stmt, q->next++, v));
}

void
app_store_query_text(struct app_store_query *q, const char *s)
{
	note(q, sqlite3_bind_text(q->stmt, q->next++, s, -1, SQLITE_STATIC));
}

void
app_store_query_blob(struct app_store_query *q, struct bytes v)
{
	note(q, sqlite3_bind_blob64(q->stmt, q->next++, v.data, v.len, SQLITE_STATIC));
}

int
app_store_query_step(struct app_store_query *q, struct err *e)
{
	int rc = q->rc;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(q->stmt);
	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_DONE)
		return 0;
	q->rc = rc;
	return failure(q->db, rc,
		       q->stmt != NULL ? "writing or reading the store" : "preparing a statement of the store", e);
}

int64_t
app_store_query_get_int(struct app_store_query *q, int column)
{
	return sqlite3_column_int64(q->stmt, column);
}

const char *
app_store_query_get_text(struct app_store_query *q, int column)
{
	const unsigned char *text = sqlite3_column_text(q->stmt, column);

	return text != NULL ? (const char *)text : "";
}

struct bytes
app_store_query_get_blob(struct app_store_query *q, int column)
{
	struct bytes v;

	v.data = sqlite3_column_blob(q->stmt, column);
	v.len = v.data != NULL ? (size_t)sqlite3_column_bytes(q->stmt, column) : 0;
	return v;
}

void
app_store_query_end(struct app_store_query *q)
{
	if (q->stmt != NULL)
		sqlite3_reset(q->stmt);
	q->stmt = NULL;
}

int
app_store_query_run(struct app_store_query *q, struct err *e)
{
	int code = app_store_query_step(q, e);

	app_store_query_end(q);
	return code < 0 ? code : 0;
}

bool
app_store_error_of_request(const struct err *e)
{
	int primary = (int)(e->detail & 0xff);

	return e->code == ERR_STORE &&
	       (primary == SQLITE_CONSTRAINT || primary == SQLITE_TOOBIG || primary == SQLITE_MISMATCH);
}

bool
app_store_error_of_sync(const struct err *e)
{
	return e->code == ERR_STORE && (e->detail == SQLITE_IOERR_FSYNC || e->detail == SQLITE_IOERR_DIR_FSYNC);
}
