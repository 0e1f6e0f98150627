#include "tests/lib/mock.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/test.h"

const char *
mock_module(char *out, size_t size)
{
	const char *folder = getenv("TESTS_DIR");
	char self[200] = "";

	if (folder != NULL) {
		snprintf(out, size, "%s/p11_mock.so", folder);
		return out;
	}
	CHECK(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	*strrchr(self, '/') = '\0';
	snprintf(out, size, "%s/p11_mock.so", self);
	return out;
}

/* Empty files that the signer's user may write. */
static void
make_file(const struct mock *mock, const char *suffix)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s%s", mock->path, suffix);
	f = fopen(path, "we");
	CHECK(f != NULL && fclose(f) == 0 && chmod(path, 0666) == 0);
}

void
mock_make(struct mock *mock, const struct token *token)
{
	snprintf(mock->path, sizeof(mock->path), "%s/faults", token->folder);
	snprintf(mock->environment, sizeof(mock->environment), "TOKEN_FAULTS=%s", mock->path);
	make_file(mock, ".trace");
	make_file(mock, ".counts");
	mock_script(mock, "# no fault\n");
}

void
mock_use(const struct mock *mock, struct signer_rig *rig)
{
	(void)mock_module(rig->conf.signer_module, sizeof(rig->conf.signer_module));
	rig->more_environment[0] = mock->environment;
}

void
mock_script(const struct mock *mock, const char *format, ...)
{
	char path[200];
	va_list arguments;
	FILE *f;

	snprintf(path, sizeof(path), "%s.new", mock->path);
	f = fopen(path, "we");
	CHECK(f != NULL);
	va_start(arguments, format);
	vfprintf(f, format, arguments);
	va_end(arguments);
	CHECK(fclose(f) == 0 && chmod(path, 0644) == 0 && rename(path, mock->path) == 0);
}

void
mock_forget(const struct mock *mock)
{
	char path[200];

	snprintf(path, sizeof(path), "%s.trace", mock->path);
	CHECK(truncate(path, 0) == 0);
}

/* The next line of the trace, which is closed and NULL at its end. */
static bool
next_line(FILE **f, char name[100], char ended[100])
{
	char line[300];

	while (fgets(line, sizeof(line), *f) != NULL) {
		if (sscanf(line, "%*s %99s %*s %99s", name, ended) == 2)
			return true;
	}
	fclose(*f);
	*f = NULL;
	return false;
}

static FILE *
open_trace(const struct mock *mock)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s.trace", mock->path);
	f = fopen(path, "re");
	CHECK(f != NULL);
	return f;
}

unsigned
mock_count(const struct mock *mock, const char *function, const char *result)
{
	FILE *f = open_trace(mock);
	unsigned count = 0;
	char name[100];
	char ended[100];

	while (next_line(&f, name, ended)) {
		if (strcmp(name, function) == 0)
			count += result == NULL ? strncmp(ended, "CKR_", 4) == 0 : strcmp(ended, result) == 0;
	}
	return count;
}

unsigned
mock_value(const struct mock *mock, const char *function, const char *word)
{
	FILE *f = open_trace(mock);
	size_t len = strlen(word);
	unsigned value = 0;
	char name[100];
	char ended[100];

	while (next_line(&f, name, ended)) {
		if (strcmp(name, function) == 0 && strncmp(ended, word, len) == 0 && ended[len] == '=')
			value = (unsigned)strtoul(ended + len + 1, NULL, 10);
	}
	return value;
}
