/*
 * board/config_profile - the list of SCEP profiles in the configuration
 *
 * What profile.def says, as board/config.c reads and prints it; who uses a profile needs board/config.h alone.
 *
 * Threads:  any.
 */
#ifndef BOARD_CONFIG_PROFILE_H
#define BOARD_CONFIG_PROFILE_H

#include "board/config.h"
#include "board/config_value.h"

/* A field of a profile; what it is without a word about it is the setting at from in struct config, if it has one. */
struct config_profile_field {
	struct config_option option;
	bool is_own; /* it has no setting */
	size_t from;
};

/* What a preset is for, or one thing that it sets. */
struct config_preset {
	const char *name;
	const char *help;
	const char *key; /* NULL: the preset itself */
	const char *value;
};

extern const struct config_profile_field config_profile_fields[];
extern const size_t config_profile_field_count;
extern const struct config_preset config_presets[];
extern const size_t config_preset_count;

/*
 * Reads the list into conf, whose settings have been read; list is NULL when the file has none.  Fails with ERR_CONFIG
 * and "FILE:LINE: profiles[1].name: what is allowed", counted from 0.
 */
MUST_CHECK int
config_profile_read(const struct config_source *source, const struct config_setting_t *list, struct config *conf);

#endif
