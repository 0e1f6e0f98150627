/*
 * net/policyjson: what comes from registration points and policy modules.  Way 0 a result, 1 a text at a path, 2 to 4
 * the bodies of the three actions, which go to the authority as they are; 5 texts of ours that must come back.
 */
#include <stdlib.h>
#include <string.h>

#include "net/policyjson.h"
#include "tests/fuzz/ground.h"

enum { OUT_MAX = 1 << 20 };

static bool
is_clean(const char *text, size_t size)
{
	size_t len = strnlen(text, size);

	HOLDS(len < size);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return false;
	return true;
}

#define CLEAN(field) HOLDS(is_clean((field), sizeof(field)))

static void
check_result(struct bytes body)
{
	struct msg_policy_result result = {0};
	struct err e = {0};
	AUTO_BUF store;

	buf_init(&store, OUT_MAX);
	if (net_policyjson_get_result(body, &result, &store, &e) != 0) {
		HOLDS(e.code != 0 && e.text[0] != '\0');
		return;
	}
	CLEAN(result.reason);
	CLEAN(result.text);
}

static void
check_text(struct bytes body)
{
	static const char *const paths[] = {"access_token", "value.0.uri", "value.1.providerName", "a.b.c", ""};
	char out[64];

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		if (net_policyjson_get_text(body, paths[i], out, sizeof(out), NULL) == 0)
			HOLDS(is_clean(out, sizeof(out)));
}

/* What was read is a message of the channel, as it stands. */
static void
check_request(struct bytes body, int action)
{
	struct msg_registration m = {0}, again;
	struct err e = {0};
	AUTO_BUF store, sent;

	buf_init(&store, OUT_MAX);
	buf_init(&sent, OUT_MAX);
	if (net_policyjson_get_request(body, action, &m, &store, &e) != 0) {
		HOLDS(e.code != 0 && e.text[0] != '\0');
		return;
	}
	CLEAN(m.transaction_id);
	CLEAN(m.text);
	CLEAN(m.device);
	CLEAN(m.user);
	CLEAN(m.template_name);
	msg_registration_put(&sent, &m);
	HOLDS(buf_status(&sent) == 0 && msg_registration_get(buf_bytes(&sent), &again) == 0);
	HOLDS(bytes_equal(again.csr, m.csr) && again.variables.count == m.variables.count);
}

/* A printable reason and text that we send are what the other side reads. */
static void
check_round(struct bytes input)
{
	struct msg_registration_answer m = {.http_status = 200};
	struct msg_policy_result result = {0};
	AUTO_BUF json, store;

	buf_init(&json, OUT_MAX);
	buf_init(&store, OUT_MAX);
	for (size_t i = 0; i < input.len && i < 60; i++)
		m.reason[i] = m.text[i] = (char)(' ' + input.data[i] % 95);
	if (m.reason[0] == '\0')
		return;
	net_policyjson_put_answer(&m, &json);
	HOLDS(buf_status(&json) == 0);
	HOLDS(net_policyjson_get_result(buf_bytes(&json), &result, &store, NULL) == 0);
	HOLDS(strcmp(result.reason, m.reason) == 0 && strcmp(result.text, m.text) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes input = {data, size};
	uint8_t way = ground_take_u8(&input) % 6;

	if (way == 0)
		check_result(input);
	else if (way == 1)
		check_text(input);
	else if (way == 5)
		check_round(input);
	else
		check_request(input, REGISTRATION_VERIFY + way - 2);
	return 0;
}

void
fuzz_seeds(void)
{
	struct msg_policy_verify verify = {
		.transaction_id = "t", .csr = bytes_of_text("csr"), .signer = ground_issued(0)};
	struct msg_policy_notify notify = {.text = "t", .transaction_id = "t", .csr = bytes_of_text("csr")};
	struct msg_policy_generate generate = {0};
	AUTO_BUF b;

	buf_init(&b, OUT_MAX);
	ground_seed_way("result", 0,
			bytes_of_text("{\"code\":\"Success\",\"errorDescription\":\"\",\"challenge\":\"x\"}"));
	ground_seed_way("token", 1, bytes_of_text("{\"access_token\":\"x\",\"value\":[{\"uri\":\"https://a\"}]}"));
	ground_seed_way("deep", 1, bytes_of_text("[[[[[[[[[[{\"a\":{\"b\":{\"c\":\"\\u0041\\n\"}}}]]]]]]]]]]"));
	net_policyjson_put_verify(&verify, false, &b);
	ground_seed_way("verify", 2, buf_bytes(&b));
	buf_clear(&b);
	net_policyjson_put_notify(&notify, false, &b);
	ground_seed_way("notify", 3, buf_bytes(&b));
	buf_clear(&b);
	net_policyjson_put_generate(&generate, &b);
	ground_seed_way("generate", 4, buf_bytes(&b));
	ground_seed_way("round", 5, bytes_of_text("\"\\/ text"));
}
