/*
 * Keys and signatures of x509.h.  A key is made with EVP_PKEY_fromdata() from numbers that are read here, because the
 * generic decoder of OpenSSL 3.0 costs more than the verification that follows (facts, hsm.md 3).
 */
#include <pthread.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "board/base/der.h"
#include "board/base/oid.h"
#include "board/base/x509.h"

CLEANUP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
CLEANUP(EVP_MD_CTX, EVP_MD_CTX_free)

enum { RSA_OCTETS_MAX = 16384 / 8, EXPONENT_OCTETS_MAX = 32, SHA1_SIZE = 20, SHA256_SIZE = 32 };
enum { MD_SHA1, MD_SHA256, MD_SHA384, MD_SHA512, MD_COUNT };

static pthread_once_t md_once = PTHREAD_ONCE_INIT;
static EVP_MD *md_fetched[MD_COUNT];

static void
md_fetch(void)
{
	static const char *const names[MD_COUNT] = {"SHA1", "SHA256", "SHA384", "SHA512"};
	size_t i;

	for (i = 0; i < MD_COUNT; i++)
		md_fetched[i] = EVP_MD_fetch(NULL, names[i], NULL);
}

/* A digest that was looked up once per process; its own lookup takes longer than hashing a certificate. */
static const EVP_MD *
md_get(int which)
{
	pthread_once(&md_once, md_fetch);
	return md_fetched[which];
}

static void
md_run(int which, struct bytes v, uint8_t *out)
{
	const EVP_MD *md = md_get(which);

	BUG_ON(md == NULL || EVP_Digest(v.data, v.len, out, NULL, md, NULL) != 1);
}

void
x509_sha256(struct bytes v, uint8_t out[SHA256_SIZE])
{
	md_run(MD_SHA256, v, out);
}

/* AlgorithmIdentifier: its OID, and its parameters as they are, empty when absent. */
static int
algorithm_parse(struct bytes der, struct bytes *ret_oid, struct bytes *ret_parameters)
{
	struct bytes parameters = {NULL, 0};
	struct der oid, element;
	struct view v;

	if (der_whole(der, DER_SEQUENCE, &v) != 0 || der_expect(&v, DER_OID, &oid) != 0)
		return ERR_FORMAT;
	if (v.left > 0) {
		if (der_next(&v, &element) != 0 || v.left != 0)
			return ERR_FORMAT;
		parameters = element.whole;
	}
	*ret_oid = oid.content;
	*ret_parameters = parameters;
	return 0;
}

static bool
is_null(struct bytes parameters)
{
	return parameters.len == 2 && parameters.data[0] == DER_NULL && parameters.data[1] == 0;
}

struct spki {
	struct bytes oid;
	struct bytes parameters;
	struct bytes bits;
};

static int
spki_parse(struct bytes der, struct spki *ret_spki)
{
	struct der algorithm, bits;
	struct view v;

	if (der_whole(der, DER_SEQUENCE, &v) != 0 || der_expect(&v, DER_SEQUENCE, &algorithm) != 0 ||
	    der_expect(&v, DER_BIT_STRING, &bits) != 0 || v.left != 0)
		return ERR_FORMAT;
	if (bits.content.len < 2 || bits.content.data[0] != 0)
		return ERR_FORMAT;
	ret_spki->bits = (struct bytes){bits.content.data + 1, bits.content.len - 1};
	return algorithm_parse(algorithm.whole, &ret_spki->oid, &ret_spki->parameters);
}

bool
x509_names_issuer(const struct x509 *cert, struct bytes issuer)
{
	return bytes_equal(cert->tbs.issuer, issuer) && !bytes_equal(cert->tbs.subject, issuer);
}

void
x509_requester_hash(const struct x509 *signer, struct bytes issuer, uint8_t out[SHA256_SIZE])
{
	x509_sha256(x509_names_issuer(signer, issuer) ? signer->whole : signer->tbs.spki, out);
}

int
x509_key_id(struct bytes spki, uint8_t out[SHA1_SIZE])
{
	struct spki parsed;
	int rc = spki_parse(spki, &parsed);

	if (rc == 0)
		md_run(MD_SHA1, parsed.bits, out);
	return rc;
}

/* A positive INTEGER with its sign octet taken off. */
static int
positive_parse(struct view *v, struct bytes *ret_magnitude)
{
	struct der element;
	struct bytes c;

	if (der_expect(v, DER_INTEGER, &element) != 0)
		return ERR_FORMAT;
	c = element.content;
	if (c.len == 0 || c.data[0] > 0x7f)
		return ERR_FORMAT;
	if (c.data[0] == 0) {
		if (c.len == 1 || c.data[1] < 0x80)
			return ERR_FORMAT;
		c = (struct bytes){c.data + 1, c.len - 1};
	}
	*ret_magnitude = c;
	return 0;
}

/* OSSL_PARAM has integers in the machine's order. */
static void
to_native(struct bytes big_endian, uint8_t *out)
{
	size_t i;

	for (i = 0; i < big_endian.len; i++) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
		out[i] = big_endian.data[big_endian.len - 1 - i];
#else
		out[i] = big_endian.data[i];
#endif
	}
}

static int
key_from(const char *type, OSSL_PARAM *params, EVP_PKEY **ret_key, struct err *e)
{
	AUTO(EVP_PKEY_CTX) ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) <= 0)
		return err_set_ossl(e, ERR_CRYPTO, "%s keys are not available", type);
	if (EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) <= 0)
		return err_set_ossl(e, ERR_FORMAT, "%s public key", type);
	*ret_key = key;
	return 0;
}

/* RFC 3279 2.3.1, RFC 8017 3.1. */
static int
rsa_key(const struct spki *spki, EVP_PKEY **ret_key, struct err *e)
{
	uint8_t n_native[RSA_OCTETS_MAX], e_native[EXPONENT_OCTETS_MAX];
	struct bytes modulus, exponent;
	OSSL_PARAM params[3];
	struct view v;

	if (!is_null(spki->parameters))
		return err_set(e, ERR_FORMAT, 0, "RSA key without NULL parameters (RFC 3279 2.3.1)");
	if (der_whole(spki->bits, DER_SEQUENCE, &v) != 0 || positive_parse(&v, &modulus) != 0 ||
	    positive_parse(&v, &exponent) != 0 || v.left != 0)
		return err_set(e, ERR_FORMAT, 0, "RSAPublicKey");
	/* A longer exponent would make every verification as dear as a signature; FIPS 186-5 5.4 forbids it. */
	if (modulus.len > sizeof(n_native) || exponent.len > sizeof(e_native) || exponent.len > modulus.len)
		return err_set(e, ERR_ALG, 0, "RSA key of %zu octets with an exponent of %zu", modulus.len,
			       exponent.len);
	if ((modulus.data[modulus.len - 1] & 1) == 0 || (exponent.data[exponent.len - 1] & 1) == 0)
		return err_set(e, ERR_FORMAT, 0, "RSA modulus or exponent is even");
	if (exponent.len == 1 && exponent.data[0] < 3)
		return err_set(e, ERR_FORMAT, 0, "RSA exponent is 1");
	to_native(modulus, n_native);
	to_native(exponent, e_native);
	params[0] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, n_native, modulus.len);
	params[1] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, e_native, exponent.len);
	params[2] = OSSL_PARAM_construct_end();
	return key_from("RSA", params, ret_key, e);
}

/* RFC 5480 2.1.1 and 2.2: named curves, uncompressed points.  OpenSSL checks that the point is on its curve. */
static int
ec_key(const struct spki *spki, EVP_PKEY **ret_key, struct err *e)
{
	const struct {
		struct bytes oid;
		const char *name;
		size_t octets;
	} curves[] = {
		{OID_P256, "prime256v1", 32},
		{OID_P384, "secp384r1", 48},
		{OID_P521, "secp521r1", 66},
	};
	OSSL_PARAM params[3];
	struct der curve;
	struct view v = view_of(spki->parameters);
	size_t i;

	if (der_expect(&v, DER_OID, &curve) != 0)
		return err_set(e, ERR_ALG, 0, "EC key without a named curve");
	for (i = 0; i < ARRAY_SIZE(curves) && !bytes_equal(curve.content, curves[i].oid); i++)
		;
	if (i == ARRAY_SIZE(curves))
		return err_set(e, ERR_ALG, 0, "EC key on another curve than P-256, P-384 and P-521");
	if (spki->bits.data[0] == 2 || spki->bits.data[0] == 3)
		return err_set(e, ERR_ALG, 0, "EC key is a compressed point");
	if (spki->bits.data[0] != 4 || spki->bits.len != 1 + 2 * curves[i].octets)
		return err_set(e, ERR_FORMAT, 0, "EC point");
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)curves[i].name, 0);
	params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)spki->bits.data, spki->bits.len);
	params[2] = OSSL_PARAM_construct_end();
	return key_from("EC", params, ret_key, e);
}

int
x509_spki_key(struct bytes spki, EVP_PKEY **ret_key, struct err *e)
{
	struct spki parsed;

	if (spki_parse(spki, &parsed) != 0)
		return err_set(e, ERR_FORMAT, 0, "SubjectPublicKeyInfo");
	if (bytes_equal(parsed.oid, OID_RSA_ENCRYPTION))
		return rsa_key(&parsed, ret_key, e);
	if (bytes_equal(parsed.oid, OID_EC_PUBLIC_KEY))
		return ec_key(&parsed, ret_key, e);
	return err_set(e, ERR_ALG, 0, "public key is neither RSA nor EC");
}

/* The digest for an AlgorithmIdentifier that fits the key, -1 when none does (RFC 4055 5, RFC 5758 3.2). */
static int
signature_digest(const EVP_PKEY *key, struct bytes algorithm)
{
	const struct {
		struct bytes oid;
		int type;
		int md;
	} known[] = {
		{OID_SHA256_RSA, EVP_PKEY_RSA, MD_SHA256},  {OID_SHA384_RSA, EVP_PKEY_RSA, MD_SHA384},
		{OID_SHA512_RSA, EVP_PKEY_RSA, MD_SHA512},  {OID_ECDSA_SHA256, EVP_PKEY_EC, MD_SHA256},
		{OID_ECDSA_SHA384, EVP_PKEY_EC, MD_SHA384}, {OID_ECDSA_SHA512, EVP_PKEY_EC, MD_SHA512},
	};
	struct bytes oid, parameters;
	size_t i;

	if (algorithm_parse(algorithm, &oid, &parameters) != 0)
		return -1;
	for (i = 0; i < ARRAY_SIZE(known); i++) {
		if (!bytes_equal(oid, known[i].oid) || EVP_PKEY_get_base_id(key) != known[i].type)
			continue;
		if (parameters.len == 0 || (known[i].type == EVP_PKEY_RSA && is_null(parameters)))
			return known[i].md;
	}
	return -1;
}

int
x509_verify(EVP_PKEY *key, struct bytes algorithm, struct bytes data, struct bytes signature, struct err *e)
{
	AUTO(EVP_MD_CTX) ctx = EVP_MD_CTX_new();
	int md = signature_digest(key, algorithm);

	if (ctx == NULL)
		return err_set(e, ERR_NOMEM, 0, "verifying a signature");
	if (md < 0)
		return err_set(e, ERR_ALG, 0, "signature algorithm unknown, not allowed, or not for this key");
	if (EVP_DigestVerifyInit(ctx, NULL, md_get(md), NULL, key) != 1)
		return err_set_ossl(e, ERR_ALG, "signature cannot be verified with this key");
	if (EVP_DigestVerify(ctx, signature.data, signature.len, data.data, data.len) != 1)
		return err_set_ossl(e, ERR_VERIFY, "signature does not fit");
	return 0;
}
