/*
 * The audit verifier: a trail in which anything was changed is not found good.  Input: which record, which column, and
 * its new value; octets that SQLite does not take for a value change nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "appliance/store.h"
#include "tests/fuzz/ground.h"
#include "tests/lib/sql.h"
#include "tests/lib/storeroom.h"

enum { RECORDS = 5 };

static struct fixture f;
static sqlite3 *db;

static const char *const columns[] = {"seq", "time", "event", "actor", "serial", "subject", "detail", "hash"};

static void
remove_folder(void)
{
	sqlite3_close(db);
	tear_down(&f);
}

static void
begin(void)
{
	if (db != NULL)
		return;
	clock_set_fake(-1, -1); /* the store's threads live in real time */
	set_up(&f);
	for (int n = 1; n < RECORDS; n++)
		HOLDS(run(&f, APP_STORE_RESERVE, n) == 0);
	HOLDS(sqlite3_open(f.path, &db) == SQLITE_OK);
	sqlite3_busy_timeout(db, 1000);
	HOLDS(sqlite3_exec(db, "CREATE TEMP TABLE kept AS SELECT * FROM audit", NULL, NULL, NULL) == SQLITE_OK);
	atexit(remove_folder);
}

/* Sets a column to value as its type wants it; false when SQLite does not. */
static bool
set(int64_t record, const char *column, struct bytes value)
{
	sqlite3_stmt *statement = NULL;
	char sql[100];
	int64_t number = 0;
	int rc;

	snprintf(sql, sizeof(sql), "UPDATE OR ABORT audit SET %s = ? WHERE seq = %lld", column, (long long)record);
	HOLDS(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK);
	if (column == columns[0] || column == columns[1]) {
		memcpy(&number, value.data, value.len < sizeof(number) ? value.len : sizeof(number));
		rc = sqlite3_bind_int64(statement, 1, number);
	} else if (column == columns[4] || column == columns[7]) {
		rc = sqlite3_bind_blob(statement, 1, value.len > 0 ? value.data : (const uint8_t *)"", (int)value.len,
				       SQLITE_TRANSIENT);
	} else {
		rc = sqlite3_bind_text(statement, 1, (const char *)value.data, (int)value.len, SQLITE_TRANSIENT);
	}
	HOLDS(rc == SQLITE_OK);
	rc = sqlite3_step(statement);
	sqlite3_finalize(statement);
	return rc == SQLITE_DONE;
}

/* Is every record what it was?  All of it as one text, with the lengths that SQLite knows. */
static char *
snapshot(void)
{
	sqlite3_stmt *statement = NULL;
	char *text = NULL;

	HOLDS(sqlite3_prepare_v2(
		      db,
		      "SELECT group_concat(quote(seq) || quote(time) || hex(event) || ',' || hex(actor) || ',' ||"
		      " hex(serial) || ',' || hex(subject) || ',' || hex(detail) || ',' || hex(hash), ';')"
		      " FROM (SELECT * FROM audit ORDER BY seq)",
		      -1, &statement, NULL) == SQLITE_OK);
	HOLDS(sqlite3_step(statement) == SQLITE_ROW);
	text = strdup((const char *)sqlite3_column_text(statement, 0));
	sqlite3_finalize(statement);
	return text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes input = {data, size};
	const char *column;
	char *before, *after;
	int64_t record, number;
	bool is_changed;
	int code;

	begin();
	record = 1 + ground_take_u8(&input) % RECORDS;
	column = columns[ground_take_u8(&input) % ARRAY_SIZE(columns)];
	before = snapshot();
	HOLDS(sqlite3_exec(db, "SAVEPOINT fuzz", NULL, NULL, NULL) == SQLITE_OK);
	is_changed = set(record, column, input);
	after = snapshot();
	HOLDS(sqlite3_exec(db, "RELEASE fuzz", NULL, NULL, NULL) == SQLITE_OK);
	is_changed = is_changed && strcmp(before, after) != 0;
	code = check_audit(&f, &number);
	HOLDS(code == (is_changed ? ERR_VERIFY : 0));
	free(before);
	free(after);
	if (is_changed) {
		/* The next input finds the trail as it was. */
		HOLDS(sqlite3_exec(db, "DELETE FROM audit; INSERT INTO audit SELECT * FROM kept", NULL, NULL, NULL) ==
		      SQLITE_OK);
		HOLDS(check_audit(&f, &number) == 0);
	}
	return 0;
}

void
fuzz_seeds(void)
{
	char name[20];
	uint8_t seed[40] = {0};

	for (uint8_t column = 0; column < ARRAY_SIZE(columns); column++) {
		seed[0] = column;
		seed[1] = column;
		memcpy(seed + 2, "device text", 11);
		snprintf(name, sizeof(name), "%s", columns[column]);
		ground_seed(name, (struct bytes){seed, 13});
	}
}
