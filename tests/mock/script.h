/*
 * tests/mock/script - what the faulty module shall do: a text file, read again whenever it changes
 *
 * README.md here has the language.  Calls are counted from the moment a script is put in place, over all processes
 * that use it: the counts are in SCRIPT.counts, so that "nth=3" happens once, however often the signer is started
 * again.  What was called, and how it ended, is appended to SCRIPT.trace.
 *
 * Threads:  any.
 */
#ifndef TESTS_MOCK_SCRIPT_H
#define TESTS_MOCK_SCRIPT_H

#include <stdbool.h>

#include <p11-kit/pkcs11.h>

enum mock_function {
#define OWN(name)                                    FN_##name,
#define FORWARD(name, session, object, params, args) FN_##name,
#include "tests/mock/functions.def"
	FN_COUNT,
};

/* What one call shall do. */
struct mock_plan {
	enum mock_function function;
	unsigned long number; /* of this function's calls in this process */
	unsigned delay_ms;
	bool hang; /* until the script changes */
	bool kill;
	unsigned kill_at_step; /* 0: not */
	CK_RV instead;         /* CKR_OK: the token is asked */
	CK_RV after;           /* the token is asked, but this is said; CKR_OK: what it said */
	bool wrong;            /* one bit of the output is turned over */
	bool cut;              /* the output is one octet short */
	bool drop_sessions;
	bool logout;
	bool change_handles;

	/* and how the token is meanwhile */
	bool absent;
	unsigned sessions; /* at most; 0: no limit */
	bool handles_at_login;
};

/* Finds the script, once.  Ends the process when there is none or it cannot be read: a test without faults is none. */
void mock_script_open(void);

/* PATH of "module PATH", or SoftHSM's. */
const char *mock_script_module(void);

/* Counts the call, and says what it shall do. */
void mock_script_plan(enum mock_function function, struct mock_plan *plan);

/* Does the plan's waiting, hanging and killing. */
void mock_script_wait(const struct mock_plan *plan);

/* Writes into the trace how many steps the call took in SoftHSM's files (tests/mock/crash.h). */
void mock_script_steps(const struct mock_plan *plan, unsigned steps);

/* Writes the call into the trace. */
void mock_script_trace(const struct mock_plan *plan, CK_RV rv);

#endif
