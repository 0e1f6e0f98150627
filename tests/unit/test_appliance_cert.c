#include "appliance/cert.h"

#include "board/base/der.h"
#include "board/base/oid.h"
#include "tests/lib/certs.h"
#include "tests/lib/test.h"

#define LITERAL(s) ((struct bytes){(const uint8_t *)(s), sizeof(s) - 1})

enum { TODAY = 1800000000, DAY = 86400 };

static void
bytes_free(struct bytes *v)
{
	free((void *)v->data);
}

#define AUTO_BYTES __attribute__((cleanup(bytes_free))) struct bytes

/* A certificate by our builder with a signature by OpenSSL, read by OpenSSL. */
static X509 *
issue(EVP_PKEY *ca_key, const struct app_issuer *issuer, const struct app_profile *profile,
      const struct app_subject *subject)
{
	static const EVP_MD *(*const md[DIGEST_COUNT])(void) = {EVP_sha1, EVP_sha256, EVP_sha384, EVP_sha512};
	AUTO_BUF tbs = {0}, cert = {0};
	AUTO_BYTES signature = {NULL, 0};
	struct err e = {0};
	const unsigned char *p;
	X509 *x509;

	buf_init(&tbs, 100000);
	buf_init(&cert, 100000);
	CHECK_INT(app_cert_build(issuer, profile, subject, &tbs), 0);
	if (app_cert_lint(issuer, buf_bytes(&tbs), &e) != 0)
		fail_msg("%s", e.text);
	signature = certs_sign(ca_key, md[issuer->digest](), buf_bytes(&tbs));
	CHECK_INT(app_cert_join(buf_bytes(&tbs), issuer->algorithm, signature, &cert), 0);
	p = cert.data;
	x509 = d2i_X509(NULL, &p, (long)cert.len);
	assert_non_null(x509);
	CHECK(p == cert.data + cert.len);
	CHECK_INT(X509_verify(x509, ca_key), 1);
	return x509;
}

static struct app_profile *
profile_of(const struct config *conf, enum app_usage usage)
{
	struct app_profile *profile = NULL;

	CHECK_INT(app_profile_new(conf, usage, &profile, NULL), 0);
	return profile;
}

/* An extension as OpenSSL prints it, its criticality before it; "-" when it is not there. */
static void
check_extension(const X509 *cert, int nid, const char *expected)
{
	int at = X509_get_ext_by_NID(cert, nid, -1);
	X509_EXTENSION *extension = at < 0 ? NULL : X509_get_ext(cert, at);
	BIO *bio = BIO_new(BIO_s_mem());
	char text[2000];
	int len;

	if (extension == NULL) {
		CHECK_TEXT("-", expected);
		BIO_free(bio);
		return;
	}
	BIO_puts(bio, X509_EXTENSION_get_critical(extension) ? "critical " : "");
	CHECK_INT(X509V3_EXT_print(bio, extension, 0, 0), 1);
	len = BIO_read(bio, text, sizeof(text) - 1);
	text[len] = '\0';
	CHECK_TEXT(text, expected);
	BIO_free(bio);
}

static void
check_dates(const X509 *cert, const char *first, const char *last)
{
	CHECK_TEXT((const char *)ASN1_STRING_get0_data(X509_get0_notBefore(cert)), first);
	CHECK_TEXT((const char *)ASN1_STRING_get0_data(X509_get0_notAfter(cert)), last);
}

/* Our CA certificate, made as the ceremony makes it. */
static struct bytes
root_of(EVP_PKEY *key, int pathlen)
{
	static const EVP_MD *(*const md[DIGEST_COUNT])(void) = {EVP_sha1, EVP_sha256, EVP_sha384, EVP_sha512};
	AUTO_BYTES spki = certs_spki(key), signature = {NULL, 0};
	AUTO_BUF name = {0}, tbs = {0}, cert = {0};
	uint8_t serial[APP_SERIAL_SIZE];
	struct bytes algorithm, der;
	enum digest digest;

	buf_init(&name, 1000);
	buf_init(&tbs, 10000);
	buf_init(&cert, 10000);
	CHECK_INT(app_name_parse("CN=Device CA,O=Example,C=DE", &name, NULL), 0);
	CHECK_INT(app_serial_new(serial), 0);
	CHECK_INT(app_signature_algorithm(spki, &digest, &algorithm), 0);
	CHECK_INT(app_cert_build_root(buf_bytes(&name), spki, serial, TODAY - DAY, TODAY + 12000LL * DAY, pathlen,
				      algorithm, &tbs),
		  0);
	signature = certs_sign(key, md[digest](), buf_bytes(&tbs));
	CHECK_INT(app_cert_join(buf_bytes(&tbs), algorithm, signature, &cert), 0);
	der.data = buf_take(&cert, &der.len);
	return der;
}

static struct app_subject
subject_of(struct bytes name, struct bytes spki, struct bytes san)
{
	struct app_subject subject = {
		.name = name, .spki = spki, .san = san, .not_before = TODAY, .not_after = TODAY + 365LL * DAY - 1};

	CHECK_INT(app_serial_new(subject.serial), 0);
	return subject;
}

TEST(a_certificate_that_is_no_ca_is_no_issuer)
{
	AUTO_BYTES leaf = certs_self_signed(certs_rsa(), EVP_sha256());
	struct app_issuer issuer = {.digest = DIGEST_COUNT};
	struct err e = {0};

	CHECK_INT(app_issuer_init(leaf, &issuer, &e), ERR_FORMAT);
	CHECK_INT(issuer.digest, DIGEST_COUNT);
	assert_non_null(strstr(e.text, "CA:TRUE"));
	CHECK_INT(app_issuer_init(LITERAL("\x30\x00"), &issuer, NULL), ERR_FORMAT);
}

TEST(an_issuer_needs_usages_and_a_key_identifier)
{
	static const struct {
		const char *usage;
		bool key_id;
		int code;
	} list[] = {{"critical,keyCertSign", true, ERR_FORMAT},
		    {"critical,cRLSign", true, ERR_FORMAT},
		    {NULL, true, ERR_FORMAT},
		    {"critical,keyCertSign,cRLSign", false, ERR_FORMAT},
		    {"critical,keyCertSign,cRLSign", true, 0}};
	size_t i;

	for (i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		X509 *cert = certs_new(certs_rsa(), "CA");
		AUTO_BYTES der = {NULL, 0};
		struct app_issuer issuer;

		certs_extension(cert, NID_basic_constraints, "critical,CA:TRUE");
		if (list[i].usage != NULL)
			certs_extension(cert, NID_key_usage, list[i].usage);
		if (list[i].key_id)
			certs_extension(cert, NID_subject_key_identifier, "hash");
		X509_sign(cert, certs_rsa(), EVP_sha256());
		der = certs_der(cert);
		CHECK_INT(app_issuer_init(der, &issuer, NULL), list[i].code);
		X509_free(cert);
	}
}

TEST(every_kind_of_ca_key_gets_its_algorithm)
{
	static const struct {
		const char *curve;
		enum digest digest;
	} list[] = {
		{NULL, DIGEST_SHA256}, {"P-256", DIGEST_SHA256}, {"P-384", DIGEST_SHA384}, {"P-521", DIGEST_SHA512}};
	EVP_PKEY *k1 = certs_ec("secp256k1");
	AUTO_BYTES other = certs_spki(k1);
	AUTO_BYTES device = certs_spki(certs_rsa());
	struct bytes algorithm;
	struct config conf;
	enum digest digest;
	size_t i;

	config_default(&conf);
	for (i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		EVP_PKEY *key = list[i].curve == NULL ? certs_rsa() : certs_ec(list[i].curve);
		AUTO_STRUCT(app_profile) profile = profile_of(&conf, APP_USAGE_DEVICE);
		AUTO_BYTES root = root_of(key, -1), name = certs_name("x");
		struct app_subject subject = subject_of(name, device, (struct bytes){NULL, 0});
		struct app_issuer issuer;

		CHECK_INT(app_issuer_init(root, &issuer, NULL), 0);
		CHECK_INT(issuer.digest, list[i].digest);
		X509_free(issue(key, &issuer, profile, &subject));
		if (list[i].curve != NULL)
			EVP_PKEY_free(key);
	}
	CHECK_INT(app_signature_algorithm(other, &digest, &algorithm), ERR_ALG);
	CHECK_INT(app_signature_algorithm(LITERAL("\x30\x00"), &digest, &algorithm), ERR_ALG);
	EVP_PKEY_free(k1);
}

TEST(a_device_certificate_has_exactly_the_fields_it_should)
{
	EVP_PKEY *ca_key = certs_ec("P-256");
	AUTO_BYTES root = root_of(ca_key, 0), spki = certs_spki(certs_rsa());
	AUTO_BYTES name = certs_name("device 1");
	AUTO_STRUCT(app_profile) profile = NULL;
	struct app_issuer issuer;
	struct app_subject subject;
	struct config conf;
	BIGNUM *serial;
	X509 *cert;

	config_default(&conf);
	strcpy(conf.template_extended_key_usage, "clientAuth 1.3.6.1.4.1.99999.1 ipsecIKE");
	strcpy(conf.ca_crl_url, "http://pki.example/ca.crl");
	strcpy(conf.ca_ca_url, "http://pki.example/ca.cer");
	profile = profile_of(&conf, APP_USAGE_DEVICE);
	CHECK_INT(app_issuer_init(root, &issuer, NULL), 0);
	subject = subject_of(name, spki,
			     LITERAL("\x30\x0f\x82\x07"
				     "a.local\x87\x04\xc0\x00\x02\x01"));
	cert = issue(ca_key, &issuer, profile, &subject);
	CHECK_INT(X509_get_version(cert), X509_VERSION_3);
	serial = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
	CHECK_INT(BN_num_bits(serial), 127);
	CHECK(!BN_is_negative(serial));
	BN_free(serial);
	check_dates(cert, "270115080000Z", "280115075959Z");
	check_extension(cert, NID_basic_constraints, "critical CA:FALSE");
	check_extension(cert, NID_key_usage, "critical Digital Signature, Key Encipherment");
	check_extension(cert, NID_ext_key_usage,
			"TLS Web Client Authentication, 1.3.6.1.4.1.99999.1, ipsec Internet Key Exchange");
	check_extension(cert, NID_subject_alt_name, "DNS:a.local, IP Address:192.0.2.1");
	check_extension(cert, NID_crl_distribution_points, "Full Name:\n  URI:http://pki.example/ca.crl");
	check_extension(cert, NID_info_access, "CA Issuers - URI:http://pki.example/ca.cer");
	CHECK_INT(X509_get_ext_count(cert), 8);
	CHECK_INT(X509_check_purpose(cert, X509_PURPOSE_SSL_CLIENT, 0), 1);
	CHECK_INT(X509_check_purpose(cert, X509_PURPOSE_SSL_SERVER, 0), 0);
	CHECK_INT(X509_check_ca(cert), 0);
	CHECK_INT(EVP_PKEY_eq(X509_get0_pubkey(cert), certs_rsa()), 1);
	assert_memory_equal(ASN1_STRING_get0_data(X509_get0_authority_key_id(cert)), issuer.key_id.data, 20);
	X509_free(cert);
	EVP_PKEY_free(ca_key);
}

TEST(a_chain_of_ours_verifies_in_openssl)
{
	EVP_PKEY *ca_key = certs_ec("P-384");
	AUTO_BYTES root = root_of(ca_key, 0), spki = certs_spki(certs_rsa()), name = certs_name("device");
	AUTO_STRUCT(app_profile) profile = NULL;
	const unsigned char *p = root.data;
	X509 *ca = d2i_X509(NULL, &p, (long)root.len), *cert;
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	struct app_subject subject = subject_of(name, spki, (struct bytes){NULL, 0});
	struct app_issuer issuer;
	struct config conf;

	config_default(&conf);
	profile = profile_of(&conf, APP_USAGE_DEVICE);
	CHECK_INT(app_issuer_init(root, &issuer, NULL), 0);
	cert = issue(ca_key, &issuer, profile, &subject);
	X509_STORE_add_cert(store, ca);
	X509_STORE_CTX_init(ctx, store, cert, NULL);
	X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(ctx), TODAY + DAY);
	X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE);
	if (X509_verify_cert(ctx) != 1)
		fail_msg("%s", X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	X509_free(cert);
	X509_free(ca);
	EVP_PKEY_free(ca_key);
}

TEST(the_root_is_a_ca_by_rfc_5280)
{
	AUTO_BYTES der = root_of(certs_rsa(), 0), unlimited = root_of(certs_rsa(), -1);
	const unsigned char *p = der.data, *q = unlimited.data;
	X509 *cert = d2i_X509(NULL, &p, (long)der.len), *other = d2i_X509(NULL, &q, (long)unlimited.len);
	char text[100];

	CHECK_INT(X509_verify(cert, certs_rsa()), 1);
	CHECK_INT(X509_check_ca(cert), 1);
	check_extension(cert, NID_basic_constraints, "critical CA:TRUE, pathlen:0");
	check_extension(other, NID_basic_constraints, "critical CA:TRUE");
	check_extension(cert, NID_key_usage, "critical Digital Signature, Certificate Sign, CRL Sign");
	CHECK_INT(ASN1_STRING_cmp(X509_get0_subject_key_id(cert), X509_get0_authority_key_id(cert)), 0);
	CHECK_INT(X509_get_ext_count(cert), 4);
	X509_NAME_oneline(X509_get_subject_name(cert), text, sizeof(text));
	CHECK_TEXT(text, "/CN=Device CA/O=Example/C=DE");
	X509_free(cert);
	X509_free(other);
}

TEST(an_ec_key_gets_no_encipherment)
{
	EVP_PKEY *ec = certs_ec("P-256");
	AUTO_BYTES root = root_of(certs_rsa(), -1), spki = certs_spki(ec), name = certs_name("ec");
	AUTO_STRUCT(app_profile) profile = NULL;
	struct app_subject subject = subject_of(name, spki, (struct bytes){NULL, 0});
	struct app_issuer issuer;
	struct config conf;
	X509 *cert;

	config_default(&conf);
	strcpy(conf.template_key_usage, "digitalSignature keyEncipherment dataEncipherment keyAgreement");
	conf.template_extended_key_usage[0] = '\0';
	profile = profile_of(&conf, APP_USAGE_DEVICE);
	CHECK_INT(app_issuer_init(root, &issuer, NULL), 0);
	cert = issue(certs_rsa(), &issuer, profile, &subject);
	check_extension(cert, NID_key_usage, "critical Digital Signature, Key Agreement");
	check_extension(cert, NID_ext_key_usage, "-");
	check_extension(cert, NID_subject_alt_name, "-");
	check_extension(cert, NID_crl_distribution_points, "-");
	check_extension(cert, NID_info_access, "-");
	X509_free(cert);
	EVP_PKEY_free(ec);
}

TEST(the_appliances_own_certificates_have_one_use_each)
{
	static const struct {
		enum app_usage usage;
		const char *key_usage;
		const char *purposes;
	} list[] = {
		{APP_USAGE_RA_SIGN, "critical Digital Signature", "1.3.6.1.4.1.311.20.2.1"},
		{APP_USAGE_RA_DECRYPT, "critical Key Encipherment", "-"},
		{APP_USAGE_TLS, "critical Digital Signature", "TLS Web Server Authentication"},
	};
	AUTO_BYTES root = root_of(certs_rsa(), -1), spki = certs_spki(certs_rsa()), name = certs_name("appliance");
	struct app_subject subject = subject_of(name, spki, (struct bytes){NULL, 0});
	struct app_issuer issuer;
	struct config conf;
	size_t i;

	config_default(&conf);
	CHECK_INT(app_issuer_init(root, &issuer, NULL), 0);
	for (i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		AUTO_STRUCT(app_profile) profile = profile_of(&conf, list[i].usage);
		X509 *cert = issue(certs_rsa(), &issuer, profile, &subject);

		check_extension(cert, NID_basic_constraints, "critical CA:FALSE");
		check_extension(cert, NID_key_usage, list[i].key_usage);
		check_extension(cert, NID_ext_key_usage, list[i].purposes);
		X509_free(cert);
	}
}

TEST(an_empty_subject_makes_the_san_critical)
{
	AUTO_BYTES root = root_of(certs_rsa(), -1), spki = certs_spki(certs_rsa());
	AUTO_STRUCT(app_profile) profile = NULL;
	struct app_subject subject = subject_of(LITERAL("\x30\x00"), spki, LITERAL("\x30\x03\x82\x01x"));
	struct app_issuer issuer;
	struct config conf;
	X509 *cert;

	config_default(&conf);
	profile = profile_of(&conf, APP_USAGE_DEVICE);
	CHECK_INT(app_issuer_init(root, &issuer, NULL), 0);
	cert = issue(certs_rsa(), &issuer, profile, &subject);
	check_extension(cert, NID_subject_alt_name, "critical DNS:x");
	subject.not_after = 2600000000; /* after 2049: GeneralizedTime */
	X509_free(cert);
	cert = issue(certs_rsa(), &issuer, profile, &subject);
	check_dates(cert, "270115080000Z", "20520522141320Z");
	X509_free(cert);
}

TEST(the_same_input_gives_the_same_octets_and_small_buffers_fail)
{
	AUTO_BYTES root = root_of(certs_rsa(), -1), spki = certs_spki(certs_rsa()), name = certs_name("x");
	AUTO_STRUCT(app_profile) profile = NULL;
	struct app_subject subject = subject_of(name, spki, (struct bytes){NULL, 0});
	AUTO_BUF one = {0}, two = {0};
	struct app_issuer issuer;
	struct config conf;
	size_t limit;

	config_default(&conf);
	profile = profile_of(&conf, APP_USAGE_DEVICE);
	CHECK_INT(app_issuer_init(root, &issuer, NULL), 0);
	buf_init(&one, 10000);
	buf_init(&two, 10000);
	CHECK_INT(app_cert_build(&issuer, profile, &subject, &one), 0);
	CHECK_INT(app_cert_build(&issuer, profile, &subject, &two), 0);
	CHECK(bytes_equal(buf_bytes(&one), buf_bytes(&two)));
	for (limit = 1; limit < one.len; limit++) {
		AUTO_BUF small = {0};

		buf_init(&small, limit);
		CHECK_INT(app_cert_build(&issuer, profile, &subject, &small), ERR_LIMIT);
	}
	subject.spki = LITERAL("\x30\x00");
	CHECK_INT(app_cert_build(&issuer, profile, &subject, &one), ERR_FORMAT);
}

/* Requests with subjects of random types and text; whatever passes the check must pass the lint and OpenSSL. */
TEST(random_requests_that_pass_become_good_certificates)
{
	static const uint8_t tags[] = {DER_UTF8_STRING, DER_PRINTABLE_STRING, DER_IA5_STRING, DER_T61_STRING,
				       DER_BMP_STRING};
	const struct bytes types[] = {OID_COMMON_NAME, OID_ORGANIZATION,     OID_COUNTRY,
				      OID_LOCALITY,    OID_DOMAIN_COMPONENT, OID_SERIAL_NUMBER};
	EVP_PKEY *key = certs_ec("P-256");
	AUTO_BYTES root = root_of(key, -1);
	AUTO_STRUCT(app_profile) profile = NULL;
	struct app_issuer issuer;
	struct config conf;
	int round, passed = 0;
	unsigned seed = 12345;

	config_default(&conf);
	profile = profile_of(&conf, APP_USAGE_DEVICE);
	CHECK_INT(app_issuer_init(root, &issuer, NULL), 0);
	for (round = 0; round < 400; round++) {
		AUTO_BUF name = {0}, attributes = {0};
		AUTO_BYTES der = {NULL, 0};
		int i, k, count = rand_r(&seed) % 4;
		size_t sequence, set, pair, text;
		struct app_subject subject;
		struct app_csr csr;

		buf_init(&name, 10000);
		buf_init(&attributes, 10000);
		sequence = der_open(&name, DER_SEQUENCE);
		for (i = 0; i < count; i++) {
			set = der_open(&name, DER_SET);
			pair = der_open(&name, DER_SEQUENCE);
			der_put_oid(&name, types[rand_r(&seed) % 6]);
			text = der_open(&name, tags[rand_r(&seed) % 5]);
			for (k = rand_r(&seed) % 3 * 2; k >= 0; k--)
				buf_put_u8(&name, (uint8_t)(rand_r(&seed) % 32 == 0 ? rand_r(&seed)
										    : 'A' + rand_r(&seed) % 26));
			der_close(&name, text);
			der_close(&name, pair);
			der_close(&name, set);
		}
		der_close(&name, sequence);
		if (rand_r(&seed) % 2 == 0)
			certs_attribute(&attributes, OID_EXTENSION_REQUEST, DER_SEQUENCE,
					LITERAL("\x30\x0c\x06\x03\x55\x1d\x11\x04\x05\x30\x03\x82\x01x"));
		der = certs_request(key, EVP_sha256(), buf_bytes(&name), buf_bytes(&attributes));
		CHECK_INT(app_csr_parse(der, &csr, NULL), 0);
		if (app_profile_check(profile, &csr, false, NULL) == 0) {
			CHECK_INT(app_cert_subject(profile, &csr, NULL, &subject, NULL), 0);
			CHECK_INT(app_serial_new(subject.serial), 0);
			subject.not_before = TODAY;
			subject.not_after = TODAY + DAY;
			X509_free(issue(key, &issuer, profile, &subject));
			passed++;
		}
		app_csr_fini(&csr);
	}
	CHECK(passed > 50 && passed < 390);
	EVP_PKEY_free(key);
}

TEST(the_request_for_a_subordinate_ca_asks_for_a_ca)
{
	AUTO_BYTES spki = certs_spki(certs_rsa()), signature = {NULL, 0};
	AUTO_BUF name = {0}, info = {0}, request = {0};
	struct bytes algorithm;
	const unsigned char *p;
	enum digest digest;
	X509_REQ *req;
	STACK_OF(X509_EXTENSION) * extensions;

	buf_init(&name, 1000);
	buf_init(&info, 10000);
	buf_init(&request, 10000);
	CHECK_INT(app_name_parse("CN=Sub CA", &name, NULL), 0);
	CHECK_INT(app_cert_build_request(buf_bytes(&name), spki, &info), 0);
	CHECK_INT(app_signature_algorithm(spki, &digest, &algorithm), 0);
	signature = certs_sign(certs_rsa(), EVP_sha256(), buf_bytes(&info));
	CHECK_INT(app_cert_join(buf_bytes(&info), algorithm, signature, &request), 0);
	p = request.data;
	req = d2i_X509_REQ(NULL, &p, (long)request.len);
	assert_non_null(req);
	CHECK_INT(X509_REQ_verify(req, certs_rsa()), 1);
	extensions = X509_REQ_get_extensions(req);
	CHECK_INT(sk_X509_EXTENSION_num(extensions), 2);
	CHECK_INT(X509_EXTENSION_get_critical(sk_X509_EXTENSION_value(extensions, 0)), 1);
	CHECK_INT(OBJ_obj2nid(X509_EXTENSION_get_object(sk_X509_EXTENSION_value(extensions, 1))), NID_key_usage);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	X509_REQ_free(req);
}

TEST(names_that_are_not_understood_are_refused)
{
	static const char *const bad[] = {"",          "CN",      "CN=",       "=x",       "planet=x", "CN=a,",
					  "CN=a+O=b",  "CN=a\"b", "CN=a\\",    "CN=a\\g",  "C=DEU",    "C=1A",
					  "CN=a,,O=b", "CN=\\00", "CN=a\\0Ab", "CN=\xc3(", "CN=a;O=b", "CN= "};
	AUTO_BUF out = {0};
	struct err e;
	size_t i;

	buf_init(&out, 1000);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		e = (struct err){0};
		if (app_name_parse(bad[i], &out, &e) != ERR_FORMAT)
			fail_msg("accepted: %s", bad[i]);
		CHECK_INT(e.code, ERR_FORMAT);
		CHECK_INT(out.len, 0);
	}
}

TEST(names_from_text_read_back_as_text)
{
	static const struct {
		const char *text;
		const char *back;
	} list[] = {
		{"CN=Device CA,O=Example,C=DE", "CN=Device CA, O=Example, C=DE"},
		{"cn = Device CA , o = Ex\\, ample\\ ", "CN=Device CA, O=Ex\\, ample "},
		{"CN=caf\\C3\\a9", "CN=caf\xc3\xa9"},
		{"DC=example,emailAddress=a@b.c", "DC=example, emailAddress=a@b.c"},
	};
	char text[100];
	size_t i;

	for (i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		AUTO_BUF out = {0};
		struct err e = {0};

		buf_init(&out, 1000);
		if (app_name_parse(list[i].text, &out, &e) != 0)
			fail_msg("%s: %s", list[i].text, e.text);
		CHECK_TEXT(x509_name_text(buf_bytes(&out), text, sizeof(text)), list[i].back);
	}
}

TEST(serial_numbers_are_positive_long_and_different)
{
	uint8_t one[APP_SERIAL_SIZE], two[APP_SERIAL_SIZE];
	int i;

	for (i = 0; i < 200; i++) {
		CHECK_INT(app_serial_new(one), 0);
		CHECK_INT(app_serial_new(two), 0);
		CHECK(one[0] >= 0x40 && one[0] <= 0x7f);
		assert_memory_not_equal(one, two, sizeof(one));
	}
}

/* A Name of one attribute. */
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

/* Devices write characters that their string type does not have; the certificate gets a type that has them. */
TEST(the_subject_gets_the_string_types_that_belong_there)
{
	const struct {
		struct bytes type;
		uint8_t tag;
		uint8_t becomes;
		struct bytes value;
	} list[] = {
		{OID_COMMON_NAME, DER_PRINTABLE_STRING, DER_PRINTABLE_STRING, LITERAL("Router 1 (a)'+,-./:=?")},
		{OID_COMMON_NAME, DER_PRINTABLE_STRING, DER_UTF8_STRING, LITERAL("router_1@site")},
		{OID_COMMON_NAME, DER_PRINTABLE_STRING, DER_UTF8_STRING, LITERAL("*.example.com")},
		{OID_COMMON_NAME, DER_IA5_STRING, DER_UTF8_STRING, LITERAL("x")},
		{OID_COMMON_NAME, DER_UTF8_STRING, DER_UTF8_STRING, LITERAL("caf\xc3\xa9")},
		{OID_COMMON_NAME, DER_T61_STRING, DER_T61_STRING, LITERAL("caf\xe9")},
		{OID_COMMON_NAME, DER_BMP_STRING, DER_BMP_STRING, LITERAL("\0x")},
		{OID_EMAIL_ADDRESS, DER_PRINTABLE_STRING, DER_IA5_STRING, LITERAL("a@b.example")},
		{OID_DOMAIN_COMPONENT, DER_UTF8_STRING, DER_IA5_STRING, LITERAL("example")},
		{OID_COUNTRY, DER_UTF8_STRING, DER_PRINTABLE_STRING, LITERAL("DE")},
		{OID_SERIAL_NUMBER, DER_PRINTABLE_STRING, DER_UTF8_STRING, LITERAL("FDO_1234")},
	};
	EVP_PKEY *key = certs_ec("P-256");
	AUTO_BYTES ca = certs_ca(key), spki = certs_spki(key);
	struct app_issuer issuer;
	struct config conf;
	AUTO_STRUCT(app_profile) profile = NULL;
	size_t i;

	config_default(&conf);
	profile = profile_of(&conf, APP_USAGE_DEVICE);
	CHECK_INT(app_issuer_init(ca, &issuer, NULL), 0);
	for (i = 0; i < ARRAY_SIZE(list); i++) {
		struct app_subject subject = {.serial = {0x40}, .spki = spki};
		AUTO_BUF name = {0}, expected = {0}, tbs = {0};
		struct x509_tbs parsed;
		struct err e = {0};

		buf_init(&name, 1000);
		buf_init(&expected, 1000);
		buf_init(&tbs, 10000);
		name_put(&name, list[i].type, list[i].tag, list[i].value);
		name_put(&expected, list[i].type, list[i].becomes, list[i].value);
		subject.name = buf_bytes(&name);
		subject.not_before = issuer.cert.tbs.not_before;
		subject.not_after = issuer.cert.tbs.not_after;
		CHECK_INT(app_cert_build(&issuer, profile, &subject, &tbs), 0);
		if (app_cert_lint(&issuer, buf_bytes(&tbs), &e) != 0)
			fail_msg("case %zu: %s", i, e.text);
		CHECK_INT(x509_tbs_parse(buf_bytes(&tbs), &parsed, NULL), 0);
		if (!bytes_equal(parsed.subject, buf_bytes(&expected)))
			fail_msg("case %zu: another subject", i);
	}
	EVP_PKEY_free(key);
}

TEST_MAIN(RUN(the_subject_gets_the_string_types_that_belong_there), RUN(a_certificate_that_is_no_ca_is_no_issuer),
	  RUN(an_issuer_needs_usages_and_a_key_identifier), RUN(every_kind_of_ca_key_gets_its_algorithm),
	  RUN(a_device_certificate_has_exactly_the_fields_it_should), RUN(a_chain_of_ours_verifies_in_openssl),
	  RUN(the_root_is_a_ca_by_rfc_5280), RUN(an_ec_key_gets_no_encipherment),
	  RUN(the_appliances_own_certificates_have_one_use_each), RUN(an_empty_subject_makes_the_san_critical),
	  RUN(the_same_input_gives_the_same_octets_and_small_buffers_fail),
	  RUN(random_requests_that_pass_become_good_certificates), RUN(the_request_for_a_subordinate_ca_asks_for_a_ca),
	  RUN(names_that_are_not_understood_are_refused), RUN(names_from_text_read_back_as_text),
	  RUN(serial_numbers_are_positive_long_and_different))
