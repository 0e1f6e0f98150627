#include "appliance/store_schema.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "board/base/log.h"

/* "CHNC": tells our files from other SQLite databases. */
enum { APPLICATION_ID = 0x43484e43 };

static void
close_handle(sqlite3 *db)
{
	sqlite3_close(db);
}

CLEANUP(sqlite3, close_handle)

static int
failure(sqlite3 *db, const char *step, struct err *e)
{
	return err_set(e, ERR_STORE, (uint32_t)sqlite3_extended_errcode(db), "%s: %s", step, sqlite3_errmsg(db));
}

static int
open_handle(const char *path, sqlite3 **ret_db, struct err *e)
{
	AUTO(sqlite3) db = NULL;
	int rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL);

	if (rc != SQLITE_OK)
		return err_set(e, ERR_STORE, (uint32_t)rc, "opening %s: %s", path, sqlite3_errstr(rc));
	*ret_db = TAKE(db);
	return 0;
}

static int
run_sql(sqlite3 *db, const char *sql, const char *step, struct err *e)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : failure(db, step, e);
}

/* The only answer of a PRAGMA or SELECT. */
static int
read_int(sqlite3 *db, const char *path, const char *sql, int64_t *ret_value, struct err *e)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc != SQLITE_ROW) {
		(void)failure(db, path, e);
		sqlite3_finalize(stmt);
		return ERR_STORE;
	}
	*ret_value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return 0;
}

/* The number of the last migration that the file had; 0 for an empty file. */
static int
read_version(sqlite3 *db, const char *path, int64_t *ret_version, struct err *e)
{
	int64_t version = 0;
	int64_t id = 0;
	int64_t tables = 0;
	int code;

	code = read_int(db, path, "PRAGMA application_id", &id, e);
	if (code == 0)
		code = read_int(db, path, "PRAGMA user_version", &version, e);
	if (code == 0)
		code = read_int(db, path, "SELECT count(*) FROM sqlite_schema", &tables, e);
	if (code < 0)
		return code;
	if (id != APPLICATION_ID && (id != 0 || version != 0 || tables != 0))
		return err_set(e, ERR_STORE, 0, "%s is a database of another program", path);
	*ret_version = version;
	return 0;
}

/* Runs what is missing, each migration in a transaction of its own together with its number. */
static int
run_migrations(sqlite3 *db, const struct app_store_migration *list, int64_t version, struct err *e)
{
	char sql[120];
	int code;

	for (; list->number != 0; list++) {
		if (list->number <= version)
			continue;
		snprintf(sql, sizeof(sql), "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT", APPLICATION_ID,
			 list->number);
		code = run_sql(db, "BEGIN IMMEDIATE", list->name, e);
		if (code == 0)
			code = run_sql(db, list->sql, list->name, e);
		if (code == 0)
			code = run_sql(db, sql, list->name, e);
		if (code < 0)
			return code;
	}
	return 0;
}

static int
sync_path(const char *path, int flags, struct err *e)
{
	int fd = open(path, flags | O_RDONLY | O_CLOEXEC);
	int failed = fd < 0 || fsync(fd) != 0 ? errno : 0;

	if (fd >= 0)
		close(fd);
	return failed == 0 ? 0 : err_set(e, ERR_STORE, (uint32_t)failed, "syncing %s: %s", path, strerror(failed));
}

static int
sync_folder(const char *path, struct err *e)
{
	char copy[PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", path);
	return sync_path(dirname(copy), O_DIRECTORY, e);
}

/* The file, empty if it was missing, readable by its owner alone: SQLite gives its WAL the same mode. */
static int
create(const char *path, struct err *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int failed = fd < 0 || fchmod(fd, 0600) != 0 ? errno : 0;

	if (fd >= 0)
		close(fd);
	if (failed != 0)
		return err_set(e, ERR_STORE, (uint32_t)failed, "opening %s: %s", path, strerror(failed));
	return sync_folder(path, e);
}

static int
migrate_copy(const char *copy, const struct app_store_migration *list, int64_t version, struct err *e)
{
	AUTO(sqlite3) db = NULL;
	int code;

	code = open_handle(copy, &db, e);
	if (code == 0)
		code = run_sql(db, "PRAGMA synchronous=FULL; PRAGMA foreign_keys=OFF", "opening the copy", e);
	if (code == 0)
		code = run_migrations(db, list, version, e);
	return code;
}

/* Leaves the old file without a WAL, which would not fit the new one, and a copy of it at copy. */
static int
make_copy(sqlite3 *db, const char *copy, struct err *e)
{
	char *sql;
	int code;

	/* VACUUM INTO writes into an existing empty file, so the copy never has a wider mode. */
	code = create(copy, e);
	if (code == 0)
		code = run_sql(db, "PRAGMA journal_mode=DELETE", "folding the WAL into the store", e);
	if (code < 0)
		return code;
	sql = sqlite3_mprintf("VACUUM INTO %Q", copy);
	if (sql == NULL)
		return err_set(e, ERR_NOMEM, 0, "copying the store");
	code = run_sql(db, sql, "copying the store", e);
	sqlite3_free(sql);
	return code;
}

static int
replace_with_copy(const char *path, const char *copy, struct err *e)
{
	char wal[PATH_MAX];
	int code;

	snprintf(wal, sizeof(wal), "%s-wal", path);
	if (access(wal, F_OK) == 0)
		return err_set(e, ERR_STORE, 0, "%s is still there: another program has the store open", wal);
	code = sync_path(copy, 0, e);
	if (code < 0)
		return code;
	if (rename(copy, path) != 0)
		return err_set(e, ERR_STORE, (uint32_t)errno, "replacing %s: %s", path, strerror(errno));
	return sync_folder(path, e);
}

static int
migrate(const char *path, sqlite3 **db, const struct app_store_migration *list, int64_t version, struct err *e)
{
	char copy[PATH_MAX];
	int code;

	snprintf(copy, sizeof(copy), "%s.new", path);
	code = make_copy(*db, copy, e);
	close_handle(TAKE(*db));
	if (code == 0)
		code = migrate_copy(copy, list, version, e);
	if (code == 0)
		code = replace_with_copy(path, copy, e);
	if (code < 0)
		unlink(copy);
	return code;
}

static void
remove_left_over(const char *path)
{
	static const char *const suffixes[] = {".new-journal", ".new"};
	char copy[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		snprintf(copy, sizeof(copy), "%s%s", path, suffixes[i]);
		if (unlink(copy) == 0)
			log_event(STORE_COPY_REMOVED, log_text(copy));
	}
}

int
app_store_schema_update(const char *path, const struct app_store_migration *list, struct err *e)
{
	AUTO(sqlite3) db = NULL;
	int64_t version = 0;
	int last = 0;
	int code;

	if (strlen(path) + sizeof(".new-journal") > PATH_MAX)
		return err_set(e, ERR_STORE, ENAMETOOLONG, "the path of the store is too long");
	for (size_t i = 0; list[i].number != 0; i++)
		last = list[i].number;
	remove_left_over(path);
	code = create(path, e);
	if (code == 0)
		code = open_handle(path, &db, e);
	if (code == 0)
		code = read_version(db, path, &version, e);
	if (code < 0)
		return code;
	if (version > last)
		return err_set(e, ERR_STORE, 0, "%s has schema %lld, this program knows %d: install the newer program",
			       path, (long long)version, last);
	if (version == last)
		return 0;
	if (version == 0)
		return run_migrations(db, list, version, e);
	code = migrate(path, &db, list, version, e);
	if (code == 0)
		log_event(STORE_MIGRATED, (long long)version, last);
	return code;
}
