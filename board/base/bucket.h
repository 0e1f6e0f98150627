/*
 * board/base/bucket - so many of something at once, and so many in the long run
 *
 * Threads:  one at a time.
 */
#ifndef BOARD_BASE_BUCKET_H
#define BOARD_BASE_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

/* All zero it is full. */
struct bucket {
	int64_t used;    /* of those that may be had at once */
	int64_t last_ms; /* clock_mono_ms() up to which it was refilled */
};

/* True, and one less to be had, unless burst were had and none came back since; one comes back each refill_ms. */
bool bucket_take(struct bucket *bucket, int64_t burst, int64_t refill_ms);

#endif
