#include "net/http.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <openssl/ssl.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "board/base/clock.h"
#include "board/base/list.h"
#include "board/base/log.h"
#include "net/rule.h"
#include "net/tls.h"

enum {
	LISTENERS_MAX = 16,
	FRESH_MAX = 64,        /* accepted in one go; then those are counted before the next are accepted */
	READ_SLACK = 65536,    /* read ahead of what the largest request needs */
	ACCEPT_PAUSE_MS = 100, /* after running out of descriptors */
	FDS_MAX = 1 << 20,
};

/*
 * evhttp has no hook for a new connection but the one that makes its bufferevent, when neither socket nor connection is
 * known yet.  So a connection starts in the list "fresh" with a reference to its bufferevent; as soon as the callback
 * that accepts has returned, tidy() asks the bufferevent for both, and counts the connection or closes it.
 */
struct conn {
	struct list link; /* in fresh, conns or graves */
	struct net_http *http;
	struct bufferevent *bev; /* a reference while fresh */
	struct evhttp_connection *ev;
	struct loop_timer *deadline;
	struct net_limit_key key;
	int fd;
	bool is_tls;
	char peer[64];
	struct request *request;        /* at the handler */
	struct evhttp_request *sending; /* answered; ours to free unless evhttp says that it was sent */
};

/* Owned by us, not by evhttp (evhttp_request_own()), until it is sent. */
struct request {
	struct net_http_request public; /* first member */
	struct conn *conn;              /* NULL when the peer is gone */
	struct evhttp_request *ev;
};

/* The hook cannot tell on which listener a connection came, so plain and TLS ones have an evhttp each. */
struct side {
	struct net_http *http;
	struct evhttp *ev;
	bool is_tls;
	struct evhttp_bound_socket *listeners[LISTENERS_MAX];
	size_t count;
};

struct net_http {
	struct loop *loop;
	struct net_limit *limit;
	net_http_fn fn;
	void *arg;
	struct config conf;
	struct side plain;
	struct side tls;
	SSL_CTX *context;
	struct list fresh;
	struct list conns;
	struct list graves; /* connections that ended while an answer was being sent */
	unsigned fresh_count;
	unsigned busy;
	bool is_stopping;
	struct event *tidy;
	struct loop_timer *pause;
	struct conn **by_fd; /* evhttp's requests and connections carry no pointer for us */
	size_t fd_limit;
};

/* ---- listeners -------------------------------------------------------------------------------------------------- */

static void
accept_more(struct net_http *http, bool on)
{
	struct side *sides[] = {&http->plain, &http->tls};

	for (size_t i = 0; i < http->plain.count + http->tls.count; i++) {
		struct side *side = sides[i >= http->plain.count];
		size_t number = i >= http->plain.count ? i - http->plain.count : i;
		struct evconnlistener *listener = evhttp_bound_socket_get_listener(side->listeners[number]);

		if (on)
			evconnlistener_enable(listener);
		else
			evconnlistener_disable(listener);
	}
}

static void
on_pause_over(void *arg)
{
	accept_more(arg, true);
}

/* Without a pause the loop would spin: the connection that cannot be accepted keeps the listener ready. */
static void
on_accept_error(struct evconnlistener *listener, void *arg)
{
	struct side *side = arg;
	int cause = errno;

	log_event(FAILURE, log_text("accept a connection"), log_text(err_name(ERR_IO)), (unsigned)cause,
		  log_text(strerror(cause)));
	accept_more(side->http, false);
	loop_timer_set(side->http->pause, ACCEPT_PAUSE_MS);
}

int
net_http_listen(struct net_http *http, int fd, bool is_tls, struct err *e)
{
	struct side *side = is_tls ? &http->tls : &http->plain;
	struct evhttp_bound_socket *bound;
	int is_listening = 0;
	socklen_t size = sizeof(is_listening);

	BUG_ON(is_tls && http->context == NULL);
	if (side->count == LISTENERS_MAX)
		return err_set(e, ERR_IO, 0, "more than %d listeners", LISTENERS_MAX);
	if (evutil_make_socket_nonblocking(fd) != 0)
		return err_set(e, ERR_IO, (uint32_t)errno, "make a listening socket non-blocking");
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) != 0 ||
	    (!is_listening && listen(fd, http->conf.front_backlog) != 0))
		return err_set(e, ERR_IO, (uint32_t)errno, "listen");
	bound = evhttp_accept_socket_with_handle(side->ev, fd);
	if (bound == NULL)
		return err_set(e, ERR_NOMEM, 0, "accept connections");
	evconnlistener_set_error_cb(evhttp_bound_socket_get_listener(bound), on_accept_error);
	side->listeners[side->count++] = bound;
	return 0;
}

void
net_http_set_tls(struct net_http *http, SSL_CTX *context)
{
	SSL_CTX_up_ref(context);
	SSL_CTX_free(http->context);
	http->context = context;
}

static void
close_listeners(struct side *side)
{
	while (side->count > 0)
		evhttp_del_accept_socket(side->ev, side->listeners[--side->count]);
}

/* ---- connections ------------------------------------------------------------------------------------------------ */

static struct bufferevent *
on_new_connection(struct event_base *base, void *arg)
{
	struct side *side = arg;
	struct net_http *http = side->http;
	struct conn *conn = calloc(1, sizeof(*conn));
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
		accept_more(http, false);
	return bev;
}

static void
conn_free(struct conn *conn)
{
	list_remove(&conn->link);
	loop_timer_free(conn->deadline);
	free(conn);
}

static struct conn *
conn_find(const struct net_http *http, int fd)
{
	return fd >= 0 && (size_t)fd < http->fd_limit ? http->by_fd[fd] : NULL;
}

/* The one way out of a connection that was counted: evhttp is about to free it. */
static void
on_closed(struct evhttp_connection *ev, void *arg)
{
	struct conn *conn = arg;
	struct net_http *http = conn->http;

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
	struct conn *conn = arg;

	log_event(CONNECTION_CLOSED, conn->peer,
		  conn->sending != NULL ? "answer not read in time" : "no request in time");
	evhttp_connection_free(conn->ev);
}

/* Counts a connection and arms its deadline; false when it has to be closed. */
static bool
conn_admit(struct conn *conn)
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
conn_attach(struct conn *conn)
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
	while (!list_empty(&http->graves)) {
		struct conn *conn = list_entry(http->graves.next, struct conn, link);

		evhttp_request_free(conn->sending);
		conn_free(conn);
	}
}

static void
tidy(evutil_socket_t fd, short what, void *arg)
{
	struct net_http *http = arg;
	int64_t start_us = clock_mono_us();
	bool was_paused = http->fresh_count >= FRESH_MAX;

	while (!list_empty(&http->fresh))
		conn_attach(list_entry(http->fresh.next, struct conn, link));
	bury(http);
	if (was_paused && !http->is_stopping)
		accept_more(http, true);
	loop_account(http->loop, start_us, "new connections");
}

/* ---- requests and answers --------------------------------------------------------------------------------------- */

static void
on_sent(struct evhttp_request *ev, void *arg)
{
	struct conn *conn = arg;

	conn->sending = NULL; /* evhttp frees it now */
	conn->http->busy--;
	loop_timer_set(conn->deadline, conn->http->is_stopping ? 0 : (int64_t)conn->http->conf.front_idle_s * 1000);
}

static void
put_headers(struct evhttp_request *ev, const struct net_http_answer *answer, const char *type, size_t body_len)
{
	struct evkeyvalq *out = evhttp_request_get_output_headers(ev);
	char length[24];

	if (type != NULL && evhttp_add_header(out, "Content-Type", type) != 0)
		log_event(FAILURE, log_text("write a header field"), log_text(err_name(ERR_INTERNAL)), 0,
			  log_text(type));
	for (size_t i = 0; i < NET_HTTP_HEADERS_MAX && answer->headers[i].name != NULL; i++) {
		if (evhttp_add_header(out, answer->headers[i].name, answer->headers[i].value) != 0)
			log_event(FAILURE, log_text("write a header field"), log_text(err_name(ERR_INTERNAL)), 0,
				  log_text(answer->headers[i].name));
	}
	if (answer->status == 304)
		return;
	snprintf(length, sizeof(length), "%zu", body_len);
	evhttp_add_header(out, "Content-Length", length);
}

static void
release_page(const void *data, size_t len, void *arg)
{
	net_page_free(arg);
}

static struct evbuffer *
make_body(const struct net_http_answer *answer)
{
	struct evbuffer *out = evbuffer_new();
	int rc;

	if (out == NULL || (answer->page == NULL && answer->body.len == 0))
		return out;
	if (answer->page == NULL) {
		rc = evbuffer_add(out, answer->body.data, answer->body.len);
	} else {
		rc = evbuffer_add_reference(out, answer->page->body.data, answer->page->body.len, release_page,
					    answer->page);
		if (rc == 0)
			net_page_ref(answer->page);
	}
	if (rc != 0) {
		evbuffer_free(out);
		return NULL;
	}
	return out;
}

void
net_http_answer(struct net_http_request *public, const struct net_http_answer *answer)
{
	struct request *request = (struct request *)public;
	const char *type = answer->page != NULL ? answer->page->type : answer->type;
	size_t body_len = answer->page != NULL ? answer->page->body.len : answer->body.len;
	bool has_body = public->method != NET_HTTP_HEAD && answer->status != 304;
	struct conn *conn = request->conn;
	struct evhttp_request *ev = request->ev;
	struct evbuffer *body = NULL;

	free(request);
	if (conn == NULL) {
		evhttp_request_free(ev); /* the peer is gone; evhttp has forgotten the request */
		return;
	}
	conn->request = NULL;
	conn->sending = ev;
	if (has_body && body_len > 0) {
		body = make_body(answer);
		if (body == NULL) {
			evhttp_connection_free(conn->ev);
			return;
		}
	}
	put_headers(ev, answer, type, body_len);
	if (conn->http->is_stopping)
		evhttp_add_header(evhttp_request_get_output_headers(ev), "Connection", "close");
	loop_timer_set(conn->deadline, (int64_t)conn->http->conf.front_answer_s * 1000);
	evhttp_request_set_on_complete_cb(ev, on_sent, conn);
	evhttp_send_reply(ev, answer->status, NULL, body);
	if (body != NULL)
		evbuffer_free(body);
}

void
net_http_answer_text(struct net_http_request *request, int status, const char *line)
{
	struct net_http_answer answer = {.status = status, .type = "text/plain"};
	char text[256];
	int len = snprintf(text, sizeof(text), "%s\n", line);

	answer.body = (struct bytes){(const uint8_t *)text, len < (int)sizeof(text) ? (size_t)len : sizeof(text) - 1};
	net_http_answer(request, &answer);
}

const char *
net_http_header(const struct net_http_request *public, const char *name)
{
	const struct request *request = (const struct request *)public;

	return evhttp_find_header(evhttp_request_get_input_headers(request->ev), name);
}

/* True when the request must not reach the handler; it was answered then. */
static bool
refuse(struct request *request)
{
	struct evkeyvalq *in = evhttp_request_get_input_headers(request->ev);
	struct net_http_answer answer = {.type = "text/plain", .headers = {{"Connection", "close"}}};
	struct net_rule_request rule = {
		.target = request->public.target,
		.content_length = evhttp_find_header(in, "Content-Length"),
		.transfer_encoding = evhttp_find_header(in, "Transfer-Encoding"),
	};
	const char *text = NULL;

	switch (evhttp_request_get_command(request->ev)) {
	case EVHTTP_REQ_GET:
		rule.method = "GET";
		break;
	case EVHTTP_REQ_HEAD:
		rule.method = "HEAD";
		request->public.method = NET_HTTP_HEAD;
		break;
	case EVHTTP_REQ_POST:
		rule.method = "POST";
		request->public.method = NET_HTTP_POST;
		break;
	default:
		answer.headers[1].name = "Allow";
		answer.headers[1].value = "GET, HEAD, POST";
		break;
	}
	answer.status = net_rule_check(&rule, &request->conn->http->conf, &text);
	if (answer.status == 0)
		return false;
	answer.body = bytes_of_text(text);
	net_http_answer(&request->public, &answer);
	return true;
}

static void
dispatch(struct conn *conn, struct evhttp_request *ev)
{
	struct net_http *http = conn->http;
	struct evbuffer *input = evhttp_request_get_input_buffer(ev);
	size_t len = evbuffer_get_length(input);
	struct request *request = calloc(1, sizeof(*request));

	if (request == NULL || (len > 0 && evbuffer_pullup(input, -1) == NULL)) {
		free(request);
		evhttp_connection_free(conn->ev);
		return;
	}
	evhttp_request_own(ev);
	request->ev = ev;
	request->conn = conn;
	request->public.target = bytes_of_text(evhttp_request_get_uri(ev));
	request->public.body = (struct bytes){len > 0 ? evbuffer_pullup(input, -1) : NULL, len};
	request->public.is_tls = conn->is_tls;
	snprintf(request->public.peer, sizeof(request->public.peer), "%s", conn->peer);
	conn->request = request;
	http->busy++;
	loop_timer_set(conn->deadline, -1);
	if (!refuse(request))
		http->fn(&request->public, http->arg);
}

static void
on_request(struct evhttp_request *ev, void *arg)
{
	struct side *side = arg;
	struct net_http *http = side->http;
	struct loop *loop = http->loop;
	int64_t start_us = clock_mono_us();
	int fd = bufferevent_getfd(evhttp_connection_get_bufferevent(evhttp_request_get_connection(ev)));
	bool was_fresh = conn_find(http, fd) == NULL && !list_empty(&http->fresh);

	if (was_fresh)
		tidy(-1, 0, http);
	if (conn_find(http, fd) != NULL)
		dispatch(conn_find(http, fd), ev);
	else if (!was_fresh)
		evhttp_send_error(ev, HTTP_SERVUNAVAIL, NULL); /* see on_new_connection() */
	loop_account(loop, start_us, "request");
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

static int
side_init(struct net_http *http, struct side *side, bool is_tls)
{
	side->http = http;
	side->is_tls = is_tls;
	side->ev = evhttp_new(loop_base(http->loop));
	if (side->ev == NULL)
		return ERR_NOMEM;
	evhttp_set_bevcb(side->ev, on_new_connection, side);
	evhttp_set_gencb(side->ev, on_request, side);
	evhttp_set_allowed_methods(side->ev, 0xffff); /* refuse() answers 405; evhttp's own is a page with 501 */
	evhttp_set_default_content_type(side->ev, NULL);
	return evhttp_set_flags(side->ev, EVHTTP_SERVER_LINGERING_CLOSE) == 0 ? 0 : ERR_INTERNAL;
}

int
net_http_new(struct loop *loop, const struct config *conf, struct net_limit *limit, net_http_fn fn, void *arg,
	     struct net_http **ret_http)
{
	AUTO_STRUCT(net_http) http = calloc(1, sizeof(*http));
	struct rlimit files;
	int rc;

	if (http == NULL)
		return ERR_NOMEM;
	http->loop = loop;
	http->limit = limit;
	http->fn = fn;
	http->arg = arg;
	list_init(&http->fresh);
	list_init(&http->conns);
	list_init(&http->graves);
	http->fd_limit = getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < FDS_MAX ? files.rlim_cur : FDS_MAX;
	http->by_fd = calloc(http->fd_limit, sizeof(struct conn *));
	http->tidy = event_new(loop_base(loop), -1, 0, tidy, http);
	if (http->tidy == NULL || http->by_fd == NULL)
		return ERR_NOMEM;
	rc = loop_timer_new(loop, on_pause_over, http, &http->pause);
	if (rc == 0)
		rc = side_init(http, &http->plain, false);
	if (rc == 0)
		rc = side_init(http, &http->tls, true);
	if (rc != 0)
		return rc;
	net_http_configure(http, conf);
	*ret_http = TAKE(http);
	return 0;
}

void
net_http_configure(struct net_http *http, const struct config *conf)
{
	struct side *sides[] = {&http->plain, &http->tls};

	http->conf = *conf;
	for (size_t i = 0; i < ARRAY_SIZE(sides); i++) {
		evhttp_set_max_headers_size(sides[i]->ev, conf->front_header_bytes);
		evhttp_set_max_body_size(sides[i]->ev, conf->front_body_bytes);
		/* Only for what on_new_connection() could not take on; the deadlines of the others are shorter. */
		evhttp_set_timeout(sides[i]->ev, conf->front_idle_s + conf->front_answer_s);
	}
}

void
net_http_stop(struct net_http *http)
{
	struct list *pos;
	struct list *next;

	http->is_stopping = true;
	close_listeners(&http->plain);
	close_listeners(&http->tls);
	list_each (pos, next, &http->conns) {
		struct conn *conn = list_entry(pos, struct conn, link);

		if (conn->request == NULL && conn->sending == NULL)
			evhttp_connection_free(conn->ev);
	}
}

unsigned
net_http_busy(const struct net_http *http)
{
	return http->busy;
}

void
net_http_free(struct net_http *http)
{
	if (http == NULL)
		return;
	http->is_stopping = true;
	close_listeners(&http->plain);
	close_listeners(&http->tls);
	while (!list_empty(&http->fresh))
		conn_attach(list_entry(http->fresh.next, struct conn, link));
	if (http->plain.ev != NULL)
		evhttp_free(http->plain.ev);
	if (http->tls.ev != NULL)
		evhttp_free(http->tls.ev);
	bury(http);
	if (http->tidy != NULL)
		event_free(http->tidy);
	loop_timer_free(http->pause);
	SSL_CTX_free(http->context);
	free(http->by_fd);
	free(http);
}
