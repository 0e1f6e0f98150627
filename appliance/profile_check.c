/*
 * Whether a request may become a certificate, of profile.h.
 */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "appliance/profile_impl.h"
#include "appliance/rdn.h"
#include "board/base/der.h"
#include "board/base/oid.h"
#include "board/base/x509.h"

CLEANUP(BIGNUM, BN_free)

enum { EXTENSIONS_MAX = 32, NAMES_SIZE_MAX = 16384, EXPONENT_BITS_MIN = 17, EXPONENT_BITS_MAX = 256 };

/* FIPS 186-5 5.4 (e): 2^16 < e < 2^256, e odd. */
static int
rsa_check(const struct app_profile *profile, const struct app_csr *csr, struct err *e)
{
	AUTO(BIGNUM) exponent = NULL;

	if (csr->key_bits < profile->rsa_bits_min || csr->key_bits > profile->rsa_bits_max)
		return err_set(e, ERR_ALG, 0, "key: RSA with %d bits, allowed are %d to %d", csr->key_bits,
			       profile->rsa_bits_min, profile->rsa_bits_max);
	if (EVP_PKEY_get_bn_param(csr->key, OSSL_PKEY_PARAM_RSA_E, &exponent) != 1)
		return err_set_ossl(e, ERR_ALG, "key: RSA exponent");
	if (BN_num_bits(exponent) < EXPONENT_BITS_MIN || BN_num_bits(exponent) > EXPONENT_BITS_MAX ||
	    !BN_is_odd(exponent))
		return err_set(e, ERR_ALG, 0, "key: RSA exponent with %d bits, allowed are %d to %d",
			       BN_num_bits(exponent), EXPONENT_BITS_MIN, EXPONENT_BITS_MAX);
	return 0;
}

static int
key_check(const struct app_profile *profile, const struct app_csr *csr, struct err *e)
{
	if (!csr->is_rsa && !profile->ec_keys)
		return err_set(e, ERR_ALG, 0, "key: EC is not allowed");
	if (app_profile_extensions(profile, csr->is_rsa).len == 0)
		return err_set(e, ERR_ALG, 0, "key: the template has no usage for %s", csr->is_rsa ? "RSA" : "EC");
	return csr->is_rsa ? rsa_check(profile, csr, e) : 0;
}

/* The list has to be well-formed and free of duplicates (RFC 5280 4.2); *ret_san is empty when there is none. */
static int
extensions_check(struct bytes extensions, struct bytes *ret_san, struct err *e)
{
	struct bytes seen[EXTENSIONS_MAX];
	struct x509_extension extension = {.critical = false};
	struct view list;
	size_t count, i;
	bool end = false;

	if (der_whole(extensions, DER_SEQUENCE, &list) != 0)
		return err_set(e, ERR_DENIED, 0, "extensions: not a list");
	for (count = 0;; count++) {
		if (x509_extension_next(&list, &extension, &end) != 0)
			return err_set(e, ERR_DENIED, 0, "extensions: malformed");
		if (end)
			return 0;
		if (count == EXTENSIONS_MAX)
			return err_set(e, ERR_DENIED, 0, "extensions: more than %d", EXTENSIONS_MAX);
		for (i = 0; i < count; i++)
			if (bytes_equal(seen[i], extension.oid))
				return err_set(e, ERR_DENIED, 0, "extensions: one stands there twice");
		seen[count] = extension.oid;
		if (bytes_equal(extension.oid, OID_SUBJECT_ALT_NAME))
			*ret_san = extension.value;
	}
}

int
app_profile_check_san(const struct app_profile *profile, struct bytes san, struct err *e)
{
	return app_san_check(san, profile->sans, e);
}

int
app_profile_check(const struct app_profile *profile, const struct app_csr *csr, struct err *e)
{
	struct bytes san = {NULL, 0};
	size_t attributes = 0;
	int rc = key_check(profile, csr, e);

	if (rc == 0)
		rc = app_rdn_check(csr->subject, profile->rdns, &attributes, e);
	if (rc == 0 && csr->extensions.len > 0)
		rc = extensions_check(csr->extensions, &san, e);
	if (rc == 0 && san.data != NULL)
		rc = app_san_check(san, profile->sans, e);
	if (rc != 0)
		return rc;
	if (attributes == 0 && san.data == NULL)
		return err_set(e, ERR_DENIED, 0, "subject: empty, and there is no subjectAltName");
	if (csr->subject.len + san.len > NAMES_SIZE_MAX)
		return err_set(e, ERR_DENIED, 0, "subject and subjectAltName: more than %d octets", NAMES_SIZE_MAX);
	return 0;
}
