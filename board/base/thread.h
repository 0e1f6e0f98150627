/*
 * board/base/thread - threads with a name and with all signals blocked
 */
#ifndef BOARD_BASE_THREAD_H
#define BOARD_BASE_THREAD_H

#include <pthread.h>

#include "board/base/err.h"

/*
 * Starts fn(arg) in a thread that ps and gdb show as name (at most 15 characters); the caller joins it.  Fails with
 * ERR_NOMEM.
 */
MUST_CHECK int thread_start(const char *name, void *(*fn)(void *), void *arg, pthread_t *ret_thread);

#endif
