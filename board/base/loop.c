/*
 * board/base/loop - see loop.h
 *
 * libevent's own threading is not used: other threads only append to a queue under a lock and write to an eventfd.
 */
#include "board/base/loop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>

#include "board/base/clock.h"
#include "board/base/list.h"
#include "board/base/log.h"

enum {
	LOOP_POST_LIMIT = 65536,
	LOOP_POST_FIRST = 64,
	LOOP_POST_BATCH = 256, /* then descriptors and timers get their turn */
};

struct loop_call {
	loop_fn fn;
	void *arg;
};

struct loop {
	struct event_base *base;
	struct event *wake;
	struct event *patience; /* ends loop_run_once() */
	int wake_fd;
	bool running; /* inside loop_run(); the loop's thread alone */
	atomic_bool stop;
	_Atomic uint64_t overruns;
	struct list signals; /* struct loop_signal_watch */

	pthread_mutex_t lock;   /* guards what follows; never held across a call */
	struct loop_call *ring; /* cap is a power of two */
	size_t cap;
	size_t head;
	size_t count;
	bool woken; /* wake_fd was written and not yet read */
};

struct loop_fd {
	struct loop *loop;
	struct event *event;
	int fd;
	loop_fd_fn fn;
	void *arg;
};

struct loop_timer {
	struct loop *loop;
	struct event *event;
	loop_fn fn;
	void *arg;
};

struct loop_signal_watch {
	struct list link;
	struct loop *loop;
	struct event *event;
	loop_fn fn;
	void *arg;
};

/* Where the program was loaded, given by the linker: address - this is what addr2line wants. */
extern const char __executable_start[];

static void
loop_overrun(struct loop *loop, int64_t us, const char *what)
{
	atomic_fetch_add_explicit(&loop->overruns, 1, memory_order_relaxed);
	log_event(LOOP_OVERRUN, what, (long long)(us / 1000));
}

/* loop_stop() ends loop_run() alone; loop_run_once() ends by itself. */
static bool
loop_ending(struct loop *loop)
{
	return loop->running && atomic_load_explicit(&loop->stop, memory_order_relaxed);
}

static bool
loop_too_long(int64_t us)
{
	return us > (int64_t)LOOP_BUDGET_MS * 1000;
}

/* Ends a callback that began at start_us.  Whatever the callback was called for may be gone by now. */
static void
loop_done(struct loop *loop, int64_t start_us, const char *kind, uintptr_t fn)
{
	int64_t us = clock_mono_us() - start_us;
	char what[64];

	if (loop_too_long(us)) {
		(void)snprintf(what, sizeof(what), "%s@0x%llx", kind,
			       (unsigned long long)(fn - (uintptr_t)__executable_start));
		loop_overrun(loop, us, what);
	}
	if (loop_ending(loop))
		(void)event_base_loopbreak(loop->base);
}

void
loop_account(struct loop *loop, int64_t start_us, const char *what)
{
	int64_t us = clock_mono_us() - start_us;

	if (loop_too_long(us))
		loop_overrun(loop, us, what);
	if (loop_ending(loop))
		(void)event_base_loopbreak(loop->base);
}

uint64_t
loop_overruns(const struct loop *loop)
{
	return atomic_load_explicit(&loop->overruns, memory_order_relaxed);
}

struct event_base *
loop_base(struct loop *loop)
{
	return loop->base;
}

/* ---- posted calls ------------------------------------------------------------------------------------------------ */

static void
wake_write(struct loop *loop)
{
	const uint64_t one = 1;

	/* It can only fail when the counter is full, and then the loop wakes anyway. */
	while (write(loop->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static int
post_grow(struct loop *loop)
{
	size_t cap = loop->cap == 0 ? LOOP_POST_FIRST : loop->cap * 2;
	struct loop_call *ring = calloc(cap, sizeof(*ring));

	if (ring == NULL)
		return ERR_BUSY;
	for (size_t i = 0; i < loop->count; i++)
		ring[i] = loop->ring[(loop->head + i) & (loop->cap - 1)];
	free(loop->ring);
	loop->ring = ring;
	loop->cap = cap;
	loop->head = 0;
	return 0;
}

/* Under the lock. */
static int
post_put(struct loop *loop, loop_fn fn, void *arg)
{
	int r;

	if (loop->count >= LOOP_POST_LIMIT)
		return ERR_BUSY;
	if (loop->count == loop->cap) {
		r = post_grow(loop);
		if (r != 0)
			return r;
	}
	loop->ring[(loop->head + loop->count) & (loop->cap - 1)] = (struct loop_call){fn, arg};
	loop->count++;
	return 0;
}

int
loop_post(struct loop *loop, loop_fn fn, void *arg)
{
	int r;

	/* The write happens under the lock, so that after the last call ran nobody still uses the loop. */
	pthread_mutex_lock(&loop->lock);
	r = post_put(loop, fn, arg);
	if (r == 0 && !loop->woken) {
		loop->woken = true;
		wake_write(loop);
	}
	pthread_mutex_unlock(&loop->lock);
	return r;
}

static bool
post_take(struct loop *loop, struct loop_call *ret_call)
{
	bool any;

	pthread_mutex_lock(&loop->lock);
	any = loop->count > 0;
	if (any) {
		*ret_call = loop->ring[loop->head];
		loop->head = (loop->head + 1) & (loop->cap - 1);
		loop->count--;
	}
	pthread_mutex_unlock(&loop->lock);
	return any;
}

static void
post_read_wake(struct loop *loop)
{
	uint64_t ignored;

	pthread_mutex_lock(&loop->lock);
	loop->woken = false;
	(void)!read(loop->wake_fd, &ignored, sizeof(ignored));
	pthread_mutex_unlock(&loop->lock);
}

/* Calls that wait and are not run now must wake the loop again. */
static void
post_rearm(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	if (loop->count > 0 && !loop->woken) {
		loop->woken = true;
		wake_write(loop);
	}
	pthread_mutex_unlock(&loop->lock);
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;
	struct loop_call call;

	post_read_wake(loop);
	for (int i = 0; i < LOOP_POST_BATCH && !loop_ending(loop) && post_take(loop, &call); i++) {
		int64_t start = clock_mono_us();

		call.fn(call.arg);
		loop_done(loop, start, "post", (uintptr_t)call.fn);
	}
	post_rearm(loop);
	if (loop_ending(loop))
		(void)event_base_loopbreak(loop->base);
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

static void
on_patience(evutil_socket_t fd, short what, void *arg)
{
	/* Its only purpose is to have happened. */
}

static struct event_base *
base_new(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base;

	if (config == NULL)
		return NULL;
	/* Times are read afresh, so that a timer set at the end of a long callback is not early. */
	(void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV |
						    EVENT_BASE_FLAG_NO_CACHE_TIME);
	base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

int
loop_new(struct loop **ret_loop)
{
	AUTO_STRUCT(loop) loop = calloc(1, sizeof(*loop));

	if (loop == NULL)
		return ERR_NOMEM;
	list_init(&loop->signals);
	pthread_mutex_init(&loop->lock, NULL);
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake_fd < 0)
		return ERR_IO;
	loop->base = base_new();
	if (loop->base == NULL)
		return ERR_NOMEM;
	loop->wake = event_new(loop->base, loop->wake_fd, EV_READ | EV_PERSIST, on_wake, loop);
	loop->patience = evtimer_new(loop->base, on_patience, loop);
	if (loop->wake == NULL || loop->patience == NULL || event_add(loop->wake, NULL) != 0)
		return ERR_NOMEM;
	*ret_loop = TAKE(loop);
	return 0;
}

static void
signals_free(struct loop *loop)
{
	struct list *pos, *tmp;

	list_each (pos, tmp, &loop->signals) {
		struct loop_signal_watch *watch = list_entry(pos, struct loop_signal_watch, link);

		list_remove(pos);
		event_free(watch->event);
		free(watch);
	}
}

void
loop_free(struct loop *loop)
{
	if (loop == NULL)
		return;
	signals_free(loop);
	if (loop->wake != NULL)
		event_free(loop->wake);
	if (loop->patience != NULL)
		event_free(loop->patience);
	if (loop->base != NULL)
		event_base_free(loop->base);
	/* A thread that is still inside loop_post() for a call that ran already leaves the lock first. */
	pthread_mutex_lock(&loop->lock);
	pthread_mutex_unlock(&loop->lock);
	pthread_mutex_destroy(&loop->lock);
	if (loop->wake_fd >= 0)
		(void)close(loop->wake_fd);
	free(loop->ring);
	free(loop);
}

void
loop_run(struct loop *loop)
{
	loop->running = true;
	if (!atomic_load(&loop->stop))
		(void)event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY);
	loop->running = false;
	atomic_store(&loop->stop, false);
}

void
loop_run_once(struct loop *loop, int wait_ms)
{
	struct timeval wait = {wait_ms / 1000, wait_ms % 1000 * 1000};

	if (wait_ms <= 0) {
		(void)event_base_loop(loop->base, EVLOOP_NONBLOCK);
	} else {
		(void)event_add(loop->patience, &wait);
		(void)event_base_loop(loop->base, EVLOOP_ONCE);
		(void)event_del(loop->patience);
	}
}

void
loop_stop(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	atomic_store(&loop->stop, true);
	wake_write(loop);
	pthread_mutex_unlock(&loop->lock);
}

/* ---- descriptors ------------------------------------------------------------------------------------------------- */

static void
on_fd(evutil_socket_t fd, short what, void *arg)
{
	struct loop_fd *watch = arg;
	struct loop *loop = watch->loop;
	loop_fd_fn fn = watch->fn;
	int64_t start = clock_mono_us();

	fn(watch->fd, ((what & EV_READ) != 0 ? LOOP_READ : 0) | ((what & EV_WRITE) != 0 ? LOOP_WRITE : 0), watch->arg);
	loop_done(loop, start, "fd", (uintptr_t)fn);
}

static short
fd_events(int want)
{
	return (short)(((want & LOOP_READ) != 0 ? EV_READ : 0) | ((want & LOOP_WRITE) != 0 ? EV_WRITE : 0));
}

int
loop_fd_new(struct loop *loop, int fd, int want, loop_fd_fn fn, void *arg, struct loop_fd **ret_watch)
{
	struct loop_fd *watch = calloc(1, sizeof(*watch));

	if (watch == NULL)
		return ERR_NOMEM;
	*watch = (struct loop_fd){.loop = loop, .fd = fd, .fn = fn, .arg = arg};
	watch->event = event_new(loop->base, fd, (short)(fd_events(want) | EV_PERSIST), on_fd, watch);
	if (watch->event == NULL || (want != 0 && event_add(watch->event, NULL) != 0)) {
		loop_fd_free(watch);
		return ERR_NOMEM;
	}
	*ret_watch = watch;
	return 0;
}

void
loop_fd_want(struct loop_fd *watch, int want)
{
	(void)event_del(watch->event);
	if (want == 0)
		return;
	(void)event_assign(watch->event, watch->loop->base, watch->fd, (short)(fd_events(want) | EV_PERSIST), on_fd,
			   watch);
	(void)event_add(watch->event, NULL);
}

void
loop_fd_free(struct loop_fd *watch)
{
	if (watch == NULL)
		return;
	if (watch->event != NULL)
		event_free(watch->event);
	free(watch);
}

/* ---- timers and signals ------------------------------------------------------------------------------------------ */

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct loop_timer *timer = arg;
	struct loop *loop = timer->loop;
	loop_fn fn = timer->fn;
	int64_t start = clock_mono_us();

	fn(timer->arg);
	loop_done(loop, start, "timer", (uintptr_t)fn);
}

int
loop_timer_new(struct loop *loop, loop_fn fn, void *arg, struct loop_timer **ret_timer)
{
	struct loop_timer *timer = calloc(1, sizeof(*timer));

	if (timer == NULL)
		return ERR_NOMEM;
	*timer = (struct loop_timer){.loop = loop, .fn = fn, .arg = arg};
	timer->event = evtimer_new(loop->base, on_timer, timer);
	if (timer->event == NULL) {
		free(timer);
		return ERR_NOMEM;
	}
	*ret_timer = timer;
	return 0;
}

void
loop_timer_set(struct loop_timer *timer, int64_t ms)
{
	struct timeval wait = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};

	if (ms < 0)
		(void)event_del(timer->event);
	else
		(void)event_add(timer->event, &wait);
}

void
loop_timer_free(struct loop_timer *timer)
{
	if (timer == NULL)
		return;
	event_free(timer->event);
	free(timer);
}

static void
on_signal(evutil_socket_t signo, short what, void *arg)
{
	struct loop_signal_watch *watch = arg;
	int64_t start = clock_mono_us();

	watch->fn(watch->arg);
	loop_done(watch->loop, start, "signal", (uintptr_t)watch->fn);
}

int
loop_signal(struct loop *loop, int signo, loop_fn fn, void *arg)
{
	struct loop_signal_watch *watch = calloc(1, sizeof(*watch));

	if (watch == NULL)
		return ERR_NOMEM;
	*watch = (struct loop_signal_watch){.loop = loop, .fn = fn, .arg = arg};
	watch->event = evsignal_new(loop->base, signo, on_signal, watch);
	if (watch->event == NULL || event_add(watch->event, NULL) != 0) {
		if (watch->event != NULL)
			event_free(watch->event);
		free(watch);
		return ERR_NOMEM;
	}
	list_append(&loop->signals, &watch->link);
	return 0;
}
