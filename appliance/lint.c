/*
 * The check of a TBSCertificate before it is signed, of cert.h.  It shares nothing with the builder but the reader, and
 * every rule is an ERR_INTERNAL: what fails here is a defect of ours that must not become a certificate.
 */
#include <string.h>

#include "appliance/cert.h"
#include "appliance/rdn.h"
#include "board/base/der.h"
#include "board/base/oid.h"

enum { SERIAL_MAX = 20, EXTENSIONS_MAX = 16, KEY_ID_SIZE = 20, GENERAL_NAMES_MAX = 64 };
enum { KU_ENCIPHERMENT = 0x30, KU_AGREEMENT = 0x08, KU_CA = 0x06 };

static const int64_t YEAR_2050 = 2524608000;

struct tbs {
	struct der version, serial, algorithm, issuer, validity, subject, spki, extensions;
	bool is_rsa;
	bool empty_subject;
};

static int
broken(struct err *e, const char *rule)
{
	return err_set(e, ERR_INTERNAL, 0, "certificate not fit to be signed: %s", rule);
}

/* RFC 5280 4.1.2: every field and nothing else; no unique identifiers. */
static int
fields_read(struct bytes der, struct tbs *tbs, struct err *e)
{
	struct view v;

	if (der_whole(der, DER_SEQUENCE, &v) != 0)
		return broken(e, "not one DER SEQUENCE (RFC 5280 4.1)");
	if (der_expect(&v, DER_CONTEXT_CONSTRUCTED(0), &tbs->version) != 0)
		return broken(e, "no version (RFC 5280 4.1.2.1)");
	if (der_expect(&v, DER_INTEGER, &tbs->serial) != 0)
		return broken(e, "no serial number (RFC 5280 4.1.2.2)");
	if (der_expect(&v, DER_SEQUENCE, &tbs->algorithm) != 0)
		return broken(e, "no signature algorithm (RFC 5280 4.1.2.3)");
	if (der_expect(&v, DER_SEQUENCE, &tbs->issuer) != 0)
		return broken(e, "no issuer (RFC 5280 4.1.2.4)");
	if (der_expect(&v, DER_SEQUENCE, &tbs->validity) != 0)
		return broken(e, "no validity (RFC 5280 4.1.2.5)");
	if (der_expect(&v, DER_SEQUENCE, &tbs->subject) != 0)
		return broken(e, "no subject (RFC 5280 4.1.2.6)");
	if (der_expect(&v, DER_SEQUENCE, &tbs->spki) != 0)
		return broken(e, "no subjectPublicKeyInfo (RFC 5280 4.1.2.7)");
	if (der_expect(&v, DER_CONTEXT_CONSTRUCTED(3), &tbs->extensions) != 0)
		return broken(e, "unique identifiers, or no extensions (RFC 5280 4.1.2.8, 4.1.2.9)");
	if (v.left != 0)
		return broken(e, "bytes behind the extensions (RFC 5280 4.1)");
	return 0;
}

static int
head_check(const struct app_issuer *issuer, const struct tbs *tbs, struct err *e)
{
	struct bytes serial = tbs->serial.content;

	if (tbs->version.content.len != 3 || memcmp(tbs->version.content.data, "\x02\x01\x02", 3) != 0)
		return broken(e, "version is not v3 (RFC 5280 4.1.2.1)");
	if (serial.len == 0 || serial.len > SERIAL_MAX)
		return broken(e, "serial number has not 1 to 20 octets (RFC 5280 4.1.2.2)");
	if (serial.data[0] > 0x7f || (serial.len == 1 && serial.data[0] == 0))
		return broken(e, "serial number is not positive (RFC 5280 4.1.2.2)");
	if (serial.len > 1 && serial.data[0] == 0 && serial.data[1] < 0x80)
		return broken(e, "serial number with a zero before it (X.690 8.3.2)");
	if (!bytes_equal(tbs->algorithm.whole, issuer->algorithm))
		return broken(e, "signature algorithm is not the issuer's (RFC 5280 4.1.2.3)");
	if (tbs->issuer.content.len == 0)
		return broken(e, "issuer is empty (RFC 5280 4.1.2.4)");
	if (!bytes_equal(tbs->issuer.whole, issuer->cert.tbs.subject))
		return broken(e, "issuer is not the subject of the CA certificate (RFC 5280 4.1.2.4)");
	return 0;
}

static int
date_check(struct view *v, int64_t *ret_time, struct err *e)
{
	struct der element;

	if (der_next(v, &element) != 0 || der_time(&element, ret_time) != 0)
		return broken(e, "validity is not two dates with seconds and Z (RFC 5280 4.1.2.5)");
	if ((element.tag == DER_UTC_TIME) != (*ret_time < YEAR_2050))
		return broken(e, "date is not UTCTime through 2049 and GeneralizedTime after (RFC 5280 4.1.2.5)");
	return 0;
}

static int
validity_check(const struct app_issuer *issuer, const struct tbs *tbs, struct err *e)
{
	struct view v = view_of(tbs->validity.content);
	int64_t first = 0, last = 0;
	int rc = date_check(&v, &first, e);

	if (rc == 0)
		rc = date_check(&v, &last, e);
	if (rc != 0)
		return rc;
	if (v.left != 0)
		return broken(e, "validity has more than two dates (RFC 5280 4.1.2.5)");
	if (first > last)
		return broken(e, "validity ends before it begins (RFC 5280 4.1.2.5)");
	if (first < issuer->cert.tbs.not_before || last > issuer->cert.tbs.not_after)
		return broken(e, "validity reaches beyond the CA's (RFC 5280 6.1.3)");
	return 0;
}

/*
 * One AttributeTypeAndValue: text of 1 to so many characters (RFC 5280 appendix A.1).  Other types than ours may stand
 * in the name of a CA that somebody else certified, which the RA's names continue.
 */
static int
attribute_check(struct bytes content, struct err *e)
{
	const struct app_rdn_type *types;
	struct view v = view_of(content), text;
	struct der oid, value;
	size_t count, characters;
	uint32_t c;
	int index;

	if (der_expect(&v, DER_OID, &oid) != 0 || der_next(&v, &value) != 0 || v.left != 0)
		return broken(e, "subject attribute is malformed (RFC 5280 4.1.2.4)");
	index = app_rdn_by_oid(oid.content);
	if (index < 0)
		return 0;
	types = app_rdn_types(&count);
	text = view_of(value.content);
	if (value.tag == DER_IA5_STRING && types[index].string != DER_IA5_STRING)
		return broken(e, "subject attribute is not a DirectoryString (RFC 5280 4.1.2.4)");
	for (characters = 0; text.left > 0; characters++) {
		if (der_text_next(value.tag, &text, &c) != 0 || c == 0)
			return broken(e, "subject attribute is not a DirectoryString (RFC 5280 4.1.2.4)");
		if (value.tag == DER_PRINTABLE_STRING && !app_rdn_printable(c))
			return broken(e, "subject attribute has what PrintableString has not (X.680 41.4)");
	}
	if (characters == 0 || characters > types[index].max)
		return broken(e, "subject attribute is longer than its upper bound, or empty (RFC 5280 A.1)");
	return 0;
}

static int
subject_check(struct tbs *tbs, struct err *e)
{
	struct view v = view_of(tbs->subject.content), inside;
	struct der rdn, attribute;
	int rc = 0;

	tbs->empty_subject = v.left == 0;
	while (rc == 0 && v.left > 0) {
		if (der_expect(&v, DER_SET, &rdn) != 0 || rdn.content.len == 0)
			return broken(e, "subject is not a Name (RFC 5280 4.1.2.4)");
		inside = view_of(rdn.content);
		while (rc == 0 && inside.left > 0) {
			if (der_expect(&inside, DER_SEQUENCE, &attribute) != 0)
				return broken(e, "subject is not a Name (RFC 5280 4.1.2.4)");
			rc = attribute_check(attribute.content, e);
		}
	}
	return rc;
}

/* RFC 3279 2.3.1 and RFC 5480 2.1.1; the numbers inside were judged when the request was. */
static int
spki_check(struct tbs *tbs, struct err *e)
{
	struct der algorithm, bits, oid, parameters;
	struct view v = view_of(tbs->spki.content);

	if (der_expect(&v, DER_SEQUENCE, &algorithm) != 0 || der_expect(&v, DER_BIT_STRING, &bits) != 0 || v.left != 0)
		return broken(e, "subjectPublicKeyInfo is malformed (RFC 5280 4.1.2.7)");
	if (bits.content.len < 2 || bits.content.data[0] != 0)
		return broken(e, "subjectPublicKey is not whole octets (RFC 5280 4.1.2.7)");
	v = view_of(algorithm.content);
	if (der_expect(&v, DER_OID, &oid) != 0 || der_next(&v, &parameters) != 0 || v.left != 0)
		return broken(e, "public key algorithm is malformed (RFC 5280 4.1.2.7)");
	tbs->is_rsa = bytes_equal(oid.content, OID_RSA_ENCRYPTION);
	if (tbs->is_rsa && (parameters.tag != DER_NULL || parameters.content.len != 0))
		return broken(e, "RSA key without NULL parameters (RFC 3279 2.3.1)");
	if (!tbs->is_rsa && (!bytes_equal(oid.content, OID_EC_PUBLIC_KEY) || parameters.tag != DER_OID))
		return broken(e, "public key is neither RSA nor EC on a named curve (RFC 5480 2.1.1)");
	return 0;
}

typedef int (*lint_fn)(const struct app_issuer *issuer, const struct tbs *tbs, struct bytes value, struct err *e);

static int
basic_constraints_check(const struct app_issuer *issuer, const struct tbs *tbs, struct bytes value, struct err *e)
{
	if (value.len != 2 || value.data[0] != DER_SEQUENCE || value.data[1] != 0)
		return broken(e, "basicConstraints of a CA, or an explicit default (RFC 5280 4.2.1.9)");
	return 0;
}

static int
key_usage_check(const struct app_issuer *issuer, const struct tbs *tbs, struct bytes value, struct err *e)
{
	struct view v = view_of(value);
	struct der bits;
	uint8_t unused, octet;

	if (der_expect(&v, DER_BIT_STRING, &bits) != 0 || v.left != 0 || bits.content.len != 2)
		return broken(e, "keyUsage is not one octet of bits, or none is set (RFC 5280 4.2.1.3)");
	unused = bits.content.data[0];
	octet = bits.content.data[1];
	if (octet == 0 || unused > 7 || unused != __builtin_ctz(octet))
		return broken(e, "keyUsage with trailing zero bits (X.690 11.2.2)");
	if ((octet & KU_CA) != 0)
		return broken(e, "keyUsage with keyCertSign or cRLSign and no CA (RFC 5280 4.2.1.3)");
	if (!tbs->is_rsa && (octet & KU_ENCIPHERMENT) != 0)
		return broken(e, "keyUsage with encipherment for an EC key (RFC 5480 3)");
	if (tbs->is_rsa && (octet & KU_AGREEMENT) != 0)
		return broken(e, "keyUsage with keyAgreement for an RSA key (RFC 3279 2.3.1)");
	return 0;
}

static int
ext_key_usage_check(const struct app_issuer *issuer, const struct tbs *tbs, struct bytes value, struct err *e)
{
	struct der oid;
	struct view v;

	if (der_whole(value, DER_SEQUENCE, &v) != 0 || v.left == 0)
		return broken(e, "extKeyUsage is not a list, or empty (RFC 5280 4.2.1.12)");
	while (v.left > 0)
		if (der_expect(&v, DER_OID, &oid) != 0 || oid.content.len == 0)
			return broken(e, "extKeyUsage is not a list of OIDs (RFC 5280 4.2.1.12)");
	return 0;
}

static int
subject_key_id_check(const struct app_issuer *issuer, const struct tbs *tbs, struct bytes value, struct err *e)
{
	uint8_t key_id[KEY_ID_SIZE];

	if (x509_key_id(tbs->spki.whole, key_id) != 0 || value.len != 2 + KEY_ID_SIZE ||
	    value.data[0] != DER_OCTET_STRING || memcmp(value.data + 2, key_id, KEY_ID_SIZE) != 0)
		return broken(e, "subjectKeyIdentifier is not SHA-1 of the key (RFC 5280 4.2.1.2)");
	return 0;
}

static int
authority_key_id_check(const struct app_issuer *issuer, const struct tbs *tbs, struct bytes value, struct err *e)
{
	struct der key_id;
	struct view v;

	if (der_whole(value, DER_SEQUENCE, &v) != 0 || der_expect(&v, DER_CONTEXT(0), &key_id) != 0 || v.left != 0 ||
	    !bytes_equal(key_id.content, issuer->key_id))
		return broken(e, "authorityKeyIdentifier is not the CA's subjectKeyIdentifier (RFC 5280 4.2.1.1)");
	return 0;
}

/* RFC 5280 4.2.1.6: at least one name; the text forms are ASCII without blanks and control characters. */
static int
san_check(const struct app_issuer *issuer, const struct tbs *tbs, struct bytes value, struct err *e)
{
	struct der name;
	struct view v;
	size_t count, i;

	if (der_whole(value, DER_SEQUENCE, &v) != 0 || v.left == 0)
		return broken(e, "subjectAltName is not a list, or empty (RFC 5280 4.2.1.6)");
	for (count = 0; v.left > 0; count++) {
		if (der_next(&v, &name) != 0 || name.content.len == 0 || count == GENERAL_NAMES_MAX)
			return broken(e,
				      "subjectAltName with an empty or malformed name, or too many (RFC 5280 4.2.1.6)");
		if (name.tag == DER_CONTEXT(7) && name.content.len != 4 && name.content.len != 16)
			return broken(e, "subjectAltName with an iPAddress not of 4 or 16 octets (RFC 5280 4.2.1.6)");
		if (name.tag == DER_CONTEXT(7) || name.tag == DER_CONTEXT_CONSTRUCTED(0))
			continue;
		if (name.tag != DER_CONTEXT(1) && name.tag != DER_CONTEXT(2) && name.tag != DER_CONTEXT(6))
			return broken(e, "subjectAltName with a kind of name that we do not issue (RFC 5280 4.2.1.6)");
		for (i = 0; i < name.content.len; i++)
			if (name.content.data[i] <= ' ' || name.content.data[i] > '~')
				return broken(e,
					      "subjectAltName that is not an IA5String to be seen (RFC 5280 4.2.1.6)");
	}
	return 0;
}

/* RFC 5280 4.2.1.13: distributionPoint, fullName, one URI. */
static int
crl_points_check(const struct app_issuer *issuer, const struct tbs *tbs, struct bytes value, struct err *e)
{
	static const uint8_t tags[] = {DER_SEQUENCE, DER_CONTEXT_CONSTRUCTED(0), DER_CONTEXT_CONSTRUCTED(0),
				       DER_CONTEXT(6)};
	struct der element = {.content = {NULL, 0}};
	struct view v;
	size_t i;

	if (der_whole(value, DER_SEQUENCE, &v) != 0)
		return broken(e, "cRLDistributionPoints is not a list (RFC 5280 4.2.1.13)");
	for (i = 0; i < sizeof(tags); i++) {
		if (der_expect(&v, tags[i], &element) != 0 || v.left != 0)
			return broken(e, "cRLDistributionPoints is not one URI (RFC 5280 4.2.1.13)");
		v = view_of(element.content);
	}
	if (element.content.len == 0)
		return broken(e, "cRLDistributionPoints with an empty URI (RFC 5280 4.2.1.13)");
	return 0;
}

static int
authority_info_check(const struct app_issuer *issuer, const struct tbs *tbs, struct bytes value, struct err *e)
{
	struct der access, oid, name;
	struct view v, inside;

	if (der_whole(value, DER_SEQUENCE, &v) != 0 || v.left == 0)
		return broken(e, "authorityInfoAccess is not a list, or empty (RFC 5280 4.2.2.1)");
	while (v.left > 0) {
		if (der_expect(&v, DER_SEQUENCE, &access) != 0)
			return broken(e, "authorityInfoAccess is malformed (RFC 5280 4.2.2.1)");
		inside = view_of(access.content);
		if (der_expect(&inside, DER_OID, &oid) != 0 || der_expect(&inside, DER_CONTEXT(6), &name) != 0 ||
		    inside.left != 0 || name.content.len == 0)
			return broken(e, "authorityInfoAccess is not a method and a URI (RFC 5280 4.2.2.1)");
	}
	return 0;
}

static int
nocheck_check(const struct app_issuer *issuer, const struct tbs *tbs, struct bytes value, struct err *e)
{
	struct view v;

	if (der_whole(value, DER_NULL, &v) != 0 || v.left != 0)
		return broken(e, "ocsp-nocheck is not NULL (RFC 6960 4.2.2.2.1)");
	return 0;
}

/* facts, microsoft.md 9.2: a bare BMPString. */
static int
template_name_check(const struct app_issuer *issuer, const struct tbs *tbs, struct bytes value, struct err *e)
{
	struct view v;
	uint32_t c;

	if (der_whole(value, DER_BMP_STRING, &v) != 0 || v.left == 0)
		return broken(e, "template name is not a BMPString, or empty");
	while (v.left > 0)
		if (der_text_next(DER_BMP_STRING, &v, &c) != 0 || c <= ' ' || c > '~')
			return broken(e, "template name with something that is not visible ASCII");
	return 0;
}

/* MS-WCCE 2.2.2.7.7.2 */
static int
template_information_check(const struct app_issuer *issuer, const struct tbs *tbs, struct bytes value, struct err *e)
{
	struct der oid, major, minor;
	struct view v;
	int number;

	if (der_whole(value, DER_SEQUENCE, &v) != 0 || der_expect(&v, DER_OID, &oid) != 0 ||
	    der_expect(&v, DER_INTEGER, &major) != 0 || der_small_int(&major, &number) != 0 ||
	    der_expect(&v, DER_INTEGER, &minor) != 0 || der_small_int(&minor, &number) != 0 || v.left != 0)
		return broken(e, "template information is not an OID and two numbers (MS-WCCE 2.2.2.7.7.2)");
	return 0;
}

static int
application_policies_check(const struct app_issuer *issuer, const struct tbs *tbs, struct bytes value, struct err *e)
{
	struct der policy, oid;
	struct view v, inside;

	if (der_whole(value, DER_SEQUENCE, &v) != 0 || v.left == 0)
		return broken(e, "application policies are not a list, or empty (RFC 5280 4.2.1.4)");
	while (v.left > 0) {
		if (der_expect(&v, DER_SEQUENCE, &policy) != 0)
			return broken(e, "application policies are malformed (RFC 5280 4.2.1.4)");
		inside = view_of(policy.content);
		if (der_expect(&inside, DER_OID, &oid) != 0 || inside.left != 0)
			return broken(e, "application policy that is not one OID (RFC 5280 4.2.1.4)");
	}
	return 0;
}

/* The SID is that of a URI in subjectAltName, which somebody vouched for; nothing else may be in the extension. */
static int
sid_check(const struct app_issuer *issuer, const struct tbs *tbs, struct bytes value, struct err *e)
{
	struct x509_tbs whole = {.extensions = tbs->extensions.content};
	struct x509_extension san = {.critical = false};
	char sid[APP_SID_SIZE];
	struct der name, oid, wrap, text;
	struct view v, inside;

	if (der_whole(value, DER_SEQUENCE, &v) != 0 || der_expect(&v, DER_CONTEXT_CONSTRUCTED(0), &name) != 0 ||
	    v.left != 0)
		return broken(e, "NTDS security extension is not one otherName (MS-WCCE 2.2.2.7.7.4)");
	inside = view_of(name.content);
	if (der_expect(&inside, DER_OID, &oid) != 0 || !bytes_equal(oid.content, OID_MS_NTDS_OBJECT_SID) ||
	    der_expect(&inside, DER_CONTEXT_CONSTRUCTED(0), &wrap) != 0 || inside.left != 0)
		return broken(e, "NTDS security extension without a SID (MS-WCCE 2.2.2.7.7.4)");
	inside = view_of(wrap.content);
	if (der_expect(&inside, DER_OCTET_STRING, &text) != 0 || inside.left != 0)
		return broken(e, "NTDS security extension without a SID (MS-WCCE 2.2.2.7.7.4)");
	if (x509_extension_find(&whole, OID_SUBJECT_ALT_NAME, &san) != 0 || app_san_sid(san.value, sid, NULL) != 0 ||
	    !bytes_equal(text.content, bytes_of_text(sid)))
		return broken(e, "NTDS security extension with another SID than subjectAltName");
	return 0;
}

enum presence { REQUIRED, OPTIONAL };

struct rule {
	struct bytes oid;
	enum presence presence;
	bool critical; /* of the SAN: when the subject is empty */
	lint_fn check;
	const char *missing;
	const char *criticality;
};

static const struct rule rules[] = {
	{OID_BASIC_CONSTRAINTS, REQUIRED, true, basic_constraints_check, "no basicConstraints (RFC 5280 4.2.1.9)",
	 "basicConstraints not critical (RFC 5280 4.2.1.9)"},
	{OID_KEY_USAGE, REQUIRED, true, key_usage_check, "no keyUsage (RFC 5280 4.2.1.3)",
	 "keyUsage not critical (RFC 5280 4.2.1.3)"},
	{OID_SUBJECT_KEY_ID, REQUIRED, false, subject_key_id_check, "no subjectKeyIdentifier (RFC 5280 4.2.1.2)",
	 "subjectKeyIdentifier critical (RFC 5280 4.2.1.2)"},
	{OID_AUTHORITY_KEY_ID, REQUIRED, false, authority_key_id_check, "no authorityKeyIdentifier (RFC 5280 4.2.1.1)",
	 "authorityKeyIdentifier critical (RFC 5280 4.2.1.1)"},
	{OID_SUBJECT_ALT_NAME, OPTIONAL, false, san_check, NULL,
	 "subjectAltName critical with a subject, or not critical without (RFC 5280 4.2.1.6)"},
	{OID_EXT_KEY_USAGE, OPTIONAL, false, ext_key_usage_check, NULL, "extKeyUsage critical (RFC 5280 4.2.1.12)"},
	{OID_CRL_DISTRIBUTION_POINTS, OPTIONAL, false, crl_points_check, NULL,
	 "cRLDistributionPoints critical (RFC 5280 4.2.1.13)"},
	{OID_FRESHEST_CRL, OPTIONAL, false, crl_points_check, NULL, "freshestCRL critical (RFC 5280 4.2.1.15)"},
	{OID_AUTHORITY_INFO_ACCESS, OPTIONAL, false, authority_info_check, NULL,
	 "authorityInfoAccess critical (RFC 5280 4.2.2.1)"},
	{OID_OCSP_NOCHECK, OPTIONAL, false, nocheck_check, NULL, "ocsp-nocheck critical (RFC 6960 4.2.2.2.1)"},
	{OID_MS_TEMPLATE_NAME, OPTIONAL, false, template_name_check, NULL, "template name critical"},
	{OID_MS_TEMPLATE_INFO, OPTIONAL, false, template_information_check, NULL, "template information critical"},
	{OID_MS_APPLICATION_POLICIES, OPTIONAL, false, application_policies_check, NULL,
	 "application policies critical"},
	{OID_MS_NTDS_CA_SECURITY, OPTIONAL, false, sid_check, NULL, "NTDS security extension critical"},
};

/* Extension ::= SEQUENCE { extnID, critical BOOLEAN DEFAULT FALSE, extnValue }, where DER leaves FALSE out. */
static int
extension_read(const struct der *whole, struct x509_extension *ret_extension)
{
	struct view v = view_of(whole->content);
	struct der oid, critical = {.tag = 0}, value;

	if (der_expect(&v, DER_OID, &oid) != 0)
		return ERR_FORMAT;
	if (der_peek(&v, DER_BOOLEAN) &&
	    (der_next(&v, &critical) != 0 || critical.content.len != 1 || critical.content.data[0] != 0xff))
		return ERR_FORMAT;
	if (der_expect(&v, DER_OCTET_STRING, &value) != 0 || v.left != 0)
		return ERR_FORMAT;
	*ret_extension =
		(struct x509_extension){.oid = oid.content, .critical = critical.tag != 0, .value = value.content};
	return 0;
}

static int
extension_check(const struct app_issuer *issuer, const struct tbs *tbs, const struct der *whole, uint32_t *seen,
		struct err *e)
{
	struct x509_extension extension = {.critical = false};
	bool critical;
	size_t i;

	if (extension_read(whole, &extension) != 0)
		return broken(e, "malformed extension (RFC 5280 4.2)");
	for (i = 0; i < ARRAY_SIZE(rules) && !bytes_equal(rules[i].oid, extension.oid); i++)
		;
	if (i == ARRAY_SIZE(rules))
		return broken(e, "an extension that we do not issue (RFC 5280 4.2)");
	if ((*seen & 1U << i) != 0)
		return broken(e, "an extension twice (RFC 5280 4.2)");
	*seen |= 1U << i;
	critical = rules[i].critical || (rules[i].check == san_check && tbs->empty_subject);
	if (extension.critical != critical)
		return broken(e, rules[i].criticality);
	return rules[i].check(issuer, tbs, extension.value, e);
}

static int
extensions_check(const struct app_issuer *issuer, const struct tbs *tbs, struct err *e)
{
	struct der extension;
	uint32_t seen = 0;
	struct view v;
	size_t i;
	int rc = 0;

	if (der_whole(tbs->extensions.content, DER_SEQUENCE, &v) != 0)
		return broken(e, "extensions are not a list (RFC 5280 4.1.2.9)");
	while (rc == 0 && v.left > 0) {
		if (der_expect(&v, DER_SEQUENCE, &extension) != 0)
			return broken(e, "malformed extension (RFC 5280 4.2)");
		rc = extension_check(issuer, tbs, &extension, &seen, e);
	}
	if (rc != 0)
		return rc;
	for (i = 0; i < ARRAY_SIZE(rules); i++) {
		if (rules[i].presence == REQUIRED && (seen & 1U << i) == 0)
			return broken(e, rules[i].missing);
		if (rules[i].check == san_check && tbs->empty_subject && (seen & 1U << i) == 0)
			return broken(e, "empty subject without subjectAltName (RFC 5280 4.1.2.6)");
	}
	return 0;
}

int
app_cert_lint(const struct app_issuer *issuer, struct bytes der, struct err *e)
{
	struct tbs tbs = {.is_rsa = false};
	int rc = fields_read(der, &tbs, e);

	if (rc == 0)
		rc = head_check(issuer, &tbs, e);
	if (rc == 0)
		rc = validity_check(issuer, &tbs, e);
	if (rc == 0)
		rc = subject_check(&tbs, e);
	if (rc == 0)
		rc = spki_check(&tbs, e);
	if (rc == 0)
		rc = extensions_check(issuer, &tbs, e);
	return rc;
}
