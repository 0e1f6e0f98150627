/*
 * net/page - a ready-made body that many answers share
 *
 * A CRL may have megabytes and is asked for often: it is stored once per loop and sent without a copy.  A page that was
 * replaced lives on until the last peer has read it.
 *
 * Threads:  one at a time; each loop makes its own.
 */
#ifndef NET_PAGE_H
#define NET_PAGE_H

#include "board/base/buf.h"
#include "board/base/err.h"

struct net_page {
	unsigned references;    /* private */
	const char *type;       /* content type, static storage */
	char etag[40];          /* quoted, strong */
	char last_modified[40]; /* HTTP date; empty when not known */
	char expires[40];       /* the same of fresh_until */
	int64_t fresh_until;    /* seconds since 1970; 0 when not known */
	struct bytes body;      /* owned */
};

/* A page with a copy of body; modified and fresh_until in seconds since 1970, 0 for none.  Fails with ERR_NOMEM. */
MUST_CHECK int
net_page_new(const char *type, struct bytes body, int64_t modified, int64_t fresh_until, struct net_page **ret_page);

/* One reference more.  Returns page. */
struct net_page *net_page_ref(struct net_page *page);

/* Gives one reference back; NULL is fine. */
void net_page_free(struct net_page *page);

CLEANUP_STRUCT(net_page, net_page_free)

#endif
