/*
 * board/msg - see msg.h; everything here is made from msg.def
 */
#include "board/msg.h"

#include <string.h>

/* ---- the table --------------------------------------------------------------------------------------------------- */

#define R(role) (1u << ROLE_##role)

static const struct {
	unsigned from; /* bits 1 << ROLE_* */
	unsigned to;
	size_t limit;
} messages[MSG_TYPE_COUNT] = {
#define MSG(name, NAME, from_, to_, limit_, ...) [MSG_##NAME] = {from_, to_, limit_},
#include "board/msg.def"
#undef MSG
};

#undef R

/*
 * The front reads what strangers send, so it is the one most likely to be broken into.  It has no use for the long
 * messages that others send by the same name (a CRL to be signed), and receivers none for its filling their memory.
 */
static const size_t FRONT_LIMIT = 1024 * 1024;

bool
msg_allowed(uint16_t type, enum role from, enum role to, size_t len)
{
	if (type >= MSG_TYPE_COUNT || (unsigned)from >= ROLE_COUNT || (unsigned)to >= ROLE_COUNT)
		return false;
	return (messages[type].from >> from & 1) != 0 && (messages[type].to >> to & 1) != 0 &&
	       len <= messages[type].limit && (from != ROLE_FRONT || len <= FRONT_LIMIT);
}

size_t
msg_limit(uint16_t type)
{
	return type < MSG_TYPE_COUNT ? messages[type].limit : 0;
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

static const char *const key_names[KEY_CLASS_COUNT] = {
	[KEY_CA] = "ca",         [KEY_CRL] = "crl",     [KEY_RA_SIGN] = "ra-sign", [KEY_RA_DECRYPT] = "ra-decrypt",
	[KEY_POLICY] = "policy", [KEY_AUDIT] = "audit", [KEY_OCSP] = "ocsp",       [KEY_REGISTRATION] = "registration",
};

static const char *const key_alg_names[KEY_ALG_COUNT] = {
	[KEY_ALG_RSA2048] = "rsa2048", [KEY_ALG_RSA3072] = "rsa3072", [KEY_ALG_RSA4096] = "rsa4096",
	[KEY_ALG_P256] = "p256",       [KEY_ALG_P384] = "p384",
};

const char *
msg_key_name(enum key_class key_class)
{
	return (unsigned)key_class < KEY_CLASS_COUNT ? key_names[key_class] : "unknown";
}

const char *
msg_key_alg_name(enum key_alg algorithm)
{
	return (unsigned)algorithm < KEY_ALG_COUNT ? key_alg_names[algorithm] : "unknown";
}

int
msg_key_alg_parse(const char *name)
{
	for (int i = 0; i < KEY_ALG_COUNT; i++) {
		if (strcmp(name, key_alg_names[i]) == 0)
			return i;
	}
	return -1;
}

/* ---- codecs ------------------------------------------------------------------------------------------------------ */

/* TEXT arrays are cut at their end, should somebody have filled them without a NUL. */
static void
put_text(struct buf *b, const char *s, size_t size)
{
	buf_put_bytes(b, (struct bytes){(const uint8_t *)s, strnlen(s, size - 1)});
}

static void
put_list(struct buf *b, const struct msg_list *list, size_t max)
{
	if (list->count > max) {
		b->status = b->status != 0 ? b->status : ERR_LIMIT;
		return;
	}
	buf_put_u32(b, (uint32_t)list->count);
	for (size_t i = 0; i < list->count; i++)
		buf_put_bytes(b, list->item[i]);
}

static void
get_list(struct view *v, struct msg_list *list, size_t max)
{
	uint32_t count = view_u32(v);

	if (count > max) {
		v->bad = true;
		return;
	}
	for (uint32_t i = 0; i < count; i++)
		list->item[i] = view_bytes(v);
	list->count = count;
}

#define U8(n)
#define U16(n)
#define U32(n)
#define U64(n)
#define I64(n)
#define BYTES(n)
#define TEXT(n, size)                            _Static_assert((size) > 0, "a text needs room for its NUL");
#define LIST(n, max)                             _Static_assert((max) <= MSG_LIST_MAX, "struct msg_list is too small");
#define MSG(name, NAME, from_, to_, limit_, ...) __VA_ARGS__
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

#define U8(n)         buf_put_u8(b, m->n);
#define U16(n)        buf_put_u16(b, m->n);
#define U32(n)        buf_put_u32(b, m->n);
#define U64(n)        buf_put_u64(b, m->n);
#define I64(n)        buf_put_u64(b, (uint64_t)m->n);
#define BYTES(n)      buf_put_bytes(b, m->n);
#define TEXT(n, size) put_text(b, m->n, size);
#define LIST(n, max)  put_list(b, &m->n, max);
#define MSG(name, NAME, from_, to_, limit_, ...)                                                                       \
	void msg_##name##_put(struct buf *b, const struct msg_##name *m)                                               \
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

#define U8(n)         m.n = view_u8(&v);
#define U16(n)        m.n = view_u16(&v);
#define U32(n)        m.n = view_u32(&v);
#define U64(n)        m.n = view_u64(&v);
#define I64(n)        m.n = (int64_t)view_u64(&v);
#define BYTES(n)      m.n = view_bytes(&v);
#define TEXT(n, size) view_text(&v, m.n, size);
#define LIST(n, max)  get_list(&v, &m.n, max);
#define MSG(name, NAME, from_, to_, limit_, ...)                                                                       \
	int msg_##name##_get(struct bytes body, struct msg_##name *ret_m)                                              \
	{                                                                                                              \
		struct view v = view_of(body);                                                                         \
		struct msg_##name m = {0};                                                                             \
		int r;                                                                                                 \
                                                                                                                       \
		__VA_ARGS__                                                                                            \
		r = view_end(&v);                                                                                      \
		if (r == 0)                                                                                            \
			*ret_m = m;                                                                                    \
		return r;                                                                                              \
	}
#include "board/msg.def"
#undef MSG

#define MSG(name, NAME, from_, to_, limit_, ...)                                                                       \
	int msg_##name##_send(struct ipc *ipc, uint64_t id, const struct msg_##name *m)                                \
	{                                                                                                              \
		AUTO_BUF b;                                                                                            \
		int r;                                                                                                 \
                                                                                                                       \
		buf_init(&b, limit_);                                                                                  \
		msg_##name##_put(&b, m);                                                                               \
		r = buf_status(&b);                                                                                    \
		return r != 0 ? r : ipc_send(ipc, MSG_##NAME, id, buf_bytes(&b), -1);                                  \
	}                                                                                                              \
	int msg_##name##_call(struct ipc *ipc, const struct msg_##name *m, int timeout_ms, ipc_answer_fn fn,           \
			      void *arg)                                                                               \
	{                                                                                                              \
		AUTO_BUF b;                                                                                            \
		int r;                                                                                                 \
                                                                                                                       \
		buf_init(&b, limit_);                                                                                  \
		msg_##name##_put(&b, m);                                                                               \
		r = buf_status(&b);                                                                                    \
		return r != 0 ? r : ipc_call(ipc, MSG_##NAME, buf_bytes(&b), timeout_ms, fn, arg);                     \
	}
#include "board/msg.def"
