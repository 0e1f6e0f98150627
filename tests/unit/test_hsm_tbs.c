/* hsm/tbs: what the keys refuse to sign. */
#include "board/base/oid.h"
#include "hsm/sign.h"
#include "hsm/tbs.h"
#include "tests/lib/certs.h"
#include "tests/lib/tbs.h"
#include "tests/lib/test.h"

enum { DAY = 24 * 3600 };

/* 2026-11-22T12:00:00Z: nothing here looks at a real clock. */
static const int64_t now = 1795348800;

/* A CA of ten years with its limits, and an honest request for an end entity. */
static struct {
	struct bytes name;
	struct bytes other_name;
	struct bytes spki;
	struct bytes device_spki;
	struct bytes algorithm;
	struct buf certificate;
	struct hsm_limits limits;
	struct tbs_plan honest;
} ca;

static void
setup(void)
{
	EVP_PKEY *device = certs_ec("P-256");
	EVP_PKEY *key = certs_ec("P-256");
	struct err e = {0};
	struct tbs_plan plan;
	AUTO_BUF tbs;

	buf_init(&tbs, 4096);
	ca.name = certs_name("Test CA");
	ca.other_name = certs_name("Other CA");
	ca.spki = certs_spki(key);
	ca.device_spki = certs_spki(device);
	ca.algorithm = hsm_sign_algorithm(KEY_ALG_P256, DIGEST_SHA256);
	plan = tbs_plan(ca.algorithm, ca.name, ca.name, ca.spki, now);
	plan.not_before = now - 100 * DAY;
	plan.not_after = now + 3650 * (int64_t)DAY;
	plan.ca = true;
	plan.subject_key_id = OID_BYTES("key identifier of CA");
	tbs_put(&tbs, &plan);
	buf_init(&ca.certificate, 8192);
	tbs_join(&ca.certificate, buf_bytes(&tbs), ca.algorithm, OID_BYTES("not looked at"));
	CHECK_INT(hsm_limits_init(buf_bytes(&ca.certificate), ca.spki, 825, &ca.limits, &e), 0);
	ca.honest = tbs_plan(ca.algorithm, ca.name, ca.other_name, ca.device_spki, now);
	ca.honest.authority_key_id = OID_BYTES("key identifier of CA");
	EVP_PKEY_free(device);
	EVP_PKEY_free(key);
}

static void
teardown(void)
{
	free((void *)ca.name.data);
	free((void *)ca.other_name.data);
	free((void *)ca.spki.data);
	free((void *)ca.device_spki.data);
	buf_fini(&ca.certificate);
}

static int
check(enum key_class key_class, enum role from, enum digest digest, struct bytes data)
{
	struct err e = {0};
	int code = hsm_tbs_check(&ca.limits, key_class, from, digest, ca.algorithm, data, now, &e);

	CHECK_INT(e.code, code);
	CHECK((code == 0) == (e.text[0] == '\0'));
	return code;
}

static int
check_plan(const struct tbs_plan *plan, enum role from)
{
	AUTO_BUF tbs;

	buf_init(&tbs, 4096);
	tbs_put(&tbs, plan);
	return check(KEY_CA, from, DIGEST_SHA256, buf_bytes(&tbs));
}

TEST(roles_get_only_their_keys)
{
	static const bool may[KEY_CLASS_COUNT][ROLE_COUNT] = {
		[KEY_CA] = {[ROLE_AUTHORITY] = true, [ROLE_PROVISION] = true},
		[KEY_CRL] = {[ROLE_AUTHORITY] = true},
		[KEY_RA_SIGN] = {[ROLE_FRONT] = true},
		[KEY_AUDIT] = {[ROLE_AUTHORITY] = true},
		[KEY_OCSP] = {[ROLE_AUTHORITY] = true},
		[KEY_POLICY] = {[ROLE_AUTHORITY] = true},
		[KEY_REGISTRATION] = {[ROLE_AUTHORITY] = true},
	};
	int key_class;
	int from;

	for (key_class = 0; key_class < KEY_CLASS_COUNT; key_class++) {
		for (from = 0; from < ROLE_COUNT; from++) {
			int code = hsm_tbs_allowed((enum key_class)key_class, (enum role)from, DIGEST_SHA256, NULL);

			CHECK_INT(code, may[key_class][from] ? 0 : ERR_DENIED);
		}
	}
	CHECK_INT(hsm_tbs_allowed((enum key_class)99, ROLE_AUTHORITY, DIGEST_SHA256, NULL), ERR_DENIED);
}

TEST(sha1_is_for_ra_signing_alone)
{
	CHECK_INT(hsm_tbs_allowed(KEY_CA, ROLE_AUTHORITY, DIGEST_SHA1, NULL), ERR_ALG);
	CHECK_INT(hsm_tbs_allowed(KEY_CA, ROLE_PROVISION, DIGEST_SHA1, NULL), ERR_ALG);
	CHECK_INT(hsm_tbs_allowed(KEY_CRL, ROLE_AUTHORITY, DIGEST_SHA1, NULL), ERR_ALG);
	CHECK_INT(hsm_tbs_allowed(KEY_AUDIT, ROLE_AUTHORITY, DIGEST_SHA1, NULL), ERR_ALG);
	CHECK_INT(hsm_tbs_allowed(KEY_RA_SIGN, ROLE_FRONT, DIGEST_SHA1, NULL), 0);
	CHECK_INT(hsm_tbs_allowed(KEY_RA_SIGN, ROLE_FRONT, DIGEST_COUNT, NULL), ERR_ALG);
}

/* Each line departs from the honest plan in one thing. */
#define REFUSED(change)                                                                                                \
	do {                                                                                                           \
		struct tbs_plan plan = ca.honest;                                                                      \
		plan.change;                                                                                           \
		CHECK_INT(check_plan(&plan, ROLE_AUTHORITY), ERR_DENIED);                                              \
	} while (0)

TEST(dishonest_certificates_are_refused)
{
	REFUSED(issuer = ca.other_name);
	REFUSED(spki = ca.spki);
	REFUSED(version = 0);
	REFUSED(algorithm = hsm_sign_algorithm(KEY_ALG_P256, DIGEST_SHA384));
	REFUSED(algorithm = hsm_sign_algorithm(KEY_ALG_P256, DIGEST_SHA1));
	REFUSED(algorithm = hsm_sign_algorithm(KEY_ALG_RSA2048, DIGEST_SHA256));
	REFUSED(ca = true);
	REFUSED(key_usage = 0xa4);
	REFUSED(key_usage = 0xa2);
	REFUSED(twice = true);
	REFUSED(authority_key_id = OID_BYTES("key identifier of XX"));
	REFUSED(authority_key_id = OID_BYTES("key"));
	REFUSED(serial = OID_BYTES("\x00"));
	REFUSED(serial = OID_BYTES("\x80"));
	REFUSED(serial = OID_BYTES("\x01 21 octets long here"));
	REFUSED(not_before = now + 301);
	REFUSED(not_before = now - 8 * DAY - 1);
	REFUSED(not_after = now + 826 * (int64_t)DAY);
	REFUSED(not_after = ca.honest.not_before);
}

/* Found by tests/fuzz/fuzz_tbs: the same key and the same name, in other octets. */
TEST(the_ca_itself_is_not_certified_in_disguise)
{
	struct bytes other_case = OID_BYTES("\x30\x13\x31\x11\x30\x0f\x06\x03\x55\x04\x03\x13\x08"
					    "tEST  Ca");
	struct bytes broken = OID_BYTES("\x30\x02\x31\x05");
	uint8_t compressed[59];

	CHECK_INT(ca.spki.len, 91);
	memcpy(compressed, ca.spki.data, sizeof(compressed));
	compressed[1] = 57;
	compressed[24] = 34;
	compressed[26] = 0x02 | (ca.spki.data[90] & 1);
	REFUSED(spki = ((struct bytes){compressed, sizeof(compressed)}));
	REFUSED(spki = OID_BYTES("\x30\x00"));
	REFUSED(subject = other_case);
	REFUSED(subject = broken);
}

/* Some readers take these for a CA, or for the CA, though none of them has basicConstraints with CA:TRUE. */
TEST(what_some_take_for_a_ca_is_refused)
{
	static const uint8_t empty[] = {0x30, 0x00}, is_ca[] = {0x30, 0x03, 0x01, 0x01, 0xff};
	const struct {
		struct bytes oid;
		struct bytes value;
	} extras[] = {
		{OID_BYTES("\x55\x1d\x1e"), {empty, sizeof(empty)}},                     /* nameConstraints */
		{OID_BYTES("\x55\x1d\x24"), {empty, sizeof(empty)}},                     /* policyConstraints */
		{OID_BYTES("\x2b\x06\x01\x05\x05\x07\x01\x0e"), {empty, sizeof(empty)}}, /* proxyCertInfo */
		{OID_BYTES("\x55\x1d\x80\x13"), {is_ca, sizeof(is_ca)}}, /* basicConstraints, its OID padded */
	};
	struct tbs_plan odd = ca.honest;

	REFUSED(subject = ca.name);
	REFUSED(bare = true);
	/* OpenSSL's X509_check_ca() is content with an nsCertType of SSL, S/MIME and object signing CA. */
	odd.bare = true;
	odd.extra = OID_BYTES("\x60\x86\x48\x01\x86\xf8\x42\x01");
	odd.extra_value = OID_BYTES("\x03\x02\x00\x07");
	CHECK_INT(check_plan(&odd, ROLE_AUTHORITY), ERR_DENIED);
	for (size_t i = 0; i < ARRAY_SIZE(extras); i++) {
		odd = ca.honest;
		odd.extra = extras[i].oid;
		odd.extra_value = extras[i].value;
		CHECK_INT(check_plan(&odd, ROLE_AUTHORITY), ERR_DENIED);
	}
}

TEST(extensions_of_a_device_are_signed)
{
	const struct bytes known[] = {OID_SUBJECT_ALT_NAME, OID_EXT_KEY_USAGE, OID_CRL_DISTRIBUTION_POINTS,
				      OID_AUTHORITY_INFO_ACCESS};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		struct tbs_plan plan = ca.honest;

		plan.extra = known[i];
		plan.extra_value = OID_BYTES("\x30\x00");
		CHECK_INT(check_plan(&plan, ROLE_AUTHORITY), 0);
	}
}

TEST(certificate_never_outlives_the_ca)
{
	struct tbs_plan plan = ca.honest;
	struct hsm_limits limits = ca.limits;

	ca.limits.max_days = 7300;
	plan.not_after = ca.limits.ca.tbs.not_after;
	CHECK_INT(check_plan(&plan, ROLE_AUTHORITY), 0);
	plan.not_after++;
	CHECK_INT(check_plan(&plan, ROLE_AUTHORITY), ERR_DENIED);
	ca.limits = limits;
	ca.limits.ca.tbs.not_before = ca.honest.not_before + 1;
	CHECK_INT(check_plan(&ca.honest, ROLE_AUTHORITY), ERR_DENIED);
	ca.limits = limits;
}

TEST(honest_certificate_is_signed)
{
	struct tbs_plan plan = ca.honest;

	CHECK_INT(check_plan(&plan, ROLE_AUTHORITY), 0);
	plan.authority_key_id = (struct bytes){NULL, 0};
	plan.not_before = now + 300;
	plan.not_after = now + 825 * (int64_t)DAY;
	CHECK_INT(check_plan(&plan, ROLE_AUTHORITY), 0);
}

TEST(broken_der_is_refused)
{
	struct bytes whole;
	AUTO_BUF tbs;
	size_t len;

	buf_init(&tbs, 4096);
	tbs_put(&tbs, &ca.honest);
	whole = buf_bytes(&tbs);
	for (len = 0; len < whole.len; len++)
		CHECK_INT(check(KEY_CA, ROLE_AUTHORITY, DIGEST_SHA256, (struct bytes){whole.data, len}), ERR_FORMAT);
	buf_put_u8(&tbs, 0);
	CHECK_INT(check(KEY_CA, ROLE_AUTHORITY, DIGEST_SHA256, buf_bytes(&tbs)), ERR_FORMAT);
}

/* Whatever one octet is changed to, no certificate of another issuer or with the CA's power comes out. */
TEST(mutations_do_not_escape)
{
	struct bytes whole;
	AUTO_BUF tbs;
	size_t i;

	buf_init(&tbs, 4096);
	tbs_put(&tbs, &ca.honest);
	whole = buf_bytes(&tbs);
	for (i = 0; i < whole.len * 8; i++) {
		struct x509_tbs parsed;

		tbs.data[i / 8] ^= (uint8_t)(1u << (i % 8));
		if (hsm_tbs_check(&ca.limits, KEY_CA, ROLE_AUTHORITY, DIGEST_SHA256, ca.algorithm, whole, now, NULL) ==
		    0) {
			CHECK_INT(x509_tbs_parse(whole, &parsed, NULL), 0);
			CHECK(bytes_equal(parsed.issuer, ca.name));
			CHECK(bytes_equal(parsed.algorithm, ca.algorithm));
			CHECK(parsed.not_after <= now + 826 * (int64_t)DAY);
		}
		tbs.data[i / 8] ^= (uint8_t)(1u << (i % 8));
	}
}

TEST(ceremony_signs_for_the_ca_key_alone)
{
	struct tbs_plan root = tbs_plan(ca.algorithm, ca.name, ca.name, ca.spki, now);
	struct tbs_plan plan;
	AUTO_BUF request;

	root.ca = true;
	root.key_usage = 0x06;
	CHECK_INT(check_plan(&root, ROLE_PROVISION), 0);
	CHECK_INT(check_plan(&root, ROLE_AUTHORITY), ERR_DENIED);
	CHECK_INT(check_plan(&ca.honest, ROLE_PROVISION), ERR_DENIED);
	plan = root;
	plan.spki = ca.device_spki;
	CHECK_INT(check_plan(&plan, ROLE_PROVISION), ERR_DENIED);
	plan = root;
	plan.subject = ca.other_name;
	CHECK_INT(check_plan(&plan, ROLE_PROVISION), ERR_DENIED);
	plan = root;
	plan.ca = false;
	CHECK_INT(check_plan(&plan, ROLE_PROVISION), ERR_DENIED);

	buf_init(&request, 4096);
	tbs_request_put(&request, 0, ca.name, ca.spki);
	CHECK_INT(check(KEY_CA, ROLE_PROVISION, DIGEST_SHA256, buf_bytes(&request)), 0);
	CHECK_INT(check(KEY_CA, ROLE_AUTHORITY, DIGEST_SHA256, buf_bytes(&request)), ERR_FORMAT);
	buf_clear(&request);
	tbs_request_put(&request, 1, ca.name, ca.spki);
	CHECK_INT(check(KEY_CA, ROLE_PROVISION, DIGEST_SHA256, buf_bytes(&request)), ERR_FORMAT);
	buf_clear(&request);
	tbs_request_put(&request, 0, ca.name, ca.device_spki);
	CHECK_INT(check(KEY_CA, ROLE_PROVISION, DIGEST_SHA256, buf_bytes(&request)), ERR_DENIED);
}

/* The CA's key signs the announcement of its successor at the ceremony, and no SCEP message ever. */
TEST(ceremony_signs_announcements_but_no_messages)
{
	AUTO_BUF data;
	size_t len;

	buf_init(&data, 4096);
	tbs_announcement_put(&data);
	CHECK_INT(check(KEY_CA, ROLE_PROVISION, DIGEST_SHA256, buf_bytes(&data)), 0);
	CHECK_INT(check(KEY_CA, ROLE_AUTHORITY, DIGEST_SHA256, buf_bytes(&data)), ERR_FORMAT);
	CHECK_INT(check(KEY_RA_SIGN, ROLE_FRONT, DIGEST_SHA256, buf_bytes(&data)), ERR_DENIED);
	for (len = 0; len < data.len; len++)
		CHECK_INT(check(KEY_CA, ROLE_PROVISION, DIGEST_SHA256, (struct bytes){data.data, len}), ERR_FORMAT);
	buf_clear(&data);
	tbs_attributes_put(&data, true);
	CHECK_INT(check(KEY_CA, ROLE_PROVISION, DIGEST_SHA256, buf_bytes(&data)), ERR_DENIED);
	buf_clear(&data);
	tbs_attributes_put(&data, false); /* signingTime is missing */
	CHECK_INT(check(KEY_CA, ROLE_PROVISION, DIGEST_SHA256, buf_bytes(&data)), ERR_DENIED);
}

/* Two generations may have one name, so the key identifier has to be right. */
TEST(no_generation_signs_for_another)
{
	struct hsm_limits both[2] = {ca.limits, ca.limits};
	struct tbs_plan plan = ca.honest;
	AUTO_BUF tbs;

	buf_init(&tbs, 4096);
	both[1].ca_spki = ca.device_spki;
	hsm_limits_join(both, 2);
	tbs_put(&tbs, &plan);
	CHECK_INT(hsm_tbs_check(&ca.limits, KEY_CA, ROLE_AUTHORITY, DIGEST_SHA256, ca.algorithm, buf_bytes(&tbs), now,
				NULL),
		  0);
	CHECK_INT(hsm_tbs_check(&both[0], KEY_CA, ROLE_AUTHORITY, DIGEST_SHA256, ca.algorithm, buf_bytes(&tbs), now,
				NULL),
		  ERR_DENIED);
	plan.authority_key_id = OID_BYTES("key identifier of another");
	CHECK_INT(check_plan(&plan, ROLE_AUTHORITY), ERR_DENIED);
}

static int
check_crl_plan(const struct crl_plan *plan)
{
	AUTO_BUF crl;

	buf_init(&crl, 4096);
	tbs_crl_put(&crl, plan);
	return check(KEY_CRL, ROLE_AUTHORITY, DIGEST_SHA256, buf_bytes(&crl));
}

TEST(only_honest_crls_are_signed)
{
	const struct crl_plan honest = {
		.version = 1,
		.algorithm = ca.algorithm,
		.issuer = ca.name,
		.this_update = now,
		.next_update = now + 7 * DAY,
	};
	struct crl_plan plan = honest;
	AUTO_BUF crl;
	size_t len;

	CHECK_INT(check_crl_plan(&honest), 0);
	plan.authority_key_id = OID_BYTES("key identifier of another");
	CHECK_INT(check_crl_plan(&plan), ERR_DENIED);
	plan.authority_key_id = OID_BYTES("key identifier of CA");
	CHECK_INT(check_crl_plan(&plan), 0);
	plan.version = 0;
	CHECK(check_crl_plan(&plan) != 0);
	plan = honest;
	plan.issuer = ca.other_name;
	CHECK_INT(check_crl_plan(&plan), ERR_DENIED);
	plan = honest;
	plan.algorithm = hsm_sign_algorithm(KEY_ALG_P256, DIGEST_SHA384);
	CHECK_INT(check_crl_plan(&plan), ERR_DENIED);
	plan = honest;
	plan.this_update = now + 301;
	CHECK_INT(check_crl_plan(&plan), ERR_DENIED);
	plan = honest;
	plan.next_update = 0;
	CHECK_INT(check_crl_plan(&plan), ERR_DENIED);
	plan.next_update = now + 367 * DAY;
	CHECK_INT(check_crl_plan(&plan), ERR_DENIED);
	plan.next_update = now - DAY;
	CHECK_INT(check_crl_plan(&plan), ERR_DENIED);
	/* Nobody shall take a delta for all that is revoked, or a list of a part for the whole. */
	plan = honest;
	plan.extra = OID_DELTA_CRL_INDICATOR;
	CHECK_INT(check_crl_plan(&plan), ERR_FORMAT);
	plan.critical = true;
	CHECK_INT(check_crl_plan(&plan), 0);
	plan.extra = OID_BYTES("\x55\x1d\x1c"); /* issuingDistributionPoint */
	CHECK_INT(check_crl_plan(&plan), ERR_FORMAT);
	plan.critical = false;
	CHECK_INT(check_crl_plan(&plan), ERR_FORMAT);
	plan.extra = OID_CRL_NUMBER;
	CHECK_INT(check_crl_plan(&plan), ERR_FORMAT);
	plan.extra = OID_FRESHEST_CRL;
	CHECK_INT(check_crl_plan(&plan), 0);

	buf_init(&crl, 4096);
	tbs_crl_put(&crl, &honest);
	for (len = 0; len < crl.len; len++)
		CHECK_INT(check(KEY_CRL, ROLE_AUTHORITY, DIGEST_SHA256, (struct bytes){crl.data, len}), ERR_FORMAT);
	/* A certificate is no CRL, and a CRL no certificate. */
	CHECK_INT(check(KEY_CA, ROLE_AUTHORITY, DIGEST_SHA256, buf_bytes(&crl)), ERR_FORMAT);
	buf_clear(&crl);
	tbs_put(&crl, &ca.honest);
	CHECK_INT(check(KEY_CRL, ROLE_AUTHORITY, DIGEST_SHA256, buf_bytes(&crl)), ERR_FORMAT);
}

TEST(ra_signs_scep_attributes_alone)
{
	AUTO_BUF data;
	size_t len;

	buf_init(&data, 4096);
	tbs_attributes_put(&data, true);
	CHECK_INT(check(KEY_RA_SIGN, ROLE_FRONT, DIGEST_SHA1, buf_bytes(&data)), 0);
	CHECK_INT(check(KEY_RA_SIGN, ROLE_FRONT, DIGEST_SHA256, buf_bytes(&data)), 0);
	for (len = 0; len < data.len; len++)
		CHECK_INT(check(KEY_RA_SIGN, ROLE_FRONT, DIGEST_SHA256, (struct bytes){data.data, len}), ERR_FORMAT);
	buf_clear(&data);
	tbs_attributes_put(&data, false);
	CHECK_INT(check(KEY_RA_SIGN, ROLE_FRONT, DIGEST_SHA256, buf_bytes(&data)), ERR_DENIED);
	buf_clear(&data);
	tbs_put(&data, &ca.honest);
	CHECK_INT(check(KEY_RA_SIGN, ROLE_FRONT, DIGEST_SHA256, buf_bytes(&data)), ERR_FORMAT);
}

static int
check_with(struct bytes oid)
{
	AUTO_BUF data;

	buf_init(&data, 4096);
	tbs_attributes_put_more(&data, oid, OID_BYTES("\x0c\x06Issued"));
	return check(KEY_RA_SIGN, ROLE_FRONT, DIGEST_SHA256, buf_bytes(&data));
}

TEST(ra_signs_no_attributes_but_those_of_answers)
{
	CHECK_INT(check_with(OID_SCEP_PKI_STATUS), 0);
	CHECK_INT(check_with(OID_MS_SCEP_ERROR), 0);
	CHECK_INT(check_with(OID_MS_SCEP_SERVER_MESSAGE), 0);
	CHECK_INT(check_with(OID_BYTES("\x2b\x06\x01\x04\x01\x82\x37\x15\x22")), ERR_DENIED); /* SERVER_STATE */
	CHECK_INT(check_with(OID_BYTES("\x2b\x06\x01\x04\x01\x82\x37\x15")), ERR_DENIED);
	CHECK_INT(check_with(OID_CHALLENGE_PASSWORD), ERR_DENIED);
	CHECK_INT(check_with(OID_SCEP_MESSAGE_TYPE), ERR_DENIED); /* the second */
}

TEST(audit_key_signs_checkpoints_alone)
{
	CHECK_INT(check(KEY_AUDIT, ROLE_AUTHORITY, DIGEST_SHA256, OID_BYTES("chancery-audit-checkpoint 1")), 0);
	CHECK_INT(check(KEY_AUDIT, ROLE_AUTHORITY, DIGEST_SHA256, OID_BYTES("chancery-audit")), ERR_DENIED);
	CHECK_INT(check(KEY_AUDIT, ROLE_AUTHORITY, DIGEST_SHA256, OID_BYTES("")), ERR_DENIED);
}

TEST(nothing_is_issued_without_a_ca_certificate)
{
	struct hsm_limits limits = ca.limits;

	ca.limits = (struct hsm_limits){.ca_spki = ca.spki};
	CHECK_INT(check_plan(&ca.honest, ROLE_AUTHORITY), ERR_DENIED);
	ca.limits = limits;
	CHECK_INT(hsm_limits_init(buf_bytes(&ca.certificate), ca.device_spki, 825, &limits, NULL), ERR_CONFIG);
}

int
main(void)
{
	const struct CMUnitTest list[] = {
		RUN(roles_get_only_their_keys),
		RUN(sha1_is_for_ra_signing_alone),
		RUN(dishonest_certificates_are_refused),
		RUN(the_ca_itself_is_not_certified_in_disguise),
		RUN(what_some_take_for_a_ca_is_refused),
		RUN(extensions_of_a_device_are_signed),
		RUN(certificate_never_outlives_the_ca),
		RUN(honest_certificate_is_signed),
		RUN(broken_der_is_refused),
		RUN(mutations_do_not_escape),
		RUN(ceremony_signs_for_the_ca_key_alone),
		RUN(ceremony_signs_announcements_but_no_messages),
		RUN(no_generation_signs_for_another),
		RUN(only_honest_crls_are_signed),
		RUN(ra_signs_scep_attributes_alone),
		RUN(ra_signs_no_attributes_but_those_of_answers),
		RUN(audit_key_signs_checkpoints_alone),
		RUN(nothing_is_issued_without_a_ca_certificate),
	};
	int failed;

	setup();
	failed = cmocka_run_group_tests(list, NULL, NULL);
	teardown();
	return test_finish((int)ARRAY_SIZE(list), failed);
}
