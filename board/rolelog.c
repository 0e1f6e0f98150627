#include "board/rolelog.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "board/base/log.h"

enum {
	LINE_MAX_LEN = 4096, /* PIPE_BUF, and the longest line that board/base/log.c writes */
	PIPE_SIZE = 256 * 1024,
	PAUSE_MS = 20,     /* before looking again whether somebody reads our own log */
	READS_PER_TURN = 8 /* a role that floods its log must not hold the loop */
};

struct rolelog {
	struct loop_fd *watch;
	struct loop_timer *pause;
	const char *name;
	int fd;
	size_t len; /* of the line that has begun */
	char line[LINE_MAX_LEN];
};

/* Is it "time=… role=<name> level=…", printable throughout? */
static bool
is_own_line(const struct rolelog *log, const char *line, size_t len)
{
	char want[64];
	const char *blank = memchr(line, ' ', len);
	size_t want_len = (size_t)snprintf(want, sizeof(want), " role=%s level=", log->name);
	size_t i;

	if (len < 5 || memcmp(line, "time=", 5) != 0 || blank == NULL || (size_t)(line + len - blank) < want_len ||
	    memcmp(blank, want, want_len) != 0)
		return false;
	for (i = 0; i < len; i++)
		if (line[i] < ' ' || line[i] > '~')
			return false;
	return true;
}

/* line has room for a line end behind len. */
static void
pass_on(const struct rolelog *log, char *line, size_t len)
{
	struct bytes text = {(const uint8_t *)line, len};

	if (len == 0)
		return;
	if (!is_own_line(log, line, len)) {
		log_event(ROLE_OUTPUT, log->name, log_bytes(text));
		return;
	}
	line[len] = '\n';
	while (write(STDERR_FILENO, line, len + 1) < 0 && errno == EINTR)
		;
}

/* Passes on the complete lines; one that fills the buffer is passed on in pieces. */
static void
cut_lines(struct rolelog *log)
{
	char *start = log->line;
	char *end = log->line + log->len;
	char *newline;

	while ((newline = memchr(start, '\n', (size_t)(end - start))) != NULL) {
		pass_on(log, start, (size_t)(newline - start));
		start = newline + 1;
	}
	log->len = (size_t)(end - start);
	memmove(log->line, start, log->len);
	if (log->len == sizeof(log->line) - 1) {
		pass_on(log, log->line, log->len);
		log->len = 0;
	}
}

/* False when the pipe is empty or ended. */
static bool
read_some(struct rolelog *log)
{
	ssize_t n = read(log->fd, log->line + log->len, sizeof(log->line) - 1 - log->len);

	if (n <= 0)
		return false;
	log->len += (size_t)n;
	cut_lines(log);
	return true;
}

/* Our own log may be a pipe that nobody empties; then the role's fills up too, and the role counts what it loses. */
static bool
somebody_reads(void)
{
	struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};

	return poll(&out, 1, 0) != 0;
}

static void
on_readable(int fd, int ready, void *arg)
{
	struct rolelog *log = arg;
	int turn;

	for (turn = 0; turn < READS_PER_TURN; turn++) {
		if (!somebody_reads()) {
			loop_fd_want(log->watch, 0);
			loop_timer_set(log->pause, PAUSE_MS);
			return;
		}
		if (!read_some(log))
			break;
	}
	/* Ended without a complete line: rolelog_free() comes when the role was reaped, so stop spinning on EOF. */
	if (turn == 0) {
		loop_fd_want(log->watch, 0);
		loop_timer_set(log->pause, PAUSE_MS);
	}
}

static void
on_pause_over(void *arg)
{
	struct rolelog *log = arg;

	loop_fd_want(log->watch, LOOP_READ);
}

static int
watch_pipe(struct loop *loop, struct rolelog *log)
{
	int rc = loop_timer_new(loop, on_pause_over, log, &log->pause);

	return rc != 0 ? rc : loop_fd_new(loop, log->fd, LOOP_READ, on_readable, log, &log->watch);
}

int
rolelog_new(struct loop *loop, const char *name, struct rolelog **ret_log, int *ret_fd, struct err *e)
{
	struct rolelog *log = calloc(1, sizeof(*log));
	int fds[2];

	if (log == NULL)
		return err_set(e, ERR_NOMEM, 0, "log of %s", name);
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) {
		free(log);
		return err_set(e, ERR_IO, (uint32_t)errno, "pipe for the log of %s: %s", name, strerror(errno));
	}
	(void)fcntl(fds[1], F_SETPIPE_SZ, PIPE_SIZE); /* more room is welcome, not needed */
	log->fd = fds[0];
	log->name = name;
	if (watch_pipe(loop, log) != 0) {
		rolelog_free(log);
		close(fds[1]);
		return err_set(e, ERR_NOMEM, 0, "log of %s", name);
	}
	*ret_log = log;
	*ret_fd = fds[1];
	return 0;
}

void
rolelog_free(struct rolelog *log)
{
	int turn;

	if (log == NULL)
		return;
	for (turn = 0; turn < PIPE_SIZE / LINE_MAX_LEN && somebody_reads() && read_some(log); turn++)
		;
	pass_on(log, log->line, log->len);
	loop_fd_free(log->watch);
	loop_timer_free(log->pause);
	close(log->fd);
	free(log);
}
