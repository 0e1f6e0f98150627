#include "net/http_conn.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>

#include <errno.h>
#include <stdio.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "board/base/clock.h"
#include "board/base/log.h"
#include "net/rule.h"
#include "net/tls.h"

enum { FDS_MAX = 1 << 20, HEADER_SLACK = 65536 };

/* ---- listeners -------------------------------------------------------------------------------------------------- */

int
net_http_listen(struct net_http *http, int fd, enum net_http_kind kind, struct err *e)
{
	struct net_http_side *side = &http->sides[kind];
	struct evhttp_bound_socket *bound;
	int is_listening = 0;
	socklen_t size = sizeof(is_listening);

	BUG_ON(kind != NET_HTTP_PLAIN && http->contexts[net_http_tls_use(kind)] == NULL);
	if (side->count == NET_HTTP_LISTENERS_MAX)
		return err_set(e, ERR_IO, 0, "more than %d listeners", NET_HTTP_LISTENERS_MAX);
	if (evutil_make_socket_nonblocking(fd) != 0)
		return err_set(e, ERR_IO, (uint32_t)errno, "make a listening socket non-blocking");
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) != 0 ||
	    (!is_listening && listen(fd, http->conf.front_backlog) != 0))
		return err_set(e, ERR_IO, (uint32_t)errno, "listen");
	bound = evhttp_accept_socket_with_handle(side->ev, fd);
	if (bound == NULL)
		return err_set(e, ERR_NOMEM, 0, "accept connections");
	net_http_conn_watch_errors(bound);
	side->listeners[side->count++] = bound;
	return 0;
}

void
net_http_set_tls(struct net_http *http, int use, SSL_CTX *context)
{
	SSL_CTX_up_ref(context);
	SSL_CTX_free(http->contexts[use]);
	http->contexts[use] = context;
}

static void
close_listeners(struct net_http *http)
{
	for (struct net_http_side *side = http->sides; side < http->sides + NET_HTTP_KINDS; side++) {
		while (side->count > 0)
			evhttp_del_accept_socket(side->ev, side->listeners[--side->count]);
	}
}

/* ---- requests and answers --------------------------------------------------------------------------------------- */

static void
on_sent(struct evhttp_request *ev, void *arg)
{
	struct net_http_conn *conn = arg;

	conn->sending = NULL; /* evhttp frees it now */
	conn->http->busy--;
	net_http_conn_next(conn);
	loop_timer_set(conn->deadline, conn->http->is_stopping ? 0 : (int64_t)conn->http->conf.front_idle_s * 1000);
}

static void
put_header(struct evhttp_request *ev, const char *name, const char *value)
{
	if (evhttp_add_header(evhttp_request_get_output_headers(ev), name, value) != 0)
		log_event(FAILURE, log_text("write a header field"), log_text(err_name(ERR_NOMEM)), 0, log_text(name));
}

static void
put_headers(struct evhttp_request *ev, const struct net_http_answer *answer, const char *type, size_t body_len)
{
	char length[24];

	if (type != NULL)
		put_header(ev, "Content-Type", type);
	for (size_t i = 0; i < NET_HTTP_HEADERS_MAX && answer->headers[i].name != NULL; i++)
		put_header(ev, answer->headers[i].name, answer->headers[i].value);
	snprintf(length, sizeof(length), "%zu", body_len);
	if (answer->status != 304)
		put_header(ev, "Content-Length", length);
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
	struct net_http_work *request = (struct net_http_work *)public;
	const char *type = answer->page != NULL ? answer->page->type : answer->type;
	size_t body_len = answer->page != NULL ? answer->page->body.len : answer->body.len;
	bool has_body = public->method != NET_HTTP_HEAD && answer->status != 304;
	struct net_http_conn *conn = request->conn;
	struct evhttp_request *ev = request->ev;
	struct evbuffer *body = NULL;

	if (conn == NULL)
		net_http_conn_release(request->limit, request->held);
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
		put_header(ev, "Connection", "close");
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
	const struct net_http_work *request = (const struct net_http_work *)public;

	return evhttp_find_header(evhttp_request_get_input_headers(request->ev), name);
}

void
net_http_wipe_header(struct net_http_request *public, const char *name)
{
	struct net_http_work *request = (struct net_http_work *)public;
	struct evkeyval *field;

	for (field = evhttp_request_get_input_headers(request->ev)->tqh_first; field != NULL;
	     field = field->next.tqe_next) {
		if (strcasecmp(field->key, name) == 0)
			explicit_bzero(field->value, strlen(field->value));
	}
}

void
net_http_certificate(const struct net_http_request *public, struct buf *out)
{
	const struct net_http_work *request = (const struct net_http_work *)public;

	if (request->conn != NULL && (public->kind == NET_HTTP_ADMIN || public->kind == NET_HTTP_REGISTRATION))
		net_tls_certificate(evhttp_connection_get_bufferevent(request->conn->ev), out);
}

void
net_http_certificates(const struct net_http_request *public, struct buf *out, struct msg_list *ret_list)
{
	const struct net_http_work *request = (const struct net_http_work *)public;

	if (request->conn != NULL && public->kind == NET_HTTP_REGISTRATION)
		net_tls_certificates(evhttp_connection_get_bufferevent(request->conn->ev), out, ret_list);
}

/* Fields that say how long the body is. */
static size_t
count_frame_fields(const struct evkeyvalq *fields)
{
	const struct evkeyval *field;
	size_t count = 0;

	for (field = fields->tqh_first; field != NULL; field = field->next.tqe_next)
		count += strcasecmp(field->key, "Content-Length") == 0 ||
			 strcasecmp(field->key, "Transfer-Encoding") == 0;
	return count;
}

/*
 * True when the request claims to be of a version that is not served: evhttp takes HTTP/0.1 and HTTP/1.77, and would
 * answer in the same (RFC 9110 2.5, 15.6.6).
 */
static bool
is_version_odd(struct evhttp_request *ev)
{
	if (ev->major == 1 && (ev->minor == 0 || ev->minor == 1))
		return false;
	ev->major = 1;
	ev->minor = 1;
	return true;
}

/* True when the request must not reach the handler; it was answered then. */
static bool
refuse(struct net_http_work *request)
{
	struct evkeyvalq *in = evhttp_request_get_input_headers(request->ev);
	struct net_http_answer answer = {.type = "text/plain", .headers = {{"Connection", "close"}}};
	struct net_rule_request rule = {
		.target = request->public.target,
		.content_length = evhttp_find_header(in, "Content-Length"),
		.transfer_encoding = evhttp_find_header(in, "Transfer-Encoding"),
		.frame_fields = count_frame_fields(in),
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
	answer.status = request->conn->refused;
	text = request->conn->refused_text;
	if (is_version_odd(request->ev) && answer.status == 0) {
		answer.status = 505;
		text = "only HTTP/1.0 and HTTP/1.1 are served";
	}
	if (answer.status == 0)
		answer.status = net_rule_check(&rule, &request->conn->http->conf, &text);
	if (answer.status == 0)
		return false;
	log_event(HTTP_REFUSED, request->public.peer, answer.status, log_text(text));
	if (answer.status == HTTP_SERVUNAVAIL) {
		answer.headers[1].name = "Retry-After";
		answer.headers[1].value = NET_HTTP_RETRY_AFTER;
	}
	answer.body = bytes_of_text(text);
	net_http_answer(&request->public, &answer);
	return true;
}

static void
dispatch(struct net_http_conn *conn, struct evhttp_request *ev)
{
	struct net_http *http = conn->http;
	struct evbuffer *input = evhttp_request_get_input_buffer(ev);
	size_t len = evbuffer_get_length(input);
	struct net_http_work *request = calloc(1, sizeof(*request));

	if (request == NULL || (len > 0 && evbuffer_pullup(input, -1) == NULL)) {
		free(request);
		evhttp_connection_free(conn->ev);
		return;
	}
	evhttp_request_own(ev);
	request->ev = ev;
	request->limit = http->limit;
	request->conn = conn;
	request->public.target = bytes_of_text(evhttp_request_get_uri(ev));
	request->public.body = (struct bytes){len > 0 ? evbuffer_pullup(input, -1) : NULL, len};
	request->public.kind = conn->kind;
	snprintf(request->public.peer, sizeof(request->public.peer), "%s", conn->peer);
	conn->request = request;
	http->busy++;
	net_http_conn_wait(conn);
	loop_timer_set(conn->deadline, -1);
	if (!refuse(request))
		http->fn(&request->public, http->arg);
}

static void
on_request(struct evhttp_request *ev, void *arg)
{
	struct net_http_side *side = arg;
	struct net_http *http = side->http;
	struct loop *loop = http->loop;
	int64_t start_us = clock_mono_us();
	int fd = bufferevent_getfd(evhttp_connection_get_bufferevent(evhttp_request_get_connection(ev)));
	bool was_fresh = net_http_conn_find(http, fd) == NULL && !list_empty(&http->fresh);
	struct net_http_conn *conn;

	if (was_fresh)
		net_http_conn_tidy(-1, 0, http);
	conn = net_http_conn_find(http, fd);
	if (conn != NULL && !conn->is_turned_away)
		dispatch(conn, ev);
	else if (conn == NULL && !was_fresh)
		evhttp_send_error(ev, HTTP_SERVUNAVAIL, NULL); /* see net_http_conn_new() */
	loop_account(loop, start_us, "request");
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

static int
side_init(struct net_http *http, enum net_http_kind kind)
{
	struct net_http_side *side = &http->sides[kind];

	side->http = http;
	side->kind = kind;
	side->ev = evhttp_new(loop_base(http->loop));
	if (side->ev == NULL)
		return ERR_NOMEM;
	evhttp_set_bevcb(side->ev, net_http_conn_new, side);
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
	http->by_fd = calloc(http->fd_limit, sizeof(struct net_http_conn *));
	http->tidy = event_new(loop_base(loop), -1, 0, net_http_conn_tidy, http);
	if (http->tidy == NULL || http->by_fd == NULL)
		return ERR_NOMEM;
	rc = loop_timer_new(loop, net_http_conn_pause_over, http, &http->pause);
	for (int kind = 0; kind < NET_HTTP_KINDS && rc == 0; kind++)
		rc = side_init(http, (enum net_http_kind)kind);
	if (rc != 0)
		return rc;
	net_http_configure(http, conf);
	*ret_http = TAKE(http);
	return 0;
}

void
net_http_configure(struct net_http *http, const struct config *conf)
{
	http->conf = *conf;
	for (struct net_http_side *side = http->sides; side < http->sides + NET_HTTP_KINDS; side++) {
		/* net/head.h comes first, and says which limit it is. */
		evhttp_set_max_headers_size(side->ev, (ev_ssize_t)conf->front_header_bytes + HEADER_SLACK);
		evhttp_set_max_body_size(side->ev, conf->front_body_bytes);
		/* Only for what net_http_conn_new() could not take on; the deadlines of the others are shorter. */
		evhttp_set_timeout(side->ev, conf->front_idle_s + conf->front_answer_s);
	}
}

void
net_http_stop(struct net_http *http)
{
	struct list *pos;
	struct list *next;

	http->is_stopping = true;
	close_listeners(http);
	list_each (pos, next, &http->conns) {
		struct net_http_conn *conn = list_entry(pos, struct net_http_conn, link);

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
	close_listeners(http);
	if (http->tidy != NULL)
		net_http_conn_tidy(-1, 0, http);
	for (struct net_http_side *side = http->sides; side < http->sides + NET_HTTP_KINDS; side++) {
		if (side->ev != NULL)
			evhttp_free(side->ev);
	}
	if (http->tidy != NULL) {
		net_http_conn_tidy(-1, 0, http);
		event_free(http->tidy);
	}
	loop_timer_free(http->pause);
	for (int use = 0; use < TLS_USES; use++)
		SSL_CTX_free(http->contexts[use]);
	free(http->by_fd);
	free(http);
}
