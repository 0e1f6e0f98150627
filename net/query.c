#include "net/query.h"

#include <string.h>
#include <strings.h>

enum {
	ESCAPES_MAX = 3, /* how often a client may have escaped the same character */
	DER_FIRST = 0x30,
	BASE64_FIRST = 'M', /* of every encoding of 0x30; "MII" would miss indefinite lengths, "MIA" (C9) */
};

/* A character of the text that has no meaning in base64 and is skipped. */
static const int SKIP = -2;
static const int PADDING = -3;
static const int WRONG = -4;

static bool
is_word(struct bytes v, const char *word)
{
	return v.len == strlen(word) && (v.len == 0 || strncasecmp((const char *)v.data, word, v.len) == 0);
}

/* Cuts v at the first of c: the part before it is returned, the part behind goes to v, empty when there is none. */
static struct bytes
cut(struct bytes *v, char c)
{
	const uint8_t *at = v->len > 0 ? memchr(v->data, c, v->len) : NULL;
	struct bytes before = *v;

	if (at == NULL) {
		*v = (struct bytes){NULL, 0};
		return before;
	}
	before.len = (size_t)(at - v->data);
	*v = (struct bytes){at + 1, v->len - before.len - 1};
	return before;
}

static enum net_query_operation
operation_of(struct bytes text)
{
	static const char *const words[] = {
		[NET_QUERY_GETCACAPS] = "GetCACaps",
		[NET_QUERY_GETCACERT] = "GetCACert",
		[NET_QUERY_GETNEXTCACERT] = "GetNextCACert",
		[NET_QUERY_PKIOPERATION] = "PKIOperation",
	};
	size_t i;

	for (i = NET_QUERY_GETCACAPS; i < ARRAY_SIZE(words); i++) {
		if (is_word(text, words[i]))
			return (enum net_query_operation)i;
	}
	return text.len > 0 ? NET_QUERY_OTHER : NET_QUERY_NONE;
}

/* "http://host/path" → "/path" (RFC 9112 3.2.2); other targets stay. */
static struct bytes
without_host(struct bytes target)
{
	static const char *const schemes[] = {"http://", "https://"};
	struct bytes rest;
	size_t i, len;

	for (i = 0; i < ARRAY_SIZE(schemes); i++) {
		len = strlen(schemes[i]);
		if (target.len < len || strncasecmp((const char *)target.data, schemes[i], len) != 0)
			continue;
		rest = (struct bytes){target.data + len, target.len - len};
		while (rest.len > 0 && rest.data[0] != '/' && rest.data[0] != '?')
			rest = (struct bytes){rest.data + 1, rest.len - 1};
		return rest;
	}
	return target;
}

void
net_query_parse(struct bytes target, struct net_query *ret_query)
{
	struct net_query q = {.operation = NET_QUERY_NONE};
	struct bytes rest = without_host(target), name, value;

	rest = cut(&rest, '#');
	q.path = cut(&rest, '?');
	q.query = rest;
	while (rest.len > 0) {
		value = cut(&rest, '&');
		name = cut(&value, '=');
		if (is_word(name, "operation") && q.operation_text.len == 0) {
			q.operation_text = value;
			q.operation = operation_of(value);
		} else if (is_word(name, "message") && !q.has_message) {
			q.has_message = true;
			q.message = value;
		}
	}
	*ret_query = q;
}

bool
net_query_path_below(struct bytes path, const char *prefix)
{
	size_t len = strlen(prefix);

	if (len > 0 && prefix[len - 1] == '/')
		len--;
	if (path.len < len || (len > 0 && strncasecmp((const char *)path.data, prefix, len) != 0))
		return false;
	return path.len == len || path.data[len] == '/';
}

bool
net_query_path_is(struct bytes path, const char *prefix, const char *rest)
{
	size_t len = strlen(prefix);

	return path.len >= len && net_query_path_below(path, prefix) &&
	       is_word((struct bytes){path.data + len, path.len - len}, rest);
}

/* The next character with its percent-escapes undone; WRONG when one is broken.  v is not at its end. */
static int
next_char(struct view *v)
{
	int c = view_u8(v), high, low, depth;

	for (depth = 0; c == '%'; depth++) {
		high = bytes_hex_digit((char)view_u8(v));
		low = bytes_hex_digit((char)view_u8(v));
		if (depth == ESCAPES_MAX || v->bad || high < 0 || low < 0)
			return WRONG;
		c = high << 4 | low;
	}
	return c;
}

/* Its six bits, or SKIP, PADDING, WRONG. */
static int
base64_value(int c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	switch (c) {
	case '+':
	case ' ': /* a "+" that some form decoder has been at (C1, C2) */
	case '-': /* base64url (C5) */
		return 62;
	case '/':
	case '_':
		return 63;
	case '=':
		return PADDING;
	case '\r':
	case '\n':
	case '\t':
		return SKIP;
	default:
		return WRONG;
	}
}

/* Behind the padding nothing but more of it and white space may come. */
static bool
is_only_padding(struct view *v)
{
	int c, value;

	while (v->left > 0) {
		c = next_char(v);
		value = base64_value(c);
		if (c != ' ' && value != PADDING && value != SKIP)
			return false;
	}
	return true;
}

int
net_query_message(struct bytes text, struct buf *out, struct err *e)
{
	struct view v = view_of(text);
	uint32_t bits = 0;
	size_t digits = 0;
	int value;

	while (v.left > 0) {
		value = base64_value(next_char(&v));
		if (value == SKIP)
			continue;
		if (value == PADDING && is_only_padding(&v))
			break;
		if (value < 0)
			return err_set(e, ERR_FORMAT, 0, "the message is no base64 at octet %zu of %zu",
				       text.len - v.left, text.len);
		bits = bits << 6 | (uint32_t)value;
		digits++;
		if (digits % 4 != 1)
			buf_put_u8(out, (uint8_t)(bits >> (6 - 2 * ((digits + 3) % 4))));
	}
	if (digits == 0 || digits % 4 == 1)
		return err_set(e, ERR_FORMAT, 0, "the message has %zu base64 digits", digits);
	if (buf_status(out) != 0)
		return err_set(e, buf_status(out), 0, "the message is too long");
	return 0;
}

int
net_query_body(struct bytes body, struct buf *store, struct bytes *ret_der, struct err *e)
{
	size_t begin = store->len;
	int rc;

	if (body.len > 0 && body.data[0] == DER_FIRST) {
		*ret_der = body;
		return 0;
	}
	if (body.len == 0 || body.data[0] != BASE64_FIRST)
		return err_set(e, ERR_FORMAT, 0, "the body is neither DER nor base64 (%zu octets)", body.len);
	rc = net_query_message(body, store, e);
	if (rc == 0)
		*ret_der = (struct bytes){store->data + begin, store->len - begin};
	return rc;
}
