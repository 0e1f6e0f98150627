/* appliance/binding: what operators write, and what it is compared with. */
#include <stdlib.h>

#include "appliance/binding.h"
#include "appliance/cert.h"
#include "appliance/profile_impl.h"
#include "board/base/der.h"
#include "board/base/x509.h"
#include "tests/lib/certs.h"
#include "tests/lib/test.h"

#define KEY_TEXT "000102030405060708090A0B0C0D0E0F101112131415161718191a1b1c1d1e1f"

/* A binding to one value; fails the test when it cannot be read. */
static struct app_binding
bound_to(const char *word, const char *value)
{
	struct app_binding binding = {.key_usage = 0};
	struct err e = {0};

	CHECK_INT(app_binding_set(&binding, word, value, &e), 0);
	CHECK(app_binding_is_any(&binding));
	return binding;
}

/* A SAN extension's content as OpenSSL makes it; the caller frees. */
static struct bytes
san_of(const char *names)
{
	GENERAL_NAMES *list = NULL;
	X509V3_CTX context;
	X509_EXTENSION *extension;
	const unsigned char *p;
	struct bytes san = {NULL, 0};
	ASN1_OCTET_STRING *content;

	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, NULL, NULL, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, NID_subject_alt_name, names);
	CHECK(extension != NULL);
	content = X509_EXTENSION_get_data(extension);
	p = content->data;
	list = d2i_GENERAL_NAMES(NULL, &p, content->length);
	CHECK(list != NULL);
	san = bytes_dup((struct bytes){content->data, (size_t)content->length});
	GENERAL_NAMES_free(list);
	X509_EXTENSION_free(extension);
	return san;
}

/* Is the name, of one string type for all values, the subject of a challenge for bound? */
static bool
subject_fits(const char *bound, const char *name, int type)
{
	static const char *const fields[] = {"CN", "O", "C"};
	struct app_binding binding = bound_to("subject", bound);
	X509_NAME *other = X509_NAME_new();
	unsigned char *der = NULL;
	char copy[256];
	char *rest = copy, *word;
	struct app_claim claim = {.template_name = "t"};
	bool fits;

	snprintf(copy, sizeof(copy), "%s", name);
	while ((word = strsep(&rest, "/")) != NULL) {
		char *value = strchr(word, '=');
		size_t i = 0;

		*value++ = '\0';
		while (strcmp(fields[i], word) != 0)
			i++;
		CHECK_INT(X509_NAME_add_entry_by_txt(other, fields[i], type, (unsigned char *)value, -1, -1, 0), 1);
	}
	claim.name.len = (size_t)i2d_X509_NAME(other, &der);
	claim.name.data = der;
	fits = app_binding_check(&binding, &claim) == APP_CHALLENGE_OK;
	OPENSSL_free(der);
	X509_NAME_free(other);
	app_binding_fini(&binding);
	return fits;
}

static bool
san_fits(const char *bound, const char *names)
{
	struct app_binding binding = bound_to("san", bound);
	struct app_claim claim = {.template_name = "t", .san = names == NULL ? (struct bytes){NULL, 0} : san_of(names)};
	bool fits = app_binding_check(&binding, &claim) == APP_CHALLENGE_OK;

	free((void *)claim.san.data);
	app_binding_fini(&binding);
	return fits;
}

TEST(what_cannot_be_read_is_refused_with_a_reason)
{
	static const struct {
		const char *word, *value, *why;
	} cases[] = {
		{"colour", "red", "colour"},
		{"subject", "", "name"},
		{"subject", "dev1", "name"},
		{"subject", "XX=dev1", "XX"},
		{"subject", "CN=", "CN"},
		{"san", "", "none of DNS:"},
		{"san", "dev1.example", "dev1.example"},
		{"san", "DNS:", "DNS"},
		{"san", "DNS:*.example", "DNS"},
		{"san", "DNS:a.example,,DNS:b.example", "none of DNS:"},
		{"san", "IP:192.0.2", "IP"},
		{"san", "IP:2001:db8::g", "IP"},
		{"san", "email:nobody", "email"},
		{"san", "URI:nothing", "URI"},
		{"san", "UPN:nobody", "UPN"},
		{"san", "dirName:x", "dirName"},
		{"key", "", "64"},
		{"key", "00", "64"},
		{"key", KEY_TEXT "0", "64"},
		{"key", "g" KEY_TEXT, "64"},
		{"template", "", "template"},
		{"template", "a name that is longer than a template's name can be", "template"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct app_binding binding = {.key_usage = 0};
		struct err e = {0};

		CHECK_INT(app_binding_set(&binding, cases[i].word, cases[i].value, &e), ERR_FORMAT);
		CHECK(strstr(e.text, cases[i].why) != NULL);
		CHECK(!app_binding_is_any(&binding));
		app_binding_fini(&binding);
	}
}

TEST(nothing_is_given_twice)
{
	static const char *const cases[][2] = {
		{"subject", "CN=a"}, {"san", "none"}, {"key", KEY_TEXT}, {"template", "device"}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct app_binding binding = bound_to(cases[i][0], cases[i][1]);
		struct err e = {0};

		CHECK_INT(app_binding_set(&binding, cases[i][0], cases[i][1], &e), ERR_FORMAT);
		CHECK(strstr(e.text, "twice") != NULL);
		app_binding_fini(&binding);
	}
}

TEST(a_subject_is_compared_as_a_name)
{
	/* Another one */
	CHECK(!subject_fits("CN=dev1,O=Example", "CN=dev2/O=Example", MBSTRING_UTF8));
	CHECK(!subject_fits("CN=dev1,O=Example", "CN=dev1", MBSTRING_UTF8));
	CHECK(!subject_fits("CN=dev1", "CN=dev1/O=Example", MBSTRING_UTF8));
	CHECK(!subject_fits("CN=dev1,O=Example", "O=Example/CN=dev1", MBSTRING_UTF8)); /* the order of RDNs counts */
	CHECK(!subject_fits("CN=dev1,O=Example", "CN=dev1,O=Example", MBSTRING_UTF8)); /* one value with a comma */
	CHECK(!subject_fits("CN=dev1", "CN=dev1.", MBSTRING_UTF8));
	/* The same in other words (RFC 5280 7.1) */
	CHECK(subject_fits("CN=dev1,O=Example", "CN=dev1/O=Example", V_ASN1_UTF8STRING));
	CHECK(subject_fits("CN=dev1,O=Example", "CN=dev1/O=Example", V_ASN1_PRINTABLESTRING));
	CHECK(subject_fits("CN=dev1,O=Example", "CN=dev1/O=Example", V_ASN1_T61STRING));
	CHECK(subject_fits("CN=dev1,O=Example,C=DE", "CN=DEV1/O=eXAMPLE/C=DE", V_ASN1_PRINTABLESTRING));
	CHECK(subject_fits("CN=dev 1", "CN=dev  1", V_ASN1_PRINTABLESTRING));
}

TEST(a_subject_alternative_name_is_a_set)
{
	CHECK(!san_fits("DNS:a.example", NULL));
	CHECK(!san_fits("DNS:a.example", "DNS:b.example"));
	CHECK(!san_fits("DNS:a.example", "DNS:a.example,DNS:b.example"));
	CHECK(!san_fits("DNS:a.example,DNS:b.example", "DNS:a.example"));
	CHECK(!san_fits("DNS:a.example", "email:a@a.example"));
	CHECK(!san_fits("DNS:a.example", "URI:a.example"));
	CHECK(!san_fits("IP:192.0.2.1", "IP:192.0.2.2"));
	CHECK(!san_fits("email:Ann@a.example", "email:ann@a.example")); /* RFC 5280 7.5 */
	CHECK(!san_fits("URI:urn:a", "URI:urn:A"));
	CHECK(!san_fits("UPN:a@b.example", "otherName:1.3.6.1.4.1.311.20.2.3;UTF8:c@b.example"));
	CHECK(!san_fits("UPN:a@b.example", "otherName:1.3.6.1.4.1.311.20.2.4;UTF8:a@b.example"));
	CHECK(!san_fits("none", "DNS:a.example"));

	CHECK(san_fits("DNS:a.example", "DNS:A.Example"));
	CHECK(san_fits("dns:A.example, DNS:b.example", "DNS:b.example,DNS:a.example"));
	CHECK(san_fits("email:Ann@a.example", "email:Ann@A.EXAMPLE"));
	CHECK(san_fits("IP:192.0.2.1,IP:2001:db8::1", "IP:2001:db8:0:0::1,IP:192.0.2.1"));
	CHECK(san_fits("URI:urn:a", "URI:urn:a"));
	CHECK(san_fits("UPN:a@b.example", "otherName:1.3.6.1.4.1.311.20.2.3;UTF8:a@b.example"));
	CHECK(san_fits("none", NULL));
}

TEST(each_part_is_told_apart)
{
	struct app_binding binding = {.key_usage = 0xa0};
	struct bytes other_name = certs_name("dev2"), name = certs_name("dev1"), spki = certs_spki(certs_rsa());
	struct app_claim right = {"device", name, san_of("DNS:a.example"), spki, 0xa0, false, false};
	struct app_claim wrong;
	char hex[65];
	uint8_t hash[32];

	x509_sha256(spki, hash);
	CHECK_INT(app_binding_set(&binding, "template", "device", NULL), 0);
	CHECK_INT(app_binding_set(&binding, "subject", "CN=dev1", NULL), 0);
	CHECK_INT(app_binding_set(&binding, "san", "DNS:a.example", NULL), 0);
	CHECK_INT(app_binding_set(&binding, "key", bytes_hex((struct bytes){hash, 32}, hex, sizeof(hex)), NULL), 0);
	CHECK_INT(app_binding_check(&binding, &right), APP_CHALLENGE_OK);
	wrong = right;
	wrong.template_name = "server";
	CHECK_INT(app_binding_check(&binding, &wrong), APP_CHALLENGE_BOUND_TEMPLATE);
	wrong = right;
	wrong.name = other_name;
	CHECK_INT(app_binding_check(&binding, &wrong), APP_CHALLENGE_BOUND_SUBJECT);
	wrong.name = (struct bytes){NULL, 0};
	CHECK_INT(app_binding_check(&binding, &wrong), APP_CHALLENGE_BOUND_SUBJECT);
	wrong = right;
	wrong.san = (struct bytes){NULL, 0};
	CHECK_INT(app_binding_check(&binding, &wrong), APP_CHALLENGE_BOUND_SAN);
	wrong = right;
	wrong.spki = name;
	CHECK_INT(app_binding_check(&binding, &wrong), APP_CHALLENGE_BOUND_KEY);
	wrong = right;
	wrong.key_usage = 0x80;
	CHECK_INT(app_binding_check(&binding, &wrong), APP_CHALLENGE_BOUND_KEY_USAGE);
	wrong.key_usage = 0; /* it leaves that to the template */
	CHECK_INT(app_binding_check(&binding, &wrong), APP_CHALLENGE_OK);
	free((void *)right.san.data);
	free((void *)name.data);
	free((void *)other_name.data);
	free((void *)spki.data);
	app_binding_fini(&binding);
}

/* A broken list is no reason to let somebody through, and none to crash. */
TEST(a_broken_subject_alternative_name_fits_nothing)
{
	struct app_binding binding = bound_to("san", "DNS:a.example,email:a@b.example,UPN:c@d.example");
	struct app_claim claim = {.template_name = "t"};
	struct bytes whole = bytes_dup(binding.san);
	uint8_t *changed = (uint8_t *)(uintptr_t)whole.data;
	char text[64];

	for (size_t len = 1; len < whole.len; len++) {
		claim.san = (struct bytes){whole.data, len};
		CHECK_INT(app_binding_check(&binding, &claim), APP_CHALLENGE_BOUND_SAN);
		app_binding_san_text(claim.san, text, sizeof(text));
	}
	claim.san = whole;
	for (size_t i = 0; i < whole.len; i++) {
		changed[i] ^= 0x40;
		CHECK_INT(app_binding_check(&binding, &claim), APP_CHALLENGE_BOUND_SAN);
		app_binding_san_text(claim.san, text, sizeof(text));
		changed[i] ^= 0x40;
	}
	CHECK_INT(app_binding_check(&binding, &claim), APP_CHALLENGE_OK);
	free(changed);
	app_binding_fini(&binding);
}

TEST(params_name_what_they_are_refused_for)
{
	static const char *const wrong[][2] = {
		{"any", "\"any\""},           {"subject", "\"subject\""},
		{"user=me", "\"user\""},      {"subject=CN%3Ddev1&user=me", "\"user\""},
		{"subject=CN%3", "subject"},  {"subject=CN%zz", "subject"},
		{"subject=CN%00", "subject"}, {"san=DNS:a.example&san=DNS:b.example", "twice"},
	};
	struct app_binding binding = {.key_usage = 0};
	char text[64];

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct err e = {0};

		CHECK_INT(app_binding_params(&binding, wrong[i][0], &e), ERR_FORMAT);
		CHECK(strstr(e.text, wrong[i][1]) != NULL);
		app_binding_fini(&binding);
	}
	CHECK_INT(app_binding_params(&binding, "", NULL), 0);
	CHECK(!app_binding_is_any(&binding));
	CHECK_INT(app_binding_params(&binding,
				     "subject=CN%3Ddev1%2CO%3dA%26B&san=DNS:a.example%2Cemail:a%40b.example&"
				     "template=device&key=" KEY_TEXT,
				     NULL),
		  0);
	CHECK_TEXT(x509_name_text(binding.subject, text, sizeof(text)), "CN=dev1, O=A&B");
	CHECK_TEXT(app_binding_san_text(binding.san, text, sizeof(text)), "DNS:a.example, email:a@b.example");
	CHECK_TEXT(binding.template_name, "device");
	CHECK(binding.has_key && binding.key_hash[31] == 0x1f);
	app_binding_fini(&binding);
}

TEST(the_requested_key_usage_is_found)
{
	static const uint8_t usage[] = {0x30, 0x10, 0x30, 0x0e, 0x06, 0x03, 0x55, 0x1d, 0x0f,
					0x01, 0x01, 0xff, 0x04, 0x04, 0x03, 0x02, 0x05, 0xa0};
	static const uint8_t nine[] = {0x30, 0x0e, 0x30, 0x0c, 0x06, 0x03, 0x55, 0x1d,
				       0x0f, 0x04, 0x05, 0x03, 0x03, 0x07, 0x08, 0x80};
	uint8_t copy[sizeof(usage)];

	CHECK_INT(app_binding_requested_usage((struct bytes){NULL, 0}), 0);
	CHECK_INT(app_binding_requested_usage((struct bytes){usage, sizeof(usage)}), 0xa0);
	CHECK_INT(app_binding_requested_usage((struct bytes){nine, sizeof(nine)}), 0x108);
	for (size_t len = 0; len < sizeof(usage); len++)
		CHECK_INT(app_binding_requested_usage((struct bytes){usage, len}), 0);
	for (size_t i = 0; i < sizeof(usage); i++) {
		memcpy(copy, usage, sizeof(usage));
		copy[i] ^= 0x11;
		(void)app_binding_requested_usage((struct bytes){copy, sizeof(copy)});
	}
}

TEST_MAIN(RUN(what_cannot_be_read_is_refused_with_a_reason), RUN(nothing_is_given_twice),
	  RUN(a_subject_is_compared_as_a_name), RUN(a_subject_alternative_name_is_a_set), RUN(each_part_is_told_apart),
	  RUN(a_broken_subject_alternative_name_fits_nothing), RUN(params_name_what_they_are_refused_for),
	  RUN(the_requested_key_usage_is_found))
