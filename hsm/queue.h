/*
 * hsm/queue - the bounded queue between the signer's event loop and its HSM workers
 *
 * The loop never waits for the HSM: a full queue refuses the job at once (ERR_BUSY), and the peer is told to come
 * back.  Workers wait here when there is nothing to do.  Urgent jobs (a peer is on the line) leave before bulk ones
 * (CRLs, audit checkpoints); after HSM_QUEUE_BURST urgent ones in a row a waiting bulk job has its turn, because under
 * lasting load a CRL must still get out before the old one ends.
 *
 * Threads:  put and close by the loop, take by any worker, length by anybody.
 * Owner:    a job belongs to the queue from a successful put until take; after a refused put it is still the caller's.
 */
#ifndef HSM_QUEUE_H
#define HSM_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "board/base/err.h"

struct hsm_queue;

enum { HSM_QUEUE_BURST = 64 };

struct hsm_job {
	struct hsm_job *next;              /* the queue's, while it owns the job */
	bool bulk;                         /* may wait behind jobs a peer is waiting for */
	int64_t deadline_ms;               /* clock_mono_ms() after which nobody wants it any more */
	void (*run)(struct hsm_job *job);  /* in a worker: does the work, leaves the outcome in err */
	void (*done)(struct hsm_job *job); /* in the loop, exactly once: answers, then frees the job */
	struct err err;                    /* code 0 before run */
	int64_t started_us;                /* clock_mono_us() around run; 0 when it did not run */
	int64_t ended_us;
};

/* An empty queue that holds up to limit jobs.  Fails with ERR_NOMEM. */
MUST_CHECK int hsm_queue_new(size_t limit, struct hsm_queue **ret_queue);

/* Frees a closed and drained queue; NULL is fine. */
void hsm_queue_free(struct hsm_queue *queue);

/* Hands job over.  Fails with ERR_BUSY when full, ERR_CLOSED after hsm_queue_close(). */
MUST_CHECK int hsm_queue_put(struct hsm_queue *queue, struct hsm_job *job);

/* Waits for a job and returns it; NULL once the queue is closed and drained. */
struct hsm_job *hsm_queue_take(struct hsm_queue *queue);

/* Refuses further jobs.  Those already in the queue are still handed out. */
void hsm_queue_close(struct hsm_queue *queue);

/* Jobs that wait now. */
size_t hsm_queue_length(struct hsm_queue *queue);

CLEANUP_STRUCT(hsm_queue, hsm_queue_free)

#endif
