/*
 * board/base/buf - a growing, bounded byte buffer to write, and a view of bytes to read
 *
 * Both remember the first failure instead of reporting each: write or read everything, then ask once (buf_status(),
 * view_end()).  Integers are big-endian.  "Bytes" and "text" are preceded by their length as u32.
 *
 * Threads:  one at a time.
 * Owner:    a buf owns its memory and wipes it when freed; a view borrows.
 */
#ifndef BOARD_BASE_BUF_H
#define BOARD_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "board/base/cleanup.h"
#include "board/base/err.h"

/* Bytes that somebody else owns. */
struct bytes {
	const uint8_t *data;
	size_t len;
};

struct buf {
	uint8_t *data;
	size_t len;
	size_t cap;
	size_t limit; /* more than this is ERR_LIMIT */
	int status;   /* 0, ERR_LIMIT or ERR_NOMEM; sticky */
};

struct view {
	const uint8_t *next;
	size_t left;
	bool bad; /* something was missing; sticky */
};

/* An empty buffer in the caller's storage, to hold at most limit bytes.  Allocates nothing yet. */
void buf_init(struct buf *b, size_t limit);

/* Wipes and frees the memory; the buffer is empty afterwards and may be used again. */
void buf_fini(struct buf *b);

/* Empties the buffer and keeps its memory. */
void buf_clear(struct buf *b);

/* 0, or the failure that made this buffer incomplete: ERR_LIMIT or ERR_NOMEM. */
MUST_CHECK int buf_status(const struct buf *b);

/* Appends one integer, big-endian. */
void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_u16(struct buf *b, uint16_t v); /* as buf_put_u8() */
void buf_put_u32(struct buf *b, uint32_t v); /* as buf_put_u8() */
void buf_put_u64(struct buf *b, uint64_t v); /* as buf_put_u8() */

/* Appends len bytes as they are. */
void buf_put_raw(struct buf *b, const void *data, size_t len);

/* Appends a u32 length and then the bytes. */
void buf_put_bytes(struct buf *b, struct bytes v);

/* Appends a string as bytes, without its NUL; NULL counts as "". */
void buf_put_text(struct buf *b, const char *s);

/* Room for len bytes at the end, counted as written; NULL when the buffer failed. */
uint8_t *buf_put_room(struct buf *b, size_t len);

/* Appends formatted text without a NUL. */
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* What the buffer holds, as borrowed bytes: valid until the next write. */
struct bytes buf_bytes(const struct buf *b);

/* Hands the memory over (free() it) with its length; the buffer is empty afterwards.  NULL when empty or failed. */
uint8_t *buf_take(struct buf *b, size_t *ret_len);

/* A view of v from its start. */
struct view view_of(struct bytes v);

/* Reads one integer, big-endian; 0 and bad when too little is left. */
uint8_t view_u8(struct view *v);
uint16_t view_u16(struct view *v); /* as view_u8() */
uint32_t view_u32(struct view *v); /* as view_u8() */
uint64_t view_u64(struct view *v); /* as view_u8() */

/* Reads len bytes without a length before them; empty and bad when too little is left. */
struct bytes view_raw(struct view *v, size_t len);

/* Reads a u32 length and then the bytes, borrowed from what the view looks at. */
struct bytes view_bytes(struct view *v);

/* Reads bytes into out as a NUL-terminated string; bad when they do not fit into size or hold a NUL. */
void view_text(struct view *v, char *out, size_t size);

/* 0 when everything was read and nothing was missing, else ERR_FORMAT. */
MUST_CHECK int view_end(const struct view *v);

/* Bytes of a NUL-terminated string, without the NUL. */
struct bytes bytes_of_text(const char *s);

/* Same length and content; takes the same time wherever two of the same length differ. */
bool bytes_equal(struct bytes a, struct bytes b);

/* A malloc()ed copy; NULL data when there is no memory or v is empty. */
struct bytes bytes_dup(struct bytes v);

/* The value of a hexadecimal digit of either case, or -1. */
int bytes_hex_digit(char c);

/* Lower-case hexadecimal of v into out, cut to what fits in size (NUL included).  Returns out. */
char *bytes_hex(struct bytes v, char *out, size_t size);

static inline __attribute__((unused)) void
buf_fini_auto(struct buf *b)
{
	buf_fini(b);
}

/* A local buffer that is wiped and freed when its block ends; still needs buf_init(). */
#define AUTO_BUF __attribute__((cleanup(buf_fini_auto))) struct buf

#endif
