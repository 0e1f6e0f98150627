/*
 * appliance/store_change - what the files of changes share: store_change.c, store_reserve.c, store_challenge.c,
 * store_held.c, store_account.c
 *
 * Threads:  the writer's.
 */
#ifndef APPLIANCE_STORE_CHANGE_H
#define APPLIANCE_STORE_CHANGE_H

#include "appliance/store_writer.h"

/* The request's time, or the clock's. */
int64_t app_store_change_now(const struct app_store_request *r);

/* Closes the audit record of a request whose detail is written.  Fails with ERR_STORE. */
MUST_CHECK int
app_store_change_audit(struct app_store_writer *w, const struct app_store_request *r, enum app_audit_event event,
		       struct bytes serial, const char *subject, struct err *e);

/*
 * store_challenge.c: adds the first digits of the challenge's hash to the detail: a name for it that does not help to
 * look for it.
 */
void app_store_change_put_challenge(struct app_store_writer *w, const struct app_store_request *r);

/* Does the query with this one key find a row?  1 or 0.  Fails with ERR_STORE. */
MUST_CHECK int
app_store_change_exists(struct app_store_writer *w, enum app_store_stmt id, struct bytes key, struct err *e);

/* store_reserve.c: APP_STORE_RESERVE. */
MUST_CHECK int app_store_change_reserve(struct app_store_writer *w, struct app_store_request *r, struct err *e);

/* store_challenge.c: APP_STORE_CHALLENGE. */
MUST_CHECK int app_store_change_create(struct app_store_writer *w, struct app_store_request *r, struct err *e);

/* store_challenge.c: APP_STORE_CHALLENGE_REVOKE. */
MUST_CHECK int
app_store_change_revoke_challenge(struct app_store_writer *w, struct app_store_request *r, struct err *e);

/*
 * store_challenge.c: may this account approve a request, as far as its challenge goes?  Fails with ERR_DENIED,
 * ERR_STORE.
 */
MUST_CHECK int app_store_change_may_approve(struct app_store_writer *w, const struct app_held *held,
					    const char *account, struct err *e);

/*
 * store_challenge.c: may this transaction have the challenge of the request?  Fails with ERR_DENIED and r->verdict, or
 * ERR_STORE.
 */
MUST_CHECK int app_store_change_check_challenge(struct app_store_writer *w, struct app_store_request *r,
						struct bytes transaction, struct err *e);

/* store_reserve.c: is it answered already, or being answered?  Fails as APP_STORE_RESERVE. */
MUST_CHECK int app_store_change_check_transaction(struct app_store_writer *w, struct app_store_request *r,
						  struct bytes transaction, struct err *e);

/* store_held.c: APP_STORE_HOLD. */
MUST_CHECK int app_store_change_hold(struct app_store_writer *w, struct app_store_request *r, struct err *e);

/* store_held.c: APP_STORE_APPROVE and APP_STORE_DENY, as r->op says. */
MUST_CHECK int app_store_change_decide(struct app_store_writer *w, struct app_store_request *r, struct err *e);

/*
 * store_held.c: is r->number the request of this transaction, and approved still?  A certificate for it is only begun
 * then.  Fails with ERR_STAGE when it was denied or forgotten meanwhile, ERR_STORE.
 */
MUST_CHECK int app_store_change_check_approved(struct app_store_writer *w, const struct app_store_request *r,
					       struct bytes transaction, struct err *e);

/* store_held.c: the transaction has its certificate, so its request is done with.  Fails with ERR_STORE. */
MUST_CHECK int app_store_change_unhold(struct app_store_writer *w, struct bytes transaction, struct err *e);

/* store_issuer.c: the changes of a generation, as r->op says. */
MUST_CHECK int app_store_change_issuer(struct app_store_writer *w, struct app_store_request *r, struct err *e);

/* store_account.c: the changes APP_STORE_ACCOUNT_*. */
MUST_CHECK int app_store_change_account(struct app_store_writer *w, struct app_store_request *r, struct err *e);

#endif
