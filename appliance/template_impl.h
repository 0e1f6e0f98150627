/*
 * appliance/template_impl - the fields of a template as a table, for the files that read and print them
 *
 * Threads:  any; the tables are constant.
 */
#ifndef APPLIANCE_TEMPLATE_IMPL_H
#define APPLIANCE_TEMPLATE_IMPL_H

#include "appliance/fields.h"
#include "appliance/template.h"

/* The table, in the order in which fields are printed. */
const struct app_field *app_template_fields(size_t *ret_count);

/* The field of this name, NULL when there is none. */
const struct app_field *app_template_field(const char *name);

/* template_parse.c: sets the field of this name, TEXT or WORDS.  Fails with ERR_CONFIG and the reason in e. */
MUST_CHECK int
app_template_set_text(struct app_template *template, const char *field, const char *value, struct err *e);

/* template_words.c: words of a list with blanks between them become OIDs or bits, and back.  Failures as above. */
MUST_CHECK int app_words_oids_parse(const char *list, struct app_oids *ret_oids, struct err *e);
void app_words_oids_print(const struct app_oids *oids, struct buf *out); /* as app_words_oids_parse() */

/*
 * template_field.c: extended key usages.  What would make a device speak for the CA, or for anything at all, is
 * refused.  Failures as above.
 */
MUST_CHECK int app_words_purposes_parse(const char *value, struct app_oids *ret_oids, struct err *e);

/* The same for the n-th of words as bit 1 << n. */
MUST_CHECK int
app_words_bits_parse(const char *list, const char *const *words, size_t count, unsigned *ret_bits, struct err *e);
void app_words_bits_print(unsigned bits, const char *const *words, size_t count, struct buf *out); /* the words again */

/* template_words.c: is this OID (content) among them? */
bool app_words_oids_have(const struct app_oids *oids, struct bytes oid);

/* A setting that is the name of an account, group or template: letters, digits, '-', '_', '.'. */
bool app_template_is_name(const char *name);

#endif
