/*
 * appliance/store_read - the look-ups
 *
 * Threads:  the reader's, the scanner's and the log-in thread's, each with its own connection; BY_TRANSACTION also by
 *           the writer.
 * Owner:    answers belong to the request (app_store_request_fini()).
 */
#ifndef APPLIANCE_STORE_READ_H
#define APPLIANCE_STORE_READ_H

#include "appliance/store.h"
#include "appliance/store_db.h"
#include "appliance/store_writer.h"

enum { APP_STORE_TXHASH_SIZE = 16 };

/* What the transaction columns hold: 16 bytes of SHA-256(transaction_id, key_hash), so the index stays in memory. */
void app_store_read_transaction_hash(const struct app_store_request *r, uint8_t ret_hash[APP_STORE_TXHASH_SIZE]);

/*
 * The newest certificate of the request's transaction, into its records.  Fails with ERR_UNKNOWN (then records hold the
 * one that has ended or is revoked, if there is one), ERR_NOMEM,
 * ERR_STORE.
 */
MUST_CHECK int app_store_read_transaction(struct app_store_db *db, struct app_store_request *r, struct err *e);

/* Answers one look-up.  tail is the end that the audit chain must have reached.  Fails as enum app_store_op says. */
MUST_CHECK int app_store_read_run(struct app_store_db *db, struct app_store_request *r,
				  const struct app_store_tail *tail, struct err *e);

/* store_held.c: APP_STORE_HELD. */
MUST_CHECK int app_store_read_held(struct app_store_db *db, struct app_store_request *r, struct err *e);

/* store_held.c: the state of the request of this transaction, into the request.  ERR_UNKNOWN, ERR_STORE. */
MUST_CHECK int app_store_read_held_state(struct app_store_db *db, struct app_store_request *r, struct err *e);

/* store_challenge.c: APP_STORE_CHALLENGES. */
MUST_CHECK int app_store_read_challenges(struct app_store_db *db, struct app_store_request *r, struct err *e);

/* store_account.c: the look-ups APP_STORE_ACCOUNT_*. */
MUST_CHECK int app_store_read_account(struct app_store_db *db, struct app_store_request *r, struct err *e);

/* store_audit.c: APP_STORE_AUDIT and APP_STORE_AUDIT_CHECK. */
MUST_CHECK int app_store_audit_page(struct app_store_db *db, struct app_store_request *r, struct err *e);
MUST_CHECK int
app_store_audit_check(struct app_store_db *db, struct app_store_request *r, /* as app_store_audit_page() */
		      const struct app_store_tail *tail, struct err *e);

/* store_issuer.c: all generations.  Fails with ERR_STORE, also when none is the current one. */
MUST_CHECK int app_store_read_issuers(struct app_store_db *db, struct app_issuers *ret_issuers, struct err *e);

/* store_issuer.c: APP_STORE_ISSUER_END. */
MUST_CHECK int app_store_read_issuer_end(struct app_store_db *db, struct app_store_request *r, struct err *e);

#endif
