#include "net/head.h"

#include <string.h>

/* What a request line has beside its URL; the URL's own limits are in net/rule.c, to the octet. */
enum { METHOD_AND_VERSION = 64, LINE_END = 2 };

static int
check_line(const struct net_head *head, size_t len, const struct config *conf, const char **ret_text)
{
	if (!head->has_request && len > (size_t)conf->front_url_bytes + METHOD_AND_VERSION) {
		*ret_text = "the URL is longer than front.url_bytes (maxUrl)";
		return 414;
	}
	if (head->has_request && len > (size_t)conf->front_field_bytes) {
		*ret_text = "a header field is longer than front.field_bytes (MaxFieldLength)";
		return 431;
	}
	if (head->total > (size_t)conf->front_header_bytes) {
		*ret_text = "the header is longer than front.header_bytes (MaxRequestBytes)";
		return 431;
	}
	return 0;
}

/* Length of the current line without its end, of which only a part may be here yet. */
static size_t
content_of(const struct net_head *head, bool is_complete, uint8_t before_end)
{
	if (is_complete)
		return head->line - 1 - (before_end == '\r');
	return head->line > LINE_END ? head->line - LINE_END : 0;
}

/* Counts a line or the part of one that is there. */
static int
feed_line(struct net_head *head, struct bytes part, const struct config *conf, const char **ret_text)
{
	bool is_complete = part.data[part.len - 1] == '\n';
	uint8_t before_end = part.len > 1 ? part.data[part.len - 2] : head->last;
	size_t len;
	int status;

	if (head->line == 0)
		head->first = part.data[0];
	if (head->has_request && (head->first == ' ' || head->first == '\t')) {
		*ret_text = "a header field goes on in the next line";
		return 400;
	}
	head->line += part.len;
	head->total += part.len;
	head->last = part.data[part.len - 1];
	len = content_of(head, is_complete, before_end);
	status = check_line(head, len, conf, ret_text);
	if (status != 0 || !is_complete)
		return status;
	head->is_over = len == 0;
	head->has_request = true;
	head->line = 0;
	return 0;
}

int
net_head_feed(struct net_head *head, struct bytes data, const struct config *conf, const char **ret_text)
{
	int status = 0;

	while (data.len > 0 && !head->is_over && status == 0) {
		const uint8_t *end = memchr(data.data, '\n', data.len);
		struct bytes part = {data.data, end == NULL ? data.len : (size_t)(end + 1 - data.data)};

		status = feed_line(head, part, conf, ret_text);
		data = (struct bytes){data.data + part.len, data.len - part.len};
	}
	if (status != 0)
		head->is_over = true;
	return status;
}
