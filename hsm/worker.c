#include "hsm/worker.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "board/base/clock.h"
#include "board/base/thread.h"

struct worker {
	struct hsm_workers *pool;
	pthread_t thread;
	_Atomic int64_t since_us; /* start of the job that runs now, 0 when idle */
};

struct hsm_workers {
	struct loop *loop;
	struct hsm_queue *queue;
	struct worker worker[HSM_WORKERS_MAX];
	unsigned count;
	size_t open; /* the loop's */

	pthread_mutex_t lock; /* guards the finished jobs; never held across a call */
	struct hsm_job *first;
	struct hsm_job *last;
	bool posted; /* collect() is on its way to the loop */
};

/* In the loop: gives finished jobs back. */
static void
collect(void *arg)
{
	struct hsm_workers *pool = arg;
	struct hsm_job *job;
	struct hsm_job *next;

	pthread_mutex_lock(&pool->lock);
	job = pool->first;
	pool->first = NULL;
	pool->last = NULL;
	pool->posted = false;
	pthread_mutex_unlock(&pool->lock);

	for (; job != NULL; job = next) {
		next = job->next;
		pool->open--;
		job->done(job);
	}
}

/*
 * In a worker: one call wakes the loop for any number of jobs, so loop_post()'s own limit is never met.  Should it fail
 * for want of memory, the next job tries again.
 */
static void
hand_back(struct hsm_workers *pool, struct hsm_job *job)
{
	pthread_mutex_lock(&pool->lock);
	job->next = NULL;
	if (pool->last != NULL)
		pool->last->next = job;
	else
		pool->first = job;
	pool->last = job;
	if (!pool->posted)
		pool->posted = loop_post(pool->loop, collect, pool) == 0;
	pthread_mutex_unlock(&pool->lock);
}

static void
run_job(struct worker *worker, struct hsm_job *job)
{
	if (clock_mono_ms() > job->deadline_ms) {
		err_set(&job->err, ERR_TIMEOUT, 0, "waited for the token beyond its deadline");
		return;
	}
	job->started_us = clock_mono_us();
	atomic_store(&worker->since_us, job->started_us);
	job->run(job);
	atomic_store(&worker->since_us, 0);
	job->ended_us = clock_mono_us();
}

static void *
worker_main(void *arg)
{
	struct worker *worker = arg;
	struct hsm_job *job;

	while ((job = hsm_queue_take(worker->pool->queue)) != NULL) {
		run_job(worker, job);
		hand_back(worker->pool, job);
	}
	return NULL;
}

int
hsm_workers_new(struct loop *loop, unsigned count, size_t limit, struct hsm_workers **ret_workers)
{
	AUTO_STRUCT(hsm_workers) pool = calloc(1, sizeof(*pool));
	char name[32];

	BUG_ON(count == 0 || count > HSM_WORKERS_MAX);
	if (pool == NULL)
		return ERR_NOMEM;
	pool->loop = loop;
	pthread_mutex_init(&pool->lock, NULL);
	if (hsm_queue_new(limit, &pool->queue) != 0)
		return ERR_NOMEM;
	while (pool->count < count) {
		struct worker *worker = &pool->worker[pool->count];

		worker->pool = pool;
		snprintf(name, sizeof(name), "hsm-%u", pool->count);
		if (thread_start(name, worker_main, worker, &worker->thread) != 0)
			return ERR_NOMEM;
		pool->count++;
	}
	*ret_workers = TAKE(pool);
	return 0;
}

int
hsm_workers_put(struct hsm_workers *pool, struct hsm_job *job)
{
	int code = hsm_queue_put(pool->queue, job);

	if (code == 0)
		pool->open++;
	return code;
}

void
hsm_workers_close(struct hsm_workers *pool)
{
	hsm_queue_close(pool->queue);
}

void
hsm_workers_free(struct hsm_workers *pool)
{
	unsigned i;

	if (pool == NULL)
		return;
	if (pool->queue != NULL)
		hsm_queue_close(pool->queue);
	for (i = 0; i < pool->count; i++)
		pthread_join(pool->worker[i].thread, NULL);
	collect(pool);
	hsm_queue_free(pool->queue);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

int64_t
hsm_workers_busy_ms(const struct hsm_workers *pool)
{
	int64_t now = clock_mono_us();
	int64_t longest = 0;
	unsigned i;

	for (i = 0; i < pool->count; i++) {
		int64_t since = atomic_load(&pool->worker[i].since_us);

		if (since != 0 && now - since > longest)
			longest = now - since;
	}
	return longest / 1000;
}

size_t
hsm_workers_queued(struct hsm_workers *pool)
{
	return hsm_queue_length(pool->queue);
}

size_t
hsm_workers_open(const struct hsm_workers *pool)
{
	return pool->open;
}

unsigned
hsm_workers_count(const struct hsm_workers *pool)
{
	return pool->count;
}
