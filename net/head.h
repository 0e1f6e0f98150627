/*
 * net/head - watches the head of a request arrive, and says at which octet it breaks a limit
 *
 * evhttp has one limit for everything before the body and one answer for whoever breaks it.  IIS has several, which
 * the people who run NDES know by name; so what arrives is counted here before evhttp reads it.
 *
 * Threads:  any; nothing is shared.
 */
#ifndef NET_HEAD_H
#define NET_HEAD_H

#include "board/base/buf.h"
#include "board/config.h"

/* One request's head; all zero before its first octet. */
struct net_head {
	size_t line;      /* octets of the current line so far, its end included */
	size_t total;     /* of all lines so far */
	uint8_t first;    /* octet of the current line */
	uint8_t last;     /* octet that was seen */
	bool has_request; /* the request line is complete */
	bool is_over;     /* the body follows, or a limit is broken: nothing is looked at any more */
};

/*
 * Counts what arrived.  The HTTP status that refuses the request, with a line for peer and log in *ret_text (static
 * storage): 414, 431, or 400 for a field that goes on in the next line (RFC 9112 5.2).  0 while all is well.
 */
int net_head_feed(struct net_head *head, struct bytes data, const struct config *conf, const char **ret_text);

#endif
