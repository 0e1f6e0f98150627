#include "tests/load/wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
	EVENTS = 512,
	TICK_MS = 10,
	IN_FIRST = 4096,
	REST_MS = 100, /* after a connection could not be opened */
	SLOW_PIECES = 10,
	ATTEMPTS_MAX = 20,
	RETRY_DEFAULT_S = 1,
	DIALS_AT_ONCE = 256, /* idle connections that are opened at a time */
	SPARE_FDS = 64,
};

enum line_state {
	LINE_OFF,  /* has no job and will get none */
	LINE_REST, /* waits until wake_at for its next attempt */
	LINE_BUSY, /* connecting, sending or waiting for the answer */
	LINE_IDLE, /* an idle connection that is open */
};

struct line {
	enum line_state state;
	bool slow;
	bool idle;
	bool fresh; /* nothing was answered on this connection yet */
	int fd;     /* -1: closed */
	struct job *job;
	double begin; /* of the first attempt */
	double deadline;
	double wake_at;
	double next_piece; /* slow: when more may be sent */
	size_t may_send;   /* slow: how much so far */
	unsigned attempts; /* that got 503 */
	size_t requests;   /* on this connection */
	size_t sent;
	uint8_t *in;
	size_t got;
	size_t room;
};

struct wire {
	const struct wire_plan *plan;
	struct tally *tally;
	int epoll;
	struct line *lines; /* connections, then slow ones, then idle ones */
	size_t line_count;
	size_t next[2]; /* index of the next job: [1] of the slow ones */
	size_t busy;    /* lines that are BUSY or at REST with a job */
	size_t dialling;
	double begin;
	double now;
};

static double
clock_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct bytes
line_message(const struct wire *w, const struct line *line)
{
	if (line->idle)
		return w->plan->idle_request;
	return line->job != NULL ? line->job->message : (struct bytes){NULL, 0};
}

static void
line_close(struct line *line)
{
	if (line->fd >= 0)
		(void)close(line->fd);
	line->fd = -1;
	line->got = 0;
}

/* The next job of this line's queue; NULL when there is none, or no time left. */
static struct job *
job_next(struct wire *w, const struct line *line)
{
	const struct wire_plan *plan = w->plan;
	size_t *next = &w->next[line->slow];

	if (plan->seconds > 0 && w->now - w->begin >= plan->seconds)
		return NULL;
	for (;; (*next)++) {
		if (*next >= plan->count && plan->again && plan->seconds > 0 && !line->slow)
			*next = 0;
		if (*next >= plan->count)
			return NULL;
		if ((plan->jobs[*next].kind == JOB_SLOW) == line->slow)
			return &plan->jobs[(*next)++];
	}
}

static void line_verdict(struct wire *w, struct line *line, enum verdict verdict, const struct answer *answer);

/* Sends what may be sent; a failure shows when the answer is read. */
static void
line_push(struct wire *w, struct line *line)
{
	struct bytes message = line_message(w, line);
	size_t end = line->slow ? line->may_send : message.len;
	ssize_t n;

	while (line->sent < end) {
		n = send(line->fd, message.data + line->sent, end - line->sent, MSG_NOSIGNAL);
		if (n <= 0)
			return;
		line->sent += (size_t)n;
	}
}

static void
line_open(struct wire *w, struct line *line)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = line};

	line->fd = target_dial(w->plan->target, (size_t)(line - w->lines));
	line->requests = 0;
	line->fresh = true;
	if (line->fd < 0 || epoll_ctl(w->epoll, EPOLL_CTL_ADD, line->fd, &event) != 0)
		line_verdict(w, line, VERDICT_CONNECT, NULL);
}

/* Sends the line's job, on a new connection if there is none. */
static void
line_attempt(struct wire *w, struct line *line)
{
	size_t per = w->plan->requests_per_connection;
	double slow_s = line->slow ? w->plan->slow_ms / 1e3 : 0;

	line->state = LINE_BUSY;
	line->deadline = w->now + slow_s + w->plan->timeout_ms / 1e3;
	line->sent = 0;
	line->got = 0;
	line->may_send = line_message(w, line).len / SLOW_PIECES;
	line->next_piece = w->now + slow_s / SLOW_PIECES;
	if (line->fd >= 0 && per > 0 && line->requests >= per)
		line_close(line);
	if (line->fd < 0)
		line_open(w, line);
	else
		line_push(w, line);
}

static void
line_next(struct wire *w, struct line *line)
{
	line->job = job_next(w, line);
	line->attempts = 0;
	line->begin = w->now;
	if (line->job == NULL) {
		line->state = LINE_OFF;
		w->busy--;
		return;
	}
	line_attempt(w, line);
}

static void
line_rest(struct wire *w, struct line *line, double seconds)
{
	line->state = LINE_REST;
	line->wake_at = w->now + seconds;
}

/* 503: comes back when told to, if it does as it is told. */
static bool
line_comes_back(struct wire *w, struct line *line, const struct answer *answer)
{
	int wait_s = answer->retry_after_s >= 0 ? answer->retry_after_s : RETRY_DEFAULT_S;

	if (!w->plan->honour_retry_after || ++line->attempts >= ATTEMPTS_MAX)
		return false;
	w->tally->retries++;
	line_rest(w, line, wait_s);
	return true;
}

/* Counts how the attempt ended and goes on with the next job.  answer: NULL when none came. */
static void
line_verdict(struct wire *w, struct line *line, enum verdict verdict, const struct answer *answer)
{
	bool closed = answer == NULL || answer->closes;

	if (answer != NULL && answer->status >= 0 && answer->status < TALLY_HTTP_MAX)
		w->tally->http[answer->status]++;
	if (closed)
		line_close(line);
	if (line->idle) {
		w->dialling--;
		line->state = verdict == VERDICT_OK && !closed ? LINE_IDLE : LINE_OFF;
		w->tally->idle_opened += line->state == LINE_IDLE;
		return;
	}
	if (verdict == VERDICT_LATER && line_comes_back(w, line, answer))
		return;
	tally_note(w->tally, line->job, verdict, answer != NULL ? answer->fail_info : -1, (w->now - line->begin) * 1e3);
	if (verdict == VERDICT_OK && line->job->keep && line->job->answer.data == NULL)
		line->job->answer = bytes_dup(answer->body);
	if (!line->slow)
		w->tally->seconds = w->now - w->begin;
	line->job = NULL;
	if (verdict == VERDICT_CONNECT)
		line_rest(w, line, REST_MS / 1e3);
	else
		line_next(w, line);
}

static bool
in_grow(struct line *line)
{
	size_t room = line->room == 0 ? IN_FIRST : line->room * 2;
	uint8_t *more = room <= 2 * (size_t)ANSWER_MAX ? realloc(line->in, room) : NULL;

	if (more == NULL)
		return false;
	line->in = more;
	line->room = room;
	return true;
}

/* The peer closed or reset. */
static void
line_ended(struct wire *w, struct line *line, int code)
{
	struct answer answer;
	bool connecting = line->fresh && line->requests == 0 && line->sent == 0;

	if (line->state == LINE_IDLE) {
		w->tally->idle_closed++;
		line->state = LINE_OFF;
		line_close(line);
		return;
	}
	if (line->state != LINE_BUSY) {
		line_close(line);
		return;
	}
	if (code == 0 && line->got > 0 && answer_read(line->in, line->got, true, &answer) == 1) {
		answer.closes = true;
		line_verdict(w, line, line->idle ? VERDICT_CLOSED : answer_judge(line->job, &answer), &answer);
		return;
	}
	/* It was closed while nothing was asked, as a server may: HTTP clients ask again on a new connection. */
	if (!line->fresh && line->got == 0) {
		w->tally->reconnects++;
		line_close(line);
		line_attempt(w, line);
		return;
	}
	line_verdict(w, line, connecting ? VERDICT_CONNECT : VERDICT_CLOSED, NULL);
}

/* Is the answer whole?  Then the next request goes out. */
static void
line_answered(struct wire *w, struct line *line)
{
	struct answer answer = {.closes = false};
	int rc = answer_read(line->in, line->got, false, &answer);

	if (rc == 0)
		return;
	line->fresh = false;
	line->requests++;
	/* What is left of the request would be taken for the next one. */
	answer.closes |= line->sent < line_message(w, line).len;
	if (rc < 0)
		line_verdict(w, line, VERDICT_NO_CERTREP, NULL);
	else if (line->idle)
		line_verdict(w, line, answer.status == 200 ? VERDICT_OK : VERDICT_HTTP, &answer);
	else
		line_verdict(w, line, answer_judge(line->job, &answer), &answer);
}

static void
line_pull(struct wire *w, struct line *line)
{
	int fd = line->fd;

	/* Until nothing is left: events come at changes only.  The line may have gone on with another socket. */
	while (line->fd == fd) {
		ssize_t n;

		if (line->got == line->room && !in_grow(line)) {
			line_verdict(w, line, VERDICT_NO_CERTREP, NULL);
			return;
		}
		n = recv(fd, line->in + line->got, line->room - line->got, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			line_ended(w, line, n < 0 ? errno : 0);
			return;
		}
		line->got += (size_t)n;
		if (line->state == LINE_BUSY)
			line_answered(w, line);
		else
			line->got = 0;
	}
}

static void
line_event(struct wire *w, struct line *line, uint32_t events)
{
	if (line->fd < 0)
		return;
	if (line->state == LINE_BUSY && (events & EPOLLOUT) != 0 && (events & (EPOLLERR | EPOLLHUP)) == 0)
		line_push(w, line);
	if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0)
		line_pull(w, line);
}

static void
line_tick(struct wire *w, struct line *line)
{
	size_t len;

	if (line->state == LINE_REST && w->now >= line->wake_at) {
		if (line->job != NULL)
			line_attempt(w, line);
		else
			line_next(w, line);
		return;
	}
	if (line->state != LINE_BUSY)
		return;
	if (w->now >= line->deadline) {
		line_verdict(w, line, VERDICT_TIMEOUT, NULL);
		return;
	}
	len = line->slow ? line_message(w, line).len : 0;
	if (line->slow && line->may_send < len && w->now >= line->next_piece) {
		line->may_send += len / SLOW_PIECES + 1;
		if (line->may_send > len)
			line->may_send = len;
		line->next_piece += w->plan->slow_ms / 1e3 / SLOW_PIECES;
		if (line->sent > 0 || line->requests > 0)
			line_push(w, line);
	}
}

static void
tick(struct wire *w)
{
	for (size_t i = 0; i < w->line_count; i++)
		line_tick(w, &w->lines[i]);
}

static void
events_take(struct wire *w)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(w->epoll, events, EVENTS, TICK_MS);

	w->now = clock_now();
	for (int i = 0; i < n; i++) {
		line_event(w, events[i].data.ptr, events[i].events);
		w->now = clock_now();
	}
}

/* Handles events until done() or, when it is above 0, until the time. */
static void
turn(struct wire *w, const size_t *until_zero, double until)
{
	double next_tick = 0;

	while (*until_zero > 0 && (until <= 0 || w->now < until)) {
		events_take(w);
		if (w->now >= next_tick) {
			tick(w);
			next_tick = w->now + TICK_MS / 1e3;
		}
	}
}

static void
idle_open(struct wire *w)
{
	struct line *idle = w->lines + w->line_count - w->plan->idle;
	size_t opened = 0;

	while (opened < w->plan->idle) {
		while (opened < w->plan->idle && w->dialling < DIALS_AT_ONCE) {
			w->dialling++;
			line_attempt(w, &idle[opened++]);
		}
		events_take(w);
		tick(w);
	}
	turn(w, &w->dialling, 0);
}

/* Each connection is a file descriptor. */
static int
descriptors_raise(size_t count, struct err *e)
{
	struct rlimit limit;
	rlim_t wanted = (rlim_t)count + SPARE_FDS;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return err_set(e, ERR_IO, (uint32_t)errno, "RLIMIT_NOFILE");
	if (limit.rlim_cur >= wanted)
		return 0;
	limit.rlim_cur = wanted;
	if (limit.rlim_max < wanted)
		limit.rlim_max = wanted; /* which takes privilege */
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		return err_set(e, ERR_LIMIT, (uint32_t)errno, "%zu connections need as many file descriptors", count);
	return 0;
}

static int
wire_init(struct wire *w, const struct wire_plan *plan, struct tally *tally, struct err *e)
{
	size_t slow = 0;
	int status;

	for (size_t i = 0; i < plan->count && slow < plan->connections; i++)
		slow += plan->jobs[i].kind == JOB_SLOW;
	*w = (struct wire){.plan = plan, .tally = tally, .line_count = plan->connections + slow + plan->idle};
	w->epoll = -1;
	status = descriptors_raise(w->line_count, e);
	if (status != 0)
		return status;
	w->lines = calloc(w->line_count, sizeof(*w->lines));
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (w->lines == NULL || w->epoll < 0)
		return err_set(e, ERR_NOMEM, 0, "no memory for %zu connections", w->line_count);
	for (size_t i = 0; i < w->line_count; i++) {
		w->lines[i].fd = -1;
		w->lines[i].slow = i >= plan->connections && i < plan->connections + slow;
		w->lines[i].idle = i >= plan->connections + slow;
	}
	w->now = clock_now();
	return 0;
}

static void
wire_fini(struct wire *w)
{
	for (size_t i = 0; w->lines != NULL && i < w->line_count; i++) {
		line_close(&w->lines[i]);
		free(w->lines[i].in);
	}
	free(w->lines);
	if (w->epoll >= 0)
		(void)close(w->epoll);
}

static void
jobs_send(struct wire *w)
{
	w->now = clock_now();
	w->begin = w->now;
	w->busy = w->line_count - w->plan->idle;
	for (size_t i = 0; i < w->line_count - w->plan->idle; i++)
		line_next(w, &w->lines[i]);
	turn(w, &w->busy, 0);
	w->tally->seconds_all = w->now - w->begin;
}

int
wire_run(const struct wire_plan *plan, struct tally *ret_tally, struct err *e)
{
	struct tally tally = {.retries = 0};
	struct wire w;
	size_t one = 1;
	int status = wire_init(&w, plan, &tally, e);

	if (status == 0) {
		idle_open(&w);
		if (plan->on_begin != NULL)
			plan->on_begin(plan->arg);
		jobs_send(&w);
		if (plan->hold_s > 0)
			turn(&w, &one, w.now + plan->hold_s);
		*ret_tally = tally;
	}
	wire_fini(&w);
	return status;
}
