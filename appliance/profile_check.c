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
	unsigned algorithm = csr->is_rsa            ? APP_ALG_RSA
			     : csr->key_bits == 256 ? APP_ALG_P256
			     : csr->key_bits == 384 ? APP_ALG_P384
						    : APP_ALG_P521;

	if ((profile->algorithms & algorithm) == 0)
		return err_set(e, ERR_ALG, 0, "key: %s with %d bits is not allowed", csr->is_rsa ? "RSA" : "EC",
			       csr->key_bits);
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
app_profile_check_san(const struct app_profile *profile, struct bytes san, bool san_is_bound, struct err *e)
{
	struct app_san_rules rules = profile->san;

	rules.dns_suffixes = profile->dns_suffixes;
	rules.may_have_sid = san_is_bound;
	return app_san_check(san, &rules, e);
}

/* What a template that has names of its own takes from a request is nothing, so nothing in it can be wrong. */
static int
subject_check(const struct app_profile *profile, struct bytes subject, bool *ret_empty, struct err *e)
{
	size_t attributes = 0;
	int rc = 0;

	if (!profile->from_template)
		rc = app_rdn_check(subject, profile->rdns | profile->fixed_types, &attributes, e);
	*ret_empty = attributes == 0 && profile->fixed.len == 0;
	return rc;
}

int
app_profile_check(const struct app_profile *profile, const struct app_csr *csr, bool san_is_bound, struct err *e)
{
	struct bytes san = {NULL, 0};
	bool empty = false;
	int rc = key_check(profile, csr, e);

	if (rc == 0)
		rc = subject_check(profile, csr->subject, &empty, e);
	if (rc == 0 && csr->extensions.len > 0)
		rc = extensions_check(csr->extensions, &san, e);
	if (rc == 0 && san.data != NULL)
		rc = app_profile_check_san(profile, san, san_is_bound, e);
	if (rc != 0)
		return rc;
	if (san.data == NULL && profile->san.required != 0)
		return err_set(e, ERR_DENIED, 0, "subjectAltName: the template requires one (san_required)");
	if (empty && san.data == NULL)
		return err_set(e, ERR_DENIED, 0, "subject: empty, and there is no subjectAltName");
	if (csr->subject.len + profile->fixed.len + san.len > NAMES_SIZE_MAX)
		return err_set(e, ERR_DENIED, 0, "subject and subjectAltName: more than %d octets", NAMES_SIZE_MAX);
	return 0;
}

/* ---- the subject ------------------------------------------------------------------------------------------------- */

static bool
is_fixed(const struct app_profile *profile, const struct der *attribute)
{
	struct view v = view_of(attribute->content);
	struct der type;
	int index = der_expect(&v, DER_OID, &type) == 0 ? app_rdn_by_oid(type.content) : -1;

	return index >= 0 && (profile->fixed_types & 1U << index) != 0;
}

/* Appends the RDN without the attributes that the template fixes, or nothing when no other is left. */
static int
rdn_put(const struct app_profile *profile, struct bytes content, struct buf *out)
{
	struct view v = view_of(content);
	struct der attribute;
	AUTO_BUF kept = {0};

	buf_init(&kept, NAMES_SIZE_MAX);
	while (v.left > 0) {
		if (der_expect(&v, DER_SEQUENCE, &attribute) != 0)
			return ERR_FORMAT;
		if (!is_fixed(profile, &attribute))
			der_put_raw(&kept, attribute.whole);
	}
	if (kept.len > 0)
		der_put(out, DER_SET, buf_bytes(&kept));
	return buf_status(&kept);
}

int
app_profile_subject(const struct app_profile *profile, struct bytes subject, struct buf *out)
{
	size_t mark = der_open(out, DER_SEQUENCE);
	struct view v;
	struct der rdn;
	int rc = 0;

	if (der_whole(subject, DER_SEQUENCE, &v) != 0)
		return ERR_FORMAT;
	while (!profile->from_template && v.left > 0 && rc == 0)
		rc = der_expect(&v, DER_SET, &rdn) == 0 ? rdn_put(profile, rdn.content, out) : ERR_FORMAT;
	der_put_raw(out, buf_bytes(&profile->fixed));
	der_close(out, mark);
	return rc != 0 ? rc : buf_status(out);
}

bool
app_profile_fixes_subject(const struct app_profile *profile)
{
	return profile->from_template || profile->fixed.len > 0;
}

bool
app_profile_has_sid(const struct app_profile *profile)
{
	return profile->sid;
}

bool
app_profile_is_agent(const struct app_profile *profile)
{
	return profile->agent;
}

/* Is each of own among the purposes? */
static bool
is_among(const struct app_oids *own, struct bytes purposes)
{
	struct view left = view_of((struct bytes){own->der, own->len});
	struct view v;
	struct der wanted, there = {.content = {NULL, 0}};
	bool found = true;

	while (found && left.left > 0 && der_next(&left, &wanted) == 0) {
		if (der_whole(purposes, DER_SEQUENCE, &v) != 0)
			return false;
		for (found = false; !found && v.left > 0 && der_next(&v, &there) == 0;)
			found = bytes_equal(there.content, wanted.content);
	}
	return found;
}

bool
app_profile_within(const struct app_profile *profile, struct bytes purposes)
{
	if (purposes.len == 0)
		return !profile->agent;
	/* Without any of its own it would be for every purpose. */
	return profile->purposes.len > 0 && is_among(&profile->purposes, purposes) &&
	       is_among(&profile->policies, purposes);
}
