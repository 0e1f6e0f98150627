/*
 * appliance/rollover - the change from one CA generation to the next, by command or by date
 *
 * The change is one transaction of the store, so a kill leaves the one state or the other.  Before it the token is
 * asked for the next generation's key, as there is no way back; behind it everything follows from the new state, and
 * does so after a restart too: certificates of our own, CRL, OCSP, what the fronts show.
 *
 * Threads:  the authority's loop.
 */
#ifndef APPLIANCE_ROLLOVER_H
#define APPLIANCE_ROLLOVER_H

#include "appliance/store.h"

struct app_authority;

struct app_rollover {
	struct loop_timer *timer; /* looks each minute whether the date has come */
	bool busy;                /* a change is under way */
	int64_t surveyed;         /* wall clock: when it was last looked which CAs have ended */
};

/* How a change ended: 0, or why not. */
typedef void (*app_rollover_fn)(int code, const struct err *e, void *arg);

/* Prepares the member of a.  Fails with ERR_NOMEM. */
MUST_CHECK int app_rollover_init(struct app_authority *a);

/* Frees it. */
void app_rollover_fini(struct app_authority *a);

/*
 * Changes the next generation: op is APP_STORE_ROLLOVER_AT (to at, 0: no date), APP_STORE_ROLLOVER_CANCEL or
 * APP_STORE_ROLLOVER.  fn is called once, perhaps at once; it may be NULL.  Refused are ERR_STAGE (there is no next
 * one, its certificate is not valid then, another change is under way), ERR_CLOSED (no signer), and for the roll-over
 * what the token says about the key.
 */
void app_rollover_change(struct app_authority *a, enum app_store_op op, int64_t at, const char *actor,
			 app_rollover_fn fn, void *arg);

#endif
