#include "hsm/tbs.h"

#include <string.h>

#include <openssl/evp.h>

#include "board/base/der.h"
#include "board/base/oid.h"
#include "hsm/tbs_attributes.h"
#include "hsm/tbs_certificate.h"
#include "hsm/tbs_ocsp.h"
#include "hsm/tbs_registration.h"

CLEANUP(EVP_PKEY, EVP_PKEY_free)

enum { DAY_S = 24 * 3600 };

enum { CRL_LIMIT = 64 * 1024 * 1024, DATA_LIMIT = 64 * 1024 };

/* All that a check may look at. */
struct question {
	const struct hsm_limits *limits;
	struct bytes algorithm;
	struct bytes data;
	int64_t now;
};

/* ---- certificates ------------------------------------------------------------------------------------------------ */

static int
check_dates(const struct question *q, const struct x509_tbs *tbs, struct err *e)
{
	const struct x509_tbs *ca = &q->limits->ca.tbs;

	if (tbs->not_after <= tbs->not_before)
		return hsm_tbs_denied(e, "the certificate ends before it begins");
	if (tbs->not_before > q->now + HSM_TBS_SKEW_S)
		return hsm_tbs_denied(e, "the certificate begins in the future");
	if (tbs->not_before < q->now - HSM_TBS_BACKDATE_S)
		return hsm_tbs_denied(e, "the certificate is dated back too far");
	if (tbs->not_after > q->now + HSM_TBS_SKEW_S + (int64_t)q->limits->max_days * DAY_S)
		return hsm_tbs_denied(e, "the certificate lives longer than ca.max_validity_days");
	if (tbs->not_before < ca->not_before || tbs->not_after > ca->not_after)
		return hsm_tbs_denied(e, "the certificate lives beyond the CA certificate");
	return 0;
}

/*
 * A keyIdentifier in authorityKeyIdentifier is the CA's own (RFC 5280 4.2.1.1: [0] IMPLICIT OCTET STRING).  It alone
 * tells generations of one name apart.
 */
static int
check_authority_key_id(const struct question *q, struct view content, struct err *e)
{
	struct der id = {0};

	if (!der_peek(&content, DER_CONTEXT(0)))
		return 0;
	if (der_next(&content, &id) != 0)
		return hsm_tbs_malformed(e, "authorityKeyIdentifier is malformed");
	if (!bytes_equal(id.content, q->limits->ca_key_id))
		return hsm_tbs_denied(e, "authorityKeyIdentifier is not the CA's");
	return 0;
}

static int
check_issuer_key(const struct question *q, const struct x509_tbs *tbs, struct err *e)
{
	struct view content;
	bool there;

	if (hsm_tbs_find(tbs, OID_AUTHORITY_KEY_ID, DER_SEQUENCE, &content, &there) != 0)
		return hsm_tbs_malformed(e, "authorityKeyIdentifier is malformed");
	return there ? check_authority_key_id(q, content, e) : 0;
}

/* A CA's key in the certificate of an end entity could only be used to deceive. */
static bool
is_ca_key(const struct hsm_limits *limits, struct bytes spki)
{
	for (size_t i = 0; i < ARRAY_SIZE(limits->other_spkis); i++) {
		if (limits->other_spkis[i].len > 0 && bytes_equal(spki, limits->other_spkis[i]))
			return true;
	}
	return bytes_equal(spki, limits->ca_spki);
}

/*
 * What a certificate of ours may have.  The rest is refused because readers give it meanings that we do not look at: an
 * old nsCertType makes a CA for OpenSSL, proxyCertInfo lets a device issue, and an identifier that is encoded in an odd
 * way may be basicConstraints to somebody.
 */
static int
check_extensions(const struct x509_tbs *tbs, struct err *e)
{
	const struct bytes known[] = {
		OID_BASIC_CONSTRAINTS,
		OID_KEY_USAGE,
		OID_SUBJECT_KEY_ID,
		OID_AUTHORITY_KEY_ID,
		OID_SUBJECT_ALT_NAME,
		OID_EXT_KEY_USAGE,
		OID_CRL_DISTRIBUTION_POINTS,
		OID_AUTHORITY_INFO_ACCESS,
		OID_FRESHEST_CRL,
		OID_OCSP_NOCHECK,
		OID_MS_TEMPLATE_NAME,
		OID_MS_TEMPLATE_INFO,
		OID_MS_APPLICATION_POLICIES,
		OID_MS_NTDS_CA_SECURITY,
	};

	return hsm_tbs_extensions(tbs, known, ARRAY_SIZE(known), e);
}

/*
 * Another than the CA itself.  x509_spki_key() takes one encoding of each key, so that the CA's own cannot come as
 * a compressed point or the like.
 */
static int
check_subject(const struct question *q, const struct x509_tbs *tbs, struct err *e)
{
	const struct hsm_limits *limits = q->limits;
	AUTO(EVP_PKEY) key = NULL;

	if (is_ca_key(limits, tbs->spki))
		return hsm_tbs_denied(e, "the certificate is for the CA's own key");
	if (x509_spki_key(tbs->spki, &key, NULL) != 0)
		return hsm_tbs_denied(e, "the key is of a kind, or written in a way, that no certificate of ours has");
	if (!x509_name_differs(tbs->subject, limits->ca.tbs.subject))
		return hsm_tbs_denied(e, "the certificate has the CA's own name, or none that can be read");
	return 0;
}

static int
check_certificate(const struct question *q, struct err *e)
{
	const struct hsm_limits *limits = q->limits;
	struct x509_tbs tbs;
	int code;

	if (!limits->has_ca)
		return hsm_tbs_denied(e, "there is no CA certificate yet");
	if (x509_tbs_parse(q->data, &tbs, NULL) != 0)
		return hsm_tbs_malformed(e, "not one TBSCertificate");
	if (tbs.version != 2)
		return hsm_tbs_denied(e, "not a version 3 certificate");
	if (!bytes_equal(tbs.algorithm, q->algorithm))
		return hsm_tbs_denied(e, "the signature algorithm is not the one that key and digest give");
	if (!bytes_equal(tbs.issuer, limits->ca.tbs.subject))
		return hsm_tbs_denied(e, "the issuer is not this CA");
	code = check_subject(q, &tbs, e);
	if (code == 0)
		code = hsm_tbs_serial(&tbs, e);
	if (code == 0)
		code = check_dates(q, &tbs, e);
	if (code == 0)
		code = check_extensions(&tbs, e);
	if (code == 0)
		code = hsm_tbs_no_ca(&tbs, e);
	if (code == 0)
		code = hsm_tbs_usage(&tbs, e);
	if (code == 0)
		code = check_issuer_key(q, &tbs, e);
	return code;
}

/* ---- the ceremony ------------------------------------------------------------------------------------------------ */

static int
check_root(const struct question *q, const struct x509_tbs *tbs, struct err *e)
{
	struct view content;
	struct der is_ca;
	bool there;
	int code;

	if (tbs->version != 2 || !bytes_equal(tbs->issuer, tbs->subject))
		return hsm_tbs_denied(e, "not a self-issued version 3 certificate");
	if (!bytes_equal(tbs->spki, q->limits->ca_spki))
		return hsm_tbs_denied(e, "the root is not for the CA's own key");
	if (!bytes_equal(tbs->algorithm, q->algorithm))
		return hsm_tbs_denied(e, "the signature algorithm is not the one that key and digest give");
	code = hsm_tbs_find(tbs, OID_BASIC_CONSTRAINTS, DER_SEQUENCE, &content, &there);
	if (code != 0 || !there || der_expect(&content, DER_BOOLEAN, &is_ca) != 0)
		return hsm_tbs_denied(e, "the root has no basicConstraints with CA:TRUE");
	code = hsm_tbs_serial(tbs, e);
	return code != 0 ? code : hsm_tbs_extensions(tbs, NULL, 0, e);
}

/* CertificationRequestInfo (RFC 2986 4.1): version 0, name, key, [0] attributes; exactly these. */
static int
check_request(const struct question *q, struct err *e)
{
	struct view content;
	struct der version;
	struct der name;
	struct der spki;
	struct der attributes;
	int number;

	if (der_whole(q->data, DER_SEQUENCE, &content) != 0 || der_expect(&content, DER_INTEGER, &version) != 0 ||
	    der_small_int(&version, &number) != 0 || der_expect(&content, DER_SEQUENCE, &name) != 0 ||
	    der_expect(&content, DER_SEQUENCE, &spki) != 0 ||
	    der_expect(&content, DER_CONTEXT_CONSTRUCTED(0), &attributes) != 0 || view_end(&content) != 0 ||
	    number != 0)
		return hsm_tbs_malformed(e, "neither a TBSCertificate nor a CertificationRequestInfo");
	if (!bytes_equal(spki.whole, q->limits->ca_spki))
		return hsm_tbs_denied(e, "the request is not for the key that signs it");
	return 0;
}

/*
 * The attributes of the message that announces the next CA certificate (RFC 8894 4.7.1): none of SCEP's, so that it is
 * no answer to anything, and a SET, so that it is no certificate.
 */
static int
check_announcement(const struct question *q, struct err *e)
{
	const struct bytes known[] = {OID_CONTENT_TYPE, OID_MESSAGE_DIGEST, OID_SIGNING_TIME};

	return hsm_tbs_attributes(q->data, known, ARRAY_SIZE(known), ARRAY_SIZE(known), e);
}

static int
check_ceremony(const struct question *q, struct err *e)
{
	struct x509_tbs tbs;

	if (q->data.len > 0 && q->data.data[0] == DER_SET)
		return check_announcement(q, e);

	if (x509_tbs_parse(q->data, &tbs, NULL) == 0)
		return check_root(q, &tbs, e);
	return check_request(q, e);
}

/* ---- CRLs -------------------------------------------------------------------------------------------------------- */

static int
next_time(struct view *v, int64_t *ret_time)
{
	struct der element;

	if (!der_peek(v, DER_UTC_TIME) && !der_peek(v, DER_GENERALIZED_TIME))
		return ERR_FORMAT;
	if (der_next(v, &element) != 0)
		return ERR_FORMAT;
	return der_time(&element, ret_time);
}

static int
check_crl_issuer_key(const struct question *q, struct bytes value)
{
	struct view content;

	return der_whole(value, DER_SEQUENCE, &content) != 0 ? ERR_FORMAT : check_authority_key_id(q, content, NULL);
}

/*
 * The extensions of a CRL that we make, each once; critical is the delta CRL indicator, and nothing else.  Without that
 * a reader would take a delta for all that is revoked.
 */
static int
check_crl_extensions(const struct question *q, struct bytes extensions)
{
	const struct bytes known[] = {OID_AUTHORITY_KEY_ID, OID_CRL_NUMBER, OID_FRESHEST_CRL, OID_DELTA_CRL_INDICATOR};
	struct x509_extension extension;
	unsigned found = 0;
	struct view list;
	bool end = false;
	size_t i;

	if (der_whole(extensions, DER_SEQUENCE, &list) != 0)
		return ERR_FORMAT;
	while (x509_extension_next(&list, &extension, &end) == 0 && !end) {
		for (i = 0; i < ARRAY_SIZE(known) && !bytes_equal(extension.oid, known[i]); i++)
			;
		if (i == ARRAY_SIZE(known) || (found & 1u << i) != 0)
			return ERR_FORMAT;
		if (extension.critical != bytes_equal(extension.oid, OID_DELTA_CRL_INDICATOR))
			return ERR_FORMAT;
		if (i == 0 && check_crl_issuer_key(q, extension.value) != 0)
			return ERR_DENIED;
		found |= 1u << i;
	}
	return end ? 0 : ERR_FORMAT;
}

/* Optional revokedCertificates, each a SEQUENCE, and optional [0] extensions; then the end (RFC 5280 5.1). */
static int
check_crl_rest(const struct question *q, struct view *content)
{
	struct der element;

	if (der_peek(content, DER_SEQUENCE)) {
		struct view entries;

		if (der_next(content, &element) != 0)
			return ERR_FORMAT;
		entries = view_of(element.content);
		while (entries.left > 0) {
			if (der_expect(&entries, DER_SEQUENCE, &element) != 0)
				return ERR_FORMAT;
		}
	}
	if (!der_peek(content, DER_CONTEXT_CONSTRUCTED(0)))
		return view_end(content);
	if (der_next(content, &element) != 0 || view_end(content) != 0)
		return ERR_FORMAT;
	return check_crl_extensions(q, element.content);
}

static int
check_crl_end(const struct question *q, struct view *content, struct err *e)
{
	int code = check_crl_rest(q, content);

	if (code == ERR_DENIED)
		return hsm_tbs_denied(e, "the CRL's authorityKeyIdentifier is not the CA's");
	return code == 0 ? 0 : hsm_tbs_malformed(e, "the CRL's entries or extensions are malformed");
}

static int
check_crl(const struct question *q, struct err *e)
{
	struct view content;
	struct der version;
	struct der algorithm;
	struct der issuer;
	int64_t this_update;
	int64_t next_update;
	int number;

	if (!q->limits->has_ca)
		return hsm_tbs_denied(e, "there is no CA certificate yet");
	if (der_whole(q->data, DER_SEQUENCE, &content) != 0 || der_expect(&content, DER_INTEGER, &version) != 0 ||
	    der_small_int(&version, &number) != 0 || der_expect(&content, DER_SEQUENCE, &algorithm) != 0 ||
	    der_expect(&content, DER_SEQUENCE, &issuer) != 0 || next_time(&content, &this_update) != 0)
		return hsm_tbs_malformed(e, "not one TBSCertList");
	if (number != 1)
		return hsm_tbs_denied(e, "not a version 2 CRL");
	if (!bytes_equal(algorithm.whole, q->algorithm))
		return hsm_tbs_denied(e, "the signature algorithm is not the one that key and digest give");
	if (!bytes_equal(issuer.whole, q->limits->ca.tbs.subject))
		return hsm_tbs_denied(e, "the issuer is not this CA");
	if (next_time(&content, &next_update) != 0)
		return hsm_tbs_denied(e, "the CRL has no nextUpdate");
	if (this_update > q->now + HSM_TBS_SKEW_S)
		return hsm_tbs_denied(e, "the CRL begins in the future");
	if (next_update <= this_update || next_update - this_update > HSM_TBS_CRL_S)
		return hsm_tbs_denied(e, "the CRL's nextUpdate is out of bounds");
	return check_crl_end(q, &content, e);
}

/* ---- the rest ---------------------------------------------------------------------------------------------------- */

static int
check_attributes(const struct question *q, struct err *e)
{
	/* The first three make it a SCEP message (RFC 8894 3.2); the last two are Microsoft's (microsoft.md 1.11). */
	const struct bytes known[] = {
		OID_CONTENT_TYPE,         OID_MESSAGE_DIGEST,      OID_SCEP_MESSAGE_TYPE,   OID_SIGNING_TIME,
		OID_SCEP_PKI_STATUS,      OID_SCEP_FAIL_INFO,      OID_SCEP_FAIL_INFO_TEXT, OID_SCEP_SENDER_NONCE,
		OID_SCEP_RECIPIENT_NONCE, OID_SCEP_TRANSACTION_ID, OID_MS_SCEP_ERROR,       OID_MS_SCEP_SERVER_MESSAGE,
	};

	return hsm_tbs_attributes(q->data, known, ARRAY_SIZE(known), 3, e);
}

static int
check_checkpoint(const struct question *q, struct err *e)
{
	const struct bytes prefix = bytes_of_text(HSM_TBS_AUDIT_PREFIX);

	if (q->data.len < prefix.len || memcmp(q->data.data, prefix.data, prefix.len) != 0)
		return hsm_tbs_denied(e, "not an audit checkpoint");
	return 0;
}

static int
check_ocsp(const struct question *q, struct err *e)
{
	return hsm_tbs_ocsp(q->data, q->now, e);
}

static int
check_registration(const struct question *q, struct err *e)
{
	struct x509_tbs tbs;

	if (x509_tbs_parse(q->data, &tbs, NULL) != 0)
		return hsm_tbs_malformed(e, "not one TBSCertificate");
	if (!bytes_equal(tbs.algorithm, q->algorithm))
		return hsm_tbs_denied(e, "the signature algorithm is not the one that key and digest give");
	if (q->limits->has_ca && !x509_name_differs(tbs.issuer, q->limits->ca.tbs.subject))
		return hsm_tbs_denied(e, "the issuer has the CA's name, or none that can be read");
	if (is_ca_key(q->limits, tbs.spki) && !bytes_equal(tbs.spki, q->limits->ca_spki))
		return hsm_tbs_denied(e, "the certificate is for the CA's key");
	return hsm_tbs_registration(&tbs, q->limits->ca_spki, q->now, e);
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

static const struct {
	enum key_class key_class;
	enum role from;
	bool sha1; /* for clients that know nothing better (scep.sha1); never on a certificate or CRL */
	int (*check)(const struct question *q, struct err *e);
} table[] = {
	{KEY_CA, ROLE_AUTHORITY, false, check_certificate},
	{KEY_CA, ROLE_PROVISION, false, check_ceremony},
	{KEY_CRL, ROLE_AUTHORITY, false, check_crl},
	{KEY_RA_SIGN, ROLE_FRONT, true, check_attributes},
	{KEY_AUDIT, ROLE_AUTHORITY, false, check_checkpoint},
	{KEY_OCSP, ROLE_AUTHORITY, false, check_ocsp},
	/* The request for its certificate; the courier's handshakes come as MSG_SIGN_HASH. */
	{KEY_POLICY, ROLE_AUTHORITY, false, check_request},
	{KEY_REGISTRATION, ROLE_AUTHORITY, false, check_registration},
};

/* The row for this class and role, or ARRAY_SIZE(table). */
static size_t
find_row(enum key_class key_class, enum role from)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		if (table[i].key_class == key_class && table[i].from == from && table[i].check != NULL)
			break;
	}
	return i;
}

int
hsm_tbs_allowed(enum key_class key_class, enum role from, enum digest digest, struct err *e)
{
	size_t row = find_row(key_class, from);

	if (row == ARRAY_SIZE(table))
		return hsm_tbs_denied(e, "this role may not use this key");
	if ((unsigned)digest >= DIGEST_COUNT || (digest == DIGEST_SHA1 && !table[row].sha1))
		return err_set(e, ERR_ALG, 0, "refused to sign: digest not allowed for this key");
	return 0;
}

size_t
hsm_tbs_limit(enum key_class key_class)
{
	return key_class == KEY_CRL ? CRL_LIMIT : DATA_LIMIT;
}

int
hsm_tbs_check(const struct hsm_limits *limits, enum key_class key_class, enum role from, enum digest digest,
	      struct bytes algorithm, struct bytes data, int64_t now, struct err *e)
{
	const struct question q = {.limits = limits, .algorithm = algorithm, .data = data, .now = now};
	int code = hsm_tbs_allowed(key_class, from, digest, e);

	if (code != 0)
		return code;
	return table[find_row(key_class, from)].check(&q, e);
}

int
hsm_limits_init(struct bytes ca_certificate, struct bytes ca_spki, int max_days, struct hsm_limits *ret_limits,
		struct err *e)
{
	struct hsm_limits limits = {.has_ca = true, .ca_spki = ca_spki, .max_days = max_days};
	struct view key_id;
	bool there;
	int code = x509_parse(ca_certificate, &limits.ca, e);

	if (code != 0)
		return code;
	if (!bytes_equal(limits.ca.tbs.spki, ca_spki))
		return err_set(e, ERR_CONFIG, 0, "the CA certificate is not for the token's key");
	if (hsm_tbs_find(&limits.ca.tbs, OID_SUBJECT_KEY_ID, DER_OCTET_STRING, &key_id, &there) != 0)
		return err_set(e, ERR_FORMAT, 0, "the CA certificate's subjectKeyIdentifier is malformed");
	if (there)
		limits.ca_key_id = (struct bytes){key_id.next, key_id.left};
	*ret_limits = limits;
	return 0;
}

void
hsm_limits_join(struct hsm_limits *limits, size_t count)
{
	BUG_ON(count > CA_GENERATIONS);
	for (size_t i = 0; i < count; i++) {
		for (size_t other = 0; other < count; other++)
			limits[i].other_spkis[other] = limits[other].ca_spki;
	}
}
