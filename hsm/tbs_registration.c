#include "hsm/tbs_registration.h"

#include <openssl/evp.h>

#include "board/base/der.h"
#include "board/base/oid.h"
#include "hsm/tbs.h"
#include "hsm/tbs_certificate.h"

CLEANUP(EVP_PKEY, EVP_PKEY_free)

enum { DAY_S = 24 * 3600, KEY_ID_SIZE = 20 };

static int
check_dates(const struct x509_tbs *tbs, int days, int64_t now, struct err *e)
{
	int64_t life_s = (int64_t)days * DAY_S;

	if (tbs->not_after <= tbs->not_before)
		return hsm_tbs_denied(e, "the certificate ends before it begins");
	if (tbs->not_before > now + HSM_TBS_SKEW_S)
		return hsm_tbs_denied(e, "the certificate begins in the future");
	if (tbs->not_before < now - HSM_TBS_BACKDATE_S)
		return hsm_tbs_denied(e, "the certificate is dated back too far");
	if (tbs->not_after - tbs->not_before > life_s || tbs->not_after > now + HSM_TBS_SKEW_S + life_s)
		return hsm_tbs_denied(e, "the certificate lives longer than a registration point's may");
	return 0;
}

/* Is the extension there, once, with exactly this value? */
static bool
is_extension(const struct x509_tbs *tbs, struct bytes oid, struct bytes value)
{
	struct x509_extension extension;

	return tbs->extensions.len > 0 && x509_extension_find(tbs, oid, &extension) == 0 &&
	       bytes_equal(extension.value, value);
}

static int
check_root(const struct x509_tbs *tbs, struct bytes own_spki, struct err *e)
{
	const struct bytes known[] = {OID_BASIC_CONSTRAINTS, OID_KEY_USAGE, OID_SUBJECT_KEY_ID, OID_AUTHORITY_KEY_ID};

	if (!bytes_equal(tbs->spki, own_spki))
		return hsm_tbs_denied(e, "the root is not for the registration point's own key");
	/* CA:TRUE, pathLenConstraint 0 */
	if (!is_extension(tbs, OID_BASIC_CONSTRAINTS, OID_BYTES("\x30\x06\x01\x01\xff\x02\x01\x00")))
		return hsm_tbs_denied(e, "the root's basicConstraints are not CA:TRUE with path length 0");
	/* keyCertSign, cRLSign */
	if (!is_extension(tbs, OID_KEY_USAGE, OID_BYTES("\x03\x02\x01\x06")))
		return hsm_tbs_denied(e, "the root's keyUsage is not keyCertSign and cRLSign alone");
	return hsm_tbs_extensions(tbs, known, ARRAY_SIZE(known), e);
}

/* authorityKeyIdentifier is the key identifier of the own key, alone (RFC 5280 4.2.1.1). */
static int
check_issuer_key(const struct x509_tbs *tbs, struct bytes own_spki, struct err *e)
{
	uint8_t own[KEY_ID_SIZE];
	struct view content;
	struct der id = {0};
	bool there;

	if (hsm_tbs_find(tbs, OID_AUTHORITY_KEY_ID, DER_SEQUENCE, &content, &there) != 0)
		return hsm_tbs_malformed(e, "authorityKeyIdentifier is malformed");
	if (!there || der_expect(&content, DER_CONTEXT(0), &id) != 0 || view_end(&content) != 0 ||
	    x509_key_id(own_spki, own) != 0 || !bytes_equal(id.content, (struct bytes){own, sizeof(own)}))
		return hsm_tbs_denied(e, "authorityKeyIdentifier is not that of the registration point's root");
	return 0;
}

static int
check_server(const struct x509_tbs *tbs, struct bytes own_spki, struct err *e)
{
	const struct bytes known[] = {OID_BASIC_CONSTRAINTS, OID_KEY_USAGE,        OID_SUBJECT_KEY_ID,
				      OID_AUTHORITY_KEY_ID,  OID_SUBJECT_ALT_NAME, OID_EXT_KEY_USAGE};
	AUTO(EVP_PKEY) key = NULL;
	struct view san;
	bool there;
	int code;

	if (bytes_equal(tbs->spki, own_spki) || x509_spki_key(tbs->spki, &key, NULL) != 0)
		return hsm_tbs_denied(e,
				      "the server's key is the root's, or of a kind that no certificate of ours has");
	code = hsm_tbs_extensions(tbs, known, ARRAY_SIZE(known), e);
	if (code == 0)
		code = hsm_tbs_no_ca(tbs, e);
	if (code == 0)
		code = hsm_tbs_usage(tbs, e);
	if (code == 0)
		code = check_issuer_key(tbs, own_spki, e);
	if (code != 0)
		return code;
	/* serverAuth */
	if (!is_extension(tbs, OID_EXT_KEY_USAGE, OID_BYTES("\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01")))
		return hsm_tbs_denied(e, "extendedKeyUsage is not serverAuth alone");
	if (hsm_tbs_find(tbs, OID_SUBJECT_ALT_NAME, DER_SEQUENCE, &san, &there) != 0 || !there || san.left == 0)
		return hsm_tbs_denied(e, "the server has no subjectAltName");
	return 0;
}

int
hsm_tbs_registration(const struct x509_tbs *tbs, struct bytes own_spki, int64_t now, struct err *e)
{
	bool is_root = bytes_equal(tbs->issuer, tbs->subject);
	int code;

	if (tbs->version != 2)
		return hsm_tbs_denied(e, "not a version 3 certificate");
	if (!is_root && !x509_name_differs(tbs->issuer, tbs->subject))
		return hsm_tbs_denied(e, "the certificate has its issuer's name, or none that can be read");
	code = hsm_tbs_serial(tbs, e);
	if (code == 0)
		code = check_dates(tbs, is_root ? HSM_TBS_REGISTRATION_ROOT_DAYS : HSM_TBS_REGISTRATION_TLS_DAYS, now,
				   e);
	if (code != 0)
		return code;
	return is_root ? check_root(tbs, own_spki, e) : check_server(tbs, own_spki, e);
}
