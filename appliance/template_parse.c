/*
 * The text of a template, read and printed: chancery-template(5).
 */
#include <libconfig.h>
#include <stdio.h>
#include <string.h>

#include "appliance/template_impl.h"

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
read_permission(const struct app_fields_source *source, const config_setting_t *one, struct app_template *template)
{
	const char *group, *account, *rights, *who;
	unsigned bits = 0;
	struct err why = {0};
	size_t before = template->permission_count;

	if (config_setting_type(one) != CONFIG_TYPE_GROUP || config_setting_length(one) != 2)
		return app_fields_refuse(source, one, "permissions",
					 "each must be { group or account = \"...\"; rights = \"...\"; }");
	group = permission_text(one, "group");
	account = permission_text(one, "account");
	rights = permission_text(one, "rights");
	who = group != NULL ? group : account;
	if (who == NULL || rights == NULL)
		return app_fields_refuse(source, one, "permissions",
					 "each must be { group or account = \"...\"; rights = \"...\"; }");
	if (!app_template_is_name(who) || strlen(who) >= APP_ACCOUNT_SIZE)
		return app_fields_refuse(source, one, "permissions", "a name is letters, digits, '-', '_' or '.'");
	if (app_template_rights_parse(rights, &bits, &why) != 0)
		return app_fields_refuse(source, one, "permissions", why.text);
	if (bits == 0)
		return app_fields_refuse(source, one, "permissions", "no right at all: leave the entry out");
	if (app_template_permit(template, group != NULL, who, bits) != 0)
		return app_fields_refuse(source, one, "permissions", "there are too many");
	if (template->permission_count == before)
		return app_fields_refuse(source, one, "permissions", "the same name stands there twice");
	return 0;
}

static int
read_permissions(const struct app_fields_source *source, const config_setting_t *setting, struct app_template *template)
{
	int rc = 0;

	if (config_setting_type(setting) != CONFIG_TYPE_LIST)
		return app_fields_refuse(source, setting, "permissions",
					 "must be a list: ( { group = ...; rights = ...; }, ... )");
	memset(template->permissions, 0, sizeof(template->permissions));
	template->permission_count = 0;
	for (unsigned i = 0; i < (unsigned)config_setting_length(setting) && rc == 0; i++)
		rc = read_permission(source, config_setting_get_elem(setting, i), template);
	return rc;
}

/* ---- templates --------------------------------------------------------------------------------------------------- */

static void
start(void *object)
{
	app_template_default(object);
}

static int
read_other(const struct app_fields_source *source, const struct config_setting_t *setting, void *object)
{
	int rc;

	if (strcmp(config_setting_name(setting), "permissions") != 0)
		return 0;
	rc = read_permissions(source, setting, object);
	return rc == 0 ? 1 : rc;
}

/* What the others say when a field is not there. */
static void
complete(const struct config_setting_t *group, void *object)
{
	struct app_template *template = object;

	if (config_setting_get_member(group, "validity_hours") != NULL &&
	    config_setting_get_member(group, "validity_days") == NULL)
		template->validity_days = 0;
	if (config_setting_get_member(group, "name_extension") == NULL)
		template->name_extension = template->schema_version == 1;
	if (config_setting_get_member(group, "information_extension") == NULL)
		template->information_extension = template->schema_version >= 2 && template->oid.len > 0;
}

static const char *
contradiction(const void *object, char *why, size_t size)
{
	return app_template_contradiction(object, why, size);
}

static void
print_permissions(const void *object, struct buf *out)
{
	const struct app_template *template = object;
	char rights[APP_TEMPLATE_TEXT];

	buf_printf(out, "\tpermissions = (");
	for (size_t i = 0; i < template->permission_count; i++) {
		const struct app_permission *permission = &template->permissions[i];

		buf_printf(out, "%s\n\t\t{ %s = \"%s\"; rights = \"%s\"; }", i > 0 ? "," : "",
			   permission->is_group ? "group" : "account", permission->who,
			   app_template_rights_text(permission->rights, rights, sizeof(rights)));
	}
	buf_printf(out, "%s);\n", template->permission_count > 0 ? "\n\t" : "");
}

static struct app_fields
templates(void)
{
	struct app_fields kind = {
		.one = "template",
		.many = "templates",
		.manual = "chancery-template(5)",
		.size = sizeof(struct app_template),
		.max = APP_TEMPLATES_MAX,
		.start = start,
		.other = read_other,
		.complete = complete,
		.contradiction = contradiction,
		.print_other = print_permissions,
	};

	kind.fields = app_template_fields(&kind.count);
	return kind;
}

/* Whom each template of a text goes to. */
struct target {
	app_template_fn fn;
	void *arg;
};

static int
hand_over(const void *object, unsigned line, void *arg, struct err *e)
{
	const struct target *target = arg;

	return target->fn(object, line, target->arg, e);
}

int
app_template_parse(const char *text, const char *file, app_template_fn fn, void *arg, struct err *e)
{
	struct app_fields kind = templates();
	struct target target = {.fn = fn, .arg = arg};

	return app_fields_parse(&kind, text, file, hand_over, &target, e);
}

int
app_template_parse_one(const char *text, const char *file, struct app_template *ret_template, struct err *e)
{
	struct app_fields kind = templates();

	return app_fields_parse_one(&kind, text, file, ret_template, e);
}

void
app_template_print(const struct app_template *template, struct buf *out)
{
	struct app_fields kind = templates();

	app_fields_print(&kind, template, out);
}

int
app_template_set_text(struct app_template *template, const char *field, const char *value, struct err *e)
{
	struct app_fields kind = templates();

	return app_fields_set_text(template, app_fields_find(&kind, field), value, e);
}
