/*
 * board/base/secret - memory for PINs, passwords and content keys
 *
 * Locked into RAM where the limit allows it, left out of core dumps, wiped when freed.  No function prints one.
 *
 * Threads:  one at a time.
 */
#ifndef BOARD_BASE_SECRET_H
#define BOARD_BASE_SECRET_H

#include "board/base/buf.h"
#include "board/base/err.h"

struct secret;

/*
 * A copy of data in protected memory, which the caller frees.  data may be NULL for len zero bytes.  Fails with
 * ERR_NOMEM.
 */
MUST_CHECK int secret_new(const void *data, size_t len, struct secret **ret_secret);

/* Wipes and frees; NULL is fine. */
void secret_free(struct secret *secret);

/* The bytes, borrowed; a NUL that does not count stands behind them.  Empty for NULL. */
struct bytes secret_bytes(const struct secret *secret);

/* The same memory to write to, for a secret that was made with data NULL. */
uint8_t *secret_data(struct secret *secret);

/*
 * Reads a secret from a file that only its owner may read and that root or the calling user owns: one line, the line
 * end does not count, 1 to max bytes.  Fails with ERR_IO or ERR_CONFIG, and says which rule the file breaks.
 */
MUST_CHECK int secret_read_file(const char *path, size_t max, struct secret **ret_secret, struct err *e);

/* Overwrites len bytes in a way that the compiler does not remove. */
void secret_wipe(void *data, size_t len);

CLEANUP_STRUCT(secret, secret_free)

#endif
