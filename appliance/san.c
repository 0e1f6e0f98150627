/*
 * The check of a subjectAltName, of profile_impl.h (RFC 5280 4.2.1.6).
 */
#include <string.h>

#include "appliance/profile_impl.h"
#include "board/base/der.h"
#include "board/base/oid.h"

enum {
	NAMES_MAX = 64,
	DNS_MAX = 253,
	LABEL_MAX = 63,
	LOCAL_PART_MAX = 64,
	EMAIL_MAX = 254,
	URI_MAX = 2048,
	UPN_MAX = 1024
};

static bool
is_alnum(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* One of is_alnum() or of the characters in more; never NUL. */
static bool
is_among(uint8_t c, const char *more)
{
	return is_alnum(c) || (c != '\0' && strchr(more, c) != NULL);
}

static bool
is_label(struct bytes v)
{
	size_t i;

	if (v.len == 0 || v.len > LABEL_MAX || v.data[0] == '-' || v.data[v.len - 1] == '-')
		return false;
	for (i = 0; i < v.len; i++)
		if (!is_among(v.data[i], "-"))
			return false;
	return true;
}

static bool
is_number(struct bytes v)
{
	size_t i;

	for (i = 0; i < v.len; i++)
		if (v.data[i] < '0' || v.data[i] > '9')
			return false;
	return true;
}

/* Preferred name syntax (RFC 1123 2.1): labels; no wildcard, no closing dot, and no address in four numbers. */
static bool
is_dns(struct bytes v)
{
	struct bytes label = {v.data, 0};
	size_t i, count = 0;

	if (v.len == 0 || v.len > DNS_MAX)
		return false;
	for (i = 0; i <= v.len; i++) {
		if (i < v.len && v.data[i] != '.')
			continue;
		label.len = (size_t)(v.data + i - label.data);
		if (!is_label(label))
			return false;
		count++;
		if (i == v.len)
			break;
		label.data = v.data + i + 1;
	}
	return count == 1 || !is_number(label);
}

/* RFC 5321 4.1.2 without quoted strings and address literals. */
static bool
is_email(struct bytes v)
{
	const uint8_t *at = v.len > 0 ? memchr(v.data, '@', v.len) : NULL;
	size_t local, i;

	if (at == NULL || v.len > EMAIL_MAX)
		return false;
	local = (size_t)(at - v.data);
	if (local == 0 || local > LOCAL_PART_MAX || v.data[0] == '.' || v.data[local - 1] == '.')
		return false;
	for (i = 0; i < local; i++)
		if (!is_among(v.data[i], "!#$%&'*+-/=?^_`{|}~.") || (v.data[i] == '.' && v.data[i + 1] == '.'))
			return false;
	return is_dns((struct bytes){at + 1, v.len - local - 1});
}

/* A scheme and something behind it, of the characters of RFC 3986 2 alone. */
static bool
is_uri(struct bytes v)
{
	const uint8_t *colon = v.len > 0 ? memchr(v.data, ':', v.len) : NULL;
	size_t scheme, i;

	if (colon == NULL || v.len > URI_MAX)
		return false;
	scheme = (size_t)(colon - v.data);
	if (scheme == 0 || scheme + 1 == v.len || !is_alnum(v.data[0]) || is_number((struct bytes){v.data, 1}))
		return false;
	for (i = 0; i < scheme; i++)
		if (!is_among(v.data[i], "+-."))
			return false;
	for (i = scheme; i < v.len; i++)
		if (!is_among(v.data[i], ":/?#[]@!$&'()*+,;=-._~%"))
			return false;
	return true;
}

/* otherName with Microsoft's user principal name: name@domain in a UTF8String. */
static bool
is_upn(struct bytes v)
{
	struct view content = view_of(v), inside;
	struct der type, wrap, text;
	size_t count, at_count = 0, at = 0;
	uint32_t c;

	if (der_expect(&content, DER_OID, &type) != 0 || !bytes_equal(type.content, OID_USER_PRINCIPAL_NAME) ||
	    der_expect(&content, DER_CONTEXT_CONSTRUCTED(0), &wrap) != 0 || content.left != 0)
		return false;
	inside = view_of(wrap.content);
	if (der_expect(&inside, DER_UTF8_STRING, &text) != 0 || inside.left != 0)
		return false;
	inside = view_of(text.content);
	for (count = 0; inside.left > 0; count++) {
		if (der_text_next(DER_UTF8_STRING, &inside, &c) != 0 || !der_text_visible(c))
			return false;
		if (c == '@') {
			at_count++;
			at = count;
		}
	}
	return at_count == 1 && at > 0 && at + 1 < count && count <= UPN_MAX;
}

static bool
is_ip(struct bytes v)
{
	return v.len == 4 || v.len == 16;
}

static int
name_check(const struct der *name, unsigned kinds, struct err *e)
{
	static const struct {
		uint8_t tag;
		enum app_san_kind kind;
		const char *word;
		bool (*fits)(struct bytes v);
	} known[] = {
		{DER_CONTEXT(2), APP_SAN_DNS, "DNS", is_dns},
		{DER_CONTEXT(7), APP_SAN_IP, "IP", is_ip},
		{DER_CONTEXT(1), APP_SAN_EMAIL, "email", is_email},
		{DER_CONTEXT(6), APP_SAN_URI, "URI", is_uri},
		{DER_CONTEXT_CONSTRUCTED(0), APP_SAN_UPN, "UPN", is_upn},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		if (known[i].tag != name->tag)
			continue;
		if ((kinds & known[i].kind) == 0)
			return err_set(e, ERR_DENIED, 0, "subjectAltName: %s is not allowed", known[i].word);
		if (!known[i].fits(name->content))
			return err_set(e, ERR_DENIED, 0, "subjectAltName: %s is not well-formed", known[i].word);
		return 0;
	}
	return err_set(e, ERR_DENIED, 0, "subjectAltName: a kind of name that is never allowed");
}

int
app_san_check(struct bytes san, unsigned kinds, struct err *e)
{
	struct der name;
	struct view v;
	size_t count = 0;
	int rc;

	if (der_whole(san, DER_SEQUENCE, &v) != 0 || v.left == 0)
		return err_set(e, ERR_DENIED, 0, "subjectAltName: not a list of names");
	while (v.left > 0) {
		if (der_next(&v, &name) != 0)
			return err_set(e, ERR_DENIED, 0, "subjectAltName: malformed name");
		if (++count > NAMES_MAX)
			return err_set(e, ERR_DENIED, 0, "subjectAltName: more than %d names", NAMES_MAX);
		rc = name_check(&name, kinds, e);
		if (rc != 0)
			return rc;
	}
	return 0;
}
