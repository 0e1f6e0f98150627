/* hsm/queue and hsm/worker: what a full, a closed and a busy queue do, and that every job comes back once. */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "board/base/clock.h"
#include "hsm/queue.h"
#include "hsm/worker.h"
#include "tests/lib/test.h"

TEST(full_queue_refuses_and_keeps_order)
{
	struct hsm_job a = {.bulk = true}, b = {0}, c = {0};
	struct hsm_queue *q = NULL;

	CHECK(hsm_queue_new(2, &q) == 0);
	CHECK(hsm_queue_put(q, &a) == 0);
	CHECK(hsm_queue_put(q, &b) == 0);
	CHECK(hsm_queue_put(q, &c) == ERR_BUSY);
	CHECK(hsm_queue_length(q) == 2);
	CHECK(hsm_queue_take(q) == &b); /* urgent before bulk */
	CHECK(hsm_queue_take(q) == &a);
	hsm_queue_close(q);
	CHECK(hsm_queue_put(q, &c) == ERR_CLOSED);
	CHECK(hsm_queue_take(q) == NULL);
	hsm_queue_free(q);
}

TEST(closed_queue_still_hands_out_what_it_accepted)
{
	struct hsm_job a = {0}, b = {0};
	struct hsm_queue *q = NULL;

	CHECK(hsm_queue_new(10, &q) == 0);
	CHECK(hsm_queue_put(q, &a) == 0);
	CHECK(hsm_queue_put(q, &b) == 0);
	hsm_queue_close(q);
	CHECK(hsm_queue_take(q) == &a);
	CHECK(hsm_queue_take(q) == &b);
	CHECK(hsm_queue_take(q) == NULL);
	hsm_queue_free(q);
}

TEST(bulk_job_gets_out_under_lasting_load)
{
	static struct hsm_job urgent[4 * HSM_QUEUE_BURST];
	struct hsm_job crl = {.bulk = true};
	struct hsm_queue *q = NULL;
	size_t before = 0;
	size_t i;

	CHECK(hsm_queue_new(1000, &q) == 0);
	CHECK(hsm_queue_put(q, &crl) == 0);
	for (i = 0; i < ARRAY_SIZE(urgent); i++)
		CHECK(hsm_queue_put(q, &urgent[i]) == 0);
	while (hsm_queue_take(q) != &crl)
		before++;
	CHECK_INT(before, HSM_QUEUE_BURST);
	hsm_queue_close(q);
	while (hsm_queue_take(q) != NULL)
		continue;
	hsm_queue_free(q);
}

/* ---- 20,000 jobs by 4 threads ------------------------------------------------------------------------------------ */

enum { JOBS = 20000, THREADS = 4 };

struct counted {
	struct hsm_job job;
	_Atomic int taken;
};

static struct counted counted[JOBS];

static void *
take_all(void *arg)
{
	struct hsm_job *job;

	while ((job = hsm_queue_take(arg)) != NULL)
		((struct counted *)(void *)job)->taken++;
	return NULL;
}

TEST(four_threads_take_each_job_once)
{
	pthread_t threads[THREADS];
	struct hsm_queue *q = NULL;
	size_t i;

	CHECK(hsm_queue_new(64, &q) == 0);
	for (i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, take_all, q) == 0);
	for (i = 0; i < JOBS; i++) {
		counted[i].job.bulk = i % 3 == 0;
		while (hsm_queue_put(q, &counted[i].job) == ERR_BUSY)
			(void)sched_yield();
	}
	hsm_queue_close(q);
	for (i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	for (i = 0; i < JOBS; i++)
		CHECK_INT(counted[i].taken, 1);
	hsm_queue_free(q);
}

/* ---- workers ----------------------------------------------------------------------------------------------------- */

struct task {
	struct hsm_job job;
	_Atomic int runs;
	int dones;
	int code;
};

static struct task tasks[JOBS];
static size_t tasks_done;

static void
task_run(struct hsm_job *job)
{
	((struct task *)(void *)job)->runs++;
}

static void
task_done(struct hsm_job *job)
{
	struct task *task = (struct task *)(void *)job;

	task->dones++;
	task->code = job->err.code;
	tasks_done++;
}

static void
task_init(struct task *task, int64_t deadline_ms)
{
	memset(task, 0, sizeof(*task));
	task->job.run = task_run;
	task->job.done = task_done;
	task->job.deadline_ms = deadline_ms;
}

TEST(workers_give_each_accepted_job_back_once)
{
	struct hsm_workers *workers = NULL;
	struct loop *loop = NULL;
	size_t refused = 0;
	size_t i;

	tasks_done = 0;
	CHECK(loop_new(&loop) == 0);
	CHECK(hsm_workers_new(loop, THREADS, 64, &workers) == 0);
	for (i = 0; i < JOBS; i++) {
		task_init(&tasks[i], clock_mono_ms() + 60000);
		while (hsm_workers_put(workers, &tasks[i].job) == ERR_BUSY) {
			refused++;
			loop_run_once(loop, 0);
		}
	}
	while (hsm_workers_open(workers) > 0)
		loop_run_once(loop, 100);
	CHECK_INT(tasks_done, JOBS);
	for (i = 0; i < JOBS; i++)
		CHECK(tasks[i].runs == 1 && tasks[i].dones == 1 && tasks[i].code == 0);
	hsm_workers_free(workers);
	loop_free(loop);
}

TEST(late_job_is_answered_without_running)
{
	struct hsm_workers *workers = NULL;
	struct loop *loop = NULL;

	tasks_done = 0;
	CHECK(loop_new(&loop) == 0);
	CHECK(hsm_workers_new(loop, 1, 4, &workers) == 0);
	task_init(&tasks[0], clock_mono_ms() - 1);
	CHECK(hsm_workers_put(workers, &tasks[0].job) == 0);
	while (tasks_done == 0)
		loop_run_once(loop, 100);
	CHECK_INT(tasks[0].code, ERR_TIMEOUT);
	CHECK_INT(tasks[0].runs, 0);
	hsm_workers_free(workers);
	loop_free(loop);
}

static int gate[2];

/* Waits until the test writes to the gate, as a call into a module that hangs does. */
static void
stuck_run(struct hsm_job *job)
{
	char c;

	CHECK(read(gate[0], &c, 1) == 1);
}

TEST(stuck_job_is_seen_and_accepted_jobs_survive_the_stop)
{
	struct hsm_workers *workers = NULL;
	struct loop *loop = NULL;

	tasks_done = 0;
	CHECK(pipe(gate) == 0);
	CHECK(loop_new(&loop) == 0);
	CHECK(hsm_workers_new(loop, 1, 4, &workers) == 0);
	CHECK_INT(hsm_workers_busy_ms(workers), 0);
	task_init(&tasks[0], clock_mono_ms() + 60000);
	tasks[0].job.run = stuck_run;
	task_init(&tasks[1], clock_mono_ms() + 60000);
	CHECK(hsm_workers_put(workers, &tasks[0].job) == 0);
	CHECK(hsm_workers_put(workers, &tasks[1].job) == 0);
	while (hsm_workers_busy_ms(workers) < 20)
		loop_run_once(loop, 5);
	CHECK_INT(tasks_done, 0);
	CHECK_INT(hsm_workers_queued(workers), 1);
	hsm_workers_close(workers);
	CHECK(hsm_workers_put(workers, &tasks[2].job) == ERR_CLOSED);
	CHECK(write(gate[1], "x", 1) == 1);
	hsm_workers_free(workers); /* waits and gives back what is left */
	CHECK_INT(tasks_done, 2);
	loop_free(loop);
	close(gate[0]);
	close(gate[1]);
}

TEST_MAIN(RUN(full_queue_refuses_and_keeps_order), RUN(closed_queue_still_hands_out_what_it_accepted),
	  RUN(bulk_job_gets_out_under_lasting_load), RUN(four_threads_take_each_job_once),
	  RUN(workers_give_each_accepted_job_back_once), RUN(late_job_is_answered_without_running),
	  RUN(stuck_job_is_seen_and_accepted_jobs_survive_the_stop))
