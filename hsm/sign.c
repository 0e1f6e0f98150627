#include "hsm/sign.h"

#include <stdatomic.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include "board/base/log.h"
#include "board/base/oid.h"
#include "board/base/secret.h"
#include "hsm/call.h"
#include "hsm/engine.h"

CLEANUP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)

enum { DIGEST_SIZE_MAX = 64, BITS_PER_OCTET = 8 };

/* Fetched once: an implicit fetch for each signature costs more than the digest of a certificate. */
static EVP_MD *digests[DIGEST_COUNT];

/* Of this process. */
static atomic_uint wrong_signatures;

static const char *const digest_names[DIGEST_COUNT] = {
	[DIGEST_SHA1] = "SHA1",
	[DIGEST_SHA256] = "SHA256",
	[DIGEST_SHA384] = "SHA384",
	[DIGEST_SHA512] = "SHA512",
};

#define RSA_ALG(last)   OID_BYTES("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01" last "\x05\x00")
#define ECDSA_ALG(last) OID_BYTES("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03" last)

int
hsm_sign_init(struct err *e)
{
	int i;

	for (i = 0; i < DIGEST_COUNT; i++) {
		if (digests[i] == NULL)
			digests[i] = EVP_MD_fetch(NULL, digest_names[i], NULL);
		if (digests[i] == NULL)
			return err_set_ossl(e, ERR_CRYPTO, "digest %s", digest_names[i]);
	}
	return 0;
}

/* RFC 8017 A.2.4 (NULL parameters), RFC 5758 3.2 (none). */
struct bytes
hsm_sign_algorithm(enum key_alg algorithm, enum digest digest)
{
	const bool rsa = algorithm < KEY_ALG_P256;

	switch (digest) {
	case DIGEST_SHA1:
		return rsa ? RSA_ALG("\x05") : OID_BYTES("\x30\x09\x06\x07\x2a\x86\x48\xce\x3d\x04\x01");
	case DIGEST_SHA256:
		return rsa ? RSA_ALG("\x0b") : ECDSA_ALG("\x02");
	case DIGEST_SHA384:
		return rsa ? RSA_ALG("\x0c") : ECDSA_ALG("\x03");
	case DIGEST_SHA512:
		return rsa ? RSA_ALG("\x0d") : ECDSA_ALG("\x04");
	default:
		return (struct bytes){NULL, 0};
	}
}

/* ---- signing ----------------------------------------------------------------------------------------------------- */

/* Padding and digest for a context that signs or verifies. */
static bool
prepare(EVP_PKEY_CTX *ctx, const struct hsm_key *key, enum digest digest)
{
	if (key->modulus_len != 0 && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) != 1)
		return false;
	return EVP_PKEY_CTX_set_signature_md(ctx, digests[digest]) == 1;
}

static int
verify(const struct hsm_key *key, enum digest digest, struct bytes hash, const struct hsm_signature *signature,
       struct err *e)
{
	AUTO(EVP_PKEY_CTX) ctx = EVP_PKEY_CTX_new(key->public_key, NULL);

	if (ctx == NULL || EVP_PKEY_verify_init(ctx) != 1 || !prepare(ctx, key, digest))
		return err_set_ossl(e, ERR_CRYPTO, "preparing to verify");
	if (EVP_PKEY_verify(ctx, signature->data, signature->len, hash.data, hash.len) == 1)
		return 0;
	ERR_clear_error();
	log_event(SIGNER_WRONG_SIGNATURE, hsm_key_label(key->slot), atomic_fetch_add(&wrong_signatures, 1) + 1);
	return err_set(e, ERR_TOKEN, 0, "the token's signature with %s is wrong", hsm_key_label(key->slot));
}

static int
token_error(const char *step, const struct hsm_key *key, struct err *e)
{
	unsigned long rv = hsm_engine_rv();

	return err_set(e, ERR_TOKEN, (uint32_t)rv, "%s with %s: %s", step, hsm_key_label(key->slot),
		       hsm_call_rv_name(rv));
}

static int
sign_and_verify(const struct hsm_key *key, enum digest digest, struct bytes hash, struct hsm_signature *ret_signature,
		struct err *e)
{
	AUTO(EVP_PKEY_CTX) ctx = EVP_PKEY_CTX_new(key->private_key, NULL);
	struct hsm_signature signature = {.len = sizeof(signature.data)};
	int code;

	if (ctx == NULL || EVP_PKEY_sign_init(ctx) != 1 || !prepare(ctx, key, digest))
		return err_set_ossl(e, ERR_CRYPTO, "preparing to sign");
	if (EVP_PKEY_sign(ctx, signature.data, &signature.len, hash.data, hash.len) != 1)
		return token_error("signing", key, e);
	code = verify(key, digest, hash, &signature, e);
	if (code == 0)
		*ret_signature = signature;
	return code;
}

int
hsm_sign(const struct hsm_key *key, enum digest digest, struct bytes data, struct hsm_signature *ret_signature,
	 struct err *e)
{
	uint8_t hash[DIGEST_SIZE_MAX];
	unsigned hash_len = 0;

	if ((unsigned)digest >= DIGEST_COUNT)
		return err_set(e, ERR_ALG, 0, "no such digest");
	ERR_clear_error();
	if (EVP_Digest(data.data, data.len, hash, &hash_len, digests[digest], NULL) != 1)
		return err_set_ossl(e, ERR_CRYPTO, "digest");
	return sign_and_verify(key, digest, (struct bytes){hash, hash_len}, ret_signature, e);
}

int
hsm_sign_hash(const struct hsm_key *key, struct bytes hash, struct hsm_signature *ret_signature, struct err *e)
{
	enum digest digest = DIGEST_SHA256;

	if (key->modulus_len != 0)
		return err_set(e, ERR_ALG, 0, "%s is not an EC key", hsm_key_label(key->key_class));
	while (digest < DIGEST_COUNT && (size_t)EVP_MD_get_size(digests[digest]) != hash.len)
		digest++;
	if (digest == DIGEST_COUNT)
		return err_set(e, ERR_FORMAT, 0, "a hash of %zu octets", hash.len);
	ERR_clear_error();
	return sign_and_verify(key, digest, hash, ret_signature, e);
}

/* ---- unwrapping: values below are 0 or 1, and nothing branches on them ------------------------------------------ */

/* 1 when a is not 0. */
static unsigned
is_nonzero(uint32_t a)
{
	return (a | (0u - a)) >> 31;
}

/* Octets of a where choose is 1, of b where it is 0. */
static void
select_bytes(unsigned choose, const uint8_t *a, const uint8_t *b, size_t len, uint8_t *out)
{
	volatile uint8_t mask = (uint8_t)(0u - choose);
	size_t i;

	for (i = 0; i < len; i++)
		out[i] = (uint8_t)((a[i] & mask) | (b[i] & (uint8_t)~mask));
}

/*
 * RSAES-PKCS1-v1_5 (RFC 8017 7.2.2) for a message whose length is known: 00 02, octets that are not zero, 00, the
 * message.  1 when block is that.
 */
static unsigned
pkcs1_good(const uint8_t *block, size_t len, size_t key_size)
{
	size_t zero_at = len - key_size - 1;
	uint32_t wrong = block[0] | (uint32_t)(block[1] ^ 0x02) | block[zero_at];
	unsigned gaps = 0;
	size_t i;

	for (i = 2; i < zero_at; i++)
		gaps |= is_nonzero(block[i]) ^ 1u;
	return (is_nonzero(wrong) | gaps) ^ 1u;
}

/*
 * The ciphertext as the token will take it.  One of the wrong length, or not below the modulus, is replaced, so that it
 * costs the same operation as others; both are visible to whoever sent it, so a branch gives nothing away.
 */
static unsigned
take_ciphertext(const struct hsm_key *key, struct bytes ciphertext, uint8_t *out)
{
	if (ciphertext.len == key->modulus_len && memcmp(ciphertext.data, key->modulus, ciphertext.len) < 0) {
		memcpy(out, ciphertext.data, ciphertext.len);
		return 1;
	}
	memset(out, 0, key->modulus_len);
	out[key->modulus_len - 1] = 2;
	return 0;
}

static int
set_padding(EVP_PKEY_CTX *ctx, const struct hsm_key *key, const struct hsm_unwrap *request)
{
	uint8_t *label = NULL;

	if (request->padding == UNWRAP_PKCS1)
		return EVP_PKEY_CTX_set_rsa_padding(ctx, key->raw_rsa ? RSA_NO_PADDING : RSA_PKCS1_PADDING);
	if (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) != 1 ||
	    EVP_PKEY_CTX_set_rsa_oaep_md(ctx, digests[request->digest]) != 1 ||
	    EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, digests[request->mgf_digest]) != 1)
		return 0;
	if (request->label.len == 0)
		return 1;
	label = OPENSSL_memdup(request->label.data, request->label.len);
	if (label == NULL)
		return 0;
	if (EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, label, (int)request->label.len) == 1)
		return 1;
	OPENSSL_free(label);
	return 0;
}

static int
check_request(const struct hsm_key *key, const struct hsm_unwrap *request, struct err *e)
{
	if (request->key_size < HSM_UNWRAP_MIN || request->key_size > HSM_UNWRAP_MAX)
		return err_set(e, ERR_FORMAT, 0, "unwrap of a key of %zu octets", request->key_size);
	if (request->padding != UNWRAP_PKCS1 && request->padding != UNWRAP_OAEP)
		return err_set(e, ERR_FORMAT, 0, "unwrap with padding %d", request->padding);
	if ((unsigned)request->digest >= DIGEST_COUNT || (unsigned)request->mgf_digest >= DIGEST_COUNT)
		return err_set(e, ERR_ALG, 0, "unwrap with an unknown digest");
	if (request->padding == UNWRAP_OAEP && !key->raw_rsa)
		return err_set(e, ERR_ALG, 0, "the token does not offer what OAEP needs");
	if (key->modulus_len == 0)
		return err_set(e, ERR_ALG, 0, "%s is not an RSA key", hsm_key_label(key->slot));
	return 0;
}

/* What one decryption gave. */
struct plain {
	uint8_t data[HSM_KEY_RSA_MAX];
	size_t len;
	unsigned decrypted; /* 0: the operation failed, with rv */
	unsigned long rv;
};

static int
decrypt(const struct hsm_key *key, const struct hsm_unwrap *request, const uint8_t *ciphertext, struct plain *plain,
	struct err *e)
{
	AUTO(EVP_PKEY_CTX) ctx = EVP_PKEY_CTX_new(key->private_key, NULL);

	memset(plain, 0, sizeof(*plain));
	plain->len = sizeof(plain->data);
	ERR_clear_error();
	if (ctx == NULL || EVP_PKEY_decrypt_init(ctx) != 1 || set_padding(ctx, key, request) != 1)
		return err_set_ossl(e, ERR_CRYPTO, "preparing to unwrap");
	plain->decrypted = EVP_PKEY_decrypt(ctx, plain->data, &plain->len, ciphertext, key->modulus_len) == 1;
	plain->rv = hsm_engine_rv();
	return 0;
}

/* Where the key is in plain, and 1 if it is one. */
static unsigned
find_key(const struct hsm_key *key, const struct hsm_unwrap *request, const struct plain *plain, const uint8_t **ret_at)
{
	size_t zero_at = key->modulus_len - request->key_size - 1;

	if (request->padding != UNWRAP_PKCS1 || !key->raw_rsa) {
		*ret_at = plain->data;
		return plain->decrypted & (is_nonzero((uint32_t)(plain->len ^ request->key_size)) ^ 1u);
	}
	/* A module that drops leading zeros fails here with every block; the self-test notices (hsm/vault.c). */
	*ret_at = plain->data + zero_at + 1;
	return plain->decrypted & (is_nonzero((uint32_t)(plain->len ^ key->modulus_len)) ^ 1u) &
	       pkcs1_good(plain->data, key->modulus_len, request->key_size);
}

/*
 * Does the answer rv say for certain that the token is gone?  CKR_FUNCTION_FAILED does not where the token judges the
 * padding: some say that of a bad one, and then a stranger could end the signer, and see by that what he sent.
 */
static bool
is_token_gone(bool token_unpads, unsigned long rv)
{
	return hsm_engine_gone(rv) && !(token_unpads && rv == CKR_FUNCTION_FAILED);
}

int
hsm_unwrap(const struct hsm_key *key, const struct hsm_unwrap *request, uint8_t ret_key[HSM_UNWRAP_MAX],
	   bool *ret_suspect, struct err *e)
{
	uint8_t ciphertext[HSM_KEY_RSA_MAX];
	uint8_t random[HSM_UNWRAP_MAX];
	bool token_unpads = request->padding == UNWRAP_PKCS1 && !key->raw_rsa;
	const uint8_t *found;
	struct plain plain;
	unsigned good;
	int code = check_request(key, request, e);

	if (code != 0)
		return code;
	if (RAND_bytes(random, sizeof(random)) != 1)
		return err_set_ossl(e, ERR_CRYPTO, "random key");
	good = take_ciphertext(key, request->ciphertext, ciphertext);
	code = decrypt(key, request, ciphertext, &plain, e);
	if (code == 0 && plain.decrypted == 0 && is_token_gone(token_unpads, plain.rv))
		code = err_set(e, ERR_TOKEN, (uint32_t)plain.rv, "unwrapping: %s", hsm_call_rv_name(plain.rv));
	if (code == 0) {
		good &= find_key(key, request, &plain, &found);
		select_bytes(good, found, random, request->key_size, ret_key);
		/*
		 * The token itself failed, and not the OAEP that OpenSSL took off.  Where a bad padding looks like
		 * that, every unwrapping is in doubt: a probe after the bad ones alone could be felt by who sent them.
		 */
		*ret_suspect = token_unpads ||
			       (plain.decrypted == 0 && (plain.rv != CKR_OK || request->padding == UNWRAP_PKCS1));
	}
	secret_wipe(&plain, sizeof(plain));
	secret_wipe(random, sizeof(random));
	return code;
}
