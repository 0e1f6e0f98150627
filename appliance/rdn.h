/*
 * appliance/rdn - the attribute types that a subject may have, with their bounds, and the check of a Name
 *
 * Threads:  any; the table is constant.
 */
#ifndef APPLIANCE_RDN_H
#define APPLIANCE_RDN_H

#include "board/base/buf.h"
#include "board/base/err.h"

struct app_rdn_type {
	const char *word; /* as in template.subject_rdns and in names written as text */
	struct bytes oid;
	uint16_t max;   /* characters at most (RFC 5280 appendix A.1, upper bounds) */
	uint8_t string; /* tag that app_name_parse() gives it */
};

/* The table and its length. */
const struct app_rdn_type *app_rdn_types(size_t *ret_count);

/* Index in the table by OID content, -1 when there is none. */
int app_rdn_by_oid(struct bytes oid);

/* Index by a word of len characters, whatever its case, -1 when there is none. */
int app_rdn_by_word(const char *word, size_t len);

/*
 * Is this a Name with at most 32 attributes, each of a type whose bit (1 << index) is in allowed, with text of 1 to max
 * visible characters in one of five string types?  *ret_count is the number of attributes, which may be 0.  Fails with
 * ERR_DENIED; e names the attribute.
 */
MUST_CHECK int app_rdn_check(struct bytes name, uint32_t allowed, size_t *ret_count, struct err *e);

/* Is this a character of PrintableString (X.680 41.4)? */
bool app_rdn_printable(uint32_t c);

/*
 * Changes the tags, in place, of values whose string type has not their characters or does not belong to their
 * attribute (RFC 5280 A.1), where another type has the same octets.  What is no Name stays as it is.
 */
void app_rdn_mend(uint8_t *name, size_t len);

#endif
