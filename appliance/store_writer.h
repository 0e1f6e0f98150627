/*
 * appliance/store_writer - the connection that changes the store: batches, recovery, and the changes themselves
 *
 * Threads:  the writer's; before the threads run, the one that opens the store.
 * Owner:    requests stay the submitter's.
 */
#ifndef APPLIANCE_STORE_WRITER_H
#define APPLIANCE_STORE_WRITER_H

#include "appliance/audit.h"
#include "appliance/store.h"
#include "appliance/store_db.h"

/* The end of the audit chain. */
struct app_store_tail {
	int64_t seq;
	uint8_t hash[APP_AUDIT_HASH_SIZE];
};

/* What the writer keeps in memory about the database; a rollback puts the old value back. */
struct app_store_state {
	struct app_store_tail tail;
	bool open_known;    /* open and swept are right */
	int64_t open;       /* challenges neither used nor, at swept, expired */
	int64_t swept;      /* the time up to which expired ones have been taken out of open */
	int64_t purge_idle; /* at this time there was nothing old to delete */
};

struct app_store_writer {
	struct app_store_db *db;
	struct app_audit_chain *chain;
	struct buf detail; /* of the audit record that is being written */
	struct app_store_state state;
	bool stopped; /* an fsync failed */
};

/* Opens the database, whose schema is right, and reads the end of the audit chain.  Fails with ERR_STORE, ERR_NOMEM. */
MUST_CHECK int
app_store_writer_open(const char *path, int64_t cache_kib, struct app_store_writer **ret_writer, struct err *e);

/* NULL is fine. */
void app_store_writer_close(struct app_store_writer *w);

/*
 * Revokes the serials of all intents, spends their challenges, reports each; writes "store-opened".  Fails with
 * ERR_STORE.
 */
MUST_CHECK int
app_store_writer_recover(struct app_store_writer *w, app_store_intent_fn intent, void *arg, struct err *e);

/* Runs the list of changes in one transaction and sets code and e of each.  A change that fails leaves nothing. */
void app_store_writer_run(struct app_store_writer *w, struct app_store_request *first);

/*
 * store_change.c: one change inside the writer's transaction.  Any failure but ERR_STORE means that nothing was
 * written; ERR_STORE means that the transaction must be rolled back.
 */
MUST_CHECK int app_store_change_run(struct app_store_writer *w, struct app_store_request *r, struct err *e);

/* store_challenge.c: deletes some challenges that expired more than a day before now.  Fails with ERR_STORE. */
MUST_CHECK int app_store_change_purge(struct app_store_writer *w, int64_t now, struct err *e);

/* store_challenge.c: marks a challenge used for serial; it is not open any more.  Fails with ERR_STORE. */
MUST_CHECK int
app_store_change_spend(struct app_store_writer *w, struct bytes hash, struct bytes serial, int64_t now, struct err *e);

/* A certificate as it is inserted; empty values are SQL's NULL where the schema allows it. */
struct app_store_row {
	struct bytes serial;
	int64_t issuer;
	const char *usage;
	int64_t not_before;
	int64_t not_after;
	int64_t issued;
	int64_t revoked;
	int reason;
	struct bytes transaction_hash;
	const char *subject;
	const char *template_name;
	const char *peer;
	struct bytes der;
};

/* store_change.c: inserts it.  Fails with ERR_STORE. */
MUST_CHECK int app_store_change_insert(struct app_store_writer *w, const struct app_store_row *row, struct err *e);

/*
 * store_audit.c: appends the audit record of a change, with what w->detail holds.  Fails with ERR_STORE: without its
 * record there is no change.
 */
MUST_CHECK int app_store_audit_add(struct app_store_writer *w, enum app_audit_event event, int64_t now,
				   const char *actor, struct bytes serial, const char *subject, struct err *e);

CLEANUP_STRUCT(app_store_writer, app_store_writer_close)

#endif
