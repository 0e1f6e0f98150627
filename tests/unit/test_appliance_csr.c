#include "appliance/csr.h"

#include "board/base/der.h"
#include "board/base/oid.h"
#include "tests/lib/certs.h"
#include "tests/lib/test.h"

#define LITERAL(s) ((struct bytes){(const uint8_t *)(s), sizeof(s) - 1})

static void
bytes_free(struct bytes *v)
{
	free((void *)v->data);
}

#define AUTO_BYTES __attribute__((cleanup(bytes_free))) struct bytes

static struct bytes
request_with(EVP_PKEY *key, const EVP_MD *md, struct bytes attributes)
{
	return certs_request(key, md,
			     LITERAL("\x30\x11\x31\x0f\x30\x0d\x06\x03\x55\x04\x03\x0c\x06"
				     "device"),
			     attributes);
}

static int
code_of(struct bytes der, struct err *e)
{
	struct app_csr csr = {.key_bits = 77};
	int rc = app_csr_parse(der, &csr, e);

	if (rc == 0)
		app_csr_fini(&csr);
	else
		CHECK_INT(csr.key_bits, 77);
	return rc;
}

static struct bytes
full_request(EVP_PKEY *key)
{
	AUTO_BUF b = {0};

	buf_init(&b, 1000);
	certs_attribute(&b, OID_CHALLENGE_PASSWORD, DER_PRINTABLE_STRING, LITERAL("0123456789ABCDEF"));
	certs_attribute(&b, OID_EXTENSION_REQUEST, DER_SEQUENCE,
			LITERAL("\x30\x09\x06\x03\x55\x1d\x0f\x04\x02\x05\x00"));
	certs_attribute(&b, LITERAL("\x2a\x03"), DER_INTEGER, LITERAL("\x05"));
	return request_with(key, EVP_sha256(), buf_bytes(&b));
}

TEST(no_truncation_and_nothing_behind_is_accepted)
{
	AUTO_BYTES der = full_request(certs_rsa());
	AUTO_BUF more = {0};
	size_t len;

	for (len = 0; len < der.len; len++) {
		uint8_t *copy = malloc(len + 1);

		memcpy(copy, der.data, len);
		CHECK_INT(code_of((struct bytes){copy, len}, NULL), ERR_FORMAT);
		free(copy);
	}
	buf_init(&more, 10000);
	buf_put_raw(&more, der.data, der.len);
	buf_put_u8(&more, 0);
	CHECK_INT(code_of(buf_bytes(&more), NULL), ERR_FORMAT);
	buf_fini(&more);
	buf_init(&more, 100000);
	memset(buf_put_room(&more, CONFIG_APP_CSR_MAX + 1), 0x30, CONFIG_APP_CSR_MAX + 1);
	CHECK_INT(code_of(buf_bytes(&more), NULL), ERR_LIMIT);
}

TEST(no_single_byte_change_is_accepted)
{
	static const uint8_t change[] = {0x01, 0x80, 0x20, 0xff};
	EVP_PKEY *key = certs_ec("P-256");
	AUTO_BYTES der = full_request(key);
	struct err e;
	size_t i, k;
	int rc;

	CHECK_INT(code_of(der, NULL), 0);
	for (i = 0; i < der.len; i++) {
		for (k = 0; k < sizeof(change); k++) {
			((uint8_t *)der.data)[i] ^= change[k];
			e = (struct err){0};
			rc = code_of(der, &e);
			if (rc != ERR_FORMAT && rc != ERR_ALG && rc != ERR_VERIFY)
				fail_msg("octet %zu changed by %02x: %d", i, change[k], rc);
			CHECK(e.code == rc && e.text[0] != '\0');
			((uint8_t *)der.data)[i] ^= change[k];
		}
	}
	EVP_PKEY_free(key);
}

TEST(weak_signatures_and_other_keys_are_refused)
{
	EVP_PKEY *ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	EVP_PKEY *ec = certs_ec("P-256"), *k1 = certs_ec("secp256k1");
	AUTO_BYTES md5 = request_with(certs_rsa(), EVP_md5(), LITERAL(""));
	AUTO_BYTES sha1 = request_with(certs_rsa(), EVP_sha1(), LITERAL(""));
	AUTO_BYTES ec_sha1 = request_with(ec, EVP_sha1(), LITERAL(""));
	AUTO_BYTES sha224 = request_with(certs_rsa(), EVP_sha224(), LITERAL(""));
	AUTO_BYTES edwards = request_with(ed, NULL, LITERAL(""));
	AUTO_BYTES koblitz = request_with(k1, EVP_sha256(), LITERAL(""));
	struct err e = {0};

	CHECK_INT(code_of(md5, NULL), ERR_DENIED);
	CHECK_INT(code_of(sha1, &e), ERR_DENIED);
	assert_non_null(strstr(e.text, "SHA-1"));
	CHECK_INT(code_of(ec_sha1, NULL), ERR_DENIED);
	/* Only its own key can say that a request is signed that way. */
	((uint8_t *)sha1.data)[sha1.len - 1] ^= 1;
	CHECK_INT(code_of(sha1, NULL), ERR_VERIFY);
	CHECK_INT(code_of(sha224, NULL), ERR_ALG);
	CHECK_INT(code_of(edwards, NULL), ERR_ALG);
	CHECK_INT(code_of(koblitz, NULL), ERR_ALG);
	EVP_PKEY_free(ed);
	EVP_PKEY_free(ec);
	EVP_PKEY_free(k1);
}

TEST(a_request_signed_by_another_key_is_refused)
{
	EVP_PKEY *one = certs_ec("P-256"), *two = certs_ec("P-256");
	X509_REQ *req = X509_REQ_new();
	unsigned char *der = NULL;
	struct err e = {0};
	int len;

	X509_REQ_set_pubkey(req, one);
	CHECK(X509_REQ_sign(req, two, EVP_sha256()) > 0);
	len = i2d_X509_REQ(req, &der);
	CHECK_INT(code_of((struct bytes){der, (size_t)len}, &e), ERR_VERIFY);
	CHECK_TEXT(e.text, "request is not signed by its own key");
	OPENSSL_free(der);
	X509_REQ_free(req);
	EVP_PKEY_free(one);
	EVP_PKEY_free(two);
}

TEST(attributes_that_are_doubled_or_broken_are_refused)
{
	const struct {
		struct bytes oid[2];
		uint8_t tag;
		struct bytes value;
	} list[] = {
		{{OID_CHALLENGE_PASSWORD, OID_CHALLENGE_PASSWORD}, DER_UTF8_STRING, LITERAL("x")},
		{{OID_EXTENSION_REQUEST, OID_MS_EXTENSION_REQUEST}, DER_SEQUENCE, LITERAL("")},
		{{LITERAL("\x2a\x03"), LITERAL("\x2a\x03")}, DER_INTEGER, LITERAL("\x05")},
		{{OID_CHALLENGE_PASSWORD, LITERAL("\x2a\x03")}, DER_INTEGER, LITERAL("\x05")},
		{{OID_CHALLENGE_PASSWORD, LITERAL("\x2a\x03")}, DER_UTF8_STRING, LITERAL("a\0b")},
		{{OID_CHALLENGE_PASSWORD, LITERAL("\x2a\x03")}, DER_UTF8_STRING, LITERAL("\xc3(")},
		{{OID_CHALLENGE_PASSWORD, LITERAL("\x2a\x03")}, DER_BMP_STRING, LITERAL("\x00x\x00")},
		{{OID_CHALLENGE_PASSWORD, LITERAL("\x2a\x03")}, DER_BMP_STRING, LITERAL("\xd8\x00\x00x")},
		{{OID_EXTENSION_REQUEST, LITERAL("\x2a\x03")}, DER_OCTET_STRING, LITERAL("x")},
	};
	size_t i;

	for (i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		AUTO_BUF b = {0};
		AUTO_BYTES der = {NULL, 0};

		buf_init(&b, 1000);
		certs_attribute(&b, list[i].oid[0], list[i].tag, list[i].value);
		certs_attribute(&b, list[i].oid[1], list[i].tag, list[i].value);
		der = request_with(certs_rsa(), EVP_sha256(), buf_bytes(&b));
		if (code_of(der, NULL) != ERR_FORMAT)
			fail_msg("case %zu", i);
	}
}

TEST(a_challenge_has_exactly_one_value)
{
	const struct bytes values[] = {LITERAL("\x31\x00"), LITERAL("\x31\x06\x0c\x01x\x0c\x01y")};
	size_t i, mark;

	for (i = 0; i < 2; i++) {
		AUTO_BUF b = {0};
		AUTO_BYTES der = {NULL, 0};

		buf_init(&b, 1000);
		mark = der_open(&b, DER_SEQUENCE);
		der_put_oid(&b, OID_CHALLENGE_PASSWORD);
		der_put_raw(&b, values[i]);
		der_close(&b, mark);
		der = request_with(certs_rsa(), EVP_sha256(), buf_bytes(&b));
		CHECK_INT(code_of(der, NULL), ERR_FORMAT);
	}
}

TEST(challenges_of_every_type_come_out_as_utf8)
{
	static const struct {
		uint8_t tag;
		struct bytes value;
		const char *text;
	} list[] = {
		{DER_PRINTABLE_STRING, {(const uint8_t *)"Abc-1", 5}, "Abc-1"},
		{DER_IA5_STRING, {(const uint8_t *)"a@b", 3}, "a@b"},
		{DER_UTF8_STRING, {(const uint8_t *)"\xc3\xa9\xf0\x9f\x94\x91", 6}, "\xc3\xa9\xf0\x9f\x94\x91"},
		{DER_T61_STRING, {(const uint8_t *)"caf\xe9", 4}, "caf\xc3\xa9"},
		{DER_BMP_STRING,
		 {(const uint8_t *)"\x00x\x20\xac\xd8\x3d\xdd\x11", 8},
		 "x\xe2\x82\xac\xf0\x9f\x94\x91"},
		{DER_PRINTABLE_STRING, {(const uint8_t *)"", 0}, ""},
	};
	size_t i;

	for (i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		AUTO_BUF b = {0};
		AUTO_BYTES der = {NULL, 0};
		struct app_csr csr;

		buf_init(&b, 1000);
		certs_attribute(&b, OID_CHALLENGE_PASSWORD, list[i].tag, list[i].value);
		der = request_with(certs_rsa(), EVP_sha256(), buf_bytes(&b));
		CHECK_INT(app_csr_parse(der, &csr, NULL), 0);
		CHECK_BYTES(csr.challenge, list[i].text, strlen(list[i].text));
		app_csr_fini(&csr);
	}
}

TEST(parts_of_good_requests_are_found)
{
	static const struct {
		const char *curve;
		const EVP_MD *(*md)(void);
		int bits;
	} list[] = {
		{NULL, EVP_sha256, 2048},   {NULL, EVP_sha512, 2048},   {"P-256", EVP_sha256, 256},
		{"P-384", EVP_sha384, 384}, {"P-521", EVP_sha512, 521},
	};
	size_t i;

	for (i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		EVP_PKEY *key = list[i].curve == NULL ? certs_rsa() : certs_ec(list[i].curve);
		AUTO_BYTES der = request_with(key, list[i].md(), LITERAL("")), spki = certs_spki(key);
		struct app_csr csr;

		CHECK_INT(app_csr_parse(der, &csr, NULL), 0);
		CHECK_INT(csr.key_bits, list[i].bits);
		CHECK_INT(csr.is_rsa, list[i].curve == NULL);
		CHECK_INT(EVP_PKEY_eq(csr.key, key), 1);
		CHECK(bytes_equal(csr.spki, spki));
		CHECK(bytes_equal(csr.whole, der));
		CHECK_INT(csr.challenge.len, 0);
		CHECK_INT(csr.extensions.len, 0);
		app_csr_fini(&csr);
		if (list[i].curve != NULL)
			EVP_PKEY_free(key);
	}
}

TEST(extensions_are_taken_from_both_attributes)
{
	const struct bytes oids[] = {OID_EXTENSION_REQUEST, OID_MS_EXTENSION_REQUEST};
	size_t i;

	for (i = 0; i < 2; i++) {
		AUTO_BUF b = {0};
		AUTO_BYTES der = {NULL, 0};
		struct app_csr csr;

		buf_init(&b, 1000);
		certs_attribute(&b, oids[i], DER_SEQUENCE, LITERAL("\x30\x09\x06\x03\x55\x1d\x0f\x04\x02\x05\x00"));
		der = request_with(certs_rsa(), EVP_sha256(), buf_bytes(&b));
		CHECK_INT(app_csr_parse(der, &csr, NULL), 0);
		CHECK_BYTES(csr.extensions, "\x30\x0b\x30\x09\x06\x03\x55\x1d\x0f\x04\x02\x05\x00", 13);
		app_csr_fini(&csr);
	}
}

TEST_MAIN(RUN(no_truncation_and_nothing_behind_is_accepted), RUN(no_single_byte_change_is_accepted),
	  RUN(weak_signatures_and_other_keys_are_refused), RUN(a_request_signed_by_another_key_is_refused),
	  RUN(attributes_that_are_doubled_or_broken_are_refused), RUN(a_challenge_has_exactly_one_value),
	  RUN(challenges_of_every_type_come_out_as_utf8), RUN(parts_of_good_requests_are_found),
	  RUN(extensions_are_taken_from_both_attributes))
