/*
 * net/head and net/rule: what refuses a request refuses it however its octets arrive.  Input: part with the lengths of
 * pieces, then the octets of the head.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/head.h"
#include "net/rule.h"
#include "tests/fuzz/ground.h"

static struct config conf;

/* Status with the number of octets that had been seen by then, to the piece. */
static int
feed(struct bytes pieces, struct bytes octets, struct net_head *head)
{
	const char *text = NULL;
	int status = 0;

	while (octets.len > 0 && status == 0) {
		size_t n = pieces.len > 0 ? (size_t)ground_take_u8(&pieces) + 1 : octets.len;

		if (n > octets.len)
			n = octets.len;
		status = net_head_feed(head, (struct bytes){octets.data, n}, &conf, &text);
		octets.data += n;
		octets.len -= n;
	}
	HOLDS((status == 0) == (text == NULL));
	HOLDS(status == 0 || status == 400 || status == 414 || status == 431);
	return status;
}

/* What evhttp would have made of the head, roughly: enough for the rules. */
static void
check_rule(struct bytes octets)
{
	static const char *const methods[] = {"GET", "HEAD", "POST", NULL};
	struct net_rule_request request = {.method = methods[ground_take_u8(&octets) % 4]};
	char *length = ground_text(ground_take_part(&octets)), *encoding = ground_text(ground_take_part(&octets));
	const char *text = NULL;
	int status;

	request.frame_fields = ground_take_u8(&octets) % 4;
	request.content_length = request.frame_fields > 0 ? length : NULL;
	request.transfer_encoding = request.frame_fields > 1 ? encoding : NULL;
	request.target = octets;
	status = net_rule_check(&request, &conf, &text);
	HOLDS((status == 0) == (text == NULL));
	if (status == 0) {
		/* Two readers must not see two lengths (RFC 9112 6.3). */
		HOLDS(request.method != NULL && octets.len <= (size_t)conf.front_url_bytes);
		HOLDS(request.content_length == NULL || request.transfer_encoding == NULL);
		HOLDS(request.content_length == NULL ||
		      strspn(length, "0123456789") == strlen(length) + (length[0] == '\0'));
	}
	free(length);
	free(encoding);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes input = {data, size}, pieces;
	struct net_head by_pieces = {0}, at_once = {0};
	int status;

	config_default(&conf);
	conf.front_url_bytes = 256;
	conf.front_field_bytes = 128;
	conf.front_header_bytes = 600;
	pieces = ground_take_part(&input);
	status = feed(pieces, input, &by_pieces);
	HOLDS(feed((struct bytes){NULL, 0}, input, &at_once) == status);
	HOLDS(status != 0 || memcmp(&by_pieces, &at_once, sizeof(at_once)) == 0);
	/* Nothing that passes is larger than the limits say. */
	if (status == 0 && !at_once.is_over)
		HOLDS(at_once.total <= (size_t)conf.front_header_bytes);
	check_rule(input);
	return 0;
}

void
fuzz_seeds(void)
{
	static const char *const heads[] = {
		"GET /scep?operation=GetCACaps HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /scep HTTP/1.0\nContent-Length: 3\nX: y\n z\n\nabc",
		"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	};
	char name[20];

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		AUTO_BUF b;

		buf_init(&b, 1000);
		ground_put_part(&b, bytes_of_text("\5\1\20"));
		buf_put_raw(&b, heads[i], strlen(heads[i]));
		snprintf(name, sizeof(name), "head%zu", i);
		ground_seed(name, buf_bytes(&b));
		buf_clear(&b);
		ground_put_part(&b, bytes_of_text(""));
		buf_put_u8(&b, (uint8_t)i);
		ground_put_part(&b, bytes_of_text("12"));
		ground_put_part(&b, bytes_of_text("chunked"));
		buf_put_u8(&b, 1);
		buf_put_raw(&b, "/scep", 5);
		snprintf(name, sizeof(name), "rule%zu", i);
		ground_seed(name, buf_bytes(&b));
	}
}
