/*
 * net/rule - which HTTP requests are refused before anybody looks at their content
 *
 * Threads:  any; nothing is shared.
 */
#ifndef NET_RULE_H
#define NET_RULE_H

#include "board/base/buf.h"
#include "board/config.h"

/* What was read of a request. */
struct net_rule_request {
	const char *method;            /* "GET", "HEAD", "POST"; NULL for others */
	struct bytes target;           /* of the request line */
	const char *content_length;    /* header fields; NULL when absent */
	const char *transfer_encoding; /* see content_length */
	size_t frame_fields;           /* how many fields of these two names there are */
};

/* The HTTP status that refuses it, with a line for the peer in *ret_text (static storage); 0 when it may pass. */
int net_rule_check(const struct net_rule_request *request, const struct config *conf, const char **ret_text);

#endif
