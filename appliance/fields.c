#include "appliance/fields.h"

#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board/config_value.h"

enum { NAME_SHOWN = 40, WORDS_MAX = 4096, WHY_SIZE = 160 };

/* One text that is being read. */
struct reading {
	const struct app_fields *kind;
	struct app_fields_source source;
	char *objects;   /* owned */
	unsigned *lines; /* owned */
	size_t count;
};

int
app_fields_refuse(const struct app_fields_source *source, const struct config_setting_t *setting, const char *field,
		  const char *why)
{
	return err_set(source->e, ERR_CONFIG, 0, "%s:%u: %.*s: %s", source->name, config_setting_source_line(setting),
		       NAME_SHOWN, field, why);
}

const struct app_field *
app_fields_find(const struct app_fields *kind, const char *name)
{
	for (size_t i = 0; i < kind->count; i++)
		if (strcmp(kind->fields[i].name, name) == 0)
			return &kind->fields[i];
	return NULL;
}

int
app_fields_set_text(void *object, const struct app_field *field, const char *value, struct err *e)
{
	char *place = (char *)object + field->offset;

	for (const char *p = value; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return err_set(e, ERR_CONFIG, 0, "must not have control characters");
	if (field->kind == APP_FIELD_WORDS)
		return field->take(object, value, e);
	if (strlen(value) >= field->size)
		return err_set(e, ERR_CONFIG, 0, "must be at most %zu bytes", field->size - 1);
	if (field->take != NULL && field->take(object, value, e) != 0)
		return ERR_CONFIG;
	/* The rest stays zero, so that equal values are equal bytes. */
	memset(place, 0, field->size);
	snprintf(place, field->size, "%s", value);
	return 0;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static int
read_number(const struct reading *reading, const struct app_field *field, const config_setting_t *setting, void *object)
{
	int type = config_setting_type(setting);
	long long value = config_setting_get_int64(setting);
	char why[80];

	if ((type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64) && value >= field->low && value <= field->high) {
		*(int *)(void *)((char *)object + field->offset) = (int)value;
		return 0;
	}
	snprintf(why, sizeof(why), "must be a whole number from %d to %d", field->low, field->high);
	return app_fields_refuse(&reading->source, setting, field->name, why);
}

static int
read_known(const struct reading *reading, const struct app_field *field, const config_setting_t *setting, void *object)
{
	int type = config_setting_type(setting);
	struct err why = {0};

	if (field->kind == APP_FIELD_NUMBER)
		return read_number(reading, field, setting, object);
	if (field->kind == APP_FIELD_FLAG) {
		if (type != CONFIG_TYPE_BOOL)
			return app_fields_refuse(&reading->source, setting, field->name, "must be true or false");
		*(bool *)(void *)((char *)object + field->offset) = config_setting_get_bool(setting) != 0;
		return 0;
	}
	if (type != CONFIG_TYPE_STRING)
		return app_fields_refuse(&reading->source, setting, field->name, "must be a text in quotes");
	if (app_fields_set_text(object, field, config_setting_get_string(setting), &why) != 0)
		return app_fields_refuse(&reading->source, setting, field->name, why.text);
	return 0;
}

static int
read_field(const struct reading *reading, const config_setting_t *setting, void *object)
{
	const char *name = config_setting_name(setting);
	const struct app_field *field = app_fields_find(reading->kind, name);
	char why[WHY_SIZE];
	int rc = 0;

	if (field != NULL)
		return read_known(reading, field, setting, object);
	if (reading->kind->other != NULL)
		rc = reading->kind->other(&reading->source, setting, object);
	if (rc != 0)
		return rc == 1 ? 0 : rc;
	snprintf(why, sizeof(why), "no such field; %s has all", reading->kind->manual);
	return app_fields_refuse(&reading->source, setting, name, why);
}

static const char *
name_of(const struct reading *reading, const void *object)
{
	return (const char *)object + reading->kind->fields[0].offset;
}

static int
check_name_is_new(const struct reading *reading, const config_setting_t *group, const void *object)
{
	char why[WHY_SIZE];

	for (size_t i = 0; i < reading->count; i++) {
		if (strcmp(name_of(reading, reading->objects + i * reading->kind->size), name_of(reading, object)) != 0)
			continue;
		snprintf(why, sizeof(why), "another %s of this file has it", reading->kind->one);
		return app_fields_refuse(&reading->source, config_setting_get_member(group, "name"), "name", why);
	}
	return 0;
}

static int
read_object(struct reading *reading, const config_setting_t *group)
{
	const struct app_fields *kind = reading->kind;
	void *object = reading->objects + reading->count * kind->size;
	const config_setting_t *at;
	const char *field = NULL;
	char why[ERR_TEXT_SIZE];
	int rc = 0;

	if (config_setting_type(group) != CONFIG_TYPE_GROUP)
		return app_fields_refuse(&reading->source, group, kind->one,
					 "must be a group: { name = \"...\"; ... }");
	kind->start(object);
	for (unsigned i = 0; i < (unsigned)config_setting_length(group) && rc == 0; i++)
		rc = read_field(reading, config_setting_get_elem(group, i), object);
	if (rc != 0)
		return rc;
	if (kind->complete != NULL)
		kind->complete(group, object);
	if (kind->contradiction != NULL)
		field = kind->contradiction(object, why, sizeof(why));
	if (field != NULL) {
		at = config_setting_get_member(group, field);
		return app_fields_refuse(&reading->source, at != NULL ? at : group, field, why);
	}
	rc = check_name_is_new(reading, group, object);
	reading->lines[reading->count] = config_setting_source_line(group);
	reading->count += rc == 0;
	return rc;
}

/* One value or a list of several; nothing else. */
static int
read_tree(struct reading *reading, const config_t *tree)
{
	const struct app_fields *kind = reading->kind;
	const config_setting_t *root = config_root_setting(tree);
	const config_setting_t *top = config_setting_length(root) == 1 ? config_setting_get_elem(root, 0) : NULL;
	char why[WHY_SIZE];
	int rc = 0;

	if (top != NULL && strcmp(config_setting_name(top), kind->one) == 0)
		return read_object(reading, top);
	snprintf(why, sizeof(why), "the file must hold %s = { ... }; or %s = ( { ... }, ... ); and nothing else",
		 kind->one, kind->many);
	if (top == NULL || strcmp(config_setting_name(top), kind->many) != 0 ||
	    config_setting_type(top) != CONFIG_TYPE_LIST || config_setting_length(top) == 0)
		return app_fields_refuse(&reading->source, top != NULL ? top : root, kind->one, why);
	if ((size_t)config_setting_length(top) > kind->max)
		return app_fields_refuse(&reading->source, top, kind->many, "there are too many");
	for (unsigned i = 0; i < (unsigned)config_setting_length(top) && rc == 0; i++)
		rc = read_object(reading, config_setting_get_elem(top, i));
	return rc;
}

static int
read_text(struct reading *reading, config_t *tree, const char *text)
{
	if (config_read_string(tree, text) != CONFIG_TRUE)
		return err_set(reading->source.e, ERR_CONFIG, 0, "%s:%d: %s", reading->source.name,
			       config_error_line(tree), config_error_text(tree));
	return read_tree(reading, tree);
}

int
app_fields_parse(const struct app_fields *kind, const char *text, const char *file, app_fields_fn fn, void *arg,
		 struct err *e)
{
	struct reading reading = {.kind = kind, .source = {.name = file, .e = e}};
	unsigned line;
	const char *problem = config_value_source(text, &line);
	config_t tree;
	int rc;

	if (problem != NULL)
		return err_set(e, ERR_CONFIG, 0, "%s:%u: %s", file, line, problem);
	reading.objects = calloc(kind->max, kind->size);
	reading.lines = calloc(kind->max, sizeof(*reading.lines));
	if (reading.objects == NULL || reading.lines == NULL) {
		free(reading.objects);
		free(reading.lines);
		return err_set(e, ERR_NOMEM, 0, "reading %s", kind->many);
	}
	config_init(&tree);
	rc = read_text(&reading, &tree, text);
	config_destroy(&tree);
	for (size_t i = 0; i < reading.count && rc == 0; i++)
		rc = fn(reading.objects + i * kind->size, reading.lines[i], arg, e);
	free(reading.objects);
	free(reading.lines);
	return rc;
}

struct only {
	void *object;
	size_t size;
	const char *one;
	bool is_last; /* the second is one too many */
};

static int
count_only(const void *object, unsigned line, void *arg, struct err *e)
{
	struct only *only = arg;

	if (only->is_last)
		return err_set(e, ERR_CONFIG, 0, "line %u: one %s is wanted", line, only->one);
	only->is_last = true;
	memcpy(only->object, object, only->size);
	return 0;
}

int
app_fields_parse_one(const struct app_fields *kind, const char *text, const char *file, void *ret_object, struct err *e)
{
	struct only only = {.object = calloc(1, kind->size), .size = kind->size, .one = kind->one};
	int rc;

	if (only.object == NULL)
		return err_set(e, ERR_NOMEM, 0, "reading a %s", kind->one);
	rc = app_fields_parse(kind, text, file, count_only, &only, e);
	if (rc == 0)
		memcpy(ret_object, only.object, kind->size);
	free(only.object);
	return rc;
}

/* ---- printing ---------------------------------------------------------------------------------------------------- */

static void
put_quoted(struct buf *out, struct bytes text)
{
	buf_put_u8(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '"' || text.data[i] == '\\')
			buf_put_u8(out, '\\');
		buf_put_u8(out, text.data[i]);
	}
	buf_put_u8(out, '"');
}

static void
put_value(const void *object, const struct app_field *field, struct buf *out)
{
	const void *at = (const char *)object + field->offset;
	AUTO_BUF words = {0};

	if (field->kind == APP_FIELD_NUMBER) {
		buf_printf(out, "%d", *(const int *)at);
	} else if (field->kind == APP_FIELD_FLAG) {
		buf_printf(out, "%s", *(const bool *)at ? "true" : "false");
	} else if (field->kind == APP_FIELD_TEXT) {
		put_quoted(out, bytes_of_text(at));
	} else {
		buf_init(&words, WORDS_MAX);
		field->give(object, &words);
		put_quoted(out, buf_bytes(&words));
	}
}

void
app_fields_print(const struct app_fields *kind, const void *object, struct buf *out)
{
	buf_printf(out, "%s = {\n", kind->one);
	for (size_t i = 0; i < kind->count; i++) {
		buf_printf(out, "\t%s = ", kind->fields[i].name);
		put_value(object, &kind->fields[i], out);
		buf_printf(out, ";\n");
	}
	if (kind->print_other != NULL)
		kind->print_other(object, out);
	buf_printf(out, "};\n");
}
