#include <openssl/evp.h>

#include "board/base/x509.h"
#include "net/html.h"
#include "tests/lib/test.h"

static char page[32768];

static void
make(const char *host, bool is_tls)
{
	AUTO_BUF out;

	buf_init(&out, sizeof(page) - 1);
	net_html_service(host, is_tls, &out);
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
	CHECK(has("href=\"/ca\"") && has("href=\"/crl\""));
	make("[2001:db8::1]", true);
	CHECK(has("<code>https://[2001:db8::1]/scep</code>"));
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

TEST_MAIN(RUN(a_host_that_could_be_markup_is_not_shown), RUN(the_service_page_says_what_to_type),
	  RUN(a_page_loads_nothing_and_runs_nothing), RUN(the_policy_names_the_style_sheet))
