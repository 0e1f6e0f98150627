/*
 * net/https - one outbound HTTPS call, from its beginning to its end
 *
 * libcurl does the work.  Trust is exactly what the call names: its roots and the host name in its URL; the machine's
 * own list counts only when no root is named.  No proxy (the registration point uses none, facts microsoft.md 3.2), no
 * redirects, TLS 1.2 or later.
 *
 * Threads:  a connection is used by one thread at a time; the call waits, so never in a loop.
 * Owner:    the caller; a connection stays open with the trust and the client certificate of the call that opened it,
 *           so whoever changes them makes a new one.
 */
#ifndef NET_HTTPS_H
#define NET_HTTPS_H

#include "board/base/buf.h"
#include "board/base/err.h"

struct evp_pkey_st; /* OpenSSL's EVP_PKEY */
struct net_https;   /* a connection that is kept between calls to one server */

enum { NET_HTTPS_CERTS_MAX = 8, NET_HTTPS_HEADERS_MAX = 8, NET_HTTPS_TYPE_SIZE = 64 };

struct net_https_request {
	const char *url;
	const char *method;                         /* "GET" or "POST" */
	const char *headers[NET_HTTPS_HEADERS_MAX]; /* "Name: value", NULL ends */
	struct bytes body;
	struct bytes roots[NET_HTTPS_CERTS_MAX]; /* DER; the only ones that are trusted */
	size_t root_count;                       /* 0: those of the machine */
	struct bytes chain[NET_HTTPS_CERTS_MAX]; /* the client's certificate and those above it; DER */
	size_t chain_count;
	struct evp_pkey_st *key; /* of chain[0]; NULL: no client certificate */
	int deadline_ms;         /* for all of it, name look-up included */
	size_t answer_max;       /* octets of the answer's body */
};

struct net_https_answer {
	long status;
	char type[NET_HTTPS_TYPE_SIZE]; /* Content-Type; "" when there is none */
	struct buf body;                /* buf_init()ed and buf_fini()ed by the caller */
};

/* What libcurl wants once in a process, before its threads.  Fails with ERR_INTERNAL. */
MUST_CHECK int net_https_init(struct err *e);

/* A connection, not open yet.  Fails with ERR_NOMEM. */
MUST_CHECK int net_https_new(struct net_https **ret_https);

/* Closes and frees; NULL is fine. */
void net_https_free(struct net_https *https);

/*
 * Calls.  Any HTTP status is success.  Fails with ERR_TIMEOUT, ERR_VERIFY (the server's certificate, its name, or TLS
 * itself), ERR_IO (name, route, reset, half an answer), ERR_LIMIT (a longer answer), ERR_CONFIG (URL, certificate or
 * key), ERR_NOMEM; e says which step failed, and holds nothing that the peer sent.
 */
MUST_CHECK int net_https_call(struct net_https *https, const struct net_https_request *request,
			      struct net_https_answer *answer, struct err *e);

CLEANUP_STRUCT(net_https, net_https_free)

#endif
