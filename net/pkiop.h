/*
 * net/pkiop - PKIOperation: one SCEP message from its bytes to its answer, state by state
 *
 *	parse, outer signature   no SCEP: HTTP 400; to be refused: SIGN
 *	LOOKUP  the authority    answered before: SIGN
 *	UNWRAP  the signer       the content key, then decrypt
 *	DECIDE  the authority    issues, refuses, or lets wait
 *	FETCH   the authority    instead of DECIDE for GetCert; GetCRL asks when two CAs have the name
 *	SIGN    the signer       the CertRep, then HTTP 200
 *
 * A transaction that was answered before is answered again before any private-key work.  Whatever is wrong inside the
 * envelope goes the same way in the same time: a wrong key (the signer gives a random one), a wrong recipient (ours is
 * tried), broken padding (nonsense is sent to the authority) and content that is no request all end in the authority's
 * badMessageCheck.
 *
 * The profile of the URL decides which algorithms are let in and what an answer looks like.  What was decided for a
 * transaction stays the same at every URL: it belongs to the id and the key, not to a profile.
 *
 * Each operation has one deadline (scep.timeout_ms); whoever is away, busy or late makes it a 503 with Retry-After.
 *
 * Threads:  the loop's thread alone.
 * Owner:    operations belong to the set from net_pkiop_start() until their answer.
 */
#ifndef NET_PKIOP_H
#define NET_PKIOP_H

#include "board/base/ipc.h"
#include "board/config.h"
#include "net/identity.h"

struct net_pkiop_set; /* the operations of one loop */

/* What the peer gets. */
struct net_pkiop_answer {
	int status;        /* HTTP: 200, 400 or 503 */
	int retry_after_s; /* with 503 */
	struct bytes body; /* with 200: the CertRep; borrowed for the call */
};

/* What a peer asks; all of it borrowed for the call. */
struct net_pkiop_ask {
	struct bytes message;
	const char *peer;
	const struct config_profile *profile; /* of the URL */
	bool microsoft;                       /* answer with Microsoft's attributes */
};

typedef void (*net_pkiop_fn)(const struct net_pkiop_answer *answer, void *arg);

/* A set without operations, channels and identity.  conf is copied.  Fails with ERR_NOMEM. */
MUST_CHECK int net_pkiop_set_new(const struct config *conf, struct net_pkiop_set **ret_set);

/* All operations must have been answered (ipc_free() both channels first); NULL is fine. */
void net_pkiop_set_free(struct net_pkiop_set *set);

/* For operations that begin from now on. */
void net_pkiop_configure(struct net_pkiop_set *set, const struct config *conf);

/* The channels in use from now on; NULL while one is away. */
void net_pkiop_set_peers(struct net_pkiop_set *set, struct ipc *authority, struct ipc *signer);

/* The certificates in use from now on; takes a reference. */
void net_pkiop_set_identity(struct net_pkiop_set *set, struct net_identity *identity);

/* The full CRL of a generation that GetCRL gets from now on; takes a reference, NULL for none. */
void net_pkiop_set_crl(struct net_pkiop_set *set, unsigned generation, struct net_page *crl);

/* Works on what is asked, and calls fn exactly once, perhaps before it returns. */
void net_pkiop_start(struct net_pkiop_set *set, const struct net_pkiop_ask *ask, net_pkiop_fn fn, void *arg);

/* Operations that are not answered yet. */
unsigned net_pkiop_count(const struct net_pkiop_set *set);

CLEANUP_STRUCT(net_pkiop_set, net_pkiop_set_free)

#endif
