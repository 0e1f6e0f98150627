/*
 * appliance/template_impl - the fields of a template as a table, for the files that read and print them
 *
 * Threads:  any; the tables are constant.
 */
#ifndef APPLIANCE_TEMPLATE_IMPL_H
#define APPLIANCE_TEMPLATE_IMPL_H

#include "appliance/template.h"

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
	/* WORDS: reads value into the template.  TEXT: checks it alone.  e gets the reason without a name. */
	int (*take)(struct app_template *template, const char *value, struct err *e);
	/* WORDS */
	void (*give)(const struct app_template *template, struct buf *out);
};

/* The table, in the order in which fields are printed. */
const struct app_field *app_template_fields(size_t *ret_count);

/* The field of this name, NULL when there is none. */
const struct app_field *app_template_field(const char *name);

/* Sets a TEXT or WORDS field.  Fails with ERR_CONFIG and the reason in e. */
MUST_CHECK int
app_template_set_text(struct app_template *template, const struct app_field *field, const char *value, struct err *e);

/* template_words.c: words of a list with blanks between them become OIDs or bits, and back.  Failures as above. */
MUST_CHECK int app_words_oids_parse(const char *list, struct app_oids *ret_oids, struct err *e);
void app_words_oids_print(const struct app_oids *oids, struct buf *out); /* as app_words_oids_parse() */

/* The same for the n-th of words as bit 1 << n. */
MUST_CHECK int
app_words_bits_parse(const char *list, const char *const *words, size_t count, unsigned *ret_bits, struct err *e);
void app_words_bits_print(unsigned bits, const char *const *words, size_t count, struct buf *out); /* the words again */

/* template_words.c: is this OID (content) among them? */
bool app_words_oids_have(const struct app_oids *oids, struct bytes oid);

/* A setting that is the name of an account, group or template: letters, digits, '-', '_', '.'. */
bool app_template_is_name(const char *name);

#endif
