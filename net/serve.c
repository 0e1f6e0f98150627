#include "net/serve.h"

#include <unistd.h>

#include "board/base/clock.h"
#include "board/base/log.h"
#include "board/msg.h"
#include "net/http.h"
#include "net/identity.h"
#include "net/ocspkeep.h"
#include "net/pkiop.h"
#include "net/route.h"
#include "net/tlskeep.h"

enum { LISTENERS_MAX = 32, STOP_MS = 5000, STOP_POLL_MS = 20 };

struct net_serve {
	unsigned index;
	struct loop *loop;
	struct config conf;
	struct net_serve_events events;
	struct net_http *http;
	struct net_pkiop_set *operations;
	struct net_ocspkeep *ocsp;
	struct net_tlskeep *keep[TLS_USES]; /* loop 0 alone, and the second only with such listeners */
	struct ipc *authority;
	struct ipc *signer;
	struct net_identity *identity;
	struct net_page *crl[CA_GENERATIONS];
	struct net_page *delta[CA_GENERATIONS];
	struct {
		int kind;
		int fd; /* -1 once it accepts */
	} listeners[LISTENERS_MAX];
	size_t listener_count;
	bool is_started;
	bool has_tls[TLS_USES];
	struct loop_timer *stop_timer;
	int64_t stop_by_ms;
};

/* ---- requests --------------------------------------------------------------------------------------------------- */

static void
on_request(struct net_http_request *request, void *arg)
{
	struct net_serve *serve = arg;
	struct net_route route = {
		.conf = &serve->conf,
		.identity = serve->identity,
		.crl = serve->crl,
		.delta = serve->delta,
		.ocsp = serve->ocsp,
		.operations = serve->operations,
		.authority = serve->authority,
		.signer_is_there = serve->signer != NULL,
	};

	net_route_request(&route, request);
}

/* ---- listeners -------------------------------------------------------------------------------------------------- */

static enum net_http_kind
http_kind(int kind)
{
	if (kind == LISTEN_ADMIN)
		return NET_HTTP_ADMIN;
	if (kind == LISTEN_REGISTRATION)
		return NET_HTTP_REGISTRATION;
	return kind == LISTEN_HTTPS ? NET_HTTP_TLS : NET_HTTP_PLAIN;
}

/* Has this kind of listener the certificate that it shows? */
static bool
may_listen(const struct net_serve *serve, enum net_http_kind kind)
{
	return kind == NET_HTTP_PLAIN || serve->has_tls[kind == NET_HTTP_REGISTRATION ? TLS_REGISTRATION : TLS_FRONT];
}

static void
start_listeners(struct net_serve *serve)
{
	for (size_t i = 0; i < serve->listener_count; i++) {
		enum net_http_kind kind = http_kind(serve->listeners[i].kind);
		struct err e = {0};

		if (serve->listeners[i].fd < 0 || !serve->is_started || !may_listen(serve, kind))
			continue;
		if (net_http_listen(serve->http, serve->listeners[i].fd, kind, &e) != 0) {
			log_event(FAILURE, log_text("start a listener"), log_text(err_name(e.code)), e.detail,
				  log_text(e.text));
			close(serve->listeners[i].fd);
		}
		serve->listeners[i].fd = -1;
	}
}

void
net_serve_listen(struct net_serve *serve, int kind, int fd)
{
	if (serve->listener_count == LISTENERS_MAX ||
	    (kind != LISTEN_HTTP && kind != LISTEN_HTTPS && kind != LISTEN_ADMIN && kind != LISTEN_REGISTRATION)) {
		log_event(FAILURE, log_text("take a listener"), log_text(err_name(ERR_LIMIT)), (unsigned)kind, "");
		close(fd);
		return;
	}
	serve->listeners[serve->listener_count].kind = kind;
	serve->listeners[serve->listener_count++].fd = fd;
	start_listeners(serve);
}

void
net_serve_start(struct net_serve *serve)
{
	serve->is_started = true;
	start_listeners(serve);
}

void
net_serve_set_tls(struct net_serve *serve, int use, struct ssl_ctx_st *context)
{
	net_http_set_tls(serve->http, use, context);
	serve->has_tls[use] = true;
	start_listeners(serve);
}

static void
on_tls_context(int use, struct ssl_ctx_st *context, void *arg)
{
	struct net_serve *serve = arg;

	serve->events.on_tls(use, context, serve->events.arg);
}

/* ---- what the authority sends ----------------------------------------------------------------------------------- */

static int
take_identity(struct net_serve *serve, struct bytes body, struct err *e)
{
	bool is_first = serve->identity == NULL;
	struct net_identity *identity;
	struct msg_identity message;
	int rc;

	if (msg_identity_get(body, &message) != 0)
		return err_set(e, ERR_FORMAT, 0, "the authority's identity is malformed");
	rc = net_identity_new(&message, &identity, e);
	if (rc != 0)
		return rc;
	net_pkiop_set_identity(serve->operations, identity);
	for (int use = 0; use < TLS_USES; use++)
		if (serve->keep[use] != NULL)
			net_tlskeep_set_identity(serve->keep[use], identity);
	net_identity_free(serve->identity);
	serve->identity = identity;
	if (is_first)
		serve->events.on_identity(serve->events.arg);
	return 0;
}

static int
take_crl(struct net_serve *serve, struct bytes body, struct err *e)
{
	struct net_page *page = NULL;
	struct net_page **place;
	struct msg_crl message;
	int rc = 0;

	if (msg_crl_get(body, &message) != 0 || message.generation >= CA_GENERATIONS)
		return err_set(e, ERR_FORMAT, 0, "the authority's CRL message is malformed");
	if (message.delta == 0 || message.crl.len > 0)
		rc = net_page_new("application/pkix-crl", message.crl, message.this_update, message.next_update, &page);
	if (rc != 0)
		return err_set(e, rc, 0, "keep the CRL");
	place = message.delta != 0 ? &serve->delta[message.generation] : &serve->crl[message.generation];
	net_page_free(*place);
	*place = page;
	net_pkiop_set_crl(serve->operations, message.generation, serve->crl[message.generation]);
	return 0;
}

static int
take_forget(struct net_serve *serve, struct bytes body, struct err *e)
{
	struct msg_ocsp_forget message;

	if (msg_ocsp_forget_get(body, &message) != 0)
		return err_set(e, ERR_FORMAT, 0, "the authority's word of a revocation is malformed");
	net_ocspkeep_forget(serve->ocsp, message.serial);
	return 0;
}

static void
on_message(struct ipc *ipc, struct ipc_message *message, void *arg)
{
	struct net_serve *serve = arg;
	struct err e = {0};
	int rc = 0;

	/* Anything else is a late answer: its call has timed out. */
	if (message->type == MSG_IDENTITY)
		rc = take_identity(serve, message->body, &e);
	else if (message->type == MSG_CRL)
		rc = take_crl(serve, message->body, &e);
	else if (message->type == MSG_OCSP_FORGET)
		rc = take_forget(serve, message->body, &e);
	if (rc != 0)
		log_event(IDENTITY_REFUSED, serve->index, log_text(err_name(rc)), log_text(e.text));
}

/* ---- channels --------------------------------------------------------------------------------------------------- */

static void
share_channels(struct net_serve *serve)
{
	net_pkiop_set_peers(serve->operations, serve->authority, serve->signer);
	net_ocspkeep_set_authority(serve->ocsp, serve->authority);
	for (int use = 0; use < TLS_USES; use++)
		if (serve->keep[use] != NULL)
			net_tlskeep_set_authority(serve->keep[use], serve->authority);
}

/* Operations that are open on a channel end with 503 while it is freed, and must not find it then. */
static void
drop_channel(struct net_serve *serve, struct ipc **channel)
{
	struct ipc *old = TAKE(*channel);

	share_channels(serve);
	ipc_free(old);
}

static void
on_channel_closed(struct ipc *ipc, void *arg)
{
	struct net_serve *serve = arg;

	log_event(CHANNEL_LOST, serve->index, ipc_role_name(ipc_peer(ipc)));
	drop_channel(serve, ipc == serve->signer ? &serve->signer : &serve->authority);
}

void
net_serve_peer(struct net_serve *serve, enum role peer, int fd)
{
	struct ipc_handlers handlers = {.on_message = on_message, .on_closed = on_channel_closed, .arg = serve};
	struct ipc **channel = peer == ROLE_SIGNER ? &serve->signer : &serve->authority;
	int rc = ERR_DENIED;

	if (peer == ROLE_SIGNER || peer == ROLE_AUTHORITY) {
		drop_channel(serve, channel);
		rc = ipc_new(serve->loop, fd, ROLE_FRONT, peer, &handlers, channel);
	}
	if (rc != 0) {
		log_event(FAILURE, log_text("take a channel"), log_text(err_name(rc)), (unsigned)peer, "");
		close(fd);
		return;
	}
	ipc_set_index(*channel, serve->index);
	share_channels(serve);
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

static void
on_stop_timer(void *arg)
{
	struct net_serve *serve = arg;

	if (net_http_busy(serve->http) > 0 && clock_mono_ms() < serve->stop_by_ms)
		loop_timer_set(serve->stop_timer, STOP_POLL_MS);
	else
		serve->events.on_stopped(serve->events.arg);
}

void
net_serve_stop(struct net_serve *serve)
{
	serve->is_started = false;
	net_http_stop(serve->http);
	serve->stop_by_ms = clock_mono_ms() + STOP_MS;
	loop_timer_set(serve->stop_timer, 0);
}

void
net_serve_configure(struct net_serve *serve, const struct config *conf)
{
	serve->conf = *conf;
	net_http_configure(serve->http, conf);
	net_pkiop_configure(serve->operations, conf);
	net_ocspkeep_configure(serve->ocsp, conf);
	for (int use = 0; use < TLS_USES; use++)
		if (serve->keep[use] != NULL)
			net_tlskeep_configure(serve->keep[use], conf);
}

int
net_serve_new(struct loop *loop, unsigned index, const struct config *conf, struct net_limit *limit,
	      const struct net_serve_events *events, struct net_serve **ret_serve)
{
	AUTO_STRUCT(net_serve) serve = calloc(1, sizeof(*serve));
	int rc;

	if (serve == NULL)
		return ERR_NOMEM;
	serve->loop = loop;
	serve->index = index;
	serve->conf = *conf;
	serve->events = *events;
	rc = loop_timer_new(loop, on_stop_timer, serve, &serve->stop_timer);
	if (rc == 0)
		rc = net_pkiop_set_new(conf, &serve->operations);
	if (rc == 0)
		rc = net_ocspkeep_new(conf, &serve->ocsp);
	if (rc == 0)
		rc = net_http_new(loop, conf, limit, on_request, serve, &serve->http);
	if (rc == 0 && index == 0)
		rc = net_tlskeep_new(loop, conf, TLS_FRONT, on_tls_context, serve, &serve->keep[TLS_FRONT]);
	if (rc == 0 && index == 0 && conf->front_registration_https[0] != '\0')
		rc = net_tlskeep_new(loop, conf, TLS_REGISTRATION, on_tls_context, serve,
				     &serve->keep[TLS_REGISTRATION]);
	if (rc != 0)
		return rc;
	*ret_serve = TAKE(serve);
	return 0;
}

void
net_serve_free(struct net_serve *serve)
{
	if (serve == NULL)
		return;
	if (serve->ocsp != NULL) {
		drop_channel(serve, &serve->authority);
		drop_channel(serve, &serve->signer);
	}
	net_http_free(serve->http);
	for (int use = 0; use < TLS_USES; use++)
		net_tlskeep_free(serve->keep[use]);
	net_pkiop_set_free(serve->operations);
	net_ocspkeep_free(serve->ocsp);
	for (size_t i = 0; i < serve->listener_count; i++) {
		if (serve->listeners[i].fd >= 0)
			close(serve->listeners[i].fd);
	}
	net_identity_free(serve->identity);
	for (unsigned g = 0; g < CA_GENERATIONS; g++) {
		net_page_free(serve->crl[g]);
		net_page_free(serve->delta[g]);
	}
	loop_timer_free(serve->stop_timer);
	free(serve);
}
