#include "board/config_profile.h"

#include <libconfig.h>
#include <string.h>
#include <strings.h>

#include "board/config_check.h"

#define COMMON(key_, check_, help_)                                                                                    \
	.group = "profiles", .key = #key_, .check = (check_), .help = (help_),                                         \
	.offset = offsetof(struct config_profile, key_), .size = sizeof(((struct config_profile *)NULL)->key_)

#define OWN(key_, value_, size_, help_)                                                                                \
	{.option = {.kind = CONFIG_TEXT, .text = (value_), COMMON(key_, "profiles." #key_, help_)}, .is_own = true},
#define BOOL(key_, group_, setting_, help_)                                                                            \
	{.option = {.kind = CONFIG_BOOL, COMMON(key_, #group_ "." #setting_, help_)},                                  \
	 .from = offsetof(struct config, group_##_##setting_)},
#define TEXT(key_, group_, setting_, size_, help_)                                                                     \
	{.option = {.kind = CONFIG_TEXT, COMMON(key_, #group_ "." #setting_, help_)},                                  \
	 .from = offsetof(struct config, group_##_##setting_)},
#define PRESET(name_, help_)
#define SETS(preset_, key_, value_, help_)
const struct config_profile_field config_profile_fields[] = {
#include "board/profile.def"
};
#undef OWN
#undef BOOL
#undef TEXT
#undef PRESET
#undef SETS

const size_t config_profile_field_count = ARRAY_SIZE(config_profile_fields);

/* A field is copied from its setting, so both are of one size. */
#define OWN(key_, value_, size_, help_)
#define BOOL(key_, group_, setting_, help_)
#define TEXT(key_, group_, setting_, size_, help_)                                                                     \
	_Static_assert(sizeof(((struct config *)NULL)->group_##_##setting_) == (size_), #key_);
#define PRESET(name_, help_)
#define SETS(preset_, key_, value_, help_)
#include "board/profile.def"
#undef OWN
#undef BOOL
#undef TEXT
#undef PRESET
#undef SETS

#define OWN(...)
#define BOOL(...)
#define TEXT(...)
#define PRESET(name_, help_)               {(name_), (help_), NULL, NULL},
#define SETS(preset_, key_, value_, help_) {(preset_), (help_), #key_, (value_)},
const struct config_preset config_presets[] = {
#include "board/profile.def"
};
#undef OWN
#undef BOOL
#undef TEXT
#undef PRESET
#undef SETS

const size_t config_preset_count = ARRAY_SIZE(config_presets);

/* ---- what a profile is ------------------------------------------------------------------------------------------- */

static void
profile_default(const struct config *conf, struct config_profile *profile)
{
	const struct config_profile_field *f;

	memset(profile, 0, sizeof(*profile));
	for (f = config_profile_fields; f < config_profile_fields + ARRAY_SIZE(config_profile_fields); f++) {
		if (f->is_own)
			config_value_default(&f->option, profile);
		else
			memcpy((char *)profile + f->option.offset, (const char *)conf + f->from, f->option.size);
	}
}

int
config_profile_find(const struct config *conf, struct bytes name, struct config_profile *ret_profile)
{
	const struct config_profile *p;

	if (name.len == 0) {
		profile_default(conf, ret_profile);
		return 0;
	}
	for (p = conf->profiles; p < conf->profiles + conf->profile_count; p++) {
		if (strlen(p->name) == name.len && strncasecmp(p->name, (const char *)name.data, name.len) == 0) {
			*ret_profile = *p;
			return 0;
		}
	}
	return ERR_UNKNOWN;
}

static const struct config_profile_field *
find_field(const char *key)
{
	const struct config_profile_field *f;

	for (f = config_profile_fields; f < config_profile_fields + ARRAY_SIZE(config_profile_fields); f++)
		if (strcmp(f->option.key, key) == 0)
			return f;
	return NULL;
}

static void
apply_preset(struct config_profile *profile)
{
	const struct config_preset *p;

	for (p = config_presets; p < config_presets + ARRAY_SIZE(config_presets); p++) {
		struct config_option option;

		if (p->key == NULL || strcmp(p->name, profile->preset) != 0)
			continue;
		option = find_field(p->key)->option;
		option.number = strcmp(p->value, "true") == 0;
		option.text = p->value;
		memset((char *)profile + option.offset, 0, option.size);
		config_value_default(&option, profile);
	}
}

/* ---- what must hold for one -------------------------------------------------------------------------------------- */

/*
 * Whoever can reach the appliance can ask at any URL, and a front that was broken into can name any profile.  So what
 * decides whether a certificate is issued can only become stricter by a profile; a laxer one would be the rule for all.
 */
static const char *
check_rules(const struct config *conf, const struct config_profile *p, const char **ret_why)
{
	*ret_why = "must not be true while scep.renewal is false: any device can ask at this URL";
	if (p->renewal && !conf->scep_renewal)
		return "renewal";
	*ret_why = "must not be pending while challenge.missing is refuse: any device can ask at this URL";
	if (strcmp(p->challenge_missing, "pending") == 0 && strcmp(conf->challenge_missing, "refuse") == 0)
		return "challenge_missing";
	*ret_why = "must not be false while template.approval is true: any device can ask at this URL";
	if (!p->approval && conf->template_approval)
		return "approval";
	*ret_why = "must not be empty while policy.module is not: any device can ask at this URL";
	if (p->policy_module[0] == '\0' && conf->policy_module[0] != '\0')
		return "policy_module";
	*ret_why = "must not name a module while approval is true: the module's word is for now, not for later";
	if (p->policy_module[0] != '\0' && p->approval)
		return "policy_module";
	*ret_why = "must be what challenge.accept is, unless that is any: any device can ask at this URL";
	if (strcmp(conf->challenge_accept, "any") != 0 && strcmp(p->challenge, conf->challenge_accept) != 0)
		return "challenge";
	*ret_why = "needs challenge.static_file, or no challenge would ever be accepted";
	if (strcmp(p->challenge, "static") == 0 && conf->challenge_static_file[0] == '\0')
		return "challenge";
	return NULL;
}

/* NULL when it is good, else the key at fault. */
static const char *
check_profile(const struct config *conf, const struct config_profile *p, const char **ret_why)
{
	int i;

	*ret_why = "every profile needs one";
	if (p->name[0] == '\0')
		return "name";
	*ret_why = "another profile has this name";
	for (i = 0; i < conf->profile_count; i++)
		if (strcmp(conf->profiles[i].name, p->name) == 0)
			return "name";
	return check_rules(conf, p, ret_why);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static int
refuse_key(const struct config_source *source, const config_setting_t *setting, int index, const char *key)
{
	struct config_near near = {.best = SIZE_MAX};
	char name[CONFIG_NAME_SIZE];
	char why[CONFIG_WHY_SIZE] = "no such field of a profile";
	size_t i;

	for (i = 0; i < ARRAY_SIZE(config_profile_fields); i++)
		config_value_consider(key, config_profile_fields[i].option.key, config_profile_fields[i].option.key,
				      &near);
	if (near.best != SIZE_MAX)
		snprintf(why, sizeof(why), "no such field of a profile; did you mean %s?", near.name);
	snprintf(name, sizeof(name), "profiles[%d].%.40s", index, key);
	return config_value_refuse(source, setting, name, why);
}

static int
read_field(const struct config_source *source, const config_setting_t *setting, int index,
	   struct config_profile *profile)
{
	const char *key = config_setting_name(setting);
	const struct config_profile_field *field = find_field(key);
	char name[CONFIG_NAME_SIZE];

	if (field == NULL)
		return refuse_key(source, setting, index, key);
	snprintf(name, sizeof(name), "profiles[%d].%s", index, field->option.key);
	return config_value_read(source, &field->option, name, setting, profile);
}

static int
read_profile(const struct config_source *source, const config_setting_t *group, int index, struct config *conf)
{
	struct config_profile profile;
	const config_setting_t *setting;
	char name[CONFIG_NAME_SIZE];
	const char *why = NULL;
	const char *key;
	int rc = 0;
	int i;

	snprintf(name, sizeof(name), "profiles[%d]", index);
	if (config_setting_type(group) != CONFIG_TYPE_GROUP)
		return config_value_refuse(source, group, name, "must be a group: { name = \"…\"; … }");
	profile_default(conf, &profile);
	/* The preset first, wherever it stands: what is written outranks it. */
	setting = config_setting_get_member(group, "preset");
	if (setting != NULL)
		rc = read_field(source, setting, index, &profile);
	if (rc == 0)
		apply_preset(&profile);
	for (i = 0; i < config_setting_length(group) && rc == 0; i++)
		rc = read_field(source, config_setting_get_elem(group, (unsigned)i), index, &profile);
	key = rc == 0 ? check_profile(conf, &profile, &why) : NULL;
	if (key != NULL) {
		setting = config_setting_get_member(group, key);
		snprintf(name, sizeof(name), "profiles[%d].%s", index, key);
		return config_value_refuse(source, setting != NULL ? setting : group, name, why);
	}
	if (rc == 0)
		conf->profiles[conf->profile_count++] = profile;
	return rc;
}

int
config_profile_read(const struct config_source *source, const config_setting_t *list, struct config *conf)
{
	static const char must_be_list[] = "must be a list: ( { name = \"…\"; … }, … )";
	int rc = 0;
	int i;

	if (list == NULL)
		return 0;
	if (config_setting_type(list) != CONFIG_TYPE_LIST)
		return config_value_refuse(source, list, "profiles", must_be_list);
	if (config_setting_length(list) > CONFIG_PROFILES_MAX)
		return config_value_refuse(source, list, "profiles", "there may be 16 of them at most");
	for (i = 0; i < config_setting_length(list) && rc == 0; i++)
		rc = read_profile(source, config_setting_get_elem(list, (unsigned)i), i, conf);
	return rc;
}
