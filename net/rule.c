#include "net/rule.h"

#include <string.h>
#include <strings.h>

/*
 * Is the body's length certain (RFC 9112 6.3)?  evhttp takes the first of several fields, a sign, and anything with
 * "chunked" in it; a proxy before us might take another, and the rest of one peer's request for the next one's.
 */
static bool
is_frame_clear(const struct net_rule_request *request)
{
	const char *length = request->content_length;

	if (request->frame_fields > 1)
		return false;
	if (request->transfer_encoding != NULL)
		return strcasecmp(request->transfer_encoding, "chunked") == 0;
	return length == NULL || (length[0] != '\0' && length[strspn(length, "0123456789")] == '\0');
}

int
net_rule_check(const struct net_rule_request *request, const struct config *conf, const char **ret_text)
{
	struct bytes target = request->target;
	const uint8_t *mark = memchr(target.data, '?', target.len);
	size_t query_len = mark == NULL ? 0 : target.len - (size_t)(mark + 1 - target.data);

	if (request->method == NULL) {
		*ret_text = "only GET, HEAD and POST are served";
		return 405;
	}
	if (!is_frame_clear(request)) {
		*ret_text = "the length of the body is not certain";
		return 400;
	}
	/* evhttp does not read a body behind HEAD and would take it for the next request. */
	if (strcmp(request->method, "HEAD") == 0 &&
	    (request->transfer_encoding != NULL ||
	     (request->content_length != NULL && strcmp(request->content_length, "0") != 0))) {
		*ret_text = "a HEAD request has no body";
		return 400;
	}
	if (target.len > (size_t)conf->front_url_bytes) {
		*ret_text = "the URL is longer than front.url_bytes (maxUrl)";
		return 414;
	}
	if (query_len > (size_t)conf->front_query_bytes) {
		*ret_text = "the query is longer than front.query_bytes (maxQueryString)";
		return 414;
	}
	return 0;
}
