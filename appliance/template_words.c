/*
 * Lists of words in a template: object identifiers and bits, of template_impl.h.
 */
#include <string.h>

#include "appliance/template_impl.h"
#include "board/base/der.h"
#include "board/base/oid.h"

enum { WORD_SHOWN = 40, OID_MAX = 128, ARC_BITS = 28 };

#define OID_PKIX_KP(n) OID_BYTES("\x2b\x06\x01\x05\x05\x07\x03" n)
#define OID_MS(n)      OID_BYTES("\x2b\x06\x01\x04\x01\x82\x37" n)

/* Key purposes by the names of RFC 5280 4.2.1.12, RFC 4945, and those that Microsoft's templates use. */
static const struct {
	const char *word;
	struct bytes oid;
} purposes[] = {
	{"serverAuth", OID_KP_SERVER_AUTH},
	{"clientAuth", OID_KP_CLIENT_AUTH},
	{"codeSigning", OID_PKIX_KP("\x03")},
	{"emailProtection", OID_PKIX_KP("\x04")},
	{"timeStamping", OID_PKIX_KP("\x08")},
	{"ipsecIKE", OID_PKIX_KP("\x11")},
	{"ipsecIKEIntermediate", OID_BYTES("\x2b\x06\x01\x05\x05\x08\x02\x02")},
	{"smartcardLogon", OID_MS("\x14\x02\x02")},
	{"encryptingFileSystem", OID_MS("\x0a\x03\x04")},
	{"certificateRequestAgent", OID_MS("\x14\x02\x01")},
};

struct word {
	const char *start;
	size_t len;
};

/* The next of several words with blanks between them. */
static bool
word_next(const char **list, struct word *ret_word)
{
	const char *p = *list + strspn(*list, " \t");

	ret_word->start = p;
	ret_word->len = strcspn(p, " \t");
	*list = p + ret_word->len;
	return ret_word->len > 0;
}

static bool
word_is(const struct word *word, const char *s)
{
	return strlen(s) == word->len && memcmp(s, word->start, word->len) == 0;
}

static int
word_refuse(const struct word *word, const char *why, struct err *e)
{
	return err_set(e, ERR_CONFIG, 0, "\"%.*s\" %s", (int)(word->len < WORD_SHOWN ? word->len : WORD_SHOWN),
		       word->start, why);
}

/* A decimal arc without leading zeros, below 2^28; the text moves behind it. */
static int
arc_read(const char **p, const char *end, uint32_t *ret_arc)
{
	uint32_t arc = 0;
	const char *start = *p;

	for (; *p < end && **p >= '0' && **p <= '9'; (*p)++) {
		arc = arc * 10 + (uint32_t)(**p - '0');
		if (arc >= 1U << ARC_BITS || (*p > start && *start == '0'))
			return ERR_FORMAT;
	}
	*ret_arc = arc;
	return *p > start ? 0 : ERR_FORMAT;
}

static void
arc_put(struct buf *oid, uint32_t arc)
{
	int shift;

	for (shift = ARC_BITS; shift > 0; shift -= 7)
		if (arc >> shift != 0)
			buf_put_u8(oid, (uint8_t)(0x80 | (arc >> shift & 0x7f)));
	buf_put_u8(oid, (uint8_t)(arc & 0x7f));
}

/* "1.3.6.1": X.690 8.19. */
static int
oid_parse(const struct word *word, struct buf *oid)
{
	const char *p = word->start, *end = word->start + word->len;
	uint32_t first, arc;

	if (arc_read(&p, end, &first) != 0 || first > 2 || p == end || *p++ != '.' || arc_read(&p, end, &arc) != 0 ||
	    (first < 2 && arc > 39))
		return ERR_FORMAT;
	arc_put(oid, first * 40 + arc);
	while (p < end) {
		if (*p++ != '.' || arc_read(&p, end, &arc) != 0)
			return ERR_FORMAT;
		arc_put(oid, arc);
	}
	return buf_status(oid);
}

/* One identifier at the end of list, in which it must be new. */
static int
oid_put(const struct word *word, struct buf *list, struct err *e)
{
	struct view before = view_of(buf_bytes(list));
	AUTO_BUF oid = {0};
	struct der element;
	size_t i;

	buf_init(&oid, OID_MAX);
	for (i = 0; i < ARRAY_SIZE(purposes) && !word_is(word, purposes[i].word); i++)
		;
	if (i < ARRAY_SIZE(purposes))
		buf_put_raw(&oid, purposes[i].oid.data, purposes[i].oid.len);
	else if (oid_parse(word, &oid) != 0)
		return word_refuse(word, "is not understood", e);
	while (before.left > 0)
		if (der_next(&before, &element) != 0 || bytes_equal(element.content, buf_bytes(&oid)))
			return word_refuse(word, "stands there twice", e);
	der_put_oid(list, buf_bytes(&oid));
	return buf_status(list) == 0 ? 0 : word_refuse(word, "is one too many", e);
}

int
app_words_oids_parse(const char *list, struct app_oids *ret_oids, struct err *e)
{
	AUTO_BUF oids = {0};
	struct word word;
	int rc = 0;

	buf_init(&oids, sizeof(ret_oids->der));
	while (rc == 0 && word_next(&list, &word))
		rc = oid_put(&word, &oids, e);
	if (rc != 0)
		return ERR_CONFIG;
	memset(ret_oids, 0, sizeof(*ret_oids));
	if (oids.len > 0)
		memcpy(ret_oids->der, oids.data, oids.len);
	ret_oids->len = oids.len;
	return 0;
}

static void
dotted_print(struct bytes oid, struct buf *out)
{
	uint32_t arc = 0;
	bool first = true;

	for (size_t i = 0; i < oid.len; i++) {
		arc = arc << 7 | (oid.data[i] & 0x7f);
		if ((oid.data[i] & 0x80) != 0)
			continue;
		if (first)
			buf_printf(out, "%u.%u", arc < 80 ? arc / 40 : 2, arc < 80 ? arc % 40 : arc - 80);
		else
			buf_printf(out, ".%u", arc);
		first = false;
		arc = 0;
	}
}

void
app_words_oids_print(const struct app_oids *oids, struct buf *out)
{
	struct view v = view_of((struct bytes){oids->der, oids->len});
	struct der oid;
	size_t i;

	for (size_t count = 0; v.left > 0 && der_next(&v, &oid) == 0; count++) {
		for (i = 0; i < ARRAY_SIZE(purposes) && !bytes_equal(purposes[i].oid, oid.content); i++)
			;
		if (count > 0)
			buf_put_u8(out, ' ');
		if (i < ARRAY_SIZE(purposes))
			buf_printf(out, "%s", purposes[i].word);
		else
			dotted_print(oid.content, out);
	}
}

bool
app_words_oids_have(const struct app_oids *oids, struct bytes oid)
{
	struct view v = view_of((struct bytes){oids->der, oids->len});
	struct der element;

	while (v.left > 0 && der_next(&v, &element) == 0)
		if (bytes_equal(element.content, oid))
			return true;
	return false;
}

int
app_words_bits_parse(const char *list, const char *const *words, size_t count, unsigned *ret_bits, struct err *e)
{
	struct word word;
	unsigned bits = 0;
	size_t i;

	while (word_next(&list, &word)) {
		for (i = 0; i < count && !word_is(&word, words[i]); i++)
			;
		if (i == count)
			return word_refuse(&word, "is not understood", e);
		bits |= 1U << i;
	}
	*ret_bits = bits;
	return 0;
}

void
app_words_bits_print(unsigned bits, const char *const *words, size_t count, struct buf *out)
{
	const char *between = "";

	for (size_t i = 0; i < count; i++) {
		if ((bits & 1U << i) == 0)
			continue;
		buf_printf(out, "%s%s", between, words[i]);
		between = " ";
	}
}
