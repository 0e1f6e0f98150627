#include "appliance/template.h"

#include <stdio.h>
#include <string.h>

#include "appliance/rdn.h"
#include "appliance/template_impl.h"
#include "board/base/oid.h"

enum { HOURS = 24, EC = APP_ALG_P256 | APP_ALG_P384 | APP_ALG_P521, LINE_MAX_ = 160 };

#define OID_KP_REQUEST_AGENT OID_BYTES("\x2b\x06\x01\x04\x01\x82\x37\x14\x02\x01")
#define GROUP_RA_OPERATORS   "ra-operators"

static const char *const right_words[] = {"read", "enroll", "autoenroll", "full-control"};

/* ---- where templates come from ----------------------------------------------------------------------------------- */

static void
permit_default(struct app_template *template)
{
	template->permissions[0] =
		(struct app_permission){.is_group = true, .who = APP_GROUP_ADMINISTRATORS, .rights = APP_RIGHT_FULL};
	template->permissions[1] =
		(struct app_permission){.is_group = true,
					.who = GROUP_RA_OPERATORS,
					.rights = APP_RIGHT_READ | APP_RIGHT_ENROLL | APP_RIGHT_AUTOENROLL};
	template->permission_count = 2;
}

void
app_template_default(struct app_template *ret_template)
{
	static const char *const rdns[] = {"C",
					   "ST",
					   "L",
					   "O",
					   "OU",
					   "CN",
					   "serialNumber",
					   "DC",
					   "emailAddress",
					   "UID",
					   "unstructuredName",
					   "unstructuredAddress"};

	memset(ret_template, 0, sizeof(*ret_template));
	ret_template->schema_version = 2;
	ret_template->major_version = 100;
	ret_template->validity_days = 365;
	ret_template->key_usage = APP_KU_DIGITAL_SIGNATURE | APP_KU_KEY_ENCIPHERMENT;
	ret_template->algorithms = APP_ALG_RSA | EC;
	ret_template->rsa_bits_min = 2048;
	ret_template->rsa_bits_max = 8192;
	for (size_t i = 0; i < ARRAY_SIZE(rdns); i++)
		ret_template->rdns |= 1U << app_rdn_by_word(rdns[i], strlen(rdns[i]));
	ret_template->sans = APP_SAN_DNS | APP_SAN_IP | APP_SAN_EMAIL | APP_SAN_URI | APP_SAN_UPN;
	ret_template->approvals = 1;
	permit_default(ret_template);
}

int
app_template_from_config(const struct config *conf, struct app_template *ret_template, struct err *e)
{
	const struct {
		const char *field;
		const char *value;
	} texts[] = {
		{"name", conf->template_name},
		{"key_usage", conf->template_key_usage},
		{"extended_key_usage", conf->template_extended_key_usage},
		{"subject_rdns", conf->template_subject_rdns},
		{"san_types", conf->template_san_types},
	};
	struct app_template template;
	struct err why = {0};
	char reason[ERR_TEXT_SIZE];
	const char *field;

	app_template_default(&template);
	template.validity_days = conf->template_validity_days;
	template.rsa_bits_min = conf->template_rsa_bits_min;
	template.rsa_bits_max = conf->template_rsa_bits_max;
	template.algorithms = APP_ALG_RSA | (conf->template_ec_keys ? (unsigned)EC : 0);
	template.approval = conf->template_approval;
	template.approvals = conf->template_approvals;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (app_template_set_text(&template, texts[i].field, texts[i].value, &why) != 0)
			return err_set(e, ERR_CONFIG, 0, "template.%s: %s", texts[i].field, why.text);
	field = app_template_contradiction(&template, reason, sizeof(reason));
	if (field != NULL)
		return err_set(e, ERR_CONFIG, 0, "template.%s: %s", field, reason);
	*ret_template = template;
	return 0;
}

/* ---- do the fields agree? ---------------------------------------------------------------------------------------- */

static const char *
check_validity(const struct app_template *t, char *why, size_t size)
{
	int64_t hours = (int64_t)t->validity_days * HOURS + t->validity_hours;

	if (t->validity_days > 0 && t->validity_hours > 0) {
		snprintf(why, size, "either days or hours, and validity_days is %d", t->validity_days);
		return "validity_hours";
	}
	if (hours == 0) {
		snprintf(why, size, "validity_days or validity_hours must be more than 0");
		return "validity_days";
	}
	if ((int64_t)t->renewal_days * HOURS < hours || t->renewal_days == 0)
		return NULL;
	snprintf(why, size, "must be less than the validity, or 0, which allows renewals at any time");
	return "renewal_days";
}

/* RFC 3279 2.3.1, RFC 5480 3: which usages a kind of key can have. */
static const char *
check_keys(const struct app_template *t, char *why, size_t size)
{
	if ((t->algorithms & APP_ALG_RSA) != 0 && t->rsa_bits_min > t->rsa_bits_max) {
		snprintf(why, size, "must not be less than rsa_bits_min (%d)", t->rsa_bits_min);
		return "rsa_bits_max";
	}
	if ((t->algorithms & APP_ALG_RSA) == 0 &&
	    (t->key_usage & ~(unsigned)(APP_KU_KEY_ENCIPHERMENT | APP_KU_DATA_ENCIPHERMENT)) == 0) {
		snprintf(why, size, "an EC key cannot encipher, and algorithms has no rsa");
		return "key_usage";
	}
	if ((t->algorithms & EC) == 0 && t->key_usage == APP_KU_KEY_AGREEMENT) {
		snprintf(why, size, "an RSA key cannot agree on keys, and algorithms has no EC curve");
		return "key_usage";
	}
	return NULL;
}

static const char *
check_names(const struct app_template *t, char *why, size_t size)
{
	if (t->from_template && t->subject_fixed[0] == '\0' && t->sans_required == 0) {
		snprintf(why, size, "\"template\" needs subject_fixed or san_required: there would be no name");
		return "subject_from";
	}
	if ((t->sans_required & ~t->sans) != 0) {
		snprintf(why, size, "has a kind of name that san_types does not allow");
		return "san_required";
	}
	if (t->dns_suffixes[0] != '\0' && (t->sans & APP_SAN_DNS) == 0) {
		snprintf(why, size, "needs DNS in san_types");
		return "dns_suffixes";
	}
	if (t->sid && (t->sans & APP_SAN_URI) == 0) {
		snprintf(why, size, "\"challenge\" needs URI in san_types: the SID comes in a subjectAltName");
		return "sid";
	}
	return NULL;
}

static const char *
check_extensions(const struct app_template *t, char *why, size_t size)
{
	if (t->information_extension && t->oid.len == 0) {
		snprintf(why, size, "needs oid, which this extension consists of");
		return "information_extension";
	}
	if (t->mirror_policies && t->application_policies.len > 0) {
		snprintf(why, size, "either true, or application_policies are given");
		return "application_policies_mirror";
	}
	if (t->mirror_policies && t->extended_key_usage.len == 0) {
		snprintf(why, size, "needs extended_key_usage, which it repeats");
		return "application_policies_mirror";
	}
	return NULL;
}

static const char *
check_approval(const struct app_template *t, char *why, size_t size)
{
	if (t->ra_signatures > 1) {
		snprintf(why, size, "must be 0 or 1: a request has one registration authority here, our own");
		return "ra_signatures";
	}
	for (size_t i = 0; i < t->permission_count; i++) {
		if ((t->permissions[i].rights & (APP_RIGHT_ENROLL | APP_RIGHT_AUTOENROLL)) != APP_RIGHT_AUTOENROLL)
			continue;
		snprintf(why, size, "%s has autoenroll without enroll", t->permissions[i].who);
		return "permissions";
	}
	return NULL;
}

typedef const char *(*check_fn)(const struct app_template *t, char *why, size_t size);

const char *
app_template_contradiction(const struct app_template *t, char *why, size_t size)
{
	static const check_fn checks[] = {check_validity, check_keys, check_names, check_extensions, check_approval};
	const char *field = NULL;

	if (t->name[0] == '\0') {
		snprintf(why, size, "is missing");
		return "name";
	}
	for (size_t i = 0; i < ARRAY_SIZE(checks) && field == NULL; i++)
		field = checks[i](t, why, size);
	return field;
}

bool
app_template_is_agent(const struct app_template *template)
{
	return app_words_oids_have(&template->extended_key_usage, OID_KP_REQUEST_AGENT) ||
	       app_words_oids_have(&template->application_policies, OID_KP_REQUEST_AGENT);
}

bool
app_template_needs_approval(const struct app_template *template)
{
	return template->approval || template->approvals > 1;
}

/* ---- permissions ------------------------------------------------------------------------------------------------- */

bool
app_template_permits(const struct app_template *template, const struct app_account *account, enum app_right right)
{
	unsigned rights = 0;

	for (size_t i = 0; i < template->permission_count; i++) {
		const struct app_permission *permission = &template->permissions[i];

		if (permission->is_group ? app_account_in(account, permission->who)
					 : account->name[0] != '\0' && strcmp(account->name, permission->who) == 0)
			rights |= permission->rights;
	}
	return (rights & (APP_RIGHT_FULL | (unsigned)right)) != 0;
}

int
app_template_permit(struct app_template *template, bool is_group, const char *who, unsigned rights)
{
	struct app_permission fresh = {.is_group = is_group, .rights = rights};
	struct app_permission *all = template->permissions;
	size_t i;

	snprintf(fresh.who, sizeof(fresh.who), "%s", who);
	for (i = 0; i < template->permission_count; i++)
		if (all[i].is_group == is_group && strcmp(all[i].who, fresh.who) == 0)
			break;
	if (i == APP_PERMISSIONS_MAX && rights != 0)
		return ERR_LIMIT;
	if (rights != 0) {
		all[i] = fresh;
		template->permission_count += i == template->permission_count;
		return 0;
	}
	if (i == template->permission_count)
		return 0;
	template->permission_count--;
	memmove(&all[i], &all[i + 1], (template->permission_count - i) * sizeof(*all));
	memset(&all[template->permission_count], 0, sizeof(*all));
	return 0;
}

int
app_template_rights_parse(const char *words, unsigned *ret_rights, struct err *e)
{
	unsigned rights = 0;
	struct err why = {0};

	if (app_words_bits_parse(words, right_words, ARRAY_SIZE(right_words), &rights, &why) != 0)
		return err_set(e, ERR_CONFIG, 0, "%s; rights are read, enroll, autoenroll, full-control", why.text);
	if ((rights & (APP_RIGHT_ENROLL | APP_RIGHT_AUTOENROLL | APP_RIGHT_FULL)) == APP_RIGHT_AUTOENROLL ||
	    (rights & (APP_RIGHT_ENROLL | APP_RIGHT_AUTOENROLL)) == APP_RIGHT_AUTOENROLL)
		return err_set(e, ERR_CONFIG, 0, "autoenroll needs enroll");
	*ret_rights = rights;
	return 0;
}

char *
app_template_rights_text(unsigned rights, char *out, size_t size)
{
	AUTO_BUF b = {0};

	buf_init(&b, size);
	app_words_bits_print(rights, right_words, ARRAY_SIZE(right_words), &b);
	snprintf(out, size, "%.*s", (int)b.len, b.len > 0 ? (const char *)b.data : "");
	return out;
}

void
app_template_permissions_print(const struct app_template *template, struct buf *out)
{
	char rights[APP_TEMPLATE_TEXT];

	for (size_t i = 0; i < template->permission_count; i++) {
		const struct app_permission *permission = &template->permissions[i];

		buf_printf(out, "%s %s: %s\n", permission->is_group ? "group" : "account", permission->who,
			   app_template_rights_text(permission->rights, rights, sizeof(rights)));
	}
}

/* "group NAME: rights" */
static int
permission_parse(struct app_template *template, char *line, struct err *e)
{
	char *colon = strchr(line, ':');
	bool is_group = strncmp(line, "group ", 6) == 0;
	const char *who = line + (is_group ? 6 : 8);
	unsigned rights = 0;

	if (colon == NULL || (!is_group && strncmp(line, "account ", 8) != 0))
		return err_set(e, ERR_CONFIG, 0, "a permission is not understood");
	*colon = '\0';
	if (!app_template_is_name(who) || strlen(who) >= APP_ACCOUNT_SIZE)
		return err_set(e, ERR_CONFIG, 0, "a permission's name is not understood");
	if (app_template_rights_parse(colon + 1, &rights, e) != 0)
		return ERR_CONFIG;
	return app_template_permit(template, is_group, who, rights);
}

int
app_template_permissions_parse(struct app_template *template, struct bytes text, struct err *e)
{
	struct app_template fresh = *template;
	char line[LINE_MAX_];
	int rc = 0;

	memset(fresh.permissions, 0, sizeof(fresh.permissions));
	fresh.permission_count = 0;
	while (rc == 0 && text.len > 0) {
		const uint8_t *end = memchr(text.data, '\n', text.len);
		size_t len = end != NULL ? (size_t)(end - text.data) : text.len;

		if (len >= sizeof(line))
			return err_set(e, ERR_CONFIG, 0, "a permission is too long");
		memcpy(line, text.data, len);
		line[len] = '\0';
		text.data += end != NULL ? len + 1 : len;
		text.len -= end != NULL ? len + 1 : len;
		rc = permission_parse(&fresh, line, e);
	}
	if (rc == 0)
		*template = fresh;
	return rc;
}
