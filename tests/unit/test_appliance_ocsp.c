#include "appliance/ocsp.h"

#include <string.h>

#include <openssl/ocsp.h>
#include <openssl/x509.h>

#include "appliance/cert.h"
#include "board/base/der.h"
#include "board/base/oid.h"
#include "hsm/tbs_ocsp.h"
#include "tests/lib/certs.h"
#include "tests/lib/test.h"

enum { NOW = 1800000000, HOUR = 3600, DAY = 24 * HOUR };

static const uint8_t zeros[APP_OCSP_HASH_MAX];

static struct app_ocsp
honest(void)
{
	return (struct app_ocsp){
		.digest = DIGEST_SHA1,
		.name_hash = {zeros, 20},
		.key_hash = {zeros, 20},
		.serial = {0x40, 1},
		.this_update = NOW,
		.next_update = NOW + DAY,
	};
}

/* What the signer says to the answer with these contents. */
static int
check(const struct app_ocsp *ocsp)
{
	AUTO_BUF data;

	buf_init(&data, 4096);
	CHECK_INT(app_ocsp_build(ocsp, &data), 0);
	return hsm_tbs_ocsp(buf_bytes(&data), NOW, NULL);
}

TEST(the_signer_takes_honest_answers_alone)
{
	struct app_ocsp ocsp = honest();

	CHECK_INT(check(&ocsp), 0);
	ocsp.revoked = NOW - DAY;
	CHECK_INT(check(&ocsp), 0);
	ocsp.reason = APP_REASON_HOLD;
	CHECK_INT(check(&ocsp), 0);
	ocsp.this_update = NOW + 301;
	CHECK_INT(check(&ocsp), ERR_DENIED);
	ocsp = honest();
	ocsp.next_update = NOW;
	CHECK_INT(check(&ocsp), ERR_DENIED);
	ocsp.next_update = NOW + 9 * DAY;
	CHECK_INT(check(&ocsp), ERR_DENIED);
}

/* ResponseData in which part, one element, takes the place of the responder. */
static int
check_responder(struct bytes part)
{
	struct app_ocsp ocsp = honest();
	AUTO_BUF data;
	AUTO_BUF other;
	struct view v;
	struct der old;
	size_t mark;

	buf_init(&data, 4096);
	buf_init(&other, 4096);
	CHECK_INT(app_ocsp_build(&ocsp, &data), 0);
	CHECK_INT(der_whole(buf_bytes(&data), DER_SEQUENCE, &v), 0);
	CHECK_INT(der_next(&v, &old), 0);
	mark = der_open(&other, DER_SEQUENCE);
	der_put_raw(&other, part);
	der_put_raw(&other, (struct bytes){v.next, v.left});
	der_close(&other, mark);
	return hsm_tbs_ocsp(buf_bytes(&other), NOW, NULL);
}

static void
check_read(struct bytes data)
{
	const unsigned char *p = data.data;
	OCSP_RESPDATA *read = d2i_OCSP_RESPDATA(NULL, &p, (long)data.len);

	assert_non_null(read);
	CHECK(p == data.data + data.len);
	OCSP_RESPDATA_free(read);
}

TEST(the_signer_takes_nothing_else_with_the_ocsp_key)
{
	struct app_ocsp ocsp = honest();
	AUTO_BUF data;

	CHECK_INT(check_responder(OID_BYTES("\xa1\x02\x30\x00")), ERR_FORMAT); /* by name */
	CHECK_INT(check_responder(OID_BYTES("\xa2\x03\x04\x01\x00")), ERR_FORMAT);
	CHECK_INT(check_responder(OID_BYTES("\xa0\x03\x02\x01\x00")), ERR_FORMAT); /* a version */
	CHECK_INT(hsm_tbs_ocsp(OID_BYTES("\x31\x00"), NOW, NULL), ERR_FORMAT);
	CHECK_INT(hsm_tbs_ocsp(OID_BYTES("\x30\x00"), NOW, NULL), ERR_FORMAT);
	buf_init(&data, 4096);
	CHECK_INT(app_ocsp_build(&ocsp, &data), 0);
	for (size_t len = 0; len < data.len; len++)
		CHECK_INT(hsm_tbs_ocsp((struct bytes){data.data, len}, NOW, NULL), ERR_FORMAT);
	/* What flipped bits make of it is refused, or still one answer that OpenSSL's strict reader takes. */
	for (size_t i = 0; i < data.len * 8; i++) {
		data.data[i / 8] ^= (uint8_t)(1u << i % 8);
		if (hsm_tbs_ocsp(buf_bytes(&data), NOW, NULL) == 0)
			check_read(buf_bytes(&data));
		data.data[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	buf_put_u8(&data, 0);
	CHECK_INT(hsm_tbs_ocsp(buf_bytes(&data), NOW, NULL), ERR_FORMAT);
}

/* The answer signed by key and read by OpenSSL. */
static OCSP_BASICRESP *
finish(const struct app_ocsp *ocsp, EVP_PKEY *key, struct bytes certificate)
{
	AUTO_BUF data;
	AUTO_BUF out;
	struct x509 parsed;
	enum digest digest;
	struct bytes algorithm;
	struct bytes signature;
	const unsigned char *p;
	OCSP_RESPONSE *response;
	OCSP_BASICRESP *basic;

	buf_init(&data, 4096);
	buf_init(&out, 16384);
	CHECK_INT(x509_parse(certificate, &parsed, NULL), 0);
	CHECK_INT(app_signature_algorithm(parsed.tbs.spki, &digest, &algorithm), 0);
	CHECK_INT(app_ocsp_build(ocsp, &data), 0);
	signature = certs_sign(key, EVP_sha256(), buf_bytes(&data));
	CHECK_INT(app_ocsp_join(buf_bytes(&data), algorithm, signature, certificate, &out), 0);
	free((void *)signature.data);
	p = out.data;
	response = d2i_OCSP_RESPONSE(NULL, &p, (long)out.len);
	assert_non_null(response);
	CHECK(p == out.data + out.len);
	CHECK_INT(OCSP_response_status(response), OCSP_RESPONSE_STATUS_SUCCESSFUL);
	basic = OCSP_response_get1_basic(response);
	assert_non_null(basic);
	OCSP_RESPONSE_free(response);
	return basic;
}

static void
check_state(const struct app_ocsp *ocsp, EVP_PKEY *key, struct bytes der, const EVP_MD *md, int state, int reason)
{
	OCSP_BASICRESP *basic = finish(ocsp, key, der);
	const unsigned char *p = der.data;
	X509 *ca = d2i_X509(NULL, &p, (long)der.len);
	BIGNUM *bn = BN_bin2bn(ocsp->serial, APP_SERIAL_SIZE, NULL);
	ASN1_INTEGER *serial = BN_to_ASN1_INTEGER(bn, NULL);
	OCSP_CERTID *id = OCSP_cert_id_new(md, X509_get_subject_name(ca), X509_get0_pubkey_bitstr(ca), serial);
	ASN1_GENERALIZEDTIME *this_update, *next_update;
	int found = -5, why = -5;

	CHECK_INT(OCSP_resp_find_status(basic, id, &found, &why, NULL, &this_update, &next_update), 1);
	CHECK_INT(found, state);
	CHECK_INT(why, reason);
	CHECK_TEXT((const char *)ASN1_STRING_get0_data(this_update), "20270115080000Z");
	CHECK_TEXT((const char *)ASN1_STRING_get0_data(next_update), "20270116080000Z");
	CHECK_INT(OCSP_basic_verify(basic, NULL, NULL, OCSP_NOVERIFY), 1);
	OCSP_CERTID_free(id);
	ASN1_INTEGER_free(serial);
	BN_free(bn);
	X509_free(ca);
	OCSP_BASICRESP_free(basic);
}

TEST(openssl_reads_what_we_say_by_either_hash)
{
	EVP_PKEY *key = certs_ec("P-256");
	struct bytes der = certs_ca(key);
	uint8_t hashes[2 * APP_OCSP_HASH_MAX];
	struct app_ocsp ocsp = honest();
	struct x509 ca;

	CHECK_INT(x509_parse(der, &ca, NULL), 0);
	CHECK_INT(app_ocsp_issuer(&ca, DIGEST_SHA384, &ocsp.name_hash, &ocsp.key_hash, hashes), ERR_ALG);
	CHECK_INT(x509_key_id(ca.tbs.spki, ocsp.responder), 0);
	for (int i = 0; i < 2; i++) {
		const EVP_MD *md = i == 0 ? EVP_sha1() : EVP_sha256();

		ocsp.digest = i == 0 ? DIGEST_SHA1 : DIGEST_SHA256;
		ocsp.revoked = 0;
		CHECK_INT(app_ocsp_issuer(&ca, ocsp.digest, &ocsp.name_hash, &ocsp.key_hash, hashes), 0);
		check_state(&ocsp, key, der, md, V_OCSP_CERTSTATUS_GOOD, -5);
		ocsp.revoked = NOW - HOUR;
		ocsp.reason = APP_REASON_UNSPECIFIED;
		check_state(&ocsp, key, der, md, V_OCSP_CERTSTATUS_REVOKED, OCSP_REVOKED_STATUS_NOSTATUS);
		ocsp.reason = APP_REASON_HOLD;
		check_state(&ocsp, key, der, md, V_OCSP_CERTSTATUS_REVOKED, OCSP_REVOKED_STATUS_CERTIFICATEHOLD);
	}
	free((void *)der.data);
	EVP_PKEY_free(key);
}

TEST_MAIN(RUN(the_signer_takes_honest_answers_alone), RUN(the_signer_takes_nothing_else_with_the_ocsp_key),
	  RUN(openssl_reads_what_we_say_by_either_hash))
