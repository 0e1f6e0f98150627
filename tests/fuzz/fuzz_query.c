/*
 * net/query: the target of a request and base64 as clients send it.  Way 0 a target, 1 a message's text, 2 a POST body,
 * 3 octets that come back whatever a client does to their base64.
 */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "net/query.h"
#include "tests/fuzz/ground.h"

enum { OUT_MAX = 65536, ROUND_MAX = 4096 };

static bool
is_within(struct bytes part, struct bytes whole)
{
	return part.len == 0 || (part.data >= whole.data && part.data + part.len <= whole.data + whole.len);
}

static void
check_target(struct bytes target)
{
	struct net_query query, again;
	AUTO_BUF joined;

	net_query_parse(target, &query);
	HOLDS(is_within(query.path, target) && is_within(query.query, target));
	HOLDS(is_within(query.operation_text, target) && is_within(query.message, target));
	HOLDS(query.has_message || query.message.len == 0);
	HOLDS((query.operation == NET_QUERY_NONE) == (query.operation_text.len == 0));
	HOLDS(query.path.len == 0 || memchr(query.path.data, '?', query.path.len) == NULL);
	/* Path and query alone are the same request. */
	buf_init(&joined, target.len + 8);
	buf_put_raw(&joined, query.path.data, query.path.len);
	buf_put_u8(&joined, '?');
	buf_put_raw(&joined, query.query.data, query.query.len);
	if (query.path.len > 0 && query.path.data[0] == '/') {
		net_query_parse(buf_bytes(&joined), &again);
		HOLDS(again.operation == query.operation && bytes_equal(again.message, query.message));
	}
	HOLDS(!net_query_path_below(query.path, "/scep") || query.path.len >= 5);
}

/* What was decoded comes back from its plain base64. */
static void
check_message(struct bytes text)
{
	AUTO_BUF out, plain, again;
	int len;

	buf_init(&out, OUT_MAX);
	buf_init(&again, OUT_MAX);
	buf_init(&plain, 2 * OUT_MAX);
	if (net_query_message(text, &out, NULL) != 0)
		return;
	HOLDS(out.len > 0 && buf_status(&out) == 0);
	len = EVP_EncodeBlock(buf_put_room(&plain, out.len / 3 * 4 + 8), out.data, (int)out.len);
	plain.len = (size_t)len;
	HOLDS(net_query_message(buf_bytes(&plain), &again, NULL) == 0);
	HOLDS(bytes_equal(buf_bytes(&out), buf_bytes(&again)));
}

static void
check_body(struct bytes body)
{
	struct bytes der;
	AUTO_BUF store;

	buf_init(&store, OUT_MAX);
	if (net_query_body(body, &store, &der, NULL) != 0)
		return;
	HOLDS(is_within(der, body) || is_within(der, buf_bytes(&store)));
	HOLDS(der.len > 0 && (der.data[0] & 0xfc) == 0x30); /* "M" is six bits of it */
}

/* One character as some client would send it. */
static void
put_character(struct buf *out, char c, uint8_t how)
{
	char plus = "++- "[how & 3], slash = "//__"[how & 3];

	if (c == '+')
		c = plus;
	else if (c == '/')
		c = slash;
	if ((how & 0x70) == 0x10)
		buf_printf(out, "%%0A");
	if ((how & 0x70) == 0x20)
		buf_printf(out, "\r\n");
	if ((how & 0x0c) == 0x04 || (c == ' ' && (how & 0x08) != 0))
		buf_printf(out, "%%%02X", (unsigned char)c);
	else if ((how & 0x0c) == 0x08)
		buf_printf(out, "%%25%02x", (unsigned char)c);
	else
		buf_put_u8(out, (uint8_t)c);
}

static void
check_round(struct bytes input)
{
	struct bytes octets = ground_take_part(&input);
	AUTO_BUF text = {0}, out = {0}, sent = {0};
	int len;

	if (octets.len == 0 || octets.len > ROUND_MAX)
		return;
	buf_init(&text, 2 * ROUND_MAX);
	buf_init(&sent, 64 * ROUND_MAX);
	buf_init(&out, ROUND_MAX);
	len = EVP_EncodeBlock(buf_put_room(&text, octets.len / 3 * 4 + 8), octets.data, (int)octets.len);
	for (int i = 0; i < len; i++)
		put_character(&sent, (char)text.data[i], ground_take_u8(&input));
	HOLDS(net_query_message(buf_bytes(&sent), &out, NULL) == 0);
	HOLDS(bytes_equal(buf_bytes(&out), octets));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes input = {data, size};

	switch (ground_take_u8(&input) % 4) {
	case 0:
		check_target(input);
		break;
	case 1:
		check_message(input);
		break;
	case 2:
		check_body(input);
		break;
	default:
		check_round(input);
		break;
	}
	return 0;
}

void
fuzz_seeds(void)
{
	AUTO_BUF round;

	ground_seed_way("caps", 0, bytes_of_text("/scep?operation=GetCACaps"));
	ground_seed_way("message", 0,
			bytes_of_text("/scep/pkiclient.exe?operation=PKIOperation&message=MIIB%2BgYJ+a=="));
	ground_seed_way("absolute", 0, bytes_of_text("http://host:80/SCEP/?Operation=getcacert&message=CA%20name"));
	ground_seed_way("text", 1, bytes_of_text("MIIB%2BgYJKoZIhvcN-_AQcC%250A MIIB%3D%3D"));
	ground_seed_way("body", 2, bytes_of_text("MIIBAA==\r\n"));
	ground_seed_way("der", 2, bytes_of_text("0\x03\x02\x01\x01"));
	buf_init(&round, 100);
	ground_put_part(&round, bytes_of_text("\xfb\xff\xbf octets"));
	buf_put_raw(&round, "\0\1\2\3\4\5\6\7\x08\x09\x10\x14\x21\x26", 14);
	ground_seed_way("round", 3, buf_bytes(&round));
}
