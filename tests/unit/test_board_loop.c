/*
 * The promises of a loop: posted calls run once, in order and in its thread; whoever is called may free what called it;
 * a callback that takes too long is noticed.
 */
#include "tests/lib/test.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "board/base/clock.h"
#include "board/base/loop.h"
#include "board/base/thread.h"

enum { PATIENCE_MS = 2000 };

/* Runs the loop until *flag reaches want; fails the test when that takes too long. */
static void
run_until(struct loop *loop, const int *flag, int want)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;

	while (*flag < want && clock_mono_ms() < end)
		loop_run_once(loop, 20);
	CHECK_INT(*flag, want);
}

static void
count_up(void *arg)
{
	++*(int *)arg;
}

/* ---- posted calls ------------------------------------------------------------------------------------------------ */

TEST(a_full_queue_refuses_and_loses_nothing)
{
	AUTO_STRUCT(loop) loop = NULL;
	int calls = 0;

	CHECK_INT(loop_new(&loop), 0);
	for (int i = 0; i < 65536; i++)
		CHECK_INT(loop_post(loop, count_up, &calls), 0);
	CHECK_INT(loop_post(loop, count_up, &calls), ERR_BUSY);
	run_until(loop, &calls, 65536);
	CHECK_INT(loop_post(loop, count_up, &calls), 0);
	run_until(loop, &calls, 65537);
}

TEST(posted_calls_that_did_not_run_are_dropped)
{
	struct loop *loop;
	int calls = 0;

	CHECK_INT(loop_new(&loop), 0);
	CHECK_INT(loop_post(loop, count_up, &calls), 0);
	loop_free(loop);
	CHECK_INT(calls, 0);
	loop_free(NULL);
}

static int order[1000];
static int order_count;

static void
note_order(void *arg)
{
	order[order_count++] = (int)(intptr_t)arg;
}

TEST(posted_calls_run_in_order)
{
	AUTO_STRUCT(loop) loop = NULL;

	CHECK_INT(loop_new(&loop), 0);
	order_count = 0;
	for (intptr_t i = 0; i < 1000; i++)
		CHECK_INT(loop_post(loop, note_order, (void *)i), 0);
	run_until(loop, &order_count, 1000);
	for (int i = 0; i < 1000; i++)
		CHECK_INT(order[i], i);
}

struct poster {
	struct loop *loop;
	int *sum;
	pthread_t thread;
};

static void *
post_many(void *arg)
{
	struct poster *poster = arg;

	for (int i = 0; i < 2000; i++) {
		while (loop_post(poster->loop, count_up, poster->sum) != 0)
			;
	}
	return NULL;
}

TEST(calls_from_other_threads_all_arrive)
{
	AUTO_STRUCT(loop) loop = NULL;
	struct poster posters[4];
	int sum = 0;

	CHECK_INT(loop_new(&loop), 0);
	for (int i = 0; i < 4; i++) {
		posters[i] = (struct poster){.loop = loop, .sum = &sum};
		CHECK_INT(thread_start("poster", post_many, &posters[i], &posters[i].thread), 0);
	}
	run_until(loop, &sum, 8000);
	for (int i = 0; i < 4; i++)
		pthread_join(posters[i].thread, NULL);
}

static void *
run_loop(void *arg)
{
	struct loop *loop;
	_Atomic(struct loop *) *shared = arg;

	if (loop_new(&loop) != 0)
		return NULL;
	atomic_store(shared, loop);
	loop_run(loop);
	loop_free(loop);
	return NULL;
}

static void
post_from_inside(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
}

TEST(another_thread_can_stop_a_loop_that_waits)
{
	_Atomic(struct loop *) loop = NULL;
	atomic_int calls = 0;
	pthread_t thread;

	CHECK_INT(thread_start("loop", run_loop, &loop, &thread), 0);
	while (atomic_load(&loop) == NULL)
		usleep(100);
	CHECK_INT(loop_post(atomic_load(&loop), post_from_inside, &calls), 0);
	while (atomic_load(&calls) == 0)
		usleep(100);
	loop_stop(atomic_load(&loop));
	CHECK_INT(pthread_join(thread, NULL), 0);
}

static void
stop_and_count(void *arg)
{
	void **args = arg;

	++*(int *)args[1];
	loop_stop(args[0]);
}

TEST(a_loop_stops_after_the_current_callback_and_can_run_again)
{
	AUTO_STRUCT(loop) loop = NULL;
	int calls = 0;
	void *args[2];

	CHECK_INT(loop_new(&loop), 0);
	args[0] = loop;
	args[1] = &calls;
	CHECK_INT(loop_post(loop, stop_and_count, args), 0);
	CHECK_INT(loop_post(loop, stop_and_count, args), 0);
	loop_run(loop);
	CHECK_INT(calls, 1);
	loop_run(loop);
	CHECK_INT(calls, 2);
	loop_stop(loop);
	loop_run(loop);
	CHECK_INT(calls, 2);
}

/* ---- timers ------------------------------------------------------------------------------------------------------ */

struct ticker {
	struct loop_timer *timer;
	int ticks;
	int until;
};

static void
tick(void *arg)
{
	struct ticker *ticker = arg;

	if (++ticker->ticks < ticker->until) {
		loop_timer_set(ticker->timer, 1);
	} else {
		loop_timer_free(ticker->timer);
		ticker->timer = NULL;
	}
}

TEST(a_timer_may_set_itself_again_and_free_itself)
{
	AUTO_STRUCT(loop) loop = NULL;
	struct ticker ticker = {.until = 3};

	CHECK_INT(loop_new(&loop), 0);
	CHECK_INT(loop_timer_new(loop, tick, &ticker, &ticker.timer), 0);
	loop_timer_set(ticker.timer, 0);
	run_until(loop, &ticker.ticks, 3);
	CHECK(ticker.timer == NULL);
	loop_timer_free(NULL);
}

TEST(a_timer_that_is_not_set_or_cancelled_stays_silent)
{
	AUTO_STRUCT(loop) loop = NULL;
	struct loop_timer *unset, *cancelled, *moved;
	int fired = 0;
	int moved_fired = 0;

	CHECK_INT(loop_new(&loop), 0);
	CHECK_INT(loop_timer_new(loop, count_up, &fired, &unset), 0);
	CHECK_INT(loop_timer_new(loop, count_up, &fired, &cancelled), 0);
	CHECK_INT(loop_timer_new(loop, count_up, &moved_fired, &moved), 0);
	loop_timer_set(cancelled, 1);
	loop_timer_set(cancelled, -1);
	loop_timer_set(moved, 60000);
	loop_timer_set(moved, 20);
	run_until(loop, &moved_fired, 1);
	CHECK_INT(fired, 0);
	loop_timer_free(unset);
	loop_timer_free(cancelled);
	loop_timer_free(moved);
}

TEST(running_once_ends_when_nothing_happens)
{
	AUTO_STRUCT(loop) loop = NULL;
	int64_t start = clock_mono_ms();

	CHECK_INT(loop_new(&loop), 0);
	loop_run_once(loop, 0);
	loop_run_once(loop, 30);
	CHECK(clock_mono_ms() - start >= 20);
	CHECK(clock_mono_ms() - start < PATIENCE_MS);
}

/* ---- descriptors ------------------------------------------------------------------------------------------------- */

struct watcher {
	struct loop_fd *watch;
	struct loop_fd *other;
	int ready;
	int calls;
	bool free_both;
};

static void
on_pipe(int fd, int ready, void *arg)
{
	struct watcher *watcher = arg;

	watcher->ready |= ready;
	watcher->calls++;
	if (watcher->free_both) {
		loop_fd_free(watcher->watch);
		loop_fd_free(watcher->other);
		watcher->watch = NULL;
		watcher->other = NULL;
	}
}

TEST(only_what_is_wanted_is_reported)
{
	AUTO_STRUCT(loop) loop = NULL;
	struct watcher in = {.calls = 0};
	struct watcher out = {.calls = 0};
	int fds[2];

	CHECK_INT(pipe(fds), 0);
	CHECK_INT(loop_new(&loop), 0);
	CHECK_INT(loop_fd_new(loop, fds[0], LOOP_READ, on_pipe, &in, &in.watch), 0);
	CHECK_INT(loop_fd_new(loop, fds[1], 0, on_pipe, &out, &out.watch), 0);
	loop_run_once(loop, 0);
	CHECK_INT(in.calls + out.calls, 0);
	loop_fd_want(out.watch, LOOP_WRITE);
	run_until(loop, &out.calls, 1);
	CHECK_INT(out.ready, LOOP_WRITE);
	loop_fd_want(out.watch, 0);
	CHECK_INT(write(fds[1], "x", 1), 1);
	run_until(loop, &in.calls, 1);
	CHECK_INT(in.ready, LOOP_READ);
	CHECK_INT(out.calls, 1);
	loop_fd_want(in.watch, 0);
	loop_run_once(loop, 0);
	CHECK_INT(in.calls, 1);
	loop_fd_free(in.watch);
	loop_fd_free(out.watch);
	loop_fd_free(NULL);
	close(fds[0]);
	close(fds[1]);
}

TEST(a_callback_may_free_its_own_watch_and_one_that_is_ready_too)
{
	AUTO_STRUCT(loop) loop = NULL;
	struct watcher watcher = {.free_both = true};
	int a[2], b[2];

	CHECK_INT(pipe(a), 0);
	CHECK_INT(pipe(b), 0);
	CHECK_INT(loop_new(&loop), 0);
	CHECK_INT(loop_fd_new(loop, a[0], LOOP_READ, on_pipe, &watcher, &watcher.watch), 0);
	CHECK_INT(loop_fd_new(loop, b[0], LOOP_READ, on_pipe, &watcher, &watcher.other), 0);
	CHECK_INT(write(a[1], "x", 1), 1);
	CHECK_INT(write(b[1], "x", 1), 1);
	loop_run_once(loop, 100);
	loop_run_once(loop, 0);
	CHECK_INT(watcher.calls, 1);
	for (int i = 0; i < 2; i++) {
		close(a[i]);
		close(b[i]);
	}
}

/* ---- signals and the watchdog ------------------------------------------------------------------------------------ */

TEST(a_signal_calls_its_function)
{
	AUTO_STRUCT(loop) loop = NULL;
	int calls = 0;

	CHECK_INT(loop_new(&loop), 0);
	CHECK_INT(loop_signal(loop, SIGUSR1, count_up, &calls), 0);
	raise(SIGUSR1);
	run_until(loop, &calls, 1);
	raise(SIGUSR1);
	run_until(loop, &calls, 2);
}

static void
be_slow(void *arg)
{
	usleep((LOOP_BUDGET_MS + 2) * 1000);
	++*(int *)arg;
}

TEST(a_callback_that_takes_too_long_is_counted)
{
	AUTO_STRUCT(loop) loop = NULL;
	struct loop_timer *timer;
	int calls = 0;

	CHECK_INT(loop_new(&loop), 0);
	CHECK_INT(loop_timer_new(loop, be_slow, &calls, &timer), 0);
	CHECK(loop_overruns(loop) == 0);
	loop_timer_set(timer, 0);
	run_until(loop, &calls, 1);
	CHECK(loop_overruns(loop) == 1);
	CHECK_INT(loop_post(loop, be_slow, &calls), 0);
	run_until(loop, &calls, 2);
	CHECK(loop_overruns(loop) == 2);
	loop_account(loop, clock_mono_us() - LOOP_BUDGET_MS * 1000 - 1, "request");
	CHECK(loop_overruns(loop) == 3);
	loop_account(loop, clock_mono_us(), "request");
	CHECK(loop_overruns(loop) == 3);
	loop_timer_free(timer);
}

static void *
signal_mask(void *arg)
{
	sigset_t set;

	pthread_sigmask(SIG_SETMASK, NULL, &set);
	*(int *)arg =
		sigismember(&set, SIGTERM) == 1 && sigismember(&set, SIGHUP) == 1 && sigismember(&set, SIGSEGV) == 0;
	pthread_getname_np(pthread_self(), (char *)arg + sizeof(int), 16);
	return NULL;
}

TEST(a_thread_has_its_name_and_takes_no_signals)
{
	struct {
		int blocked;
		char name[16];
	} seen = {0};
	sigset_t set;
	pthread_t thread;

	CHECK_INT(thread_start("a-name-that-is-too-long", signal_mask, &seen, &thread), 0);
	CHECK_INT(pthread_join(thread, NULL), 0);
	CHECK_INT(seen.blocked, 1);
	CHECK_TEXT(seen.name, "a-name-that-is-");
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	CHECK_INT(sigismember(&set, SIGTERM), 0);
}

TEST_MAIN(RUN(a_full_queue_refuses_and_loses_nothing), RUN(posted_calls_that_did_not_run_are_dropped),
	  RUN(posted_calls_run_in_order), RUN(calls_from_other_threads_all_arrive),
	  RUN(another_thread_can_stop_a_loop_that_waits),
	  RUN(a_loop_stops_after_the_current_callback_and_can_run_again),
	  RUN(a_timer_may_set_itself_again_and_free_itself), RUN(a_timer_that_is_not_set_or_cancelled_stays_silent),
	  RUN(running_once_ends_when_nothing_happens), RUN(only_what_is_wanted_is_reported),
	  RUN(a_callback_may_free_its_own_watch_and_one_that_is_ready_too), RUN(a_signal_calls_its_function),
	  RUN(a_callback_that_takes_too_long_is_counted), RUN(a_thread_has_its_name_and_takes_no_signals))
