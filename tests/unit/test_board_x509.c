#include <pthread.h>

#include <openssl/pem.h>

#include "board/base/der.h"
#include "board/base/oid.h"
#include "board/base/x509.h"
#include "tests/lib/certs.h"
#include "tests/lib/test.h"

#define LITERAL(s) ((struct bytes){(const uint8_t *)(s), sizeof(s) - 1})

static void
bytes_free(struct bytes *v)
{
	free((void *)v->data);
}

#define AUTO_BYTES __attribute__((cleanup(bytes_free))) struct bytes

/* A copy of exactly len octets, so that a sanitizer sees any read behind it. */
static struct bytes
exact(struct bytes v, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);

	memcpy(copy, v.data, len);
	return (struct bytes){copy, len};
}

/* All that a reader may do with a certificate that parsed. */
static void
use(const struct x509 *cert)
{
	struct x509_extension extension = {.critical = false};
	struct err e = {0};
	EVP_PKEY *key = NULL;
	uint8_t id[20];
	char text[64];
	int rc;

	rc = x509_extension_find(&cert->tbs, OID_SUBJECT_KEY_ID, &extension);
	assert_true(rc == 0 || rc == ERR_UNKNOWN || rc == ERR_FORMAT);
	x509_name_text(cert->tbs.subject, text, sizeof(text));
	rc = x509_key_id(cert->tbs.spki, id);
	assert_true(rc == 0 || rc == ERR_FORMAT);
	rc = x509_spki_key(cert->tbs.spki, &key, &e);
	assert_true(rc == 0 ? key != NULL : e.code == rc);
	if (rc == 0)
		rc = x509_verify(key, cert->algorithm, cert->tbs.whole, cert->signature, &e);
	EVP_PKEY_free(key);
}

TEST(no_truncation_of_a_certificate_is_accepted)
{
	AUTO_BYTES der = certs_self_signed(certs_rsa(), EVP_sha256());
	struct x509 cert = {.tbs.version = 77};
	struct err e;
	size_t len;

	for (len = 0; len < der.len; len++) {
		AUTO_BYTES cut = exact(der, len);

		e = (struct err){0};
		CHECK_INT(x509_parse(cut, &cert, &e), ERR_FORMAT);
		CHECK_INT(e.code, ERR_FORMAT);
	}
	CHECK_INT(cert.tbs.version, 77);
}

TEST(bytes_behind_a_certificate_are_refused)
{
	AUTO_BYTES der = certs_self_signed(certs_rsa(), EVP_sha256());
	AUTO_BUF more = {0};
	struct x509 cert;

	buf_init(&more, 10000);
	buf_put_raw(&more, der.data, der.len);
	buf_put_u8(&more, 0);
	CHECK_INT(x509_parse(buf_bytes(&more), &cert, NULL), ERR_FORMAT);
}

/* Changed certificates may parse, but nothing may break, and the signature never holds over a changed TBS. */
TEST(single_byte_changes_do_no_harm)
{
	static const uint8_t change[] = {0x01, 0x80, 0xff, 0x20};
	EVP_PKEY *key = certs_ec("P-256");
	AUTO_BYTES der = certs_self_signed(key, EVP_sha256());
	struct x509 cert, good;
	size_t i, k;

	CHECK_INT(x509_parse(der, &good, NULL), 0);
	for (i = 0; i < der.len; i++) {
		for (k = 0; k < sizeof(change); k++) {
			AUTO_BYTES bad = exact(der, der.len);

			((uint8_t *)bad.data)[i] ^= change[k];
			if (x509_parse(bad, &cert, NULL) != 0)
				continue;
			use(&cert);
			if (!bytes_equal(cert.tbs.whole, good.tbs.whole))
				CHECK(x509_verify(key, good.algorithm, cert.tbs.whole, cert.signature, NULL) != 0);
		}
	}
	EVP_PKEY_free(key);
}

static void
check_same(struct bytes der)
{
	const unsigned char *p = der.data;
	X509 *theirs = d2i_X509(NULL, &p, (long)der.len);
	EVP_PKEY *key = NULL;
	unsigned char *out = NULL;
	struct x509 cert;
	struct err e = {0};
	uint8_t id[20], theirs_id[20];
	struct tm tm;
	int len;

	if (x509_parse(der, &cert, &e) != 0)
		fail_msg("%s", e.text);
	len = i2d_X509_NAME(X509_get_subject_name(theirs), &out);
	CHECK_BYTES(cert.tbs.subject, out, (size_t)len);
	OPENSSL_free(out);
	CHECK_INT(cert.tbs.version, X509_get_version(theirs));
	CHECK_INT(ASN1_TIME_to_tm(X509_get0_notAfter(theirs), &tm), 1);
	CHECK(cert.tbs.not_after == timegm(&tm));
	CHECK_INT(ASN1_TIME_to_tm(X509_get0_notBefore(theirs), &tm), 1);
	CHECK(cert.tbs.not_before == timegm(&tm));
	CHECK_INT(x509_spki_key(cert.tbs.spki, &key, &e), 0);
	CHECK_INT(EVP_PKEY_eq(key, X509_get0_pubkey(theirs)), 1);
	CHECK_INT(x509_verify(key, cert.algorithm, cert.tbs.whole, cert.signature, &e), 0);
	CHECK_INT(x509_key_id(cert.tbs.spki, id), 0);
	CHECK_INT(X509_pubkey_digest(theirs, EVP_sha1(), theirs_id, NULL), 1);
	assert_memory_equal(id, theirs_id, 20);
	EVP_PKEY_free(key);
	X509_free(theirs);
}

TEST(certificates_read_as_openssl_reads_them)
{
	static const struct {
		const char *curve;
		const EVP_MD *(*md)(void);
	} list[] = {{NULL, EVP_sha256},    {NULL, EVP_sha384},    {NULL, EVP_sha512},
		    {"P-256", EVP_sha256}, {"P-384", EVP_sha384}, {"P-521", EVP_sha512}};
	size_t i;

	for (i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		EVP_PKEY *key = list[i].curve == NULL ? certs_rsa() : certs_ec(list[i].curve);
		AUTO_BYTES der = certs_self_signed(key, list[i].md());

		check_same(der);
		if (list[i].curve != NULL)
			EVP_PKEY_free(key);
	}
}

TEST(versions_one_and_three_and_odd_dates)
{
	X509 *cert = certs_new(certs_rsa(), "old");
	AUTO_BYTES v1 = {NULL, 0}, later = {NULL, 0};
	struct x509 parsed;
	struct x509_extension extension;

	X509_set_version(cert, X509_VERSION_1);
	CHECK(X509_sign(cert, certs_rsa(), EVP_sha256()) > 0);
	v1 = certs_der(cert);
	check_same(v1);
	CHECK_INT(x509_parse(v1, &parsed, NULL), 0);
	CHECK_INT(parsed.tbs.extensions.len, 0);
	CHECK_INT(x509_extension_find(&parsed.tbs, OID_KEY_USAGE, &extension), ERR_UNKNOWN);

	/* certmonger writes GeneralizedTime before 2050 */
	X509_set_version(cert, X509_VERSION_3);
	CHECK_INT(ASN1_TIME_set_string(X509_getm_notBefore(cert), "20200101000000Z"), 1);
	CHECK_INT(ASN1_TIME_set_string(X509_getm_notAfter(cert), "20991231235959Z"), 1);
	CHECK(X509_sign(cert, certs_rsa(), EVP_sha256()) > 0);
	later = certs_der(cert);
	check_same(later);
	X509_free(cert);
}

TEST(extensions_are_found_with_their_criticality)
{
	X509 *cert = certs_new(certs_rsa(), "extensions");
	AUTO_BYTES der = {NULL, 0};
	struct x509_extension extension;
	struct x509 parsed;
	struct view list;
	bool end = false;
	int count = 0;

	certs_extension(cert, NID_key_usage, "critical,digitalSignature");
	certs_extension(cert, NID_subject_alt_name, "DNS:a.example,IP:192.0.2.1");
	certs_extension(cert, NID_ext_key_usage, "clientAuth,1.2.3.4");
	CHECK(X509_sign(cert, certs_rsa(), EVP_sha256()) > 0);
	der = certs_der(cert);
	CHECK_INT(x509_parse(der, &parsed, NULL), 0);
	CHECK_INT(x509_extension_find(&parsed.tbs, OID_BASIC_CONSTRAINTS, &extension), ERR_UNKNOWN);
	CHECK_INT(x509_extension_find(&parsed.tbs, OID_KEY_USAGE, &extension), 0);
	CHECK(extension.critical);
	CHECK_BYTES(extension.value, "\x03\x02\x07\x80", 4);
	CHECK_INT(x509_extension_find(&parsed.tbs, OID_SUBJECT_ALT_NAME, &extension), 0);
	CHECK(!extension.critical);
	CHECK_INT(der_whole(parsed.tbs.extensions, DER_SEQUENCE, &list), 0);
	for (;;) {
		CHECK_INT(x509_extension_next(&list, &extension, &end), 0);
		if (end)
			break;
		count++;
	}
	CHECK_INT(count, 3);
	X509_free(cert);
}

TEST(broken_extension_lists_are_said_to_be_broken)
{
	static const struct bytes bad[] = {
		{(const uint8_t *)"\x30\x02\x30\x00", 4},
		{(const uint8_t *)"\x30\x03\x30\x00\x05", 5},
		{(const uint8_t *)"\x30\x07\x30\x05\x06\x03\x55\x1d\x63", 9},
		{(const uint8_t *)"\x30\x0c\x30\x0a\x06\x03\x55\x1d\x63\x01\x01\x01\x04\x00", 14},
		{(const uint8_t *)"\x30\x0b\x30\x09\x06\x03\x55\x1d\x63\x04\x00\x05\x00", 13},
		{(const uint8_t *)"\x30\x06\x30\x04\x06\x00\x04\x00", 8},
	};
	struct x509_extension extension;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct x509_tbs tbs = {.extensions = bad[i]};

		CHECK_INT(x509_extension_find(&tbs, OID_KEY_USAGE, &extension), ERR_FORMAT);
	}
}

static int
key_code(struct bytes spki)
{
	EVP_PKEY *key = NULL;
	struct err e = {0};
	int rc = x509_spki_key(spki, &key, &e);

	CHECK_INT(rc, e.code);
	CHECK((rc == 0) == (key != NULL));
	EVP_PKEY_free(key);
	return rc;
}

/* SubjectPublicKeyInfo of RSA with the INTEGER contents given. */
static int
rsa_code(struct bytes modulus, struct bytes exponent, bool null)
{
	AUTO_BUF inner = {0}, b = {0};
	size_t outer, mark;

	buf_init(&inner, 8192);
	mark = der_open(&inner, DER_SEQUENCE);
	der_put(&inner, DER_INTEGER, modulus);
	der_put(&inner, DER_INTEGER, exponent);
	der_close(&inner, mark);
	buf_init(&b, 8192);
	outer = der_open(&b, DER_SEQUENCE);
	mark = der_open(&b, DER_SEQUENCE);
	der_put_oid(&b, OID_RSA_ENCRYPTION);
	if (null)
		der_put(&b, DER_NULL, LITERAL(""));
	der_close(&b, mark);
	der_put_bits(&b, buf_bytes(&inner));
	der_close(&b, outer);
	CHECK_INT(buf_status(&b), 0);
	return key_code(buf_bytes(&b));
}

TEST(rsa_numbers_are_checked)
{
	uint8_t n[2050];
	struct bytes modulus = {n, 257}, f4 = LITERAL("\x01\x00\x01");

	memset(n, 0xa5, sizeof(n));
	n[0] = 0;
	CHECK_INT(rsa_code(modulus, f4, true), 0);
	CHECK_INT(rsa_code(modulus, LITERAL("\x03"), true), 0);
	CHECK_INT(rsa_code(modulus, f4, false), ERR_FORMAT);
	CHECK_INT(rsa_code(modulus, LITERAL("\x01"), true), ERR_FORMAT);
	CHECK_INT(rsa_code(modulus, LITERAL("\x00"), true), ERR_FORMAT);
	CHECK_INT(rsa_code(modulus, LITERAL(""), true), ERR_FORMAT);
	CHECK_INT(rsa_code(modulus, LITERAL("\x01\x00\x00"), true), ERR_FORMAT);
	CHECK_INT(rsa_code(modulus, LITERAL("\x00\x01\x00\x01"), true), ERR_FORMAT);
	CHECK_INT(rsa_code(modulus, LITERAL("\xff"), true), ERR_FORMAT);
	CHECK_INT(rsa_code((struct bytes){n + 1, 256}, f4, true), ERR_FORMAT);
	CHECK_INT(rsa_code((struct bytes){n, 0}, f4, true), ERR_FORMAT);
	CHECK_INT(rsa_code((struct bytes){n, 2050}, f4, true), ERR_ALG);
	CHECK_INT(rsa_code((struct bytes){n, 2}, f4, true), ERR_ALG);
	CHECK_INT(rsa_code(modulus, (struct bytes){n, 33}, true), 0); /* 32 octets behind the sign */
	CHECK_INT(rsa_code(modulus, (struct bytes){n, 34}, true), ERR_ALG);
	n[256] = 0xa4;
	CHECK_INT(rsa_code(modulus, f4, true), ERR_FORMAT);
	n[1] = 0x25;
	n[256] = 0xa5;
	CHECK_INT(rsa_code(modulus, f4, true), ERR_FORMAT);
}

TEST(ec_points_are_checked)
{
	EVP_PKEY *key = certs_ec("P-256");
	AUTO_BYTES spki = certs_spki(key);
	uint8_t *p = (uint8_t *)spki.data;

	CHECK_INT(key_code(spki), 0);
	p[spki.len - 1] ^= 1;
	CHECK_INT(key_code(spki), ERR_FORMAT); /* not on the curve */
	p[spki.len - 1] ^= 1;
	p[spki.len - 65] = 2;
	CHECK_INT(key_code(spki), ERR_ALG);
	p[spki.len - 65] = 6;
	CHECK_INT(key_code(spki), ERR_FORMAT);
	EVP_PKEY_free(key);
}

TEST(other_keys_are_refused)
{
	EVP_PKEY *ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	EVP_PKEY *k1 = certs_ec("secp256k1");
	AUTO_BYTES one = certs_spki(ed);
	AUTO_BYTES two = certs_spki(k1);

	CHECK_INT(key_code(one), ERR_ALG);
	CHECK_INT(key_code(two), ERR_ALG);
	CHECK_INT(key_code(LITERAL("")), ERR_FORMAT);
	CHECK_INT(key_code(LITERAL("\x30\x00")), ERR_FORMAT);
	EVP_PKEY_free(ed);
	EVP_PKEY_free(k1);
}

#define RSA_ALG(last) LITERAL("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01" last "\x05\x00")

TEST(signatures_are_verified_by_known_algorithms_only)
{
	EVP_PKEY *ec = certs_ec("P-256");
	struct bytes data = LITERAL("data"), ecdsa = LITERAL("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02");
	AUTO_BYTES rsa_signature = certs_sign(certs_rsa(), EVP_sha256(), data);
	AUTO_BYTES ec_signature = certs_sign(ec, EVP_sha256(), data);
	AUTO_BYTES sha1 = certs_sign(certs_rsa(), EVP_sha1(), data);
	struct err e = {0};

	CHECK_INT(x509_verify(certs_rsa(), RSA_ALG("\x0b"), data, rsa_signature, &e), 0);
	CHECK_INT(x509_verify(certs_rsa(), LITERAL("\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"), data,
			      rsa_signature, &e),
		  0);
	CHECK_INT(x509_verify(ec, ecdsa, data, ec_signature, &e), 0);
	CHECK_INT(x509_verify(certs_rsa(), RSA_ALG("\x0c"), data, rsa_signature, NULL), ERR_VERIFY);
	CHECK_INT(x509_verify(certs_rsa(), RSA_ALG("\x0b"), LITERAL("date"), rsa_signature, NULL), ERR_VERIFY);
	CHECK_INT(x509_verify(certs_rsa(), RSA_ALG("\x0b"), data, LITERAL(""), NULL), ERR_VERIFY);
	CHECK_INT(x509_verify(certs_rsa(), RSA_ALG("\x05"), data, sha1, NULL), ERR_ALG);
	CHECK_INT(x509_verify(certs_rsa(), ecdsa, data, rsa_signature, NULL), ERR_ALG);
	CHECK_INT(x509_verify(ec, RSA_ALG("\x0b"), data, ec_signature, NULL), ERR_ALG);
	CHECK_INT(x509_verify(certs_rsa(), LITERAL("\x30\x0c\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05"), data,
			      rsa_signature, NULL),
		  ERR_ALG);
	CHECK_INT(x509_verify(ec, LITERAL("\x30\x0c\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02\x05\x00"), data,
			      ec_signature, NULL),
		  ERR_ALG);
	EVP_PKEY_free(ec);
}

TEST(names_are_readable_and_cannot_mislead)
{
	static const struct {
		const char *cn;
		const char *text;
	} list[] = {
		{"plain", "CN=plain"},
		{"a,b=c+d", "CN=a\\,b\\=c\\+d"},
		{"line\nfeed", "CN=line\\0afeed"},
		{"caf\xc3\xa9", "CN=caf\xc3\xa9"},
		{"right\xe2\x80\xae left", "CN=right\\u{202e} left"},
		{"\xf0\x9f\x94\x91", "CN=\xf0\x9f\x94\x91"},
	};
	char out[64], small[8];
	size_t i;

	for (i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		AUTO_BYTES name = certs_name(list[i].cn);

		CHECK_TEXT(x509_name_text(name, out, sizeof(out)), list[i].text);
		x509_name_text(name, small, sizeof(small));
		CHECK(strlen(small) < sizeof(small) && strncmp(small, list[i].text, strlen(small)) == 0);
	}
	CHECK_TEXT(x509_name_text(LITERAL("\x30\x00"), out, sizeof(out)), "");
	CHECK_TEXT(x509_name_text(LITERAL("\x30\x01"), out, sizeof(out)), "(malformed)");
	CHECK_TEXT(x509_name_text(LITERAL("\x30\x0f\x31\x0d\x30\x0b\x06\x05\x2a\x86\x48\x86\x02\x1e\x02\x00\xe9"), out,
				  sizeof(out)),
		   "1.2.840.770=\xc3\xa9");
	CHECK_TEXT(
		x509_name_text(LITERAL("\x30\x0c\x31\x0a\x30\x08\x06\x02\x55\x04\x0c\x02\xc3\x28"), out, sizeof(out)),
		"2.5.4=\\c3(");
}

TEST(pem_is_written_as_openssl_writes_it_and_read_back)
{
	AUTO_BYTES der = certs_self_signed(certs_rsa(), EVP_sha256());
	size_t len;

	for (len = 1; len <= 200 && len <= der.len; len++) {
		AUTO_BUF pem = {0};
		AUTO_BYTES back = {NULL, 0};
		struct view v;
		char *name, *header;
		unsigned char *data;
		long theirs;
		BIO *bio;

		buf_init(&pem, 10000);
		x509_pem_put(&pem, "CERTIFICATE", (struct bytes){der.data, len});
		CHECK_INT(buf_status(&pem), 0);
		bio = BIO_new_mem_buf(pem.data, (int)pem.len);
		CHECK_INT(PEM_read_bio(bio, &name, &header, &data, &theirs), 1);
		CHECK_INT(theirs, len);
		assert_memory_equal(data, der.data, len);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_free(data);
		BIO_free(bio);
		v = view_of(buf_bytes(&pem));
		CHECK_INT(x509_pem_next(&v, "CERTIFICATE", &back, NULL), 0);
		CHECK_BYTES(back, der.data, len);
		CHECK_INT(x509_pem_next(&v, "CERTIFICATE", &back, NULL), ERR_UNKNOWN);
	}
}

TEST(pem_blocks_are_found_by_label_and_bad_ones_refused)
{
	static const char text[] = "prose\n-----BEGIN A-----\nAAEC\n-----END A-----\n"
				   "-----BEGIN B-----\r\nAwQ=\r\n-----END B-----\r\n";
	static const char *const bad[] = {
		"-----BEGIN A-----\nAAEC\n",
		"-----BEGIN A-----\n-----END A-----\n",
		"-----BEGIN A-----\nAAE\n-----END A-----\n",
		"-----BEGIN A-----\nAA*C\n-----END A-----\n",
		"-----BEGIN A-----\nA===\n-----END A-----\n",
		"-----BEGIN A-----\nAA==AAEC\n-----END A-----\n",
		"-----BEGIN A-----\nProc-Type: 4,ENCRYPTED\n\nAAEC\n-----END A-----\n",
	};
	AUTO_BYTES one = {NULL, 0}, two = {NULL, 0};
	struct view v = view_of(bytes_of_text(text));
	struct bytes none;
	size_t i;

	CHECK_INT(x509_pem_next(&v, "B", &two, NULL), 0);
	CHECK_BYTES(two, "\x03\x04", 2);
	v = view_of(bytes_of_text(text));
	CHECK_INT(x509_pem_next(&v, "A", &one, NULL), 0);
	CHECK_BYTES(one, "\x00\x01\x02", 3);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		v = view_of(bytes_of_text(bad[i]));
		CHECK_INT(x509_pem_next(&v, "A", &none, NULL), ERR_FORMAT);
	}
}

static void *
verify_often(void *arg)
{
	const struct bytes *der = arg;
	struct x509 cert;
	size_t failed = 0;
	int i;

	for (i = 0; i < 50; i++) {
		EVP_PKEY *key = NULL;

		if (x509_parse(*der, &cert, NULL) != 0 || x509_spki_key(cert.tbs.spki, &key, NULL) != 0 ||
		    x509_verify(key, cert.algorithm, cert.tbs.whole, cert.signature, NULL) != 0)
			failed++;
		EVP_PKEY_free(key);
	}
	return (void *)failed;
}

TEST(threads_do_not_disturb_each_other)
{
	AUTO_BYTES der = certs_self_signed(certs_rsa(), EVP_sha256());
	pthread_t threads[4];
	void *failed;
	size_t i;

	for (i = 0; i < 4; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, verify_often, &der), 0);
	for (i = 0; i < 4; i++) {
		CHECK_INT(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
}

TEST_MAIN(RUN(threads_do_not_disturb_each_other), RUN(no_truncation_of_a_certificate_is_accepted),
	  RUN(bytes_behind_a_certificate_are_refused), RUN(single_byte_changes_do_no_harm),
	  RUN(certificates_read_as_openssl_reads_them), RUN(versions_one_and_three_and_odd_dates),
	  RUN(extensions_are_found_with_their_criticality), RUN(broken_extension_lists_are_said_to_be_broken),
	  RUN(rsa_numbers_are_checked), RUN(ec_points_are_checked), RUN(other_keys_are_refused),
	  RUN(signatures_are_verified_by_known_algorithms_only), RUN(names_are_readable_and_cannot_mislead),
	  RUN(pem_is_written_as_openssl_writes_it_and_read_back),
	  RUN(pem_blocks_are_found_by_label_and_bad_ones_refused))
