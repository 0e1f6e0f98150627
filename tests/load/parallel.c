#include "tests/load/parallel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

enum { THREADS_MAX = 64 };

struct parallel {
	parallel_fn fn;
	void *arg;
	size_t count;
	atomic_size_t next;
	atomic_int status;
};

static void *
work(void *arg)
{
	struct parallel *p = arg;

	while (atomic_load(&p->status) == 0) {
		size_t i = atomic_fetch_add(&p->next, 1);
		int status = i < p->count ? p->fn(p->arg, i) : 0;

		if (i >= p->count)
			break;
		if (status != 0)
			atomic_store(&p->status, status);
	}
	return NULL;
}

int
parallel_run(parallel_fn fn, void *arg, size_t count)
{
	struct parallel p = {.fn = fn, .arg = arg, .count = count};
	pthread_t threads[THREADS_MAX];
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	size_t started = 0;

	while (started + 1 < (size_t)processors && started < THREADS_MAX && started < count &&
	       pthread_create(&threads[started], NULL, work, &p) == 0)
		started++;
	(void)work(&p);
	while (started > 0)
		(void)pthread_join(threads[--started], NULL);
	return atomic_load(&p.status);
}
