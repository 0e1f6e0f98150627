#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/sql.h"
#include "tests/lib/test.h"

#include "appliance/store_schema.h"

static char folder[64];
static char path[96];

static void
make_folder(void)
{
	strcpy(folder, "/tmp/test-schema-XXXXXX");
	CHECK(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/store.db", folder);
}

static void
write_file(const char *name, const char *text)
{
	FILE *file = fopen(name, "w");

	CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

TEST(the_built_in_migrations_are_numbered_without_gaps)
{
	int last = 0;

	for (size_t i = 0; app_store_migrations[i].number != 0; i++) {
		CHECK_INT(app_store_migrations[i].number, last + 1);
		last = app_store_migrations[i].number;
	}
	CHECK(last > 0);
}

TEST(migrations_run_on_a_copy_that_replaces_the_store_when_all_went_well)
{
	static const struct app_store_migration first[] = {{1, "001", "CREATE TABLE a (x); INSERT INTO a VALUES (7)"},
							   {0, NULL, NULL}};
	static const struct app_store_migration broken[] = {
		{1, "001", ""},
		{2, "002", "ALTER TABLE a ADD y; UPDATE a SET y = x; DROP TABLE none"},
		{0, NULL, NULL}};
	static const struct app_store_migration second[] = {
		{1, "001", "SELECT never"}, {2, "002", "ALTER TABLE a ADD y; UPDATE a SET y = x"}, {0, NULL, NULL}};
	struct err e = {0};
	struct stat before;
	struct stat after;
	char copy[128];

	make_folder();
	snprintf(copy, sizeof(copy), "%s.new", path);
	CHECK_INT(app_store_schema_update(path, first, &e), 0);
	sql_run(path, "PRAGMA journal_mode = WAL; INSERT INTO a VALUES (8)");
	CHECK_INT(stat(path, &before), 0);
	CHECK_INT(app_store_schema_update(path, broken, &e), ERR_STORE);
	CHECK(strstr(e.text, "none") != NULL);
	CHECK_INT(stat(path, &after), 0);
	CHECK_INT(after.st_ino, before.st_ino);
	CHECK(access(copy, F_OK) != 0);
	sql_run(path, "INSERT INTO a VALUES (9)"); /* one column: it is the old schema */
	write_file(copy, "an attempt that was interrupted");
	memset(&e, 0, sizeof(e));
	CHECK_INT(app_store_schema_update(path, second, &e), 0);
	CHECK_INT(stat(path, &after), 0);
	CHECK(after.st_ino != before.st_ino);
	CHECK_INT(after.st_mode & 0777, 0600);
	CHECK(access(copy, F_OK) != 0);
	sql_run(path,
		"CREATE TABLE three (n CHECK (n = 3)); INSERT INTO three SELECT count(*) FROM a WHERE y = x AND y > 6");
	CHECK_INT(app_store_schema_update(path, second, &e), 0); /* nothing to do */
	CHECK_INT(unlink(path), 0);
	CHECK_INT(rmdir(folder), 0);
}

static int
count_rows(const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	sqlite3 *db = NULL;
	int count;

	CHECK_INT(sqlite3_open(path, &db), SQLITE_OK);
	CHECK_INT(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	CHECK_INT(sqlite3_step(stmt), SQLITE_ROW);
	count = sqlite3_column_int(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return count;
}

TEST(a_store_of_the_first_version_keeps_all_that_it_knows)
{
	const struct app_store_migration first[] = {app_store_migrations[0], {0, NULL, NULL}};

	make_folder();
	CHECK_INT(app_store_schema_update(path, first, NULL), 0);
	sql_run(path,
		"INSERT INTO certificate VALUES (1, x'40', 'device', 1, 2, 1, 0, -1, x'01', 'CN=a', 'device', '', "
		"x'30');"
		"INSERT INTO certificate VALUES (2, x'41', 'device', 1, 2, 1, 7, 4, x'02', 'CN=b', 'device', '', "
		"x'30');"
		"INSERT INTO crl VALUES (5, 1, 2, x'30')");
	CHECK_INT(app_store_schema_update(path, app_store_migrations, NULL), 0);
	CHECK_INT(count_rows("SELECT count(*) FROM certificate WHERE invalidity = 0"), 2);
	CHECK_INT(count_rows("SELECT count(*) FROM certificate WHERE revoked = 7 AND reason = 4 AND serial = x'41'"),
		  1);
	CHECK_INT(count_rows("SELECT number FROM crl WHERE base = 0 AND changes = 0"), 5);
	CHECK_INT(count_rows("SELECT count(*) FROM revocation"), 0);
	unlink(path);
	CHECK_INT(rmdir(folder), 0);
}

TEST_MAIN(RUN(the_built_in_migrations_are_numbered_without_gaps),
	  RUN(a_store_of_the_first_version_keeps_all_that_it_knows),
	  RUN(migrations_run_on_a_copy_that_replaces_the_store_when_all_went_well))
