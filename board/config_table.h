/*
 * board/config_table - the lines of config.def as a table, for board/config.c and its printing half
 *
 * Threads:  any; nothing in it changes.
 */
#ifndef BOARD_CONFIG_TABLE_H
#define BOARD_CONFIG_TABLE_H

#include "board/config_value.h"

struct config_group {
	const char *name;
	const char *help;
};

extern const struct config_option config_table[];
extern const size_t config_table_count;
extern const struct config_group config_groups[];
extern const size_t config_group_count;

#endif
