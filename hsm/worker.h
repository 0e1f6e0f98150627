/*
 * hsm/worker - the threads that wait for the token, so that the loop need not
 *
 * A worker takes a job from the queue, runs it unless its deadline has passed, and leaves it for the loop, which
 * calls its done function.  Every job that hsm_workers_put() accepted is given back exactly once, run or not.  Nobody
 * can stop a call into a PKCS#11 module (facts, hsm.md 7), so the loop asks now and then how long the slowest call
 * has lasted.
 *
 * Threads:  made, used and freed by the loop's thread.
 * Owner:    a job is the workers' from a successful put until its done function is called.
 */
#ifndef HSM_WORKER_H
#define HSM_WORKER_H

#include "board/base/loop.h"
#include "hsm/queue.h"

struct hsm_workers;

enum { HSM_WORKERS_MAX = 16 };

/* Starts count (1 to HSM_WORKERS_MAX) threads behind a queue of limit jobs.  Fails with ERR_NOMEM. */
MUST_CHECK int hsm_workers_new(struct loop *loop, unsigned count, size_t limit, struct hsm_workers **ret_workers);

/* Hands a job over.  Fails with ERR_BUSY when the queue is full, ERR_CLOSED after hsm_workers_close(). */
MUST_CHECK int hsm_workers_put(struct hsm_workers *workers, struct hsm_job *job);

/* Takes no more jobs; those accepted are still done. */
void hsm_workers_close(struct hsm_workers *workers);

/*
 * Closes, waits for the threads, calls done for what is left, and frees.  Blocks, so never from a running loop.  NULL
 * is fine.
 */
void hsm_workers_free(struct hsm_workers *workers);

/* Milliseconds that the slowest running job has taken so far; 0 when all are idle. */
int64_t hsm_workers_busy_ms(const struct hsm_workers *workers);

size_t hsm_workers_queued(struct hsm_workers *workers);        /* jobs that wait for a worker */
size_t hsm_workers_open(const struct hsm_workers *workers);    /* jobs accepted and not yet given back */
unsigned hsm_workers_count(const struct hsm_workers *workers); /* threads */

CLEANUP_STRUCT(hsm_workers, hsm_workers_free)

#endif
