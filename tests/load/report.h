/*
 * tests/load/report - what a run came to, for people and as JSON
 *
 * Threads:  the main thread.
 */
#ifndef TESTS_LOAD_REPORT_H
#define TESTS_LOAD_REPORT_H

#include "tests/load/tally.h"
#include "tests/load/verify.h"

struct report {
	const char *url;
	const char *key;
	size_t connections;
	size_t idle; /* idle connections that were wanted */
	const struct prepared *prepared;
	double prepare_seconds;
	struct tally *tally;
	struct verify_result verified;
};

/* True when every request got the answer it has to get, and no answer that was looked at was wrong. */
bool report_is_good(const struct report *report);

/* Prints the tables. */
void report_print(const struct report *report);

/* Writes one JSON object; "-" is standard output.  Fails with ERR_IO. */
MUST_CHECK int report_json(const struct report *report, const char *path, struct err *e);

#endif
