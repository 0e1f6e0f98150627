#include "appliance/profile.h"

#include <stdio.h>
#include <string.h>

#include "appliance/crl.h"
#include "appliance/profile_impl.h"
#include "appliance/rdn.h"
#include "board/base/der.h"
#include "board/base/oid.h"

enum { EXTENSIONS_LIMIT = 4096, OIDS_MAX = 32, WORD_SHOWN = 40, URL_TAG = 6, DAY_S = 86400 };

#define OID_KP_EMAIL         OID_BYTES("\x2b\x06\x01\x05\x05\x07\x03\x04")
#define OID_KP_IPSEC_IKE     OID_BYTES("\x2b\x06\x01\x05\x05\x07\x03\x11")
#define OID_KP_REQUEST_AGENT OID_BYTES("\x2b\x06\x01\x04\x01\x82\x37\x14\x02\x01")

struct word {
	const char *start;
	size_t len;
};

/* The next of several words with blanks between them. */
static bool
word_next(const char **list, struct word *ret_word)
{
	const char *p = *list + strspn(*list, " \t");

	ret_word->start = p;
	ret_word->len = strcspn(p, " \t");
	*list = p + ret_word->len;
	return ret_word->len > 0;
}

static bool
word_is(const struct word *word, const char *s)
{
	return strlen(s) == word->len && memcmp(s, word->start, word->len) == 0;
}

static int
word_refuse(const char *setting, const struct word *word, struct err *e)
{
	return err_set(e, ERR_CONFIG, 0, "%s: \"%.*s\" is not understood", setting,
		       (int)(word->len < WORD_SHOWN ? word->len : WORD_SHOWN), word->start);
}

static int
key_usage_parse(const char *list, unsigned *ret_bits, struct err *e)
{
	static const char *const names[] = {"digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment",
					    "keyAgreement"};
	struct word word;
	unsigned bits = 0;
	size_t i;

	while (word_next(&list, &word)) {
		for (i = 0; i < ARRAY_SIZE(names) && !word_is(&word, names[i]); i++)
			;
		if (i == ARRAY_SIZE(names))
			return word_refuse("template.key_usage", &word, e);
		bits |= (unsigned)APP_KU_DIGITAL_SIGNATURE >> i;
	}
	if (bits == 0)
		return err_set(e, ERR_CONFIG, 0, "template.key_usage: at least one is needed");
	*ret_bits = bits;
	return 0;
}

/* A decimal arc without leading zeros, below 2^28; the text moves behind it. */
static int
arc_read(const char **p, const char *end, uint32_t *ret_arc)
{
	uint32_t arc = 0;
	const char *start = *p;

	for (; *p < end && **p >= '0' && **p <= '9'; (*p)++) {
		arc = arc * 10 + (uint32_t)(**p - '0');
		if (arc >= 1U << 28 || (*p > start && *start == '0'))
			return ERR_FORMAT;
	}
	*ret_arc = arc;
	return *p > start ? 0 : ERR_FORMAT;
}

static void
arc_put(struct buf *oid, uint32_t arc)
{
	int shift;

	for (shift = 28; shift > 0; shift -= 7)
		if (arc >> shift != 0)
			buf_put_u8(oid, (uint8_t)(0x80 | (arc >> shift & 0x7f)));
	buf_put_u8(oid, (uint8_t)(arc & 0x7f));
}

/* "1.3.6.1": X.690 8.19. */
static int
oid_parse(const struct word *word, struct buf *oid)
{
	const char *p = word->start, *end = word->start + word->len;
	uint32_t first, arc;

	if (arc_read(&p, end, &first) != 0 || first > 2 || p == end || *p++ != '.' || arc_read(&p, end, &arc) != 0 ||
	    (first < 2 && arc > 39))
		return ERR_FORMAT;
	arc_put(oid, first * 40 + arc);
	while (p < end) {
		if (*p++ != '.' || arc_read(&p, end, &arc) != 0)
			return ERR_FORMAT;
		arc_put(oid, arc);
	}
	return buf_status(oid);
}

/* One key purpose as an OBJECT IDENTIFIER at the end of list, in which it must be new. */
static int
purpose_put(const struct word *word, struct buf *list, struct err *e)
{
	const struct {
		const char *name;
		struct bytes oid;
	} known[] = {
		{"serverAuth", OID_KP_SERVER_AUTH},
		{"clientAuth", OID_KP_CLIENT_AUTH},
		{"emailProtection", OID_KP_EMAIL},
		{"ipsecIKE", OID_KP_IPSEC_IKE},
	};
	struct view before = view_of(buf_bytes(list));
	AUTO_BUF oid = {0};
	struct der element;
	size_t i;

	buf_init(&oid, 128);
	for (i = 0; i < ARRAY_SIZE(known) && !word_is(word, known[i].name); i++)
		;
	if (i < ARRAY_SIZE(known))
		buf_put_raw(&oid, known[i].oid.data, known[i].oid.len);
	else if (oid_parse(word, &oid) != 0)
		return word_refuse("template.extended_key_usage", word, e);
	while (before.left > 0)
		if (der_next(&before, &element) != 0 || bytes_equal(element.content, buf_bytes(&oid)))
			return err_set(e, ERR_CONFIG, 0, "template.extended_key_usage: \"%.*s\" stands there twice",
				       (int)(word->len < WORD_SHOWN ? word->len : WORD_SHOWN), word->start);
	der_put_oid(list, buf_bytes(&oid));
	return buf_status(list);
}

static int
purposes_parse(const char *words, struct buf *list, struct err *e)
{
	struct word word;
	int rc = 0;

	while (rc == 0 && word_next(&words, &word))
		rc = purpose_put(&word, list, e);
	return rc;
}

static int
rdns_parse(const char *list, uint32_t *ret_bits, struct err *e)
{
	struct word word;
	uint32_t bits = 0;
	int index;

	while (word_next(&list, &word)) {
		index = app_rdn_by_word(word.start, word.len);
		if (index < 0)
			return word_refuse("template.subject_rdns", &word, e);
		bits |= 1U << index;
	}
	*ret_bits = bits;
	return 0;
}

static int
sans_parse(const char *list, unsigned *ret_bits, struct err *e)
{
	static const char *const names[] = {"DNS", "IP", "email", "URI", "UPN"};
	struct word word;
	unsigned bits = 0;
	size_t i;

	while (word_next(&list, &word)) {
		for (i = 0; i < ARRAY_SIZE(names) && !word_is(&word, names[i]); i++)
			;
		if (i == ARRAY_SIZE(names))
			return word_refuse("template.san_types", &word, e);
		bits |= 1U << i;
	}
	*ret_bits = bits;
	return 0;
}

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
access_urls_put(struct buf *b, const struct config *conf)
{
	struct extension_marks marks = extension_open(b, OID_AUTHORITY_INFO_ACCESS, false);
	size_t list = der_open(b, DER_SEQUENCE);

	access_put(b, OID_AD_OCSP, conf->ca_ocsp_url);
	access_put(b, OID_AD_CA_ISSUERS, conf->ca_ca_url);
	der_close(b, list);
	extension_close(b, marks);
}

static void
extensions_put(struct buf *b, const struct config *conf, unsigned key_usage, struct bytes purposes)
{
	struct extension_marks marks;

	buf_init(b, EXTENSIONS_LIMIT);
	if (key_usage == 0)
		return;
	marks = extension_open(b, OID_BASIC_CONSTRAINTS, true);
	der_put(b, DER_SEQUENCE, (struct bytes){NULL, 0}); /* CA:FALSE is the default, which DER leaves out */
	extension_close(b, marks);
	key_usage_put(b, key_usage);
	if (purposes.len > 0) {
		marks = extension_open(b, OID_EXT_KEY_USAGE, false);
		der_put(b, DER_SEQUENCE, purposes);
		extension_close(b, marks);
	}
	if (conf->ca_crl_url[0] != '\0')
		crl_url_put(b, OID_CRL_DISTRIBUTION_POINTS, conf->ca_crl_url);
	if (conf->ca_delta_url[0] != '\0')
		crl_url_put(b, OID_FRESHEST_CRL, conf->ca_delta_url);
	if (conf->ca_ca_url[0] != '\0' || conf->ca_ocsp_url[0] != '\0')
		access_urls_put(b, conf);
}

/* Which usages a kind of key can have: RFC 3279 2.3.1, RFC 5480 3. */
static int
profile_encode(struct app_profile *profile, const struct config *conf, unsigned key_usage, struct bytes purposes,
	       struct err *e)
{
	unsigned rsa = key_usage & ~(unsigned)APP_KU_KEY_AGREEMENT;
	unsigned ec = key_usage & ~(unsigned)(APP_KU_KEY_ENCIPHERMENT | APP_KU_DATA_ENCIPHERMENT);
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
	extensions_put(&profile->extensions_rsa, conf, rsa, purposes);
	extensions_put(&profile->extensions_ec, conf, ec, purposes);
	if (buf_status(&profile->extensions_rsa) != 0 || buf_status(&profile->extensions_ec) != 0)
		return err_set(e, ERR_NOMEM, 0, "profile %s", profile->name);
	return 0;
}

static int
profile_device(struct app_profile *profile, const struct config *conf, struct err *e)
{
	AUTO_BUF purposes = {0};
	unsigned key_usage = 0;
	int rc;

	snprintf(profile->name, sizeof(profile->name), "%s", conf->template_name);
	profile->life_s = (int64_t)conf->template_validity_days * DAY_S;
	profile->rsa_bits_min = conf->template_rsa_bits_min;
	profile->rsa_bits_max = conf->template_rsa_bits_max;
	profile->ec_keys = conf->template_ec_keys;
	buf_init(&purposes, EXTENSIONS_LIMIT / 2);
	rc = key_usage_parse(conf->template_key_usage, &key_usage, e);
	if (rc == 0)
		rc = purposes_parse(conf->template_extended_key_usage, &purposes, e);
	if (rc == 0)
		rc = rdns_parse(conf->template_subject_rdns, &profile->rdns, e);
	if (rc == 0)
		rc = sans_parse(conf->template_san_types, &profile->sans, e);
	return rc != 0 ? rc : profile_encode(profile, conf, key_usage, buf_bytes(&purposes), e);
}

/* The responder's certificate lives shortly, so nobody needs to ask for its own state (RFC 6960 4.2.2.2.1). */
static void
nocheck_put(struct buf *b)
{
	struct extension_marks marks = extension_open(b, OID_OCSP_NOCHECK, false);

	der_put(b, DER_NULL, (struct bytes){NULL, 0});
	extension_close(b, marks);
}

/*
 * The appliance's own certificates.  One signs and one decrypts, so that every client finds the right one (facts C37).
 */
static int
profile_own(struct app_profile *profile, const struct config *conf, enum app_usage usage, struct err *e)
{
	AUTO_BUF purposes = {0};
	bool is_decrypt = usage == APP_USAGE_RA_DECRYPT;
	int rc;

	profile->life_s = usage == APP_USAGE_TLS    ? (int64_t)conf->front_tls_hours * 3600
			  : usage == APP_USAGE_OCSP ? (int64_t)conf->ca_ocsp_days * DAY_S
						    : (int64_t)conf->ca_ra_days * DAY_S;
	profile->rsa_bits_min = 2048;
	profile->rsa_bits_max = 16384;
	profile->ec_keys = !is_decrypt;
	profile->rdns = UINT32_MAX;
	profile->sans = usage == APP_USAGE_TLS ? APP_SAN_DNS | APP_SAN_IP : 0;
	buf_init(&purposes, 64);
	if (usage == APP_USAGE_TLS)
		der_put_oid(&purposes, OID_KP_SERVER_AUTH);
	else if (usage == APP_USAGE_RA_SIGN)
		der_put_oid(&purposes, OID_KP_REQUEST_AGENT);
	else if (usage == APP_USAGE_OCSP)
		der_put_oid(&purposes, OID_KP_OCSP_SIGNING);
	rc = profile_encode(profile, conf, is_decrypt ? APP_KU_KEY_ENCIPHERMENT : APP_KU_DIGITAL_SIGNATURE,
			    buf_bytes(&purposes), e);
	if (rc == 0 && usage == APP_USAGE_OCSP) {
		nocheck_put(&profile->extensions_rsa);
		nocheck_put(&profile->extensions_ec);
	}
	return rc;
}

int
app_profile_new(const struct config *conf, enum app_usage usage, struct app_profile **ret_profile, struct err *e)
{
	static const char *const names[APP_USAGE_COUNT] = {[APP_USAGE_RA_SIGN] = "ra-sign",
							   [APP_USAGE_RA_DECRYPT] = "ra-decrypt",
							   [APP_USAGE_TLS] = "tls",
							   [APP_USAGE_OCSP] = "ocsp"};
	AUTO_STRUCT(app_profile) profile = NULL;
	int rc;

	if (usage != APP_USAGE_DEVICE && (usage >= APP_USAGE_COUNT || names[usage] == NULL))
		return err_set(e, ERR_CONFIG, 0, "there is no profile for usage %d", (int)usage);
	profile = calloc(1, sizeof(*profile));
	if (profile == NULL)
		return err_set(e, ERR_NOMEM, 0, "profile");
	profile->life_max_s = (int64_t)conf->ca_max_validity_days * DAY_S;
	profile->backdate_s = (int64_t)conf->template_backdate_minutes * 60;
	if (profile->backdate_s > profile->life_max_s / 2)
		profile->backdate_s = profile->life_max_s / 2;
	if (usage == APP_USAGE_DEVICE) {
		rc = profile_device(profile, conf, e);
	} else {
		snprintf(profile->name, sizeof(profile->name), "%s", names[usage]);
		rc = profile_own(profile, conf, usage, e);
	}
	if (rc == 0)
		*ret_profile = TAKE(profile);
	return rc;
}

void
app_profile_free(struct app_profile *profile)
{
	if (profile == NULL)
		return;
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
