/*
 * net/http - HTTP listeners of one loop: limits, deadlines, requests to a handler, answers to peers
 *
 * Wraps libevent's evhttp.  A connection is counted when it is accepted (net/limit.h) and has a deadline from then on:
 * idle_s to deliver a request completely, which ends drip-feeding peers and unfinished TLS handshakes as well, then
 * none while the handler works, answer_s to read the answer, and idle_s again.
 *
 * What never reaches the handler: methods other than GET, HEAD and POST (405), a URL or query that is too long (414), a
 * body that is too long (413), what is not HTTP (400).
 *
 * Threads:  the loop's thread alone.
 * Owner:    a request belongs to the handler until it answers; it outlives its connection when the peer goes away
 *           first, and then the answer goes nowhere.
 */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include <stdbool.h>

#include "board/base/buf.h"
#include "board/base/loop.h"
#include "board/config.h"
#include "board/msg.h"
#include "net/limit.h"
#include "net/page.h"

struct net_http;
struct ssl_ctx_st; /* OpenSSL's SSL_CTX */

/*
 * Plain HTTP; TLS; TLS that asks for a client's certificate, for the administrator's page and for registration points.
 */
enum net_http_kind { NET_HTTP_PLAIN, NET_HTTP_TLS, NET_HTTP_ADMIN, NET_HTTP_REGISTRATION, NET_HTTP_KINDS };

enum net_http_method { NET_HTTP_GET, NET_HTTP_HEAD, NET_HTTP_POST };

struct net_http_request {
	enum net_http_method method;
	struct bytes target;     /* of the request line, as sent */
	struct bytes body;       /* empty when there is none */
	char peer[64];           /* its address */
	enum net_http_kind kind; /* of the listener that it came by */
};

enum { NET_HTTP_HEADERS_MAX = 6 };

struct net_http_answer {
	int status;
	const char *type;      /* Content-Type exactly as given; NULL for none */
	struct bytes body;     /* copied; or else */
	struct net_page *page; /* a reference is taken; type and body come from here */
	struct {
		const char *name;
		const char *value;
	} headers[NET_HTTP_HEADERS_MAX]; /* ends at the first NULL name */
};

/* Takes a request over and calls net_http_answer() once, now or later. */
typedef void (*net_http_fn)(struct net_http_request *request, void *arg);

/* HTTP on this loop, without listeners yet.  conf is copied; limit is borrowed.  Fails with ERR_NOMEM. */
MUST_CHECK int net_http_new(struct loop *loop, const struct config *conf, struct net_limit *limit, net_http_fn fn,
			    void *arg, struct net_http **ret_http);

/* Closes listeners and connections.  Requests that are not answered yet may be answered after this; NULL is fine. */
void net_http_free(struct net_http *http);

/* Limits and deadlines of connections and requests from now on. */
void net_http_configure(struct net_http *http, const struct config *conf);

/*
 * Takes over a bound socket on success and accepts from it; but for NET_HTTP_PLAIN after net_http_set_tls().  Fails
 * with ERR_IO or ERR_NOMEM.
 */
MUST_CHECK int net_http_listen(struct net_http *http, int fd, enum net_http_kind kind, struct err *e);

/* The context of TLS connections for this use (TLS_*) from now on; takes a reference. */
void net_http_set_tls(struct net_http *http, int use, struct ssl_ctx_st *context);

/* Closes the listeners and idle connections; each other connection after its answer. */
void net_http_stop(struct net_http *http);

/* Connections with a request that is being worked on or an answer that is being sent. */
unsigned net_http_busy(const struct net_http *http);

/* A header field of the request, borrowed until the answer; NULL when absent. */
const char *net_http_header(const struct net_http_request *request, const char *name);

/* Overwrites the value of a header field of the request: it was a secret, and has been read. */
void net_http_wipe_header(struct net_http_request *request, const char *name);

/*
 * Appends the certificate (DER) whose key the peer of a NET_HTTP_ADMIN or NET_HTTP_REGISTRATION request proved to have;
 * nothing when it showed none, or is gone.  Nothing is known about who issued it.
 */
void net_http_certificate(const struct net_http_request *request, struct buf *out);

/*
 * The same with those that the peer sent along, its own first, each appended to out and found in ret_list, which points
 * into out.  More than room for in ret_list are left out.
 */
void net_http_certificates(const struct net_http_request *request, struct buf *out, struct msg_list *ret_list);

/* Answers and gives the request back.  A HEAD gets the same fields and no body. */
void net_http_answer(struct net_http_request *request, const struct net_http_answer *answer);

/* Answers with this status and one line of plain text, to which a line end is added. */
void net_http_answer_text(struct net_http_request *request, int status, const char *line);

CLEANUP_STRUCT(net_http, net_http_free)

#endif
