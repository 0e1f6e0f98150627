/*
 * tests/lib/token - a SoftHSM token of one's own, in a folder of its own
 *
 * Sets SOFTHSM2_CONF for this process, so it comes before anything that loads the module.  Every function fails the
 * test when it cannot do its work.
 *
 * Threads:  one.
 */
#ifndef TESTS_LIB_TOKEN_H
#define TESTS_LIB_TOKEN_H

#include <stddef.h>
#include <sys/types.h>

#define TOKEN_MODULE "/usr/lib/softhsm/libsofthsm2.so"

struct token {
	char folder[100];      /* temporary, with softhsm2.conf and tokens/ */
	char environment[200]; /* SOFTHSM2_CONF=…, as signer.environment wants it */
};

/* Makes the folder and, unless label is NULL, a token in it. */
void token_make(struct token *token, const char *label, const char *pin, const char *so_pin);

/* Gives the folder to a user; nothing happens when we are not root. */
void token_give(const struct token *token, uid_t uid);

/* Takes the tokens away, as if the device were pulled out, and puts them back. */
void token_pull(const struct token *token);
void token_plug(const struct token *token); /* see token_pull() */

/* Removes all. */
void token_remove(struct token *token);

/* Path of one of our programs: in $BIN_DIR, or in ../bin beside the running test's folder. */
const char *token_program(const char *name, char *out, size_t size);

/* Runs a program and waits; returns its exit status, or -1. */
int token_run(const char *const *words);

#endif
