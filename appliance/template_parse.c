/*
 * The text of a template, read and printed: chancery-template(5).
 */
#include <libconfig.h>
#include <stdio.h>
#include <string.h>

#include "appliance/template_impl.h"
#include "board/config_value.h"

enum { NAME_SHOWN = 40 };

/* One text that is being read. */
struct source {
	const char *name;
	struct err *e;
	struct app_template *templates; /* owned */
	unsigned *lines;                /* owned */
	size_t count;
};

static int
refuse(const struct source *source, const config_setting_t *setting, const char *field, const char *why)
{
	return err_set(source->e, ERR_CONFIG, 0, "%s:%u: %.*s: %s", source->name, config_setting_source_line(setting),
		       NAME_SHOWN, field, why);
}

/* ---- permissions ------------------------------------------------------------------------------------------------- */

static const char *
permission_text(const config_setting_t *one, const char *key)
{
	const config_setting_t *value = config_setting_get_member(one, key);

	return value != NULL && config_setting_type(value) == CONFIG_TYPE_STRING ? config_setting_get_string(value)
										 : NULL;
}

/* { group = "..."; rights = "..."; } or with account. */
static int
read_permission(const struct source *source, const config_setting_t *one, struct app_template *template)
{
	const char *group, *account, *rights, *who;
	unsigned bits = 0;
	struct err why = {0};
	size_t before = template->permission_count;

	if (config_setting_type(one) != CONFIG_TYPE_GROUP || config_setting_length(one) != 2)
		return refuse(source, one, "permissions",
			      "each must be { group or account = \"...\"; rights = \"...\"; }");
	group = permission_text(one, "group");
	account = permission_text(one, "account");
	rights = permission_text(one, "rights");
	who = group != NULL ? group : account;
	if (who == NULL || rights == NULL)
		return refuse(source, one, "permissions",
			      "each must be { group or account = \"...\"; rights = \"...\"; }");
	if (!app_template_is_name(who) || strlen(who) >= APP_ACCOUNT_SIZE)
		return refuse(source, one, "permissions", "a name is letters, digits, '-', '_' or '.'");
	if (app_template_rights_parse(rights, &bits, &why) != 0)
		return refuse(source, one, "permissions", why.text);
	if (bits == 0)
		return refuse(source, one, "permissions", "no right at all: leave the entry out");
	if (app_template_permit(template, group != NULL, who, bits) != 0)
		return refuse(source, one, "permissions", "there are too many");
	if (template->permission_count == before)
		return refuse(source, one, "permissions", "the same name stands there twice");
	return 0;
}

static int
read_permissions(const struct source *source, const config_setting_t *setting, struct app_template *template)
{
	int rc = 0;

	if (config_setting_type(setting) != CONFIG_TYPE_LIST)
		return refuse(source, setting, "permissions",
			      "must be a list: ( { group = ...; rights = ...; }, ... )");
	memset(template->permissions, 0, sizeof(template->permissions));
	template->permission_count = 0;
	for (unsigned i = 0; i < (unsigned)config_setting_length(setting) && rc == 0; i++)
		rc = read_permission(source, config_setting_get_elem(setting, i), template);
	return rc;
}

/* ---- fields ------------------------------------------------------------------------------------------------------ */

static int
read_number(const struct source *source, const struct app_field *field, const config_setting_t *setting,
	    struct app_template *template)
{
	int type = config_setting_type(setting);
	long long value = config_setting_get_int64(setting);
	char why[80];

	if ((type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64) && value >= field->low && value <= field->high) {
		*(int *)(void *)((char *)template + field->offset) = (int)value;
		return 0;
	}
	snprintf(why, sizeof(why), "must be a whole number from %d to %d", field->low, field->high);
	return refuse(source, setting, field->name, why);
}

static int
read_field(const struct source *source, const config_setting_t *setting, struct app_template *template)
{
	const char *name = config_setting_name(setting);
	const struct app_field *field = app_template_field(name);
	int type = config_setting_type(setting);
	struct err why = {0};

	if (strcmp(name, "permissions") == 0)
		return read_permissions(source, setting, template);
	if (field == NULL)
		return refuse(source, setting, name, "no such field; chancery-template(5) has all");
	if (field->kind == APP_FIELD_NUMBER)
		return read_number(source, field, setting, template);
	if (field->kind == APP_FIELD_FLAG) {
		if (type != CONFIG_TYPE_BOOL)
			return refuse(source, setting, name, "must be true or false");
		*(bool *)(void *)((char *)template + field->offset) = config_setting_get_bool(setting) != 0;
		return 0;
	}
	if (type != CONFIG_TYPE_STRING)
		return refuse(source, setting, name, "must be a text in quotes");
	if (app_template_set_text(template, field, config_setting_get_string(setting), &why) != 0)
		return refuse(source, setting, name, why.text);
	return 0;
}

/* What the others say when a field is not there. */
static void
complete(const config_setting_t *group, struct app_template *template)
{
	if (config_setting_get_member(group, "validity_hours") != NULL &&
	    config_setting_get_member(group, "validity_days") == NULL)
		template->validity_days = 0;
	if (config_setting_get_member(group, "name_extension") == NULL)
		template->name_extension = template->schema_version == 1;
	if (config_setting_get_member(group, "information_extension") == NULL)
		template->information_extension = template->schema_version >= 2 && template->oid.len > 0;
}

static int
check_name_is_new(const struct source *source, const config_setting_t *group, const struct app_template *template)
{
	for (size_t i = 0; i < source->count; i++)
		if (strcmp(source->templates[i].name, template->name) == 0)
			return refuse(source, config_setting_get_member(group, "name"), "name",
				      "another template of this file has it");
	return 0;
}

static int
read_template(struct source *source, const config_setting_t *group)
{
	struct app_template *template = &source->templates[source->count];
	const config_setting_t *at;
	const char *field;
	char why[ERR_TEXT_SIZE];
	int rc = 0;

	if (config_setting_type(group) != CONFIG_TYPE_GROUP)
		return refuse(source, group, "template", "must be a group: { name = \"...\"; ... }");
	app_template_default(template);
	for (unsigned i = 0; i < (unsigned)config_setting_length(group) && rc == 0; i++)
		rc = read_field(source, config_setting_get_elem(group, i), template);
	if (rc != 0)
		return rc;
	complete(group, template);
	field = app_template_contradiction(template, why, sizeof(why));
	if (field != NULL) {
		at = config_setting_get_member(group, field);
		return refuse(source, at != NULL ? at : group, field, why);
	}
	rc = check_name_is_new(source, group, template);
	source->lines[source->count] = config_setting_source_line(group);
	source->count += rc == 0;
	return rc;
}

/* "template" is one, "templates" are several; nothing else. */
static int
read_tree(struct source *source, const config_t *tree)
{
	const config_setting_t *root = config_root_setting(tree);
	const config_setting_t *top = config_setting_length(root) == 1 ? config_setting_get_elem(root, 0) : NULL;
	int rc = 0;

	if (top != NULL && strcmp(config_setting_name(top), "template") == 0)
		return read_template(source, top);
	if (top == NULL || strcmp(config_setting_name(top), "templates") != 0 ||
	    config_setting_type(top) != CONFIG_TYPE_LIST || config_setting_length(top) == 0)
		return refuse(
			source, top != NULL ? top : root, "template",
			"the file must hold template = { ... }; or templates = ( { ... }, ... ); and nothing else");
	if (config_setting_length(top) > APP_TEMPLATES_MAX)
		return refuse(source, top, "templates", "there are too many");
	for (unsigned i = 0; i < (unsigned)config_setting_length(top) && rc == 0; i++)
		rc = read_template(source, config_setting_get_elem(top, i));
	return rc;
}

static int
read_text(struct source *source, config_t *tree, const char *text)
{
	if (config_read_string(tree, text) != CONFIG_TRUE)
		return err_set(source->e, ERR_CONFIG, 0, "%s:%d: %s", source->name, config_error_line(tree),
			       config_error_text(tree));
	return read_tree(source, tree);
}

int
app_template_parse(const char *text, const char *file, app_template_fn fn, void *arg, struct err *e)
{
	struct source source = {.name = file, .e = e};
	unsigned line;
	const char *problem = config_value_source(text, &line);
	config_t tree;
	int rc;

	if (problem != NULL)
		return err_set(e, ERR_CONFIG, 0, "%s:%u: %s", file, line, problem);
	source.templates = calloc(APP_TEMPLATES_MAX, sizeof(*source.templates));
	source.lines = calloc(APP_TEMPLATES_MAX, sizeof(*source.lines));
	if (source.templates == NULL || source.lines == NULL) {
		free(source.templates);
		free(source.lines);
		return err_set(e, ERR_NOMEM, 0, "reading templates");
	}
	config_init(&tree);
	rc = read_text(&source, &tree, text);
	config_destroy(&tree);
	for (size_t i = 0; i < source.count && rc == 0; i++)
		rc = fn(&source.templates[i], source.lines[i], arg, e);
	free(source.templates);
	free(source.lines);
	return rc;
}

struct only {
	struct app_template template;
	size_t count;
};

static int
keep_only(const struct app_template *template, unsigned line, void *arg, struct err *e)
{
	struct only *only = arg;

	only->template = *template;
	return only->count++ == 0 ? 0 : err_set(e, ERR_CONFIG, 0, "line %u: one template is wanted", line);
}

int
app_template_parse_one(const char *text, const char *file, struct app_template *ret_template, struct err *e)
{
	struct only only = {.count = 0};
	int rc = app_template_parse(text, file, keep_only, &only, e);

	if (rc == 0)
		*ret_template = only.template;
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
put_value(const struct app_template *template, const struct app_field *field, struct buf *out)
{
	const void *at = (const char *)template + field->offset;
	AUTO_BUF words = {0};

	if (field->kind == APP_FIELD_NUMBER) {
		buf_printf(out, "%d", *(const int *)at);
	} else if (field->kind == APP_FIELD_FLAG) {
		buf_printf(out, "%s", *(const bool *)at ? "true" : "false");
	} else if (field->kind == APP_FIELD_TEXT) {
		put_quoted(out, bytes_of_text(at));
	} else {
		buf_init(&words, 8 * APP_TEMPLATE_OIDS);
		field->give(template, &words);
		put_quoted(out, buf_bytes(&words));
	}
}

void
app_template_print(const struct app_template *template, struct buf *out)
{
	char rights[APP_TEMPLATE_TEXT];
	size_t count;
	const struct app_field *fields = app_template_fields(&count);

	buf_printf(out, "template = {\n");
	for (size_t i = 0; i < count; i++) {
		buf_printf(out, "\t%s = ", fields[i].name);
		put_value(template, &fields[i], out);
		buf_printf(out, ";\n");
	}
	buf_printf(out, "\tpermissions = (");
	for (size_t i = 0; i < template->permission_count; i++) {
		const struct app_permission *permission = &template->permissions[i];

		buf_printf(out, "%s\n\t\t{ %s = \"%s\"; rights = \"%s\"; }", i > 0 ? "," : "",
			   permission->is_group ? "group" : "account", permission->who,
			   app_template_rights_text(permission->rights, rights, sizeof(rights)));
	}
	buf_printf(out, "%s);\n};\n", template->permission_count > 0 ? "\n\t" : "");
}
