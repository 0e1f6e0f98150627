/*
 * board/config_value - one value of the configuration: what it may be, how it is read and printed
 *
 * A setting of config.def and a field of profile.def are the same kind of thing; board/config.c and
 * board/config_profile.c have the tables.  Nobody else needs this header.
 *
 * Threads:  any.
 */
#ifndef BOARD_CONFIG_VALUE_H
#define BOARD_CONFIG_VALUE_H

#include <stdbool.h>
#include <stdio.h>

#include "board/base/err.h"

struct config_t;
struct config_setting_t;

enum { CONFIG_NAME_SIZE = 64, CONFIG_WHY_SIZE = 200 };
enum config_kind { CONFIG_INT, CONFIG_BOOL, CONFIG_TEXT };

struct config_option {
	const char *group;
	const char *key;
	const char *check; /* what config_check_text() knows its text as */
	const char *help;
	enum config_kind kind;
	bool restart;     /* a change takes effect at a restart alone */
	size_t offset;    /* in the struct that it is part of */
	size_t size;      /* of the member; CONFIG_TEXT: with the NUL */
	int low;          /* CONFIG_INT */
	int high;         /* CONFIG_INT */
	int number;       /* default of CONFIG_INT and CONFIG_BOOL */
	const char *text; /* default of CONFIG_TEXT */
};

/* What is being read, for errors. */
struct config_source {
	const char *name;
	const struct config_t *tree;
	struct err *e;
};

/* The name that was meant, while names are compared; best begins with SIZE_MAX. */
struct config_near {
	size_t best;
	char name[CONFIG_NAME_SIZE];
};

/* The default of option into the struct at base. */
void config_value_default(const struct config_option *option, void *base);

/*
 * Reads setting into the struct at base.  Fails with ERR_CONFIG when type, range, or what config_check_text() says is
 * not kept; name stands for it in the error.
 */
MUST_CHECK int config_value_read(const struct config_source *source, const struct config_option *option,
				 const char *name, const struct config_setting_t *setting, void *base);

/* Fails with ERR_CONFIG and "FILE:LINE: NAME: WHY"; the line is setting's. */
MUST_CHECK int config_value_refuse(const struct config_source *source, const struct config_setting_t *setting,
				   const char *name, const char *why);

/* Remembers answer when known is nearer to name, as letters go, than all before, and near at all. */
void config_value_consider(const char *name, const char *known, const char *answer, struct config_near *near);

/*
 * Looks for what libconfig would read without a word but not as it is meant: "@include", which leads to a file that
 * nobody checked, and whole numbers beyond int, which lose their upper bits.  NULL when there is nothing, else what
 * is wrong in which line.
 */
const char *config_value_source(const char *text, unsigned *ret_line);

/* Prints the value in the struct at base as the file has it: 12, true, "text". */
void config_value_print(const struct config_option *option, const void *base, FILE *out);

/* "1 to 16", "true or false", "at most 199 bytes" */
void config_value_print_range(const struct config_option *option, FILE *out);

#endif
