/*
 * net/ocspkeep - the OCSP answers of one loop: kept in memory, asked for at the authority when missing or half over
 *
 * An answer past half of its life is still given, and a new one is asked for meanwhile; so what is asked for often is
 * always fresh, and what nobody asks for costs no signature.  While the authority or the token is away answers are
 * given until they end.  Those that were not asked for longest make room.
 *
 * Threads:  the loop's thread alone.
 */
#ifndef NET_OCSPKEEP_H
#define NET_OCSPKEEP_H

#include "board/base/ipc.h"
#include "board/config.h"
#include "net/ocsp.h"
#include "net/page.h"

struct net_ocspkeep;

/* page is the answer, borrowed for the call; or NULL, and status (NET_OCSP_*) says why there is none. */
typedef void (*net_ocspkeep_fn)(struct net_page *page, int status, void *arg);

/* An empty store of answers.  conf is copied.  Fails with ERR_NOMEM. */
MUST_CHECK int net_ocspkeep_new(const struct config *conf, struct net_ocspkeep **ret_keep);

/* All questions must have been answered (ipc_free() the authority's channel first); NULL is fine. */
void net_ocspkeep_free(struct net_ocspkeep *keep);

/* For questions that come from now on. */
void net_ocspkeep_configure(struct net_ocspkeep *keep, const struct config *conf);

/* The channel in use from now on; NULL while the authority is away.  After a new one all answers are asked for anew. */
void net_ocspkeep_set_authority(struct net_ocspkeep *keep, struct ipc *authority);

/* The state of the certificate with this serial number changed: its answers are given no more. */
void net_ocspkeep_forget(struct net_ocspkeep *keep, struct bytes serial);

/* Calls fn exactly once, perhaps before it returns. */
void net_ocspkeep_get(struct net_ocspkeep *keep, const struct net_ocsp_id *id, net_ocspkeep_fn fn, void *arg);

/* Answers that are kept. */
size_t net_ocspkeep_count(const struct net_ocspkeep *keep);

CLEANUP_STRUCT(net_ocspkeep, net_ocspkeep_free)

#endif
