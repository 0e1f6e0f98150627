/*
 * appliance/templates - the templates of the authority: which there are, and which one a request gets
 *
 * They are the one of the group "template" in chancery.conf, the built-in ones, and those that were imported.  A change
 * of the configuration or of an imported one builds the whole set anew, with a profile encoded for each, and puts it in
 * the place of the old one; when that fails the old one stays.
 *
 * Threads:  the authority's loop.
 * Owner:    entries belong to the set and live until it changes: nobody keeps one over a callback, only its name.
 */
#ifndef APPLIANCE_TEMPLATES_H
#define APPLIANCE_TEMPLATES_H

#include "appliance/csr.h"
#include "appliance/profile.h"
#include "appliance/template.h"
#include "board/base/x509.h"

struct app_authority;

/* Where a template is from. */
enum app_template_origin { APP_TEMPLATE_CONFIG, APP_TEMPLATE_BUILTIN, APP_TEMPLATE_IMPORTED };

struct app_template_entry {
	struct app_template template;
	struct app_profile *profile;
	enum app_template_origin origin;
};

/* What the store has: an imported template, permissions on one, or both. */
struct app_template_row {
	char name[APP_TEMPLATE_NAME];
	bool imported;
	struct app_template template; /* with imported */
	bool permitted;
	struct app_permission permissions[APP_PERMISSIONS_MAX]; /* with permitted */
	size_t permission_count;
};

/* By key usage, as NDES chooses. */
enum { APP_NDES_SIGNATURE, APP_NDES_ENCRYPTION, APP_NDES_GENERAL, APP_NDES_COUNT };

struct app_templates {
	struct app_template_entry *entries; /* the first is that of the configuration */
	size_t count;
	struct app_template_row *rows;
	size_t row_count;
	char ndes[APP_NDES_COUNT][APP_TEMPLATE_NAME]; /* names that exist; "": the first entry */
	bool loaded;
};

/*
 * Builds the set for a configuration, with what was loaded.  Fails with ERR_CONFIG; e names the setting; then the old
 * set stays.
 */
MUST_CHECK int app_templates_configure(struct app_authority *a, const struct config *conf, struct err *e);

/*
 * Reads the store at path, which is open already, and builds the set.  Blocks; before the loop runs.  Fails with
 * ERR_STORE, ERR_CONFIG (a setting names a template that is not there), ERR_NOMEM.
 */
MUST_CHECK int app_templates_load(struct app_authority *a, const char *path, struct err *e);

/* Frees the set. */
void app_templates_fini(struct app_authority *a);

/* The template of this name; "" is that of the configuration.  NULL when there is none. */
const struct app_template_entry *app_templates_find(const struct app_authority *a, const char *name);

/*
 * The template for a first request: the one of this name, or with "" the one that ndes.* say for the key usage that the
 * request asks for.  Fails with ERR_STAGE when there is no such template.
 */
MUST_CHECK int app_templates_select(const struct app_authority *a, const char *name, const struct app_csr *csr,
				    const struct app_template_entry **ret_entry, struct err *e);

/*
 * The template for a renewal: that of the old certificate, by its name in the store, whatever the request asks for.
 * When it is gone, or with "", the one for a first request, unless that gives a purpose that old has not: nobody gains
 * one by renewing (decisions/018).  Fails with ERR_DENIED, or as app_templates_select() does.
 */
MUST_CHECK int app_templates_select_renewal(const struct app_authority *a, const char *old_name, const char *name,
					    const struct app_csr *csr, const struct x509 *old,
					    const struct app_template_entry **ret_entry, struct err *e);

/* Logs, for who looks for a reason, that a request asks for another template than the one it gets. */
void app_templates_note(const struct app_csr *csr, const char *chosen, const char *transaction);

/*
 * May account have a challenge that is bound to this template, or with "" to none?  An unbound one is good for every
 * template that a first request can get, by key usage or by the URL of a SCEP profile, but for those with Certificate
 * Request Agent; so the right is needed on all of them.  Fails with ERR_DENIED; e names the first one that lacks it.
 */
MUST_CHECK int app_templates_permit(const struct app_authority *a, const struct app_account *account, const char *bound,
				    enum app_right right, struct err *e);

/*
 * May a challenge be bound to this template ("": to none)?  Which one a request gets is said by its key usage and URL,
 * not by its challenge; so one that nothing leads to would be good for nobody.  Fails with ERR_UNKNOWN.
 */
MUST_CHECK int app_templates_check_bound(const struct app_authority *a, const char *bound, struct err *e);

/*
 * Could this template be imported now: is its name free or that of an imported one, and may the settings that name it
 * go on doing so?  Fails with ERR_CONFIG; e has the reason.
 */
MUST_CHECK int
app_templates_check_import(const struct app_authority *a, const struct app_template *template, struct err *e);

/* The setting that names this template, NULL when none does. */
const char *app_templates_used_by(const struct app_authority *a, const char *name);

/*
 * What the store has committed takes effect: a template imported or replaced (its permissions are those of its text),
 * one removed, permissions changed.  Fails with ERR_NOMEM, ERR_CONFIG; then the old set stays until the next start.
 */
MUST_CHECK int app_templates_put(struct app_authority *a, const struct app_template *template, struct err *e);
MUST_CHECK int app_templates_remove(struct app_authority *a, const char *name, struct err *e); /* as _put() */
MUST_CHECK int
app_templates_set_permissions(struct app_authority *a, const struct app_template *template, struct err *e); /* so */

#endif
