/*
 * tests/load/parallel - the same work for many items, on all processors
 *
 * Threads:  parallel_run() blocks; the function runs on as many threads as there are processors.
 */
#ifndef TESTS_LOAD_PARALLEL_H
#define TESTS_LOAD_PARALLEL_H

#include <stddef.h>

#include "board/base/err.h"

/* Works on item i.  0 or ERR_*. */
typedef int (*parallel_fn)(void *arg, size_t i);

/* Calls fn for 0 to count - 1, each once, in any order.  0, or the failure of one after which no further began. */
MUST_CHECK int parallel_run(parallel_fn fn, void *arg, size_t count);

#endif
