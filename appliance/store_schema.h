/*
 * appliance/store_schema - bringing the database file to the schema of this program
 *
 * The migrations are appliance/schema/NNN-*.sql, built into the program.  PRAGMA user_version holds the number of the
 * last one that ran.  A database with content is migrated as a copy, which replaces it only when all went well.
 *
 * Threads:  before the store's threads run.
 */
#ifndef APPLIANCE_STORE_SCHEMA_H
#define APPLIANCE_STORE_SCHEMA_H

#include <stddef.h>

#include "board/base/err.h"

struct app_store_migration {
	int number; /* 1, 2, 3, without gaps */
	const char *name;
	const char *sql;
};

/* All of them, made from the files at build time; ends with number 0. */
extern const struct app_store_migration app_store_migrations[];

/*
 * Creates the file at path (mode 0600) or brings it to the last migration of the list.  A copy that an earlier
 * attempt left is removed.  Blocks.  Fails with ERR_STORE: not ours, newer than the list, directory missing, a
 * migration or the disk failed; then the file is what it was.
 */
MUST_CHECK int app_store_schema_update(const char *path, const struct app_store_migration *list, struct err *e);

#endif
