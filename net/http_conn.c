#include "net/http_conn.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "board/base/clock.h"
#include "board/base/log.h"
#include "net/tls.h"

enum {
	FRESH_MAX = 64,        /* accepted in one go; then those are counted before the next are accepted */
	READ_SLACK = 65536,    /* read ahead of what the largest request needs */
	ACCEPT_PAUSE_MS = 100, /* after running out of descriptors */
	FREE_OCTETS = 16384,   /* that each connection may hold beside front.body_bytes_total: an ordinary request */
	PIECE_OCTETS = 128,    /* what evhttp needs for a header field or a chunk, beside its octets */
	TOLD_MS = 2000,        /* for a peer to read why it was turned away, and to go by itself */
};

/*
 * evhttp asks for the address of each peer as text.  glibc's function opens a socket to name the interface of a
 * link-local one; the front may not open sockets, and anybody on the same link could end it.  Numbers are all that is
 * wanted, so this function takes the place of glibc's in a program that is linked with this file.
 */
int
getnameinfo(const struct sockaddr *address, socklen_t address_size, char *host, socklen_t host_size, char *service,
	    socklen_t service_size, int flags)
{
	if (address->sa_family != AF_INET && address->sa_family != AF_INET6)
		return EAI_FAMILY;
	if (host != NULL)
		net_limit_text(address, host, host_size);
	if (service != NULL) /* the port is at the same place in both */
		snprintf(service, service_size, "%u",
			 ntohs(((const struct sockaddr_in *)(const void *)address)->sin_port));
	return 0;
}

/* ---- listeners -------------------------------------------------------------------------------------------------- */

void
net_http_conn_accept_more(struct net_http *http, bool on)
{
	for (struct net_http_side *side = http->sides; side < http->sides + NET_HTTP_KINDS; side++) {
		for (size_t i = 0; i < side->count; i++) {
			struct evconnlistener *listener = evhttp_bound_socket_get_listener(side->listeners[i]);

			if (on)
				evconnlistener_enable(listener);
			else
				evconnlistener_disable(listener);
		}
	}
}

void
net_http_conn_pause_over(void *arg)
{
	net_http_conn_accept_more(arg, true);
}

static void
on_accept_error(struct evconnlistener *listener, void *arg)
{
	struct net_http_side *side = arg;
	int cause = errno;

	log_event(FAILURE, log_text("accept a connection"), log_text(err_name(ERR_IO)), (unsigned)cause,
		  log_text(strerror(cause)));
	net_http_conn_accept_more(side->http, false);
	loop_timer_set(side->http->pause, ACCEPT_PAUSE_MS);
}

void
net_http_conn_watch_errors(struct evhttp_bound_socket *bound)
{
	evconnlistener_set_error_cb(evhttp_bound_socket_get_listener(bound), on_accept_error);
}

/* ---- what a request takes until it is answered ---------------------------------------------------------------- */

static size_t
counted(size_t held)
{
	return held > FREE_OCTETS ? held - FREE_OCTETS : 0;
}

/* Notes how much the connection holds now; false when all together hold too much. */
static bool
hold(struct net_http_conn *conn, size_t now)
{
	size_t before = counted(conn->held);

	conn->held = now;
	return before == counted(now) || net_limit_hold(conn->http->limit, before, counted(now)) ||
	       counted(now) < before;
}

void
net_http_conn_release(struct net_limit *limit, size_t held)
{
	if (counted(held) > 0)
		(void)net_limit_hold(limit, counted(held), 0);
}

/* How far the bufferevent may read ahead of evhttp. */
static void
set_read_ahead(struct net_http_conn *conn, struct bufferevent *bev, bool for_request)
{
	const struct config *conf = &conn->http->conf;
	size_t request = (size_t)conf->front_body_bytes + (size_t)conf->front_header_bytes;

	bufferevent_setwatermark(bev, EV_READ, 0, (for_request ? request : 0) + READ_SLACK);
}

static void
watch_head(struct net_http_conn *conn, struct evbuffer *in, size_t from)
{
	struct evbuffer_iovec piece;
	struct evbuffer_ptr at;

	while (conn->refused == 0 && !conn->head.is_over && from < evbuffer_get_length(in) &&
	       evbuffer_ptr_set(in, &at, from, EVBUFFER_PTR_SET) == 0 && evbuffer_peek(in, -1, &at, &piece, 1) > 0) {
		conn->refused = net_head_feed(&conn->head, (struct bytes){piece.iov_base, piece.iov_len},
					      &conn->http->conf, &conn->refused_text);
		from += piece.iov_len;
	}
}

void
net_http_conn_wait(struct net_http_conn *conn)
{
	set_read_ahead(conn, evhttp_connection_get_bufferevent(conn->ev), false);
}

void
net_http_conn_next(struct net_http_conn *conn)
{
	struct bufferevent *bev = evhttp_connection_get_bufferevent(conn->ev);
	struct evbuffer *in = bufferevent_get_input(bev);

	memset(&conn->head, 0, sizeof(conn->head));
	conn->refused = 0;
	(void)hold(conn, evbuffer_get_length(in));
	watch_head(conn, in, 0);
	set_read_ahead(conn, bev, true);
}

/* ---- peers that are turned away before their request is complete ----------------------------------------------- */

static void
on_leftover(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);

	evbuffer_drain(in, evbuffer_get_length(in));
}

static void
on_told(struct bufferevent *bev, void *arg)
{
	struct net_http_conn *conn = arg;

	loop_timer_set(conn->deadline, TOLD_MS);
}

static void
on_left(struct bufferevent *bev, short what, void *arg)
{
	struct net_http_conn *conn = arg;

	evhttp_connection_free(conn->ev);
}

static const char *
reason_of(int status)
{
	switch (status) {
	case 414:
		return "URI Too Long";
	case 431:
		return "Request Header Fields Too Large";
	case HTTP_SERVUNAVAIL:
		return "Service Unavailable";
	default:
		return "Bad Request";
	}
}

/*
 * Answers in evhttp's place, which waits for the rest of the request.  What still comes is thrown away instead of left
 * unread, because closing then would take the answer away from the peer as well.
 */
static void
turn_away(struct net_http_conn *conn)
{
	struct bufferevent *bev = evhttp_connection_get_bufferevent(conn->ev);

	conn->is_turned_away = true;
	log_event(HTTP_REFUSED, conn->peer, conn->refused, log_text(conn->refused_text));
	bufferevent_setcb(bev, on_leftover, on_told, on_left, conn);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	loop_timer_set(conn->deadline, (int64_t)conn->http->conf.front_answer_s * 1000);
	evbuffer_add_printf(bufferevent_get_output(bev),
			    "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n%s"
			    "Connection: close\r\n\r\n%s\n",
			    conn->refused, reason_of(conn->refused), strlen(conn->refused_text) + 1,
			    conn->refused == HTTP_SERVUNAVAIL ? "Retry-After: " NET_HTTP_RETRY_AFTER "\r\n" : "",
			    conn->refused_text);
}

/* Sees all that arrives before evhttp does, and what evhttp takes. */
static void
on_input(struct evbuffer *in, const struct evbuffer_cb_info *info, void *arg)
{
	struct net_http_conn *conn = arg;
	size_t held = conn->held + info->n_added;

	if (conn->is_turned_away) {
		(void)hold(conn, held > info->n_deleted ? held - info->n_deleted : 0);
		return;
	}
	if (info->n_added == 0) {
		(void)hold(conn, held + PIECE_OCTETS);
		return;
	}
	if (!hold(conn, held) && conn->refused == 0) {
		conn->refused = HTTP_SERVUNAVAIL;
		conn->refused_text = "requests take all of front.body_bytes_total; try again";
	}
	/* What arrives behind a request that is being answered is looked at by net_http_conn_next(). */
	if (conn->request != NULL || conn->sending != NULL)
		return;
	watch_head(conn, in, info->orig_size);
	if (conn->refused != 0 && conn->ev != NULL)
		turn_away(conn);
}

/* ---- connections ------------------------------------------------------------------------------------------------ */

int
net_http_tls_use(enum net_http_kind kind)
{
	return kind == NET_HTTP_REGISTRATION ? TLS_REGISTRATION : TLS_FRONT;
}

struct bufferevent *
net_http_conn_new(struct event_base *base, void *arg)
{
	struct net_http_side *side = arg;
	struct net_http *http = side->http;
	struct net_http_conn *conn = calloc(1, sizeof(*conn));
	struct bufferevent *bev = NULL;

	if (conn != NULL && side->kind != NET_HTTP_PLAIN)
		bev = net_tls_accept(http->contexts[net_http_tls_use(side->kind)], side->kind != NET_HTTP_TLS, base);
	else if (conn != NULL)
		bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	if (bev == NULL) {
		/* Out of memory.  evhttp makes a bufferevent itself; on_request() refuses what has no conn. */
		free(conn);
		return NULL;
	}
	conn->http = http;
	if (evbuffer_add_cb(bufferevent_get_input(bev), on_input, conn) == NULL) {
		bufferevent_free(bev);
		free(conn);
		return NULL;
	}
	set_read_ahead(conn, bev, true);
	bufferevent_incref(bev);
	conn->bev = bev;
	conn->fd = -1;
	conn->kind = side->kind;
	list_append(&http->fresh, &conn->link);
	event_active(http->tidy, 0, 0);
	if (++http->fresh_count >= FRESH_MAX)
		net_http_conn_accept_more(http, false);
	return bev;
}

static void
conn_free(struct net_http_conn *conn)
{
	list_remove(&conn->link);
	loop_timer_free(conn->deadline);
	free(conn);
}

struct net_http_conn *
net_http_conn_find(const struct net_http *http, int fd)
{
	return fd >= 0 && (size_t)fd < http->fd_limit ? http->by_fd[fd] : NULL;
}

/* evhttp answers by itself what it cannot read; only here can that be seen, when the first line of it is written. */
static void
on_output(struct evbuffer *out, const struct evbuffer_cb_info *info, void *arg)
{
	static const size_t status_at = sizeof("HTTP/1.1 ") - 1;
	const struct net_http_conn *conn = arg;
	char line[16] = "";
	long status;

	if (conn->request != NULL || conn->sending != NULL || conn->is_turned_away || info->orig_size != 0 ||
	    evbuffer_copyout(out, line, sizeof(line) - 1) < (ev_ssize_t)status_at + 3)
		return;
	status = strtol(line + status_at, NULL, 10);
	if (status >= HTTP_BADREQUEST) /* not 100 (Continue) */
		log_event(HTTP_REFUSED, conn->peer, (int)status,
			  log_text(status == HTTP_ENTITYTOOLARGE
					   ? "the body is longer than front.body_bytes (maxAllowedContentLength)"
					   : "no HTTP"));
}

/* The one way out of a connection that was counted: evhttp is about to free it. */
static void
on_closed(struct evhttp_connection *ev, void *arg)
{
	struct net_http_conn *conn = arg;
	struct net_http *http = conn->http;

	evbuffer_remove_cb(bufferevent_get_output(evhttp_connection_get_bufferevent(ev)), on_output, conn);
	evbuffer_remove_cb(bufferevent_get_input(evhttp_connection_get_bufferevent(ev)), on_input, conn);
	if (conn->kind != NET_HTTP_PLAIN)
		net_tls_goodbye(evhttp_connection_get_bufferevent(ev));
	net_limit_leave(http->limit, &conn->key);
	http->by_fd[conn->fd] = NULL;
	if (conn->request != NULL) {
		conn->request->conn = NULL;
		conn->request->held = conn->held;
		http->busy--;
	} else {
		net_http_conn_release(http->limit, conn->held);
	}
	list_remove(&conn->link);
	if (conn->sending == NULL) {
		conn_free(conn);
		return;
	}
	/* evhttp still has the request in its list; it takes it out after this, but does not free it. */
	http->busy--;
	loop_timer_set(conn->deadline, -1);
	list_append(&http->graves, &conn->link);
	event_active(http->tidy, 0, 0);
}

static void
on_deadline(void *arg)
{
	struct net_http_conn *conn = arg;

	if (!conn->is_turned_away)
		log_event(CONNECTION_CLOSED, conn->peer,
			  conn->sending != NULL ? "answer not read in time" : "no request in time");
	evhttp_connection_free(conn->ev);
}

/* Counts a connection and arms its deadline; false when it has to be closed. */
static bool
conn_admit(struct net_http_conn *conn)
{
	struct net_http *http = conn->http;
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);
	int rc;

	if (http->is_stopping || getpeername(conn->fd, (struct sockaddr *)&address, &size) != 0)
		return false;
	conn->key = net_limit_key((struct sockaddr *)&address);
	net_limit_text((struct sockaddr *)&address, conn->peer, sizeof(conn->peer));
	if (loop_timer_new(http->loop, on_deadline, conn, &conn->deadline) != 0)
		return false;
	rc = (size_t)conn->fd < http->fd_limit ? net_limit_enter(http->limit, &conn->key) : ERR_BUSY;
	if (rc != 0) {
		log_event(CONNECTION_REFUSED, conn->peer,
			  log_text(rc == ERR_LIMIT ? "too many of this address" : "too many connections"));
		return false;
	}
	http->by_fd[conn->fd] = conn;
	loop_timer_set(conn->deadline, (int64_t)http->conf.front_idle_s * 1000);
	return true;
}

static void
conn_attach(struct net_http_conn *conn)
{
	struct bufferevent *bev = TAKE(conn->bev);
	void *ev = NULL;

	list_remove(&conn->link);
	conn->http->fresh_count--;
	bufferevent_getcb(bev, NULL, NULL, NULL,
			  &ev); /* evhttp's own argument is its connection; NULL: freed already */
	conn->ev = ev;
	conn->fd = bufferevent_getfd(bev);
	if (conn->ev != NULL && conn_admit(conn)) {
		list_append(&conn->http->conns, &conn->link);
		evhttp_connection_set_closecb(conn->ev, on_closed, conn);
		/* Without memory for it nothing but a log line is missing. */
		(void)evbuffer_add_cb(bufferevent_get_output(bev), on_output, conn);
	} else {
		evbuffer_remove_cb(bufferevent_get_input(bev), on_input, conn);
		net_http_conn_release(conn->http->limit, conn->held);
		if (conn->ev != NULL)
			evhttp_connection_free(conn->ev);
		conn_free(conn);
	}
	bufferevent_decref(bev);
}

static void
bury(struct net_http *http)
{
	struct list *pos;
	struct list *next;

	list_each (pos, next, &http->graves) {
		struct net_http_conn *conn = list_entry(pos, struct net_http_conn, link);

		evhttp_request_free(conn->sending);
		conn_free(conn);
	}
}

void
net_http_conn_tidy(int fd, short what, void *arg)
{
	struct net_http *http = arg;
	int64_t start_us = clock_mono_us();
	bool was_paused = http->fresh_count >= FRESH_MAX;
	struct list *pos;
	struct list *next;

	list_each (pos, next, &http->fresh)
		conn_attach(list_entry(pos, struct net_http_conn, link));
	bury(http);
	if (was_paused && !http->is_stopping)
		net_http_conn_accept_more(http, true);
	loop_account(http->loop, start_us, "new connections");
}
