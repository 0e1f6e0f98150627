/*
 * hsm/vault - the token with its checked and tested keys, opened in one go
 *
 * What the signer and chancery-hsmspeed do at start: module, token, login, self-tests, keys.  Everything here blocks
 * and is done before the workers start; a key does not change afterwards, except at the ceremony, where one worker is
 * alone.
 *
 * Threads:  open, init, load by one thread; then key() by any.
 * Owner:    the caller's storage; the module, the engine and the session stay for the life of the process.
 */
#ifndef HSM_VAULT_H
#define HSM_VAULT_H

#include "board/config.h"
#include "hsm/key.h"
#include "hsm/token.h"

struct hsm_vault {
	struct hsm_token *token; /* NULL: not found yet (ceremony) */
	struct hsm_key *keys[HSM_KEY_SLOTS];
	char module[200];
	bool writable;
};

/*
 * Loads the module, tests the library, finds the token of conf and logs in once.  writable: keys will be generated.
 * Fails with ERR_CONFIG, ERR_CRYPTO, ERR_TOKEN, ERR_PIN; ERR_UNKNOWN when there is no such token: then the vault is
 * ready for hsm_vault_init_token().
 */
MUST_CHECK int
hsm_vault_open(const struct config *conf, struct bytes pin, bool writable, struct hsm_vault *vault, struct err *e);

/* Makes the token label and opens it (see hsm_token_init()). */
MUST_CHECK int
hsm_vault_init_token(struct hsm_vault *vault, const char *label, struct bytes so_pin, struct bytes pin, struct err *e);

/* Checks, loads and tests the key of a slot.  Fails as hsm_key_load() and hsm_selftest_*() do. */
MUST_CHECK int hsm_vault_load(struct hsm_vault *vault, unsigned slot, struct err *e);

/*
 * Loads every key that the token has in the first count slots; those that it lacks stay NULL.  KEY_CLASS_COUNT is one
 * of each class, HSM_KEY_SLOTS all generations.  Fails as hsm_vault_load() for the first one.
 */
MUST_CHECK int hsm_vault_load_all(struct hsm_vault *vault, unsigned count, struct err *e);

/* The key in a slot, or NULL; borrowed. */
const struct hsm_key *hsm_vault_key(const struct hsm_vault *vault, unsigned slot);

/*
 * Session, login, a signature with a key whose signatures lead nowhere, and an unwrapping.  For a worker.  Fails with
 * ERR_TOKEN.
 */
MUST_CHECK int hsm_vault_probe(const struct hsm_vault *vault, struct err *e);

/* Frees the keys; nobody may use them any more. */
void hsm_vault_fini(struct hsm_vault *vault);

#endif
