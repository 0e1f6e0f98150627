#include "net/regpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "board/base/log.h"
#include "net/html.h"
#include "net/policyjson.h"

enum {
	ANSWER_MS = 15000,
	CERTIFICATES_MAX = 64 * 1024,
	STORE_MAX = NET_POLICYJSON_MAX,
	JSON_MAX = 4096,
	PAGE_MAX = 4096,
	RETRY_S = 3,
};

/* ---- answers ----------------------------------------------------------------------------------------------------- */

static void
answer_json(struct net_http_request *request, const struct msg_registration_answer *m)
{
	struct net_http_answer answer = {
		.status = m->http_status, .type = "application/json", .headers = {{"Cache-Control", "no-store"}}};
	AUTO_BUF json;

	buf_init(&json, JSON_MAX);
	if (m->http_status == 204) {
		answer.type = NULL;
	} else {
		net_policyjson_put_answer(m, &json);
		answer.body = buf_bytes(&json);
	}
	net_http_answer(request, &answer);
}

static void
answer_later(struct net_http_request *request)
{
	struct net_http_answer answer = {.status = 503,
					 .type = "text/plain",
					 .body = bytes_of_text("please try again later\n"),
					 .headers = {{"Retry-After", "3"}}};

	_Static_assert(RETRY_S == 3, "the text above");
	net_http_answer(request, &answer);
}

/* The page that says: it is there. */
static void
answer_health(struct net_http_request *request, const char *application)
{
	struct net_http_answer answer = {.status = 404,
					 .type = "text/html; charset=utf-8",
					 .headers = {{"Content-Security-Policy", net_html_policy},
						     {"X-Content-Type-Options", "nosniff"},
						     {"Cache-Control", "no-store"}}};
	AUTO_BUF page;

	buf_init(&page, PAGE_MAX);
	net_html_registration(application, &page);
	answer.body = buf_bytes(&page);
	net_http_answer(request, &answer);
}

static void
on_answer(int code, const struct ipc_message *message, void *arg)
{
	struct net_http_request *request = arg;
	struct msg_registration_answer m;

	if (code == 0 &&
	    (message->type != MSG_REGISTRATION_ANSWER || msg_registration_answer_get(message->body, &m) != 0))
		code = ERR_FORMAT;
	if (code != 0 || m.http_status == 503)
		answer_later(request);
	else if (m.http_status == 403)
		net_http_answer_text(request, 403, "your certificate is not trusted here");
	else if (m.http_status == 404 && m.reason[0] != '\0')
		answer_health(request, m.reason);
	else if (m.http_status == 404)
		net_http_answer_text(request, 404, "there is nothing at this address");
	else
		answer_json(request, &m);
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

/* "/APPLICATION" and what is behind it; false for other paths. */
static bool
split(struct bytes path, char application[64], struct bytes *ret_rest)
{
	const uint8_t *slash;
	size_t len;

	if (path.len < 2 || path.data[0] != '/')
		return false;
	slash = memchr(path.data + 1, '/', path.len - 1);
	len = slash == NULL ? path.len - 1 : (size_t)(slash - path.data) - 1;
	if (len == 0 || len >= 64 || memchr(path.data + 1, '\0', len) != NULL)
		return false;
	memcpy(application, path.data + 1, len);
	application[len] = '\0';
	*ret_rest = (struct bytes){path.data + 1 + len, path.len - 1 - len};
	return true;
}

/* What is called; -1 for what there is not. */
static int
action_of(struct bytes rest)
{
	static const char *const names[] = {[REGISTRATION_LOOK] = "",
					    [REGISTRATION_VERIFY] = "/Certificate/VerifyRequest",
					    [REGISTRATION_NOTIFY] = "/Certificate/Notify",
					    [REGISTRATION_GENERATE] = "/Certificate/GenerateChallenge"};

	if (rest.len == 1 && rest.data[0] == '/')
		return REGISTRATION_LOOK;
	for (int i = 0; i < (int)ARRAY_SIZE(names); i++)
		if (rest.len == strlen(names[i]) &&
		    (rest.len == 0 || strncasecmp((const char *)rest.data, names[i], rest.len) == 0))
			return i;
	return -1;
}

static void
answer_method(struct net_http_request *request, const char *allowed)
{
	struct net_http_answer answer = {.status = 405,
					 .type = "text/plain",
					 .body = bytes_of_text("this method is not served here\n"),
					 .headers = {{"Allow", allowed}}};

	net_http_answer(request, &answer);
}

/* May this be called so?  Answers what may not. */
static bool
is_call(struct net_http_request *request, int action)
{
	const char *type = net_http_header(request, "Content-Type");
	bool is_post = request->method == NET_HTTP_POST;

	if (action < 0)
		net_http_answer_text(request, 404, "there is nothing at this address");
	else if (is_post != (action != REGISTRATION_LOOK))
		answer_method(request, action == REGISTRATION_LOOK ? "GET, HEAD" : "POST");
	else if (is_post && (type == NULL || strncasecmp(type, "application/json", 16) != 0))
		net_http_answer_text(request, 415, "application/json is wanted");
	else if (request->body.len > NET_POLICYJSON_MAX)
		net_http_answer_text(request, 413, "the body is too long");
	else
		return true;
	return false;
}

/* A caller that showed no certificate is refused before anything of its JSON is read. */
static void
forward(struct ipc *authority, struct net_http_request *request, struct msg_registration *m)
{
	AUTO_BUF certificates;
	AUTO_BUF store;
	struct err e = {0};
	int code = 0;

	buf_init(&certificates, CERTIFICATES_MAX);
	buf_init(&store, STORE_MAX);
	net_http_certificates(request, &certificates, &m->certificates);
	if (m->action != REGISTRATION_LOOK && m->certificates.count == 0) {
		log_event(REGISTRATION_REFUSED, request->peer, "no client certificate");
		net_http_answer_text(request, 403, "a client certificate is wanted");
		return;
	}
	if (m->action != REGISTRATION_LOOK)
		code = net_policyjson_get_request(request->body, m->action, m, &store, &e);
	if (code != 0) {
		log_event(REGISTRATION_REFUSED, request->peer, log_text(e.text));
		net_http_answer_text(request, code == ERR_LIMIT ? 413 : 400, e.text);
		return;
	}
	snprintf(m->peer, sizeof(m->peer), "%s", request->peer);
	if (msg_registration_call(authority, m, ANSWER_MS, on_answer, request) != 0)
		answer_later(request);
}

void
net_regpoint_request(struct ipc *authority, struct net_http_request *request, const struct net_query *query)
{
	struct msg_registration m = {.action = REGISTRATION_LOOK};
	struct bytes rest = {NULL, 0};
	int action = -1;

	if (split(query->path, m.application, &rest))
		action = action_of(rest);
	if (!is_call(request, action))
		return;
	m.action = (uint8_t)action;
	if (authority == NULL)
		answer_later(request);
	else
		forward(authority, request, &m);
}
