#include "appliance/profile.h"

#include <stdio.h>
#include <string.h>

#include "appliance/cert.h"
#include "appliance/crl.h"
#include "appliance/profile_impl.h"
#include "appliance/rdn.h"
#include "board/base/der.h"
#include "board/base/oid.h"

enum { EXTENSIONS_LIMIT = 4096, FIXED_LIMIT = 4096, URL_TAG = 6, HOUR_S = 3600, DAY_S = 86400 };
enum { REGISTRATION_HOURS_MAX = 80 * 24 };

#define OID_KP_REQUEST_AGENT OID_BYTES("\x2b\x06\x01\x04\x01\x82\x37\x14\x02\x01")

static int
url_check(const char *setting, const char *url, struct err *e)
{
	const char *p;

	if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0 && strncmp(url, "ldap://", 7) != 0)
		return err_set(e, ERR_CONFIG, 0, "%s: an http, https or ldap URL is wanted", setting);
	for (p = url; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~')
			return err_set(e, ERR_CONFIG, 0, "%s: a URL has neither blanks nor letters beyond ASCII",
				       setting);
	return 0;
}

struct extension_marks {
	size_t outer;
	size_t value;
};

static struct extension_marks
extension_open(struct buf *b, struct bytes oid, bool critical)
{
	struct extension_marks marks = {.outer = der_open(b, DER_SEQUENCE)};

	der_put_oid(b, oid);
	if (critical)
		der_put_true(b);
	marks.value = der_open(b, DER_OCTET_STRING);
	return marks;
}

static void
extension_close(struct buf *b, struct extension_marks marks)
{
	der_close(b, marks.value);
	der_close(b, marks.outer);
}

/* X.690 11.2.2: trailing zero bits of a named bit list are not written. */
static void
key_usage_put(struct buf *b, unsigned bits)
{
	struct extension_marks marks = extension_open(b, OID_KEY_USAGE, true);
	uint8_t octets[2] = {(uint8_t)__builtin_ctz(bits), (uint8_t)bits};

	der_put(b, DER_BIT_STRING, (struct bytes){octets, sizeof(octets)});
	extension_close(b, marks);
}

/* cRLDistributionPoints and freshestCRL (RFC 5280 4.2.1.13, 4.2.1.15). */
static void
crl_url_put(struct buf *b, struct bytes oid, const char *url)
{
	struct extension_marks marks = extension_open(b, oid, false);

	app_crl_points_put(b, url);
	extension_close(b, marks);
}

static void
access_put(struct buf *b, struct bytes method, const char *url)
{
	size_t access;

	if (url[0] == '\0')
		return;
	access = der_open(b, DER_SEQUENCE);
	der_put_oid(b, method);
	der_put(b, DER_CONTEXT(URL_TAG), bytes_of_text(url));
	der_close(b, access);
}

/* RFC 5280 4.2.2.1 */
static void
access_urls_put(struct buf *b, const char *ocsp_url, const char *ca_url)
{
	struct extension_marks marks = extension_open(b, OID_AUTHORITY_INFO_ACCESS, false);
	size_t list = der_open(b, DER_SEQUENCE);

	access_put(b, OID_AD_OCSP, ocsp_url);
	access_put(b, OID_AD_CA_ISSUERS, ca_url);
	der_close(b, list);
	extension_close(b, marks);
}

/* A bare BMPString, as in every certificate of a Microsoft CA (facts, microsoft.md 9.2); the name is ASCII. */
static void
template_name_put(struct buf *b, const char *name)
{
	struct extension_marks marks = extension_open(b, OID_MS_TEMPLATE_NAME, false);
	size_t string = der_open(b, DER_BMP_STRING);

	for (; *name != '\0'; name++)
		buf_put_u16(b, (uint8_t)*name);
	der_close(b, string);
	extension_close(b, marks);
}

/* MS-WCCE 2.2.2.7.7.2 */
static void
template_information_put(struct buf *b, const struct app_template *template)
{
	struct extension_marks marks = extension_open(b, OID_MS_TEMPLATE_INFO, false);
	size_t list = der_open(b, DER_SEQUENCE);

	der_put_raw(b, (struct bytes){template->oid.der, template->oid.len});
	der_put_int(b, (unsigned)template->major_version);
	der_put_int(b, (unsigned)template->minor_version);
	der_close(b, list);
	extension_close(b, marks);
}

/* Encoded as certificatePolicies are (RFC 5280 4.2.1.4): each a SEQUENCE with the identifier alone. */
static void
application_policies_put(struct buf *b, const struct app_oids *policies)
{
	struct extension_marks marks = extension_open(b, OID_MS_APPLICATION_POLICIES, false);
	size_t list = der_open(b, DER_SEQUENCE);
	struct view v = view_of((struct bytes){policies->der, policies->len});
	struct der oid;

	while (v.left > 0 && der_next(&v, &oid) == 0)
		der_put(b, DER_SEQUENCE, oid.whole);
	der_close(b, list);
	extension_close(b, marks);
}

/* What Microsoft's readers look for. */
static void
template_put(struct buf *b, const struct app_template *template)
{
	const struct app_oids *policies =
		template->mirror_policies ? &template->extended_key_usage : &template->application_policies;

	if (template->name_extension)
		template_name_put(b, template->name);
	if (template->information_extension)
		template_information_put(b, template);
	if (policies->len > 0)
		application_policies_put(b, policies);
}

/* The template's own, or the CA's. */
static const char *
url_of(const char *own, const char *ca)
{
	return own[0] != '\0' ? own : ca;
}

static void
extensions_put(struct buf *b, const struct config *conf, unsigned key_usage, const struct app_template *template)
{
	const char *crl_url = url_of(template->crl_url, conf->ca_crl_url);
	const char *ca_url = url_of(template->ca_url, conf->ca_ca_url);
	const char *ocsp_url = url_of(template->ocsp_url, conf->ca_ocsp_url);
	struct extension_marks marks;

	buf_init(b, EXTENSIONS_LIMIT);
	if (key_usage == 0)
		return;
	marks = extension_open(b, OID_BASIC_CONSTRAINTS, true);
	der_put(b, DER_SEQUENCE, (struct bytes){NULL, 0}); /* CA:FALSE is the default, which DER leaves out */
	extension_close(b, marks);
	key_usage_put(b, key_usage);
	if (template->extended_key_usage.len > 0) {
		marks = extension_open(b, OID_EXT_KEY_USAGE, false);
		der_put(b, DER_SEQUENCE,
			(struct bytes){template->extended_key_usage.der, template->extended_key_usage.len});
		extension_close(b, marks);
	}
	template_put(b, template);
	if (crl_url[0] != '\0')
		crl_url_put(b, OID_CRL_DISTRIBUTION_POINTS, crl_url);
	if (conf->ca_delta_url[0] != '\0')
		crl_url_put(b, OID_FRESHEST_CRL, conf->ca_delta_url);
	if (ca_url[0] != '\0' || ocsp_url[0] != '\0')
		access_urls_put(b, ocsp_url, ca_url);
}

/* Which usages a kind of key can have: RFC 3279 2.3.1, RFC 5480 3. */
static int
profile_encode(struct app_profile *profile, const struct config *conf, const struct app_template *template,
	       struct err *e)
{
	unsigned rsa = template->key_usage & ~(unsigned)APP_KU_KEY_AGREEMENT;
	unsigned ec = template->key_usage & ~(unsigned)(APP_KU_KEY_ENCIPHERMENT | APP_KU_DATA_ENCIPHERMENT);
	int rc = 0;

	if (conf->ca_crl_url[0] != '\0')
		rc = url_check("ca.crl_url", conf->ca_crl_url, e);
	if (rc == 0 && conf->ca_delta_url[0] != '\0')
		rc = url_check("ca.delta_url", conf->ca_delta_url, e);
	if (rc == 0 && conf->ca_ocsp_url[0] != '\0')
		rc = url_check("ca.ocsp_url", conf->ca_ocsp_url, e);
	if (rc == 0 && conf->ca_ca_url[0] != '\0')
		rc = url_check("ca.ca_url", conf->ca_ca_url, e);
	if (rc != 0)
		return rc;
	extensions_put(&profile->extensions_rsa, conf, rsa, template);
	extensions_put(&profile->extensions_ec, conf, ec, template);
	if (buf_status(&profile->extensions_rsa) != 0 || buf_status(&profile->extensions_ec) != 0)
		return err_set(e, ERR_NOMEM, 0, "profile %s", profile->name);
	return 0;
}

/* The RDNs of the name in text, without the SEQUENCE around them, and their types. */
static int
fixed_parse(struct app_profile *profile, const char *text, struct err *e)
{
	AUTO_BUF name = {0};
	struct view v, inside;
	struct der rdn, attribute, type;
	int rc;

	buf_init(&profile->fixed, FIXED_LIMIT);
	if (text[0] == '\0')
		return 0;
	buf_init(&name, FIXED_LIMIT);
	rc = app_name_parse(text, &name, e);
	if (rc == 0)
		rc = der_whole(buf_bytes(&name), DER_SEQUENCE, &v);
	if (rc != 0)
		return rc;
	buf_put_raw(&profile->fixed, v.next, v.left);
	while (v.left > 0) {
		if (der_expect(&v, DER_SET, &rdn) != 0)
			return ERR_FORMAT;
		inside = view_of(rdn.content);
		if (der_expect(&inside, DER_SEQUENCE, &attribute) != 0)
			return ERR_FORMAT;
		inside = view_of(attribute.content);
		if (der_expect(&inside, DER_OID, &type) != 0 || app_rdn_by_oid(type.content) < 0)
			return ERR_FORMAT;
		profile->fixed_types |= 1U << app_rdn_by_oid(type.content);
	}
	return buf_status(&profile->fixed);
}

/* What both kinds of profile take from a template. */
static int
profile_fill(struct app_profile *profile, const struct config *conf, const struct app_template *template, struct err *e)
{
	profile->life_max_s = (int64_t)conf->ca_max_validity_days * DAY_S;
	profile->backdate_s = (int64_t)conf->template_backdate_minutes * 60;
	if (profile->backdate_s > profile->life_max_s / 2)
		profile->backdate_s = profile->life_max_s / 2;
	snprintf(profile->name, sizeof(profile->name), "%s", template->name);
	snprintf(profile->dns_suffixes, sizeof(profile->dns_suffixes), "%s", template->dns_suffixes);
	profile->life_s = (int64_t) template->validity_days * DAY_S + (int64_t) template->validity_hours * HOUR_S;
	profile->rsa_bits_min = template->rsa_bits_min;
	profile->rsa_bits_max = template->rsa_bits_max;
	profile->algorithms = template->algorithms;
	profile->rdns = template->rdns;
	profile->san.kinds = template->sans;
	profile->san.required = template->sans_required;
	profile->from_template = template->from_template;
	profile->sid = template->sid;
	profile->agent = app_template_is_agent(template);
	profile->purposes = template->extended_key_usage;
	profile->policies = template->application_policies;
	if (fixed_parse(profile, template->subject_fixed, e) != 0)
		return err_set(e, ERR_CONFIG, 0, "profile %s: subject_fixed", profile->name);
	return profile_encode(profile, conf, template, e);
}

int
app_profile_of(const struct config *conf, const struct app_template *template, struct app_profile **ret_profile,
	       struct err *e)
{
	AUTO_STRUCT(app_profile) profile = calloc(1, sizeof(*profile));
	int rc;

	if (profile == NULL)
		return err_set(e, ERR_NOMEM, 0, "profile");
	rc = profile_fill(profile, conf, template, e);
	if (rc == 0)
		*ret_profile = TAKE(profile);
	return rc;
}

/* The responder's certificate lives shortly, so nobody needs to ask for its own state (RFC 6960 4.2.2.2.1). */
static void
nocheck_put(struct buf *b)
{
	struct extension_marks marks = extension_open(b, OID_OCSP_NOCHECK, false);

	der_put(b, DER_NULL, (struct bytes){NULL, 0});
	extension_close(b, marks);
}

static void
purpose_add(struct app_template *template, struct bytes oid)
{
	AUTO_BUF b = {0};

	buf_init(&b, sizeof(template->extended_key_usage.der));
	der_put_oid(&b, oid);
	memcpy(template->extended_key_usage.der, b.data, b.len);
	template->extended_key_usage.len = b.len;
}

/*
 * The appliance's own certificates.  One signs and one decrypts, so that every client finds the right one (facts C37).
 */
static void
template_own(struct app_template *template, const struct config *conf, enum app_usage usage)
{
	bool is_decrypt = usage == APP_USAGE_RA_DECRYPT;
	bool is_server = usage == APP_USAGE_TLS || usage == APP_USAGE_REGISTRATION;

	app_template_default(template);
	template->validity_days = usage == APP_USAGE_OCSP ? conf->ca_ocsp_days : conf->ca_ra_days;
	if (is_server) {
		template->validity_days = 0;
		template->validity_hours = conf->front_tls_hours;
	}
	template->rsa_bits_max = 16384;
	template->algorithms = is_decrypt ? APP_ALG_RSA : APP_ALG_RSA | APP_ALG_P256 | APP_ALG_P384 | APP_ALG_P521;
	template->rdns = UINT32_MAX;
	template->sans = is_server ? APP_SAN_DNS | APP_SAN_IP : 0;
	template->key_usage = is_decrypt ? APP_KU_KEY_ENCIPHERMENT : APP_KU_DIGITAL_SIGNATURE;
	if (is_server)
		purpose_add(template, OID_KP_SERVER_AUTH);
	else if (usage == APP_USAGE_RA_SIGN)
		purpose_add(template, OID_KP_REQUEST_AGENT);
	else if (usage == APP_USAGE_OCSP)
		purpose_add(template, OID_KP_OCSP_SIGNING);
	else if (usage == APP_USAGE_POLICY)
		purpose_add(template, OID_KP_CLIENT_AUTH);
}

/* What is below the registration point's own root has no URLs of the CA and is short-lived (hsm/tbs_registration.h). */
static const struct config *
without_ca(const struct config *conf, struct config *own)
{
	*own = *conf;
	own->ca_crl_url[0] = own->ca_delta_url[0] = own->ca_ocsp_url[0] = own->ca_ca_url[0] = '\0';
	if (own->front_tls_hours > REGISTRATION_HOURS_MAX)
		own->front_tls_hours = REGISTRATION_HOURS_MAX;
	return own;
}

int
app_profile_new(const struct config *conf, enum app_usage usage, struct app_profile **ret_profile, struct err *e)
{
	static const char *const names[APP_USAGE_COUNT] = {
		[APP_USAGE_RA_SIGN] = "ra-sign", [APP_USAGE_RA_DECRYPT] = "ra-decrypt",
		[APP_USAGE_TLS] = "tls",         [APP_USAGE_OCSP] = "ocsp",
		[APP_USAGE_POLICY] = "policy",   [APP_USAGE_REGISTRATION] = "registration-tls"};
	AUTO_STRUCT(app_profile) profile = NULL;
	struct app_template template;
	struct config own;
	int rc;

	if (usage == APP_USAGE_DEVICE) {
		rc = app_template_from_config(conf, &template, e);
		return rc != 0 ? rc : app_profile_of(conf, &template, ret_profile, e);
	}
	if (usage >= APP_USAGE_COUNT || names[usage] == NULL)
		return err_set(e, ERR_CONFIG, 0, "there is no profile for usage %d", (int)usage);
	if (usage == APP_USAGE_REGISTRATION)
		conf = without_ca(conf, &own);
	template_own(&template, conf, usage);
	snprintf(template.name, sizeof(template.name), "%s", names[usage]);
	rc = app_profile_of(conf, &template, &profile, e);
	if (rc != 0)
		return rc;
	if (usage == APP_USAGE_OCSP) {
		nocheck_put(&profile->extensions_rsa);
		nocheck_put(&profile->extensions_ec);
	}
	*ret_profile = TAKE(profile);
	return 0;
}

void
app_profile_free(struct app_profile *profile)
{
	if (profile == NULL)
		return;
	buf_fini(&profile->fixed);
	buf_fini(&profile->extensions_rsa);
	buf_fini(&profile->extensions_ec);
	free(profile);
}

const char *
app_profile_name(const struct app_profile *profile)
{
	return profile->name;
}

struct bytes
app_profile_extensions(const struct app_profile *profile, bool is_rsa)
{
	return buf_bytes(is_rsa ? &profile->extensions_rsa : &profile->extensions_ec);
}

/* Both ends of a validity belong to it, hence the second less (RFC 5280 4.1.2.5). */
int
app_profile_validity(const struct app_profile *profile, int64_t now, int64_t ca_not_before, int64_t ca_not_after,
		     int64_t *ret_not_before, int64_t *ret_not_after, struct err *e)
{
	int64_t first = now - profile->backdate_s, last = now + profile->life_s - 1;

	if (now > ca_not_after)
		return err_set(e, ERR_STAGE, 0, "the CA certificate has ended");
	if (now < ca_not_before)
		return err_set(e, ERR_STAGE, 0, "the CA certificate is not valid yet");
	if (first < ca_not_before)
		first = ca_not_before;
	if (last > first + profile->life_max_s - 1)
		last = first + profile->life_max_s - 1;
	if (last > ca_not_after)
		last = ca_not_after;
	*ret_not_before = first;
	*ret_not_after = last;
	return 0;
}
