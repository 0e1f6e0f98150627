/*
 * A Name from text, and whether two are the same, of cert.h.
 */
#include <openssl/x509.h>
#include <string.h>

#include "appliance/cert.h"
#include "appliance/rdn.h"
#include "board/base/der.h"

CLEANUP(X509_NAME, X509_NAME_free)

enum { NAME_MAX_SIZE = 4096, RDNS_MAX = 32 };

/* What a backslash may stand before (RFC 4514 2.4); returns the length taken, 0 for none. */
static size_t
escape_read(const char *p, uint8_t *ret_octet)
{
	int high, low;

	if (*p != '\0' && strchr(",+\"\\<>;= #", *p) != NULL) {
		*ret_octet = (uint8_t)*p;
		return 1;
	}
	high = bytes_hex_digit(p[0]);
	low = high < 0 ? -1 : bytes_hex_digit(p[1]);
	if (high < 0 || low < 0)
		return 0;
	*ret_octet = (uint8_t)(high << 4 | low);
	return 2;
}

/* The value up to an unescaped comma or the end; blanks around it do not count. */
static int
value_read(const char **text, struct buf *out)
{
	const char *p = *text + strspn(*text, " ");
	size_t taken, kept = 0;
	uint8_t octet = 0;

	for (; *p != '\0' && *p != ','; p++) {
		if (*p == '\\') {
			taken = escape_read(p + 1, &octet);
			if (taken == 0)
				return ERR_FORMAT;
			buf_put_u8(out, octet);
			kept = out->len;
			p += taken;
			continue;
		}
		if (strchr("+\"<>;=", *p) != NULL)
			return ERR_FORMAT;
		buf_put_u8(out, (uint8_t)*p);
		if (*p != ' ')
			kept = out->len;
	}
	if (buf_status(out) != 0)
		return buf_status(out);
	out->len = kept;
	*text = p;
	return 0;
}

static void
rdn_put(struct buf *out, const struct app_rdn_type *type, struct bytes value)
{
	size_t set = der_open(out, DER_SET), pair = der_open(out, DER_SEQUENCE);

	der_put_oid(out, type->oid);
	der_put(out, type->string, value);
	der_close(out, pair);
	der_close(out, set);
}

/* "type=value", up to the comma. */
static int
rdn_parse(const char **text, struct buf *out, struct err *e)
{
	const char *word = *text + strspn(*text, " ");
	size_t len = strcspn(word, "=, "), count;
	AUTO_BUF value = {0};
	const char *p = word + len + strspn(word + len, " ");
	int index = app_rdn_by_word(word, len), rc;

	if (*p != '=' || index < 0)
		return err_set(e, ERR_FORMAT, 0, "name: \"%.*s\" is not a known attribute type with \"=\"",
			       (int)(len < 40 ? len : 40), word);
	p++;
	buf_init(&value, NAME_MAX_SIZE);
	rc = value_read(&p, &value);
	if (rc != 0)
		return err_set(e, rc, 0, "name: value of %s", app_rdn_types(&count)[index].word);
	rdn_put(out, &app_rdn_types(&count)[index], buf_bytes(&value));
	*text = p;
	return 0;
}

int
app_name_parse(const char *text, struct buf *out, struct err *e)
{
	AUTO_BUF name = {0};
	size_t sequence, count;
	struct err why = {0};
	int rc;

	buf_init(&name, NAME_MAX_SIZE);
	sequence = der_open(&name, DER_SEQUENCE);
	for (;;) {
		rc = rdn_parse(&text, &name, e);
		if (rc != 0)
			return rc;
		if (*text == '\0')
			break;
		text++;
	}
	der_close(&name, sequence);
	if (buf_status(&name) != 0)
		return err_set(e, ERR_FORMAT, 0, "name: too long");
	if (app_rdn_check(buf_bytes(&name), UINT32_MAX, &count, &why) != 0)
		return err_set(e, ERR_FORMAT, 0, "%s", why.text);
	buf_put_raw(out, name.data, name.len);
	return buf_status(out);
}

bool
app_name_same(struct bytes a, struct bytes b)
{
	const unsigned char *p = a.data, *q = b.data;
	AUTO(X509_NAME) x = NULL;
	AUTO(X509_NAME) y = NULL;

	if (a.len == 0 || b.len == 0)
		return a.len == b.len;
	if (bytes_equal(a, b))
		return true;
	x = d2i_X509_NAME(NULL, &p, (long)a.len);
	y = d2i_X509_NAME(NULL, &q, (long)b.len);
	return x != NULL && y != NULL && X509_NAME_cmp(x, y) == 0;
}
