/*
 * tests/lib/sql - does to a store's file what the store would not
 *
 * Threads:  one.
 */
#ifndef TESTS_LIB_SQL_H
#define TESTS_LIB_SQL_H

#include <sqlite3.h>

#include "tests/lib/test.h"

/* Runs statements on the database at path, beside whoever has it open; fails the test when SQLite does. */
static inline void
sql_run(const char *path, const char *statements)
{
	sqlite3 *db = NULL;

	CHECK_INT(sqlite3_open(path, &db), SQLITE_OK);
	CHECK_INT(sqlite3_exec(db, statements, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

#endif
