#include "appliance/crl.h"

#include "tests/lib/certs.h"
#include "tests/lib/test.h"

enum { TODAY = 1800000000, DAY = 86400 };

static void
bytes_free(struct bytes *v)
{
	free((void *)v->data);
}

#define AUTO_BYTES __attribute__((cleanup(bytes_free))) struct bytes

static void
add(struct app_crl *crl, const uint8_t serial[APP_SERIAL_SIZE], int64_t revoked, int reason)
{
	struct app_revoked entry = {.revoked = revoked, .reason = reason};

	memcpy(entry.serial, serial, APP_SERIAL_SIZE);
	app_crl_add(&entry, crl);
}

/* The list signed and read by OpenSSL. */
static X509_CRL *
finish(const struct app_issuer *issuer, EVP_PKEY *key, const struct app_crl *crl, int64_t number, int64_t next)
{
	AUTO_BUF tbs = {0}, out = {0};
	AUTO_BYTES signature = {NULL, 0};
	const unsigned char *p;
	X509_CRL *theirs;

	buf_init(&tbs, 10 << 20);
	buf_init(&out, 10 << 20);
	CHECK_INT(app_crl_build(issuer, crl, number, TODAY, next, &tbs), 0);
	signature = certs_sign(key, EVP_sha256(), buf_bytes(&tbs));
	CHECK_INT(app_cert_join(buf_bytes(&tbs), issuer->algorithm, signature, &out), 0);
	p = out.data;
	theirs = d2i_X509_CRL(NULL, &p, (long)out.len);
	assert_non_null(theirs);
	CHECK(p == out.data + out.len);
	CHECK_INT(X509_CRL_verify(theirs, key), 1);
	return theirs;
}

static void
check_number(X509_CRL *crl, uint64_t expected)
{
	int critical = -5;
	ASN1_INTEGER *number = X509_CRL_get_ext_d2i(crl, NID_crl_number, &critical, NULL);
	uint64_t value;

	assert_non_null(number);
	CHECK_INT(critical, 0);
	CHECK_INT(ASN1_INTEGER_get_uint64(&value, number), 1);
	CHECK(value == expected);
	ASN1_INTEGER_free(number);
}

TEST(a_list_that_overflowed_is_not_built)
{
	AUTO_BYTES root = certs_ca(certs_rsa());
	const uint8_t serial[APP_SERIAL_SIZE] = {0x40};
	struct app_issuer issuer;
	struct app_crl crl;
	AUTO_BUF out = {0}, small = {0};

	CHECK_INT(app_issuer_init(root, &issuer, NULL), 0);
	app_crl_init(&crl);
	crl.entries.limit = 100;
	buf_init(&out, 10000);
	buf_init(&small, 50);
	CHECK_INT(app_crl_build(&issuer, &crl, -1, TODAY, TODAY + DAY, &out), ERR_LIMIT);
	CHECK_INT(app_crl_build(&issuer, &crl, 1, TODAY, TODAY + DAY, &small), ERR_LIMIT);
	add(&crl, serial, TODAY, APP_REASON_KEY_COMPROMISE);
	add(&crl, serial, TODAY, APP_REASON_KEY_COMPROMISE);
	add(&crl, serial, TODAY, APP_REASON_KEY_COMPROMISE);
	CHECK_INT(app_crl_build(&issuer, &crl, 1, TODAY, TODAY + DAY, &out), ERR_LIMIT);
	app_crl_fini(&crl);
}

TEST(an_empty_list_has_no_revoked_certificates)
{
	AUTO_BYTES root = certs_ca(certs_rsa());
	struct app_issuer issuer;
	struct app_crl crl;
	X509_CRL *theirs;
	AUTHORITY_KEYID *key_id;
	X509 *ca;
	const unsigned char *p = root.data;

	CHECK_INT(app_issuer_init(root, &issuer, NULL), 0);
	app_crl_init(&crl);
	theirs = finish(&issuer, certs_rsa(), &crl, 1, TODAY + 7 * DAY);
	assert_null(X509_CRL_get_REVOKED(theirs));
	CHECK_INT(X509_CRL_get_version(theirs), 1);
	CHECK_INT(X509_CRL_get_ext_count(theirs), 2);
	check_number(theirs, 1);
	key_id = X509_CRL_get_ext_d2i(theirs, NID_authority_key_identifier, NULL, NULL);
	assert_non_null(key_id);
	CHECK_INT(key_id->keyid->length, 20);
	assert_memory_equal(key_id->keyid->data, issuer.key_id.data, 20);
	AUTHORITY_KEYID_free(key_id);
	ca = d2i_X509(NULL, &p, (long)root.len);
	CHECK_INT(X509_NAME_cmp(X509_CRL_get_issuer(theirs), X509_get_subject_name(ca)), 0);
	CHECK_TEXT((const char *)ASN1_STRING_get0_data(X509_CRL_get0_lastUpdate(theirs)), "270115080000Z");
	CHECK_TEXT((const char *)ASN1_STRING_get0_data(X509_CRL_get0_nextUpdate(theirs)), "270122080000Z");
	X509_free(ca);
	X509_CRL_free(theirs);
	app_crl_fini(&crl);
}

/* The reason that OpenSSL reads in entry i; -1 when none is given. */
static long
reason_of(X509_CRL *crl, int i)
{
	X509_REVOKED *entry = sk_X509_REVOKED_value(X509_CRL_get_REVOKED(crl), i);
	ASN1_ENUMERATED *reason = X509_REVOKED_get_ext_d2i(entry, NID_crl_reason, NULL, NULL);
	long value = reason == NULL ? -1 : ASN1_ENUMERATED_get(reason);

	CHECK_INT(X509_REVOKED_get_ext_count(entry), reason == NULL ? 0 : 1);
	ASN1_ENUMERATED_free(reason);
	return value;
}

TEST(reasons_are_given_unless_unspecified)
{
	static const struct {
		int reason;
		long expected;
	} list[] = {{APP_REASON_NONE, -1},
		    {APP_REASON_UNSPECIFIED, -1},
		    {APP_REASON_KEY_COMPROMISE, 1},
		    {APP_REASON_SUPERSEDED, 4},
		    {7, -1},
		    {8, -1},
		    {APP_REASON_PRIVILEGE_WITHDRAWN, 9},
		    {300, -1}};
	AUTO_BYTES root = certs_ca(certs_rsa());
	uint8_t serial[APP_SERIAL_SIZE] = {0};
	struct app_issuer issuer;
	struct app_crl crl;
	X509_CRL *theirs;
	size_t i;

	CHECK_INT(app_issuer_init(root, &issuer, NULL), 0);
	app_crl_init(&crl);
	for (i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		serial[0] = 0xff; /* a sign octet has to be put before it */
		serial[15] = (uint8_t)i;
		add(&crl, serial, i == 0 ? 2600000000 : TODAY - DAY, list[i].reason);
	}
	theirs = finish(&issuer, certs_rsa(), &crl, INT64_MAX, TODAY + DAY);
	check_number(theirs, INT64_MAX);
	for (i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		X509_REVOKED *entry = sk_X509_REVOKED_value(X509_CRL_get_REVOKED(theirs), (int)i);
		BIGNUM *number = ASN1_INTEGER_to_BN(X509_REVOKED_get0_serialNumber(entry), NULL);

		CHECK_INT(reason_of(theirs, (int)i), list[i].expected);
		CHECK_INT(BN_num_bits(number), 128);
		CHECK(!BN_is_negative(number));
		CHECK_TEXT((const char *)ASN1_STRING_get0_data(X509_REVOKED_get0_revocationDate(entry)),
			   i == 0 ? "20520522141320Z" : "270114080000Z");
		BN_free(number);
	}
	X509_CRL_free(theirs);
	app_crl_fini(&crl);
}

TEST(an_invalidity_date_is_generalized_time)
{
	AUTO_BYTES root = certs_ca(certs_rsa());
	struct app_revoked entry = {.serial = {0x40}, .revoked = TODAY, .invalidity = TODAY - DAY};
	struct app_issuer issuer;
	struct app_crl crl;
	X509_CRL *theirs;
	X509_REVOKED *read;
	ASN1_GENERALIZEDTIME *since;
	int critical = -5;

	CHECK_INT(app_issuer_init(root, &issuer, NULL), 0);
	app_crl_init(&crl);
	app_crl_add(&entry, &crl);
	entry.serial[0] = 0x41;
	entry.reason = APP_REASON_HOLD;
	app_crl_add(&entry, &crl);
	theirs = finish(&issuer, certs_rsa(), &crl, 7, TODAY + DAY);
	for (int i = 0; i < 2; i++) {
		read = sk_X509_REVOKED_value(X509_CRL_get_REVOKED(theirs), i);
		CHECK_INT(X509_REVOKED_get_ext_count(read), i + 1);
		since = X509_REVOKED_get_ext_d2i(read, NID_invalidity_date, &critical, NULL);
		assert_non_null(since);
		CHECK_INT(critical, 0);
		CHECK_TEXT((const char *)ASN1_STRING_get0_data(since), "20270114080000Z");
		ASN1_GENERALIZEDTIME_free(since);
	}
	X509_CRL_free(theirs);
	app_crl_fini(&crl);
}

TEST(ten_thousand_entries_are_all_found)
{
	EVP_PKEY *key = certs_ec("P-256");
	AUTO_BYTES root = certs_ca(key);
	uint8_t serial[APP_SERIAL_SIZE] = {0x51};
	struct app_issuer issuer;
	struct app_crl crl;
	X509_CRL *theirs;
	int i;

	CHECK_INT(app_issuer_init(root, &issuer, NULL), 0);
	app_crl_init(&crl);
	for (i = 0; i < 10000; i++) {
		serial[14] = (uint8_t)(i >> 8);
		serial[15] = (uint8_t)i;
		add(&crl, serial, TODAY - i, i % 2 == 0 ? APP_REASON_SUPERSEDED : APP_REASON_UNSPECIFIED);
	}
	theirs = finish(&issuer, key, &crl, 42, TODAY + DAY);
	CHECK_INT(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(theirs)), 10000);
	for (i = 0; i < 10000; i += 97) {
		X509_REVOKED *found = NULL;
		ASN1_INTEGER *number;
		BIGNUM *bn;

		serial[14] = (uint8_t)(i >> 8);
		serial[15] = (uint8_t)i;
		bn = BN_bin2bn(serial, sizeof(serial), NULL);
		number = BN_to_ASN1_INTEGER(bn, NULL);
		CHECK_INT(X509_CRL_get0_by_serial(theirs, &found, number), 1);
		ASN1_INTEGER_free(number);
		BN_free(bn);
	}
	X509_CRL_free(theirs);
	app_crl_fini(&crl);
	EVP_PKEY_free(key);
}

TEST_MAIN(RUN(a_list_that_overflowed_is_not_built), RUN(an_empty_list_has_no_revoked_certificates),
	  RUN(reasons_are_given_unless_unspecified), RUN(an_invalidity_date_is_generalized_time),
	  RUN(ten_thousand_entries_are_all_found))
