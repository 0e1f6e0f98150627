/*
 * hsm/selftest - does the library compute what it should, and does the token's key?
 *
 * Threads:  any; those with a key wait for the token.
 */
#ifndef HSM_SELFTEST_H
#define HSM_SELFTEST_H

#include "hsm/key.h"

/* Known answers of SHA-256, SHA-384, and of verifying RSA and ECDSA signatures.  Fails with ERR_CRYPTO. */
MUST_CHECK int hsm_selftest_library(struct err *e);

/* Signs with key and verifies; the health probe, too.  Fails as hsm_sign() does. */
MUST_CHECK int hsm_selftest_sign(const struct hsm_key *key, struct err *e);

/*
 * Encrypts random bytes with the public key in software, with padding UNWRAP_PKCS1 or UNWRAP_OAEP (SHA-1), and has them
 * unwrapped.  Fails as hsm_unwrap() does, and with ERR_TOKEN when the result differs.
 */
MUST_CHECK int hsm_selftest_unwrap(const struct hsm_key *key, int padding, struct err *e);

#endif
