/*
 * The characters of ASN.1's string types, of der.h.
 */
#include "board/base/der.h"

static bool
is_surrogate(uint32_t c)
{
	return c >= 0xd800 && c < 0xe000;
}

/* RFC 3629: shortest form, no surrogates, nothing above U+10FFFF. */
static int
utf8_next(struct view *v, uint32_t *ret_char)
{
	static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t first = view_u8(v), c, next;
	int len, i;

	if (first < 0x80) {
		*ret_char = first;
		return 0;
	}
	if (first < 0xc2 || first > 0xf4)
		return ERR_FORMAT;
	len = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	c = first & (0xffU >> (len + 1));
	for (i = 1; i < len; i++) {
		next = view_u8(v);
		if ((next & 0xc0) != 0x80)
			return ERR_FORMAT;
		c = c << 6 | (next & 0x3f);
	}
	if (c < lowest[len] || c > 0x10ffff || is_surrogate(c))
		return ERR_FORMAT;
	*ret_char = c;
	return 0;
}

/* UTF-16 by what clients do; X.690 knows only the first 65,536 characters. */
static int
bmp_next(struct view *v, uint32_t *ret_char)
{
	uint32_t c = view_u16(v), low;

	if (is_surrogate(c)) {
		low = view_u16(v);
		if (c >= 0xdc00 || low < 0xdc00 || low >= 0xe000)
			return ERR_FORMAT;
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	*ret_char = c;
	return 0;
}

int
der_text_next(uint8_t tag, struct view *v, uint32_t *ret_char)
{
	struct view rest = *v;
	uint32_t c = 0;
	int rc = 0;

	switch (tag) {
	case DER_UTF8_STRING:
		rc = utf8_next(&rest, &c);
		break;
	case DER_BMP_STRING:
		rc = bmp_next(&rest, &c);
		break;
	case DER_T61_STRING: /* what is written in practice is ISO 8859-1 */
		c = view_u8(&rest);
		break;
	case DER_PRINTABLE_STRING:
	case DER_IA5_STRING:
		c = view_u8(&rest);
		rc = c < 0x80 ? 0 : ERR_FORMAT;
		break;
	default:
		rc = ERR_FORMAT;
	}
	if (rc != 0 || rest.bad)
		return ERR_FORMAT;
	*v = rest;
	*ret_char = c;
	return 0;
}

void
der_text_put(struct buf *b, uint32_t c)
{
	int more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;

	if (more == 0) {
		buf_put_u8(b, (uint8_t)c);
		return;
	}
	buf_put_u8(b, (uint8_t)(0xff00U >> (more + 1) | c >> (6 * more)));
	while (more-- > 0)
		buf_put_u8(b, (uint8_t)(0x80 | (c >> (6 * more) & 0x3f)));
}

bool
der_text_visible(uint32_t c)
{
	if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c > 0x10ffff || is_surrogate(c))
		return false;
	/* line and paragraph separators, and what turns the direction of writing */
	return !((c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0x200e || c == 0x200f ||
		 c == 0xfeff);
}
