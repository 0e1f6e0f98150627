/*
 * hsm/sign - one private-key operation: sign bytes, or unwrap a content-encryption key
 *
 * The digest is made here in software; the token does RSA PKCS#1 v1.5 or ECDSA on it.  Every signature is verified
 * with the public key before it leaves: a token that computes wrongly must not hand out something that helps to find
 * its key.
 *
 * Unwrapping never tells whether the ciphertext was good (RFC 8894 section 4, RFC 3218): each call draws random bytes,
 * does one private operation, and picks the result without a branch.  Where the token offers RSA without padding, the
 * padding is taken off here in constant time; otherwise the token does it, and only CKR_* tell a bad one.
 *
 * Threads:  any; they wait for the token, so workers only.
 */
#ifndef HSM_SIGN_H
#define HSM_SIGN_H

#include "hsm/key.h"

enum { HSM_SIGNATURE_MAX = 512, HSM_UNWRAP_MIN = 8, HSM_UNWRAP_MAX = 64 };

struct hsm_signature {
	uint8_t data[HSM_SIGNATURE_MAX];
	size_t len;
};

struct hsm_unwrap {
	int padding;        /* UNWRAP_PKCS1 or UNWRAP_OAEP */
	enum digest digest; /* OAEP's */
	enum digest mgf_digest;
	struct bytes label; /* OAEP's, mostly empty */
	size_t key_size;
	struct bytes ciphertext;
};

/* Fetches digests once; call before any other function here.  Fails with ERR_CRYPTO. */
MUST_CHECK int hsm_sign_init(struct err *e);

/* AlgorithmIdentifier, whole, of signatures by such a key with digest; empty when there is none.  Static storage. */
struct bytes hsm_sign_algorithm(enum key_alg algorithm, enum digest digest);

/* Signs data, whole.  Fails with ERR_ALG, ERR_TOKEN (also when the signature does not verify), ERR_CRYPTO. */
MUST_CHECK int hsm_sign(const struct hsm_key *key, enum digest digest, struct bytes data,
			struct hsm_signature *ret_signature, struct err *e);

/*
 * Signs a hash of 32, 48 or 64 octets (SHA-256, -384, -512) with an EC key.  Fails with ERR_ALG (another kind of key),
 * ERR_FORMAT (another length), and as hsm_sign().
 */
MUST_CHECK int
hsm_sign_hash(const struct hsm_key *key, struct bytes hash, struct hsm_signature *ret_signature, struct err *e);

/*
 * key_size octets into ret_key: the unwrapped ones, or random ones when anything about the ciphertext was wrong.
 * *ret_suspect: had the token been sick, it would have looked like a bad ciphertext, so a probe has to tell.  Fails
 * with ERR_FORMAT (key_size, padding), ERR_ALG (key or digest), ERR_TOKEN, ERR_CRYPTO.
 */
MUST_CHECK int hsm_unwrap(const struct hsm_key *key, const struct hsm_unwrap *request, uint8_t ret_key[HSM_UNWRAP_MAX],
			  bool *ret_suspect, struct err *e);

#endif
