/*
 * board/base/loop - one event loop per thread: descriptors, timers, and messages from other threads
 *
 * Wraps libevent.  Nothing called from a loop may block: no token, disk, DNS or lock that is held across such a call.
 * A callback that takes longer than LOOP_BUDGET_MS is counted and logged.
 *
 * Threads:  a loop is made, used and freed by one thread; only loop_post() and loop_stop() may be called by others.
 */
#ifndef BOARD_BASE_LOOP_H
#define BOARD_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "board/base/err.h"

struct loop;
struct loop_fd;
struct loop_timer;
struct event_base;

enum { LOOP_BUDGET_MS = 5 };
enum { LOOP_READ = 1, LOOP_WRITE = 2 };

typedef void (*loop_fd_fn)(int fd, int ready, void *arg);
typedef void (*loop_fn)(void *arg);

/* A loop for the calling thread.  Fails with ERR_NOMEM or ERR_IO. */
MUST_CHECK int loop_new(struct loop **ret_loop);

/*
 * Frees a loop that does not run; watches and timers must be freed before.  Posted calls that did not run are dropped.
 */
void loop_free(struct loop *loop);

/* Runs until loop_stop(); every callback comes from inside here. */
void loop_run(struct loop *loop);

/* Handles what is ready or due within wait_ms and returns; for tests. */
void loop_run_once(struct loop *loop, int wait_ms);

/* Makes loop_run() return after the current callback.  Any thread. */
void loop_stop(struct loop *loop);

/* Calls fn(arg) from the loop's thread, soon and in order.  Any thread.  Fails with ERR_BUSY when 65536 calls wait. */
MUST_CHECK int loop_post(struct loop *loop, loop_fn fn, void *arg);

/* Watches fd for LOOP_READ and LOOP_WRITE until freed; fd stays the caller's.  Fails with ERR_NOMEM. */
MUST_CHECK int loop_fd_new(struct loop *loop, int fd, int want, loop_fd_fn fn, void *arg, struct loop_fd **ret_watch);

/* Changes what is watched; 0 pauses. */
void loop_fd_want(struct loop_fd *watch, int want);

/* Ends watching; NULL is fine.  Does not close the descriptor.  May be called from its own callback. */
void loop_fd_free(struct loop_fd *watch);

/* A timer that is not set.  Fails with ERR_NOMEM. */
MUST_CHECK int loop_timer_new(struct loop *loop, loop_fn fn, void *arg, struct loop_timer **ret_timer);

/* Calls fn once after ms milliseconds, instead of what was set before; negative ms only cancels. */
void loop_timer_set(struct loop_timer *timer, int64_t ms);

/* Cancels and frees; NULL is fine.  May be called from its own callback. */
void loop_timer_free(struct loop_timer *timer);

/*
 * Calls fn(arg) from the loop when this process gets the signal, for as long as the loop lives.  Fails with ERR_NOMEM.
 */
MUST_CHECK int loop_signal(struct loop *loop, int signo, loop_fn fn, void *arg);

/* libevent's own handle, for net/http.c, net/tls.c alone. */
struct event_base *loop_base(struct loop *loop);

/* Callbacks that exceeded the budget since the loop was made. */
uint64_t loop_overruns(const struct loop *loop);

/* Times work that libevent calls directly (net/http.c): the start is clock_mono_us(), what names the callback. */
void loop_account(struct loop *loop, int64_t start_us, const char *what);

CLEANUP_STRUCT(loop, loop_free)

#endif
