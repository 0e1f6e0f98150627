/*
 * appliance/store_db - one connection to the database, and its statements
 *
 * The only wrapper of SQLite: the rest of the store binds, steps and reads through it.  A query remembers the first
 * failure of its bindings; the step reports it.
 *
 * Threads:  a connection is used by one thread at a time; app_store_db_interrupt() may be called by another.
 * Owner:    what a column returns belongs to the query and lives until its next step or end.
 */
#ifndef APPLIANCE_STORE_DB_H
#define APPLIANCE_STORE_DB_H

#include "board/base/buf.h"
#include "board/base/err.h"

struct sqlite3;
struct sqlite3_stmt;

enum app_store_stmt {
#define STMT(name, sql) APP_STMT_##name,
#include "appliance/store_sql.def"
#undef STMT
	APP_STMT_COUNT
};

struct app_store_db {
	struct sqlite3 *handle;
	struct sqlite3_stmt *stmts[APP_STMT_COUNT];
};

struct app_store_query {
	struct app_store_db *db;
	struct sqlite3_stmt *stmt;
	int rc;   /* SQLite's code of the first failure */
	int next; /* parameter to bind next */
};

/*
 * Opens the existing database at path in WAL mode with synchronous=FULL and a page cache of so many KiB.  Fails with
 * ERR_STORE.
 */
MUST_CHECK int app_store_db_open(const char *path, int64_t cache_kib, struct app_store_db **ret_db, struct err *e);

/* Frees the statements and closes; NULL is fine.  The last connection to close folds the WAL into the database. */
void app_store_db_close(struct app_store_db *db);

/* Makes the query that runs on this connection right now, if any, fail with ERR_CLOSED.  Any thread. */
void app_store_db_interrupt(struct app_store_db *db);

/* Outside a transaction?  After a failed COMMIT this tells whether SQLite rolled back by itself. */
bool app_store_db_idle(const struct app_store_db *db);

/* Starts a query; a failure to prepare it is kept for the step.  Ends by app_store_query_end() or AUTO_QUERY. */
struct app_store_query app_store_query(struct app_store_db *db, enum app_store_stmt id);

/* Binds the next parameter.  Bytes and text must live until the query ends. */
void app_store_query_int(struct app_store_query *q, int64_t v);
void app_store_query_text(struct app_store_query *q, const char *s); /* as app_store_query_int(); NULL is SQL's NULL */
void
app_store_query_blob(struct app_store_query *q, struct bytes v); /* as app_store_query_int(); NULL data is SQL's NULL */

/*
 * Runs to the next row: 1, or 0 at the end.  Fails with ERR_STORE, ERR_CLOSED after an interrupt; e->detail is
 * SQLite's code.
 */
MUST_CHECK int app_store_query_step(struct app_store_query *q, struct err *e);

/* A column of the current row; NULL gives 0, "" and empty bytes. */
int64_t app_store_query_get_int(struct app_store_query *q, int column);
const char *app_store_query_get_text(struct app_store_query *q, int column);  /* as app_store_query_get_int() */
struct bytes app_store_query_get_blob(struct app_store_query *q, int column); /* as app_store_query_get_int() */

/* Gives back the statement's locks and bindings. */
void app_store_query_end(struct app_store_query *q);

/* Runs a query without answer to its end, and ends it.  Fails as app_store_query_step(). */
MUST_CHECK int app_store_query_run(struct app_store_query *q, struct err *e);

/* Was it this one request that SQLite did not take (a constraint, a size), not the database that failed? */
bool app_store_error_of_request(const struct err *e);

/* Is it unknown what is on the disk (an fsync failed)?  Then nothing more may be written before a restart. */
bool app_store_error_of_sync(const struct err *e);

#define AUTO_QUERY __attribute__((cleanup(app_store_query_end))) struct app_store_query

CLEANUP_STRUCT(app_store_db, app_store_db_close)

#endif
