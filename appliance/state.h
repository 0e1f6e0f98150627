/*
 * appliance/state - all that the authority holds, in one struct that its modules share
 *
 *	control ─┐                      ┌─▶ store
 *	link ────┼─▶ enroll ─▶ issue ───┤
 *	         └─▶ internal ──▲       └─▶ signer (over link)
 *	publish ─▶ store, signer, link
 *	rollover ─▶ generation, which says what a certificate is signed by
 *
 * Threads:  the authority's loop.
 * Owner:    the role (authority.c) or a test; each module owns its member.
 */
#ifndef APPLIANCE_STATE_H
#define APPLIANCE_STATE_H

#include <sys/types.h>

#include "appliance/admin.h"
#include "appliance/cert.h"
#include "appliance/challenge.h"
#include "appliance/control.h"
#include "appliance/enroll.h"
#include "appliance/generation.h"
#include "appliance/internal.h"
#include "appliance/issue.h"
#include "appliance/link.h"
#include "appliance/login.h"
#include "appliance/policy.h"
#include "appliance/publish.h"
#include "appliance/regpoint.h"
#include "appliance/responder.h"
#include "appliance/rollover.h"
#include "appliance/templates.h"

struct app_authority {
	struct loop *loop;
	const struct config *conf; /* borrowed; changes at a reload */
	struct app_store *store;
	struct secret *challenge_key;
	struct secret *static_challenge; /* NULL: none */
	struct app_generation generations[CA_GENERATIONS];
	struct app_issuers issuers; /* what each of them is */
	unsigned current;           /* the one that issues; the next three are its own */
	struct bytes chain[APP_CHAIN_MAX];
	size_t chain_count;
	struct app_issuer issuer;
	struct app_profile *profiles[APP_USAGE_COUNT]; /* none for APP_USAGE_CA and APP_USAGE_DEVICE */
	struct app_templates templates;                /* for devices */
	struct app_links links;
	struct app_issuing issuing;
	struct app_enrolling enrolling;
	struct app_internal internal;
	struct app_publish publish[CA_GENERATIONS];
	struct app_rollover rollover;
	struct app_responder responder;
	struct app_control control;
	struct app_admin admin;
	struct app_policy policy;
	struct app_logins logins;
	struct app_regpoints points;
	char refused[256];       /* why the last configuration is not in force; "": it is */
	bool stopping;           /* nothing new is begun */
	bool closing;            /* nothing is gone on with either */
	uid_t operator_uid;      /* who may use the control socket: root */
	int64_t started;         /* wall clock */
	int64_t failing_ms;      /* since when the store refuses every change, by the monotonic clock; 0: it does not */
	void (*on_ready)(void);  /* the identity became known; once; may be NULL */
	void (*on_broken)(void); /* the store took no change for APP_STORE_PATIENCE_MS: start again; may be NULL */
};

enum { APP_STORE_PATIENCE_MS = 5000 };

/* Empties a and gives it the loop.  After that app_state_fini() is allowed at any time. */
void app_state_init(struct app_authority *a, struct loop *loop);

/*
 * Puts a configuration in force, which must live until the next call.  A template that cannot be understood fails with
 * ERR_CONFIG and leaves the profiles as they were (the other settings are in force).
 */
MUST_CHECK int app_state_configure(struct app_authority *a, const struct config *conf, struct err *e);

/*
 * Opens the store and the challenge key under paths.state, makes the CA's generations known to it, and starts the
 * modules. Blocks; before the loop runs.  Fails with what app_store_open() and app_challenge_key_open() say, ERR_STAGE
 * without configuration or chain.
 */
MUST_CHECK int app_state_open(struct app_authority *a, struct err *e);

/*
 * Notes how a change of the store ended.  A store whose disk did not confirm a write takes no change until it is opened
 * again, so when all fail for a while the role ends and is started again.
 */
void app_state_note(struct app_authority *a, int code);

/* Begins nothing new from now on. */
void app_state_stop(struct app_authority *a);

/* True while something accepted is not yet answered. */
bool app_state_busy(const struct app_authority *a);

/* Closes and frees all; what was accepted is answered. */
void app_state_fini(struct app_authority *a);

#endif
