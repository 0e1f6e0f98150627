#include "appliance/profile.h"

#include <openssl/rsa.h>

#include "board/base/der.h"
#include "board/base/oid.h"
#include "board/base/x509.h"
#include "tests/lib/certs.h"
#include "tests/lib/test.h"

#define LITERAL(s) ((struct bytes){(const uint8_t *)(s), sizeof(s) - 1})
#define OID_UPN    "\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x14\x02\x03"

static void
bytes_free(struct bytes *v)
{
	free((void *)v->data);
}

#define AUTO_BYTES __attribute__((cleanup(bytes_free))) struct bytes

static struct app_profile *
profile_of(const struct config *conf, enum app_usage usage)
{
	struct app_profile *profile = NULL;
	struct err e = {0};

	if (app_profile_new(conf, usage, &profile, &e) != 0)
		fail_msg("%s", e.text);
	return profile;
}

static struct app_profile *
profile_default(void)
{
	struct config conf;

	config_default(&conf);
	return profile_of(&conf, APP_USAGE_DEVICE);
}

/* A Name with one attribute. */
static void
name_put(struct buf *b, struct bytes type, uint8_t tag, struct bytes value)
{
	size_t name = der_open(b, DER_SEQUENCE), set = der_open(b, DER_SET), pair = der_open(b, DER_SEQUENCE);

	der_put_oid(b, type);
	der_put(b, tag, value);
	der_close(b, pair);
	der_close(b, set);
	der_close(b, name);
}

/* The attribute that asks for a SAN with these GeneralNames, and for a key usage besides. */
static void
san_put(struct buf *b, struct bytes names)
{
	AUTO_BUF list = {0}, san = {0};
	size_t mark;

	buf_init(&list, 40000);
	buf_init(&san, 40000);
	der_put(&san, DER_SEQUENCE, names);
	mark = der_open(&list, DER_SEQUENCE);
	der_put_oid(&list, OID_SUBJECT_ALT_NAME);
	der_put(&list, DER_OCTET_STRING, buf_bytes(&san));
	der_close(&list, mark);
	buf_put_raw(&list, "\x30\x09\x06\x03\x55\x1d\x0f\x04\x02\x05\x00", 11);
	certs_attribute(b, OID_EXTENSION_REQUEST, DER_SEQUENCE, buf_bytes(&list));
}

static int
check_request(const struct app_profile *profile, EVP_PKEY *key, struct bytes name, struct bytes attributes,
	      struct err *e)
{
	AUTO_BYTES der = certs_request(key, EVP_sha256(), name, attributes);
	struct app_csr csr;
	int rc;

	CHECK_INT(app_csr_parse(der, &csr, NULL), 0);
	rc = app_profile_check(profile, &csr, false, e);
	app_csr_fini(&csr);
	return rc;
}

static int
check_name(const struct app_profile *profile, struct bytes type, uint8_t tag, struct bytes value, struct err *e)
{
	AUTO_BUF name = {0};

	buf_init(&name, 10000);
	name_put(&name, type, tag, value);
	return check_request(profile, certs_rsa(), buf_bytes(&name), LITERAL(""), e);
}

static int
check_san(const struct app_profile *profile, struct bytes names, struct err *e)
{
	AUTO_BUF b = {0};

	buf_init(&b, 60000);
	san_put(&b, names);
	return check_request(profile, certs_rsa(), LITERAL("\x30\x00"), buf_bytes(&b), e);
}

TEST(settings_that_cannot_be_understood_are_named)
{
	static const struct {
		size_t offset;
		const char *value;
		const char *word;
	} list[] = {
		{offsetof(struct config, template_key_usage), "digitalSignature keyCertSign", "keyCertSign"},
		{offsetof(struct config, template_key_usage), "", "template.key_usage"},
		{offsetof(struct config, template_extended_key_usage), "clientAuth bogus", "bogus"},
		{offsetof(struct config, template_extended_key_usage), "1.2.03", "1.2.03"},
		{offsetof(struct config, template_extended_key_usage), "1.40.1", "1.40.1"},
		{offsetof(struct config, template_extended_key_usage), "3.1", "3.1"},
		{offsetof(struct config, template_extended_key_usage), "1.2.", "1.2."},
		{offsetof(struct config, template_extended_key_usage), "clientAuth 1.3.6.1.5.5.7.3.2", "twice"},
		{offsetof(struct config, template_subject_rdns), "CN planet", "planet"},
		{offsetof(struct config, template_san_types), "DNS dns", "\"dns\""},
		{offsetof(struct config, ca_crl_url), "file:///crl", "ca.crl_url"},
		{offsetof(struct config, ca_ca_url), "http://a b", "ca.ca_url"},
	};
	struct app_profile *profile = NULL;
	struct config conf;
	struct err e;
	size_t i;

	for (i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		config_default(&conf);
		strcpy((char *)&conf + list[i].offset, list[i].value);
		e = (struct err){0};
		CHECK_INT(app_profile_new(&conf, APP_USAGE_DEVICE, &profile, &e), ERR_CONFIG);
		if (strstr(e.text, list[i].word) == NULL)
			fail_msg("%s: %s", list[i].value, e.text);
		assert_null(profile);
	}
	config_default(&conf);
	CHECK_INT(app_profile_new(&conf, APP_USAGE_CA, &profile, NULL), ERR_CONFIG);
}

TEST(subjects_that_break_a_rule_are_refused_and_the_field_is_named)
{
	const struct {
		struct bytes type;
		uint8_t tag;
		struct bytes value;
		const char *word;
	} list[] = {
		{OID_COMMON_NAME, DER_UTF8_STRING, LITERAL(""), "CN"},
		{OID_COMMON_NAME, DER_UTF8_STRING, LITERAL("a\0b"), "CN"},
		{OID_COMMON_NAME, DER_UTF8_STRING, LITERAL("a\nb"), "CN"},
		{OID_COMMON_NAME, DER_UTF8_STRING, LITERAL("a\xe2\x80\xae"), "CN"},
		{OID_COMMON_NAME, DER_UTF8_STRING, LITERAL("\xc3"), "CN"},
		{OID_COMMON_NAME, DER_PRINTABLE_STRING, LITERAL("caf\xe9"), "CN"},
		{OID_COMMON_NAME, DER_BMP_STRING, LITERAL("\x00x\x00"), "CN"},
		{OID_COMMON_NAME, DER_OCTET_STRING, LITERAL("x"), "CN"},
		{OID_COMMON_NAME, DER_UTF8_STRING,
		 LITERAL("0123456789012345678901234567890123456789012345678901234567890123x"), "65"},
		{OID_COUNTRY, DER_PRINTABLE_STRING, LITERAL("DEU"), "C "},
		{OID_COUNTRY, DER_PRINTABLE_STRING, LITERAL("D"), "C "},
		{OID_COUNTRY, DER_PRINTABLE_STRING, LITERAL("D1"), "C "},
		{LITERAL("\x55\x04\x04"), DER_UTF8_STRING, LITERAL("x"), "SN is not allowed"},
		{LITERAL("\x2a\x03"), DER_UTF8_STRING, LITERAL("x"), "attribute type"},
	};
	AUTO_STRUCT(app_profile) profile = profile_default();
	struct err e;
	size_t i;

	for (i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		e = (struct err){0};
		CHECK_INT(check_name(profile, list[i].type, list[i].tag, list[i].value, &e), ERR_DENIED);
		if (strstr(e.text, list[i].word) == NULL)
			fail_msg("case %zu: %s", i, e.text);
	}
	CHECK_INT(check_request(profile, certs_rsa(), LITERAL("\x30\x00"), LITERAL(""), NULL), ERR_DENIED);
	CHECK_INT(check_request(profile, certs_rsa(), LITERAL("\x30\x02\x31\x00"), LITERAL(""), NULL), ERR_DENIED);
}

TEST(string_types_that_devices_use_are_taken)
{
	AUTO_STRUCT(app_profile) profile = profile_default();

	CHECK_INT(check_name(profile, OID_COMMON_NAME, DER_UTF8_STRING, LITERAL("caf\xc3\xa9"), NULL), 0);
	CHECK_INT(check_name(profile, OID_COMMON_NAME, DER_PRINTABLE_STRING, LITERAL("router_1@site"), NULL), 0);
	CHECK_INT(check_name(profile, OID_COMMON_NAME, DER_IA5_STRING, LITERAL("x"), NULL), 0);
	CHECK_INT(check_name(profile, OID_COMMON_NAME, DER_T61_STRING, LITERAL("caf\xe9"), NULL), 0);
	CHECK_INT(check_name(profile, OID_COMMON_NAME, DER_BMP_STRING, LITERAL("\x20\xac\x00x"), NULL), 0);
	CHECK_INT(check_name(profile, OID_COUNTRY, DER_PRINTABLE_STRING, LITERAL("DE"), NULL), 0);
	/* 64 characters of two octets each */
	CHECK_INT(check_name(profile, OID_COMMON_NAME, DER_BMP_STRING,
			     (struct bytes){(const uint8_t *)"0a0b0c0d0e0f0g0h0i0j0k0l0m0n0o0p"
							     "0a0b0c0d0e0f0g0h0i0j0k0l0m0n0o0p"
							     "0a0b0c0d0e0f0g0h0i0j0k0l0m0n0o0p"
							     "0a0b0c0d0e0f0g0h0i0j0k0l0m0n0o0p",
					    128},
			     NULL),
		  0);
}

TEST(rdn_types_follow_the_setting)
{
	struct config conf;
	AUTO_STRUCT(app_profile) profile = NULL;

	config_default(&conf);
	strcpy(conf.template_subject_rdns, "O unstructuredName");
	profile = profile_of(&conf, APP_USAGE_DEVICE);
	CHECK_INT(check_name(profile, OID_COMMON_NAME, DER_UTF8_STRING, LITERAL("x"), NULL), ERR_DENIED);
	CHECK_INT(check_name(profile, OID_ORGANIZATION, DER_UTF8_STRING, LITERAL("x"), NULL), 0);
	CHECK_INT(check_name(profile, LITERAL("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x02"), DER_IA5_STRING,
			     LITERAL("router.example"), NULL),
		  0);
}

TEST(a_router_gets_the_names_that_it_asks_for_unless_told_otherwise)
{
	AUTO_STRUCT(app_profile) profile = profile_default();

	CHECK_INT(check_name(profile, LITERAL("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x02"), DER_IA5_STRING,
			     LITERAL("router.example"), NULL),
		  0);
	CHECK_INT(check_name(profile, LITERAL("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x08"), DER_PRINTABLE_STRING,
			     LITERAL("192.0.2.1"), NULL),
		  0);
}

TEST(multi_valued_rdns_stand_in_order)
{
	AUTO_STRUCT(app_profile) profile = profile_default();
	struct bytes good =
		LITERAL("\x30\x16\x31\x14\x30\x08\x06\x03\x55\x04\x03\x0c\x01x\x30\x08\x06\x03\x55\x04\x05\x0c\x01"
			"1");
	struct bytes bad =
		LITERAL("\x30\x16\x31\x14\x30\x08\x06\x03\x55\x04\x05\x0c\x01x\x30\x08\x06\x03\x55\x04\x03\x0c\x01"
			"1");
	struct bytes same =
		LITERAL("\x30\x16\x31\x14\x30\x08\x06\x03\x55\x04\x03\x0c\x01x\x30\x08\x06\x03\x55\x04\x03\x0c\x01"
			"x");

	CHECK_INT(check_request(profile, certs_rsa(), good, LITERAL(""), NULL), 0);
	CHECK_INT(check_request(profile, certs_rsa(), bad, LITERAL(""), NULL), ERR_DENIED);
	CHECK_INT(check_request(profile, certs_rsa(), same, LITERAL(""), NULL), ERR_DENIED);
}

static int
check_one_san(const struct app_profile *profile, uint8_t tag, struct bytes value)
{
	AUTO_BUF b = {0};

	buf_init(&b, 10000);
	der_put(&b, tag, value);
	return check_san(profile, buf_bytes(&b), NULL);
}

TEST(names_in_a_san_that_are_not_well_formed_are_refused)
{
	static const char *const dns[] = {"",          ".",   "a.",  ".a",      "a..b",  "-a",
					  "a-",        "a b", "*",   "*.a",     "a.*.b", "a_b",
					  "192.0.2.1", "a/b", "a\n", "caf\xe9", "a.b.3", "a\x7f"};
	static const char *const email[] = {"", "a", "@b", "a@", "a@b@c", ".a@b", "a.@b", "a..b@c", "a b@c", "a@b_c"};
	static const char *const uri[] = {"",     "a", ":a", "a:", "1a:b", "a b:c", "http://a b", "http://\xc3\xa9",
					  "a:<b>"};
	AUTO_STRUCT(app_profile) profile = profile_default();
	size_t i;

	for (i = 0; i < sizeof(dns) / sizeof(dns[0]); i++)
		if (check_one_san(profile, DER_CONTEXT(2), bytes_of_text(dns[i])) != ERR_DENIED)
			fail_msg("DNS %s", dns[i]);
	for (i = 0; i < sizeof(email) / sizeof(email[0]); i++)
		if (check_one_san(profile, DER_CONTEXT(1), bytes_of_text(email[i])) != ERR_DENIED)
			fail_msg("email %s", email[i]);
	for (i = 0; i < sizeof(uri) / sizeof(uri[0]); i++)
		if (check_one_san(profile, DER_CONTEXT(6), bytes_of_text(uri[i])) != ERR_DENIED)
			fail_msg("URI %s", uri[i]);
	CHECK_INT(check_one_san(profile, DER_CONTEXT(2), LITERAL("a\0b")), ERR_DENIED);
	CHECK_INT(check_one_san(profile, DER_CONTEXT(7), LITERAL("\x7f\x00\x00")), ERR_DENIED);
	CHECK_INT(check_one_san(profile, DER_CONTEXT(7), LITERAL("\x7f\x00\x00\x01\xff\x00\x00\x00")), ERR_DENIED);
	CHECK_INT(check_one_san(profile, DER_CONTEXT(8), LITERAL("\x2a\x03")), ERR_DENIED);
	CHECK_INT(check_one_san(profile, DER_CONTEXT_CONSTRUCTED(4), LITERAL("\x30\x00")), ERR_DENIED);
	CHECK_INT(check_one_san(profile, DER_CONTEXT_CONSTRUCTED(0), LITERAL(OID_UPN "\xa0\x03\x0c\x01x")), ERR_DENIED);
	CHECK_INT(check_one_san(profile, DER_CONTEXT_CONSTRUCTED(0), LITERAL(OID_UPN "\xa0\x05\x16\x03x@y")),
		  ERR_DENIED);
	CHECK_INT(check_one_san(profile, DER_CONTEXT_CONSTRUCTED(0), LITERAL("\x06\x02\x2a\x03\xa0\x05\x0c\x03x@y")),
		  ERR_DENIED);
	CHECK_INT(check_san(profile, LITERAL(""), NULL), ERR_DENIED);
}

TEST(good_names_in_a_san_are_taken)
{
	static const char *const dns[] = {"a", "a.example", "xn--caf-dma.example", "12345", "3com.example", "1.a"};
	static const char *const uri[] = {"urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "http://a/b?c=d%20e#f",
					  "tag:example.com,2022:x"};
	AUTO_STRUCT(app_profile) profile = profile_default();
	size_t i;

	for (i = 0; i < sizeof(dns) / sizeof(dns[0]); i++)
		if (check_one_san(profile, DER_CONTEXT(2), bytes_of_text(dns[i])) != 0)
			fail_msg("DNS %s", dns[i]);
	for (i = 0; i < sizeof(uri) / sizeof(uri[0]); i++)
		if (check_one_san(profile, DER_CONTEXT(6), bytes_of_text(uri[i])) != 0)
			fail_msg("URI %s", uri[i]);
	CHECK_INT(check_one_san(profile, DER_CONTEXT(1), LITERAL("first.last+tag@mail.example")), 0);
	CHECK_INT(check_one_san(profile, DER_CONTEXT(7), LITERAL("\x7f\x00\x00\x01")), 0);
	CHECK_INT(check_one_san(profile, DER_CONTEXT(7), LITERAL("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1")), 0);
	CHECK_INT(check_one_san(profile, DER_CONTEXT_CONSTRUCTED(0), LITERAL(OID_UPN "\xa0\x06\x0c\x04\xc3\xa9@y")), 0);
}

TEST(kinds_and_number_of_names_are_limited)
{
	struct config conf;
	AUTO_STRUCT(app_profile) profile = NULL;
	AUTO_BUF b = {0};
	struct err e = {0};
	int i;

	config_default(&conf);
	strcpy(conf.template_san_types, "IP");
	profile = profile_of(&conf, APP_USAGE_DEVICE);
	CHECK_INT(check_san(profile, LITERAL("\x82\x01x"), &e), ERR_DENIED);
	CHECK_TEXT(e.text, "subjectAltName: DNS is not allowed");
	buf_init(&b, 1000);
	for (i = 0; i < 64; i++)
		der_put(&b, DER_CONTEXT(7), LITERAL("\x7f\x00\x00\x01"));
	CHECK_INT(check_san(profile, buf_bytes(&b), NULL), 0);
	der_put(&b, DER_CONTEXT(7), LITERAL("\x7f\x00\x00\x01"));
	CHECK_INT(check_san(profile, buf_bytes(&b), NULL), ERR_DENIED);
}

TEST(names_larger_than_sixteen_kibioctets_are_refused)
{
	AUTO_STRUCT(app_profile) profile = profile_default();
	AUTO_BUF b = {0}, uri = {0};
	int i;

	buf_init(&uri, 3000);
	buf_put_raw(&uri, "http://", 7);
	memset(buf_put_room(&uri, 2000), 'a', 2000);
	buf_init(&b, 40000);
	for (i = 0; i < 8; i++)
		der_put(&b, DER_CONTEXT(6), buf_bytes(&uri));
	CHECK_INT(check_san(profile, buf_bytes(&b), NULL), 0);
	der_put(&b, DER_CONTEXT(6), buf_bytes(&uri));
	CHECK_INT(check_san(profile, buf_bytes(&b), NULL), ERR_DENIED);
}

TEST(doubled_and_broken_extensions_are_refused)
{
	AUTO_STRUCT(app_profile) profile = profile_default();
	const struct bytes lists[] = {
		LITERAL("\x30\x09\x06\x03\x55\x1d\x0f\x04\x02\x05\x00\x30\x09\x06\x03\x55\x1d\x0f\x04\x02\x05\x00"),
		LITERAL("\x30\x00"),
		LITERAL("\x05\x00"),
	};
	size_t i;

	for (i = 0; i < 3; i++) {
		AUTO_BUF b = {0};

		buf_init(&b, 1000);
		certs_attribute(&b, OID_EXTENSION_REQUEST, DER_SEQUENCE, lists[i]);
		CHECK_INT(check_request(profile, certs_rsa(),
					LITERAL("\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01x"), buf_bytes(&b),
					NULL),
			  ERR_DENIED);
	}
}

TEST(keys_outside_the_template_are_refused)
{
	struct bytes name = LITERAL("\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01x");
	EVP_PKEY *small = EVP_RSA_gen(1024), *ec = certs_ec("P-256"), *three = NULL;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	BIGNUM *exponent = BN_new();
	AUTO_STRUCT(app_profile) profile = profile_default();
	AUTO_STRUCT(app_profile) no_ec = NULL;
	AUTO_STRUCT(app_profile) big = NULL;
	AUTO_STRUCT(app_profile) encipher = NULL;
	struct config conf;
	struct err e = {0};

	BN_set_word(exponent, 3);
	EVP_PKEY_keygen_init(ctx);
	EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 2048);
	EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, exponent);
	CHECK_INT(EVP_PKEY_keygen(ctx, &three), 1);
	CHECK_INT(check_request(profile, three, name, LITERAL(""), &e), ERR_ALG);
	assert_non_null(strstr(e.text, "exponent"));
	CHECK_INT(check_request(profile, small, name, LITERAL(""), NULL), ERR_ALG);
	CHECK_INT(check_request(profile, ec, name, LITERAL(""), NULL), 0);
	config_default(&conf);
	conf.template_ec_keys = false;
	no_ec = profile_of(&conf, APP_USAGE_DEVICE);
	CHECK_INT(check_request(no_ec, ec, name, LITERAL(""), NULL), ERR_ALG);
	CHECK_INT(check_request(no_ec, certs_rsa(), name, LITERAL(""), NULL), 0);
	conf.template_rsa_bits_min = 3072;
	big = profile_of(&conf, APP_USAGE_DEVICE);
	CHECK_INT(check_request(big, certs_rsa(), name, LITERAL(""), NULL), ERR_ALG);
	config_default(&conf);
	strcpy(conf.template_key_usage, "keyEncipherment");
	encipher = profile_of(&conf, APP_USAGE_DEVICE);
	CHECK_INT(check_request(encipher, ec, name, LITERAL(""), NULL), ERR_ALG);
	EVP_PKEY_CTX_free(ctx);
	BN_free(exponent);
	EVP_PKEY_free(three);
	EVP_PKEY_free(small);
	EVP_PKEY_free(ec);
}

TEST(the_appliance_decrypts_with_rsa_alone)
{
	struct bytes name = LITERAL("\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01x");
	AUTO_STRUCT(app_profile) decrypt = NULL;
	AUTO_STRUCT(app_profile) sign = NULL;
	EVP_PKEY *ec = certs_ec("P-256");
	struct config conf;

	config_default(&conf);
	decrypt = profile_of(&conf, APP_USAGE_RA_DECRYPT);
	sign = profile_of(&conf, APP_USAGE_RA_SIGN);
	CHECK_INT(check_request(decrypt, ec, name, LITERAL(""), NULL), ERR_ALG);
	CHECK_INT(check_request(decrypt, certs_rsa(), name, LITERAL(""), NULL), 0);
	CHECK_INT(check_request(sign, ec, name, LITERAL(""), NULL), 0);
	CHECK_TEXT(app_profile_name(decrypt), "ra-decrypt");
	EVP_PKEY_free(ec);
}

TEST(validity_is_cut_to_what_the_ca_may)
{
	const int64_t now = 1800000000, day = 86400;
	AUTO_STRUCT(app_profile) device = NULL;
	AUTO_STRUCT(app_profile) longest = NULL;
	AUTO_STRUCT(app_profile) tls = NULL;
	struct config conf;
	int64_t first = 5, last = 6;

	config_default(&conf);
	device = profile_of(&conf, APP_USAGE_DEVICE);
	CHECK_INT(app_profile_validity(device, now, now - 900 * day, now - 1, &first, &last, NULL), ERR_STAGE);
	CHECK_INT(app_profile_validity(device, now, now + 1, now + 900 * day, &first, &last, NULL), ERR_STAGE);
	CHECK(first == 5 && last == 6);
	CHECK_INT(app_profile_validity(device, now, now - 900 * day, now + 900 * day, &first, &last, NULL), 0);
	CHECK(first == now - day && last == now + 365 * day - 1);
	CHECK_INT(app_profile_validity(device, now, now - 60, now + day, &first, &last, NULL), 0);
	CHECK(first == now - 60 && last == now + day);
	conf.template_validity_days = 7300;
	longest = profile_of(&conf, APP_USAGE_DEVICE);
	CHECK_INT(app_profile_validity(longest, now, 0, now + 9000 * day, &first, &last, NULL), 0);
	CHECK(last - first + 1 == 825 * day);
	tls = profile_of(&conf, APP_USAGE_TLS);
	CHECK_INT(app_profile_validity(tls, now, 0, now + 9000 * day, &first, &last, NULL), 0);
	CHECK(last == now + 168 * 3600 - 1);
}

TEST_MAIN(RUN(settings_that_cannot_be_understood_are_named),
	  RUN(subjects_that_break_a_rule_are_refused_and_the_field_is_named),
	  RUN(string_types_that_devices_use_are_taken), RUN(rdn_types_follow_the_setting),
	  RUN(a_router_gets_the_names_that_it_asks_for_unless_told_otherwise), RUN(multi_valued_rdns_stand_in_order),
	  RUN(names_in_a_san_that_are_not_well_formed_are_refused), RUN(good_names_in_a_san_are_taken),
	  RUN(kinds_and_number_of_names_are_limited), RUN(names_larger_than_sixteen_kibioctets_are_refused),
	  RUN(doubled_and_broken_extensions_are_refused), RUN(keys_outside_the_template_are_refused),
	  RUN(the_appliance_decrypts_with_rsa_alone), RUN(validity_is_cut_to_what_the_ca_may))
