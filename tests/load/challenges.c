#include "tests/load/challenges.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

enum { COMMAND_MAX = 4096 };

void
challenges_free(char **lines, size_t count)
{
	for (size_t i = 0; lines != NULL && i < count; i++) {
		if (lines[i] != NULL)
			OPENSSL_cleanse(lines[i], strlen(lines[i]));
		free(lines[i]);
	}
	free(lines);
}

static int
lines_take(FILE *f, const char *name, size_t count, char ***ret_lines, struct err *e)
{
	char **lines = calloc(count + 1, sizeof(*lines));
	size_t room = 0;
	size_t n;

	if (lines == NULL)
		return err_set(e, ERR_NOMEM, 0, "challenges");
	for (n = 0; n < count; n++) {
		room = 0;
		if (getline(&lines[n], &room, f) <= 0) {
			/* What it has allocated nevertheless holds no line. */
			free(lines[n]);
			lines[n] = NULL;
			break;
		}
		lines[n][strcspn(lines[n], "\r\n")] = '\0';
	}
	if (n < count) {
		challenges_free(lines, n);
		return err_set(e, ERR_LIMIT, 0, "%s: %zu challenges are needed, and there are %zu", name, count, n);
	}
	*ret_lines = lines;
	return 0;
}

int
challenges_read(const char *path, size_t count, char ***ret_lines, struct err *e)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
	int status;

	if (f == NULL)
		return err_set(e, ERR_IO, (uint32_t)errno, "%s: %s", path, strerror(errno));
	status = lines_take(f, path, count, ret_lines, e);
	if (f != stdin)
		(void)fclose(f);
	return status;
}

int
challenges_run(const char *command, size_t count, char ***ret_lines, struct err *e)
{
	char line[COMMAND_MAX];
	char **lines = NULL;
	FILE *f;
	int status;

	if (snprintf(line, sizeof(line), "%s %zu", command, count) >= (int)sizeof(line))
		return err_set(e, ERR_LIMIT, 0, "the command is too long");
	/* The caller's own command, from the command line. */
	f = popen(line, "r"); /* NOLINT(cert-env33-c) */
	if (f == NULL)
		return err_set(e, ERR_IO, (uint32_t)errno, "%s: %s", command, strerror(errno));
	status = lines_take(f, command, count, &lines, e);
	if (pclose(f) != 0 && status == 0) {
		challenges_free(lines, count);
		return err_set(e, ERR_IO, 0, "%s: failed", command);
	}
	if (status == 0)
		*ret_lines = lines;
	return status;
}
