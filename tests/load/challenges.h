/*
 * tests/load/challenges - challenges from a file or a command, a line each
 *
 * Threads:  the main thread, which blocks.
 * Owner:    challenges_free() wipes and frees.
 */
#ifndef TESTS_LOAD_CHALLENGES_H
#define TESTS_LOAD_CHALLENGES_H

#include <stddef.h>

#include "board/base/err.h"

/* The first count lines of a file; "-" is standard input.  Fails with ERR_IO, and ERR_LIMIT when it has fewer. */
MUST_CHECK int challenges_read(const char *path, size_t count, char ***ret_lines, struct err *e);

/* The lines that "COMMAND count" prints, which the shell runs.  Fails with ERR_IO, ERR_LIMIT. */
MUST_CHECK int challenges_run(const char *command, size_t count, char ***ret_lines, struct err *e);

/* Wipes and frees; NULL is fine. */
void challenges_free(char **lines, size_t count);

#endif
