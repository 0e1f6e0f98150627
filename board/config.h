/*
 * board/config - the run-time settings as one plain value
 *
 * The parent reads the file and sends struct config to the roles as it is, so every room can see its settings and
 * none but the parent parses anything.  config.def has the settings, profile.def the lists
 * of SCEP profiles; this header only turns them into a struct.
 *
 * Threads:  any; a struct config is not changed once it is in force.
 */
#ifndef BOARD_CONFIG_H
#define BOARD_CONFIG_H

#include <stdbool.h>
#include <stdio.h>

#include "board/base/buf.h"
#include "board/base/err.h"

/* What the programs read unless --config names another. */
#define CONFIG_PATH "/etc/chancery/chancery.conf"

/* How clients are served below one URL; profile.def says what each field means. */
struct config_profile {
#define OWN(key, value, size, help)           char key[size];
#define BOOL(key, group, setting, help)       bool key;
#define TEXT(key, group, setting, size, help) char key[size];
#define PRESET(name, help)
#define SETS(preset, key, value, help)
#include "board/profile.def"
#undef OWN
#undef BOOL
#undef TEXT
#undef PRESET
#undef SETS
};

enum { CONFIG_PROFILES_MAX = 16 };

struct config {
#define GROUP(group, help)
#define INT(group, key, value, low, high, when, help) int group##_##key;
#define BOOL(group, key, value, when, help)           bool group##_##key;
#define TEXT(group, key, value, size, when, help)     char group##_##key[size];
#include "board/config.def"
#undef GROUP
#undef INT
#undef BOOL
#undef TEXT
	struct config_profile profiles[CONFIG_PROFILES_MAX]; /* the rest is zero */
	int profile_count;
};

/* Every setting at its default. */
void config_default(struct config *conf);

/*
 * Reads a libconfig file over the defaults.  Unknown groups and settings, wrong types, values outside their range,
 * and contradictions between settings fail with ERR_CONFIG, and e says "FILE:LINE: group.key: what is allowed";
 * ERR_IO when the file cannot be read.  *ret_conf is untouched on failure.  (Not "config_read": libconfig has a
 * function of that name.)
 */
MUST_CHECK int config_load(const char *path, struct config *ret_conf, struct err *e);

/* The same from text; name stands for the file in errors. */
MUST_CHECK int config_parse(const char *text, const char *name, struct config *ret_conf, struct err *e);

/*
 * The SCEP profile of this name, without regard to case; the empty name is that of all other URLs, which the settings
 * are.  Fails with ERR_UNKNOWN.
 */
MUST_CHECK int config_profile_find(const struct config *conf, struct bytes name, struct config_profile *ret_profile);

/* Prints a complete file with every setting, its help as comment and its range. */
void config_print(const struct config *conf, FILE *out);

/* Prints the sections SETTINGS and PROFILES of chancery.conf(5) in man(7) format. */
void config_print_man(FILE *out);

/*
 * Takes what may change at a reload from next into conf.  Settings that need a restart keep their value, and each
 * that differs is given to changed("group.key", arg).
 */
void config_reload(struct config *conf, const struct config *next, void (*changed)(const char *setting, void *arg),
		   void *arg);

#endif
