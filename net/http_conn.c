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
	for (struct net_http_side *side = http->sides; side < http->sides + NET_HTTP_SIDES; side++) {
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

/* ---- connections ------------------------------------------------------------------------------------------------ */

struct bufferevent *
net_http_conn_new(struct event_base *base, void *arg)
{
	struct net_http_side *side = arg;
	struct net_http *http = side->http;
	struct net_http_conn *conn = calloc(1, sizeof(*conn));
	struct bufferevent *bev = NULL;

	if (conn != NULL && side->is_tls)
		bev = net_tls_accept(http->context, base);
	else if (conn != NULL)
		bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	if (bev == NULL) {
		/* Out of memory.  evhttp makes a bufferevent itself; on_request() refuses what has no conn. */
		free(conn);
		return NULL;
	}
	/* One that sends on while it should read its answer is not read without end. */
	bufferevent_setwatermark(bev, EV_READ, 0,
				 (size_t)(http->conf.front_body_bytes + http->conf.front_header_bytes) + READ_SLACK);
	bufferevent_incref(bev);
	conn->http = http;
	conn->bev = bev;
	conn->fd = -1;
	conn->is_tls = side->is_tls;
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

	if (conn->request != NULL || conn->sending != NULL || info->orig_size != 0 ||
	    evbuffer_copyout(out, line, sizeof(line) - 1) < (ev_ssize_t)status_at + 3)
		return;
	status = strtol(line + status_at, NULL, 10);
	if (status >= HTTP_BADREQUEST) /* not 100 (Continue) */
		log_event(HTTP_REFUSED, conn->peer, (int)status,
			  log_text(status == HTTP_ENTITYTOOLARGE ? "the body is too long"
								 : "no HTTP, or the header is too long"));
}

/* The one way out of a connection that was counted: evhttp is about to free it. */
static void
on_closed(struct evhttp_connection *ev, void *arg)
{
	struct net_http_conn *conn = arg;
	struct net_http *http = conn->http;

	evbuffer_remove_cb(bufferevent_get_output(evhttp_connection_get_bufferevent(ev)), on_output, conn);
	if (conn->is_tls)
		net_tls_goodbye(evhttp_connection_get_bufferevent(ev));
	net_limit_leave(http->limit, &conn->key);
	http->by_fd[conn->fd] = NULL;
	if (conn->request != NULL) {
		conn->request->conn = NULL;
		http->busy--;
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
