/*
 * appliance/fields - values with a text of their own ("template = { ... };"), read and printed by a table of fields
 *
 * Templates (appliance/template.h) and certificate profiles (appliance/certprofile.h) are such values.  A field stands
 * once in a table: name, kind, range, how to read and how to print.
 *
 * Threads:  any; the tables are constant.
 */
#ifndef APPLIANCE_FIELDS_H
#define APPLIANCE_FIELDS_H

#include "board/base/buf.h"
#include "board/base/err.h"

struct config_setting_t; /* libconfig's */

enum app_field_kind {
	APP_FIELD_NUMBER, /* int, low to high */
	APP_FIELD_FLAG,   /* bool */
	APP_FIELD_TEXT,   /* char[size], checked by take */
	APP_FIELD_WORDS,  /* anything that take reads and give prints */
};

struct app_field {
	const char *name;
	enum app_field_kind kind;
	size_t offset;
	size_t size; /* TEXT: with the NUL */
	int low;     /* NUMBER */
	int high;
	/*
	 * WORDS: reads value into the object.  TEXT: checks it alone; may be NULL.  e gets the reason without a name.
	 */
	int (*take)(void *object, const char *value, struct err *e);
	/* WORDS */
	void (*give)(const void *object, struct buf *out);
};

/* Where a text comes from, for what is said of it. */
struct app_fields_source {
	const char *name;
	struct err *e;
};

/* A kind of value. */
struct app_fields {
	const char *one;                /* "template" */
	const char *many;               /* "templates": a list of them */
	const char *manual;             /* where its fields are explained */
	size_t size;                    /* of the value */
	size_t max;                     /* in a list */
	const struct app_field *fields; /* in the order in which they are printed; the first is its name */
	size_t count;
	void (*start)(void *object); /* everything at its default */
	/* The fields that are no part of the table: 1 when it was one, 0, ERR_CONFIG.  May be NULL, as the others. */
	int (*other)(const struct app_fields_source *source, const struct config_setting_t *setting, void *object);
	void (*complete)(const struct config_setting_t *group,
			 void *object); /* what follows when a field is not there */
	/* Do the fields agree?  NULL, or the name of the field that stands in the way, with the reason in why. */
	const char *(*contradiction)(const void *object, char *why, size_t size);
	void (*print_other)(const void *object, struct buf *out);
};

/* What is done with each value of a text; a failure ends the reading and is passed on. */
typedef int (*app_fields_fn)(const void *object, unsigned line, void *arg, struct err *e);

/*
 * Reads text.  Every field is checked, and that the fields of each value agree; only then fn sees the first one.  Fails
 * with ERR_CONFIG, and e says "FILE:LINE: field: what is allowed", where file is what to call the text; else as fn
 * says.
 */
MUST_CHECK int app_fields_parse(const struct app_fields *kind, const char *text, const char *file, app_fields_fn fn,
				void *arg, struct err *e);

/* Reads one value into ret_object.  Fails with ERR_CONFIG, also when there are several. */
MUST_CHECK int app_fields_parse_one(const struct app_fields *kind, const char *text, const char *file, void *ret_object,
				    struct err *e);

/* Appends "template = { ... };" with every field, which app_fields_parse() reads back as the same value. */
void app_fields_print(const struct app_fields *kind, const void *object, struct buf *out);

/* The field of this name, NULL when there is none. */
const struct app_field *app_fields_find(const struct app_fields *kind, const char *name);

/* Sets a TEXT or WORDS field.  Fails with ERR_CONFIG and the reason in e. */
MUST_CHECK int app_fields_set_text(void *object, const struct app_field *field, const char *value, struct err *e);

/* Says "FILE:LINE: field: why" with the setting's line; returns ERR_CONFIG. */
int app_fields_refuse(const struct app_fields_source *source, const struct config_setting_t *setting, const char *field,
		      const char *why);

#endif
