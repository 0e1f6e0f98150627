/*
 * Every field of a template, once, of template_impl.h.
 */
#include <ctype.h>
#include <string.h>

#include "appliance/cert.h"
#include "appliance/rdn.h"
#include "appliance/template_impl.h"
#include "board/base/der.h"
#include "board/base/oid.h"

enum { NAME_DER_MAX = 4096, KEY_USAGES = 5 };

#define OID_KP_ANY OID_BYTES("\x55\x1d\x25\x00")
/* szOID_ANY_APPLICATION_POLICY: the same for Microsoft's readers. */
#define OID_MS_KP_ANY OID_BYTES("\x2b\x06\x01\x04\x01\x82\x37\x0a\x0c\x01")

static const char *const key_usage_words[KEY_USAGES] = {"digitalSignature", "nonRepudiation", "keyEncipherment",
							"dataEncipherment", "keyAgreement"};
static const char *const san_words[] = {"DNS", "IP", "email", "URI", "UPN"};
static const char *const algorithm_words[] = {"rsa", "p256", "p384", "p521"};

bool
app_template_is_name(const char *name)
{
	size_t i;

	for (i = 0; isalnum((unsigned char)name[i]) || (name[i] != '\0' && strchr("-_.", name[i]) != NULL); i++)
		;
	return i > 0 && name[i] == '\0';
}

/* ---- texts ------------------------------------------------------------------------------------------------------- */

static int
name_take(void *object, const char *value, struct err *e)
{
	static const char *const own[] = {"ra-sign", "ra-decrypt", "tls", "ocsp", "policy", "ca"};

	if (!app_template_is_name(value))
		return err_set(e, ERR_CONFIG, 0, "must be letters and digits of ASCII, '-', '_' or '.'");
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (strcmp(own[i], value) == 0)
			return err_set(e, ERR_CONFIG, 0, "\"%s\" is the name of the CA's own certificates", value);
	return 0;
}

static int
display_name_take(void *object, const char *value, struct err *e)
{
	struct view v = view_of(bytes_of_text(value));
	uint32_t c;

	while (v.left > 0)
		if (der_text_next(DER_UTF8_STRING, &v, &c) != 0 || !der_text_visible(c))
			return err_set(e, ERR_CONFIG, 0, "must be text in UTF-8 without control characters");
	return 0;
}

static int
subject_fixed_take(void *object, const char *value, struct err *e)
{
	AUTO_BUF name = {0};
	struct err why = {0};

	buf_init(&name, NAME_DER_MAX);
	if (value[0] == '\0' || app_name_parse(value, &name, &why) == 0)
		return 0;
	return err_set(e, ERR_CONFIG, 0, "must be like \"O=Example,C=DE\"; %s", why.text);
}

static int
dns_suffixes_take(void *object, const char *value, struct err *e)
{
	if (strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-. ") == strlen(value) &&
	    strstr(value, "..") == NULL && value[0] != '.' && strstr(value, " .") == NULL &&
	    strstr(value, ". ") == NULL)
		return 0;
	return err_set(e, ERR_CONFIG, 0, "must be DNS names with blanks between them, none with a dot at its ends");
}

static int
url_take(void *object, const char *value, struct err *e)
{
	const char *p;

	if (value[0] == '\0')
		return 0;
	if (strncmp(value, "http://", 7) != 0 && strncmp(value, "https://", 8) != 0 &&
	    strncmp(value, "ldap://", 7) != 0)
		return err_set(e, ERR_CONFIG, 0, "an http, https or ldap URL is wanted");
	for (p = value; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~')
			return err_set(e, ERR_CONFIG, 0, "a URL has neither blanks nor letters beyond ASCII");
	return 0;
}

/* ---- words ------------------------------------------------------------------------------------------------------- */

static int
oid_take(void *object, const char *value, struct err *e)
{
	struct app_template *template = object;
	struct app_oids oids;
	struct err why = {0};

	if (app_words_oids_parse(value, &oids, &why) != 0 || (oids.len > 0 && oids.len != (size_t)oids.der[1] + 2))
		return err_set(e, ERR_CONFIG, 0, "must be one object identifier, such as 1.3.6.1.4.1.311.21.8.1.2");
	template->oid = oids;
	return 0;
}

static void
oid_give(const void *object, struct buf *out)
{
	const struct app_template *template = object;

	app_words_oids_print(&template->oid, out);
}

/* The first octet of the BIT STRING counts from its highest bit. */
static unsigned
turn(unsigned bits)
{
	unsigned turned = 0;

	for (int i = 0; i < 8; i++)
		turned |= (bits >> i & 1U) << (7 - i);
	return turned;
}

static int
key_usage_take(void *object, const char *value, struct err *e)
{
	struct app_template *template = object;
	unsigned bits = 0;
	int rc = app_words_bits_parse(value, key_usage_words, KEY_USAGES, &bits, e);

	if (rc == 0 && bits == 0)
		rc = err_set(e, ERR_CONFIG, 0, "at least one is needed");
	if (rc == 0)
		template->key_usage = turn(bits);
	return rc;
}

static void
key_usage_give(const void *object, struct buf *out)
{
	const struct app_template *template = object;

	app_words_bits_print(turn(template->key_usage), key_usage_words, KEY_USAGES, out);
}

int
app_words_purposes_parse(const char *value, struct app_oids *ret_oids, struct err *e)
{
	struct app_oids fresh;
	int rc = app_words_oids_parse(value, &fresh, e);

	if (rc != 0)
		return rc;
	if (app_words_oids_have(&fresh, OID_KP_OCSP_SIGNING))
		return err_set(e, ERR_CONFIG, 0, "OCSP signing is for the CA's own responder alone");
	if (app_words_oids_have(&fresh, OID_KP_ANY) || app_words_oids_have(&fresh, OID_MS_KP_ANY))
		return err_set(e, ERR_CONFIG, 0,
			       "any purpose would be good for signing OCSP answers and for request agents too; name "
			       "them");
	*ret_oids = fresh;
	return 0;
}

static int
extended_key_usage_take(void *object, const char *value, struct err *e)
{
	struct app_template *template = object;

	return app_words_purposes_parse(value, &template->extended_key_usage, e);
}

static void
extended_key_usage_give(const void *object, struct buf *out)
{
	const struct app_template *template = object;

	app_words_oids_print(&template->extended_key_usage, out);
}

static int
policies_take(void *object, const char *value, struct err *e)
{
	struct app_template *template = object;

	return app_words_purposes_parse(value, &template->application_policies, e);
}

static void
policies_give(const void *object, struct buf *out)
{
	const struct app_template *template = object;

	app_words_oids_print(&template->application_policies, out);
}

static int
algorithms_take(void *object, const char *value, struct err *e)
{
	struct app_template *template = object;
	unsigned bits = 0;
	int rc = app_words_bits_parse(value, algorithm_words, ARRAY_SIZE(algorithm_words), &bits, e);

	if (rc == 0 && bits == 0)
		rc = err_set(e, ERR_CONFIG, 0, "at least one of rsa, p256, p384, p521 is needed");
	if (rc == 0)
		template->algorithms = bits;
	return rc;
}

static void
algorithms_give(const void *object, struct buf *out)
{
	const struct app_template *template = object;

	app_words_bits_print(template->algorithms, algorithm_words, ARRAY_SIZE(algorithm_words), out);
}

static int
choice_take(const char *value, const char *off, const char *on, bool *ret_on, struct err *e)
{
	if (strcmp(value, off) != 0 && strcmp(value, on) != 0)
		return err_set(e, ERR_CONFIG, 0, "must be \"%s\" or \"%s\"", off, on);
	*ret_on = strcmp(value, on) == 0;
	return 0;
}

static int
subject_from_take(void *object, const char *value, struct err *e)
{
	struct app_template *template = object;

	return choice_take(value, "request", "template", &template->from_template, e);
}

static void
subject_from_give(const void *object, struct buf *out)
{
	const struct app_template *template = object;

	buf_printf(out, "%s", template->from_template ? "template" : "request");
}

static int
sid_take(void *object, const char *value, struct err *e)
{
	struct app_template *template = object;

	return choice_take(value, "none", "challenge", &template->sid, e);
}

static void
sid_give(const void *object, struct buf *out)
{
	const struct app_template *template = object;

	buf_printf(out, "%s", template->sid ? "challenge" : "none");
}

static int
rdns_take(void *object, const char *value, struct err *e)
{
	struct app_template *template = object;
	uint32_t bits = 0;

	while (*(value += strspn(value, " \t")) != '\0') {
		size_t len = strcspn(value, " \t");
		int index = app_rdn_by_word(value, len);

		if (index < 0)
			return err_set(e, ERR_CONFIG, 0, "\"%.*s\" is not understood", (int)(len < 40 ? len : 40),
				       value);
		bits |= 1U << index;
		value += len;
	}
	template->rdns = bits;
	return 0;
}

static void
rdns_give(const void *object, struct buf *out)
{
	const struct app_template *template = object;
	const char *between = "";
	size_t count;
	const struct app_rdn_type *types = app_rdn_types(&count);

	for (size_t i = 0; i < count; i++) {
		if ((template->rdns & 1U << i) == 0)
			continue;
		buf_printf(out, "%s%s", between, types[i].word);
		between = " ";
	}
}

static int
sans_take(void *object, const char *value, struct err *e)
{
	struct app_template *template = object;

	return app_words_bits_parse(value, san_words, ARRAY_SIZE(san_words), &template->sans, e);
}

static void
sans_give(const void *object, struct buf *out)
{
	const struct app_template *template = object;

	app_words_bits_print(template->sans, san_words, ARRAY_SIZE(san_words), out);
}

static int
sans_required_take(void *object, const char *value, struct err *e)
{
	struct app_template *template = object;

	return app_words_bits_parse(value, san_words, ARRAY_SIZE(san_words), &template->sans_required, e);
}

static void
sans_required_give(const void *object, struct buf *out)
{
	const struct app_template *template = object;

	app_words_bits_print(template->sans_required, san_words, ARRAY_SIZE(san_words), out);
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

#define AT(member) .offset = offsetof(struct app_template, member)
#define NUMBER(name_, low_, high_)                                                                                     \
	{                                                                                                              \
		.name = #name_, .kind = APP_FIELD_NUMBER, AT(name_), .low = (low_), .high = (high_)                    \
	}
#define FLAG(name_, member_)                                                                                           \
	{                                                                                                              \
		.name = #name_, .kind = APP_FIELD_FLAG, AT(member_)                                                    \
	}
#define TEXT(name_, take_)                                                                                             \
	{                                                                                                              \
		.name = #name_, .kind = APP_FIELD_TEXT, AT(name_),                                                     \
		.size = sizeof(((struct app_template *)NULL)->name_), .take = (take_)                                  \
	}
#define WORDS(name_, stem_)                                                                                            \
	{                                                                                                              \
		.name = #name_, .kind = APP_FIELD_WORDS, .take = stem_##_take, .give = stem_##_give                    \
	}

static const struct app_field fields[] = {
	TEXT(name, name_take),
	TEXT(display_name, display_name_take),
	WORDS(oid, oid),
	NUMBER(schema_version, 1, 4),
	NUMBER(major_version, 0, 65535),
	NUMBER(minor_version, 0, 65535),
	FLAG(name_extension, name_extension),
	FLAG(information_extension, information_extension),
	NUMBER(validity_days, 0, 7300),
	NUMBER(validity_hours, 0, 8760),
	NUMBER(renewal_days, 0, 3650),
	WORDS(key_usage, key_usage),
	WORDS(extended_key_usage, extended_key_usage),
	WORDS(application_policies, policies),
	FLAG(application_policies_mirror, mirror_policies),
	WORDS(algorithms, algorithms),
	NUMBER(rsa_bits_min, 2048, 16384),
	NUMBER(rsa_bits_max, 2048, 16384),
	WORDS(subject_from, subject_from),
	WORDS(subject_rdns, rdns),
	TEXT(subject_fixed, subject_fixed_take),
	WORDS(san_types, sans),
	WORDS(san_required, sans_required),
	TEXT(dns_suffixes, dns_suffixes_take),
	TEXT(crl_url, url_take),
	TEXT(ca_url, url_take),
	TEXT(ocsp_url, url_take),
	FLAG(approval, approval),
	NUMBER(approvals, 1, 8),
	FLAG(publish, publish),
	NUMBER(ra_signatures, 0, 100),
	WORDS(sid, sid),
};

const struct app_field *
app_template_fields(size_t *ret_count)
{
	*ret_count = ARRAY_SIZE(fields);
	return fields;
}

const struct app_field *
app_template_field(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}
