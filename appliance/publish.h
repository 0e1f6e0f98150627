/*
 * appliance/publish - making the CRL, and giving CRL and identity to the fronts
 *
 * A full CRL is made at every start (a crash may have come between a revocation and its CRL), every
 * ca.crl_interval_minutes, and after each revocation.  With ca.delta_hours a delta CRL follows each full one, is made
 * again after half of its life, and after a revocation if ca.crl_on_revocation is "delta".  One is made at a time; what
 * is asked for meanwhile is served by one more afterwards.  While the signer is away the old CRL stays, and making it
 * is tried again with back-off.
 *
 * Each live generation of the CA has CRLs of its own, signed by its own key, with the certificates that it issued.
 *
 * Threads:  the authority's loop.
 */
#ifndef APPLIANCE_PUBLISH_H
#define APPLIANCE_PUBLISH_H

#include "appliance/crl.h"
#include "appliance/link.h"

struct app_publish_job;

/* Told when the CRL that was asked for is published (0), or that it failed. */
typedef void (*app_publish_fn)(int code, const struct err *e, void *arg);

struct app_publish_wait {
	struct list link;
	app_publish_fn fn;
	void *arg;
};

/* The current delta CRL. */
struct app_delta {
	struct bytes crl; /* DER, owned; empty: none */
	int64_t number;
	int64_t base; /* number of the full CRL that it adds to */
	int64_t this_update;
	int64_t next_update;
	int64_t entries;
};

struct app_publish {
	struct app_authority *authority;
	unsigned generation;
	struct bytes crl; /* the current full one, DER, owned; empty: none */
	int64_t number;
	int64_t last;    /* the highest number that was given, to full and delta CRLs alike */
	int64_t changes; /* the last change in the store that the full one knows */
	int64_t this_update;
	int64_t next_update;
	int64_t entries;
	bool loaded;                 /* the store was asked for the last one */
	struct app_publish_job *job; /* under way, or NULL */
	struct list now;             /* struct app_publish_wait: served by the one under way */
	struct list later;           /* served by the next */
	bool again;                  /* make one more afterwards */
	bool want_full;              /* the next one is a full one */
	struct app_delta delta;
	struct loop_timer *timer;
	int64_t retry_ms; /* back-off, 0: none */
};

/* Prepares the members of a.  Fails with ERR_NOMEM. */
MUST_CHECK int app_publish_init(struct app_authority *a);

/* Tells all that wait that it is over, and frees. */
void app_publish_fini(struct app_authority *a);

/*
 * Reads the last CRL of a generation from the store, serves it, and makes the next one; nothing when it did so before.
 */
void app_publish_start(struct app_authority *a, unsigned generation);

/*
 * Makes a new full CRL of the current generation that holds all that is committed now, and of the others too.  wait is
 * the caller's until its function was called; NULL: nobody waits.  A waiter is told about the first attempt; after a
 * failure the CRL is tried again all the same.
 */
void app_publish_make(struct app_authority *a, struct app_publish_wait *wait);

/*
 * The same for one generation after a revocation or release: makes the kind that ca.crl_on_revocation says, which may
 * be a delta CRL.
 */
void app_publish_revoked(struct app_authority *a, unsigned generation, struct app_publish_wait *wait);

/* The signer came back: does at once what waits for it. */
void app_publish_wake(struct app_authority *a);

/* publish_send.c: sends the full or the delta CRL of a generation to all fronts. */
void app_publish_send(struct app_publish *p, bool delta);

/* Sends identity and CRLs to a front that has just opened. */
void app_publish_greet(struct app_front *front);

/* Sends the identity to all fronts. */
void app_publish_identity(struct app_authority *a);

#endif
