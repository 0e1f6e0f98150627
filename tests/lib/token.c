#include "tests/lib/token.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "board/base/cleanup.h"
#include "tests/lib/test.h"

int
token_run(const char *const *words)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		(void)dup2(null, STDIN_FILENO);
		(void)dup2(null, STDOUT_FILENO);
		(void)execvp(words[0], (char *const *)words);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

static void
write_conf(const struct token *token)
{
	const char *path = strchr(token->environment, '=') + 1;
	FILE *f = fopen(path, "we");

	CHECK(f != NULL);
	fprintf(f, "directories.tokendir = %s/tokens\nobjectstore.backend = file\nlog.level = ERROR\n", token->folder);
	CHECK(fclose(f) == 0);
	CHECK(setenv("SOFTHSM2_CONF", path, 1) == 0);
}

void
token_make(struct token *token, const char *label, const char *pin, const char *so_pin)
{
	const char *words[] = {"softhsm2-util", "--init-token", "--free", "--label", label, "--pin", pin,
			       "--so-pin",      so_pin,         NULL};
	char tokens[120];

	snprintf(token->folder, sizeof(token->folder), "/tmp/chancery-token-XXXXXX");
	CHECK(mkdtemp(token->folder) != NULL);
	snprintf(tokens, sizeof(tokens), "%s/tokens", token->folder);
	CHECK(mkdir(tokens, 0700) == 0);
	snprintf(token->environment, sizeof(token->environment), "SOFTHSM2_CONF=%s/softhsm2.conf", token->folder);
	write_conf(token);
	if (label != NULL)
		CHECK_INT(token_run(words), 0);
}

void
token_give(const struct token *token, uid_t uid)
{
	char owner[40];
	const char *words[] = {"chown", "-R", owner, token->folder, NULL};

	snprintf(owner, sizeof(owner), "%u:%u", (unsigned)uid, (unsigned)uid);
	if (geteuid() == 0)
		CHECK_INT(token_run(words), 0);
}

static void
move_tokens(const struct token *token, const char *from, const char *to)
{
	char old[120];
	char new[120];

	snprintf(old, sizeof(old), "%s/%s", token->folder, from);
	snprintf(new, sizeof(new), "%s/%s", token->folder, to);
	CHECK(rename(old, new) == 0);
}

void
token_pull(const struct token *token)
{
	move_tokens(token, "tokens", "pulled");
}

void
token_plug(const struct token *token)
{
	move_tokens(token, "pulled", "tokens");
}

void
token_remove(struct token *token)
{
	const char *words[] = {"rm", "-rf", token->folder, NULL};

	if (token->folder[0] != '\0')
		CHECK_INT(token_run(words), 0);
	token->folder[0] = '\0';
}

const char *
token_program(const char *name, char *out, size_t size)
{
	const char *folder = getenv("BIN_DIR");
	char self[200] = "";
	char *slash;

	if (folder != NULL) {
		snprintf(out, size, "%s/%s", folder, name);
		return out;
	}
	CHECK(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	slash = strrchr(self, '/');
	*slash = '\0';
	snprintf(out, size, "%s/../bin/%s", self, name);
	return out;
}
