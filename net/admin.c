#include "net/admin.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "board/base/log.h"
#include "net/basic.h"
#include "net/html.h"

enum { ANSWER_MS = 15000, PAGE_MAX = 262144, CERTIFICATE_MAX = 16384, KEY_USAGE_MAX = 0xff };

enum output { OUTPUT_UTF8, OUTPUT_UTF16, OUTPUT_CHALLENGE, OUTPUT_THUMBPRINT };

/* One request that waits for the authority. */
struct visit {
	struct net_http_request *request;
	struct net_identity *identity;
	enum output output;
	uint16_t key_usage; /* of NDESGenerateChallenge, as is params */
	char params[2048];
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
	} else if (status == 401) {
		reply.headers[4].name = "WWW-Authenticate";
		reply.headers[4].value = "Basic realm=\"Chancery\", charset=\"UTF-8\"";
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
	int status = m->status == ADMIN_LOGIN ? 401 : 200;
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
		answer(visit, status, "text/html", buf_bytes(&wide));
	else
		answer(visit, status, "text/html; charset=utf-8", buf_bytes(&text));
}

/* For programs: the value and nothing else, or a status that says why there is none. */
static void
answer_value(struct visit *visit, const struct msg_admin_answer *m)
{
	const struct msg_list *chain = &visit->identity->is.chain;
	char thumbprint[NET_HTML_MD5_SIZE];

	if (m->status == ADMIN_LOGIN)
		answer_line(visit, 401, NET_HTML_DENIED "\n");
	else if (m->status == ADMIN_DENIED)
		answer_line(visit, 403, NET_HTML_DENIED "\n");
	else if (m->status == ADMIN_MALFORMED)
		answer_line(visit, 400, "params is not understood; the log says which word\n");
	else if (m->status == ADMIN_FULL)
		answer_line(visit, 503, NET_HTML_FULL "\n");
	else if (visit->output == OUTPUT_CHALLENGE)
		answer(visit, 200, "text/plain; charset=utf-8", m->challenge);
	else
		answer_line(visit, 200, net_html_md5(chain->item[chain->count - 1], thumbprint));
}

static void
answer_decision(struct visit *visit, const struct msg_admin_answer *m)
{
	if (m->status == ADMIN_RETRY)
		answer_line(visit, 503, "please try again later\n");
	else if (visit->output == OUTPUT_UTF8 || visit->output == OUTPUT_UTF16)
		answer_page(visit, m);
	else
		answer_value(visit, m);
}

static void
on_answer(int code, const struct ipc_message *message, void *arg)
{
	struct visit *visit = arg;
	struct msg_admin_answer m;

	if (code == 0 && (message->type != MSG_ADMIN_ANSWER || msg_admin_answer_get(message->body, &m) != 0))
		code = ERR_FORMAT;
	if (code != 0)
		m = (struct msg_admin_answer){.status = ADMIN_RETRY};
	answer_decision(visit, &m);
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

/* The value of the first parameter with this name, as sent; empty when there is none. */
static struct bytes
value_of(const struct net_query *query, const char *name)
{
	size_t len = strlen(name);
	const uint8_t *end = query->query.data + query->query.len;

	for (size_t i = 0; i + len < query->query.len; i++) {
		const uint8_t *at = query->query.data + i;
		const uint8_t *stop;

		if ((i > 0 && at[-1] != '&') || at[len] != '=' || strncasecmp((const char *)at, name, len) != 0)
			continue;
		at += len + 1;
		stop = at == end ? NULL : memchr(at, '&', (size_t)(end - at));
		return (struct bytes){at, (size_t)((stop == NULL ? end : stop) - at)};
	}
	return (struct bytes){NULL, 0};
}

/* "0xA0" or "160"; nothing is 0. */
static bool
read_key_usage(struct bytes text, uint16_t *ret_usage)
{
	bool is_hex = text.len > 2 && text.data[0] == '0' && (text.data[1] | 0x20) == 'x';
	unsigned usage = 0;

	for (size_t i = is_hex ? 2 : 0; i < text.len; i++) {
		int digit = bytes_hex_digit((char)text.data[i]);

		if (digit < 0 || (!is_hex && digit > 9))
			return false;
		usage = usage * (is_hex ? 16 : 10) + (unsigned)digit;
		if (usage > KEY_USAGE_MAX)
			return false;
	}
	*ret_usage = (uint16_t)usage;
	return true;
}

/* Undoes percent escapes, once; false for broken ones, what is no text, and what is too long. */
static bool
read_params(struct bytes text, char *out, size_t size)
{
	struct view v = view_of(text);
	size_t len = 0;

	while (v.left > 0) {
		int c = view_u8(&v);

		if (c == '%') {
			int high = bytes_hex_digit((char)view_u8(&v));
			int low = bytes_hex_digit((char)view_u8(&v));

			c = v.bad || high < 0 || low < 0 ? 0 : high << 4 | low;
		}
		if (c < ' ' || c == 0x7f || len + 1 >= size)
			return false;
		out[len++] = (char)c;
	}
	out[len] = '\0';
	return true;
}

/* What a challenge shall be good for; NULL, or what is wrong with it. */
static const char *
read_details(struct visit *visit, const struct net_query *query)
{
	if (visit->output != OUTPUT_CHALLENGE)
		return NULL;
	if (!read_key_usage(value_of(query, "keyUsage"), &visit->key_usage))
		return "keyUsage is not like 0xA0 or 160\n";
	if (!read_params(value_of(query, "params"), visit->params, sizeof(visit->params)))
		return "params cannot be read\n";
	return NULL;
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

/* With a password it is the password that counts, and no certificate is looked at. */
static int
ask(struct ipc *authority, struct visit *visit, const struct net_basic *basic)
{
	static const uint8_t wants[] = {
		[OUTPUT_UTF8] = ADMIN_CHALLENGE,
		[OUTPUT_UTF16] = ADMIN_CHALLENGE,
		[OUTPUT_CHALLENGE] = ADMIN_GENERATE,
		[OUTPUT_THUMBPRINT] = ADMIN_LOOK,
	};
	struct msg_admin m = {.wants = wants[visit->output]};
	AUTO_BUF certificate;

	buf_init(&certificate, CERTIFICATE_MAX);
	snprintf(m.peer, sizeof(m.peer), "%s", visit->request->peer);
	snprintf(m.operator, sizeof(m.operator), "%s", basic->name);
	m.password = secret_bytes(basic->password);
	if (basic->name[0] == '\0')
		net_http_certificate(visit->request, &certificate);
	if (buf_status(&certificate) == 0)
		m.certificate = buf_bytes(&certificate);
	m.key_usage = visit->key_usage;
	memcpy(m.params, visit->params, sizeof(m.params));
	return msg_admin_call(authority, &m, ANSWER_MS, on_answer, visit);
}

/* Takes the password out of the request before anything is done with it. */
static void
start(struct ipc *authority, struct visit *visit)
{
	struct net_basic basic = {.name = ""};
	int code = net_basic_parse(net_http_header(visit->request, "Authorization"), &basic);

	net_http_wipe_header(visit->request, "Authorization");
	if (code == ERR_FORMAT) {
		log_event(HTTP_REFUSED, visit->request->peer, 401, "the Authorization field cannot be read");
		answer_decision(visit, &(struct msg_admin_answer){.status = ADMIN_LOGIN});
	} else if (code == ERR_NOMEM || ask(authority, visit, &basic) != 0) {
		answer_line(visit, 503, "please try again later\n");
	}
	secret_free(basic.password);
}

void
net_admin_request(struct ipc *authority, struct net_identity *identity, struct net_http_request *request,
		  const struct net_query *query)
{
	struct visit *visit;
	const char *wrong;
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
	wrong = read_details(visit, query);
	if (wrong != NULL)
		answer_line(visit, 400, wrong);
	else
		start(authority, visit);
}
