/*
 * The check of a subjectAltName, of profile_impl.h (RFC 5280 4.2.1.6).
 */
#include <stddef.h>
#include <string.h>
#include <strings.h>

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

/* Strong mapping by subjectAltName; only what follows differs (facts, microsoft.md 9.3). */
#define SID_TAG "tag:microsoft.com,2022-09-14:sid:"

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

/* One of the names in list, or below one. */
static bool
is_below(struct bytes name, const char *list)
{
	while (*(list += strspn(list, " ")) != '\0') {
		size_t len = strcspn(list, " ");
		const char *end = (const char *)name.data + name.len;

		if (name.len >= len && strncasecmp(end - len, list, len) == 0 &&
		    (name.len == len || end[-(ptrdiff_t)len - 1] == '.'))
			return true;
		list += len;
	}
	return false;
}

static bool
begins_with(struct bytes v, const char *s)
{
	return v.len >= strlen(s) && strncasecmp((const char *)v.data, s, strlen(s)) == 0;
}

/*
 * Could somebody take this URI for one with a SID?  Only one way of writing it is right, but who reads it may be more
 * generous about case and percent-encoding.
 */
static bool
is_sid_like(struct bytes uri)
{
	return begins_with(uri, "tag:") &&
	       (begins_with(uri, "tag:microsoft.com") || memchr(uri.data, '%', uri.len) != NULL);
}

/* MS-DTYP 2.4.2.1, decimal: S-1, then 2 to 16 numbers. */
static bool
is_sid(struct bytes v)
{
	size_t numbers = 0, digits = 0;

	if (v.len < 5 || v.len >= APP_SID_SIZE || memcmp(v.data, "S-1-", 4) != 0)
		return false;
	for (size_t i = 4; i < v.len; i++) {
		if (v.data[i] == '-' && digits > 0) {
			numbers++;
			digits = 0;
		} else if (v.data[i] < '0' || v.data[i] > '9' || ++digits > 15) {
			return false;
		}
	}
	return digits > 0 && numbers >= 1 && numbers <= 15;
}

int
app_san_sid(struct bytes san, char ret_sid[APP_SID_SIZE], struct err *e)
{
	struct bytes sid = {NULL, 0};
	struct der name;
	struct view v;

	if (der_whole(san, DER_SEQUENCE, &v) != 0)
		return ERR_UNKNOWN;
	while (v.left > 0 && der_next(&v, &name) == 0) {
		if (name.tag != DER_CONTEXT(6) || !is_sid_like(name.content))
			continue;
		if (sid.data != NULL)
			return err_set(e, ERR_DENIED, 0, "subjectAltName: more than one SID");
		if (name.content.len < strlen(SID_TAG) || memcmp(name.content.data, SID_TAG, strlen(SID_TAG)) != 0)
			return err_set(e, ERR_DENIED, 0, "subjectAltName: a URI that is not quite one with a SID");
		sid = (struct bytes){name.content.data + strlen(SID_TAG), name.content.len - strlen(SID_TAG)};
		if (!is_sid(sid))
			return err_set(e, ERR_DENIED, 0, "subjectAltName: a SID that is none");
	}
	if (sid.data == NULL)
		return ERR_UNKNOWN;
	memcpy(ret_sid, sid.data, sid.len);
	ret_sid[sid.len] = '\0';
	return 0;
}

/* What the template says beyond the form. */
static int
rules_check(const struct der *name, enum app_san_kind kind, const struct app_san_rules *rules, struct err *e)
{
	if (kind == APP_SAN_DNS && rules->dns_suffixes[0] != '\0' && !is_below(name->content, rules->dns_suffixes))
		return err_set(e, ERR_DENIED, 0, "subjectAltName: DNS is outside of dns_suffixes");
	if (kind == APP_SAN_URI && !rules->may_have_sid && is_sid_like(name->content))
		return err_set(e, ERR_DENIED, 0, "subjectAltName: a SID that nobody but the requester vouches for");
	return 0;
}

static int
name_check(const struct der *name, const struct app_san_rules *rules, unsigned *seen, struct err *e)
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
		if ((rules->kinds & known[i].kind) == 0)
			return err_set(e, ERR_DENIED, 0, "subjectAltName: %s is not allowed", known[i].word);
		if (!known[i].fits(name->content))
			return err_set(e, ERR_DENIED, 0, "subjectAltName: %s is not well-formed", known[i].word);
		*seen |= known[i].kind;
		return rules_check(name, known[i].kind, rules, e);
	}
	return err_set(e, ERR_DENIED, 0, "subjectAltName: a kind of name that is never allowed");
}

int
app_san_check(struct bytes san, const struct app_san_rules *rules, struct err *e)
{
	char sid[APP_SID_SIZE];
	unsigned seen = 0;
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
		rc = name_check(&name, rules, &seen, e);
		if (rc != 0)
			return rc;
	}
	if ((rules->required & ~seen) != 0)
		return err_set(e, ERR_DENIED, 0, "subjectAltName: a kind that the template requires is missing");
	return rules->may_have_sid && app_san_sid(san, sid, e) == ERR_DENIED ? ERR_DENIED : 0;
}
