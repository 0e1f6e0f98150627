#include <openssl/evp.h>

#include "board/base/x509.h"
#include "board/msg.h"
#include "net/html.h"
#include "tests/lib/test.h"

static char page[32768];
static const char *profile = "";

static void
make(const char *host, bool is_tls)
{
	AUTO_BUF out;

	buf_init(&out, sizeof(page) - 1);
	net_html_service(host, is_tls, profile, &out);
	CHECK_INT(buf_status(&out), 0);
	memcpy(page, out.data, out.len);
	page[out.len] = '\0';
}

static bool
has(const char *text)
{
	return strstr(page, text) != NULL;
}

TEST(a_host_that_could_be_markup_is_not_shown)
{
	static const char *const hosts[] = {"<script>", "a\"b", "a b", "a/b", "a&b", "a'b", "", NULL};

	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		make(hosts[i], false);
		CHECK(has("<code>http://THIS-SERVER/certsrv/mscep/mscep.dll</code>"));
	}
}

TEST(the_service_page_says_what_to_type)
{
	make("pki.example:8080", false);
	CHECK(has("<code>http://pki.example:8080/certsrv/mscep/mscep.dll</code>"));
	CHECK(has("<title>Network Device Enrollment Service</title>"));
	CHECK(has("href=\"/ca/current\"") && has("href=\"/crl/current\""));
	make("[2001:db8::1]", true);
	CHECK(has("<code>https://[2001:db8::1]/scep</code>"));
}

TEST(the_page_of_a_profile_shows_its_address_alone)
{
	profile = "routers";
	make("pki.example", true);
	profile = "";
	CHECK(has("<code>https://pki.example/scep/routers</code>"));
	CHECK(!has("mscep"));
}

TEST(a_page_loads_nothing_and_runs_nothing)
{
	make("a", false);
	CHECK(!has("<script") && !has("src=") && !has("@import") && !has("url("));
}

TEST(the_policy_names_the_style_sheet)
{
	char quoted[80] = "'sha256-";
	uint8_t hash[32];

	x509_sha256(bytes_of_text(net_html_style), hash);
	EVP_EncodeBlock((unsigned char *)quoted + 8, hash, sizeof(hash));
	strcat(quoted, "'");
	CHECK(strstr(net_html_policy, quoted) != NULL);
	CHECK(strncmp(net_html_policy, "default-src 'none';", 19) == 0);
	make("a", false);
	CHECK(has(net_html_style));
}

static void
make_admin(int status)
{
	struct net_html_admin m = {
		.status = status,
		.challenge = bytes_of_text("0123456789ABCDEF"),
		.minutes = 60,
		.limit = 5,
		.ca = bytes_of_text("abc"),
	};
	AUTO_BUF out;

	buf_init(&out, sizeof(page) - 1);
	net_html_admin(&m, &out);
	CHECK_INT(buf_status(&out), 0);
	memcpy(page, out.data, out.len);
	page[out.len] = '\0';
}

/* The expression by which programs find the challenge: "The enrollment challenge password is: <B> (\\S*)". */
TEST(programs_find_challenge_and_thumbprint)
{
	make_admin(ADMIN_GRANTED);
	CHECK(has("The enrollment challenge password is: <B> 0123456789ABCDEF </B>"));
	CHECK(has(
		"The thumbprint (hash value) for the CA certificate is: <B> 90015098 3CD24FB0 D6963F7D 28E17F72 </B>"));
	CHECK(has("SHA-1 thumbprint: <b>A9993E364706816ABA3E25717850C26C9CD0D89D</b>"));
	CHECK(has("<b>BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD</b>"));
	CHECK(has("will expire within 60 minutes"));
	make_admin(ADMIN_STATIC);
	CHECK(has("will not expire"));
}

TEST(programs_find_why_there_is_no_challenge)
{
	make_admin(ADMIN_FULL);
	CHECK(has("The password cache is full.") && !has("password is: <B>") && has("5 passwords are open"));
	make_admin(ADMIN_DENIED);
	CHECK(has("You do not have sufficient permission to enroll with SCEP."));
	CHECK(!has("password is: <B>") && !has("The password cache is full."));
}

TEST(a_challenge_that_could_be_markup_is_escaped)
{
	struct net_html_admin m = {
		.status = ADMIN_STATIC, .challenge = bytes_of_text("a<b>&\"' \xc3\xa4"), .ca = bytes_of_text("c")};
	AUTO_BUF out;

	buf_init(&out, sizeof(page) - 1);
	net_html_admin(&m, &out);
	memcpy(page, out.data, out.len);
	page[out.len] = '\0';
	CHECK(has("<B> a&#60;b&#62;&#38;&#34;&#39;&#32;&#195;&#164; </B>"));
	for (size_t i = 0; i < out.len; i++)
		CHECK(out.data[i] < 0x80);
}

TEST_MAIN(RUN(a_host_that_could_be_markup_is_not_shown), RUN(the_service_page_says_what_to_type),
	  RUN(the_page_of_a_profile_shows_its_address_alone), RUN(a_page_loads_nothing_and_runs_nothing),
	  RUN(the_policy_names_the_style_sheet), RUN(programs_find_challenge_and_thumbprint),
	  RUN(programs_find_why_there_is_no_challenge), RUN(a_challenge_that_could_be_markup_is_escaped))
