/*
 * hsm/tbs: whatever a broken front or authority may have signed, OpenSSL finds nothing in it that the key's limits
 * forbid.  The first octet is the class of the key.
 */
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "board/base/der.h"
#include "board/base/oid.h"
#include "hsm/sign.h"
#include "hsm/tbs.h"
#include "tests/fuzz/ground.h"
#include "tests/lib/certs.h"
#include "tests/lib/tbs.h"

enum { DAY = 24 * 3600, MAX_DAYS = 825, CEREMONY = KEY_CLASS_COUNT };

CLEANUP(X509, X509_free)
CLEANUP(X509_CRL, X509_CRL_free)

static struct hsm_limits limits;
static struct bytes algorithm;
static X509 *ca;

static void
begin(void)
{
	struct bytes der = ground_ca();
	const uint8_t *p = der.data;

	if (ca != NULL)
		return;
	algorithm = hsm_sign_algorithm(KEY_ALG_P256, DIGEST_SHA256);
	ca = d2i_X509(NULL, &p, (long)der.len);
	HOLDS(ca != NULL);
	HOLDS(hsm_limits_init(der, certs_spki(ground_ca_key()), MAX_DAYS, &limits, NULL) == 0);
}

static bool
not_before(const ASN1_TIME *time, int64_t limit)
{
	time_t t = (time_t)limit;

	return X509_cmp_time(time, &t) > 0;
}

/* The signature is not looked at. */
static void
put_joined(struct buf *out, struct bytes tbs)
{
	buf_init(out, tbs.len + 200);
	tbs_join(out, tbs, algorithm, OID_BYTES("\x30\x06\x02\x01\x01\x02\x01\x01"));
}

/* A certificate that OpenSSL cannot read is of no use to anybody; what it reads is no CA and inside the CA's limits. */
static void
check_certificate(struct bytes tbs)
{
	AUTO(X509) cert = NULL;
	AUTO_BUF joined;
	const uint8_t *p;
	EVP_PKEY *key;

	put_joined(&joined, tbs);
	p = joined.data;
	cert = d2i_X509(NULL, &p, (long)joined.len);
	if (cert == NULL)
		return;
	HOLDS(X509_get_version(cert) == X509_VERSION_3);
	HOLDS(X509_NAME_cmp(X509_get_issuer_name(cert), X509_get_subject_name(ca)) == 0);
	HOLDS(X509_NAME_cmp(X509_get_subject_name(cert), X509_get_subject_name(ca)) != 0);
	HOLDS(!not_before(X509_get0_notBefore(cert), GROUND_NOW + HSM_TBS_SKEW_S));
	HOLDS(!not_before(X509_get0_notAfter(cert), GROUND_NOW + HSM_TBS_SKEW_S + (int64_t)MAX_DAYS * DAY));
	HOLDS(ASN1_TIME_compare(X509_get0_notAfter(cert), X509_get0_notAfter(ca)) <= 0);
	HOLDS(ASN1_TIME_compare(X509_get0_notBefore(cert), X509_get0_notBefore(ca)) >= 0);
	HOLDS(X509_check_ca(cert) == 0);
	HOLDS(X509_get_key_usage(cert) != UINT32_MAX);
	HOLDS((X509_get_key_usage(cert) & (KU_KEY_CERT_SIGN | KU_CRL_SIGN)) == 0);
	HOLDS((X509_get_extension_flags(cert) & (EXFLAG_CA | EXFLAG_PROXY | EXFLAG_SS)) == 0);
	HOLDS(ASN1_INTEGER_get(X509_get0_serialNumber(cert)) != 0);
	key = X509_get0_pubkey(cert);
	HOLDS(key == NULL || EVP_PKEY_eq(key, ground_ca_key()) != 1);
}

/* Read to its end, with an end of its life, and critical where a reader must not take a part for the whole. */
static void
check_crl(struct bytes tbs)
{
	AUTO(X509_CRL) crl = NULL;
	AUTO_BUF joined;
	const uint8_t *p;

	put_joined(&joined, tbs);
	p = joined.data;
	crl = d2i_X509_CRL(NULL, &p, (long)joined.len);
	if (crl == NULL)
		return;
	HOLDS(X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(ca)) == 0);
	HOLDS(X509_CRL_get0_nextUpdate(crl) != NULL);
	HOLDS(ASN1_TIME_compare(X509_CRL_get0_nextUpdate(crl), X509_CRL_get0_lastUpdate(crl)) > 0);
	HOLDS(!not_before(X509_CRL_get0_nextUpdate(crl), GROUND_NOW + HSM_TBS_SKEW_S + HSM_TBS_CRL_S));
	HOLDS(X509_CRL_get_ext_by_NID(crl, NID_issuing_distribution_point, -1) < 0);
}

/* None of the other keys signs what could be a certificate, a CRL or a request. */
static void
check_other(enum key_class key_class, struct bytes data)
{
	struct x509_tbs tbs;
	AUTO(X509_CRL) crl = NULL;
	AUTO_BUF joined;
	const uint8_t *p;

	HOLDS(x509_tbs_parse(data, &tbs, NULL) != 0);
	HOLDS(key_class != KEY_RA_SIGN || data.data[0] == DER_SET);
	put_joined(&joined, data);
	p = joined.data;
	crl = d2i_X509_CRL(NULL, &p, (long)joined.len);
	HOLDS(crl == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum role all[] = {ROLE_FRONT, ROLE_AUTHORITY, ROLE_PROVISION};
	struct bytes input = {data, size};
	uint8_t way = ground_take_u8(&input) % (KEY_CLASS_COUNT + 1);
	enum key_class key_class = way == CEREMONY ? KEY_CA : (enum key_class)way;
	struct err e;
	int code;

	begin();
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if ((all[i] == ROLE_PROVISION) != (way == CEREMONY))
			continue;
		e.code = 0;
		if (hsm_tbs_allowed(key_class, all[i], DIGEST_SHA256, &e) != 0)
			continue;
		code = hsm_tbs_check(&limits, key_class, all[i], DIGEST_SHA256, algorithm, input, GROUND_NOW, &e);
		HOLDS(e.code == code);
		if (code != 0 || way == CEREMONY)
			continue;
		if (key_class == KEY_CA)
			check_certificate(input);
		else if (key_class == KEY_CRL)
			check_crl(input);
		else
			check_other(key_class, input);
	}
	ERR_clear_error();
	return 0;
}

/* The CA's name in other letters and another string type, and its key as a compressed point. */
static void
seed_ca_in_disguise(const struct tbs_plan *honest, struct bytes own, struct bytes other)
{
	struct tbs_plan plan = *honest;
	uint8_t spki[59];
	AUTO_BUF out;

	buf_init(&out, 8192);
	plan.subject = OID_BYTES("\x30\x12\x31\x10\x30\x0e\x06\x03\x55\x04\x03\x13\x07"
				 "fuzz cA");
	plan.spki = other;
	tbs_put(&out, &plan);
	ground_seed_way("ca-name", KEY_CA, buf_bytes(&out));
	buf_clear(&out);
	plan = *honest;
	memcpy(spki, own.data, sizeof(spki));
	spki[1] = 57;
	spki[24] = 34;
	spki[26] = 0x02 | (own.data[own.len - 1] & 1);
	plan.spki = (struct bytes){spki, sizeof(spki)};
	tbs_put(&out, &plan);
	ground_seed_way("ca-key", KEY_CA, buf_bytes(&out));
}

static void
seed_certificates(void)
{
	struct bytes issuer = certs_name("Fuzz CA"), subject = certs_name("device");
	struct bytes spki = certs_spki(ground_rsa(0)), own = certs_spki(ground_ca_key());
	struct tbs_plan plan;
	AUTO_BUF out;

	begin();
	buf_init(&out, 8192);
	plan = tbs_plan(algorithm, issuer, subject, spki, GROUND_NOW);
	plan.authority_key_id = limits.ca_key_id;
	tbs_put(&out, &plan);
	ground_seed_way("honest", KEY_CA, buf_bytes(&out));
	buf_clear(&out);
	plan.spki = own;
	tbs_put(&out, &plan);
	ground_seed_way("own-key", KEY_CA, buf_bytes(&out));
	seed_ca_in_disguise(&plan, own, spki);
	buf_clear(&out);
	plan.spki = spki;
	plan.ca = true;
	plan.key_usage = 0x06;
	tbs_put(&out, &plan);
	ground_seed_way("a-ca", KEY_CA, buf_bytes(&out));
	buf_clear(&out);
	plan.subject = issuer;
	plan.spki = own;
	tbs_put(&out, &plan);
	ground_seed_way("root", CEREMONY, buf_bytes(&out));
	buf_clear(&out);
	tbs_request_put(&out, 0, issuer, own);
	ground_seed_way("request", CEREMONY, buf_bytes(&out));
	free((void *)issuer.data);
	free((void *)subject.data);
	free((void *)spki.data);
	free((void *)own.data);
}

/* ResponseData of OCSP about one certificate, by key. */
static void
put_response_data(struct buf *out)
{
	size_t data = der_open(out, DER_SEQUENCE), list, single, id, mark;

	mark = der_open(out, DER_CONTEXT_CONSTRUCTED(2));
	der_put(out, DER_OCTET_STRING, OID_BYTES("01234567890123456789"));
	der_close(out, mark);
	der_put_generalized_time(out, GROUND_NOW);
	list = der_open(out, DER_SEQUENCE);
	single = der_open(out, DER_SEQUENCE);
	id = der_open(out, DER_SEQUENCE);
	mark = der_open(out, DER_SEQUENCE);
	der_put_oid(out, OID_SHA1);
	der_put(out, DER_NULL, OID_BYTES(""));
	der_close(out, mark);
	der_put(out, DER_OCTET_STRING, OID_BYTES("01234567890123456789"));
	der_put(out, DER_OCTET_STRING, OID_BYTES("01234567890123456789"));
	der_put_int(out, 0x4711);
	der_close(out, id);
	der_put(out, DER_CONTEXT(0), OID_BYTES(""));
	der_put_generalized_time(out, GROUND_NOW);
	mark = der_open(out, DER_CONTEXT_CONSTRUCTED(0));
	der_put_generalized_time(out, GROUND_NOW + DAY);
	der_close(out, mark);
	der_close(out, single);
	der_close(out, list);
	der_close(out, data);
}

void
fuzz_seeds(void)
{
	struct bytes issuer = certs_name("Fuzz CA");
	struct crl_plan crl = {.version = 1, .issuer = issuer, .this_update = GROUND_NOW};
	AUTO_BUF out;

	seed_certificates();
	crl.algorithm = algorithm;
	crl.next_update = GROUND_NOW + 7 * DAY;
	buf_init(&out, 8192);
	tbs_crl_put(&out, &crl);
	ground_seed_way("crl", KEY_CRL, buf_bytes(&out));
	buf_clear(&out);
	tbs_attributes_put(&out, true);
	ground_seed_way("attributes", KEY_RA_SIGN, buf_bytes(&out));
	buf_clear(&out);
	put_response_data(&out);
	ground_seed_way("ocsp", KEY_OCSP, buf_bytes(&out));
	ground_seed_way("audit", KEY_AUDIT, bytes_of_text(HSM_TBS_AUDIT_PREFIX " 1"));
	free((void *)issuer.data);
}

GROUND_DER_MUTATOR(1)
