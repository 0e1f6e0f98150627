#include "board/base/bucket.h"

#include "board/base/clock.h"

bool
bucket_take(struct bucket *bucket, int64_t burst, int64_t refill_ms)
{
	int64_t now = clock_mono_ms();
	int64_t back = (now - bucket->last_ms) / refill_ms;

	if (back >= bucket->used) {
		bucket->used = 0;
		bucket->last_ms = now;
	} else if (back > 0) {
		bucket->used -= back;
		bucket->last_ms += back * refill_ms;
	}
	if (bucket->used >= burst)
		return false;
	bucket->used++;
	return true;
}
