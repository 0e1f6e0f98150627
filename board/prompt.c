#include "board/prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 2048 };

/* What would leave a terminal without echo behind. */
static const int signals[] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGTSTP};

/* A handler has no other place to write to.  It only notes; everything else is done outside of it. */
static volatile sig_atomic_t caught;

struct terminal {
	int fd;
	const char *question;
	struct termios before;
	sigset_t blocked; /* the mask of the caller */
	sigset_t waiting; /* the same with our signals let through */
	struct sigaction actions[ARRAY_SIZE(signals)];
};

static void
note_signal(int number)
{
	caught = number;
}

/* From here on a signal is noted, and only while ppoll() waits. */
static void
hold_signals(struct terminal *t)
{
	struct sigaction note = {.sa_handler = note_signal};
	sigset_t ours;

	(void)sigemptyset(&ours);
	(void)sigemptyset(&note.sa_mask);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		(void)sigaddset(&ours, signals[i]);
	(void)sigprocmask(SIG_BLOCK, &ours, &t->blocked);
	t->waiting = t->blocked;
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		(void)sigaction(signals[i], &note, &t->actions[i]);
		/* What the caller ignores stays so: a job in the background of a script has no Ctrl-C. */
		if (t->actions[i].sa_handler == SIG_IGN)
			(void)sigaction(signals[i], &t->actions[i], NULL);
		(void)sigdelset(&t->waiting, signals[i]);
	}
}

static void
release_signals(const struct terminal *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		(void)sigaction(signals[i], &t->actions[i], NULL);
	(void)sigprocmask(SIG_SETMASK, &t->blocked, NULL);
}

static void
silence(struct terminal *t)
{
	struct termios silent = t->before;

	silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	(void)tcsetattr(t->fd, TCSAFLUSH, &silent);
	(void)dprintf(t->fd, "%s: ", t->question);
}

static void
restore(const struct terminal *t)
{
	(void)tcsetattr(t->fd, TCSAFLUSH, &t->before);
	(void)dprintf(t->fd, "\n");
}

/*
 * What the signal does, it does with the terminal as it was.  One that stops the process comes back here when it goes
 * on; after any other that was survived the caller is told.
 */
static bool
obey_signal(struct terminal *t)
{
	int number = caught;
	sigset_t ours;

	caught = 0;
	restore(t);
	release_signals(t);
	(void)sigemptyset(&ours);
	(void)sigaddset(&ours, number);
	(void)sigprocmask(SIG_UNBLOCK, &ours, NULL);
	(void)raise(number);
	(void)sigprocmask(SIG_SETMASK, &t->blocked, NULL);
	hold_signals(t);
	silence(t);
	return number == SIGTSTP;
}

/* Waits for a character; false when there will be none. */
static bool
wait_for_input(struct terminal *t)
{
	struct pollfd input = {.fd = t->fd, .events = POLLIN};

	for (;;) {
		int n = ppoll(&input, 1, NULL, &t->waiting);

		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
		if (caught != 0 && !obey_signal(t))
			return false;
	}
}

/* One line, byte by byte: nothing of the secret stays in a stdio buffer. */
static size_t
read_line(struct terminal *t, uint8_t *line, size_t size)
{
	size_t len = 0;
	uint8_t c;

	while (len < size && wait_for_input(t) && read(t->fd, &c, 1) == 1 && c != '\n' && c != '\r')
		line[len++] = c;
	return len;
}

int
prompt_secret(const char *question, size_t max, struct secret **ret_secret, struct err *e)
{
	struct terminal t = {.question = question, .fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC)};
	uint8_t line[LINE_MAX_BYTES];
	size_t len;
	int code;

	if (t.fd < 0 || tcgetattr(t.fd, &t.before) != 0) {
		code = err_set(e, ERR_IO, (uint32_t)errno, "%s: there is no terminal to ask on; name a file instead",
			       question);
		if (t.fd >= 0)
			(void)close(t.fd);
		return code;
	}
	hold_signals(&t);
	silence(&t);
	len = read_line(&t, line, sizeof(line));
	restore(&t);
	release_signals(&t);
	(void)close(t.fd);
	if (len == 0 || len > max)
		code = err_set(e, ERR_CONFIG, 0, "%s: 1 to %zu characters are wanted", question, max);
	else
		code = secret_new(line, len, ret_secret);
	secret_wipe(line, sizeof(line));
	return code;
}
