/*
 * Names for people, names compared, and PEM, of x509.h.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "board/base/der.h"
#include "board/base/oid.h"
#include "board/base/x509.h"

CLEANUP(X509_NAME, X509_NAME_free)

enum { PEM_LINE = 64, PEM_LABEL_MAX = 64 };

/* Text that is cut at the end of its memory, never inside a character. */
struct text {
	char *out;
	size_t size;
	size_t len;
	bool full;
};

static void
text_put(struct text *t, const char *s, size_t len)
{
	if (t->full || len >= t->size - t->len) {
		t->full = true;
		return;
	}
	memcpy(t->out + t->len, s, len);
	t->len += len;
	t->out[t->len] = '\0';
}

static void
text_put_string(struct text *t, const char *s)
{
	text_put(t, s, strlen(s));
}

/* One character in UTF-8; what could mislead a reader is escaped (RFC 4514 2.4). */
static void
text_put_char(struct text *t, uint32_t c)
{
	AUTO_BUF utf8 = {0};
	char s[16];

	if (!der_text_visible(c)) {
		snprintf(s, sizeof(s), c > 0xff ? "\\u{%x}" : "\\%02x", (unsigned)c);
		text_put_string(t, s);
		return;
	}
	buf_init(&utf8, 8);
	if (c < 0x80 && strchr(",+=\"\\<>;", (int)c) != NULL)
		buf_put_u8(&utf8, '\\');
	der_text_put(&utf8, c);
	text_put(t, (const char *)utf8.data, utf8.len);
}

/* Octets that are no character of their type are escaped. */
static void
value_text(const struct der *value, struct text *t)
{
	struct view v = view_of(value->content);
	uint32_t c;
	char s[8];

	while (v.left > 0 && !t->full) {
		if (der_text_next(value->tag, &v, &c) == 0) {
			text_put_char(t, c);
			continue;
		}
		snprintf(s, sizeof(s), "\\%02x", view_u8(&v));
		text_put_string(t, s);
	}
}

/* The dotted form of an OID that has no short name; arcs above 2^32 come out as "?". */
static void
oid_text(struct bytes oid, struct text *t)
{
	char s[32];
	uint64_t arc = 0;
	size_t i;
	bool first = true;

	for (i = 0; i < oid.len; i++) {
		arc = arc > UINT32_MAX ? arc : (arc << 7 | (oid.data[i] & 0x7f));
		if ((oid.data[i] & 0x80) != 0)
			continue;
		if (arc > UINT32_MAX)
			snprintf(s, sizeof(s), ".?");
		else if (first)
			snprintf(s, sizeof(s), "%d.%u", arc < 80 ? (int)arc / 40 : 2,
				 (unsigned)(arc < 80 ? arc % 40 : arc - 80));
		else
			snprintf(s, sizeof(s), ".%u", (unsigned)arc);
		text_put_string(t, s);
		arc = 0;
		first = false;
	}
}

static void
type_text(struct bytes oid, struct text *t)
{
	const struct {
		struct bytes oid;
		const char *name;
	} known[] = {
		{OID_COMMON_NAME, "CN"},
		{OID_SERIAL_NUMBER, "serialNumber"},
		{OID_COUNTRY, "C"},
		{OID_LOCALITY, "L"},
		{OID_STATE, "ST"},
		{OID_ORGANIZATION, "O"},
		{OID_ORGANIZATIONAL_UNIT, "OU"},
		{OID_DOMAIN_COMPONENT, "DC"},
		{OID_EMAIL_ADDRESS, "emailAddress"},
		{OID_USER_ID, "UID"},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		if (bytes_equal(oid, known[i].oid)) {
			text_put_string(t, known[i].name);
			return;
		}
	}
	oid_text(oid, t);
}

static int
rdn_text(struct bytes rdn, struct text *t)
{
	struct der pair, type, value;
	struct view v = view_of(rdn), inside;
	const char *before = "";

	while (v.left > 0) {
		if (der_expect(&v, DER_SEQUENCE, &pair) != 0)
			return ERR_FORMAT;
		inside = view_of(pair.content);
		if (der_expect(&inside, DER_OID, &type) != 0 || der_next(&inside, &value) != 0 || inside.left != 0)
			return ERR_FORMAT;
		text_put_string(t, before);
		type_text(type.content, t);
		text_put_string(t, "=");
		value_text(&value, t);
		before = " + ";
	}
	return 0;
}

char *
x509_name_text(struct bytes name, char *out, size_t size)
{
	struct text t = {.out = out, .size = size};
	struct der rdn;
	struct view v;

	if (size == 0)
		return out;
	out[0] = '\0';
	if (der_whole(name, DER_SEQUENCE, &v) != 0) {
		text_put_string(&t, "(malformed)");
		return out;
	}
	while (v.left > 0) {
		if (t.len > 0)
			text_put_string(&t, ", ");
		if (der_expect(&v, DER_SET, &rdn) != 0 || rdn_text(rdn.content, &t) != 0) {
			text_put_string(&t, "(malformed)");
			break;
		}
	}
	return out;
}

/* The octets behind the first occurrence of s in v; NULL when there is none. */
static const uint8_t *
behind(struct view *v, const char *s)
{
	const uint8_t *p = v->left > 0 ? memmem(v->next, v->left, s, strlen(s)) : NULL;

	return p == NULL ? NULL : p + strlen(s);
}

static int
base64_value(uint8_t c)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *p = c == '\0' ? NULL : strchr(alphabet, c);

	return p == NULL ? -1 : (int)(p - alphabet);
}

/* Base64 with line ends; nothing may follow the padding. */
static int
base64_decode(struct bytes text, struct buf *out)
{
	uint32_t group = 0;
	size_t count = 0, padding = 0, i;
	int value;

	for (i = 0; i < text.len; i++) {
		if (strchr("\r\n\t ", text.data[i]) != NULL && text.data[i] != '\0')
			continue;
		value = text.data[i] == '=' ? 0 : base64_value(text.data[i]);
		padding += text.data[i] == '=';
		if (value < 0 || (padding > 0 && text.data[i] != '=') || padding > 2)
			return ERR_FORMAT;
		group = group << 6 | (uint32_t)value;
		if (++count % 4 != 0)
			continue;
		buf_put_u8(out, (uint8_t)(group >> 16));
		if (padding < 2)
			buf_put_u8(out, (uint8_t)(group >> 8));
		if (padding < 1)
			buf_put_u8(out, (uint8_t)group);
	}
	return count % 4 == 0 && count > 0 ? buf_status(out) : ERR_FORMAT;
}

int
x509_pem_next(struct view *pem, const char *label, struct bytes *ret_der, struct err *e)
{
	char line[PEM_LABEL_MAX + 24];
	AUTO_BUF out = {0};
	struct view rest = *pem;
	const uint8_t *start, *end;
	int rc;

	BUG_ON(strlen(label) > PEM_LABEL_MAX);
	snprintf(line, sizeof(line), "-----BEGIN %s-----", label);
	start = behind(&rest, line);
	if (start == NULL)
		return err_set(e, ERR_UNKNOWN, 0, "no PEM block with %s", label);
	(void)view_raw(&rest, (size_t)(start - rest.next));
	snprintf(line, sizeof(line), "-----END %s-----", label);
	end = behind(&rest, line);
	if (end == NULL)
		return err_set(e, ERR_FORMAT, 0, "PEM block with %s does not end", label);
	buf_init(&out, rest.left);
	rc = base64_decode((struct bytes){start, (size_t)(end - start) - strlen(line)}, &out);
	if (rc != 0)
		return err_set(e, rc, 0, "PEM block with %s is not base64", label);
	(void)view_raw(&rest, (size_t)(end - rest.next));
	*pem = rest;
	ret_der->data = buf_take(&out, &ret_der->len);
	return 0;
}

void
x509_pem_put(struct buf *b, const char *label, struct bytes der)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t group;
	size_t i, left;

	buf_printf(b, "-----BEGIN %s-----\n", label);
	for (i = 0; i < der.len; i += 3) {
		left = der.len - i;
		group = (uint32_t)der.data[i] << 16 | (left > 1 ? (uint32_t)der.data[i + 1] << 8 : 0) |
			(left > 2 ? der.data[i + 2] : 0U);
		buf_put_u8(b, (uint8_t)alphabet[group >> 18]);
		buf_put_u8(b, (uint8_t)alphabet[group >> 12 & 63]);
		buf_put_u8(b, (uint8_t)(left > 1 ? alphabet[group >> 6 & 63] : '='));
		buf_put_u8(b, (uint8_t)(left > 2 ? alphabet[group & 63] : '='));
		if ((i / 3 + 1) % (PEM_LINE / 4) == 0 || left <= 3)
			buf_put_u8(b, '\n');
	}
	buf_printf(b, "-----END %s-----\n", label);
}

bool
x509_name_differs(struct bytes a, struct bytes b)
{
	const unsigned char *p = a.data;
	AUTO(X509_NAME) one = d2i_X509_NAME(NULL, &p, (long)a.len);
	bool whole = p == a.data + a.len;
	AUTO(X509_NAME) other = NULL;

	p = b.data;
	other = d2i_X509_NAME(NULL, &p, (long)b.len);
	ERR_clear_error();
	return one != NULL && other != NULL && whole && p == b.data + b.len && X509_NAME_cmp(one, other) != 0;
}
