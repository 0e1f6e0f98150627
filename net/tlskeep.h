/*
 * net/tlskeep - keeps the TLS certificate of the front current
 *
 * Runs on loop 0.  Asks the authority for a certificate as soon as it can, again after two thirds of its life, when the
 * names or the CA change, and after a failure with growing pauses.  Meanwhile the old one stays in use.
 *
 * Threads:  the loop's thread alone.
 */
#ifndef NET_TLSKEEP_H
#define NET_TLSKEEP_H

#include "board/base/ipc.h"
#include "board/base/loop.h"
#include "board/config.h"
#include "net/identity.h"

struct net_tlskeep;
struct ssl_ctx_st;

/* Receives each new context for this use (TLS_*), borrowed. */
typedef void (*net_tlskeep_fn)(int use, struct ssl_ctx_st *context, void *arg);

/*
 * Keeps the certificate for this use (TLS_*).  Asks for nothing until it has an authority and an identity.  Fails with
 * ERR_NOMEM.
 */
MUST_CHECK int net_tlskeep_new(struct loop *loop, const struct config *conf, int use, net_tlskeep_fn fn, void *arg,
			       struct net_tlskeep **ret_keep);

/* No call to the authority may be open any more (ipc_free() it first); NULL is fine. */
void net_tlskeep_free(struct net_tlskeep *keep);

/* New names make a new certificate. */
void net_tlskeep_configure(struct net_tlskeep *keep, const struct config *conf);

/* The channel to the authority, NULL while there is none; also said again when the signer's channel changed. */
void net_tlskeep_set_authority(struct net_tlskeep *keep, struct ipc *authority);

/* The CA; takes a reference.  Another CA makes a new certificate. */
void net_tlskeep_set_identity(struct net_tlskeep *keep, struct net_identity *identity);

CLEANUP_STRUCT(net_tlskeep, net_tlskeep_free)

#endif
