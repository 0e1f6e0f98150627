#include "tests/mock/script.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { RULES_MAX = 64, SCRIPT_MAX = 8192, TRACE_LINE_MAX = 200, HANG_LOOK_MS = 10 };

#define SOFTHSM "/usr/lib/softhsm/libsofthsm2.so"

static const char *const function_names[FN_COUNT] = {
#define OWN(name)                                    #name,
#define FORWARD(name, session, object, params, args) #name,
#include "tests/mock/functions.def"
};

static const struct {
	const char *name;
	CK_RV rv;
} codes[] = {
	{"CKR_OK", CKR_OK},
#define CODE(name) {#name, name},
#include "tests/mock/codes.def"
#undef CODE
};

enum when { ALWAYS, NTH, FROM, EVERY };

struct rule {
	int function; /* -1: any */
	enum when when;
	unsigned long n;
	struct mock_plan does; /* what it adds to a call */
};

/* In SCRIPT.counts, shared by all processes. */
struct counts {
	uint64_t script; /* which one they belong to */
	uint64_t hits[RULES_MAX];
};

static struct {
	pthread_mutex_t lock; /* guards all below but the paths */
	char path[200];
	char module[200];
	int trace_fd;
	uint64_t script;
	struct rule rules[RULES_MAX];
	size_t count;
	struct mock_plan state; /* "absent" and the like */
	struct counts *counts;
	unsigned long calls[FN_COUNT];
} mock = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void __attribute__((noreturn, format(printf, 1, 2))) give_up(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	abort();
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static int
function_of(const char *word)
{
	int i;

	for (i = 0; i < FN_COUNT; i++) {
		if (strcmp(function_names[i], word) == 0)
			return i;
	}
	if (strcmp(word, "any") != 0)
		give_up("fault script: no function %s", word);
	return -1;
}

static CK_RV
code_of(const char *word)
{
	size_t i;

	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (strcmp(codes[i].name, word) == 0)
			return codes[i].rv;
	}
	give_up("fault script: no code %s", word);
}

/* "name=" at the start of word: what follows, or NULL. */
static const char *
value_of(const char *word, const char *name)
{
	size_t len = strlen(name);

	return strncmp(word, name, len) == 0 ? word + len : NULL;
}

static bool
take_flag(struct mock_plan *does, const char *word)
{
	const struct {
		const char *name;
		bool *flag;
	} flags[] = {
		{"hang", &does->hang},
		{"kill", &does->kill},
		{"wrong", &does->wrong},
		{"short", &does->cut},
		{"drop-sessions", &does->drop_sessions},
		{"logout", &does->logout},
		{"change-handles", &does->change_handles},
	};
	size_t i;

	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (strcmp(flags[i].name, word) == 0) {
			*flags[i].flag = true;
			return true;
		}
	}
	return false;
}

static void
take_word(struct rule *rule, const char *word)
{
	const char *value;

	if (take_flag(&rule->does, word))
		return;
	if ((value = value_of(word, "return=")) != NULL) {
		rule->does.instead = code_of(value);
	} else if ((value = value_of(word, "after=")) != NULL) {
		rule->does.after = code_of(value);
	} else if ((value = value_of(word, "delay=")) != NULL) {
		rule->does.delay_ms = (unsigned)strtoul(value, NULL, 10);
	} else if ((value = value_of(word, "kill-at-step=")) != NULL) {
		rule->does.kill_at_step = (unsigned)strtoul(value, NULL, 10);
	} else {
		rule->when = value_of(word, "nth=") != NULL     ? NTH
			     : value_of(word, "from=") != NULL  ? FROM
			     : value_of(word, "every=") != NULL ? EVERY
								: ALWAYS;
		if (rule->when == ALWAYS)
			give_up("fault script: what is %s?", word);
		rule->n = strtoul(strchr(word, '=') + 1, NULL, 10);
	}
}

/* A line that says how the token is, rather than what a call does. */
static bool
take_state(const char *word, const char *rest)
{
	char *line;

	if (strcmp(word, "absent") == 0) {
		mock.state.absent = true;
	} else if (strcmp(word, "handles-change-at-login") == 0) {
		mock.state.handles_at_login = true;
	} else if (strcmp(word, "sessions") == 0) {
		mock.state.sessions = (unsigned)strtoul(rest, NULL, 10);
	} else if (strcmp(word, "module") == 0) {
		snprintf(mock.module, sizeof(mock.module), "%s", rest);
	} else if (strcmp(word, "environment") == 0) {
		line = strdup(rest);
		if (line == NULL || putenv(line) != 0)
			give_up("fault script: environment");
	} else {
		return false;
	}
	return true;
}

static void
take_line(char *line)
{
	char *position = NULL;
	char *word = strtok_r(line, " \t", &position);
	struct rule *rule = &mock.rules[mock.count];

	if (word == NULL || word[0] == '#' || take_state(word, position))
		return;
	if (mock.count == RULES_MAX)
		give_up("fault script: more than %d rules", RULES_MAX);
	*rule = (struct rule){.function = function_of(word)};
	while ((word = strtok_r(NULL, " \t", &position)) != NULL)
		take_word(rule, word);
	mock.count++;
}

/*
 * Which script is it?  Tests put a new one in place with rename(), so it is a file of its own; but numbers of files are
 * used again, and their times are coarse, so what is in it counts too.
 */
static uint64_t
identity(const struct stat *status, const char *text)
{
	uint64_t id = (uint64_t)status->st_ino * 1000003u + (uint64_t)status->st_mtim.tv_sec * 1000000007u +
		      (uint64_t)status->st_mtim.tv_nsec;

	for (; *text != '\0'; text++)
		id = id * 31 + (unsigned char)*text;
	return id;
}

/* Takes text as the script that is in force. */
static void
parse(char *text)
{
	char *position = NULL;
	char *line;

	mock.count = 0;
	mock.state = (struct mock_plan){.absent = false};
	for (line = strtok_r(text, "\n", &position); line != NULL; line = strtok_r(NULL, "\n", &position))
		take_line(line);
	if (mock.counts->script != mock.script) {
		memset(mock.counts->hits, 0, sizeof(mock.counts->hits));
		mock.counts->script = mock.script;
	}
}

/* Reads the script, and takes it if it is not the one that we have.  Under the lock. */
static void
refresh(void)
{
	char text[SCRIPT_MAX];
	struct stat status;
	uint64_t id;
	ssize_t n;
	int fd = open(mock.path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &status) != 0)
		give_up("fault script %s cannot be read", mock.path);
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n < 0 || n == (ssize_t)sizeof(text) - 1)
		give_up("fault script %s cannot be read, or is too long", mock.path);
	text[n] = '\0';
	id = identity(&status, text);
	if (id == mock.script)
		return;
	mock.script = id;
	parse(text);
}

/* ---- files beside the script ------------------------------------------------------------------------------------- */

static int
open_beside(const char *suffix, int flags)
{
	char path[TRACE_LINE_MAX + 20];
	int fd;

	snprintf(path, sizeof(path), "%s%s", mock.path, suffix);
	fd = open(path, flags | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		give_up("%s cannot be opened", path);
	return fd;
}

void
mock_script_open(void)
{
	const char *path = getenv("TOKEN_FAULTS");
	int fd;

	if (path == NULL || strlen(path) >= sizeof(mock.path))
		give_up("TOKEN_FAULTS does not name a fault script");
	pthread_mutex_lock(&mock.lock);
	if (mock.counts == NULL) {
		memcpy(mock.path, path, strlen(path) + 1);
		memcpy(mock.module, SOFTHSM, sizeof(SOFTHSM));
		mock.trace_fd = open_beside(".trace", O_WRONLY | O_APPEND);
		fd = open_beside(".counts", O_RDWR);
		if (ftruncate(fd, sizeof(*mock.counts)) != 0)
			give_up("counts of the fault script");
		mock.counts = mmap(NULL, sizeof(*mock.counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (mock.counts == MAP_FAILED)
			give_up("counts of the fault script");
		close(fd);
		refresh();
	}
	pthread_mutex_unlock(&mock.lock);
}

const char *
mock_script_module(void)
{
	return mock.module;
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

static bool
applies(const struct rule *rule, uint64_t *hits)
{
	uint64_t n = __atomic_add_fetch(hits, 1, __ATOMIC_RELAXED);

	switch (rule->when) {
	case NTH:
		return n == rule->n;
	case FROM:
		return n >= rule->n;
	case EVERY:
		return n % rule->n == 0;
	case ALWAYS:
	default:
		return true;
	}
}

static void
add(struct mock_plan *plan, const struct mock_plan *does)
{
	plan->delay_ms += does->delay_ms;
	plan->hang |= does->hang;
	plan->kill |= does->kill;
	plan->wrong |= does->wrong;
	plan->cut |= does->cut;
	plan->drop_sessions |= does->drop_sessions;
	plan->logout |= does->logout;
	plan->change_handles |= does->change_handles;
	if (plan->kill_at_step == 0)
		plan->kill_at_step = does->kill_at_step;
	if (plan->instead == CKR_OK)
		plan->instead = does->instead;
	if (plan->after == CKR_OK)
		plan->after = does->after;
}

void
mock_script_plan(enum mock_function function, struct mock_plan *plan)
{
	size_t i;

	pthread_mutex_lock(&mock.lock);
	refresh();
	*plan = mock.state;
	plan->function = function;
	plan->number = ++mock.calls[function];
	for (i = 0; i < mock.count; i++) {
		const struct rule *rule = &mock.rules[i];

		if ((rule->function < 0 || rule->function == (int)function) && applies(rule, &mock.counts->hits[i]))
			add(plan, &rule->does);
	}
	pthread_mutex_unlock(&mock.lock);
}

static void
sleep_ms(unsigned ms)
{
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	(void)nanosleep(&time, NULL);
}

static uint64_t
script_now(void)
{
	uint64_t script;

	pthread_mutex_lock(&mock.lock);
	refresh();
	script = mock.script;
	pthread_mutex_unlock(&mock.lock);
	return script;
}

static void
trace(const struct mock_plan *plan, const char *word)
{
	char line[TRACE_LINE_MAX];
	int len = snprintf(line, sizeof(line), "%d %s %lu %s\n", (int)getpid(), function_names[plan->function],
			   plan->number, word);

	(void)!write(mock.trace_fd, line, (size_t)len);
}

void
mock_script_wait(const struct mock_plan *plan)
{
	uint64_t script;

	sleep_ms(plan->delay_ms);
	if (plan->kill) {
		trace(plan, "killed");
		raise(SIGKILL);
	}
	if (!plan->hang)
		return;
	trace(plan, "hangs");
	for (script = script_now(); script == script_now();)
		sleep_ms(HANG_LOOK_MS);
}

void
mock_script_steps(const struct mock_plan *plan, unsigned steps)
{
	char word[40];

	snprintf(word, sizeof(word), "steps=%u", steps);
	trace(plan, word);
}

void
mock_script_trace(const struct mock_plan *plan, CK_RV rv)
{
	size_t i;

	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (codes[i].rv == rv) {
			trace(plan, codes[i].name);
			return;
		}
	}
	trace(plan, "CKR_?");
}
