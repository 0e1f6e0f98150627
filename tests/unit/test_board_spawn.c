/* Starting roles: what they are given, that they come back, and that the last word of one that ended is heard. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "board/base/clock.h"
#include "board/role.h"
#include "board/rolelog.h"
#include "board/spawn.h"
#include "tests/lib/test.h"

enum { WAIT_MS = 4000, RESTARTS_MAX = 8 };

/* ---- the role: this program, started by its own tests ------------------------------------------------------------ */

static void
role_says(const char *text)
{
	struct err e = {0};

	(void)err_set(&e, ERR_STAGE, 7, "%s", text);
	role_trouble(&e);
}

/* The numbers of all open descriptors but the one that this function uses. */
static void
list_descriptors(char *out, size_t size)
{
	int fd;
	size_t used = 0;

	out[0] = '\0';
	for (fd = 0; fd < 1000; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			used += (size_t)snprintf(out + used, size - used, "%s%d", used > 0 ? "," : "", fd);
}

static char description[200];

static void
describe_self(void)
{
	char fds[100];
	struct rlimit files;
	struct rlimit core;
	size_t variables = 0;

	list_descriptors(fds, sizeof(fds));
	getrlimit(RLIMIT_NOFILE, &files);
	getrlimit(RLIMIT_CORE, &core);
	while (environ[variables] != NULL)
		variables++;
	snprintf(description, sizeof(description), "uid=%d,%d gid=%d,%d groups=%d fds=%s files=%d core=%d session=%d",
		 (int)getuid(), (int)geteuid(), (int)getgid(), (int)getegid(), getgroups(0, NULL), fds,
		 (int)files.rlim_max, (int)core.rlim_max, getsid(0) == getpid());
}

static void
do_describe(void *arg)
{
	role_says(description);
}

static void
do_ready(void *arg)
{
	role_ready();
}

static void
do_environment(void *arg)
{
	const char *secret = getenv("TEST_SECRET_OF_THE_PARENT");
	char text[100];

	snprintf(text, sizeof(text), "extra=%s parent's=%s nnp=%d", getenv("TEST_EXTRA"),
		 secret != NULL ? secret : "none", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	role_says(text);
}

static void
do_refused_pin(void *arg)
{
	struct err e = {0};

	(void)err_set(&e, ERR_PIN, 0xa0, "CKR_PIN_INCORRECT");
	role_trouble(&e);
}

static void
do_crash(void *arg)
{
	raise(SIGKILL);
}

static void
do_stop(void *arg)
{
	role_exit(0);
}

/* As the front does it: the sign of life comes from elsewhere, later. */
static void
do_pong(void *arg)
{
	role_pong();
}

static void
do_ping(void *arg)
{
	if (loop_post(role_loop(), do_pong, NULL) != 0)
		role_exit(1);
}

static int
run_as_role(const char *act)
{
	static const struct {
		const char *name;
		void (*on_start)(void *arg);
	} acts[] = {
		{"describe", do_describe},       {"ready", do_ready}, {"environment", do_environment},
		{"refused-pin", do_refused_pin}, {"crash", do_crash}, {"ping", do_ready},
	};
	struct role_functions functions = {.on_stop = do_stop};
	size_t i;

	if (strcmp(act, "exit") == 0)
		return 3;
	if (strcmp(act, "ping") == 0)
		functions.on_ping = do_ping;
	for (i = 0; i < ARRAY_SIZE(acts); i++)
		if (strcmp(act, acts[i].name) == 0)
			functions.on_start = acts[i].on_start;
	describe_self();
	return role_run(ROLE_FRONT, &functions);
}

/* ---- the parent -------------------------------------------------------------------------------------------------- */

static char program_path[] = "/tmp/test_board_spawn.XXXXXX";

struct fixture {
	struct loop *loop;
	struct spawn *spawn;
	size_t starts;
	size_t readies;
	size_t pongs;
	size_t exits;
	int status;
	bool hold_at_trouble;
	bool trouble_first; /* the trouble came before the exit */
	struct msg_trouble trouble;
	int64_t restart_ms[RESTARTS_MAX];
};

/* This user, or another one when we may become another. */
static uid_t
role_uid(void)
{
	return geteuid() == 0 ? CONFIG_ROLE_UID_BASE + 1 : geteuid();
}

static void
on_started(struct spawn *spawn, void *arg)
{
	struct fixture *f = arg;
	struct config conf;
	struct msg_config config = {.config = {(const uint8_t *)&conf, sizeof(conf)}};
	struct msg_start start = {0};

	f->starts++;
	config_default(&conf);
	/* A role that ended already closed the channel; that is not what these tests are about. */
	if (msg_config_send(spawn_ipc(spawn), 0, &config) != 0 || msg_start_send(spawn_ipc(spawn), 0, &start) != 0)
		return;
}

static void
on_message(struct spawn *spawn, struct ipc_message *message, void *arg)
{
	struct fixture *f = arg;

	f->readies += message->type == MSG_READY;
	f->pongs += message->type == MSG_PONG;
	if (message->type != MSG_TROUBLE)
		return;
	CHECK_INT(msg_trouble_get(message->body, &f->trouble), 0);
	f->trouble_first = f->exits == 0;
	if (f->hold_at_trouble)
		spawn_hold(spawn);
}

static void
on_exited(struct spawn *spawn, int wait_status, int64_t restart_ms, void *arg)
{
	struct fixture *f = arg;

	f->status = wait_status;
	if (f->exits < RESTARTS_MAX)
		f->restart_ms[f->exits] = restart_ms;
	f->exits++;
}

static void
begin(struct fixture *f, const char *act)
{
	char variable[64];
	struct spawn_functions functions = {on_started, on_message, on_exited, f};
	struct spawn_program program = {
		.self = ROLE_FRONT,
		.owner = ROLE_PARENT,
		.path = program_path,
		.uid = role_uid(),
		.environment = {variable, "TEST_EXTRA=given"},
		.open_files = 99,
	};

	memset(f, 0, sizeof(*f));
	snprintf(variable, sizeof(variable), "TEST_ROLE=%s", act);
	CHECK_INT(loop_new(&f->loop), 0);
	CHECK_INT(spawn_new(f->loop, &program, &functions, &f->spawn), 0);
	CHECK(!spawn_running(f->spawn));
	CHECK(spawn_ipc(f->spawn) == NULL);
	CHECK_INT(spawn_start(f->spawn, NULL), 0);
	CHECK(spawn_running(f->spawn));
	CHECK_INT(spawn_role(f->spawn), ROLE_FRONT);
}

static void
wait_until(struct fixture *f, const size_t *count, size_t wanted)
{
	int64_t end = clock_mono_ms() + WAIT_MS;

	while (*count < wanted && clock_mono_ms() < end)
		loop_run_once(f->loop, 20);
	CHECK(*count >= wanted);
}

static void
end(struct fixture *f)
{
	spawn_free(f->spawn);
	loop_free(f->loop);
}

TEST(a_program_that_is_not_there_is_an_error)
{
	struct fixture f = {0};
	struct err e = {0};
	struct spawn_functions functions = {on_started, on_message, on_exited, &f};
	struct spawn_program program = {.self = ROLE_FRONT,
					.owner = ROLE_PARENT,
					.path = "/nonexistent/role",
					.uid = role_uid(),
					.open_files = 99};

	CHECK_INT(loop_new(&f.loop), 0);
	CHECK_INT(spawn_new(f.loop, &program, &functions, &f.spawn), 0);
	CHECK_INT(spawn_start(f.spawn, &e), ERR_IO);
	CHECK(strstr(e.text, "/nonexistent/role") != NULL);
	CHECK(!spawn_running(f.spawn));
	CHECK_INT(f.starts, 0);
	end(&f);
}

TEST(a_role_has_its_user_id_and_nothing_else)
{
	struct fixture f;
	char wanted[200];

	begin(&f, "describe");
	wait_until(&f, &f.exits, 1);
	snprintf(wanted, sizeof(wanted), "uid=%d,%d gid=%d,%d groups=%d fds=0,1,2,3 files=99 core=0 session=1",
		 (int)role_uid(), (int)role_uid(), (int)(geteuid() == 0 ? role_uid() : getgid()),
		 (int)(geteuid() == 0 ? role_uid() : getgid()), geteuid() == 0 ? 0 : getgroups(0, NULL));
	CHECK_TEXT(f.trouble.text, wanted);
	end(&f);
}

TEST(a_role_sees_the_environment_that_it_was_given)
{
	struct fixture f;

	setenv("TEST_SECRET_OF_THE_PARENT", "leaked", 1);
	begin(&f, "environment");
	wait_until(&f, &f.exits, 1);
	CHECK_TEXT(f.trouble.text, "extra=given parent's=none nnp=1");
	end(&f);
}

TEST(a_role_that_ends_comes_back_later_each_time)
{
	struct fixture f;
	int64_t before;

	begin(&f, "exit");
	before = clock_mono_ms();
	wait_until(&f, &f.exits, 4);
	CHECK(clock_mono_ms() - before >= 100 + 200 + 400);
	CHECK_INT(WEXITSTATUS(f.status), 3);
	CHECK_INT(f.restart_ms[0], 100);
	CHECK_INT(f.restart_ms[1], 200);
	CHECK_INT(f.restart_ms[2], 400);
	CHECK_INT(f.restart_ms[3], 800);
	CHECK_INT(f.starts, 4);
	CHECK(!spawn_running(f.spawn));
	CHECK_INT(spawn_pid(f.spawn), 0);
	end(&f);
}

TEST(a_role_that_crashes_comes_back)
{
	struct fixture f;
	char cause[64];

	begin(&f, "crash");
	wait_until(&f, &f.starts, 2);
	CHECK(WIFSIGNALED(f.status));
	CHECK_TEXT(spawn_cause(f.status, cause, sizeof(cause)), "SIGKILL");
	CHECK_TEXT(spawn_cause(W_EXITCODE(3, 0), cause, sizeof(cause)), "exit-3");
	CHECK_TEXT(spawn_cause(W_EXITCODE(0, SIGSYS), cause, sizeof(cause)), "SIGSYS:system-call-not-on-its-list");
	end(&f);
}

TEST(a_refused_pin_is_heard_before_the_exit_and_not_tried_again)
{
	struct fixture f;
	int64_t until;

	begin(&f, "refused-pin");
	f.hold_at_trouble = true;
	wait_until(&f, &f.exits, 1);
	CHECK(f.trouble_first);
	CHECK_INT(f.trouble.code, ERR_PIN);
	CHECK_INT(f.trouble.detail, 0xa0);
	CHECK_INT(f.restart_ms[0], -1);
	/* Longer than the first restart would take. */
	for (until = clock_mono_ms() + 250; clock_mono_ms() < until;)
		loop_run_once(f.loop, 20);
	CHECK_INT(f.starts, 1);
	CHECK_INT(spawn_start(f.spawn, NULL), 0);
	wait_until(&f, &f.starts, 2);
	end(&f);
}

static void
check_pongs(const char *act)
{
	struct fixture f;
	struct msg_ping ping = {0};

	begin(&f, act);
	for (size_t i = 1; i <= 3; i++) {
		CHECK_INT(msg_ping_send(spawn_ipc(f.spawn), 0, &ping), 0);
		wait_until(&f, &f.pongs, i);
		CHECK_INT(f.pongs, i);
	}
	end(&f);
}

TEST(a_role_gives_a_sign_of_life_at_once_or_when_it_has_one)
{
	check_pongs("ready");
	check_pongs("ping");
}

TEST(a_role_stops_when_it_is_told)
{
	struct fixture f;

	begin(&f, "ready");
	wait_until(&f, &f.readies, 1);
	CHECK(spawn_pid(f.spawn) > 0);
	spawn_stop(f.spawn);
	wait_until(&f, &f.exits, 1);
	CHECK_INT(f.status, 0);
	CHECK_INT(f.restart_ms[0], -1);
	CHECK(!spawn_running(f.spawn));
	end(&f);
}

TEST(a_role_that_hangs_is_killed_with_its_handle)
{
	struct fixture f;
	pid_t pid;

	begin(&f, "ready");
	wait_until(&f, &f.readies, 1);
	pid = spawn_pid(f.spawn);
	kill(pid, SIGSTOP);
	end(&f);
	CHECK_INT(kill(pid, 0), -1);
	CHECK_INT(errno, ESRCH);
}

/* A parent that is killed has no time to stop anybody. */
static void
be_a_parent(int out)
{
	struct fixture f;
	pid_t pid;

	begin(&f, "ready");
	wait_until(&f, &f.readies, 1);
	pid = spawn_pid(f.spawn);
	(void)!write(out, &pid, sizeof(pid));
	raise(SIGKILL);
}

TEST(a_role_does_not_outlive_its_parent)
{
	int fds[2];
	pid_t role = 0;
	pid_t parent;
	int64_t until = clock_mono_ms() + WAIT_MS;

	CHECK_INT(pipe(fds), 0);
	parent = fork();
	if (parent == 0)
		be_a_parent(fds[1]);
	close(fds[1]);
	CHECK_INT(read(fds[0], &role, sizeof(role)), sizeof(role));
	close(fds[0]);
	CHECK_INT(waitpid(parent, NULL, 0), parent);
	/* Whoever inherits it may take a moment to collect it. */
	while (kill(role, 0) == 0 && clock_mono_ms() < until)
		poll(NULL, 0, 10);
	CHECK_INT(kill(role, 0), -1);
}

TEST(a_role_that_is_started_by_hand_says_so)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		close(ROLE_CONTROL_FD);
		(void)dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
		_exit(run_as_role("ready"));
	}
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK_INT(WEXITSTATUS(status), 2);
}

/* ---- the log of a role ------------------------------------------------------------------------------------------- */

/* What arrives on our standard error when the role called "front" writes text. */
static void
logged(const char *text, char *out, size_t size)
{
	struct loop *loop;
	struct rolelog *log;
	int saved = dup(STDERR_FILENO);
	int fds[2];
	int write_fd;
	ssize_t n;

	CHECK_INT(pipe2(fds, O_NONBLOCK), 0);
	CHECK_INT(loop_new(&loop), 0);
	CHECK_INT(rolelog_new(loop, "front", &log, &write_fd, NULL), 0);
	(void)dup2(fds[1], STDERR_FILENO);
	(void)!write(write_fd, text, strlen(text));
	loop_run_once(loop, 20);
	close(write_fd);
	rolelog_free(log);
	(void)dup2(saved, STDERR_FILENO);
	n = read(fds[0], out, size - 1);
	out[n > 0 ? n : 0] = '\0';
	close(saved);
	close(fds[0]);
	close(fds[1]);
	loop_free(loop);
}

TEST(a_role_cannot_write_lines_of_another)
{
	char out[8192];

	logged("time=2026-11-22T12:00:00.000Z role=signer level=info event=FORGED \n", out, sizeof(out));
	CHECK(strncmp(out, "time=2026-11-22T12:00:00.000Z role=signer", 41) != 0);
	CHECK(strstr(out, "event=ROLE_OUTPUT name=front text=\"time=2026") != NULL);
	logged("AddressSanitizer: \"oh\"\r\n", out, sizeof(out));
	CHECK(strstr(out, "event=ROLE_OUTPUT name=front text=\"AddressSanitizer: \\x22oh\\x22\\x0d\"") != NULL);
	logged("time=1 role=front level=info \x1b[2J\n", out, sizeof(out));
	CHECK(strstr(out, "event=ROLE_OUTPUT") != NULL);
	CHECK(strchr(out, '\x1b') == NULL);
}

TEST(lines_of_the_role_itself_are_passed_on_as_they_are)
{
	char out[8192];

	logged("time=1 role=front level=info event=A\ntime=2 role=front level=info event=B\n", out, sizeof(out));
	CHECK_TEXT(out, "time=1 role=front level=info event=A\ntime=2 role=front level=info event=B\n");
}

TEST(what_a_role_left_without_line_end_is_not_lost)
{
	char out[8192];

	logged("time=1 role=front level=info event=A", out, sizeof(out));
	CHECK_TEXT(out, "time=1 role=front level=info event=A\n");
}

TEST(a_line_without_end_is_cut)
{
	char text[10001];
	char out[16384];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	logged(text, out, sizeof(out));
	CHECK(strstr(out, "event=ROLE_OUTPUT name=front text=\"xxxx") != NULL);
	CHECK(strlen(out) < 2000);
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

/* A copy where every user may execute it: the folder of the build may be closed to others. */
static int
copy_program(void)
{
	char chunk[65536];
	int in = open("/proc/self/exe", O_RDONLY);
	int out = mkstemp(program_path);
	ssize_t n;

	if (in < 0 || out < 0)
		return -1;
	while ((n = read(in, chunk, sizeof(chunk))) > 0)
		if (write(out, chunk, (size_t)n) != n)
			return -1;
	close(in);
	return fchmod(out, 0755) == 0 && close(out) == 0 ? 0 : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(a_program_that_is_not_there_is_an_error),
		RUN(a_role_has_its_user_id_and_nothing_else),
		RUN(a_role_sees_the_environment_that_it_was_given),
		RUN(a_role_that_ends_comes_back_later_each_time),
		RUN(a_role_that_crashes_comes_back),
		RUN(a_refused_pin_is_heard_before_the_exit_and_not_tried_again),
		RUN(a_role_gives_a_sign_of_life_at_once_or_when_it_has_one),
		RUN(a_role_stops_when_it_is_told),
		RUN(a_role_that_hangs_is_killed_with_its_handle),
		RUN(a_role_does_not_outlive_its_parent),
		RUN(a_role_that_is_started_by_hand_says_so),
		RUN(a_role_cannot_write_lines_of_another),
		RUN(lines_of_the_role_itself_are_passed_on_as_they_are),
		RUN(what_a_role_left_without_line_end_is_not_lost),
		RUN(a_line_without_end_is_cut),
	};
	const char *act = getenv("TEST_ROLE");
	int failed;

	if (act != NULL)
		return run_as_role(act);
	if (copy_program() != 0) {
		perror(program_path);
		return 1;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(program_path);
	return test_finish((int)ARRAY_SIZE(tests), failed);
}
