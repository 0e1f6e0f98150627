#include "net/ocsp_page.h"

#include <stdio.h>
#include <string.h>

#include "board/base/clock.h"
#include "net/query.h"

/* A request about one certificate has about 120 octets; a signed one with certificates may have some thousand. */
enum { REQUEST_MAX = 16384 };

/* Errors are HTTP 200 too (RFC 6960 A.1); caches must not keep them. */
static void
answer_error(struct net_http_request *request, int status)
{
	uint8_t response[NET_OCSP_ERROR_SIZE];
	struct net_http_answer answer = {
		.status = 200,
		.type = "application/ocsp-response",
		.body = net_ocsp_error(status, response),
		.headers = {{"Cache-Control", "no-store"}},
	};

	net_http_answer(request, &answer);
}

/* RFC 5019 6.2: caches ask again while the answer still holds, after half of the time that is left. */
static void
on_answer(struct net_page *page, int status, void *arg)
{
	struct net_http_request *request = arg;
	struct net_http_answer answer = {.status = 200, .page = page};
	const char *tags = net_http_header(request, "If-None-Match");
	char cache[80];

	if (page == NULL) {
		answer_error(request, status);
		return;
	}
	if (request->method != NET_HTTP_POST && tags != NULL && strstr(tags, page->etag) != NULL)
		answer.status = 304;
	snprintf(cache, sizeof(cache), "max-age=%lld, public, no-transform, must-revalidate",
		 (long long)(page->fresh_until - clock_wall()) / 2);
	answer.headers[0].name = "Cache-Control";
	answer.headers[0].value = cache;
	answer.headers[1].name = "ETag";
	answer.headers[1].value = page->etag;
	answer.headers[2].name = "Last-Modified";
	answer.headers[2].value = page->last_modified;
	answer.headers[3].name = "Expires";
	answer.headers[3].value = page->expires;
	net_http_answer(request, &answer);
}

void
net_ocsp_page_serve(struct net_ocspkeep *keep, struct net_http_request *request, struct bytes encoded)
{
	struct bytes der = request->body;
	struct net_ocsp_id id;
	int code = 0;
	AUTO_BUF decoded;

	buf_init(&decoded, REQUEST_MAX);
	if (request->method != NET_HTTP_POST) {
		code = net_query_message(encoded, &decoded, NULL);
		der = buf_bytes(&decoded);
	}
	if (code == 0)
		code = der.len > REQUEST_MAX ? ERR_FORMAT : net_ocsp_parse(der, &id);
	if (code != 0)
		answer_error(request, code == ERR_ALG ? NET_OCSP_UNAUTHORIZED : NET_OCSP_MALFORMED);
	else
		net_ocspkeep_get(keep, &id, on_answer, request);
}
