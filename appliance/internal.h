/*
 * appliance/internal - the certificates that the authority makes for the appliance itself
 *
 * RA signing and RA decryption: made when they are missing, when the token's key is another one, and ca.ra_renew_days
 * before they end.  Every RA decryption certificate that is still valid stays in the identity, since clients cache it.
 * OCSP responder: the same, short-lived, when the token has a key for it; one from each live generation of the CA, as
 * an answer is signed under the CA that issued what is asked about (RFC 6960 4.2.2.2).
 * TLS server: for a key that the front holds in memory.  The front is trusted with nothing but TLS: names come from the
 * configuration, so a front that was broken into gets no certificate for other names.
 *
 * Threads:  the authority's loop.
 */
#ifndef APPLIANCE_INTERNAL_H
#define APPLIANCE_INTERNAL_H

#include "appliance/link.h"
#include "appliance/store.h"
#include "board/base/bucket.h"

/*
 * The last two are no RAs, but their certificates are looked after in the same way; the token may lack their keys.
 * APP_RA_POLICY's is only made while a policy module needs it.
 */
enum { APP_RA_SIGN, APP_RA_DECRYPT, APP_RA_OCSP, APP_RA_POLICY, APP_RA_COUNT };

/* A front that asks for TLS certificates without end gets this many, and then one each APP_TLS_REFILL_MS. */
enum { APP_RA_DECRYPT_MAX = 8, APP_TLS_BURST = 32, APP_TLS_REFILL_MS = 10000 };

struct app_internal_job;

/* A certificate of our own. */
struct app_ra_certificate {
	struct bytes der;    /* owned */
	unsigned generation; /* of the CA that issued it */
	int64_t not_before;
	int64_t not_after;
};

/* What we know about one RA usage. */
struct app_ra {
	struct bytes spki; /* the token's key, owned; empty while not known */
	/* The current CA generation's first, of one generation that which lasts longest. */
	struct app_ra_certificate certificates[APP_RA_DECRYPT_MAX];
	size_t count;
	int64_t not_after; /* of the first */
};

struct app_internal {
	struct app_ra ra[APP_RA_COUNT]; /* by APP_RA_* */
	bool ca_key_wrong; /* the token's "ca" key is not that of the current CA certificate: nothing can be signed */
	bool ocsp_off;     /* the token has no key for OCSP */
	bool ready;        /* the identity is known */
	uint8_t sent[32];  /* SHA-256 of the identity that the fronts have */
	struct app_internal_job *jobs; /* the check under way, or NULL */
	int waiting;                   /* answers that it still waits for */
	bool again;                    /* something changed meanwhile */
	size_t issuing;                /* RA certificates under way */
	struct loop_timer *timer;
	int64_t checked;   /* wall clock of the last complete check */
	int64_t tick_wall; /* both clocks at the last tick: a jump of the wall clock shows as a difference */
	int64_t tick_mono_ms;
	int64_t retry_ms;  /* back-off after a failure, 0: none */
	struct bucket tls; /* certificates that fronts may ask for */
};

/* Prepares the member of a.  Fails with ERR_NOMEM. */
MUST_CHECK int app_internal_init(struct app_authority *a);

/* Frees it. */
void app_internal_fini(struct app_authority *a);

/*
 * Looks at keys and certificates soon, and makes what is missing; after a start, a new signer, a reload, a revocation.
 */
void app_internal_check(struct app_authority *a);

/* MSG_TLS_REQUEST: answers with the decision. */
void app_internal_tls(struct app_front *front, uint64_t id, const struct msg_tls_request *m);

/* Gives the identity to the fronts when it is another than they have. */
void app_internal_announce(struct app_authority *a);

/* The newest of these that this generation of the CA issued, or NULL. */
const struct app_ra_certificate *app_internal_newest(const struct app_ra *ra, unsigned generation);

/* Our own identity as MSG_IDENTITY; false while it is not known.  m borrows. */
bool app_internal_identity(const struct app_authority *a, struct msg_identity *m);

#endif
