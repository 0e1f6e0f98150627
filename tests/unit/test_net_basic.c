/*
 * The Authorization field of Basic: what is read, and all that is not.
 */
#include <stdlib.h>

#include <openssl/evp.h>

#include "net/basic.h"
#include "tests/lib/test.h"

static struct net_basic basic;

static int
parse(const char *value)
{
	secret_free(basic.password);
	memset(&basic, 0, sizeof(basic));
	return net_basic_parse(value, &basic);
}

/* The field for these octets; static storage. */
static const char *
field(const void *plain, size_t len)
{
	static char value[32768];

	strcpy(value, "Basic ");
	(void)EVP_EncodeBlock((unsigned char *)value + 6, plain, (int)len);
	return value;
}

static int
parse_plain(const char *plain)
{
	return parse(field(plain, strlen(plain)));
}

static bool
has(const char *name, const char *password)
{
	return strcmp(basic.name, name) == 0 && bytes_equal(secret_bytes(basic.password), bytes_of_text(password));
}

TEST(what_is_not_basic_is_none)
{
	CHECK_INT(parse(NULL), ERR_UNKNOWN);
	CHECK_INT(parse(""), ERR_UNKNOWN);
	CHECK_INT(parse("Negotiate YIIJvwYGKwYBBQUC"), ERR_UNKNOWN);
	CHECK_INT(parse("Basically YTpi"), ERR_UNKNOWN);
	CHECK_INT(parse("Bearer YTpi"), ERR_UNKNOWN);
	CHECK(basic.password == NULL);
}

TEST(what_is_bad_base64_is_refused)
{
	static const char *const bad[] = {
		"Basic",           "Basic ",        "Basic YTp",  "Basic YTpi=",  "Basic YTpiY",    "Basic YTpiYg=",
		"Basic YTpi====",  "Basic =YTp",    "Basic Y=pi", "Basic YT=i",   "Basic YTpiYh==", "Basic YTpiYmN=",
		"Basic YTpi YTpi", "Basic YTp\xff", "Basic YT-_", "Basic YTpi\t", "Basic YTpi\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (parse(bad[i]) != ERR_FORMAT)
			fail_msg("%s", bad[i]);
}

TEST(what_holds_no_name_and_password_is_refused)
{
	char longest[2000];

	CHECK_INT(parse_plain("no colon"), ERR_FORMAT);
	CHECK_INT(parse_plain(":no name"), ERR_FORMAT);
	CHECK_INT(parse_plain(":"), ERR_FORMAT);
	CHECK_INT(parse(field("na\0me:password", 14)), ERR_FORMAT);
	CHECK_INT(parse(field("name:pass\0word", 14)), ERR_FORMAT);
	CHECK_INT(parse(field("name:password\0", 14)), ERR_FORMAT);
	CHECK_INT(parse_plain("name:pass\nword"), ERR_FORMAT);
	CHECK_INT(parse_plain("na\x7fme:password"), ERR_FORMAT);
	CHECK_INT(parse_plain("name:\xff\xfe"), ERR_FORMAT);
	CHECK_INT(parse_plain("name:\xc3"), ERR_FORMAT);
	CHECK_INT(parse_plain("n\xe4me:latin1"), ERR_FORMAT);
	CHECK_INT(parse_plain("name:\xed\xa0\x80"), ERR_FORMAT);
	memset(longest, 'x', sizeof(longest));
	longest[64] = ':';
	CHECK_INT(parse(field(longest, 100)), ERR_FORMAT);
	longest[64] = 'x';
	longest[63] = ':';
	CHECK_INT(parse(field(longest, 100)), 0);
	CHECK_INT(parse(field(longest, 64 + 1024)), 0);
	CHECK_INT(secret_bytes(basic.password).len, 1024);
	CHECK_INT(parse(field(longest, 64 + 1025)), ERR_FORMAT);
}

TEST(what_is_much_too_long_is_refused)
{
	char *value = malloc(70000);

	for (size_t len = 9990; len < 10010; len++) {
		memset(value, 'A', len);
		memcpy(value, "Basic YTpi", 10);
		value[len] = '\0';
		CHECK_INT(parse(value), ERR_FORMAT);
	}
	memset(value, 'A', 65535);
	memcpy(value, "Basic YTpi", 10);
	value[65535] = '\0';
	CHECK_INT(parse(value), ERR_FORMAT);
	free(value);
}

TEST(name_and_password_are_read)
{
	CHECK_INT(parse("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), 0);
	CHECK(has("Aladdin", "open sesame"));
	CHECK_INT(parse("bAsIc   QWxhZGRpbjpvcGVuIHNlc2FtZQ==  "), 0);
	CHECK(has("Aladdin", "open sesame"));
	CHECK_INT(parse("Basic dGVzdDoxMjPCow=="), 0);
	CHECK(has("test", "123\xc2\xa3"));
	CHECK_INT(parse_plain("name:with:colons::"), 0);
	CHECK(has("name", "with:colons::"));
	CHECK_INT(parse_plain("name:"), 0);
	CHECK(has("name", ""));
}

TEST(cut_or_changed_fields_do_no_harm)
{
	const char good[] = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
	char value[sizeof(good)];

	for (size_t len = 0; len < sizeof(good) - 1; len++) {
		memcpy(value, good, len);
		value[len] = '\0';
		(void)!parse(value);
	}
	for (size_t i = 0; i < sizeof(good) - 1; i++) {
		for (int c = 1; c < 256; c++) {
			memcpy(value, good, sizeof(good));
			value[i] = (char)c;
			(void)!parse(value);
		}
	}
	(void)!parse(NULL);
}

TEST_MAIN(RUN(what_is_not_basic_is_none), RUN(what_is_bad_base64_is_refused),
	  RUN(what_holds_no_name_and_password_is_refused), RUN(what_is_much_too_long_is_refused),
	  RUN(name_and_password_are_read), RUN(cut_or_changed_fields_do_no_harm))
