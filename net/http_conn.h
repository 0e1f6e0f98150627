/*
 * net/http_conn - the connections of one loop: counted, indexed, with a deadline
 *
 * The half of net/http that deals with sockets; for net/http.c alone, which deals with requests.
 *
 * evhttp has no hook for a new connection but the one that makes its bufferevent, when neither socket nor connection
 * is known yet.  So a connection starts in the list "fresh" with a reference to its bufferevent; as soon as the
 * callback that accepts has returned, net_http_conn_tidy() asks the bufferevent for both, and counts the connection or
 * closes it.
 *
 * Threads:  the loop's thread alone.
 */
#ifndef NET_HTTP_CONN_H
#define NET_HTTP_CONN_H

#include <openssl/ssl.h>

#include "board/base/list.h"
#include "net/head.h"
#include "net/http.h"

struct bufferevent; /* libevent's */
struct event;
struct event_base;
struct evhttp;
struct evhttp_bound_socket;
struct evhttp_connection;
struct evhttp_request;

enum { NET_HTTP_LISTENERS_MAX = 16 };

/* Seconds after which a request may fit that found no memory. */
#define NET_HTTP_RETRY_AFTER "3"

struct net_http_conn {
	struct list link; /* in fresh, conns or graves */
	struct net_http *http;
	struct bufferevent *bev; /* a reference while fresh */
	struct evhttp_connection *ev;
	struct loop_timer *deadline;
	struct net_limit_key key;
	int fd;
	enum net_http_kind kind;
	char peer[64];
	struct net_head head;           /* of the request that arrives */
	int refused;                    /* HTTP status of a limit that it broke; 0 while it may go on */
	const char *refused_text;       /* which limit; static storage */
	bool is_turned_away;            /* it was told so, and nobody reads on */
	size_t held;                    /* octets of memory for the request that arrives or is worked on */
	struct net_http_work *request;  /* at the handler */
	struct evhttp_request *sending; /* answered; ours to free unless evhttp says that it was sent */
};

/* Owned by us, not by evhttp (evhttp_request_own()), until it is sent. */
struct net_http_work {
	struct net_http_request public; /* first member */
	struct net_limit *limit;
	struct net_http_conn *conn; /* NULL when the peer is gone */
	struct evhttp_request *ev;
	size_t held; /* when the peer is gone: what its connection held */
};

/* The hook cannot tell on which listener a connection came, so each kind of them has an evhttp. */
struct net_http_side {
	struct net_http *http;
	struct evhttp *ev;
	enum net_http_kind kind;
	struct evhttp_bound_socket *listeners[NET_HTTP_LISTENERS_MAX];
	size_t count;
};

struct net_http {
	struct loop *loop;
	struct net_limit *limit;
	net_http_fn fn;
	void *arg;
	struct config conf;
	struct net_http_side sides[NET_HTTP_KINDS];
	SSL_CTX *contexts[TLS_USES];
	struct list fresh;
	struct list conns;
	struct list graves; /* connections that ended while an answer was being sent */
	unsigned fresh_count;
	unsigned busy;
	bool is_stopping;
	struct event *tidy;
	struct loop_timer *pause;
	struct net_http_conn **by_fd; /* evhttp's requests and connections carry no pointer for us */
	size_t fd_limit;
};

/* Which certificate listeners of this kind, which is not NET_HTTP_PLAIN, show: TLS_*. */
int net_http_tls_use(enum net_http_kind kind);

/* evhttp's hook: the bufferevent of a connection that is being accepted on a side. */
struct bufferevent *net_http_conn_new(struct event_base *base, void *side);

/* The counted connection with this socket; NULL when there is none. */
struct net_http_conn *net_http_conn_find(const struct net_http *http, int fd);

/* The answer was sent: what follows in the connection is another request. */
void net_http_conn_next(struct net_http_conn *conn);

/* A request is being worked on: of those that follow only a little is read meanwhile. */
void net_http_conn_wait(struct net_http_conn *conn);

/* Gives back what a connection held whose peer was gone before its answer. */
void net_http_conn_release(struct net_limit *limit, size_t held);

/* Counts or closes what was accepted, buries what has ended; the callback of http->tidy. */
void net_http_conn_tidy(int fd, short what, void *http);

/* Has listeners accept, or not. */
void net_http_conn_accept_more(struct net_http *http, bool on);

/* Has a listener that cannot accept pause: the connection that stays would keep the loop spinning. */
void net_http_conn_watch_errors(struct evhttp_bound_socket *bound);

/* Accepts again; the callback of http->pause. */
void net_http_conn_pause_over(void *http);

#endif
