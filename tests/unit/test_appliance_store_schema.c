#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

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
tamper(const char *sql)
{
	sqlite3 *db = NULL;

	CHECK_INT(sqlite3_open(path, &db), SQLITE_OK);
	CHECK_INT(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
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
	tamper("PRAGMA journal_mode = WAL; INSERT INTO a VALUES (8)");
	CHECK_INT(stat(path, &before), 0);
	CHECK_INT(app_store_schema_update(path, broken, &e), ERR_STORE);
	CHECK(strstr(e.text, "none") != NULL);
	CHECK_INT(stat(path, &after), 0);
	CHECK_INT(after.st_ino, before.st_ino);
	CHECK(access(copy, F_OK) != 0);
	tamper("INSERT INTO a VALUES (9)"); /* one column: it is the old schema */
	write_file(copy, "an attempt that was interrupted");
	memset(&e, 0, sizeof(e));
	CHECK_INT(app_store_schema_update(path, second, &e), 0);
	CHECK_INT(stat(path, &after), 0);
	CHECK(after.st_ino != before.st_ino);
	CHECK_INT(after.st_mode & 0777, 0600);
	CHECK(access(copy, F_OK) != 0);
	tamper("CREATE TABLE three (n CHECK (n = 3)); INSERT INTO three SELECT count(*) FROM a WHERE y = x AND y > 6");
	CHECK_INT(app_store_schema_update(path, second, &e), 0); /* nothing to do */
	CHECK_INT(unlink(path), 0);
	CHECK_INT(rmdir(folder), 0);
}

TEST_MAIN(RUN(the_built_in_migrations_are_numbered_without_gaps),
	  RUN(migrations_run_on_a_copy_that_replaces_the_store_when_all_went_well))
