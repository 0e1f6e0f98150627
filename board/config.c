#include "board/config.h"

#include <libconfig.h>
#include <stdlib.h>
#include <string.h>

#include "board/base/buf.h"
#include "board/base/file.h"
#include "board/config_check.h"

enum { FILE_MAX = 256 * 1024, NAME_SIZE = 64, WHY_SIZE = 160 };
enum kind { KIND_INT, KIND_BOOL, KIND_TEXT };
enum when { RELOAD, RESTART };

struct option {
	const char *group;
	const char *key;
	const char *help;
	enum kind kind;
	enum when when;
	size_t offset;
	size_t size;      /* KIND_TEXT: with the NUL */
	int low;          /* KIND_INT */
	int high;         /* KIND_INT */
	int number;       /* default of KIND_INT and KIND_BOOL */
	const char *text; /* default of KIND_TEXT */
};

/* The fields of an option that every kind of line of config.def has. */
#define COMMON(group_, key_, when_, help_)                                                                             \
	.group = #group_, .key = #key_, .help = (help_), .when = (when_),                                              \
	.offset = offsetof(struct config, group_##_##key_)

#define GROUP(group_, help_)
#define INT(group_, key_, value_, low_, high_, when_, help_)                                                           \
	{.kind = KIND_INT, .number = (value_), .low = (low_), .high = (high_), COMMON(group_, key_, when_, help_)},
#define BOOL(group_, key_, value_, when_, help_)                                                                       \
	{.kind = KIND_BOOL, .number = (value_), COMMON(group_, key_, when_, help_)},
#define TEXT(group_, key_, value_, size_, when_, help_)                                                                \
	{.kind = KIND_TEXT, .text = (value_), .size = (size_), COMMON(group_, key_, when_, help_)},
static const struct option options[] = {
#include "board/config.def"
};
#undef GROUP
#undef INT
#undef BOOL
#undef TEXT

#define GROUP(group_, help_) {#group_, (help_)},
#define INT(...)
#define BOOL(...)
#define TEXT(...)
static const struct {
	const char *name;
	const char *help;
} groups[] = {
#include "board/config.def"
};
#undef GROUP
#undef INT
#undef BOOL
#undef TEXT

/* What is being read, for errors. */
struct source {
	const char *name;
	const config_t *tree;
	struct err *e;
};

static void *
place(struct config *conf, const struct option *option)
{
	return (char *)conf + option->offset;
}

static const void *
place_const(const struct config *conf, const struct option *option)
{
	return (const char *)conf + option->offset;
}

static void
full_name(const struct option *option, char out[NAME_SIZE])
{
	snprintf(out, NAME_SIZE, "%s.%s", option->group, option->key);
}

void
config_default(struct config *conf)
{
	const struct option *o;

	memset(conf, 0, sizeof(*conf));
	for (o = options; o < options + ARRAY_SIZE(options); o++) {
		if (o->kind == KIND_INT)
			*(int *)place(conf, o) = o->number;
		else if (o->kind == KIND_BOOL)
			*(bool *)place(conf, o) = o->number != 0;
		else
			snprintf(place(conf, o), o->size, "%s", o->text);
	}
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
	size_t row[NAME_SIZE + 1];
	size_t a_len = strnlen(a, NAME_SIZE);
	size_t b_len = strnlen(b, NAME_SIZE);
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
static void
consider(const char *name, const char *known, const char *answer, size_t *best, char out[NAME_SIZE])
{
	size_t d = distance(name, known);
	size_t len = strlen(known);

	if (d >= len || d > (len / 2 > 2 ? len / 2 : 2) || d >= *best)
		return;
	*best = d;
	snprintf(out, NAME_SIZE, "%s", answer);
}

/* The setting that was meant by group.key: within the group by its key, else anywhere by its key. */
static bool
nearest_setting(const char *group, const char *key, char out[NAME_SIZE])
{
	const struct option *o;
	size_t best = SIZE_MAX;
	char full[NAME_SIZE];
	int pass;

	for (pass = 0; pass < 2 && best == SIZE_MAX; pass++)
		for (o = options; o < options + ARRAY_SIZE(options); o++) {
			full_name(o, full);
			if (pass == 1 || strcmp(o->group, group) == 0)
				consider(key, o->key, full, &best, out);
		}
	return best != SIZE_MAX;
}

static bool
nearest_group(const char *name, char out[NAME_SIZE])
{
	size_t best = SIZE_MAX;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(groups); i++)
		consider(name, groups[i].name, groups[i].name, &best, out);
	return best != SIZE_MAX;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static const struct option *
find_option(const char *group, const char *key)
{
	const struct option *o;

	for (o = options; o < options + ARRAY_SIZE(options); o++)
		if (strcmp(o->group, group) == 0 && strcmp(o->key, key) == 0)
			return o;
	return NULL;
}

static bool
is_group(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(groups); i++)
		if (strcmp(groups[i].name, name) == 0)
			return true;
	return false;
}

static int
refuse(const struct source *source, const config_setting_t *setting, const char *name, const char *why)
{
	return err_set(source->e, ERR_CONFIG, 0, "%s:%u: %s: %s", source->name, config_setting_source_line(setting),
		       name, why);
}

static int
read_int(const struct source *source, const struct option *o, const config_setting_t *setting, struct config *conf)
{
	char name[NAME_SIZE];
	char why[WHY_SIZE];
	int type = config_setting_type(setting);
	long long value = config_setting_get_int64(setting);

	if ((type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64) && value >= o->low && value <= o->high) {
		*(int *)place(conf, o) = (int)value;
		return 0;
	}
	full_name(o, name);
	snprintf(why, sizeof(why), "must be a whole number from %d to %d", o->low, o->high);
	return refuse(source, setting, name, why);
}

static int
read_bool(const struct source *source, const struct option *o, const config_setting_t *setting, struct config *conf)
{
	char name[NAME_SIZE];

	if (config_setting_type(setting) == CONFIG_TYPE_BOOL) {
		*(bool *)place(conf, o) = config_setting_get_bool(setting) != 0;
		return 0;
	}
	full_name(o, name);
	return refuse(source, setting, name, "must be true or false");
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
read_text(const struct source *source, const struct option *o, const config_setting_t *setting, struct config *conf)
{
	char name[NAME_SIZE];
	char why[WHY_SIZE];
	const char *value = NULL;

	full_name(o, name);
	if (config_setting_type(setting) == CONFIG_TYPE_STRING)
		value = config_setting_get_string(setting);
	if (value == NULL || strlen(value) >= o->size || !is_clean(value)) {
		snprintf(why, sizeof(why), "must be a text in quotes of at most %zu bytes without control characters",
			 o->size - 1);
		return refuse(source, setting, name, why);
	}
	if (!config_check_text(name, value, why, sizeof(why)))
		return refuse(source, setting, name, why);
	/* The rest stays zero, so that equal configurations are equal bytes. */
	memset(place(conf, o), 0, o->size);
	memcpy(place(conf, o), value, strlen(value));
	return 0;
}

static int
read_setting(const struct source *source, const char *group, const config_setting_t *setting, struct config *conf)
{
	const char *key = config_setting_name(setting);
	const struct option *o = find_option(group, key);
	char near_name[NAME_SIZE];
	char name[NAME_SIZE];
	char why[WHY_SIZE] = "no such setting";

	if (o == NULL) {
		snprintf(name, sizeof(name), "%s.%.40s", group, key);
		if (nearest_setting(group, key, near_name))
			snprintf(why, sizeof(why), "no such setting; did you mean %s?", near_name);
		return refuse(source, setting, name, why);
	}
	if (o->kind == KIND_INT)
		return read_int(source, o, setting, conf);
	return o->kind == KIND_BOOL ? read_bool(source, o, setting, conf) : read_text(source, o, setting, conf);
}

static int
read_group(const struct source *source, const config_setting_t *group, struct config *conf)
{
	const char *name = config_setting_name(group);
	char near_name[NAME_SIZE];
	char why[WHY_SIZE] = "no such group of settings";
	int i;
	int rc = 0;

	if (!is_group(name)) {
		if (nearest_group(name, near_name))
			snprintf(why, sizeof(why), "no such group of settings; did you mean %s?", near_name);
		else if (nearest_setting("", name, near_name))
			snprintf(why, sizeof(why), "settings stand in groups; did you mean %s?", near_name);
		return refuse(source, group, name, why);
	}
	if (config_setting_type(group) != CONFIG_TYPE_GROUP)
		return refuse(source, group, name, "must be a group: { key = value; … }");
	for (i = 0; i < config_setting_length(group) && rc == 0; i++)
		rc = read_setting(source, name, config_setting_get_elem(group, (unsigned)i), conf);
	return rc;
}

/* Names the line of whichever of the two is in the file; at least one is, as the defaults agree. */
static int
check_whole(const struct source *source, const struct config *conf)
{
	char why[WHY_SIZE];
	const char *other;
	const char *name = config_check_whole(conf, &other, why, sizeof(why));
	const config_setting_t *setting;

	if (name == NULL)
		return 0;
	setting = config_lookup(source->tree, name);
	if (setting == NULL)
		setting = config_lookup(source->tree, other);
	return refuse(source, setting != NULL ? setting : config_root_setting(source->tree), name, why);
}

static int
parse_tree(const struct source *source, config_t *tree, const char *text, struct config *ret_conf)
{
	struct config conf;
	config_setting_t *root;
	int rc = 0;
	int i;

	if (config_read_string(tree, text) != CONFIG_TRUE)
		return err_set(source->e, ERR_CONFIG, 0, "%s:%d: %s", source->name, config_error_line(tree),
			       config_error_text(tree));
	config_default(&conf);
	root = config_root_setting(tree);
	for (i = 0; i < config_setting_length(root) && rc == 0; i++)
		rc = read_group(source, config_setting_get_elem(root, (unsigned)i), &conf);
	if (rc == 0)
		rc = check_whole(source, &conf);
	if (rc == 0)
		*ret_conf = conf;
	return rc;
}

int
config_parse(const char *text, const char *name, struct config *ret_conf, struct err *e)
{
	config_t tree;
	struct source source = {.name = name, .tree = &tree, .e = e};
	unsigned line;
	const char *problem = config_check_source(text, &line);
	int rc;

	if (problem != NULL)
		return err_set(e, ERR_CONFIG, 0, "%s:%u: %s", name, line, problem);
	config_init(&tree);
	rc = parse_tree(&source, &tree, text, ret_conf);
	config_destroy(&tree);
	return rc;
}

int
config_load(const char *path, struct config *ret_conf, struct err *e)
{
	AUTO_BUF b;
	int rc;

	buf_init(&b, FILE_MAX);
	rc = file_read(path, &b, e);
	if (rc == ERR_LIMIT)
		return err_set(e, ERR_CONFIG, 0, "%s:1: the file is larger than %d bytes", path, FILE_MAX - 1);
	if (rc != 0)
		return ERR_IO;
	buf_put_u8(&b, 0);
	if (buf_status(&b) != 0)
		return err_set(e, ERR_CONFIG, 0, "%s:1: the file is larger than %d bytes", path, FILE_MAX - 1);
	if (strlen((const char *)b.data) + 1 != b.len)
		return err_set(e, ERR_CONFIG, 0, "%s:1: the file has NUL bytes; it must be text", path);
	return config_parse((const char *)b.data, path, ret_conf, e);
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

static void
print_value(const struct option *o, const void *value, FILE *out)
{
	if (o->kind == KIND_INT)
		fprintf(out, "%d", *(const int *)value);
	else if (o->kind == KIND_BOOL)
		fputs(*(const bool *)value ? "true" : "false", out);
	else
		print_quoted(value, out);
}

/* "1 to 16", "true or false", "at most 199 bytes" */
static void
print_range(const struct option *o, FILE *out)
{
	if (o->kind == KIND_INT)
		fprintf(out, "%d to %d", o->low, o->high);
	else if (o->kind == KIND_BOOL)
		fputs("true or false", out);
	else
		fprintf(out, "at most %zu bytes", o->size - 1);
}

/* Comment lines of at most about 100 characters. */
static void
print_comment(const char *text, FILE *out)
{
	size_t column = 0;

	while (*text != '\0') {
		size_t len = strcspn(text, " ");

		if (column == 0 || column + len > 100)
			column = (size_t)fprintf(out, "%s\t#", column == 0 ? "" : "\n");
		column += (size_t)fprintf(out, " %.*s", (int)len, text);
		text += len + strspn(text + len, " ");
	}
	fputc('\n', out);
}

void
config_print(const struct config *conf, FILE *out)
{
	const struct option *o;
	size_t i;

	fputs("# Settings of chanceryd; chancery.conf(5) explains this file, chanceryd --check-config FILE checks "
	      "it.\n",
	      out);
	for (i = 0; i < ARRAY_SIZE(groups); i++) {
		fprintf(out, "\n# %s\n%s: {\n", groups[i].help, groups[i].name);
		for (o = options; o < options + ARRAY_SIZE(options); o++) {
			if (strcmp(o->group, groups[i].name) != 0)
				continue;
			print_comment(o->help, out);
			fputs("\t# (", out);
			print_range(o, out);
			fprintf(out, "%s)\n\t%s = ", o->when == RESTART ? "; a change needs a restart" : "", o->key);
			print_value(o, place_const(conf, o), out);
			fputs(";\n", out);
		}
		fputs("};\n", out);
	}
}

/* Text for man(7): no line of it may begin with a control character, and '-' is to stay the ASCII one. */
static void
print_roff(const char *text, FILE *out)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", out);
	for (; *text != '\0'; text++) {
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '-')
			fputs("\\-", out);
		else
			fputc(*text, out);
	}
}

void
config_print_man(FILE *out)
{
	struct config defaults;
	const struct option *o;
	size_t i;

	config_default(&defaults);
	fputs(".SH SETTINGS\n", out);
	for (i = 0; i < ARRAY_SIZE(groups); i++) {
		fprintf(out, ".SS %s: ", groups[i].name);
		print_roff(groups[i].help, out);
		fputc('\n', out);
		for (o = options; o < options + ARRAY_SIZE(options); o++) {
			if (strcmp(o->group, groups[i].name) != 0)
				continue;
			fprintf(out, ".TP\n.B %s.%s\n", o->group, o->key);
			print_roff(o->help, out);
			fputs("\n.br\nAllowed: ", out);
			print_range(o, out);
			fputs(". Default: ", out);
			print_value(o, place_const(&defaults, o), out);
			fprintf(out, ". A change takes effect at a %s.\n", o->when == RELOAD ? "reload" : "restart");
		}
	}
}

/* ---- reload ------------------------------------------------------------------------------------------------------ */

static size_t
size_of(const struct option *o)
{
	if (o->kind == KIND_TEXT)
		return o->size;
	return o->kind == KIND_INT ? sizeof(int) : sizeof(bool);
}

void
config_reload(struct config *conf, const struct config *next, void (*changed)(const char *setting, void *arg),
	      void *arg)
{
	const struct option *o;
	char name[NAME_SIZE];

	for (o = options; o < options + ARRAY_SIZE(options); o++) {
		if (o->when == RELOAD) {
			memcpy(place(conf, o), place_const(next, o), size_of(o));
		} else if (memcmp(place(conf, o), place_const(next, o), size_of(o)) != 0) {
			full_name(o, name);
			changed(name, arg);
		}
	}
}
