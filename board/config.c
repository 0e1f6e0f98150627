#include "board/config.h"

#include <libconfig.h>
#include <stdlib.h>
#include <string.h>

#include "board/base/buf.h"
#include "board/base/file.h"
#include "board/config_check.h"
#include "board/config_profile.h"
#include "board/config_table.h"
#include "board/config_value.h"

enum { FILE_MAX = 256 * 1024 };
enum when { RELOAD, RESTART };

/* It has to fit into MSG_CONFIG. */
_Static_assert(sizeof(struct config) < 65536 - 64, "struct config has become too large for its message");

/* The fields of an option that every kind of line of config.def has. */
#define COMMON(group_, key_, when_, help_)                                                                             \
	.group = #group_, .key = #key_, .check = #group_ "." #key_, .help = (help_), .restart = (when_) == RESTART,    \
	.offset = offsetof(struct config, group_##_##key_), .size = sizeof(((struct config *)NULL)->group_##_##key_)

#define GROUP(group_, help_)
#define INT(group_, key_, value_, low_, high_, when_, help_)                                                           \
	{.kind = CONFIG_INT, .number = (value_), .low = (low_), .high = (high_), COMMON(group_, key_, when_, help_)},
#define BOOL(group_, key_, value_, when_, help_)                                                                       \
	{.kind = CONFIG_BOOL, .number = (value_), COMMON(group_, key_, when_, help_)},
#define TEXT(group_, key_, value_, size_, when_, help_)                                                                \
	{.kind = CONFIG_TEXT, .text = (value_), COMMON(group_, key_, when_, help_)},
const struct config_option config_table[] = {
#include "board/config.def"
};
#undef GROUP
#undef INT
#undef BOOL
#undef TEXT

const size_t config_table_count = ARRAY_SIZE(config_table);

#define GROUP(group_, help_) {#group_, (help_)},
#define INT(...)
#define BOOL(...)
#define TEXT(...)
const struct config_group config_groups[] = {
#include "board/config.def"
};
#undef GROUP
#undef INT
#undef BOOL
#undef TEXT

const size_t config_group_count = ARRAY_SIZE(config_groups);

void
config_default(struct config *conf)
{
	const struct config_option *o;

	memset(conf, 0, sizeof(*conf));
	for (o = config_table; o < config_table + ARRAY_SIZE(config_table); o++)
		config_value_default(o, conf);
}

/* ---- the nearest known name -------------------------------------------------------------------------------------- */

/* The setting that was meant by group.key: within the group by its key, else anywhere by its key. */
static bool
nearest_setting(const char *group, const char *key, char out[CONFIG_NAME_SIZE])
{
	struct config_near near = {.best = SIZE_MAX};
	const struct config_option *o;
	int pass;

	for (pass = 0; pass < 2 && near.best == SIZE_MAX; pass++)
		for (o = config_table; o < config_table + ARRAY_SIZE(config_table); o++) {
			if (pass == 1 || strcmp(o->group, group) == 0)
				config_value_consider(key, o->key, o->check, &near);
		}
	memcpy(out, near.name, CONFIG_NAME_SIZE);
	return near.best != SIZE_MAX;
}

static bool
nearest_group(const char *name, char out[CONFIG_NAME_SIZE])
{
	struct config_near near = {.best = SIZE_MAX};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(config_groups); i++)
		config_value_consider(name, config_groups[i].name, config_groups[i].name, &near);
	config_value_consider(name, "profiles", "profiles", &near);
	memcpy(out, near.name, CONFIG_NAME_SIZE);
	return near.best != SIZE_MAX;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/*
 * What Microsoft calls settings of ours (facts, microsoft.md 1.8, 10).  Where it means the same, our key stands here,
 * and either name may be written; where not, what to write instead.
 */
static const struct {
	const char *group;
	const char *name;
	const char *key;
	const char *instead;
} microsoft[] = {
	{"challenge", "PasswordMax", "max_open", NULL},
	{"challenge", "PasswordValidity", "lifetime_minutes", NULL},
	{"challenge", "PasswordLength", NULL, "write length, which counts hexadecimal digits: twice the octets"},
	{"challenge", "UseSinglePassword", NULL, "write static_file, which names the file with that password"},
	{"challenge", "EnforcePassword", NULL,
	 "write missing: refuse, or pending; without a password nothing is issued"},
	{"front", "MaxFieldLength", "field_bytes", NULL},
	{"front", "MaxRequestBytes", "header_bytes", NULL},
	{"front", "maxAllowedContentLength", "body_bytes", NULL},
	{"front", "maxUrl", "url_bytes", NULL},
	{"front", "maxQueryString", "query_bytes", NULL},
	{"ndes", "SignatureTemplate", "signature_template", NULL},
	{"ndes", "EncryptionTemplate", "encryption_template", NULL},
	{"ndes", "GeneralPurposeTemplate", "general_purpose_template", NULL},
	{"scep", "DisableRenewalSubjectNameMatch", NULL, "write renewal_subject_match, the other way round"},
	{"ca", "EDITF_ATTRIBUTEENDDATE", "editf_attributeenddate", NULL},
};

/* Our key for a name of Microsoft's, or *ret_instead; else key itself. */
static const char *
own_key(const char *group, const char *key, const char **ret_instead)
{
	*ret_instead = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(microsoft); i++) {
		if (strcmp(microsoft[i].group, group) != 0 || strcmp(microsoft[i].name, key) != 0)
			continue;
		*ret_instead = microsoft[i].instead;
		return microsoft[i].key != NULL ? microsoft[i].key : key;
	}
	return key;
}

static const struct config_option *
find_option(const char *group, const char *key)
{
	const struct config_option *o;

	for (o = config_table; o < config_table + ARRAY_SIZE(config_table); o++)
		if (strcmp(o->group, group) == 0 && strcmp(o->key, key) == 0)
			return o;
	return NULL;
}

static bool
is_group(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(config_groups); i++)
		if (strcmp(config_groups[i].name, name) == 0)
			return true;
	return false;
}

static int
read_setting(const struct config_source *source, const char *group, const config_setting_t *setting,
	     struct config *conf)
{
	const char *key = config_setting_name(setting);
	const char *instead;
	const char *own = own_key(group, key, &instead);
	const struct config_option *o = find_option(group, own);
	char near_name[CONFIG_NAME_SIZE];
	char name[CONFIG_NAME_SIZE];
	char why[CONFIG_WHY_SIZE] = "no such setting";

	snprintf(name, sizeof(name), "%s.%.40s", group, key);
	if (own != key && config_setting_get_member(config_setting_parent(setting), own) != NULL)
		return config_value_refuse(source, setting, name, "stands there under our name too");
	if (o != NULL)
		return config_value_read(source, o, o->check, setting, conf);
	if (instead != NULL)
		snprintf(why, sizeof(why), "%s", instead);
	else if (nearest_setting(group, key, near_name))
		snprintf(why, sizeof(why), "no such setting; did you mean %s?", near_name);
	return config_value_refuse(source, setting, name, why);
}

static int
read_group(const struct config_source *source, const config_setting_t *group, struct config *conf)
{
	const char *name = config_setting_name(group);
	char near_name[CONFIG_NAME_SIZE];
	char why[CONFIG_WHY_SIZE] = "no such group of settings";
	int i;
	int rc = 0;

	/* They take what they do not say from the groups, which may stand behind them. */
	if (strcmp(name, "profiles") == 0)
		return 0;
	if (!is_group(name)) {
		if (nearest_group(name, near_name))
			snprintf(why, sizeof(why), "no such group of settings; did you mean %s?", near_name);
		else if (nearest_setting("", name, near_name))
			snprintf(why, sizeof(why), "settings stand in groups; did you mean %s?", near_name);
		return config_value_refuse(source, group, name, why);
	}
	if (config_setting_type(group) != CONFIG_TYPE_GROUP)
		return config_value_refuse(source, group, name, "must be a group: { key = value; … }");
	for (i = 0; i < config_setting_length(group) && rc == 0; i++)
		rc = read_setting(source, name, config_setting_get_elem(group, (unsigned)i), conf);
	return rc;
}

/* Names the line of whichever of the two is in the file; at least one is, as the defaults agree. */
static int
check_whole(const struct config_source *source, const struct config *conf)
{
	char why[CONFIG_WHY_SIZE];
	const char *other;
	const char *name = config_check_whole(conf, &other, why, sizeof(why));
	const config_setting_t *setting;

	if (name == NULL)
		return 0;
	setting = config_lookup(source->tree, name);
	if (setting == NULL)
		setting = config_lookup(source->tree, other);
	return config_value_refuse(source, setting != NULL ? setting : config_root_setting(source->tree), name, why);
}

static int
parse_tree(const struct config_source *source, config_t *tree, const char *text, struct config *ret_conf)
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
		rc = config_profile_read(source, config_lookup(tree, "profiles"), &conf);
	if (rc == 0)
		*ret_conf = conf;
	return rc;
}

int
config_parse(const char *text, const char *name, struct config *ret_conf, struct err *e)
{
	config_t tree;
	struct config_source source = {.name = name, .tree = &tree, .e = e};
	unsigned line;
	const char *problem = config_value_source(text, &line);
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

/* ---- reload ------------------------------------------------------------------------------------------------------ */

void
config_reload(struct config *conf, const struct config *next, void (*changed)(const char *setting, void *arg),
	      void *arg)
{
	const struct config_option *o;

	for (o = config_table; o < config_table + ARRAY_SIZE(config_table); o++) {
		void *old = (char *)conf + o->offset;
		const void *new = (const char *)next + o->offset;

		if (!o->restart)
			memcpy(old, new, o->size);
		else if (memcmp(old, new, o->size) != 0)
			changed(o->check, arg);
	}
	memcpy(conf->profiles, next->profiles, sizeof(conf->profiles));
	conf->profile_count = next->profile_count;
}
