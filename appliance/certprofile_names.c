/*
 * Names by the formats of a certificate profile, of certprofile.h.
 */
#include <stdio.h>
#include <string.h>

#include "appliance/binding.h"
#include "appliance/cert.h"
#include "appliance/certprofile_impl.h"
#include "appliance/profile_impl.h"
#include "board/base/der.h"

enum { NAME_SIZE = 4096, TEXT_SIZE = 8192, NAME_SHOWN = 40 };

#define OPEN  "{{"
#define CLOSE "}}"

/* The variables, and what stands for them while a format is checked. */
static const struct variable {
	const char *name;
	const char *sample;
} known[] = {
	{"DeviceName", "device1"},
	{"DeviceId", "7f3d9a56"},
	{"UserName", "user1"},
	{"UserId", "8a4c0b57"},
	{"Email", "user@example.com"},
	{"UserPrincipalName", "user@example.com"},
	{"ServicePrincipalName", "host/device1@example.com"},
	{"DNS", "device1.example.com"},
	{"SerialNumber", "C02ABC123"},
	{"IMEI", "490154203237518"},
	{"MEID", "A0000000000001"},
	{"WiFiMAC", "00005E005301"},
	{"EthernetMAC", "00005E005302"},
	{"DeviceType", "Phone"},
	{"OSName", "OS"},
	{"AAD_Device_ID", "7f3d9a56-0000-0000-0000-000000000001"},
	{"OnPremisesSecurityIdentifier", "S-1-5-21-1-2-3-1001"},
	{"OnPrem_Distinguished_Name", "CN=device1,O=Example"},
	{"Country", "DE"},
};

/* Microsoft's words for subjects, and what they stand for; facts, microsoft.md 3.10. */
static const struct {
	const char *word;
	const char *format;
} subjects[] = {
	{"CommonName", "CN={{UserName}}"},
	{"DnsAsCN", "CN={{DNS}}"},
	{"Email", "emailAddress={{Email}}"},
	{"CommonNameAsEmail", "CN={{Email}}"},
	{"CommonNameAsDeviceName", "CN={{DeviceName}}"},
	{"CommonNameAsOSName", "CN={{OSName}}"},
	{"CommonNameAsIMEI", "CN={{IMEI}}"},
	{"CommonNameAsMEID", "CN={{MEID}}"},
	{"CommonNameAsSerialNumber", "CN={{SerialNumber}}"},
	{"CommonNameAsDeviceType", "CN={{DeviceType}}"},
	{"CommonNameAsWiFiMAC", "CN={{WiFiMAC}}"},
	{"CommonNameAsEthernetMAC", "CN={{EthernetMAC}}"},
};

/* The one format whose value is a whole name. */
#define DIRECTORY_PATH     "DirectoryPath"
#define DISTINGUISHED_NAME "OnPrem_Distinguished_Name"

static const char *const san_formats[] = {
	"email:{{Email}}",
	"DNS:{{DNS}}",
	"UPN:{{UserPrincipalName}}",
	"UPN:{{ServicePrincipalName}}",
	"URI:IntuneDeviceId://{{AAD_Device_ID}}",
};

/* Where values come from: the ask, or the samples. */
struct values {
	const struct bytes *given;
	size_t count;
	bool samples;
};

/* ---- variables --------------------------------------------------------------------------------------------------- */

static size_t
name_len(struct bytes variable)
{
	const uint8_t *equals = variable.len > 0 ? memchr(variable.data, '=', variable.len) : NULL;

	return equals == NULL ? 0 : (size_t)(equals - variable.data);
}

static bool
is_called(struct bytes variable, const char *name, size_t len)
{
	return name_len(variable) == len && len > 0 && memcmp(variable.data, name, len) == 0;
}

static int
check_variable(struct bytes variable, struct err *e)
{
	size_t len = name_len(variable);
	size_t shown = len < NAME_SHOWN ? len : NAME_SHOWN;
	const char *name = (const char *)variable.data;
	struct view v;
	uint32_t c;

	for (size_t i = 0; i < len; i++)
		if (name[i] != '_' && !(name[i] >= '0' && name[i] <= '9') && !(name[i] >= 'A' && name[i] <= 'Z') &&
		    !(name[i] >= 'a' && name[i] <= 'z'))
			return err_set(e, ERR_FORMAT, 0, "variables: a name is letters, digits and '_'");
	if (len == 0)
		return err_set(e, ERR_FORMAT, 0, "variables: each must be name=value");
	v = view_of((struct bytes){variable.data + len + 1, variable.len - len - 1});
	if (v.left == 0)
		return err_set(e, ERR_FORMAT, 0, "variable %.*s: has no value", (int)shown, name);
	if (v.left >= APP_CERTPROFILE_VALUE)
		return err_set(e, ERR_FORMAT, 0, "variable %.*s: the value is longer than %d octets", (int)shown, name,
			       APP_CERTPROFILE_VALUE - 1);
	while (v.left > 0)
		if (der_text_next(DER_UTF8_STRING, &v, &c) != 0 || !der_text_visible(c))
			return err_set(e, ERR_FORMAT, 0, "variable %.*s: must be UTF-8 without control characters",
				       (int)shown, name);
	return 0;
}

int
app_certprofile_variables(const struct bytes *variables, size_t count, struct err *e)
{
	if (count > APP_VARIABLES_MAX)
		return err_set(e, ERR_FORMAT, 0, "variables: more than %d", APP_VARIABLES_MAX);
	for (size_t i = 0; i < count; i++) {
		size_t len = name_len(variables[i]);

		if (check_variable(variables[i], e) != 0)
			return ERR_FORMAT;
		for (size_t j = 0; j < i; j++)
			if (is_called(variables[j], (const char *)variables[i].data, len))
				return err_set(e, ERR_FORMAT, 0, "variable %.*s: is given twice",
					       (int)(len < NAME_SHOWN ? len : NAME_SHOWN),
					       (const char *)variables[i].data);
	}
	return 0;
}

/* The value of a variable; empty when it has none. */
static struct bytes
value_of(const struct values *values, const char *name, size_t len)
{
	for (size_t i = 0; values->samples && i < ARRAY_SIZE(known); i++)
		if (strlen(known[i].name) == len && memcmp(known[i].name, name, len) == 0)
			return bytes_of_text(known[i].sample);
	for (size_t i = 0; !values->samples && i < values->count; i++)
		if (is_called(values->given[i], name, len))
			return (struct bytes){values->given[i].data + len + 1, values->given[i].len - len - 1};
	return (struct bytes){NULL, 0};
}

static void
put_plain(struct buf *out, struct bytes value)
{
	buf_put_raw(out, value.data, value.len);
}

/* Every octet escaped (RFC 4514 2.4): whatever stands there, none of it is syntax. */
static void
put_escaped(struct buf *out, struct bytes value)
{
	for (size_t i = 0; i < value.len; i++)
		buf_printf(out, "\\%02x", value.data[i]);
}

/* Appends format with values in the place of variables, and a NUL. */
static int
fill_in(const char *format, size_t len, const struct values *values, void (*put)(struct buf *out, struct bytes value),
	struct buf *out, struct err *e)
{
	const char *end = format + len;

	while (format < end) {
		const char *open = memmem(format, (size_t)(end - format), OPEN, 2);
		const char *close = open == NULL ? NULL : memmem(open, (size_t)(end - open), CLOSE, 2);
		const char *name;
		struct bytes value;

		if (open == NULL || close == NULL) {
			if (open != NULL || memmem(format, (size_t)(end - format), CLOSE, 2) != NULL)
				return err_set(e, ERR_FORMAT, 0, "\"{{\" and \"}}\" do not match");
			put_plain(out, (struct bytes){(const uint8_t *)format, (size_t)(end - format)});
			break;
		}
		name = open + 2;
		value = value_of(values, name, (size_t)(close - name));
		if (value.len == 0)
			return err_set(e, ERR_FORMAT, 0, "variable %.*s: %s",
				       (int)(close - name < NAME_SHOWN ? close - name : NAME_SHOWN), name,
				       values->samples ? "there is no such variable" : "the ask has no value for it");
		put_plain(out, (struct bytes){(const uint8_t *)format, (size_t)(open - format)});
		put(out, value);
		format = close + 2;
	}
	buf_put_u8(out, '\0');
	return buf_status(out) == 0 ? 0 : err_set(e, ERR_FORMAT, 0, "with its values it is too long");
}

/* ---- subject ----------------------------------------------------------------------------------------------------- */

/* A format with attributes, for a word of Microsoft's too; NULL for other words. */
static const char *
subject_format(const char *format)
{
	if (strchr(format, '=') != NULL)
		return format;
	for (size_t i = 0; i < ARRAY_SIZE(subjects); i++)
		if (strcmp(subjects[i].word, format) == 0)
			return subjects[i].format;
	return NULL;
}

static int
put_subject(const char *format, const struct values *values, struct buf *out, struct err *e)
{
	AUTO_BUF text = {0};
	struct err why = {0};
	int rc;

	buf_init(&text, TEXT_SIZE);
	if (strcmp(format, DIRECTORY_PATH) == 0) {
		/* By its choice of this format the profile says that whoever asks knows whole names. */
		rc = fill_in(OPEN DISTINGUISHED_NAME CLOSE, strlen(OPEN DISTINGUISHED_NAME CLOSE), values, put_plain,
			     &text, &why);
	} else {
		format = subject_format(format);
		if (format == NULL)
			return err_set(e, ERR_FORMAT, 0, "subject: neither a word for a format nor ATTRIBUTE=...");
		rc = fill_in(format, strlen(format), values, put_escaped, &text, &why);
	}
	if (rc == 0)
		rc = app_name_parse((const char *)text.data, out, &why);
	return rc == 0 ? 0 : err_set(e, ERR_FORMAT, 0, "subject: %s", why.text);
}

int
app_certprofile_subject(const struct app_certprofile *profile, const struct bytes *variables, size_t count,
			struct buf *out, struct err *e)
{
	struct values values = {.given = variables, .count = count};

	return put_subject(profile->subject_format, &values, out, e);
}

int
app_certprofile_check_subject(const char *format, struct err *e)
{
	struct values values = {.samples = true};
	AUTO_BUF name = {0};

	buf_init(&name, NAME_SIZE);
	return put_subject(format, &values, &name, e) == 0 ? 0 : ERR_CONFIG;
}

/* ---- subjectAltName ---------------------------------------------------------------------------------------------- */

/* One name.  The kind stands in the format, before any value. */
static int
put_name(const char *format, size_t len, const struct values *values, struct buf *out, struct err *e)
{
	const char *colon = memchr(format, ':', len);
	const char *brace = memchr(format, '{', len);
	AUTO_BUF text = {0};
	struct err why = {0};

	buf_init(&text, TEXT_SIZE);
	if (colon == NULL || (brace != NULL && brace < colon))
		return err_set(e, ERR_FORMAT, 0,
			       "subjectAltName: each must begin with DNS:, IP:, email:, URI: or UPN:");
	if (fill_in(format, len, values, put_plain, &text, &why) != 0)
		return err_set(e, ERR_FORMAT, 0, "subjectAltName: %s", why.text);
	if (!app_binding_put_name(out, (const char *)text.data))
		return err_set(e, ERR_FORMAT, 0, "subjectAltName: \"%.*s\" does not become a name",
			       (int)(len < NAME_SHOWN ? len : NAME_SHOWN), format);
	return 0;
}

/* Names of a custom format, with semicolons between them. */
static int
put_names(const char *format, const struct values *values, struct buf *out, struct err *e)
{
	int rc = 0;

	while (rc == 0 && *(format += strspn(format, "; ")) != '\0') {
		size_t len = strcspn(format, ";");

		rc = put_name(format, len, values, out, e);
		format += len;
	}
	return rc;
}

static int
check_names(const struct buf *names, struct err *e)
{
	static const struct app_san_rules any = {
		.kinds = APP_SAN_DNS | APP_SAN_IP | APP_SAN_EMAIL | APP_SAN_URI | APP_SAN_UPN,
		.dns_suffixes = "",
		.may_have_sid = true,
	};
	struct err why = {0};

	if (buf_status(names) != 0)
		return err_set(e, ERR_FORMAT, 0, "subjectAltName: too long");
	/* An empty list has two octets. */
	if (names->len > 2 && app_san_check(buf_bytes(names), &any, &why) != 0)
		return err_set(e, ERR_FORMAT, 0, "%s", why.text);
	return 0;
}

int
app_certprofile_san(const struct app_certprofile *profile, const struct bytes *variables, size_t count, struct buf *out,
		    struct err *e)
{
	struct values values = {.given = variables, .count = count};
	AUTO_BUF names = {0};
	size_t list;
	int rc = 0;

	buf_init(&names, NAME_SIZE);
	list = der_open(&names, DER_SEQUENCE);
	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(san_formats); i++)
		if ((profile->san_formats & 1U << i) != 0)
			rc = put_names(san_formats[i], &values, &names, e);
	if (rc == 0)
		rc = put_names(profile->san_custom, &values, &names, e);
	der_close(&names, list);
	if (rc == 0)
		rc = check_names(&names, e);
	if (rc != 0)
		return ERR_FORMAT;
	buf_put_raw(out, names.data, names.len);
	return buf_status(out);
}

int
app_certprofile_check_san(const char *format, struct err *e)
{
	struct values values = {.samples = true};
	AUTO_BUF names = {0};
	size_t list;
	int rc;

	buf_init(&names, NAME_SIZE);
	list = der_open(&names, DER_SEQUENCE);
	rc = put_names(format, &values, &names, e);
	der_close(&names, list);
	if (rc == 0)
		rc = check_names(&names, e);
	return rc == 0 ? 0 : ERR_CONFIG;
}
