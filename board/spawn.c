#include "board/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "board/base/clock.h"
#include "board/msg.h"
#include "board/role.h"
#include "board/rolelog.h"

enum {
	BACKOFF_FIRST_MS = 100,
	BACKOFF_LAST_MS = 10 * 1000, /* also what a returned token may wait at the longest */
	LIFE_THAT_COUNTS_MS = 60 * 1000,
	STOP_STEP_MS = 5 * 1000,    /* MSG_STOP, then SIGTERM, then SIGKILL */
	CLOSED_GRACE_MS = 2 * 1000, /* a role whose channel closed has this long to end */
	LAST_WORDS_MS = 1000,       /* what a role that ended wrote before has this long to arrive */
	FREE_FD_FIRST = 10,         /* above the numbers that the child fills */
	ENVIRONMENT_MAX = 16,
};

enum spawn_state {
	SPAWN_IDLE,     /* no process, no timer */
	SPAWN_WAITING,  /* no process; the timer starts it */
	SPAWN_RUNNING,  /* process and channel */
	SPAWN_STOPPING, /* the same; the timer sends SIGTERM */
	SPAWN_KILLING,  /* the same, perhaps without channel; the timer sends SIGKILL */
	SPAWN_DRAINING, /* the process was reaped, its last messages are still being read */
};

struct spawn {
	struct loop *loop;
	struct spawn_functions to;
	enum role self;
	enum role owner;
	uid_t uid;
	unsigned open_files;
	char *path;
	char *environment[ENVIRONMENT_MAX]; /* NULL ends */
	size_t environment_count;

	enum spawn_state state;
	bool held;
	struct loop_timer *timer;
	int64_t backoff_ms; /* before the next start */
	int64_t started_ms;
	pid_t pid;
	int pid_fd;
	int wait_status;
	struct loop_fd *pid_watch;
	struct ipc *ipc;
	struct rolelog *log;
};

/* ---- the child, between fork and exec: async-signal-safe calls only ---------------------------------------------- */

static void
child_fail(const char *step)
{
	(void)!write(STDERR_FILENO, step, strlen(step));
	_exit(127);
}

static void
child_limits(unsigned open_files)
{
	struct rlimit files = {open_files, open_files};
	struct rlimit none = {0, 0};

	struct rlimit parent;

	/* In a container root may not raise its own limit; then that has to do. */
	if (getrlimit(RLIMIT_NOFILE, &parent) != 0 || setrlimit(RLIMIT_CORE, &none) != 0)
		child_fail("resource limits\n");
	if (setrlimit(RLIMIT_NOFILE, &files) == 0)
		return;
	files.rlim_cur = files.rlim_max = parent.rlim_max < open_files ? parent.rlim_max : open_files;
	if (setrlimit(RLIMIT_NOFILE, &files) != 0)
		child_fail("resource limits\n");
}

/* /dev/null on 0 and 1, so that no file ever gets these numbers and receives what a library prints. */
static void
child_descriptors(int control_fd, int log_fd)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int control = fcntl(control_fd, F_DUPFD_CLOEXEC, FREE_FD_FIRST);
	int log = fcntl(log_fd, F_DUPFD_CLOEXEC, FREE_FD_FIRST);

	if (null_fd >= 0)
		null_fd = fcntl(null_fd, F_DUPFD_CLOEXEC, FREE_FD_FIRST);
	if (log < 0 || dup2(log, STDERR_FILENO) < 0)
		_exit(127);
	if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(null_fd, STDOUT_FILENO) < 0 || control < 0 ||
	    dup2(control, ROLE_CONTROL_FD) < 0 || close_range(ROLE_CONTROL_FD + 1, ~0u, 0) != 0)
		child_fail("descriptors\n");
}

/*
 * The program, opened while we are still root: its directory need not be open to the role's user id.  It gets a number
 * that close-on-exec takes away again.
 */
static int
child_program(const char *path)
{
	int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		child_fail("the program cannot be opened\n");
	return fd;
}

/* Without root it can only stay who it is, which the check at the end finds out. */
static void
child_identity(uid_t uid)
{
	if (geteuid() == 0 &&
	    (setgroups(0, NULL) != 0 || setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0))
		child_fail("user id\n");
	if (getuid() != uid || geteuid() != uid)
		child_fail("user id\n");
}

static void
child_signals(void)
{
	sigset_t none;
	int signo;

	/* Handlers go with exec, but what the parent ignores would stay ignored. */
	for (signo = 1; signo < NSIG; signo++)
		(void)signal(signo, SIG_DFL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void __attribute__((noreturn)) child_run(struct spawn *s, int control_fd, int log_fd, char *const *environment)
{
	char *arguments[] = {s->path, NULL};
	int program;

	child_descriptors(control_fd, log_fd);
	child_signals();
	/* A session of its own: Ctrl-C is for the parent, which stops the roles in order. */
	(void)setsid();
	umask(077);
	child_limits(s->open_files);
	if (chdir("/") != 0)
		child_fail("root directory\n");
	program = child_program(s->path);
	child_identity(s->uid);
	/* After the change of user, which clears it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		child_fail("process control\n");
	execveat(program, "", arguments, environment, AT_EMPTY_PATH);
	child_fail("the program cannot be executed\n");
	_exit(127);
}

/* ---- life of the process ----------------------------------------------------------------------------------------- */

static int start(struct spawn *s, struct err *e);

static bool
has_process(const struct spawn *s)
{
	return s->pid != 0;
}

/* The process is gone and all that it said was heard. */
static void
finish(struct spawn *s)
{
	int64_t lived = clock_mono_ms() - s->started_ms;
	int64_t restart_ms;

	ipc_free(TAKE(s->ipc));
	rolelog_free(TAKE(s->log));
	if (lived >= LIFE_THAT_COUNTS_MS)
		s->backoff_ms = BACKOFF_FIRST_MS;
	restart_ms = s->held ? -1 : s->backoff_ms;
	s->state = s->held ? SPAWN_IDLE : SPAWN_WAITING;
	loop_timer_set(s->timer, restart_ms);
	s->backoff_ms = s->backoff_ms * 2 < BACKOFF_LAST_MS ? s->backoff_ms * 2 : BACKOFF_LAST_MS;
	/* Last, because it may start, hold or free. */
	s->to.on_exited(s, s->wait_status, restart_ms, s->to.arg);
}

/* The process ended.  Its last message, perhaps the one about a refused PIN, may still be in the channel. */
static void
on_process_end(int fd, int ready, void *arg)
{
	struct spawn *s = arg;

	if (waitpid(s->pid, &s->wait_status, WNOHANG) != s->pid)
		return;
	loop_fd_free(TAKE(s->pid_watch));
	close(s->pid_fd);
	s->pid = 0;
	if (s->ipc == NULL) {
		finish(s);
		return;
	}
	s->state = SPAWN_DRAINING;
	loop_timer_set(s->timer, LAST_WORDS_MS);
}

static void
on_message(struct ipc *ipc, struct ipc_message *message, void *arg)
{
	struct spawn *s = arg;

	s->to.on_message(s, message, s->to.arg);
}

static void
on_closed(struct ipc *ipc, void *arg)
{
	struct spawn *s = arg;

	ipc_free(TAKE(s->ipc));
	if (!has_process(s)) {
		finish(s);
		return;
	}
	s->state = SPAWN_KILLING;
	loop_timer_set(s->timer, CLOSED_GRACE_MS);
}

static void
on_timer(void *arg)
{
	struct spawn *s = arg;

	switch (s->state) {
	case SPAWN_WAITING:
		/* A failure is as good as an exit: the time doubles and the caller hears of it. */
		if (start(s, NULL) != 0) {
			s->wait_status = W_EXITCODE(127, 0);
			s->started_ms = clock_mono_ms();
			finish(s);
		}
		break;
	case SPAWN_STOPPING:
		(void)kill(s->pid, SIGTERM);
		s->state = SPAWN_KILLING;
		loop_timer_set(s->timer, STOP_STEP_MS);
		break;
	case SPAWN_KILLING:
		(void)kill(s->pid, SIGKILL);
		break;
	case SPAWN_DRAINING:
		finish(s);
		break;
	case SPAWN_IDLE:
	case SPAWN_RUNNING:
		break;
	}
}

/* The lines that tell a role who started it (board/role.c) come first. */
static int
fork_child(struct spawn *s, int control_fd, int log_fd, struct err *e)
{
	char owner[64];
	char parent[64];
	char *environment[ENVIRONMENT_MAX + 3] = {owner, parent};
	pid_t pid;
	int pid_fd;

	snprintf(owner, sizeof(owner), "CHANCERY_OWNER=%s", ipc_role_name(s->owner));
	snprintf(parent, sizeof(parent), "CHANCERY_PARENT_PID=%d", (int)getpid());
	memcpy(environment + 2, s->environment, sizeof(s->environment));
	pid = fork();
	if (pid < 0)
		return err_set(e, ERR_IO, (uint32_t)errno, "fork for %s: %s", s->path, strerror(errno));
	if (pid == 0)
		child_run(s, control_fd, log_fd, environment);
	pid_fd = pidfd_open(pid, 0);
	if (pid_fd >= 0 && loop_fd_new(s->loop, pid_fd, LOOP_READ, on_process_end, s, &s->pid_watch) == 0) {
		s->pid = pid;
		s->pid_fd = pid_fd;
		return 0;
	}
	err_set(e, ERR_IO, (uint32_t)errno, "watching %s: %s", s->path, strerror(errno));
	if (pid_fd >= 0)
		close(pid_fd);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	return ERR_IO;
}

/* Makes channel and log, and the process that uses them.  On failure nothing is left. */
static int
start_process(struct spawn *s, struct err *e)
{
	struct ipc_handlers handlers = {on_message, on_closed, s};
	int fds[2];
	int log_fd;
	int rc = ipc_pair(fds, e);

	if (rc != 0)
		return rc;
	rc = rolelog_new(s->loop, ipc_role_name(s->self), &s->log, &log_fd, e);
	if (rc != 0) {
		close(fds[0]);
		close(fds[1]);
		return rc;
	}
	rc = ipc_new(s->loop, fds[0], s->owner, s->self, &handlers, &s->ipc);
	if (rc != 0)
		close(fds[0]);
	else
		rc = fork_child(s, fds[1], log_fd, e);
	close(fds[1]);
	close(log_fd);
	if (rc != 0) {
		ipc_free(TAKE(s->ipc));
		rolelog_free(TAKE(s->log));
	}
	return rc;
}

static int
start(struct spawn *s, struct err *e)
{
	int rc = start_process(s, e);

	if (rc != 0)
		return err_set(e, ERR_IO, 0, "starting %s: %s", s->path, err_name(rc));
	s->started_ms = clock_mono_ms();
	s->state = SPAWN_RUNNING;
	loop_timer_set(s->timer, -1);
	s->to.on_started(s, s->to.arg);
	return 0;
}

/* ---- what the header promises ------------------------------------------------------------------------------------ */

static int
add_environment(struct spawn *s, const char *line)
{
	if (s->environment_count + 1 >= ENVIRONMENT_MAX)
		return ERR_NOMEM;
	s->environment[s->environment_count] = strdup(line);
	return s->environment[s->environment_count++] == NULL ? ERR_NOMEM : 0;
}

/* What tells sanitizers where to write and what to ignore reaches the roles too; other builds do not look at it. */
static int
add_sanitizer_options(struct spawn *s)
{
	static const char *const names[] = {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS"};
	char line[512];
	size_t i;
	int rc = 0;

	for (i = 0; i < ARRAY_SIZE(names) && rc == 0; i++) {
		const char *value = getenv(names[i]);

		if (value == NULL || snprintf(line, sizeof(line), "%s=%s", names[i], value) >= (int)sizeof(line))
			continue;
		rc = add_environment(s, line);
	}
	return rc;
}

CLEANUP_STRUCT(spawn, spawn_free)

int
spawn_new(struct loop *loop, const struct spawn_program *program, const struct spawn_functions *functions,
	  struct spawn **ret_spawn)
{
	AUTO_STRUCT(spawn) s = calloc(1, sizeof(*s));
	size_t i;
	int rc;

	if (s == NULL)
		return ERR_NOMEM;
	s->loop = loop;
	s->to = *functions;
	s->self = program->self;
	s->owner = program->owner;
	s->uid = program->uid;
	s->open_files = program->open_files;
	s->backoff_ms = BACKOFF_FIRST_MS;
	rc = loop_timer_new(loop, on_timer, s, &s->timer);
	if (rc == 0)
		rc = (s->path = strdup(program->path)) == NULL ? ERR_NOMEM : 0;
	for (i = 0; i < ARRAY_SIZE(program->environment) && program->environment[i] != NULL && rc == 0; i++)
		rc = add_environment(s, program->environment[i]);
	if (rc == 0)
		rc = add_sanitizer_options(s);
	if (rc == 0)
		*ret_spawn = TAKE(s);
	return rc;
}

int
spawn_start(struct spawn *s, struct err *e)
{
	s->held = false;
	if (s->state != SPAWN_IDLE && s->state != SPAWN_WAITING)
		return 0;
	if (access(s->path, X_OK) != 0)
		return err_set(e, ERR_IO, (uint32_t)errno, "%s: %s", s->path, strerror(errno));
	s->backoff_ms = BACKOFF_FIRST_MS;
	return start(s, e);
}

void
spawn_hold(struct spawn *s)
{
	s->held = true;
	if (s->state != SPAWN_WAITING)
		return;
	s->state = SPAWN_IDLE;
	loop_timer_set(s->timer, -1);
}

void
spawn_stop(struct spawn *s)
{
	struct msg_stop stop = {0};

	spawn_hold(s);
	if (s->state != SPAWN_RUNNING)
		return;
	s->state = SPAWN_STOPPING;
	/* A channel that takes nothing any more: not worth waiting for. */
	loop_timer_set(s->timer, msg_stop_send(s->ipc, 0, &stop) == 0 ? STOP_STEP_MS : 0);
}

void
spawn_free(struct spawn *s)
{
	size_t i;

	if (s == NULL)
		return;
	if (has_process(s)) {
		loop_fd_free(s->pid_watch);
		close(s->pid_fd);
		(void)kill(s->pid, SIGKILL);
		while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	ipc_free(s->ipc);
	rolelog_free(s->log);
	loop_timer_free(s->timer);
	for (i = 0; i < s->environment_count; i++)
		free(s->environment[i]);
	free(s->path);
	free(s);
}

struct ipc *
spawn_ipc(struct spawn *s)
{
	return has_process(s) ? s->ipc : NULL;
}

pid_t
spawn_pid(const struct spawn *s)
{
	return s->pid;
}

bool
spawn_running(const struct spawn *s)
{
	return s->state != SPAWN_IDLE && s->state != SPAWN_WAITING;
}

enum role
spawn_role(const struct spawn *s)
{
	return s->self;
}

char *
spawn_cause(int wait_status, char *out, size_t size)
{
	if (WIFEXITED(wait_status))
		snprintf(out, size, "exit-%d", WEXITSTATUS(wait_status));
	else if (WTERMSIG(wait_status) == SIGSYS)
		snprintf(out, size, "SIGSYS:system-call-not-on-its-list");
	else
		snprintf(out, size, "SIG%s", sigabbrev_np(WTERMSIG(wait_status)));
	return out;
}

int
spawn_find(const char *program, char *out, size_t size, struct err *e)
{
	static const char *const places[] = {"", "/../libexec/chancery"};
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	size_t i;

	if (len <= 0)
		return err_set(e, ERR_IO, (uint32_t)errno, "/proc/self/exe: %s", strerror(errno));
	self[len] = '\0';
	*strrchr(self, '/') = '\0';
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		if (snprintf(out, size, "%s%s/%s", self, places[i], program) < (int)size && access(out, X_OK) == 0)
			return 0;
	}
	return err_set(e, ERR_UNKNOWN, 0, "%s is neither in %s nor in %s%s", program, self, self, places[1]);
}
