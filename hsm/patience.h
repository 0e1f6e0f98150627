/*
 * hsm/patience - the end of a start that hangs
 *
 * Before the loop turns nobody watches the calls into the module.  A thread does: the process ends when one step of the
 * start takes too long, and the log says which.  It cannot be told otherwise, because the thread that could is the one
 * that hangs.
 *
 * Threads:  begin, step and end by the one that starts.
 */
#ifndef HSM_PATIENCE_H
#define HSM_PATIENCE_H

#include "board/base/err.h"

/* Watches from now on.  Fails with ERR_NOMEM. */
MUST_CHECK int hsm_patience_begin(int step_limit_ms);

/* A step begins, and the one before is done.  step is a literal for the log.  Does nothing while nobody watches. */
void hsm_patience_step(const char *step);

/* Watches no more; nothing happens when nobody does. */
void hsm_patience_end(void);

#endif
