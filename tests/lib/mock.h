/*
 * tests/lib/mock - the token that fails on demand: writes its scripts, reads its trace
 *
 * tests/mock/README.md has the language.  A new script is in force for every call that begins after mock_script()
 * returned.  Every function fails the test when it cannot do its work.
 *
 * Threads:  one.
 */
#ifndef TESTS_LIB_MOCK_H
#define TESTS_LIB_MOCK_H

#include <stdbool.h>

#include "tests/lib/signer.h"

struct mock {
	char path[150];        /* of the script */
	char environment[200]; /* TOKEN_FAULTS=…, what the module looks for */
};

/* Path of p11_mock.so: in $TESTS_DIR, or beside the running test.  Returns out. */
const char *mock_module(char *out, size_t size);

/* A script without faults in the token's folder, and the rig's signer behind it.  Comes before token_give(). */
void mock_make(struct mock *mock, const struct token *token);

/* The rig's signer is to use it. */
void mock_use(const struct mock *mock, struct signer_rig *rig);

/* Puts a script in place: printf(), lines end with \n. */
void mock_script(const struct mock *mock, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Empties the trace. */
void mock_forget(const struct mock *mock);

/* What the trace says behind word= of the last call of function that has such a line; 0 when none has. */
unsigned mock_value(const struct mock *mock, const char *function, const char *word);

/* How many calls of function the trace has; result NULL: with any result. */
unsigned mock_count(const struct mock *mock, const char *function, const char *result);

#endif
