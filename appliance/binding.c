#include "appliance/binding.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "appliance/cert.h"
#include "appliance/profile_impl.h"
#include "board/base/der.h"
#include "board/base/oid.h"
#include "board/base/x509.h"

enum {
	NAME_SIZE = 4096,
	VALUE_SIZE = 2048,
	SAN_ANY = APP_SAN_DNS | APP_SAN_IP | APP_SAN_EMAIL | APP_SAN_URI | APP_SAN_UPN,
	TAG_EMAIL = DER_CONTEXT(1),
	TAG_DNS = DER_CONTEXT(2),
	TAG_URI = DER_CONTEXT(6),
	TAG_IP = DER_CONTEXT(7),
	TAG_UPN = DER_CONTEXT_CONSTRUCTED(0),
};

/* A list of no names. */
static const uint8_t no_names[] = {DER_SEQUENCE, 0};

void
app_binding_fini(struct app_binding *binding)
{
	free((void *)binding->subject.data);
	free((void *)binding->san.data);
	*binding = (struct app_binding){.key_usage = 0};
}

bool
app_binding_is_any(const struct app_binding *binding)
{
	return binding->template_name[0] != '\0' || binding->subject.len > 0 || binding->san.len > 0 ||
	       binding->has_key || binding->key_usage != 0;
}

/* ---- what an operator writes ---- */

/* Hands what was written over to a member of the binding, unless it has one. */
static int
keep(struct bytes *member, struct buf *written, const char *word, struct err *e)
{
	struct bytes v;

	if (member->len > 0)
		return err_set(e, ERR_FORMAT, 0, "%s is given twice", word);
	if (buf_status(written) != 0)
		return err_set(e, ERR_FORMAT, 0, "%s is too long", word);
	v.data = buf_take(written, &v.len);
	*member = v;
	return 0;
}

static int
set_subject(struct app_binding *binding, const char *value, struct err *e)
{
	AUTO_BUF name;
	int code;

	buf_init(&name, NAME_SIZE);
	code = app_name_parse(value, &name, e);
	return code != 0 ? ERR_FORMAT : keep(&binding->subject, &name, "subject", e);
}

static void
put_upn(struct buf *out, struct bytes text)
{
	size_t other = der_open(out, TAG_UPN), value;

	der_put_oid(out, OID_USER_PRINCIPAL_NAME);
	value = der_open(out, DER_CONTEXT_CONSTRUCTED(0));
	der_put(out, DER_UTF8_STRING, text);
	der_close(out, value);
	der_close(out, other);
}

bool
app_binding_put_name(struct buf *out, const char *text)
{
	static const struct {
		const char *prefix;
		uint8_t tag;
	} kinds[] = {{"DNS:", TAG_DNS}, {"email:", TAG_EMAIL}, {"URI:", TAG_URI}, {"IP:", TAG_IP}, {"UPN:", TAG_UPN}};
	uint8_t address[16];
	size_t i = 0;
	struct bytes value;

	while (i < ARRAY_SIZE(kinds) && strncasecmp(text, kinds[i].prefix, strlen(kinds[i].prefix)) != 0)
		i++;
	if (i == ARRAY_SIZE(kinds))
		return false;
	value = bytes_of_text(text + strlen(kinds[i].prefix));
	if (kinds[i].tag == TAG_UPN) {
		put_upn(out, value);
		return true;
	}
	if (kinds[i].tag == TAG_IP) {
		bool is_v4 = inet_pton(AF_INET, (const char *)value.data, address) == 1;

		if (!is_v4 && inet_pton(AF_INET6, (const char *)value.data, address) != 1)
			return false;
		value = (struct bytes){address, is_v4 ? 4 : 16};
	}
	der_put(out, kinds[i].tag, value);
	return true;
}

static int
set_san(struct app_binding *binding, const char *value, struct err *e)
{
	/* Whoever writes a binding vouches for it, for a SID too. */
	static const struct app_san_rules any = {.kinds = SAN_ANY, .dns_suffixes = "", .may_have_sid = true};
	char copy[VALUE_SIZE];
	char *rest = copy, *word;
	AUTO_BUF names;
	struct err why = {0};
	size_t list;

	buf_init(&names, NAME_SIZE);
	if ((size_t)snprintf(copy, sizeof(copy), "%s", value) >= sizeof(copy))
		return err_set(e, ERR_FORMAT, 0, "san is too long");
	if (strcasecmp(value, "none") == 0) {
		buf_put_raw(&names, no_names, sizeof(no_names));
		return keep(&binding->san, &names, "san", e);
	}
	list = der_open(&names, DER_SEQUENCE);
	while ((word = strsep(&rest, ",")) != NULL) {
		word += strspn(word, " ");
		if (!app_binding_put_name(&names, word))
			return err_set(e, ERR_FORMAT, 0,
				       "san: \"%.40s\" is none of DNS:, IP:, email:, URI:, UPN: with a value", word);
	}
	der_close(&names, list);
	if (buf_status(&names) == 0 && app_san_check(buf_bytes(&names), &any, &why) != 0)
		return err_set(e, ERR_FORMAT, 0, "%s", why.text);
	return keep(&binding->san, &names, "san", e);
}

static int
set_key(struct app_binding *binding, const char *value, struct err *e)
{
	uint8_t hash[APP_HASH_SIZE] = {0};
	size_t digits = 0;

	for (; *value != '\0'; value++) {
		int digit = bytes_hex_digit(*value);

		if (*value == ':')
			continue;
		if (digit < 0 || digits == 2 * sizeof(hash))
			break;
		hash[digits / 2] = (uint8_t)(hash[digits / 2] << 4 | digit);
		digits++;
	}
	if (*value != '\0' || digits != 2 * sizeof(hash))
		return err_set(e, ERR_FORMAT, 0,
			       "key: the SHA-256 of a SubjectPublicKeyInfo has 64 hexadecimal digits");
	if (binding->has_key)
		return err_set(e, ERR_FORMAT, 0, "key is given twice");
	memcpy(binding->key_hash, hash, sizeof(hash));
	binding->has_key = true;
	return 0;
}

static int
set_template(struct app_binding *binding, const char *value, struct err *e)
{
	if (binding->template_name[0] != '\0')
		return err_set(e, ERR_FORMAT, 0, "template is given twice");
	if (*value == '\0' || strlen(value) >= sizeof(binding->template_name))
		return err_set(e, ERR_FORMAT, 0, "template: not a name of 1 to %zu characters",
			       sizeof(binding->template_name) - 1);
	snprintf(binding->template_name, sizeof(binding->template_name), "%s", value);
	return 0;
}

int
app_binding_set(struct app_binding *binding, const char *word, const char *value, struct err *e)
{
	static const struct {
		const char *word;
		int (*set)(struct app_binding *binding, const char *value, struct err *e);
	} known[] = {{"subject", set_subject}, {"san", set_san}, {"key", set_key}, {"template", set_template}};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (strcmp(known[i].word, word) == 0)
			return known[i].set(binding, value, e);
	}
	return err_set(e, ERR_FORMAT, 0, "\"%.40s\" is none of subject, san, key, template", word);
}

/* Undoes percent escapes in place; false for broken ones and NUL. */
static bool
unescape(char *text)
{
	char *out = text;

	for (; *text != '\0'; text++) {
		int high, low;

		if (*text != '%') {
			*out++ = *text;
			continue;
		}
		high = bytes_hex_digit(text[1]);
		low = high < 0 ? -1 : bytes_hex_digit(text[2]);
		if (low < 0 || (high == 0 && low == 0))
			return false;
		*out++ = (char)(high << 4 | low);
		text += 2;
	}
	*out = '\0';
	return true;
}

int
app_binding_params(struct app_binding *binding, const char *params, struct err *e)
{
	char copy[VALUE_SIZE];
	char *rest = copy, *word;

	if ((size_t)snprintf(copy, sizeof(copy), "%s", params) >= sizeof(copy))
		return err_set(e, ERR_FORMAT, 0, "params are too long");
	while ((word = strsep(&rest, "&")) != NULL) {
		char *value = strchr(word, '=');
		int code;

		if (*word == '\0')
			continue;
		if (value == NULL)
			return err_set(e, ERR_FORMAT, 0, "\"%.40s\" in params is no word=value", word);
		*value++ = '\0';
		if (!unescape(value))
			return err_set(e, ERR_FORMAT, 0, "params: the escapes in %.40s", word);
		code = app_binding_set(binding, word, value, e);
		if (code != 0)
			return code;
	}
	return 0;
}

/* ---- what a request asks for ---- */

static size_t
domain_at(struct bytes email)
{
	size_t i = email.len;

	while (i > 0 && email.data[i - 1] != '@')
		i--;
	return i;
}

/* RFC 5280 7.2, 7.5: names of hosts have no case; anything else is compared octet by octet. */
static bool
is_same_general_name(const struct der *a, const struct der *b)
{
	size_t exact = a->content.len;

	if (a->tag != b->tag || a->content.len != b->content.len)
		return false;
	if (a->tag == TAG_DNS)
		exact = 0;
	else if (a->tag == TAG_EMAIL)
		exact = domain_at(a->content);
	if (exact > 0 && memcmp(a->content.data, b->content.data, exact) != 0)
		return false;
	for (size_t i = exact; i < a->content.len; i++) {
		uint8_t x = a->content.data[i], y = b->content.data[i];

		if (x != y && !((x ^ y) == 0x20 && (x | 0x20) >= 'a' && (x | 0x20) <= 'z'))
			return false;
	}
	return true;
}

/* Is each name of the one list in the other? */
static bool
is_within(struct bytes names, struct bytes others)
{
	struct view list, other_list;
	struct der name, other;

	if (der_whole(names, DER_SEQUENCE, &list) != 0)
		return false;
	while (list.left > 0) {
		bool found = false;

		if (der_next(&list, &name) != 0 || der_whole(others, DER_SEQUENCE, &other_list) != 0)
			return false;
		while (!found && other_list.left > 0) {
			if (der_next(&other_list, &other) != 0)
				return false;
			found = is_same_general_name(&name, &other);
		}
		if (!found)
			return false;
	}
	return true;
}

bool
app_binding_same_san(struct bytes a, struct bytes b)
{
	struct bytes none = {no_names, sizeof(no_names)};

	if (b.len == 0)
		b = none;
	return is_within(a, b) && is_within(b, a);
}

enum app_challenge_verdict
app_binding_check(const struct app_binding *binding, const struct app_claim *claim)
{
	uint8_t hash[APP_HASH_SIZE];
	char sid[APP_SID_SIZE];

	if (claim->needs_template && binding->template_name[0] == '\0')
		return APP_CHALLENGE_BOUND_TEMPLATE;
	if (claim->san.len > 0 && binding->san.len == 0 && app_san_sid(claim->san, sid, NULL) != ERR_UNKNOWN)
		return APP_CHALLENGE_BOUND_SAN;
	if (binding->template_name[0] != '\0' && strcmp(binding->template_name, claim->template_name) != 0)
		return APP_CHALLENGE_BOUND_TEMPLATE;
	if (binding->subject.len > 0 && !app_name_same(binding->subject, claim->name))
		return APP_CHALLENGE_BOUND_SUBJECT;
	if (binding->san.len > 0 && !app_binding_same_san(binding->san, claim->san))
		return APP_CHALLENGE_BOUND_SAN;
	if (binding->has_key)
		x509_sha256(claim->spki, hash);
	if (binding->has_key && memcmp(binding->key_hash, hash, sizeof(hash)) != 0)
		return APP_CHALLENGE_BOUND_KEY;
	if (binding->key_usage != 0 && claim->key_usage != 0 && binding->key_usage != claim->key_usage)
		return APP_CHALLENGE_BOUND_KEY_USAGE;
	return APP_CHALLENGE_OK;
}

unsigned
app_binding_requested_usage(struct bytes extensions)
{
	struct x509_extension extension;
	struct view list, inner;
	struct der bits;
	bool end = false;

	if (extensions.len == 0 || der_whole(extensions, DER_SEQUENCE, &list) != 0)
		return 0;
	while (x509_extension_next(&list, &extension, &end) == 0 && !end) {
		if (!bytes_equal(extension.oid, OID_KEY_USAGE))
			continue;
		inner = view_of(extension.value);
		if (der_expect(&inner, DER_BIT_STRING, &bits) != 0 || bits.content.len < 2)
			return 0;
		/* decipherOnly, the ninth, has no place among the eight, so what asks for it is like nothing else. */
		return bits.content.data[1] | (bits.content.len > 2 ? 0x100U : 0U);
	}
	return 0;
}

/* ---- for people ---- */

/* The text of a user principal name; empty for another otherName. */
static struct bytes
upn_text(struct bytes content)
{
	struct view v = view_of(content);
	struct der type, wrap, text;

	if (der_expect(&v, DER_OID, &type) != 0 || !bytes_equal(type.content, OID_USER_PRINCIPAL_NAME) ||
	    der_expect(&v, DER_CONTEXT_CONSTRUCTED(0), &wrap) != 0)
		return (struct bytes){NULL, 0};
	v = view_of(wrap.content);
	return der_expect(&v, DER_UTF8_STRING, &text) == 0 ? text.content : (struct bytes){NULL, 0};
}

static void
put_name_text(struct buf *out, const struct der *name)
{
	char address[INET6_ADDRSTRLEN] = "";
	struct bytes text = name->content;
	const char *prefix = "DNS:";

	if (name->tag == TAG_IP) {
		prefix = "IP:";
		if (text.len == 4 || text.len == 16)
			inet_ntop(text.len == 4 ? AF_INET : AF_INET6, text.data, address, sizeof(address));
		text = bytes_of_text(address);
	} else if (name->tag == TAG_UPN) {
		prefix = "UPN:";
		text = upn_text(text);
	} else if (name->tag == TAG_EMAIL) {
		prefix = "email:";
	} else if (name->tag == TAG_URI) {
		prefix = "URI:";
	}
	buf_printf(out, "%s%s%.*s", out->len > 0 ? ", " : "", prefix, (int)text.len, (const char *)text.data);
}

char *
app_binding_san_text(struct bytes san, char *out, size_t size)
{
	AUTO_BUF text;
	struct view list;
	struct der name;

	buf_init(&text, NAME_SIZE);
	if (der_whole(san, DER_SEQUENCE, &list) == 0)
		while (list.left > 0 && der_next(&list, &name) == 0)
			put_name_text(&text, &name);
	snprintf(out, size, "%.*s", text.len > 0 ? (int)text.len : 4, text.len > 0 ? (const char *)text.data : "none");
	return out;
}
