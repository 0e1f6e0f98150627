/*
 * net/identity - what the front shows of the CA and of itself, and the answers made of it
 *
 * A copy of MSG_IDENTITY, which each loop keeps while the authority is away.  Operations that began with one finish
 * with it (reference count).
 *
 * Threads:  one at a time; each loop makes its own.
 */
#ifndef NET_IDENTITY_H
#define NET_IDENTITY_H

#include "board/config.h"
#include "board/msg.h"
#include "net/page.h"

struct net_identity {
	unsigned references;       /* private */
	struct bytes memory;       /* what the rest points into; owned */
	struct msg_identity is;    /* chain: own CA first, root last */
	struct net_page *ca;       /* own CA certificate, for /ca */
	struct net_page *alone;    /* answers to GetCACert (RFC 8894 4.2): the CA certificate alone, */
	struct net_page *rootless; /* RA certificates and the chain without the root, */
	struct net_page *whole;    /* and with it */
};

/* A copy of message with its pages.  Fails with ERR_FORMAT when something is missing in it, ERR_NOMEM. */
MUST_CHECK int net_identity_new(const struct msg_identity *message, struct net_identity **ret_identity, struct err *e);

/* The answer to GetCACert that profile wants; borrowed. */
struct net_page *net_identity_getcacert(const struct net_identity *identity, const struct config_profile *profile);

/* One reference more.  Returns identity. */
struct net_identity *net_identity_ref(struct net_identity *identity);

/* Gives one reference back; NULL is fine. */
void net_identity_free(struct net_identity *identity);

CLEANUP_STRUCT(net_identity, net_identity_free)

#endif
