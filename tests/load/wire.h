/*
 * tests/load/wire - the timed part: sends jobs over many connections and notes what comes back
 *
 * A closed loop: each connection sends its next request when it has the answer to its last.  Slow jobs have connections
 * of their own.  Idle connections ask once and then stay silent until the end.
 *
 * Threads:  the main thread; one epoll.
 */
#ifndef TESTS_LOAD_WIRE_H
#define TESTS_LOAD_WIRE_H

#include "tests/load/tally.h"
#include "tests/load/target.h"

struct wire_plan {
	const struct target *target;
	struct job *jobs;
	size_t count;
	bool again;                     /* when the jobs are through, from the beginning; needs seconds */
	size_t connections;             /* for the jobs; slow ones have up to as many beside them */
	size_t idle;                    /* opened before the first job, and held */
	double seconds;                 /* send nothing new after so long; 0: no limit */
	double hold_s;                  /* keep everything open so long after the last answer */
	int timeout_ms;                 /* of one attempt */
	int slow_ms;                    /* how long a slow request takes to be sent */
	size_t requests_per_connection; /* 0: as many as there are */
	bool honour_retry_after;
	struct bytes idle_request;
	void (*on_begin)(void *arg); /* idle connections are open, the clock starts; may be NULL */
	void *arg;
};

/*
 * Runs the plan.  Fails with ERR_NOMEM, ERR_IO or ERR_LIMIT (file descriptors) when it cannot begin; what goes wrong
 * with single requests is counted.
 */
MUST_CHECK int wire_run(const struct wire_plan *plan, struct tally *ret_tally, struct err *e);

#endif
