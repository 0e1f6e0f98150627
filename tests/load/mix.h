/*
 * tests/load/mix - how many requests of each kind, and in which order
 *
 * Threads:  any.
 */
#ifndef TESTS_LOAD_MIX_H
#define TESTS_LOAD_MIX_H

#include <stddef.h>

#include "tests/load/job.h"

struct mix {
	unsigned weight[JOB_KINDS];
	unsigned total; /* of the weights; above 0 once parsed */
};

/* Parses "enroll=80,renew=10,get=10": weights from 0 to 1,000,000, at least one above 0.  Fails with ERR_FORMAT. */
MUST_CHECK int mix_parse(const char *text, struct mix *ret_mix, struct err *e);

/*
 * The kind of the next request when so many of each were given before.  The kinds alternate evenly, always in the same
 * order, so that two runs are alike.
 */
enum job_kind mix_next(const struct mix *mix, const size_t given[JOB_KINDS]);

#endif
