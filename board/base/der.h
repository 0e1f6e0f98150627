/*
 * board/base/der - reading and writing DER, one element at a time
 *
 * The reader is strict: definite, minimal lengths and low tag numbers only; it is for structures that must be DER
 * (certificates, CRLs, TBS structures).  BER from SCEP clients is parsed in net/cms.c.
 *
 * The writer appends to a struct buf.  Nested elements: remember the mark that der_open() gives, write the content,
 * der_close() puts the length in.
 *
 * Threads:  one at a time.
 */
#ifndef BOARD_BASE_DER_H
#define BOARD_BASE_DER_H

#include <stdbool.h>

#include "board/base/buf.h"

enum {
	DER_BOOLEAN = 0x01,
	DER_INTEGER = 0x02,
	DER_BIT_STRING = 0x03,
	DER_OCTET_STRING = 0x04,
	DER_NULL = 0x05,
	DER_OID = 0x06,
	DER_ENUMERATED = 0x0a,
	DER_UTF8_STRING = 0x0c,
	DER_PRINTABLE_STRING = 0x13,
	DER_T61_STRING = 0x14,
	DER_IA5_STRING = 0x16,
	DER_UTC_TIME = 0x17,
	DER_GENERALIZED_TIME = 0x18,
	DER_BMP_STRING = 0x1e,
	DER_SEQUENCE = 0x30,
	DER_SET = 0x31,
};

/* Tags of context class. */
#define DER_CONTEXT(n)             (0x80 | (n)) /* primitive, as in IMPLICIT strings */
#define DER_CONTEXT_CONSTRUCTED(n) (0xa0 | (n)) /* constructed, as in EXPLICIT */

struct der {
	uint8_t tag;
	struct bytes content; /* without tag and length */
	struct bytes whole;   /* with them */
};

/* Reads the next element of v.  Fails with ERR_FORMAT at the end and for anything that is not strict DER. */
MUST_CHECK int der_next(struct view *v, struct der *ret_element);

/* Reads the next element, which must have this tag.  Fails with ERR_FORMAT. */
MUST_CHECK int der_expect(struct view *v, uint8_t tag, struct der *ret_element);

/* True when the next element has this tag. */
bool der_peek(const struct view *v, uint8_t tag);

/* Parses all of v as one element with this tag and gives a view of its content.  Fails with ERR_FORMAT. */
MUST_CHECK int der_whole(struct bytes v, uint8_t tag, struct view *ret_content);

/*
 * The seconds since 1970 of a UTCTime or GeneralizedTime as RFC 5280 4.1.2.5 wants them (seconds, "Z").  Fails with
 * ERR_FORMAT.
 */
MUST_CHECK int der_time(const struct der *element, int64_t *ret_time);

/* The value of a non-negative INTEGER below 2^31.  Fails with ERR_FORMAT. */
MUST_CHECK int der_small_int(const struct der *element, int *ret_value);

/*
 * Reads the next character of a string's content: UTF8String, PrintableString, IA5String, T61String (as ISO 8859-1) or
 * BMPString (as UTF-16).  Fails with ERR_FORMAT, also for other tags and at the end; v stays where it was then.
 */
MUST_CHECK int der_text_next(uint8_t tag, struct view *v, uint32_t *ret_char);

/* Appends a character in UTF-8. */
void der_text_put(struct buf *b, uint32_t c);

/* False for control characters, NUL among them, and for what changes the direction of writing. */
bool der_text_visible(uint32_t c);

/* Begins a constructed element; returns the mark that der_close() needs. */
size_t der_open(struct buf *b, uint8_t tag);

/* Ends the element that der_open() began: inserts its length. */
void der_close(struct buf *b, size_t mark);

/* Appends a primitive element, or a constructed one whose content is ready. */
void der_put(struct buf *b, uint8_t tag, struct bytes content);

/* Appends a non-negative INTEGER given as big-endian bytes; strips and adds leading zeros as DER wants. */
void der_put_unsigned(struct buf *b, struct bytes magnitude);

/* Appends a small non-negative INTEGER. */
void der_put_int(struct buf *b, unsigned value);

/* Appends a BOOLEAN TRUE. */
void der_put_true(struct buf *b);

/* Appends an OBJECT IDENTIFIER from its content bytes, such as OID_SHA256 of board/base/oid.h. */
void der_put_oid(struct buf *b, struct bytes oid);

/* Appends a BIT STRING of whole octets. */
void der_put_bits(struct buf *b, struct bytes octets);

/* Appends UTCTime through 2049 and GeneralizedTime after (RFC 5280 4.1.2.5). */
void der_put_time(struct buf *b, int64_t wall_s);

/* Appends GeneralizedTime whatever the year, as invalidityDate and OCSP want it (RFC 5280 5.3.2, RFC 6960 4.2.2.1). */
void der_put_generalized_time(struct buf *b, int64_t wall_s);

/* Appends ready-made DER as it is. */
void der_put_raw(struct buf *b, struct bytes der);

#endif
