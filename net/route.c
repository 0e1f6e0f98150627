#include "net/route.h"

#include <stdio.h>
#include <string.h>

#include "board/base/clock.h"
#include "board/base/log.h"
#include "net/admin.h"
#include "net/html.h"
#include "net/ocsp_page.h"
#include "net/query.h"
#include "net/regpoint.h"
#include "net/scep.h"

enum { CAPS_MAX = 1024, HTML_MAX = 16384, RETRY_START_S = 3 };

#define TOO_LONG "the message is longer than scep.message_bytes"

/* A path and all below it. */
struct place {
	const char *path;
	bool takes_post;
	void (*serve)(const struct net_route *route, struct net_http_request *request, const struct net_query *query);
};

/* ---- answers ---------------------------------------------------------------------------------------------------- */

static void
answer_method(struct net_http_request *request, const char *allowed)
{
	struct net_http_answer answer = {
		.status = 405,
		.type = "text/plain",
		.body = bytes_of_text("this method is not served here\n"),
		.headers = {{"Allow", allowed}},
	};

	net_http_answer(request, &answer);
}

static void
answer_retry(struct net_http_request *request, int seconds, const char *text)
{
	struct net_http_answer answer = {.status = 503, .type = "text/plain", .body = bytes_of_text(text)};
	char value[12];

	snprintf(value, sizeof(value), "%d", seconds);
	answer.headers[0].name = "Retry-After";
	answer.headers[0].value = value;
	net_http_answer(request, &answer);
}

/* RFC 9110 13.1: If-None-Match outranks If-Modified-Since, which is compared as text with what we sent. */
static bool
has_it_already(const struct net_http_request *request, const struct net_page *page)
{
	const char *tags = net_http_header(request, "If-None-Match");
	const char *since = net_http_header(request, "If-Modified-Since");

	if (request->method == NET_HTTP_POST)
		return false;
	if (tags != NULL)
		return strcmp(tags, "*") == 0 || strstr(tags, page->etag) != NULL;
	return since != NULL && page->last_modified[0] != '\0' && strcmp(since, page->last_modified) == 0;
}

/* At most fresh_s_max seconds a cache may keep a page that another one replaces at some time. */
static void
answer_page(struct net_http_request *request, struct net_page *page, int64_t fresh_s_max)
{
	struct net_http_answer answer = {.status = 200, .page = page};
	int64_t fresh_s = page->fresh_until - clock_wall();
	char cache[48];
	size_t n = 0;

	if (has_it_already(request, page))
		answer.status = 304;
	answer.headers[n].name = "ETag";
	answer.headers[n++].value = page->etag;
	if (page->last_modified[0] != '\0') {
		answer.headers[n].name = "Last-Modified";
		answer.headers[n++].value = page->last_modified;
	}
	if (page->fresh_until != 0) {
		fresh_s = fresh_s < fresh_s_max ? fresh_s : fresh_s_max;
		snprintf(cache, sizeof(cache), "max-age=%lld", fresh_s > 0 ? (long long)fresh_s : 0ll);
		answer.headers[n].name = "Cache-Control";
		answer.headers[n].value = cache;
	}
	net_http_answer(request, &answer);
}

static void
answer_page_or_retry(struct net_http_request *request, struct net_page *page)
{
	if (page == NULL)
		answer_retry(request, RETRY_START_S, "not available yet\n");
	else
		answer_page(request, page, 0);
}

/* A revocation makes a new CRL long before the old one ends: who has that shall not be content with it until then. */
static void
answer_crl(const struct net_route *route, struct net_http_request *request, struct net_page *page)
{
	if (page == NULL)
		answer_page_or_retry(request, page);
	else
		answer_page(request, page, (int64_t)route->conf->ca_crl_cache_minutes * 60);
}

/* ---- SCEP ------------------------------------------------------------------------------------------------------- */

static void
serve_capabilities(const struct net_route *route, const struct config_profile *profile,
		   struct net_http_request *request)
{
	bool next_ca = route->identity != NULL && route->identity->next != NULL;
	struct net_http_answer answer = {.status = 200, .type = "text/plain"};
	AUTO_BUF out;

	buf_init(&out, CAPS_MAX);
	net_scep_capabilities(profile, next_ca, &out);
	answer.body = buf_bytes(&out);
	net_http_answer(request, &answer);
}

static void
on_operation_answered(const struct net_pkiop_answer *result, void *arg)
{
	struct net_http_request *request = arg;
	struct net_http_answer answer = {
		.status = 200,
		.type = "application/x-pki-message",
		.body = result->body,
		.headers = {{"Cache-Control", "no-store"}},
	};

	if (result->status == 200)
		net_http_answer(request, &answer);
	else if (result->status == 503)
		answer_retry(request, result->retry_after_s, "please try again later\n");
	else
		net_http_answer_text(request, result->status, "this is not a SCEP message");
}

/* Windows' SCEP client says who it is (facts, microsoft.md 1.3); what it is wrong about does no harm. */
static bool
wants_microsoft(const struct config_profile *profile, const struct net_http_request *request)
{
	const char *agent = net_http_header(request, "User-Agent");

	if (strcmp(profile->microsoft_attributes, "auto") != 0)
		return strcmp(profile->microsoft_attributes, "always") == 0;
	return agent != NULL && strcasestr(agent, "NDES client") != NULL;
}

/* The same line for all that is no message, whether base64, DER or CMS is at fault (facts, D.1). */
static void
serve_operation(const struct net_route *route, const struct config_profile *profile, struct net_http_request *request,
		const struct net_query *query)
{
	struct net_pkiop_ask ask = {
		.peer = request->peer, .profile = profile, .microsoft = wants_microsoft(profile, request)};
	struct bytes message = {NULL, 0};
	struct err e = {0};
	AUTO_BUF store;
	int rc;

	buf_init(&store, (size_t)route->conf->scep_message_bytes);
	if (request->method == NET_HTTP_HEAD) {
		answer_method(request, "GET, POST");
		return;
	}
	if (request->body.len > (size_t)route->conf->scep_message_bytes) {
		log_event(HTTP_REFUSED, request->peer, 413, TOO_LONG);
		net_http_answer_text(request, 413, TOO_LONG);
		return;
	}
	if (request->method == NET_HTTP_POST) {
		rc = net_query_body(request->body, &store, &message, &e);
	} else {
		rc = net_query_message(query->message, &store, &e);
		message = buf_bytes(&store);
	}
	if (rc != 0) {
		log_event(SCEP_NOT_SCEP, request->peer, log_text(e.text));
		net_http_answer_text(request, 400, "this is not a SCEP message");
		return;
	}
	ask.message = message;
	net_pkiop_start(route->operations, &ask, on_operation_answered, request);
}

/* For browsers, which must neither guess a type, nor keep the page, nor load anything for it. */
static void
answer_html(struct net_http_request *request, struct bytes body)
{
	struct net_http_answer answer = {
		.status = 200,
		.type = "text/html; charset=utf-8",
		.body = body,
		.headers = {{"Content-Security-Policy", net_html_policy},
			    {"X-Content-Type-Options", "nosniff"},
			    {"Referrer-Policy", "no-referrer"},
			    {"Cache-Control", "no-store"}},
	};

	net_http_answer(request, &answer);
}

static void
serve_description(const struct config_profile *profile, struct net_http_request *request)
{
	AUTO_BUF page;

	buf_init(&page, HTML_MAX);
	net_html_service(net_http_header(request, "Host"), request->kind != NET_HTTP_PLAIN, profile->name, &page);
	if (buf_status(&page) != 0)
		net_http_answer_text(request, 503, "out of memory");
	else
		answer_html(request, buf_bytes(&page));
}

static void
serve_scep(const struct net_route *route, const struct config_profile *profile, struct net_http_request *request,
	   const struct net_query *query)
{
	struct net_page *certificates;

	switch (query->operation) {
	case NET_QUERY_GETCACAPS:
		serve_capabilities(route, profile, request);
		break;
	case NET_QUERY_GETCACERT:
		certificates = route->identity != NULL ? net_identity_getcacert(route->identity, profile) : NULL;
		answer_page_or_retry(request, certificates);
		break;
	case NET_QUERY_GETNEXTCACERT:
		if (route->identity != NULL && route->identity->next != NULL)
			answer_page(request, route->identity->next, 0);
		else
			net_http_answer_text(request, 404, "there is no next CA certificate"); /* facts C39 */
		break;
	case NET_QUERY_PKIOPERATION:
		serve_operation(route, profile, request, query);
		break;
	case NET_QUERY_NONE:
		if (request->method == NET_HTTP_POST)
			serve_operation(route, profile, request, query);
		else
			serve_description(profile, request);
		break;
	default:
		net_http_answer_text(request, 400, "unknown operation"); /* never 200 without content (facts C6) */
		break;
	}
}

/* ---- other pages ------------------------------------------------------------------------------------------------ */

/* The generation of the CA that a path below place means; CA_GENERATIONS: there is none such. */
static unsigned
generation_of(const struct net_route *route, struct bytes path, const char *place)
{
	size_t skip = strlen(place) + 1;
	unsigned number = 0;

	if (net_query_path_is(path, place, "/current"))
		return route->identity != NULL ? route->identity->shown : 0;
	if (path.len <= skip)
		return 0;
	for (size_t i = skip; i < path.len; i++) {
		if (path.data[i] < '0' || path.data[i] > '9' || number > CA_GENERATIONS)
			return CA_GENERATIONS;
		number = number * 10 + (unsigned)(path.data[i] - '0');
	}
	if (number == 0 || number > CA_GENERATIONS)
		return CA_GENERATIONS;
	/* Before anything is known of the CA, any may come. */
	if (route->identity != NULL && route->identity->ca[number - 1] == NULL)
		return CA_GENERATIONS;
	return number - 1;
}

static void
answer_no_ca(struct net_http_request *request)
{
	net_http_answer_text(request, 404, "there is no CA with this number");
}

static void
serve_crl(const struct net_route *route, struct net_http_request *request, const struct net_query *query)
{
	unsigned g = generation_of(route, query->path, "/crl");

	if (g == CA_GENERATIONS)
		answer_no_ca(request);
	else
		answer_crl(route, request, route->crl[g]);
}

/* A GET has the request behind "/ocsp/"; base64 may hold more slashes. */
static void
serve_ocsp(const struct net_route *route, struct net_http_request *request, const struct net_query *query)
{
	const size_t skip = sizeof("/ocsp/") - 1;
	struct bytes encoded = {NULL, 0};

	if (query->path.len > skip)
		encoded = (struct bytes){query->path.data + skip, query->path.len - skip};
	net_ocsp_page_serve(route->ocsp, request, encoded);
}

static void
serve_delta(const struct net_route *route, struct net_http_request *request, const struct net_query *query)
{
	unsigned g = generation_of(route, query->path, "/delta.crl");

	if (route->conf->ca_delta_hours == 0)
		net_http_answer_text(request, 404, "there are no delta CRLs");
	else if (g == CA_GENERATIONS)
		answer_no_ca(request);
	else
		answer_crl(route, request, route->delta[g]);
}

static void
serve_ca(const struct net_route *route, struct net_http_request *request, const struct net_query *query)
{
	unsigned g = generation_of(route, query->path, "/ca");

	if (g == CA_GENERATIONS)
		answer_no_ca(request);
	else
		answer_page_or_retry(request, route->identity != NULL ? route->identity->ca[g] : NULL);
}

static void
serve_health(const struct net_route *route, struct net_http_request *request, const struct net_query *query)
{
	if (route->authority == NULL || route->identity == NULL)
		net_http_answer_text(request, 503, "the authority is away");
	else if (!route->signer_is_there)
		net_http_answer_text(request, 503, "the signer is away");
	else
		net_http_answer_text(request, 200, "ok");
}

/* The only thing on its listener; see net/admin.h. */
static void
route_admin(const struct net_route *route, struct net_http_request *request, const struct net_query *query)
{
	static const char *const behind[] = {"", "/", "/mscep.dll", "/mscep.dll/"};

	for (size_t i = 0; i < ARRAY_SIZE(behind); i++) {
		if (!net_query_path_is(query->path, "/certsrv/mscep_admin", behind[i]))
			continue;
		if (request->method == NET_HTTP_GET)
			net_admin_request(route->authority, route->identity, request, query);
		else
			answer_method(request, "GET"); /* neither HEAD nor a form may cost a challenge */
		return;
	}
	net_http_answer_text(request, 404, "there is nothing at this address");
}

/* Is path this place, as it is or with what SCEP clients append to it (facts C11, C12)? */
static bool
is_at(struct bytes path, const char *place)
{
	static const char *const appended[] = {"", "/", "/pkiclient.exe"};

	for (size_t i = 0; i < ARRAY_SIZE(appended); i++) {
		if (net_query_path_is(path, place, appended[i]))
			return true;
	}
	return false;
}

/*
 * Is path one of SCEP's, and of which profile?  NDES' folder is what its program is: IIS runs mscep.dll for it.  The
 * name of a profile needs no percent-escapes, so none are undone: what is written in another way is another address.
 */
static bool
find_profile(const struct config *conf, struct bytes path, struct config_profile *ret_profile)
{
	static const char *const usual[] = {"/scep", "/cgi-bin/pkiclient.exe", "/certsrv/mscep",
					    "/certsrv/mscep/mscep.dll"};
	const size_t begin = sizeof("/scep/") - 1;
	struct bytes name = {NULL, 0};
	const uint8_t *slash;

	for (size_t i = 0; i < ARRAY_SIZE(usual); i++) {
		if (is_at(path, usual[i]))
			return config_profile_find(conf, name, ret_profile) == 0;
	}
	if (!net_query_path_below(path, "/scep") || path.len <= begin)
		return false;
	name = (struct bytes){path.data + begin, path.len - begin};
	slash = memchr(name.data, '/', name.len);
	name.len = slash != NULL ? (size_t)(slash - name.data) : name.len;
	path = (struct bytes){name.data + name.len, path.len - begin - name.len};
	return name.len > 0 && is_at(path, "") && config_profile_find(conf, name, ret_profile) == 0;
}

static const struct place places[] = {
	{"/crl", false, serve_crl},       {"/ca", false, serve_ca},    {"/delta.crl", false, serve_delta},
	{"/health", false, serve_health}, {"/ocsp", true, serve_ocsp},
};

void
net_route_request(const struct net_route *route, struct net_http_request *request)
{
	struct config_profile profile;
	struct net_query query;

	net_query_parse(request->target, &query);
	if (request->kind == NET_HTTP_ADMIN) {
		route_admin(route, request, &query);
		return;
	}
	if (request->kind == NET_HTTP_REGISTRATION) {
		net_regpoint_request(route->authority, request, &query);
		return;
	}
	if (find_profile(route->conf, query.path, &profile)) {
		serve_scep(route, &profile, request, &query);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		if (!net_query_path_below(query.path, places[i].path))
			continue;
		if (request->method == NET_HTTP_POST && !places[i].takes_post)
			answer_method(request, "GET, HEAD");
		else
			places[i].serve(route, request, &query);
		return;
	}
	net_http_answer_text(request, 404, "there is nothing at this address");
}
