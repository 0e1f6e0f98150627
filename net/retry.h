/*
 * net/retry - how long a peer is told to wait before it comes again
 *
 * Threads:  any.
 */
#ifndef NET_RETRY_H
#define NET_RETRY_H

/* Seconds for Retry-After when an ERR_* was in the way. */
int net_retry_seconds(int code);

#endif
