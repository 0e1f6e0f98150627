/*
 * net/limit - how many connections are open, in all and of one address, and how many octets they hold
 *
 * The listeners of all loops share their ports (SO_REUSEPORT), so the kernel spreads one peer's connections over the
 * loops as it likes.  Counting per loop would make the limits that the operator set inexact, so all loops count here.
 * The table never holds more entries than there are open connections.
 *
 * IPv6 addresses count by their /64, which is what one peer can have for itself.
 *
 * Threads:  any; a lock is held for one look-up, never across a callback.
 */
#ifndef NET_LIMIT_H
#define NET_LIMIT_H

#include <stdbool.h>
#include <stddef.h>

#include "board/base/err.h"

struct net_limit;
struct sockaddr;

/* What connections of one peer have in common. */
struct net_limit_key {
	uint8_t octets[16];
};

/* An empty count with these limits.  Fails with ERR_NOMEM. */
MUST_CHECK int net_limit_new(unsigned total, unsigned per_address, struct net_limit **ret_limit);

/* Frees a count that no connection uses any more; NULL is fine. */
void net_limit_free(struct net_limit *limit);

/* Other limits for connections from now on; those that are open stay. */
void net_limit_set(struct net_limit *limit, unsigned total, unsigned per_address);

/* The key of an IPv4 or IPv6 address; IPv4 mapped into IPv6 counts as IPv4.  Other families share one key. */
struct net_limit_key net_limit_key(const struct sockaddr *address);

/* Writes the address without its port; IPv4 mapped into IPv6 as IPv4.  Other families as "local".  Returns out. */
char *net_limit_text(const struct sockaddr *address, char *out, size_t size);

/* The most octets that all connections together may hold; from now on. */
void net_limit_set_octets(struct net_limit *limit, size_t max);

/*
 * Counts octets that a connection holds more than before (or less, when now is less).  They are counted in any case;
 * false tells that there are too many now.
 */
bool net_limit_hold(struct net_limit *limit, size_t before, size_t now);

/* Octets that are counted now. */
size_t net_limit_octets(struct net_limit *limit);

/*
 * Counts one connection more.  Fails without counting: ERR_BUSY when there are too many in all, ERR_LIMIT when there
 * are too many with this key, ERR_NOMEM.
 */
MUST_CHECK int net_limit_enter(struct net_limit *limit, const struct net_limit_key *key);

/* Counts one connection less; only after net_limit_enter() let it in. */
void net_limit_leave(struct net_limit *limit, const struct net_limit_key *key);

/* Connections that are counted now, in all and with this key. */
unsigned net_limit_total(struct net_limit *limit);
unsigned net_limit_count(struct net_limit *limit, const struct net_limit_key *key); /* see net_limit_total() */

CLEANUP_STRUCT(net_limit, net_limit_free)

#endif
