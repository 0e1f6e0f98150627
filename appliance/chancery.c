/*
 * appliance/chancery - the operator's command: sends its words to the authority and prints what comes back
 *
 * What needs no running appliance (provisioning) is another program, which this one becomes.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "board/base/loop.h"
#include "board/msg.h"
#include "board/spawn.h"
#include "board/version.h"

enum { EXIT_FAILED = 1, EXIT_WRONG_USE = 2, WORD_MAX = 255 };

/* An authority that hangs is replaced sooner than this. */
enum { GREETING_MS = 20 * 1000 };

struct call {
	struct loop *loop;
	struct loop_timer *timer;
	bool done;
	int status;
};

/* Becomes chancery-provision. */
static int
run_provision(char **argv)
{
	char path[PATH_MAX];
	struct err e = {0};

	if (spawn_find("chancery-provision", path, sizeof(path), &e) == 0) {
		execv(path, argv);
		(void)err_set(&e, ERR_IO, (uint32_t)errno, "%s cannot be started: %s", path, strerror(errno));
	}
	fprintf(stderr, "chancery: %s\n", e.text);
	return EXIT_FAILED;
}

static void
write_all(int fd, struct bytes text)
{
	while (text.len > 0) {
		ssize_t n = write(fd, text.data, text.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		text.data += n;
		text.len -= (size_t)n;
	}
}

static void
on_message(struct ipc *ipc, struct ipc_message *message, void *arg)
{
	struct call *call = arg;
	struct msg_output m;

	if (message->type != MSG_OUTPUT || msg_output_get(message->body, &m) != 0)
		return;
	/* From here on it takes as long as it takes. */
	loop_timer_set(call->timer, -1);
	write_all(m.is_error ? STDERR_FILENO : STDOUT_FILENO, m.text);
	if (m.done == 0)
		return;
	call->done = true;
	call->status = m.exit_status;
	loop_stop(call->loop);
}

static void
on_timer(void *arg)
{
	struct call *call = arg;

	fprintf(stderr,
		"chancery: nobody answers: the authority cannot start, or hangs; the log of chanceryd says why\n");
	call->done = true;
	loop_stop(call->loop);
}

static void
on_closed(struct ipc *ipc, void *arg)
{
	struct call *call = arg;

	if (!call->done)
		fprintf(stderr, "chancery: the appliance hung up; \"systemctl status chancery\" or its log says why\n");
	call->done = true;
	loop_stop(call->loop);
}

/* Connects to the control socket; says what is wrong and returns -1. */
static int
connect_control(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path)) {
		fprintf(stderr, "chancery: the path of the control socket is too long\n");
		close(fd);
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	if (errno == ENOENT || errno == ECONNREFUSED)
		fprintf(stderr, "chancery: the appliance is not running (nobody listens at %s)\n", path);
	else if (errno == EACCES || errno == EPERM)
		fprintf(stderr, "chancery: only root may use %s\n", path);
	else
		fprintf(stderr, "chancery: %s: %s\n", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static int
run_command(const char *path, char **words, int count)
{
	struct call call = {.status = EXIT_FAILED};
	struct ipc_handlers handlers = {on_message, on_closed, &call};
	struct msg_command m = {0};
	AUTO_STRUCT(loop) loop = NULL;
	struct ipc *ipc;
	int fd;

	for (int i = 0; i < count; i++)
		m.words.item[m.words.count++] = bytes_of_text(words[i]);
	if (loop_new(&loop) != 0)
		return EXIT_FAILED;
	call.loop = loop;
	if (loop_timer_new(loop, on_timer, &call, &call.timer) != 0)
		return EXIT_FAILED;
	loop_timer_set(call.timer, GREETING_MS);
	fd = connect_control(path);
	if (fd < 0 || ipc_new(loop, fd, ROLE_CONSOLE, ROLE_AUTHORITY, &handlers, &ipc) != 0) {
		if (fd >= 0)
			close(fd);
		loop_timer_free(call.timer);
		return EXIT_FAILED;
	}
	if (msg_command_send(ipc, 1, &m) != 0) {
		fprintf(stderr, "chancery: the command is too long\n");
		call.done = true;
		call.status = EXIT_WRONG_USE;
	}
	if (!call.done)
		loop_run(loop);
	ipc_free(ipc);
	loop_timer_free(call.timer);
	return call.status;
}

static int
usage(FILE *out, int status)
{
	fprintf(out, "Usage: chancery [--control PATH] COMMAND …\n"
		     "  chancery help            all commands (asks the running appliance)\n"
		     "  chancery status          how the appliance is\n"
		     "  chancery challenge create\n"
		     "  chancery provision --file FILE, chancery import-chain FILE\n"
		     "  chancery --version\n"
		     "chancery(8) describes them.\n");
	return status;
}

static bool
too_long(char **words, int count)
{
	for (int i = 0; i < count; i++) {
		if (strlen(words[i]) > WORD_MAX)
			return true;
	}
	return count > MSG_LIST_MAX;
}

int
main(int argc, char **argv)
{
	const char *path = getenv("CHANCERY_CONTROL");
	int first = 1;
	int status;

	signal(SIGPIPE, SIG_IGN);
	if (path == NULL || *path == '\0')
		path = "/run/chancery/control";
	if (argc > 2 && strcmp(argv[1], "--control") == 0) {
		path = argv[2];
		first = 3;
	}
	if (first >= argc)
		return usage(stderr, EXIT_WRONG_USE);
	if (strcmp(argv[first], "--help") == 0)
		return usage(stdout, 0);
	if (strcmp(argv[first], "--version") == 0)
		return puts("chancery " VERSION) < 0;
	if (strcmp(argv[first], "provision") == 0 || strcmp(argv[first], "import-chain") == 0)
		return run_provision(argv + first - 1);
	if (too_long(argv + first, argc - first)) {
		fprintf(stderr, "chancery: too many words, or one is too long\n");
		return EXIT_WRONG_USE;
	}
	status = run_command(path, argv + first, argc - first);
	/* Help is wanted most when nothing runs yet. */
	if (status == EXIT_FAILED && strcmp(argv[first], "help") == 0)
		return usage(stderr, status);
	return status;
}
