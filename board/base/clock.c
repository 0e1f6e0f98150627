/*
 * board/base/clock - see clock.h
 */
#include "board/base/clock.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic int64_t fake_wall_s = -1;
static _Atomic int64_t fake_mono_ms = -1;

static int64_t
clock_read(clockid_t id, int64_t per_second)
{
	struct timespec ts = {0, 0};

	(void)clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * per_second + ts.tv_nsec / (1000000000 / per_second);
}

int64_t
clock_wall(void)
{
	int64_t fake = atomic_load_explicit(&fake_wall_s, memory_order_relaxed);

	return fake >= 0 ? fake : clock_read(CLOCK_REALTIME, 1);
}

int64_t
clock_wall_ms(void)
{
	int64_t fake = atomic_load_explicit(&fake_wall_s, memory_order_relaxed);

	return fake >= 0 ? fake * 1000 : clock_read(CLOCK_REALTIME, 1000);
}

int64_t
clock_mono_ms(void)
{
	int64_t fake = atomic_load_explicit(&fake_mono_ms, memory_order_relaxed);

	return fake >= 0 ? fake : clock_read(CLOCK_MONOTONIC, 1000);
}

int64_t
clock_mono_us(void)
{
	int64_t fake = atomic_load_explicit(&fake_mono_ms, memory_order_relaxed);

	return fake >= 0 ? fake * 1000 : clock_read(CLOCK_MONOTONIC, 1000000);
}

void
clock_set_fake(int64_t wall_s, int64_t mono_ms)
{
	atomic_store(&fake_wall_s, wall_s);
	atomic_store(&fake_mono_ms, mono_ms);
}

char *
clock_text(int64_t wall_s, char *out, size_t size)
{
	time_t t = (time_t)wall_s;
	struct tm tm;

	if (size == 0)
		return out;
	if (gmtime_r(&t, &tm) == NULL || strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		out[0] = '\0';
	return out;
}
