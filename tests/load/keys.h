/*
 * tests/load/keys - keys of devices: made on all processors, or read from a file and added to it
 *
 * Threads:  the main thread, which blocks.
 */
#ifndef TESTS_LOAD_KEYS_H
#define TESTS_LOAD_KEYS_H

#include "tests/lib/scepmsg.h"

/*
 * count clients with RSA keys of so many bits, in an array that the caller frees with its content.  With a file, its
 * keys of that size come first, and those that had to be made are added to it (mode 0600).  Fails with ERR_IO,
 * ERR_CRYPTO, ERR_NOMEM.
 */
MUST_CHECK int keys_get(size_t count, int bits, const char *file, struct scepmsg_client **ret_clients, struct err *e);

/* A fresh P-256 key; NULL on failure; the caller frees. */
EVP_PKEY *keys_p256(void);

#endif
