/*
 * appliance/challenge - making challenge passwords and turning them into what the store keeps
 *
 * The store keeps HMAC-SHA-256 under a key of its own file (state/store/challenge.key, made at the first start,
 * readable by the authority alone), so that a copy of the database gives nobody a challenge (RFC 8894 7.3).
 *
 * Threads:  the loop's.
 */
#ifndef APPLIANCE_CHALLENGE_H
#define APPLIANCE_CHALLENGE_H

#include "appliance/store.h"
#include "board/base/secret.h"

/*
 * Reads the key file, or makes it (fsync, rename).  Blocks; before the loop runs.  Fails with ERR_CRYPTO, ERR_IO when
 * it does not hold a key, or as file_replace() and secret_read_file() do.
 */
MUST_CHECK int app_challenge_key_open(const char *path, struct secret **ret_key, struct err *e);

/* A fresh challenge of digits upper-case hexadecimal digits.  Fails with ERR_CRYPTO. */
MUST_CHECK int app_challenge_new(int digits, struct secret **ret_challenge);

/* The hash that the store keeps. */
void app_challenge_hash(const struct secret *key, struct bytes challenge, uint8_t ret_hash[APP_HASH_SIZE]);

#endif
