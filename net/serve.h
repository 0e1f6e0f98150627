/*
 * net/serve - one loop of the front: its listeners, its channels to authority and signer, what it knows, its requests
 *
 * Nothing is shared with other loops but the count of connections.  What authority and signer said last is kept and
 * served while they are away.
 *
 * Threads:  the loop's thread alone.
 */
#ifndef NET_SERVE_H
#define NET_SERVE_H

#include "board/base/ipc.h"
#include "board/base/loop.h"
#include "board/config.h"
#include "net/limit.h"

struct net_serve;
struct ssl_ctx_st;

/* What the loop tells; called in its thread. */
struct net_serve_events {
	void (*on_identity)(void *arg); /* the first identity is there */
	/* loop 0: a new context for all loops, for this use (TLS_*); borrowed */
	void (*on_tls)(int use, struct ssl_ctx_st *context, void *arg);
	void (*on_stopped)(void *arg); /* after net_serve_stop(): nothing is in progress */
	void *arg;
};

/* Loop number index.  conf is copied, limit is borrowed.  Fails with ERR_NOMEM. */
MUST_CHECK int net_serve_new(struct loop *loop, unsigned index, const struct config *conf, struct net_limit *limit,
			     const struct net_serve_events *events, struct net_serve **ret_serve);

/* Answers what is open with 503, closes everything; NULL is fine. */
void net_serve_free(struct net_serve *serve);

/* New settings. */
void net_serve_configure(struct net_serve *serve, const struct config *conf);

/*
 * Takes over a bound socket, LISTEN_HTTP, LISTEN_HTTPS, LISTEN_ADMIN or LISTEN_REGISTRATION; accepts after
 * net_serve_start(), all but the first with a certificate.
 */
void net_serve_listen(struct net_serve *serve, int kind, int fd);

/* Takes over a channel to the authority or the signer, in place of an older one. */
void net_serve_peer(struct net_serve *serve, enum role peer, int fd);

/* Begins to accept. */
void net_serve_start(struct net_serve *serve);

/* The TLS context for this use (TLS_*) from now on. */
void net_serve_set_tls(struct net_serve *serve, int use, struct ssl_ctx_st *context);

/* Accepts no more and waits up to 5 s for what is in progress; then on_stopped. */
void net_serve_stop(struct net_serve *serve);

CLEANUP_STRUCT(net_serve, net_serve_free)

#endif
