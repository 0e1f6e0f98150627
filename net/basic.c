#include "net/basic.h"

#include <string.h>
#include <strings.h>

#include "board/base/der.h"

/* Octets of a name, a colon and a password; and their base64. */
enum {
	PLAIN_MAX = NET_BASIC_NAME_SIZE + NET_BASIC_PASSWORD_MAX,
	DIGITS_MAX = (PLAIN_MAX + 2) / 3 * 4,
};

static int
digit_value(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

/* Four digits to three octets; the last four may end with "=".  The number of octets, or -1. */
static int
decode_four(const char *four, bool is_last, uint8_t out[3])
{
	int padding = !is_last || four[3] != '=' ? 0 : four[2] == '=' ? 2 : 1;
	uint32_t bits = 0;

	for (int i = 0; i < 4; i++) {
		int value = i < 4 - padding ? digit_value(four[i]) : 0;

		if (value < 0)
			return -1;
		bits = bits << 6 | (uint32_t)value;
	}
	/* One text has one form: what the padding leaves over is zero. */
	if ((padding == 1 && (bits & 0xff) != 0) || (padding == 2 && (bits & 0xffff) != 0))
		return -1;
	out[0] = (uint8_t)(bits >> 16);
	out[1] = (uint8_t)(bits >> 8);
	out[2] = (uint8_t)bits;
	return 3 - padding;
}

/* The octets of the text into out, which has room for DIGITS_MAX; their number, or -1. */
static int
decode(const char *text, size_t len, uint8_t *out)
{
	int total = 0;

	if (len == 0 || len > DIGITS_MAX || len % 4 != 0)
		return -1;
	for (size_t i = 0; i < len; i += 4) {
		int n = decode_four(text + i, i + 4 == len, out + total);

		if (n < 0)
			return -1;
		total += n;
	}
	return total;
}

static bool
is_text(struct bytes text)
{
	struct view v = view_of(text);
	uint32_t c;

	while (v.left > 0) {
		if (der_text_next(DER_UTF8_STRING, &v, &c) != 0 || c < 0x20 || c == 0x7f)
			return false;
	}
	return true;
}

static int
split(struct bytes plain, struct net_basic *ret_basic)
{
	const uint8_t *colon = memchr(plain.data, ':', plain.len);
	size_t len = colon != NULL ? (size_t)(colon - plain.data) : 0;
	struct secret *password;

	if (len == 0 || len >= sizeof(ret_basic->name) || plain.len - len - 1 > NET_BASIC_PASSWORD_MAX ||
	    !is_text(plain))
		return ERR_FORMAT;
	if (secret_new(colon + 1, plain.len - len - 1, &password) != 0)
		return ERR_NOMEM;
	memcpy(ret_basic->name, plain.data, len);
	ret_basic->name[len] = '\0';
	ret_basic->password = password;
	return 0;
}

int
net_basic_parse(const char *value, struct net_basic *ret_basic)
{
	static const char scheme[] = "Basic";
	const size_t scheme_len = sizeof(scheme) - 1;
	uint8_t plain[DIGITS_MAX];
	size_t len;
	int n;
	int code = ERR_FORMAT;

	if (value == NULL || strncasecmp(value, scheme, scheme_len) != 0 ||
	    (value[scheme_len] != ' ' && value[scheme_len] != '\0'))
		return ERR_UNKNOWN;
	value += scheme_len;
	value += strspn(value, " ");
	len = strlen(value);
	while (len > 0 && value[len - 1] == ' ')
		len--;
	n = decode(value, len, plain);
	if (n > 0)
		code = split((struct bytes){plain, (size_t)n}, ret_basic);
	secret_wipe(plain, sizeof(plain));
	return code;
}
