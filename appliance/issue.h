/*
 * appliance/issue - one certificate from its subject to the committed record, for devices and for ourselves
 *
 *	reserve --ok--> sign --ok--> store --ok--> done
 *	   |               |             +--failed--> again, for a while --> done (the next start resolves the intent)
 *	   |               +--failed--> abandon --> done
 *	   +--failed--> done
 *
 * The intent (serial, hash of the TBSCertificate, reserved challenge) is committed before anything is signed, the
 * certificate before anybody sees it.
 *
 * Threads:  the authority's loop.
 * Owner:    the caller owns the issue until done has run, and the certificate until app_issue_fini().
 */
#ifndef APPLIANCE_ISSUE_H
#define APPLIANCE_ISSUE_H

#include "appliance/binding.h"
#include "appliance/cert.h"
#include "appliance/store.h"
#include "board/base/list.h"
#include "board/base/loop.h"

struct app_authority;
struct app_issue;

typedef void (*app_issue_done_fn)(struct app_issue *issue, void *arg);

enum { APP_ISSUE_LIMIT = 4096 };

/* Zero it, fill "in". */
struct app_issue {
	/* in */
	enum app_usage usage;
	const struct app_profile *profile; /* borrowed until app_issue_start() returns; NULL: the one of usage */
	struct app_subject
		subject;     /* name, spki, san: borrowed until app_issue_start() returns; the rest is filled here */
	bool by_generation;  /* by this generation of the CA, else by the current one */
	unsigned generation; /* filled in unless it is chosen */
	int64_t requested_not_after;              /* only ever shortens; 0: none was asked for */
	char transaction_id[APP_TRANSACTION_MAX]; /* printable form; "" for none */
	uint8_t key_hash[APP_HASH_SIZE];
	int64_t approved; /* the number of the approved request that it is for (appliance/held.h); 0: none */
	bool has_challenge;
	uint8_t challenge_hash[APP_HASH_SIZE];
	unsigned key_usage; /* that the request asks for (appliance/binding.h); 0: none */
	bool renews;        /* the certificate with this serial number and SHA-256 */
	uint8_t old_serial[APP_SERIAL_SIZE];
	uint8_t old_hash[APP_HASH_SIZE];
	char peer[64];
	char actor[64];
	app_issue_done_fn done; /* exactly once after a successful start */
	void *arg;

	/* out */
	int code; /* 0, or ERR_*; ERR_DENIED with verdict; ERR_UNKNOWN: what it renews is not in the store */
	struct err e;
	enum app_challenge_verdict verdict;
	bool existing;            /* the transaction had its certificate already */
	struct bytes certificate; /* DER with code 0, the issue's */
	char subject_text[256];
	char template_name[40];

	/* its own */
	struct app_authority *authority;
	int step;
	struct buf tbs;
	struct buf cert;
	struct app_store_request request;
	struct app_claim claim; /* borrows from tbs */
	struct list parked;     /* waits for the store, which has no room or failed */
	int64_t failing_ms;     /* since when the store fails to end it, 0: it does not */
	int64_t began_ms;
};

struct app_issuing {
	size_t count;       /* issues under way */
	struct list parked; /* in the order in which they came */
	struct loop_timer *timer;
	uint64_t issued; /* since the start */
	uint64_t failed;
};

/* Prepares the member of a.  Fails with ERR_NOMEM. */
MUST_CHECK int app_issuing_init(struct app_authority *a);

/* Frees it. */
void app_issuing_fini(struct app_authority *a);

/*
 * Builds and lints the TBSCertificate and queues the intent.  On failure done is not called: ERR_BUSY when too much is
 * under way, ERR_STAGE when the CA has ended, ERR_INTERNAL when the certificate would break RFC 5280, others as the
 * builders say.
 */
MUST_CHECK int app_issue_start(struct app_authority *a, struct app_issue *issue, struct err *e);

/* Frees what the issue owns, not the issue. */
void app_issue_fini(struct app_issue *issue);

#endif
