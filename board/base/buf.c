/*
 * board/base/buf - see buf.h
 */
#include "board/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

enum { BUF_FIRST = 256 };

void
buf_init(struct buf *b, size_t limit)
{
	*b = (struct buf){.limit = limit};
}

void
buf_fini(struct buf *b)
{
	if (b->data != NULL) {
		explicit_bzero(b->data, b->cap);
		free(b->data);
	}
	buf_init(b, b->limit);
}

void
buf_clear(struct buf *b)
{
	b->len = 0;
	b->status = 0;
}

int
buf_status(const struct buf *b)
{
	return b->status;
}

static void
put_be(uint8_t *p, uint64_t v, size_t n)
{
	while (n-- > 0) {
		p[n] = (uint8_t)v;
		v >>= 8;
	}
}

static void
put_int(struct buf *b, uint64_t v, size_t n)
{
	uint8_t *p = buf_put_room(b, n);

	if (p != NULL)
		put_be(p, v, n);
}

void
buf_put_u8(struct buf *b, uint8_t v)
{
	put_int(b, v, 1);
}

void
buf_put_u16(struct buf *b, uint16_t v)
{
	put_int(b, v, 2);
}

void
buf_put_u32(struct buf *b, uint32_t v)
{
	put_int(b, v, 4);
}

void
buf_put_u64(struct buf *b, uint64_t v)
{
	put_int(b, v, 8);
}

void
buf_put_raw(struct buf *b, const void *data, size_t len)
{
	uint8_t *p;

	if (len == 0)
		return;
	p = buf_put_room(b, len);
	if (p != NULL)
		memcpy(p, data, len);
}

void
buf_put_bytes(struct buf *b, struct bytes v)
{
	if (v.len > UINT32_MAX) {
		b->status = b->status != 0 ? b->status : ERR_LIMIT;
		return;
	}
	buf_put_u32(b, (uint32_t)v.len);
	buf_put_raw(b, v.data, v.len);
}

void
buf_put_text(struct buf *b, const char *s)
{
	buf_put_bytes(b, bytes_of_text(s));
}

/* realloc() could leave a copy behind that nobody wipes. */
static int
buf_grow(struct buf *b, size_t need)
{
	size_t cap = b->cap < BUF_FIRST ? BUF_FIRST : b->cap;
	uint8_t *data;

	while (cap < need)
		cap = cap > b->limit / 2 ? b->limit : cap * 2;
	data = malloc(cap);
	if (data == NULL)
		return ERR_NOMEM;
	if (b->data != NULL) {
		memcpy(data, b->data, b->len);
		explicit_bzero(b->data, b->cap);
		free(b->data);
	}
	b->data = data;
	b->cap = cap;
	return 0;
}

uint8_t *
buf_put_room(struct buf *b, size_t len)
{
	uint8_t *p;

	if (b->status != 0)
		return NULL;
	if (len > b->limit - b->len) {
		b->status = ERR_LIMIT;
		return NULL;
	}
	if (b->data == NULL || b->cap - b->len < len) {
		b->status = buf_grow(b, b->len + len);
		if (b->status != 0)
			return NULL;
	}
	p = b->data + b->len;
	b->len += len;
	return p;
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	char small[512];
	AUTO(char) large = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(small)) {
		buf_put_raw(b, small, (size_t)n);
		return;
	}
	va_start(ap, fmt);
	n = vasprintf(&large, fmt, ap);
	va_end(ap);
	if (n < 0) {
		large = NULL;
		b->status = b->status != 0 ? b->status : ERR_NOMEM;
		return;
	}
	buf_put_raw(b, large, (size_t)n);
}

struct bytes
buf_bytes(const struct buf *b)
{
	return (struct bytes){b->data, b->len};
}

uint8_t *
buf_take(struct buf *b, size_t *ret_len)
{
	uint8_t *data = NULL;

	*ret_len = 0;
	if (b->status == 0 && b->len > 0) {
		*ret_len = b->len;
		data = TAKE(b->data);
	}
	buf_fini(b);
	return data;
}

struct view
view_of(struct bytes v)
{
	return (struct view){.next = v.data, .left = v.len};
}

struct bytes
view_raw(struct view *v, size_t len)
{
	struct bytes out = {NULL, 0};

	if (v->bad || len > v->left) {
		v->bad = true;
		return out;
	}
	out = (struct bytes){v->next, len};
	if (len > 0)
		v->next += len;
	v->left -= len;
	return out;
}

static uint64_t
view_int(struct view *v, size_t n)
{
	struct bytes raw = view_raw(v, n);
	uint64_t value = 0;

	for (size_t i = 0; i < raw.len; i++)
		value = value << 8 | raw.data[i];
	return value;
}

uint8_t
view_u8(struct view *v)
{
	return (uint8_t)view_int(v, 1);
}

uint16_t
view_u16(struct view *v)
{
	return (uint16_t)view_int(v, 2);
}

uint32_t
view_u32(struct view *v)
{
	return (uint32_t)view_int(v, 4);
}

uint64_t
view_u64(struct view *v)
{
	return view_int(v, 8);
}

struct bytes
view_bytes(struct view *v)
{
	uint32_t len = view_u32(v);

	return view_raw(v, len);
}

void
view_text(struct view *v, char *out, size_t size)
{
	struct bytes raw = view_bytes(v);

	if (raw.len >= size || (raw.len > 0 && memchr(raw.data, '\0', raw.len) != NULL)) {
		v->bad = true;
		raw.len = 0;
	}
	if (size == 0)
		return;
	if (raw.len > 0)
		memcpy(out, raw.data, raw.len);
	out[raw.len] = '\0';
}

int
view_end(const struct view *v)
{
	return v->bad || v->left != 0 ? ERR_FORMAT : 0;
}

struct bytes
bytes_of_text(const char *s)
{
	return (struct bytes){(const uint8_t *)s, s != NULL ? strlen(s) : 0};
}

bool
bytes_equal(struct bytes a, struct bytes b)
{
	return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.data, b.data, a.len) == 0);
}

struct bytes
bytes_dup(struct bytes v)
{
	uint8_t *copy = v.len == 0 ? NULL : malloc(v.len);

	if (copy == NULL)
		return (struct bytes){NULL, 0};
	memcpy(copy, v.data, v.len);
	return (struct bytes){copy, v.len};
}

int
bytes_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

char *
bytes_hex(struct bytes v, char *out, size_t size)
{
	static const char digit[] = "0123456789abcdef";
	size_t n = 0;

	for (size_t i = 0; i < v.len && n + 2 < size; i++) {
		out[n++] = digit[v.data[i] >> 4];
		out[n++] = digit[v.data[i] & 15];
	}
	if (size > 0)
		out[n] = '\0';
	return out;
}
