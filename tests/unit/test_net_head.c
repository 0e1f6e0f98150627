#include "net/head.h"
#include "tests/lib/test.h"

static struct config conf;
static const char *why;

/* What becomes of a head that arrives in pieces of this many octets. */
static int
feed(const char *text, size_t piece, struct net_head *head)
{
	struct bytes rest = bytes_of_text(text);
	int status = 0;

	memset(head, 0, sizeof(*head));
	why = "";
	while (rest.len > 0 && status == 0) {
		struct bytes part = {rest.data, rest.len < piece ? rest.len : piece};

		status = net_head_feed(head, part, &conf, &why);
		rest = (struct bytes){rest.data + part.len, rest.len - part.len};
	}
	return status;
}

/* The same, in pieces of every size. */
static void
expect(int status, const char *text, const char *limit)
{
	struct net_head head;

	config_default(&conf);
	conf.front_url_bytes = 100;
	conf.front_field_bytes = 50;
	conf.front_header_bytes = 400;
	for (size_t piece = 1; piece <= strlen(text); piece++) {
		CHECK_INT(feed(text, piece, &head), status);
		CHECK(strstr(why, limit) != NULL);
		CHECK(status == 0 || head.is_over);
	}
}

TEST(a_request_line_that_cannot_hold_an_allowed_url_is_refused)
{
	char text[400];

	snprintf(text, sizeof(text), "GET /%0160d", 0);
	expect(0, text, "");
	snprintf(text, sizeof(text), "GET /%0162d", 0);
	expect(414, text, "maxUrl");
}

TEST(a_field_one_octet_too_long_is_refused)
{
	char text[400];

	snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nX: %047d\r\n\r\n", 0);
	expect(0, text, "");
	snprintf(text, sizeof(text), "GET / HTTP/1.1\nX: %047d\n\n", 0);
	expect(0, text, "");
	snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nX: %048d\r\n\r\n", 0);
	expect(431, text, "MaxFieldLength");
	snprintf(text, sizeof(text), "GET / HTTP/1.1\nX: %048d\n\n", 0);
	expect(431, text, "MaxFieldLength");
	snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nX: %0350d", 0);
	expect(431, text, "MaxFieldLength");
}

TEST(a_header_one_octet_too_long_is_refused)
{
	char text[500] = "GET / HTTP/1.1\r\n"; /* 16 octets, and 40 for each field */

	for (int i = 0; i < 9; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "X: %035d\r\n", i);
	snprintf(text + strlen(text), sizeof(text) - strlen(text), "Y: %017d\r\n\r\n", 0);
	CHECK_INT(strlen(text), 400);
	expect(0, text, "");
	text[376] = 'Z';
	snprintf(text + 379, sizeof(text) - 379, "%018d\r\n\r\n", 0);
	CHECK_INT(strlen(text), 401);
	expect(431, text, "MaxRequestBytes");
}

TEST(a_field_that_goes_on_in_the_next_line_is_refused)
{
	expect(400, "GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n", "next line");
	expect(400, "GET / HTTP/1.1\r\n\tb\r\n\r\n", "next line");
	expect(0, "GET / HTTP/1.1\r\nX: a b\r\n\r\n", "");
}

TEST(what_comes_after_the_head_is_not_counted)
{
	struct net_head head;
	char text[2000];

	snprintf(text, sizeof(text), "POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n%01000d\n\n", 0);
	expect(0, text, "");
	CHECK_INT(feed(text, 7, &head), 0);
	CHECK(head.is_over);
	CHECK_INT(feed("GET / HTTP/1.1\r\nHost: a\r\n\r", 3, &head), 0);
	CHECK(!head.is_over);
}

TEST_MAIN(RUN(a_request_line_that_cannot_hold_an_allowed_url_is_refused), RUN(a_field_one_octet_too_long_is_refused),
	  RUN(a_header_one_octet_too_long_is_refused), RUN(a_field_that_goes_on_in_the_next_line_is_refused),
	  RUN(what_comes_after_the_head_is_not_counted))
