/*
 * Every message of msg.def: what is written is read back, and nothing but exactly one such body is taken for one.
 */
#include "tests/lib/test.h"

#include <stdlib.h>

#include "board/msg.h"

/* ---- a body of each type, filled field by field ------------------------------------------------------------------ */

static const uint8_t sample[] = {0x00, 0xff, 0x80, 0x30, 0x82};

static struct msg_list
list_of(size_t count)
{
	struct msg_list list = {.count = count};

	for (size_t i = 0; i < count; i++)
		list.item[i] = (struct bytes){sample, i % (sizeof(sample) + 1)};
	return list;
}

static bool
lists_equal(const struct msg_list *a, const struct msg_list *b)
{
	bool same = a->count == b->count;

	for (size_t i = 0; same && i < a->count; i++)
		same = bytes_equal(a->item[i], b->item[i]);
	return same;
}

static void
fill_text(char *out, size_t size)
{
	memset(out, 'x', size - 1);
	out[size - 1] = '\0';
}

/* fill_name(m) */
#define U8(n)         m->n = 0xfe;
#define U16(n)        m->n = 0xfedc;
#define U32(n)        m->n = 0xfedcba98;
#define U64(n)        m->n = 0xfedcba9876543210;
#define I64(n)        m->n = -19;
#define BYTES(n)      m->n = (struct bytes){sample, sizeof(sample)};
#define TEXT(n, size) fill_text(m->n, size);
#define LIST(n, max)  m->n = list_of(max);
#define MSG(name, NAME, from, to, limit, ...)                                                                          \
	static void fill_##name(struct msg_##name *m)                                                                  \
	{                                                                                                              \
		__VA_ARGS__                                                                                            \
	}
#include "board/msg.def"
#undef MSG
#undef U8
#undef U16
#undef U32
#undef U64
#undef I64
#undef BYTES
#undef TEXT
#undef LIST

/* check_name(a, b) */
#define U8(n)         CHECK(a->n == b->n);
#define U16(n)        CHECK(a->n == b->n);
#define U32(n)        CHECK(a->n == b->n);
#define U64(n)        CHECK(a->n == b->n);
#define I64(n)        CHECK(a->n == b->n);
#define BYTES(n)      CHECK(bytes_equal(a->n, b->n));
#define TEXT(n, size) CHECK_TEXT(a->n, b->n);
#define LIST(n, max)  CHECK(lists_equal(&a->n, &b->n));
#define MSG(name, NAME, from, to, limit, ...)                                                                          \
	static void check_##name(const struct msg_##name *a, const struct msg_##name *b)                               \
	{                                                                                                              \
		__VA_ARGS__                                                                                            \
	}
#include "board/msg.def"
#undef MSG
#undef U8
#undef U16
#undef U32
#undef U64
#undef I64
#undef BYTES
#undef TEXT
#undef LIST

/* Round trip of a full and of an empty one; get_name() hides the type. */
#define MSG(name, NAME, from, to, limit, ...)                                                                          \
	static int get_##name(struct bytes body)                                                                       \
	{                                                                                                              \
		struct msg_##name m;                                                                                   \
                                                                                                                       \
		return msg_##name##_get(body, &m);                                                                     \
	}                                                                                                              \
	static void put_##name(struct buf *b, bool full)                                                               \
	{                                                                                                              \
		struct msg_##name m = {0};                                                                             \
		struct msg_##name back;                                                                                \
                                                                                                                       \
		memset(&back, 0x55, sizeof(back));                                                                     \
		if (full)                                                                                              \
			fill_##name(&m);                                                                               \
		msg_##name##_put(b, &m);                                                                               \
		CHECK_INT(buf_status(b), 0);                                                                           \
		CHECK(b->len <= msg_limit(MSG_##NAME));                                                                \
		CHECK_INT(msg_##name##_get(buf_bytes(b), &back), 0);                                                   \
		check_##name(&m, &back);                                                                               \
	}
#include "board/msg.def"
#undef MSG

static const struct {
	const char *name;
	void (*put)(struct buf *b, bool full);
	int (*get)(struct bytes body);
} codecs[] = {
#define MSG(name, NAME, from, to, limit, ...) {#name, put_##name, get_##name},
#include "board/msg.def"
#undef MSG
};

/* ---- the tests --------------------------------------------------------------------------------------------------- */

/* An exact copy, so that the address sanitizer sees a read behind the end. */
static int
get_copy(size_t codec, const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	int r;

	memcpy(copy, data, len);
	r = codecs[codec].get((struct bytes){copy, len});
	free(copy);
	return r;
}

TEST(every_truncation_and_every_surplus_is_refused)
{
	for (size_t i = 0; i < ARRAY_SIZE(codecs); i++) {
		AUTO_BUF b;

		buf_init(&b, 1 << 20);
		codecs[i].put(&b, true);
		for (size_t n = 0; n < b.len; n++)
			CHECK_INT(get_copy(i, b.data, n), ERR_FORMAT);
		buf_put_u8(&b, 0);
		CHECK_INT(get_copy(i, b.data, b.len), ERR_FORMAT);
	}
}

TEST(a_changed_byte_never_leads_outside_the_body)
{
	for (size_t i = 0; i < ARRAY_SIZE(codecs); i++) {
		AUTO_BUF b;

		buf_init(&b, 1 << 20);
		codecs[i].put(&b, true);
		for (size_t n = 0; n < b.len; n++) {
			b.data[n] ^= 0xff;
			(void)get_copy(i, b.data, b.len);
			b.data[n] ^= 0x7f;
			(void)get_copy(i, b.data, b.len);
			b.data[n] ^= 0x80;
		}
		CHECK_INT(get_copy(i, b.data, b.len), 0);
	}
}

TEST(a_failed_decoding_leaves_the_result_alone)
{
	struct msg_unwrap m = {.padding = 77};

	CHECK_INT(msg_unwrap_get((struct bytes){(const uint8_t *)"\1\1", 2}, &m), ERR_FORMAT);
	CHECK_INT(m.padding, 77);
}

TEST(a_list_longer_than_its_message_allows_is_refused_both_ways)
{
	struct msg_ca_chain chain = {.certificates = list_of(9)};
	AUTO_BUF b;

	buf_init(&b, 1000);
	msg_ca_chain_put(&b, &chain);
	CHECK_INT(buf_status(&b), ERR_LIMIT);
	buf_clear(&b);
	buf_put_u32(&b, 9);
	for (int i = 0; i < 9; i++)
		buf_put_u32(&b, 0);
	CHECK_INT(msg_ca_chain_get(buf_bytes(&b), &chain), ERR_FORMAT);
}

TEST(a_text_without_its_nul_is_cut_when_written)
{
	struct msg_token_init m, back;
	AUTO_BUF b;

	memset(m.label, 'x', sizeof(m.label));
	buf_init(&b, 256);
	msg_token_init_put(&b, &m);
	CHECK_INT(msg_token_init_get(buf_bytes(&b), &back), 0);
	CHECK_INT(strlen(back.label), sizeof(back.label) - 1);
}

TEST(full_and_empty_messages_come_back_as_they_were)
{
	for (size_t i = 0; i < ARRAY_SIZE(codecs); i++) {
		AUTO_BUF b;

		buf_init(&b, 1 << 20);
		codecs[i].put(&b, false);
		buf_clear(&b);
		codecs[i].put(&b, true);
	}
	CHECK_INT(ARRAY_SIZE(codecs), MSG_TYPE_COUNT - 1);
}

TEST(the_table_allows_what_msg_def_says_and_nothing_else)
{
	CHECK(msg_allowed(MSG_SIGN, ROLE_AUTHORITY, ROLE_SIGNER, 67108864));
	CHECK(!msg_allowed(MSG_SIGN, ROLE_AUTHORITY, ROLE_SIGNER, 67108865));
	/* What is for CRLs is not for the front. */
	CHECK(msg_allowed(MSG_SIGN, ROLE_FRONT, ROLE_SIGNER, 1048576));
	CHECK(!msg_allowed(MSG_SIGN, ROLE_FRONT, ROLE_SIGNER, 1048577));
	CHECK(msg_allowed(MSG_ENROLL, ROLE_FRONT, ROLE_AUTHORITY, msg_limit(MSG_ENROLL)));
	CHECK(!msg_allowed(MSG_SIGN, ROLE_SIGNER, ROLE_FRONT, 1));
	CHECK(!msg_allowed(MSG_SIGN, ROLE_CONSOLE, ROLE_SIGNER, 1));
	CHECK(!msg_allowed(MSG_UNWRAP, ROLE_AUTHORITY, ROLE_SIGNER, 1));
	CHECK(msg_allowed(MSG_TOKEN_INIT, ROLE_PROVISION, ROLE_SIGNER, 1));
	CHECK(!msg_allowed(MSG_TOKEN_INIT, ROLE_PARENT, ROLE_SIGNER, 1));
	CHECK(!msg_allowed(MSG_SECRET, ROLE_PARENT, ROLE_FRONT, 1));
	CHECK(!msg_allowed(MSG_ENROLL, ROLE_CONSOLE, ROLE_AUTHORITY, 1));
	for (enum role from = 0; from <= ROLE_COUNT; from++) {
		for (enum role to = 0; to <= ROLE_COUNT; to++) {
			CHECK(!msg_allowed(MSG_NONE, from, to, 0));
			CHECK(!msg_allowed(MSG_TYPE_COUNT, from, to, 0));
			CHECK(!msg_allowed(0xffff, from, to, 0));
			for (uint16_t type = 0; from == to && type < MSG_TYPE_COUNT; type++)
				CHECK(!msg_allowed(type, from, to, 0));
		}
	}
	CHECK_INT(msg_limit(MSG_NONE), 0);
	CHECK_INT(msg_limit(MSG_TYPE_COUNT), 0);
	CHECK_INT(msg_limit(MSG_SECRET), 65536);
}

TEST(keys_and_algorithms_have_names)
{
	CHECK_TEXT(msg_key_name(KEY_CA), "ca");
	CHECK_TEXT(msg_key_name(KEY_RA_DECRYPT), "ra-decrypt");
	CHECK_TEXT(msg_key_name(KEY_CLASS_COUNT), "unknown");
	for (int i = 0; i < KEY_ALG_COUNT; i++)
		CHECK_INT(msg_key_alg_parse(msg_key_alg_name((enum key_alg)i)), i);
	CHECK_INT(msg_key_alg_parse("rsa1024"), -1);
	CHECK_INT(msg_key_alg_parse(""), -1);
	CHECK_TEXT(msg_key_alg_name(KEY_ALG_COUNT), "unknown");
}

TEST_MAIN(RUN(every_truncation_and_every_surplus_is_refused), RUN(a_changed_byte_never_leads_outside_the_body),
	  RUN(a_failed_decoding_leaves_the_result_alone),
	  RUN(a_list_longer_than_its_message_allows_is_refused_both_ways),
	  RUN(a_text_without_its_nul_is_cut_when_written), RUN(full_and_empty_messages_come_back_as_they_were),
	  RUN(the_table_allows_what_msg_def_says_and_nothing_else), RUN(keys_and_algorithms_have_names))
