#include "appliance/ownname.h"

#include "board/base/der.h"
#include "board/base/oid.h"
#include "board/base/x509.h"
#include "tests/lib/certs.h"
#include "tests/lib/test.h"

/* The name for text's common name with suffix, as people read it. */
static const char *
like(const char *cn, const char *suffix)
{
	static char text[300];
	struct bytes name = certs_name(cn);
	AUTO_BUF out;

	buf_init(&out, 4096);
	CHECK_INT(app_ownname_like(name, suffix, &out, NULL), 0);
	x509_name_text(buf_bytes(&out), text, sizeof(text));
	free((void *)name.data);
	return text;
}

TEST(refuses_what_is_no_name)
{
	static const char *const names[] = {"\x30", "\x31\x00", "\x30\x02\x31\x01", "\x30\x02\x30\x00"};
	AUTO_BUF out;

	buf_init(&out, 4096);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		CHECK_INT(
			app_ownname_like((struct bytes){(const uint8_t *)names[i], strlen(names[i])}, " x", &out, NULL),
			ERR_FORMAT);
}

TEST(refuses_every_truncation_of_a_name)
{
	struct bytes name = certs_name("Device CA");

	for (size_t len = 0; len < name.len; len++) {
		AUTO_BUF out;

		buf_init(&out, 4096);
		CHECK_INT(app_ownname_like((struct bytes){name.data, len}, " x", &out, NULL), ERR_FORMAT);
	}
	free((void *)name.data);
}

TEST(puts_the_suffix_behind_the_common_name_and_stays_within_64_characters)
{
	char longest[65];

	CHECK_TEXT(like("Device CA", " RA signing"), "CN=Device CA RA signing");
	memset(longest, 'x', 64);
	longest[64] = '\0';
	CHECK_INT(strlen(like(longest, " RA decryption")), strlen("CN=") + 64);
	CHECK(strstr(like(longest, " RA decryption"), "x RA decryption") != NULL);
}

TEST(cuts_between_characters_and_not_inside_one)
{
	/* 32 times U+00E9 in UTF-8: 64 octets, of which 53 would be left. */
	char name[65];
	AUTO_BUF out;
	struct bytes from;

	for (int i = 0; i < 32; i++)
		memcpy(name + 2 * i, "\xc3\xa9", 2);
	name[64] = '\0';
	from = certs_name(name);
	buf_init(&out, 4096);
	CHECK_INT(app_ownname_like(from, " RA signing", &out, NULL), 0);
	/* 26 characters of two octets, then the suffix at once. */
	CHECK(memmem(out.data, out.len, "\xc3\xa9 RA signing", 13) != NULL);
	free((void *)from.data);
}

TEST(gives_a_ca_without_common_name_one)
{
	AUTO_BUF out;
	char text[100];

	buf_init(&out, 4096);
	CHECK_INT(app_ownname_like((struct bytes){(const uint8_t *)"\x30\x00", 2}, " RA signing", &out, NULL), 0);
	CHECK_TEXT(x509_name_text(buf_bytes(&out), text, sizeof(text)), "CN=Chancery RA signing");
}

static int
tls(const char *names, struct buf *name, struct buf *san)
{
	buf_init(name, 4096);
	buf_init(san, 4096);
	return app_ownname_tls(names, name, san, NULL);
}

TEST(refuses_tls_names_that_are_none)
{
	static const char *const wrong[] = {"",    "   ",        "a b..c",      ".a",   "a_b",
					    "*.a", "host name!", "192.0.2.1/8", "a.b.", "\xc3\xa9.example"};
	AUTO_BUF name;
	AUTO_BUF san;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		CHECK_INT(tls(wrong[i], &name, &san), ERR_CONFIG);
		buf_fini(&name);
		buf_fini(&san);
	}
	buf_init(&name, 16);
	buf_init(&san, 16);
}

TEST(tells_dns_names_from_addresses)
{
	static const uint8_t expected[] =
		"\x30\x22\x82\x04host\x87\x04\xc0\x00\x02\x07\x87\x10\x20\x01\x0d\xb8\x00\x00\x00"
		"\x00\x00\x00\x00\x00\x00\x00\x00\x01\x82\x00";
	AUTO_BUF name;
	AUTO_BUF san;
	char text[100];

	CHECK_INT(tls("  host   192.0.2.7\t2001:db8::1 ", &name, &san), 0);
	CHECK_TEXT(x509_name_text(buf_bytes(&name), text, sizeof(text)), "CN=host");
	CHECK_INT(san.len, 2 + 6 + 6 + 18);
	CHECK(memcmp(san.data + 2, expected + 2, san.len - 2) == 0);
}

TEST(allows_fewer_names_but_no_others)
{
	AUTO_BUF name;
	AUTO_BUF allowed;
	AUTO_BUF name2;
	AUTO_BUF asked;

	CHECK_INT(tls("a.example b.example 192.0.2.7", &name, &allowed), 0);
	CHECK_INT(tls("192.0.2.7 a.example", &name2, &asked), 0);
	CHECK(app_ownname_subset(buf_bytes(&asked), buf_bytes(&allowed)));
	CHECK(!app_ownname_subset(buf_bytes(&allowed), buf_bytes(&asked)));
	for (size_t len = 0; len < asked.len; len++)
		CHECK(!app_ownname_subset((struct bytes){asked.data, len}, buf_bytes(&allowed)));
	for (size_t i = 2; i < asked.len; i++) {
		asked.data[i] ^= 1;
		CHECK(!app_ownname_subset(buf_bytes(&asked), buf_bytes(&allowed)));
		asked.data[i] ^= 1;
	}
}

TEST_MAIN(RUN(refuses_what_is_no_name), RUN(refuses_every_truncation_of_a_name),
	  RUN(puts_the_suffix_behind_the_common_name_and_stays_within_64_characters),
	  RUN(cuts_between_characters_and_not_inside_one), RUN(gives_a_ca_without_common_name_one),
	  RUN(refuses_tls_names_that_are_none), RUN(tells_dns_names_from_addresses),
	  RUN(allows_fewer_names_but_no_others))
