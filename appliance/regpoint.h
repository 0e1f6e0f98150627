/*
 * appliance/regpoint - the certificate registration points of this unit: their names, whom each trusts, their root
 *
 * A point is reached at /APPLICATION on front.registration_https.  All points share one root, which is made when the
 * first is installed (appliance/regroot.h).  The store has them; what is here is a copy for quick use.
 *
 * Threads:  the authority's loop.
 */
#ifndef APPLIANCE_REGPOINT_H
#define APPLIANCE_REGPOINT_H

#include "appliance/cert.h"
#include "appliance/store.h"

struct app_authority;

enum { APP_REGPOINTS_MAX = 16, APP_REGPOINT_TRUSTS_MAX = 16, APP_REGPOINT_NAME = 40, APP_REGPOINT_APPLICATION = 64 };

/* What the Configuration Manager calls it. */
#define APP_REGPOINT_STANDARD "CMCertificateRegistration"

/* An NDES server that may ask. */
struct app_regtrust {
	char url[256];
	struct bytes root; /* owned; its client certificate is below it */
	bool pinned;
	uint8_t thumbprint[APP_HASH_SIZE]; /* with pinned: SHA-256 of that certificate */
};

struct app_regpoint {
	char name[APP_REGPOINT_NAME];
	char application[APP_REGPOINT_APPLICATION];
	struct app_regtrust trusts[APP_REGPOINT_TRUSTS_MAX];
	size_t trust_count;
};

struct app_regpoints {
	struct app_regpoint *points[APP_REGPOINTS_MAX]; /* owned, without gaps */
	size_t count;
	struct bytes root;        /* the certificate, owned; empty: none was made yet */
	struct app_issuer issuer; /* with root */
	size_t open;              /* certificates and calls under way */
};

/*
 * Reads the store at path, which is open already.  Blocks; before the loop runs.  Fails with ERR_STORE, ERR_NOMEM.
 */
MUST_CHECK int app_regpoints_load(struct app_authority *a, const char *path, struct err *e);

/* Frees the copy. */
void app_regpoints_fini(struct app_authority *a);

/* The point of this name, or of this application in either case; NULL when there is none. */
struct app_regpoint *app_regpoint_find(const struct app_authority *a, const char *name);
struct app_regpoint *app_regpoint_at(const struct app_authority *a, const char *application); /* see above */

/* Letters, digits, "-", "_" and ".", one at least and less than size? */
bool app_regpoint_is_name(const char *text, size_t size);

/* What the store has committed takes effect.  Fail with ERR_LIMIT, ERR_NOMEM, ERR_FORMAT (root). */
MUST_CHECK int app_regpoints_add(struct app_authority *a, const char *name, const char *application, struct err *e);
void app_regpoints_remove(struct app_authority *a, const char *name); /* no such point is fine */
/* thumbprint may be empty */
MUST_CHECK int app_regpoints_trust(struct app_authority *a, const char *point, const char *url, struct bytes root,
				   struct bytes thumbprint, struct err *e);
void app_regpoints_distrust(struct app_authority *a, const char *point, const char *url);        /* nor is that */
MUST_CHECK int app_regpoints_set_root(struct app_authority *a, struct bytes der, struct err *e); /* see above */

#endif
