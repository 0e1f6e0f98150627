/*
 * appliance/store - what the CA knows, in SQLite: one writer, readers that do not wait for it
 *
 * Every call takes a request that the caller owns until its done function runs, in the loop, exactly once.  Changes
 * go to the writer thread: it runs all that wait in one transaction, commits once (group commit, WAL,
 * synchronous=FULL), and only then are they answered; one that fails leaves nothing.  Look-ups by an index go to the
 * reader thread, those that may read all of the store (LIST, REVOKED, COUNTS, AUDIT, AUDIT_CHECK) to the scanner
 * thread, passwords to the log-in thread; each has its own connection.  The audit record of a change is written in the
 * same transaction (appliance/audit.h).
 *
 * A certificate's life: app_store_reserve() writes the intent before anything is signed, then app_store_issue() or
 * app_store_abandon() ends it.  An intent that a crash left behind is found by app_store_open().
 *
 * Threads:  all functions by the loop's thread; done functions run there too.
 * Owner:    the caller owns requests; bytes in answers are freed with app_store_request_fini() by the caller.
 */
#ifndef APPLIANCE_STORE_H
#define APPLIANCE_STORE_H

#include "appliance/operator.h"
#include "appliance/store_names.h"
#include "appliance/store_op.h"
#include "board/base/buf.h"
#include "board/base/err.h"
#include "board/base/loop.h"

struct app_binding;
struct app_claim;
struct app_held;
struct app_open_challenge;
struct app_registration_record;
struct app_policy_row;
struct app_store;
struct app_store_request;

enum { APP_HASH_SIZE = 32, APP_TRANSACTION_MAX = 256 };

typedef void (*app_store_done_fn)(struct app_store_request *request, void *arg);

typedef void (*app_store_each_fn)(const struct app_revoked *entry, void *arg);

/* One request.  Zero it, fill what store_op.h names for it; code, e and the answers are set when done runs. */
struct app_store_request {
	enum app_store_op op;
	app_store_done_fn done;
	void *arg;

	/* in */
	uint8_t serial[APP_SERIAL_SIZE];
	uint8_t tbs_hash[APP_HASH_SIZE];
	uint8_t key_hash[APP_HASH_SIZE]; /* SHA-256 of the requester's SubjectPublicKeyInfo */
	const struct app_held *hold;     /* HOLD: name, spki and san of it; borrowed until done */
	/* RESERVE, HOLD with has_challenge: what it has to be good for; borrowed until done */
	const struct app_claim *claim;
	const struct app_binding *binding;   /* CHALLENGE: what it is bound to, or NULL; borrowed until done */
	const struct app_policy_row *policy; /* POLICY_PUT; borrowed until done */
	struct app_registration_record
		*registration; /* CHALLENGE, CERTPROFILE_*, REGISTRATION_*; borrowed until done */
	bool all;
	bool renews; /* RESERVE: the certificate with serial old_serial, to be checked */
	uint8_t old_serial[APP_SERIAL_SIZE];
	uint8_t old_hash[APP_HASH_SIZE];          /* SHA-256 of its DER */
	uint8_t challenge_hash[APP_HASH_SIZE];    /* app_challenge_hash() */
	bool has_challenge;                       /* RESERVE: check and reserve challenge_hash; else none is needed */
	char transaction_id[APP_TRANSACTION_MAX]; /* "" for what has none (RA and TLS certificates) */
	char subject[256];
	char template_name[40];
	char peer[64];
	char actor[64];   /* who did it, for the audit trail: "peer ADDRESS", "operator NAME", "system" */
	char account[64]; /* the same as an account's name; APPROVE: empty for root without a name */
	char text[256];
	int usage;
	unsigned issuer; /* generation of the CA, less than CA_GENERATIONS */
	int reason;
	int64_t now, not_before, not_after, expires, this_update, next_update, grace; /* now 0: the clock's */
	int64_t invalidity;
	int64_t base;    /* CRL: number of the full one that this delta adds to; 0: this is a full one */
	int64_t changes; /* the last change of a certificate's state that a CRL knows */
	int64_t last;    /* out: the highest CRL number that was given */
	int64_t number, limit, offset, max_open;
	struct app_operator_request operators;
	app_store_each_fn each;
	void *each_arg;
	struct bytes der; /* in: borrowed until done; out (CRL_GET): owned by the request */

	/* out */
	int code; /* 0 or ERR_*; then records only from RESERVE */
	struct err e;
	enum app_challenge_verdict verdict;
	struct app_record *records; /* owned by the request, der included */
	size_t record_count;
	struct app_held *held; /* owned by the request */
	size_t held_count;
	int held_state;                        /* enum app_held_state */
	struct app_open_challenge *challenges; /* owned by the request */
	size_t challenge_count;
	struct app_store_counts counts;
	struct app_issuers issuers;
	struct buf out; /* AUDIT */

	/* the store's own */
	struct app_store_request *next;
};

/* What a crash left behind: called by app_store_open() for each intent without a certificate, now revoked. */
typedef void (*app_store_intent_fn)(const uint8_t serial[APP_SERIAL_SIZE], const char *subject, int64_t since,
				    void *arg);

/*
 * Opens or creates the store at path in an existing folder, brings its schema up to date (numbered migrations on a
 * copy), revokes the serials of unresolved intents and spends their challenges (each is reported to intent, and
 * audited), and starts the threads.  Blocks; call before the loop runs.  Fails with ERR_STORE or ERR_NOMEM; a schema
 * newer than this program, a file that is no store, and a store that another process has open are ERR_STORE.
 */
MUST_CHECK int app_store_open(struct loop *loop, const char *path, int cache_mib, int queue, app_store_intent_fn intent,
			      void *arg, struct app_store **ret_store, struct err *e);

/* The CA's generations as they were when the store was opened. */
const struct app_issuers *app_store_issuers(const struct app_store *store);

/* Answers what waits (ERR_CLOSED: what has not begun), ends the threads, closes.  Never from a done function. */
void app_store_close(struct app_store *store);

/*
 * Queues a request; its done function will run once.  Fails with ERR_BUSY when as many changes (or look-ups) as the
 * queue may hold are not answered yet: then it will not.  ISSUE and ABANDON, which end what has begun, are taken up
 * to twice that.  Fails with ERR_CLOSED when the store closes, and when it is NULL.
 */
MUST_CHECK int app_store_submit(struct app_store *store, struct app_store_request *request);

/* Frees what a finished request owns (records, der of CRL_GET, out); not the request. */
void app_store_request_fini(struct app_store_request *request);

CLEANUP_STRUCT(app_store, app_store_close)

#endif
