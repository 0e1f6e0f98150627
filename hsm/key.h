/*
 * hsm/key - the keys of the appliance: one object pair in the token for each class, made and checked here
 *
 * A key's label is "chancery-" and msg_key_name(), with "-2" and so on behind it for the CA's later generations; its
 * class says what it may do, and the token is told the same by the usage attributes.  A slot is the place of one such
 * pair: the number of its class, and for the CA's later generations one behind the classes.  A private key that could
 * leave the token, or that was not made in it, or that may do more than its class needs, is not used.
 *
 * Threads:  all functions by one thread at a time; a loaded key is constant and may be shared by any.
 * Owner:    the caller frees a key with hsm_key_free().
 */
#ifndef HSM_KEY_H
#define HSM_KEY_H

#include "board/msg.h"
#include "hsm/token.h"

struct evp_pkey_st;

enum { HSM_KEY_RSA_MAX = 512 }; /* octets of the largest modulus */
enum { HSM_KEY_SLOTS = KEY_CLASS_COUNT + CA_GENERATIONS - 1 };

struct hsm_key {
	unsigned slot;
	enum key_class key_class;
	enum key_alg algorithm;
	struct evp_pkey_st *private_key;  /* the engine's */
	struct evp_pkey_st *public_key;   /* in software, to check what the token answers */
	struct bytes spki;                /* SubjectPublicKeyInfo, owned by the key */
	uint8_t modulus[HSM_KEY_RSA_MAX]; /* RSA: big-endian, its first octet not zero */
	size_t modulus_len;               /* RSA: octets of a ciphertext; EC: 0 */
	bool raw_rsa;                     /* the token does RSA without padding (CKM_RSA_X_509) */
};

/*
 * The slot that serves key_class in this generation: the CA's own for KEY_CRL too, and for other classes the same in
 * all generations.  Both must be in range.
 */
unsigned hsm_key_slot(enum key_class key_class, unsigned generation);

/* "chancery-ca", "chancery-ca-2", …; static storage. */
const char *hsm_key_label(unsigned slot);

/* May a key of this class be of this algorithm?  ra-decrypt must be RSA. */
bool hsm_key_alg_allowed(enum key_class key_class, enum key_alg algorithm);

/*
 * Generates the pair of a slot.  Half of a pair, left by a crash while it was made, is removed first.  Fails with
 * ERR_EXISTS when the private key is there, ERR_ALG when the class must not have this algorithm, ERR_TOKEN.
 */
MUST_CHECK int hsm_key_generate(struct hsm_token *token, unsigned slot, enum key_alg algorithm, struct err *e);

/*
 * Checks the attributes of the private key and loads it through the engine, which must be open.  Fails with ERR_UNKNOWN
 * when there is none, ERR_DENIED when an attribute forbids its use (e names key and attribute), ERR_TOKEN, ERR_PIN.
 */
MUST_CHECK int hsm_key_load(struct hsm_token *token, unsigned slot, struct hsm_key **ret_key, struct err *e);

/* NULL is fine. */
void hsm_key_free(struct hsm_key *key);

CLEANUP_STRUCT(hsm_key, hsm_key_free)

#endif
