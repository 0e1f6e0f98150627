/*
 * Every field of a certificate profile, once, and its text.
 */
#include "appliance/certprofile.h"

#include <stdio.h>
#include <string.h>

#include "appliance/certprofile_impl.h"
#include "appliance/template_impl.h"
#include "board/base/der.h"

enum { SHA1_DIGITS = 40, SHA256_DIGITS = 64, HASHES_ALL = APP_HASH_SHA256 | APP_HASH_SHA384 | APP_HASH_SHA512 };

enum { RSA_SIZES = APP_KEY_RSA_2048 | APP_KEY_RSA_3072 | APP_KEY_RSA_4096 };

static const char *const storage_words[] = {"InstallToTPM_IfPresent", "InstallToTPM_FailIfNotPresent",
					    "InstallToNGC_FailIfNotPresent", "InstallToSoftwareKeyStorageProvider",
					    "None"};
enum { STORAGE_NGC = 2 };
static const char *const type_words[] = {"User", "Machine"};
static const char *const device_words[] = {"primary", "any"};
static const char *const san_words[] = {"Email", "Dns", "Upn", "Spn", "AAD"};
static const char *const usage_words[] = {"DigitalSignature", "KeyEncipherment"};
static const unsigned usage_bits[] = {APP_KU_DIGITAL_SIGNATURE, APP_KU_KEY_ENCIPHERMENT};
static const char *const size_words[] = {"2048", "3072", "4096", "P-256", "P-384", "P-521"};
static const char *const hash_words[] = {"SHA-256", "SHA-384", "SHA-512"};

/* ---- texts ------------------------------------------------------------------------------------------------------- */

static int
text_take(void *object, const char *value, struct err *e)
{
	struct view v = view_of(bytes_of_text(value));
	uint32_t c;

	while (v.left > 0)
		if (der_text_next(DER_UTF8_STRING, &v, &c) != 0 || !der_text_visible(c))
			return err_set(e, ERR_CONFIG, 0, "must be text in UTF-8 without control characters");
	return 0;
}

static int
name_take(void *object, const char *value, struct err *e)
{
	if (value[0] == '\0' || value[0] == ' ' || value[0] == '-' || value[strlen(value) - 1] == ' ')
		return err_set(e, ERR_CONFIG, 0,
			       "must neither be empty nor begin with '-' or a blank, nor end with one");
	return text_take(object, value, e);
}

static int
template_take(void *object, const char *value, struct err *e)
{
	return app_template_is_name(value) ? 0 : err_set(e, ERR_CONFIG, 0, "must be the name of a template");
}

static int
subject_take(void *object, const char *value, struct err *e)
{
	return app_certprofile_check_subject(value, e);
}

static int
san_custom_take(void *object, const char *value, struct err *e)
{
	return app_certprofile_check_san(value, e);
}

static int
root_take(void *object, const char *value, struct err *e)
{
	size_t digits = 0;

	while (bytes_hex_digit(value[digits]) >= 0)
		digits++;
	if (value[digits] != '\0' || (digits != 0 && digits != SHA1_DIGITS && digits != SHA256_DIGITS))
		return err_set(e, ERR_CONFIG, 0,
			       "must be the SHA-1 or SHA-256 fingerprint of the root: 40 or 64 hexadecimal digits");
	return 0;
}

static int
urls_take(void *object, const char *value, struct err *e)
{
	while (*(value += strspn(value, " ")) != '\0') {
		size_t len = strcspn(value, " ");

		if (strncmp(value, "http://", 7) != 0 && strncmp(value, "https://", 8) != 0)
			return err_set(e, ERR_CONFIG, 0, "must be http or https URLs with blanks between them");
		for (; len > 0; len--, value++)
			if (*value <= ' ' || *value > '~')
				return err_set(e, ERR_CONFIG, 0, "a URL has no letters beyond ASCII");
	}
	return 0;
}

/* ---- words ------------------------------------------------------------------------------------------------------- */

/* One of the words, as its index. */
static int
choose(const char *value, const char *const *words, size_t count, int *ret_index, struct err *e)
{
	AUTO_BUF all = {0};

	for (size_t i = 0; i < count; i++) {
		if (strcmp(words[i], value) != 0)
			continue;
		*ret_index = (int)i;
		return 0;
	}
	buf_init(&all, 256);
	for (size_t i = 0; i < count; i++)
		buf_printf(&all, "%s%s", i > 0 ? ", " : "", words[i]);
	return err_set(e, ERR_CONFIG, 0, "must be one of %.*s", (int)all.len, (const char *)all.data);
}

static int
storage_take(void *object, const char *value, struct err *e)
{
	struct app_certprofile *profile = object;

	return choose(value, storage_words, ARRAY_SIZE(storage_words), &profile->key_storage, e);
}

static void
storage_give(const void *object, struct buf *out)
{
	buf_printf(out, "%s", storage_words[((const struct app_certprofile *)object)->key_storage]);
}

static int
type_take(void *object, const char *value, struct err *e)
{
	struct app_certprofile *profile = object;

	return choose(value, type_words, ARRAY_SIZE(type_words), &profile->type, e);
}

static void
type_give(const void *object, struct buf *out)
{
	buf_printf(out, "%s", type_words[((const struct app_certprofile *)object)->type]);
}

static int
devices_take(void *object, const char *value, struct err *e)
{
	struct app_certprofile *profile = object;
	int index = 0;
	int rc = choose(value, device_words, ARRAY_SIZE(device_words), &index, e);

	if (rc == 0)
		profile->any_device = index == 1;
	return rc;
}

static void
devices_give(const void *object, struct buf *out)
{
	buf_printf(out, "%s", device_words[((const struct app_certprofile *)object)->any_device]);
}

static int
san_take(void *object, const char *value, struct err *e)
{
	struct app_certprofile *profile = object;

	return app_words_bits_parse(value, san_words, ARRAY_SIZE(san_words), &profile->san_formats, e);
}

static void
san_give(const void *object, struct buf *out)
{
	const struct app_certprofile *profile = object;

	app_words_bits_print(profile->san_formats, san_words, ARRAY_SIZE(san_words), out);
}

static int
usage_take(void *object, const char *value, struct err *e)
{
	struct app_certprofile *profile = object;
	unsigned bits = 0;
	struct err why = {0};

	if (app_words_bits_parse(value, usage_words, ARRAY_SIZE(usage_words), &bits, &why) != 0 || bits == 0)
		return err_set(e, ERR_CONFIG, 0, "must be DigitalSignature, KeyEncipherment, or both");
	profile->key_usage = 0;
	for (size_t i = 0; i < ARRAY_SIZE(usage_words); i++)
		if ((bits & 1U << i) != 0)
			profile->key_usage |= usage_bits[i];
	return 0;
}

static void
usage_give(const void *object, struct buf *out)
{
	const struct app_certprofile *profile = object;
	unsigned bits = 0;

	for (size_t i = 0; i < ARRAY_SIZE(usage_words); i++)
		bits |= (profile->key_usage & usage_bits[i]) != 0 ? 1U << i : 0;
	app_words_bits_print(bits, usage_words, ARRAY_SIZE(usage_words), out);
}

static int
sizes_take(void *object, const char *value, struct err *e)
{
	struct app_certprofile *profile = object;
	struct err why = {0};
	unsigned bits = 0;

	if (app_words_bits_parse(value, size_words, ARRAY_SIZE(size_words), &bits, &why) != 0)
		return err_set(e, ERR_CONFIG, 0, "%s; 2048, 3072, 4096, P-256, P-384, P-521 are, 1024 is too short",
			       why.text);
	if (bits == 0)
		return err_set(e, ERR_CONFIG, 0, "at least one is needed");
	profile->key_sizes = bits;
	return 0;
}

void
app_certprofile_key_words(unsigned key_sizes, struct buf *out)
{
	app_words_bits_print(key_sizes, size_words, ARRAY_SIZE(size_words), out);
}

static void
sizes_give(const void *object, struct buf *out)
{
	app_certprofile_key_words(((const struct app_certprofile *)object)->key_sizes, out);
}

static int
purposes_take(void *object, const char *value, struct err *e)
{
	struct app_certprofile *profile = object;
	struct app_oids oids;
	int rc = app_words_purposes_parse(value, &oids, e);

	if (rc == 0 && oids.len == 0)
		rc = err_set(e, ERR_CONFIG, 0, "at least one is needed");
	if (rc == 0)
		profile->purposes = oids;
	return rc;
}

static void
purposes_give(const void *object, struct buf *out)
{
	app_words_oids_print(&((const struct app_certprofile *)object)->purposes, out);
}

static int
hashes_take(void *object, const char *value, struct err *e)
{
	struct app_certprofile *profile = object;
	unsigned bits = 0;
	struct err why = {0};

	if (strcmp(value, "SHA-2") == 0) {
		bits = HASHES_ALL;
	} else if (strstr(value, "SHA-1") != NULL) {
		return err_set(e, ERR_CONFIG, 0, "nothing is issued for a request that is signed with SHA-1");
	} else if (app_words_bits_parse(value, hash_words, ARRAY_SIZE(hash_words), &bits, &why) != 0 || bits == 0) {
		return err_set(e, ERR_CONFIG, 0, "must be SHA-2, or some of SHA-256, SHA-384, SHA-512");
	}
	profile->hashes = bits;
	return 0;
}

void
app_certprofile_hash_words(unsigned hashes, struct buf *out)
{
	app_words_bits_print(hashes, hash_words, ARRAY_SIZE(hash_words), out);
}

static void
hashes_give(const void *object, struct buf *out)
{
	unsigned hashes = ((const struct app_certprofile *)object)->hashes;

	if (hashes == HASHES_ALL)
		buf_printf(out, "SHA-2");
	else
		app_certprofile_hash_words(hashes, out);
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

#define AT(member) .offset = offsetof(struct app_certprofile, member)
#define NUMBER(name_, low_, high_)                                                                                     \
	{                                                                                                              \
		.name = #name_, .kind = APP_FIELD_NUMBER, AT(name_), .low = (low_), .high = (high_)                    \
	}
#define TEXT(name_, member_, take_)                                                                                    \
	{                                                                                                              \
		.name = #name_, .kind = APP_FIELD_TEXT, AT(member_),                                                   \
		.size = sizeof(((struct app_certprofile *)NULL)->member_), .take = (take_)                             \
	}
#define WORDS(name_, stem_)                                                                                            \
	{                                                                                                              \
		.name = #name_, .kind = APP_FIELD_WORDS, .take = stem_##_take, .give = stem_##_give                    \
	}

static const struct app_field fields[] = {
	TEXT(name, name, name_take),
	TEXT(description, description, text_take),
	NUMBER(retries, 0, 30),
	NUMBER(retry_delay_minutes, 1, 1440),
	NUMBER(renewal_threshold, 1, 99),
	WORDS(key_storage, storage),
	{.name = "multifactor", .kind = APP_FIELD_FLAG, AT(multifactor)},
	WORDS(devices, devices),
	TEXT(template, template_name, template_take),
	WORDS(type, type),
	TEXT(subject_format, subject_format, subject_take),
	WORDS(san_formats, san),
	TEXT(san_custom, san_custom, san_custom_take),
	NUMBER(validity_days, 1, 7300),
	WORDS(key_usage, usage),
	WORDS(key_sizes, sizes),
	WORDS(extended_key_usage, purposes),
	WORDS(hashes, hashes),
	TEXT(root, root, root_take),
	TEXT(scep_urls, scep_urls, urls_take),
};

/* Microsoft's defaults where there are some. */
static void
start(void *object)
{
	struct app_certprofile *profile = object;

	memset(profile, 0, sizeof(*profile));
	profile->retries = 3;
	profile->retry_delay_minutes = 1;
	profile->renewal_threshold = 20;
	profile->validity_days = 365;
	profile->key_usage = APP_KU_DIGITAL_SIGNATURE | APP_KU_KEY_ENCIPHERMENT;
	profile->key_sizes = APP_KEY_RSA_2048;
	profile->hashes = HASHES_ALL;
	snprintf(profile->subject_format, sizeof(profile->subject_format), "CommonName");
}

static const char *
contradiction(const void *object, char *why, size_t size)
{
	const struct app_certprofile *profile = object;
	const char *field = NULL;

	if (profile->name[0] == '\0')
		field = "name";
	else if (profile->template_name[0] == '\0')
		field = "template";
	else if (profile->purposes.len == 0)
		field = "extended_key_usage";
	if (field != NULL) {
		snprintf(why, size, "is missing");
	} else if (profile->multifactor && profile->key_storage != STORAGE_NGC) {
		snprintf(why, size, "needs key_storage = \"%s\"", storage_words[STORAGE_NGC]);
		field = "multifactor";
	} else if ((profile->key_sizes & RSA_SIZES) == 0 && profile->key_usage != APP_KU_DIGITAL_SIGNATURE) {
		snprintf(why, size, "an EC key cannot encipher, and key_sizes has no RSA key");
		field = "key_usage";
	}
	return field;
}

static const struct app_fields kind = {
	.one = "certificate_profile",
	.many = "certificate_profiles",
	.manual = "registration-point.md",
	.size = sizeof(struct app_certprofile),
	.max = 1,
	.fields = fields,
	.count = ARRAY_SIZE(fields),
	.start = start,
	.contradiction = contradiction,
};

int
app_certprofile_parse(const char *text, const char *file, struct app_certprofile *ret_profile, struct err *e)
{
	return app_fields_parse_one(&kind, text, file, ret_profile, e);
}

void
app_certprofile_print(const struct app_certprofile *profile, struct buf *out)
{
	app_fields_print(&kind, profile, out);
}

/* ---- profile and template ---------------------------------------------------------------------------------------- */

static bool
has_all(const struct app_oids *some, const struct app_oids *others)
{
	struct view v = view_of((struct bytes){others->der, others->len});
	struct der oid;

	while (v.left > 0 && der_next(&v, &oid) == 0)
		if (!app_words_oids_have(some, oid.content))
			return false;
	return true;
}

/* The keys that a template lets through. */
static unsigned
keys_of(const struct app_template *template)
{
	static const int rsa_bits[] = {2048, 3072, 4096};
	unsigned keys = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rsa_bits); i++)
		if ((template->algorithms & APP_ALG_RSA) != 0 && template->rsa_bits_min <= rsa_bits[i] &&
		    rsa_bits[i] <= template->rsa_bits_max)
			keys |= (unsigned)APP_KEY_RSA_2048 << i;
	keys |= (template->algorithms & APP_ALG_P256) != 0 ? APP_KEY_P256 : 0;
	keys |= (template->algorithms & APP_ALG_P384) != 0 ? APP_KEY_P384 : 0;
	keys |= (template->algorithms & APP_ALG_P521) != 0 ? APP_KEY_P521 : 0;
	return keys;
}

int
app_certprofile_fits(const struct app_certprofile *profile, const struct app_template *template, struct err *e)
{
	int64_t hours = (int64_t) template->validity_days * 24 + template->validity_hours;

	if (!has_all(&template->extended_key_usage, &profile->purposes))
		return err_set(e, ERR_CONFIG, 0, "extended_key_usage: template %s has not all of them", template->name);
	if (!has_all(&profile->purposes, &template->extended_key_usage))
		return err_set(e, ERR_CONFIG, 0, "extended_key_usage: template %s gives others too", template->name);
	if (profile->key_usage != template->key_usage)
		return err_set(e, ERR_CONFIG, 0, "key_usage: template %s has another", template->name);
	if ((profile->key_sizes & keys_of(template)) == 0)
		return err_set(e, ERR_CONFIG, 0, "key_sizes: template %s allows none of them", template->name);
	if ((int64_t)profile->validity_days * 24 > hours)
		return err_set(e, ERR_CONFIG, 0, "validity_days: template %s gives %lld hours only", template->name,
			       (long long)hours);
	return 0;
}
