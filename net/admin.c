#include "net/admin.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "board/base/log.h"
#include "net/html.h"

enum { ANSWER_MS = 15000, PAGE_MAX = 262144, CERTIFICATE_MAX = 16384 };

enum output { OUTPUT_UTF8, OUTPUT_UTF16, OUTPUT_CHALLENGE, OUTPUT_THUMBPRINT };

/* One request that waits for the authority. */
struct visit {
	struct net_http_request *request;
	struct net_identity *identity;
	enum output output;
};

static void
visit_free(struct visit *visit)
{
	net_identity_free(visit->identity);
	free(visit);
}

static void
answer(struct visit *visit, int status, const char *type, struct bytes body)
{
	struct net_http_answer reply = {
		.status = status,
		.type = type,
		.body = body,
		.headers = {{"Content-Security-Policy", net_html_policy},
			    {"X-Content-Type-Options", "nosniff"},
			    {"Referrer-Policy", "no-referrer"},
			    {"Cache-Control", "no-store"}},
	};

	if (status == 503) {
		reply.headers[4].name = "Retry-After";
		reply.headers[4].value = "3";
	}
	net_http_answer(visit->request, &reply);
	visit_free(visit);
}

static void
answer_line(struct visit *visit, int status, const char *line)
{
	answer(visit, status, "text/plain; charset=utf-8", bytes_of_text(line));
}

/* ASCII alone is in the page. */
static void
put_utf16(struct bytes text, struct buf *out)
{
	for (size_t i = 0; i < text.len; i++) {
		buf_put_u8(out, text.data[i]);
		buf_put_u8(out, 0);
	}
}

static void
answer_page(struct visit *visit, const struct msg_admin_answer *m)
{
	struct net_html_admin page = {
		.status = m->status,
		.challenge = m->challenge,
		.minutes = m->minutes,
		.limit = m->limit,
		.ca = visit->identity->is.chain.item[0],
	};
	AUTO_BUF text;
	AUTO_BUF wide;

	buf_init(&text, PAGE_MAX);
	buf_init(&wide, 2 * PAGE_MAX);
	net_html_admin(&page, &text);
	if (visit->output == OUTPUT_UTF16)
		put_utf16(buf_bytes(&text), &wide);
	if (buf_status(&text) != 0 || buf_status(&wide) != 0)
		answer_line(visit, 503, "out of memory\n");
	else if (visit->output == OUTPUT_UTF16)
		answer(visit, 200, "text/html", buf_bytes(&wide));
	else
		answer(visit, 200, "text/html; charset=utf-8", buf_bytes(&text));
}

/* For programs: the value and nothing else, or a status that says why there is none. */
static void
answer_value(struct visit *visit, const struct msg_admin_answer *m)
{
	const struct msg_list *chain = &visit->identity->is.chain;
	char thumbprint[NET_HTML_MD5_SIZE];

	if (m->status == ADMIN_DENIED)
		answer_line(visit, 403, NET_HTML_DENIED "\n");
	else if (m->status == ADMIN_FULL)
		answer_line(visit, 503, NET_HTML_FULL "\n");
	else if (visit->output == OUTPUT_CHALLENGE)
		answer(visit, 200, "text/plain; charset=utf-8", m->challenge);
	else
		answer_line(visit, 200, net_html_md5(chain->item[chain->count - 1], thumbprint));
}

static void
on_answer(int code, const struct ipc_message *message, void *arg)
{
	struct visit *visit = arg;
	struct msg_admin_answer m;

	if (code == 0 && (message->type != MSG_ADMIN_ANSWER || msg_admin_answer_get(message->body, &m) != 0))
		code = ERR_FORMAT;
	if (code != 0 || m.status == ADMIN_RETRY)
		answer_line(visit, 503, "please try again later\n");
	else if (visit->output == OUTPUT_UTF8 || visit->output == OUTPUT_UTF16)
		answer_page(visit, &m);
	else
		answer_value(visit, &m);
}

static bool
is_word(struct bytes v, const char *word)
{
	return v.len == strlen(word) && strncasecmp((const char *)v.data, word, v.len) == 0;
}

static bool
asks_for(const struct net_query *query, const char *parameter)
{
	size_t len = strlen(parameter);

	for (size_t i = 0; i + len <= query->query.len; i++) {
		const uint8_t *at = query->query.data + i;

		if ((i == 0 || at[-1] == '&') && strncasecmp((const char *)at, parameter, len) == 0 &&
		    (i + len == query->query.len || at[len] == '&'))
			return true;
	}
	return false;
}

/* What is wanted, and in which form; false when it is nothing that there is. */
static bool
read_wish(const struct net_http_request *request, const struct net_query *query, enum output *ret_output)
{
	if (query->operation_text.len > 0) {
		*ret_output =
			is_word(query->operation_text, "NDESGenerateChallenge") ? OUTPUT_CHALLENGE : OUTPUT_THUMBPRINT;
		return *ret_output == OUTPUT_CHALLENGE || is_word(query->operation_text, "NDESGetCACertThumbprint");
	}
	*ret_output = OUTPUT_UTF8;
	if (asks_for(query, "charset=utf-16le") ||
	    (net_http_header(request, "Accept-Language") == NULL && !asks_for(query, "charset=utf-8")))
		*ret_output = OUTPUT_UTF16;
	return true;
}

/* A link or picture of a foreign page must not cost a challenge; browsers say where a request comes from. */
static bool
is_foreign(const struct net_http_request *request)
{
	const char *site = net_http_header(request, "Sec-Fetch-Site");

	return site != NULL && strcmp(site, "none") != 0 && strcmp(site, "same-origin") != 0;
}

static int
ask(struct ipc *authority, struct visit *visit)
{
	struct msg_admin m = {.wants = visit->output == OUTPUT_THUMBPRINT ? ADMIN_LOOK : ADMIN_CHALLENGE};
	AUTO_BUF certificate;

	buf_init(&certificate, CERTIFICATE_MAX);
	net_http_certificate(visit->request, &certificate);
	if (buf_status(&certificate) == 0)
		m.certificate = buf_bytes(&certificate);
	snprintf(m.peer, sizeof(m.peer), "%s", visit->request->peer);
	return msg_admin_call(authority, &m, ANSWER_MS, on_answer, visit);
}

void
net_admin_request(struct ipc *authority, struct net_identity *identity, struct net_http_request *request,
		  const struct net_query *query)
{
	struct visit *visit;
	enum output output;

	if (!read_wish(request, query, &output)) {
		net_http_answer_text(request, 400, "unknown operation");
		return;
	}
	if (is_foreign(request)) {
		net_http_answer_text(request, 403, "open this page by typing its address, not from another page");
		return;
	}
	visit = authority == NULL || identity == NULL ? NULL : calloc(1, sizeof(*visit));
	if (visit == NULL) {
		net_http_answer_text(request, 503, "not available now");
		return;
	}
	visit->request = request;
	visit->identity = net_identity_ref(identity);
	visit->output = output;
	if (ask(authority, visit) != 0)
		answer_line(visit, 503, "please try again later\n");
}
