/*
 * appliance/chancery - the operator's command: sends its words to the authority and prints what comes back
 *
 * What needs no running appliance (provisioning) is another program, which this one becomes.  Passwords are read here,
 * from the terminal or a file, and travel in messages of their own; they are in no word of a command.
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

#include "board/base/file.h"
#include "board/base/loop.h"
#include "board/base/secret.h"
#include "board/msg.h"
#include "board/prompt.h"
#include "board/spawn.h"
#include "board/version.h"

/* PASSWORD: octets; the appliance has its own opinion on length. */
enum { EXIT_FAILED = 1, EXIT_WRONG_USE = 2, WORD_MAX = 255, PASSWORD_MAX = 1024, FILE_MAX = 256 * 1024 };

/* Ids of our messages; the answer to a log-in has the same. */
enum { ID_LOGIN = 1, ID_COMMAND = 2 };

/* An authority that hangs is replaced sooner than this. */
enum { GREETING_MS = 20 * 1000 };

/* What stands before the command. */
struct options {
	const char *path;
	const char *name; /* of the operator; NULL: root */
	const char *password_file;
};

struct call {
	struct msg_command command;
	struct buf file;        /* that the command is about; empty for most */
	struct msg_login login; /* operator "": none */
	struct secret *password;
	struct secret *new_password; /* NULL: none */
	struct ipc *ipc;
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
give_up(struct call *call, int status, const char *why)
{
	fprintf(stderr, "chancery: %s\n", why);
	call->done = true;
	call->status = status;
}

static void
send_command(struct call *call)
{
	struct msg_password m = {.password = secret_bytes(call->new_password)};

	if (call->new_password != NULL && msg_password_send(call->ipc, ID_COMMAND, &m) != 0)
		give_up(call, EXIT_FAILED, "the new password cannot be sent");
	else if (msg_command_send(call->ipc, ID_COMMAND, &call->command) != 0)
		give_up(call, EXIT_WRONG_USE, "the command is too long");
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
	if (m.done != 0) {
		call->done = true;
		call->status = m.exit_status;
	} else if (message->id == ID_LOGIN && m.text.len == 0) {
		send_command(call);
	}
	if (call->done)
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

/* The password of who gives the command. */
static int
get_password(const struct options *options, struct secret **ret_password)
{
	char question[128];
	struct err e = {0};
	int code;

	snprintf(question, sizeof(question), "Password of %.64s", options->name);
	if (options->password_file != NULL)
		code = secret_read_file(options->password_file, PASSWORD_MAX, ret_password, &e);
	else
		code = prompt_secret(question, PASSWORD_MAX, ret_password, &e);
	if (code != 0)
		fprintf(stderr, "chancery: %s\n", e.text);
	return code;
}

static int
ask_new_password(struct secret **ret_password, struct err *e)
{
	AUTO_STRUCT(secret) first = NULL;
	AUTO_STRUCT(secret) second = NULL;
	int code = prompt_secret("New password", PASSWORD_MAX, &first, e);

	if (code == 0)
		code = prompt_secret("The same again", PASSWORD_MAX, &second, e);
	if (code == 0 && !bytes_equal(secret_bytes(first), secret_bytes(second)))
		code = err_set(e, ERR_CONFIG, 0, "the two passwords differ");
	if (code == 0)
		*ret_password = TAKE(first);
	return code;
}

/* Takes an option with a file out of the words of a command; *ret_file stays NULL when it is not there. */
static int
take_password_file(struct msg_command *m, const char *name, const char **ret_file)
{
	const size_t len = strlen(name);
	size_t kept = 0;

	for (size_t i = 0; i < m->words.count; i++) {
		const char *word = (const char *)m->words.item[i].data;

		if (strncmp(word, name, len) != 0 || (word[len] != '\0' && word[len] != '=')) {
			m->words.item[kept++] = m->words.item[i];
			continue;
		}
		if (word[len] == '=') {
			*ret_file = word + len + 1;
		} else if (++i < m->words.count) {
			*ret_file = (const char *)m->words.item[i].data;
		} else {
			fprintf(stderr, "chancery: %s: a value is missing\n", name);
			return ERR_CONFIG;
		}
	}
	m->words.count = kept;
	return 0;
}

static bool
begins_with(const struct msg_command *m, const char *first, const char *second)
{
	return m->words.count >= 2 && strcmp((const char *)m->words.item[0].data, first) == 0 &&
	       strcmp((const char *)m->words.item[1].data, second) == 0;
}

/* The commands that give an account a password, or a policy module its secret, need it from here. */
static int
get_new_password(struct msg_command *m, struct secret **ret_password)
{
	bool is_module = begins_with(m, "policy-module", "install");
	const char *file = NULL;
	struct err e = {0};
	int code;

	if (!is_module && !begins_with(m, "operator", "add") && !begins_with(m, "operator", "password"))
		return 0;
	code = take_password_file(m, is_module ? "--secret-file" : "--password-file", &file);
	if (code != 0 || (is_module && file == NULL))
		return code;
	code = file != NULL ? secret_read_file(file, PASSWORD_MAX, ret_password, &e)
			    : ask_new_password(ret_password, &e);
	if (code != 0)
		fprintf(stderr, "chancery: %s\n", e.text);
	return code;
}

/* Connects, sends what comes first, and runs until the answer is complete. */
static void
talk(struct call *call, const char *path)
{
	struct ipc_handlers handlers = {on_message, on_closed, call};
	int fd = connect_control(path);

	if (fd < 0)
		return;
	if (ipc_new(call->loop, fd, ROLE_CONSOLE, ROLE_AUTHORITY, &handlers, &call->ipc) != 0) {
		close(fd);
		return;
	}
	call->login.password = secret_bytes(call->password);
	if (call->password == NULL)
		send_command(call);
	else if (msg_login_send(call->ipc, ID_LOGIN, &call->login) != 0)
		give_up(call, EXIT_WRONG_USE, "the log-in cannot be sent");
	if (!call->done)
		loop_run(call->loop);
	ipc_free(call->ipc);
}

/* The file that a command is about; NULL for most commands. */
static const char *
path_of(const struct msg_command *m)
{
	const struct msg_list *words = &m->words;

	if (words->count > 2 && strncmp((const char *)words->item[2].data, "--", 2) != 0 &&
	    (begins_with(m, "template", "check") || begins_with(m, "template", "import") ||
	     begins_with(m, "certificate-profile", "check") || begins_with(m, "certificate-profile", "import") ||
	     begins_with(m, "policy-module", "certificate")))
		return (const char *)words->item[2].data;
	if (!begins_with(m, "policy-module", "install") && !begins_with(m, "registration-point", "trust"))
		return NULL;
	for (size_t i = 2; i < words->count; i++) {
		const char *word = (const char *)words->item[i].data;

		if (strcmp(word, "--root") == 0 && i + 1 < words->count)
			return (const char *)words->item[i + 1].data;
		if (strncmp(word, "--root=", 7) == 0)
			return word + 7;
	}
	return NULL;
}

/* The commands that are about a file take it along. */
static int
get_file(struct call *call)
{
	const char *path = path_of(&call->command);
	struct err e = {0};
	int code;

	if (path == NULL)
		return 0;
	code = file_read(path, &call->file, &e);
	if (code == ERR_LIMIT)
		fprintf(stderr, "chancery: %s has more than %d bytes\n", path, FILE_MAX);
	else if (code != 0)
		fprintf(stderr, "chancery: %s\n", e.text);
	call->command.file = buf_bytes(&call->file);
	return code;
}

static int
prepare(struct call *call, const struct options *options, char **words, int count)
{
	for (int i = 0; i < count; i++)
		call->command.words.item[call->command.words.count++] = bytes_of_text(words[i]);
	if (options->name != NULL) {
		snprintf(call->login.operator, sizeof(call->login.operator), "%s", options->name);
		if (get_password(options, &call->password) != 0)
			return ERR_CONFIG;
	}
	if (get_file(call) != 0)
		return ERR_CONFIG;
	return get_new_password(&call->command, &call->new_password);
}

static int
run_command(const struct options *options, char **words, int count)
{
	struct call call = {.status = EXIT_FAILED};
	AUTO_STRUCT(loop) loop = NULL;

	buf_init(&call.file, FILE_MAX + 1);
	if (prepare(&call, options, words, count) == 0 && loop_new(&loop) == 0) {
		call.loop = loop;
		if (loop_timer_new(loop, on_timer, &call, &call.timer) == 0) {
			loop_timer_set(call.timer, GREETING_MS);
			talk(&call, options->path);
		}
		loop_timer_free(call.timer);
	}
	secret_free(call.password);
	secret_free(call.new_password);
	buf_fini(&call.file);
	return call.status;
}

static int
usage(FILE *out, int status)
{
	fprintf(out, "Usage: chancery [--control PATH] [--operator NAME [--password-file FILE]] COMMAND …\n"
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

/* Those commands that use the token without the appliance. */
static bool
is_for_provision(char **words, int count)
{
	if (strcmp(words[0], "provision") == 0 || strcmp(words[0], "import-chain") == 0)
		return true;
	return count > 2 && strcmp(words[0], "ca") == 0 && strcmp(words[1], "rollover") == 0 &&
	       strcmp(words[2], "prepare") == 0;
}

/* Takes the options before the command; the number of the first word behind them, or -1 when one has no value. */
static int
take_options(int argc, char **argv, struct options *options)
{
	static const char *const names[] = {"--control", "--operator", "--password-file"};
	const char **const values[] = {&options->path, &options->name, &options->password_file};
	int first = 1;
	size_t i;

	while (first < argc) {
		for (i = 0; i < ARRAY_SIZE(names) && strcmp(argv[first], names[i]) != 0; i++)
			;
		if (i == ARRAY_SIZE(names))
			return first;
		if (first + 1 == argc)
			return -1;
		*values[i] = argv[first + 1];
		first += 2;
	}
	return first;
}

static const char *
from_environment(const char *name, const char *standard)
{
	const char *value = getenv(name);

	return value != NULL && *value != '\0' ? value : standard;
}

int
main(int argc, char **argv)
{
	struct options options = {.path = from_environment("CHANCERY_CONTROL", "/run/chancery/control"),
				  .name = from_environment("CHANCERY_OPERATOR", NULL)};
	int first = take_options(argc, argv, &options);
	int status;

	signal(SIGPIPE, SIG_IGN);
	if (options.name != NULL && *options.name == '\0')
		options.name = NULL;
	if (first < 0 || first >= argc)
		return usage(stderr, EXIT_WRONG_USE);
	if (strcmp(argv[first], "--help") == 0)
		return usage(stdout, 0);
	if (strcmp(argv[first], "--version") == 0)
		return puts("chancery " VERSION) < 0;
	if (is_for_provision(argv + first, argc - first))
		return run_provision(argv + first - 1);
	if (too_long(argv + first, argc - first) ||
	    (options.name != NULL && strlen(options.name) >= sizeof(((struct msg_login *)NULL)->operator))) {
		fprintf(stderr, "chancery: too many words, or one is too long\n");
		return EXIT_WRONG_USE;
	}
	status = run_command(&options, argv + first, argc - first);
	/* Help is wanted most when nothing runs yet. */
	if (status == EXIT_FAILED && strcmp(argv[first], "help") == 0)
		return usage(stderr, status);
	return status;
}
