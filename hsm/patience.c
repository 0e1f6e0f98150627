#include "hsm/patience.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

#include "board/base/clock.h"
#include "board/base/log.h"
#include "board/base/thread.h"

static struct {
	pthread_mutex_t lock; /* guards all below but the thread */
	pthread_cond_t change;
	pthread_t thread;
	bool watching;
	const char *step;
	int64_t since_ms;
	int limit_ms;
} patience = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Waits until something changes, or until that time of the monotonic clock.  Under the lock. */
static void
wait_until(int64_t ms)
{
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	(void)pthread_cond_timedwait(&patience.change, &patience.lock, &time);
}

static void *
watch(void *arg)
{
	int64_t late;

	pthread_mutex_lock(&patience.lock);
	while (patience.watching) {
		late = clock_mono_ms() - patience.since_ms;
		if (late > patience.limit_ms) {
			log_event(SIGNER_START_HUNG, log_text(patience.step), (long long)late);
			_exit(1);
		}
		wait_until(patience.since_ms + patience.limit_ms + 1);
	}
	pthread_mutex_unlock(&patience.lock);
	return NULL;
}

int
hsm_patience_begin(int step_limit_ms)
{
	pthread_condattr_t attributes;
	int code;

	if (pthread_condattr_init(&attributes) != 0)
		return ERR_NOMEM;
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	code = pthread_cond_init(&patience.change, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	if (code != 0)
		return ERR_NOMEM;
	patience.step = "start";
	patience.since_ms = clock_mono_ms();
	patience.limit_ms = step_limit_ms;
	patience.watching = true;
	code = thread_start("hsm-start", watch, NULL, &patience.thread);
	if (code != 0)
		patience.watching = false;
	return code;
}

void
hsm_patience_step(const char *step)
{
	pthread_mutex_lock(&patience.lock);
	patience.step = step;
	patience.since_ms = clock_mono_ms();
	pthread_mutex_unlock(&patience.lock);
}

void
hsm_patience_end(void)
{
	bool watching;

	pthread_mutex_lock(&patience.lock);
	watching = patience.watching;
	patience.watching = false;
	if (watching)
		pthread_cond_signal(&patience.change);
	pthread_mutex_unlock(&patience.lock);
	if (watching)
		pthread_join(patience.thread, NULL);
}
