#include "board/config_value.h"

#include <ctype.h>
#include <errno.h>
#include <libconfig.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "board/config_check.h"

static void *
place(const struct config_option *option, void *base)
{
	return (char *)base + option->offset;
}

static const void *
place_const(const struct config_option *option, const void *base)
{
	return (const char *)base + option->offset;
}

void
config_value_default(const struct config_option *option, void *base)
{
	if (option->kind == CONFIG_INT)
		*(int *)place(option, base) = option->number;
	else if (option->kind == CONFIG_BOOL)
		*(bool *)place(option, base) = option->number != 0;
	else
		snprintf(place(option, base), option->size, "%s", option->text);
}

/* ---- the nearest known name -------------------------------------------------------------------------------------- */

static size_t
least(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Letters to insert, delete or replace to get from a to b. */
static size_t
distance(const char *a, const char *b)
{
	size_t row[CONFIG_NAME_SIZE + 1];
	size_t a_len = strnlen(a, CONFIG_NAME_SIZE);
	size_t b_len = strnlen(b, CONFIG_NAME_SIZE);
	size_t i, j;

	for (j = 0; j <= b_len; j++)
		row[j] = j;
	for (i = 1; i <= a_len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (j = 1; j <= b_len; j++) {
			size_t above = row[j];

			row[j] = least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[b_len];
}

/* A name is near when no more than half of it is wrong, or two letters (such as two that changed places). */
void
config_value_consider(const char *name, const char *known, const char *answer, struct config_near *near)
{
	size_t d = distance(name, known);
	size_t len = strlen(known);

	if (d >= len || d > (len / 2 > 2 ? len / 2 : 2) || d >= near->best)
		return;
	near->best = d;
	snprintf(near->name, sizeof(near->name), "%s", answer);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

int
config_value_refuse(const struct config_source *source, const config_setting_t *setting, const char *name,
		    const char *why)
{
	return err_set(source->e, ERR_CONFIG, 0, "%s:%u: %s: %s", source->name, config_setting_source_line(setting),
		       name, why);
}

static int
read_int(const struct config_source *source, const struct config_option *o, const char *name,
	 const config_setting_t *setting, void *base)
{
	char why[CONFIG_WHY_SIZE];
	int type = config_setting_type(setting);
	long long value = config_setting_get_int64(setting);

	if ((type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64) && value >= o->low && value <= o->high) {
		*(int *)place(o, base) = (int)value;
		return 0;
	}
	snprintf(why, sizeof(why), "must be a whole number from %d to %d", o->low, o->high);
	return config_value_refuse(source, setting, name, why);
}

static int
read_bool(const struct config_source *source, const struct config_option *o, const char *name,
	  const config_setting_t *setting, void *base)
{
	if (config_setting_type(setting) != CONFIG_TYPE_BOOL)
		return config_value_refuse(source, setting, name, "must be true or false");
	*(bool *)place(o, base) = config_setting_get_bool(setting) != 0;
	return 0;
}

/* No setting has a use for control characters, and some of them end up in log lines and URLs. */
static bool
is_clean(const char *value)
{
	for (; *value != '\0'; value++)
		if ((unsigned char)*value < ' ' || *value == 0x7f)
			return false;
	return true;
}

static int
read_text(const struct config_source *source, const struct config_option *o, const char *name,
	  const config_setting_t *setting, void *base)
{
	char why[CONFIG_WHY_SIZE];
	const char *value = NULL;

	if (config_setting_type(setting) == CONFIG_TYPE_STRING)
		value = config_setting_get_string(setting);
	if (value == NULL || strlen(value) >= o->size || !is_clean(value)) {
		snprintf(why, sizeof(why), "must be a text in quotes of at most %zu bytes without control characters",
			 o->size - 1);
		return config_value_refuse(source, setting, name, why);
	}
	if (!config_check_text(o->check, value, why, sizeof(why)))
		return config_value_refuse(source, setting, name, why);
	/* The rest stays zero, so that equal configurations are equal bytes. */
	memset(place(o, base), 0, o->size);
	memcpy(place(o, base), value, strlen(value));
	return 0;
}

int
config_value_read(const struct config_source *source, const struct config_option *option, const char *name,
		  const config_setting_t *setting, void *base)
{
	if (option->kind == CONFIG_INT)
		return read_int(source, option, name, setting, base);
	if (option->kind == CONFIG_BOOL)
		return read_bool(source, option, name, setting, base);
	return read_text(source, option, name, setting, base);
}

/* ---- the text before libconfig sees it --------------------------------------------------------------------------- */

/* The end of a comment that begins here, or of a text in quotes; next itself for anything else. */
static const char *
skip_comment_or_quoted(const char *next)
{
	const char *end = next;

	if (next[0] == '#' || (next[0] == '/' && next[1] == '/'))
		return next + strcspn(next, "\n");
	if (next[0] == '/' && next[1] == '*') {
		end = strstr(next + 2, "*/");
		return end != NULL ? end + 2 : next + strlen(next);
	}
	if (next[0] != '"')
		return next;
	for (end++; *end != '\0' && *end != '"'; end++)
		if (*end == '\\' && end[1] != '\0')
			end++;
	return *end == '"' ? end + 1 : end;
}

/* A number of len characters that int cannot hold and that is not marked as a long one. */
static bool
is_too_large(const char *number, size_t len)
{
	bool hex = len > 2 && number[0] == '0' && (number[1] == 'x' || number[1] == 'X');
	unsigned long long value;

	if (number[len - 1] == 'L' || !isdigit((unsigned char)number[0]))
		return false;
	errno = 0;
	value = strtoull(number, NULL, hex ? 16 : 10);
	return errno != 0 || value > INT_MAX;
}

/* Behind the word, number, comment or text in quotes that begins here, or behind one character. */
static const char *
skip_token(const char *next)
{
	static const char wordy[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
	const char *end = skip_comment_or_quoted(next);

	if (end == next)
		end += strspn(next, wordy);
	return end == next ? next + 1 : end;
}

const char *
config_value_source(const char *text, unsigned *ret_line)
{
	const char *next;
	const char *end;

	*ret_line = 1;
	for (next = text; *next != '\0'; next = end) {
		end = skip_token(next);
		if (strncmp(next, "@include", 8) == 0)
			return "@include: is not allowed; write all settings here";
		if (is_too_large(next, (size_t)(end - next)))
			return "a number is too large";
		for (; next < end; next++)
			*ret_line += *next == '\n';
	}
	return NULL;
}

/* ---- printing ---------------------------------------------------------------------------------------------------- */

static void
print_quoted(const char *value, FILE *out)
{
	fputc('"', out);
	for (; *value != '\0'; value++) {
		if (*value == '"' || *value == '\\')
			fputc('\\', out);
		fputc(*value, out);
	}
	fputc('"', out);
}

void
config_value_print(const struct config_option *option, const void *base, FILE *out)
{
	const void *value = place_const(option, base);

	if (option->kind == CONFIG_INT)
		fprintf(out, "%d", *(const int *)value);
	else if (option->kind == CONFIG_BOOL)
		fputs(*(const bool *)value ? "true" : "false", out);
	else
		print_quoted(value, out);
}

void
config_value_print_range(const struct config_option *option, FILE *out)
{
	if (option->kind == CONFIG_INT)
		fprintf(out, "%d to %d", option->low, option->high);
	else if (option->kind == CONFIG_BOOL)
		fputs("true or false", out);
	else
		fprintf(out, "at most %zu bytes", option->size - 1);
}
