/* Request targets and base64 as clients send them; C1 to C17 are the lessons in facts/scep-est-peers.md. */
#include <stdlib.h>

#include "net/query.h"
#include "tests/lib/test.h"

static struct net_query
parse(const char *target)
{
	struct net_query q;

	net_query_parse(bytes_of_text(target), &q);
	return q;
}

static bool
is_text(struct bytes v, const char *text)
{
	return bytes_equal(v, bytes_of_text(text));
}

/* Decodes text; the result must be want, or the code when want is NULL. */
static void
check_decode(const char *text, const char *want, size_t want_len, int code)
{
	struct err e = {0};
	AUTO_BUF out;
	int rc;

	buf_init(&out, 64);
	rc = net_query_message(bytes_of_text(text), &out, &e);
	if (rc != code)
		fail_msg("\"%s\" gives %d, not %d", text, rc, code);
	if (code == 0)
		CHECK_BYTES(buf_bytes(&out), want, want_len);
	else
		CHECK(e.text[0] != '\0');
}

TEST(operations_are_found_whatever_their_case)
{
	static const struct {
		const char *target;
		enum net_query_operation operation;
		const char *path;
	} cases[] = {
		{"/scep?operation=GetCACaps", NET_QUERY_GETCACAPS, "/scep"},
		{"/scep?OPERATION=getcacert", NET_QUERY_GETCACERT, "/scep"},
		{"/scep?operation=GetNextCACert", NET_QUERY_GETNEXTCACERT, "/scep"},
		{"/scep?message=x&Operation=PKIOPERATION", NET_QUERY_PKIOPERATION, "/scep"},
		{"/scep?operation=PKIOperation&operation=GetCACaps", NET_QUERY_PKIOPERATION, "/scep"},
		{"/scep/pkiclient.exe?operation=GetCACert&message=0", NET_QUERY_GETCACERT, "/scep/pkiclient.exe"},
		{"http://ca.example:8080/scep?operation=GetCACaps", NET_QUERY_GETCACAPS, "/scep"},
		{"HTTPS://ca.example?operation=GetCACaps", NET_QUERY_GETCACAPS, ""},
		{"/scep?operation=GetCACaps#top", NET_QUERY_GETCACAPS, "/scep"},
		{"/scep?&&operation=GetCACaps&", NET_QUERY_GETCACAPS, "/scep"},
		{"/scep?operation=GetCACert2", NET_QUERY_OTHER, "/scep"},
		{"/scep?operation=Get", NET_QUERY_OTHER, "/scep"},
		{"/scep?operation=", NET_QUERY_NONE, "/scep"},
		{"/scep?operation", NET_QUERY_NONE, "/scep"},
		{"/scep?", NET_QUERY_NONE, "/scep"},
		{"/scep", NET_QUERY_NONE, "/scep"},
		{"", NET_QUERY_NONE, ""},
		{"?operation=GetCACaps", NET_QUERY_GETCACAPS, ""},
		{"/scep?xoperation=GetCACaps", NET_QUERY_NONE, "/scep"},
	};
	struct net_query q;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		q = parse(cases[i].target);
		if (q.operation != cases[i].operation || !is_text(q.path, cases[i].path))
			fail_msg("%s gives operation %d", cases[i].target, (int)q.operation);
	}
}

TEST(message_is_given_as_sent)
{
	CHECK(is_text(parse("/s?operation=GetCACert&message=CA+Ident%20x").message, "CA+Ident%20x"));
	CHECK(is_text(parse("/s?operation=PKIOperation&message=MIIB/w==&x=1").message, "MIIB/w=="));
	CHECK(is_text(parse("/s?MESSAGE=a&message=b").message, "a"));
	CHECK(parse("/s?message=").has_message);
	CHECK_INT(parse("/s?message=").message.len, 0);
	CHECK(!parse("/s?messages=x").has_message);
	CHECK(is_text(parse("/s?operation=foo%0a").operation_text, "foo%0a"));
}

TEST(paths_below_a_prefix_belong_to_it)
{
	static const struct {
		const char *path, *prefix;
		bool below;
	} cases[] = {
		{"/scep", "/scep", true},
		{"/scep/", "/scep", true},
		{"/SCEP/pkiclient.exe", "/scep", true},
		{"/scep/pkiclient.exe", "/scep/", true},
		{"/scepx", "/scep", false},
		{"/sce", "/scep", false},
		{"", "/scep", false},
		{"/", "/", true},
		{"/any", "/", true},
		{"/CertSrv/mscep/MSCEP.dll", "/certsrv/mscep/mscep.dll", true},
		{"/certsrv/mscep_admin", "/certsrv/mscep", false},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		if (net_query_path_below(bytes_of_text(cases[i].path), cases[i].prefix) != cases[i].below)
			fail_msg("%s below %s", cases[i].path, cases[i].prefix);
	}
}

/* fb ff fe 3f encodes as "+//+Pw==", with all the characters that clients get wrong. */
TEST(base64_is_repaired_as_each_client_breaks_it)
{
	static const char want[] = "\xfb\xff\xfe\x3f";
	static const char *const texts[] = {
		"+//+Pw==",                         /* C4, C8: bare */
		" // Pw==",                         /* C1, C2: "+" became a space */
		"%20//%20Pw==",                     /* and then was escaped */
		"%2B%2F%2F%2BPw%3D%3D",             /* all escaped */
		"%2b%2f%2f%2bPw%3d%3d",             /* in lower case */
		"+//+Pw%3D%3D",                     /* C4: macOS escapes "=" only */
		"%2B//%2BPw==",                     /* C8: sscep escapes "+" and leaves "/" */
		"%252B%252F%252F%252BPw%253D%253D", /* escaped twice */
		"%25252B//%25252BPw==",             /* three times */
		"-__-Pw==",                         /* C5: base64url */
		"-__-Pw",                           /* C5: without padding */
		"+//+Pw",                           /* without padding */
		"+//+Pw=",                          /* half of it */
		"+//+%0APw==",                      /* C8: wrapped, escaped line feed */
		"+//+%0D%0APw==",                   /* and CR LF */
		"+//+\nPw==\n",                     /* line feeds as they are */
		"+//+\r\nPw==\r\n",
		"\t+//+Pw==%0A",
		"+//+Pw==%20", /* space behind the padding */
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(texts); i++)
		check_decode(texts[i], want, 4, 0);
}

TEST(what_is_no_base64_is_refused)
{
	static const char *const texts[] = {
		"",
		"%0A",
		"=",
		"==",
		"A",
		"AAAAA",
		"AA!A",
		"AA*A",
		"AA==AA",
		"AA=A",
		"AA%",
		"AA%4",
		"AA%zz",
		"%25%25",
		"AA%252",
		"%2525252541AAA",
		("AA\x80"
		 "A"),
		"AA.A",
		"AA,A",
		"{}",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(texts); i++)
		check_decode(texts[i], NULL, 0, ERR_FORMAT);
}

TEST(a_message_longer_than_the_buffer_is_refused)
{
	char text[200];

	memset(text, 'A', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	check_decode(text, NULL, 0, ERR_LIMIT);
}

/* Writes base64 of data broken after every width characters; width 0: not at all. */
static size_t
encode(const uint8_t *data, size_t len, size_t width, const char *line_end, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t i, n = 0, column = 0;
	uint32_t bits;
	int k;

	for (i = 0; i < len; i += 3) {
		bits = (uint32_t)data[i] << 16 | (uint32_t)(i + 1 < len ? data[i + 1] : 0) << 8;
		bits |= i + 2 < len ? data[i + 2] : 0;
		for (k = 0; k < 4; k++) {
			out[n++] = k > 1 && i + (size_t)k > len ? '=' : digits[bits >> (18 - 6 * k) & 63];
			if (width == 0 || ++column % width != 0)
				continue;
			memcpy(out + n, line_end, strlen(line_end));
			n += strlen(line_end);
		}
	}
	return n;
}

TEST(every_length_and_line_width_comes_out_whole)
{
	static const char *const ends[] = {"\n", "\r\n", "%0A", "%0D%0A"};
	static const size_t widths[] = {0, 1, 64, 76};
	uint8_t data[130];
	char text[2000];
	size_t len, i, j, n;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 151 + 7);
	for (len = 1; len <= sizeof(data); len++) {
		for (i = 0; i < ARRAY_SIZE(widths) * ARRAY_SIZE(ends); i++) {
			AUTO_BUF out;

			j = i / ARRAY_SIZE(ends);
			buf_init(&out, sizeof(data));
			n = encode(data, len, widths[j], ends[i % ARRAY_SIZE(ends)], text);
			CHECK_INT(net_query_message((struct bytes){(uint8_t *)text, n}, &out, NULL), 0);
			CHECK_BYTES(buf_bytes(&out), data, len);
		}
	}
}

/* C9 */
TEST(a_body_may_be_der_or_base64_text)
{
	static const struct bytes der = {(const uint8_t *)"\x30\x80\x00\x00", 4};
	struct bytes found = {NULL, 0};
	AUTO_BUF store;

	buf_init(&store, 100);
	CHECK_INT(net_query_body(der, &store, &found, NULL), 0);
	CHECK(found.data == der.data && found.len == der.len);
	CHECK_INT(net_query_body(bytes_of_text("MIAA\nAA=="), &store, &found, NULL), 0);
	CHECK_BYTES(found, der.data, der.len);
	CHECK_INT(net_query_body(bytes_of_text("MIA!"), &store, &found, NULL), ERR_FORMAT);
	CHECK_INT(net_query_body(bytes_of_text("<xml>"), &store, &found, NULL), ERR_FORMAT);
	CHECK_INT(net_query_body((struct bytes){NULL, 0}, &store, &found, NULL), ERR_FORMAT);
}

TEST_MAIN(RUN(operations_are_found_whatever_their_case), RUN(message_is_given_as_sent),
	  RUN(paths_below_a_prefix_belong_to_it), RUN(base64_is_repaired_as_each_client_breaks_it),
	  RUN(what_is_no_base64_is_refused), RUN(a_message_longer_than_the_buffer_is_refused),
	  RUN(every_length_and_line_width_comes_out_whole), RUN(a_body_may_be_der_or_base64_text))
