#include "appliance/templates.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "appliance/binding.h"
#include "appliance/state.h"
#include "appliance/store_template.h"
#include "board/base/der.h"
#include "board/base/log.h"
#include "board/base/oid.h"
#include "board/base/x509.h"

enum { ASKED_SIZE = 64 };

/* ---- building ---------------------------------------------------------------------------------------------------- */

static void
entries_free(struct app_template_entry *entries, size_t count)
{
	for (size_t i = 0; i < count; i++)
		app_profile_free(entries[i].profile);
	free(entries);
}

/* A set that is being built. */
struct build {
	const struct app_authority *authority;
	const struct config *conf;
	struct app_template_entry *entries;
	size_t count;
};

static const struct app_template_row *
row_of(const struct app_templates *templates, const char *name)
{
	for (size_t i = 0; i < templates->row_count; i++)
		if (strcmp(templates->rows[i].name, name) == 0)
			return &templates->rows[i];
	return NULL;
}

static const struct app_template_entry *
find(const struct app_template_entry *entries, size_t count, const char *name)
{
	if (name[0] == '\0')
		return count > 0 ? &entries[0] : NULL;
	for (size_t i = 0; i < count; i++)
		if (strcmp(entries[i].template.name, name) == 0)
			return &entries[i];
	return NULL;
}

/* With URLs of the CA's generation that issues. */
static int
encode(const struct build *build, struct app_template_entry *entry, struct err *e)
{
	struct app_template own = entry->template;
	unsigned g = build->authority->current;

	if (app_generation_url(entry->template.crl_url, g, own.crl_url, sizeof(own.crl_url)) != 0 ||
	    app_generation_url(entry->template.ca_url, g, own.ca_url, sizeof(own.ca_url)) != 0)
		return err_set(e, ERR_CONFIG, 0, "template \"%s\": a URL is too long with the number of the CA",
			       own.name);
	return app_profile_of(build->conf, &own, &entry->profile, e);
}

static int
add(struct build *build, const struct app_template *template, enum app_template_origin origin, struct err *e)
{
	const struct app_template_row *row = row_of(&build->authority->templates, template->name);
	struct app_template_entry *entry = &build->entries[build->count];

	if (build->count > 0 && find(build->entries, build->count, template->name) != NULL)
		return err_set(e, ERR_CONFIG, 0, "template.name: \"%s\" is the name of %s", build->conf->template_name,
			       origin == APP_TEMPLATE_BUILTIN ? "a built-in template" : "an imported template");
	entry->template = *template;
	entry->origin = origin;
	if (row != NULL && row->permitted) {
		memcpy(entry->template.permissions, row->permissions, sizeof(row->permissions));
		entry->template.permission_count = row->permission_count;
	}
	build->count++;
	return encode(build, entry, e);
}

static int
add_all(struct build *build, struct err *e)
{
	const struct app_templates *templates = &build->authority->templates;
	struct app_template template;
	int rc = app_template_from_config(build->conf, &template, e);

	if (rc == 0)
		rc = add(build, &template, APP_TEMPLATE_CONFIG, e);
	for (size_t i = 0; rc == 0 && app_template_builtin(i) != NULL; i++) {
		rc = app_template_parse_one(app_template_builtin(i), "built-in", &template, e);
		if (rc == 0)
			rc = add(build, &template, APP_TEMPLATE_BUILTIN, e);
	}
	for (size_t i = 0; rc == 0 && i < templates->row_count; i++)
		if (templates->rows[i].imported)
			rc = add(build, &templates->rows[i].template, APP_TEMPLATE_IMPORTED, e);
	return rc;
}

/* What a setting says must be there, and must not be for agents: an unbound challenge is good for it. */
static int
check_setting(const struct build *build, const char *setting, const char *name, struct err *e)
{
	const struct app_template_entry *entry = find(build->entries, build->count, name);

	if (entry == NULL)
		return err_set(e, ERR_CONFIG, 0, "%s: there is no template \"%s\"", setting, name);
	if (app_template_is_agent(&entry->template))
		return err_set(e, ERR_CONFIG, 0,
			       "%s: \"%s\" has Certificate Request Agent, which is not for any device", setting, name);
	return 0;
}

static const char *
ndes_name(const struct config *conf, int which)
{
	const char *const names[APP_NDES_COUNT] = {
		conf->ndes_signature_template,
		conf->ndes_encryption_template,
		conf->ndes_general_purpose_template,
	};

	return names[which];
}

static const char *const ndes_settings[APP_NDES_COUNT] = {"ndes.signature_template", "ndes.encryption_template",
							  "ndes.general_purpose_template"};

static int
check_settings(const struct build *build, struct err *e)
{
	int rc = 0;

	for (int i = 0; i < APP_NDES_COUNT && rc == 0; i++)
		rc = check_setting(build, ndes_settings[i], ndes_name(build->conf, i), e);
	for (int i = 0; i < build->conf->profile_count && rc == 0; i++) {
		const char *name = build->conf->profiles[i].template;

		if (find(build->entries, build->count, name) == NULL)
			rc = err_set(e, ERR_CONFIG, 0,
				     "profiles[%d].template: there is no template \"%s\" (profile \"%s\")", i, name,
				     build->conf->profiles[i].name);
	}
	return rc;
}

/* Until the store is read, what settings name may be in it. */
static int
rebuild(struct app_authority *a, const struct config *conf, struct err *e)
{
	struct app_templates *templates = &a->templates;
	struct config own;
	struct build build = {.authority = a, .conf = &own};
	int rc = app_generation_config(conf, a->current, &own, e);

	if (rc != 0)
		return rc;
	build.entries = calloc(1 + APP_TEMPLATES_MAX + templates->row_count, sizeof(*build.entries));
	if (build.entries == NULL)
		return err_set(e, ERR_NOMEM, 0, "templates");
	rc = add_all(&build, e);
	if (rc == 0 && templates->loaded)
		rc = check_settings(&build, e);
	if (rc != 0) {
		entries_free(build.entries, build.count);
		return rc;
	}
	entries_free(templates->entries, templates->count);
	templates->entries = build.entries;
	templates->count = build.count;
	for (int i = 0; i < APP_NDES_COUNT; i++)
		snprintf(templates->ndes[i], sizeof(templates->ndes[i]), "%s",
			 templates->loaded ? ndes_name(conf, i) : "");
	return 0;
}

int
app_templates_configure(struct app_authority *a, const struct config *conf, struct err *e)
{
	return rebuild(a, conf, e);
}

void
app_templates_fini(struct app_authority *a)
{
	entries_free(a->templates.entries, a->templates.count);
	free(a->templates.rows);
	memset(&a->templates, 0, sizeof(a->templates));
}

/* ---- what the store has ------------------------------------------------------------------------------------------ */

/* The row of this name, made if it is not there.  NULL without memory. */
static struct app_template_row *
row_make(struct app_templates *templates, const char *name)
{
	struct app_template_row *more;

	for (size_t i = 0; i < templates->row_count; i++)
		if (strcmp(templates->rows[i].name, name) == 0)
			return &templates->rows[i];
	more = reallocarray(templates->rows, templates->row_count + 1, sizeof(*more));
	if (more == NULL)
		return NULL;
	templates->rows = more;
	more += templates->row_count++;
	memset(more, 0, sizeof(*more));
	snprintf(more->name, sizeof(more->name), "%s", name);
	return more;
}

/* A row that an older program wrote and this one does not take is left out, and said so. */
static int
on_row(const char *name, const char *text, const char *permissions, void *arg, struct err *e)
{
	struct app_templates *templates = arg;
	struct app_template template;
	struct app_template_row fresh = {.imported = text != NULL, .permitted = permissions != NULL};
	struct app_template_row *row;
	struct err why = {0};

	app_template_default(&template);
	if ((text != NULL && app_template_parse_one(text, name, &template, &why) != 0) ||
	    (permissions != NULL && app_template_permissions_parse(&template, bytes_of_text(permissions), &why) != 0)) {
		log_event(TEMPLATE_LEFT_OUT, log_text(name), log_text(why.text));
		return 0;
	}
	row = row_make(templates, name);
	if (row == NULL)
		return err_set(e, ERR_NOMEM, 0, "templates");
	snprintf(fresh.name, sizeof(fresh.name), "%s", name);
	fresh.template = template;
	memcpy(fresh.permissions, template.permissions, sizeof(fresh.permissions));
	fresh.permission_count = template.permission_count;
	*row = fresh;
	return 0;
}

int
app_templates_load(struct app_authority *a, const char *path, struct err *e)
{
	int rc = app_store_templates(path, on_row, &a->templates, e);

	a->templates.loaded = rc == 0;
	return rc != 0 ? rc : rebuild(a, a->conf, e);
}

int
app_templates_put(struct app_authority *a, const struct app_template *template, struct err *e)
{
	struct app_template_row *row = row_make(&a->templates, template->name);

	if (row == NULL)
		return err_set(e, ERR_NOMEM, 0, "templates");
	row->imported = true;
	row->template = *template;
	row->permitted = false;
	return rebuild(a, a->conf, e);
}

int
app_templates_remove(struct app_authority *a, const char *name, struct err *e)
{
	struct app_templates *templates = &a->templates;

	for (size_t i = 0; i < templates->row_count; i++) {
		if (strcmp(templates->rows[i].name, name) != 0)
			continue;
		templates->rows[i] = templates->rows[--templates->row_count];
		break;
	}
	return rebuild(a, a->conf, e);
}

int
app_templates_set_permissions(struct app_authority *a, const struct app_template *template, struct err *e)
{
	struct app_template_row *row = row_make(&a->templates, template->name);

	if (row == NULL)
		return err_set(e, ERR_NOMEM, 0, "templates");
	row->permitted = true;
	memcpy(row->permissions, template->permissions, sizeof(row->permissions));
	row->permission_count = template->permission_count;
	return rebuild(a, a->conf, e);
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

const struct app_template_entry *
app_templates_find(const struct app_authority *a, const char *name)
{
	return find(a->templates.entries, a->templates.count, name);
}

/* NDES: 0x80 alone, 0x20 alone, all else is general (facts, microsoft.md 1.8).  Other bits do not count. */
static const char *
ndes_choice(const struct app_authority *a, const struct app_csr *csr)
{
	unsigned usage =
		app_binding_requested_usage(csr->extensions) & (APP_KU_DIGITAL_SIGNATURE | APP_KU_KEY_ENCIPHERMENT);

	if (usage == APP_KU_DIGITAL_SIGNATURE)
		return a->templates.ndes[APP_NDES_SIGNATURE];
	return a->templates.ndes[usage == APP_KU_KEY_ENCIPHERMENT ? APP_NDES_ENCRYPTION : APP_NDES_GENERAL];
}

int
app_templates_select(const struct app_authority *a, const char *name, const struct app_csr *csr,
		     const struct app_template_entry **ret_entry, struct err *e)
{
	const struct app_template_entry *entry = app_templates_find(a, name[0] != '\0' ? name : ndes_choice(a, csr));

	if (entry == NULL)
		return err_set(e, ERR_STAGE, 0, "there is no template %s", name);
	*ret_entry = entry;
	return 0;
}

int
app_templates_select_renewal(const struct app_authority *a, const char *old_name, const char *name,
			     const struct app_csr *csr, const struct x509 *old,
			     const struct app_template_entry **ret_entry, struct err *e)
{
	const struct app_template_entry *entry = old_name[0] != '\0' ? app_templates_find(a, old_name) : NULL;
	struct x509_extension purposes = {.critical = false};
	int status;

	if (entry != NULL) {
		*ret_entry = entry;
		return 0;
	}
	status = app_templates_select(a, name, csr, &entry, e);
	if (status != 0)
		return status;
	BUG_ON(entry == NULL);
	(void)!x509_extension_find(&old->tbs, OID_EXT_KEY_USAGE, &purposes);
	if (!app_profile_within(entry->profile, purposes.value))
		return err_set(e, ERR_DENIED, 0,
			       "renewal: the template %s of the old certificate is gone, and %s has more purposes",
			       old_name, entry->template.name);
	/* Nobody approved it for this template.  That of the configuration may only have got another name. */
	if (app_template_needs_approval(&entry->template) && entry->origin != APP_TEMPLATE_CONFIG)
		return err_set(e, ERR_DENIED, 0,
			       "renewal: the template %s of the old certificate is gone, and %s needs approval",
			       old_name, entry->template.name);
	*ret_entry = entry;
	return 0;
}

static int
permit_one(const struct app_authority *a, const struct app_account *account, const char *name, enum app_right right,
	   struct err *e)
{
	const struct app_template_entry *entry = app_templates_find(a, name);

	if (entry == NULL)
		return err_set(e, ERR_DENIED, 0, "there is no template %.40s", name);
	if (app_template_permits(&entry->template, account, right))
		return 0;
	return err_set(e, ERR_DENIED, 0, "no right to %s on the template %s",
		       right == APP_RIGHT_AUTOENROLL ? "autoenroll" : "enroll", entry->template.name);
}

int
app_templates_permit(const struct app_authority *a, const struct app_account *account, const char *bound,
		     enum app_right right, struct err *e)
{
	int status = 0;

	if (bound[0] != '\0')
		return permit_one(a, account, bound, right, e);
	for (int i = 0; i < APP_NDES_COUNT && status == 0; i++)
		status = permit_one(a, account, a->templates.ndes[i], right, e);
	for (int i = 0; i < a->conf->profile_count && status == 0; i++) {
		const struct app_template_entry *entry = app_templates_find(a, a->conf->profiles[i].template);

		if (entry != NULL && !app_template_is_agent(&entry->template))
			status = permit_one(a, account, entry->template.name, right, e);
	}
	return status;
}

int
app_templates_check_bound(const struct app_authority *a, const char *bound, struct err *e)
{
	bool is_first = strcmp(a->templates.entries[0].template.name, bound) == 0;

	if (bound[0] == '\0')
		return 0;
	if (app_templates_find(a, bound) == NULL)
		return err_set(e, ERR_UNKNOWN, 0, "there is no template %.40s", bound);
	for (int i = 0; is_first && i < APP_NDES_COUNT; i++)
		if (a->templates.ndes[i][0] == '\0')
			return 0;
	if (app_templates_used_by(a, bound) != NULL)
		return 0;
	return err_set(e, ERR_UNKNOWN, 0, "no request gets the template %s: neither ndes.* nor a profile names it",
		       bound);
}

const char *
app_templates_used_by(const struct app_authority *a, const char *name)
{
	for (int i = 0; i < APP_NDES_COUNT; i++)
		if (strcmp(a->templates.ndes[i], name) == 0)
			return ndes_settings[i];
	for (int i = 0; i < a->conf->profile_count; i++)
		if (strcmp(a->conf->profiles[i].template, name) == 0)
			return "profiles";
	return NULL;
}

int
app_templates_check_import(const struct app_authority *a, const struct app_template *template, struct err *e)
{
	const struct app_template_entry *entry = app_templates_find(a, template->name);
	const char *setting = app_templates_used_by(a, template->name);

	if (entry != NULL && entry->origin == APP_TEMPLATE_BUILTIN)
		return err_set(e, ERR_CONFIG, 0,
			       "%s is built in and can only be given other permissions "
			       "(chancery template permit); import it under another name",
			       template->name);
	if (entry != NULL && entry->origin == APP_TEMPLATE_CONFIG)
		return err_set(e, ERR_CONFIG, 0, "%s is the name of the template in chancery.conf (template.name)",
			       template->name);
	if (entry == NULL && a->templates.count >= APP_TEMPLATES_MAX)
		return err_set(e, ERR_CONFIG, 0, "there are %zu templates already", a->templates.count);
	if (setting != NULL && strncmp(setting, "ndes.", 5) == 0 && app_template_is_agent(template))
		return err_set(e, ERR_CONFIG, 0, "%s names %s, and must not give Certificate Request Agent", setting,
			       template->name);
	return 0;
}

/* ---- what a request asks for ------------------------------------------------------------------------------------- */

/* Visible ASCII of a string of any type, cut. */
static void
text_of(const struct der *string, char out[ASKED_SIZE])
{
	struct view v = view_of(string->content);
	size_t len = 0;
	uint32_t c;

	while (v.left > 0 && len + 1 < ASKED_SIZE && der_text_next(string->tag, &v, &c) == 0)
		out[len++] = c > ' ' && c <= '~' ? (char)c : '?';
	out[len] = '\0';
}

/* The name in Microsoft's extension, or in the name and value pair of this name that Windows sends with requests. */
static void
asked_of(const struct app_csr *csr, char out[ASKED_SIZE])
{
	struct x509_tbs wanted = {.extensions = csr->extensions};
	struct x509_extension extension = {.critical = false};
	struct der name, value;
	struct view v;

	if (csr->extensions.len > 0 && x509_extension_find(&wanted, OID_MS_TEMPLATE_NAME, &extension) == 0) {
		v = view_of(extension.value);
		if (der_next(&v, &value) == 0)
			text_of(&value, out);
	}
	for (size_t i = 0; out[0] == '\0' && i < csr->pair_count; i++) {
		if (der_whole(csr->pairs[i], DER_SEQUENCE, &v) != 0 || der_next(&v, &name) != 0 ||
		    der_next(&v, &value) != 0)
			continue;
		text_of(&name, out);
		if (strcasecmp(out, "CertificateTemplate") == 0)
			text_of(&value, out);
		else
			out[0] = '\0';
	}
}

void
app_templates_note(const struct app_csr *csr, const char *chosen, const char *transaction)
{
	char asked[ASKED_SIZE] = "";

	asked_of(csr, asked);
	if (asked[0] != '\0' && strcmp(asked, chosen) != 0)
		log_event(TEMPLATE_NOT_OBEYED, log_text(transaction), log_text(asked), log_text(chosen));
}
