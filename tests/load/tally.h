/*
 * tests/load/tally - what was counted: outcomes of each kind, latencies, errors
 *
 * Threads:  the main thread.
 * Owner:    tally_fini() frees the latencies.
 */
#ifndef TESTS_LOAD_TALLY_H
#define TESTS_LOAD_TALLY_H

#include "tests/load/answer.h"

enum { TALLY_HTTP_MAX = 600, TALLY_FAIL_INFOS = 5 };

/* One kind of request: sent is the sum of ok, later and failed. */
struct tally_kind {
	size_t sent;
	size_t ok;
	size_t later;  /* HTTP 503 was the last word */
	size_t failed; /* every other verdict */
	float *ms;     /* of those that were ok: from the first attempt to the last octet */
	size_t ms_count;
	size_t ms_room;
};

struct tally {
	struct tally_kind kinds[JOB_KINDS];
	size_t verdicts[VERDICT_COUNT];
	size_t http[TALLY_HTTP_MAX];            /* answers with this status, each attempt */
	size_t fail_info[TALLY_FAIL_INFOS + 1]; /* of the refused ones; the last is for unknown ones */
	size_t retries;                         /* attempts after a 503 */
	size_t reconnects;                      /* a kept connection had been closed between two requests */
	double seconds;                         /* until the last answer but those to slow clients */
	double seconds_all;
	size_t idle_opened; /* of the idle connections */
	size_t idle_closed; /* of these, by the server, before the end */
};

/* Latencies of one kind, in ms. */
struct tally_percentiles {
	double p50;
	double p90;
	double p99;
	double p999;
	double max;
};

/* Counts the last word on a job. */
void tally_note(struct tally *tally, const struct job *job, enum verdict verdict, int fail_info, double ms);

/* Sums of all kinds, without latencies. */
struct tally_kind tally_sum(const struct tally *tally);

/* Nearest-rank percentiles: each is a latency that was seen, zero when there was none.  Sorts. */
struct tally_percentiles tally_percentiles(struct tally_kind *kind);

/* A few words for the report and names for JSON: "connect", "timeout". */
const char *tally_verdict_name(enum verdict verdict);

/* Frees. */
void tally_fini(struct tally *tally);

#endif
