#include "hsm/vault.h"

#include <stdio.h>
#include <string.h>

#include "hsm/call.h"
#include "hsm/engine.h"
#include "hsm/patience.h"
#include "hsm/selftest.h"
#include "hsm/sign.h"

static int
adopt_token(struct hsm_vault *vault, struct hsm_token *token, struct bytes pin, struct err *e)
{
	vault->token = token;
	return hsm_engine_open(vault->module, pin, e);
}

int
hsm_vault_open(const struct config *conf, struct bytes pin, bool writable, struct hsm_vault *vault, struct err *e)
{
	struct hsm_token_name name;
	struct hsm_token *token = NULL;
	int code;

	memset(vault, 0, sizeof(*vault));
	vault->writable = writable;
	snprintf(vault->module, sizeof(vault->module), "%s", conf->signer_module);
	code = hsm_token_name_parse(conf->signer_token, &name, e);
	if (code == 0)
		code = hsm_sign_init(e);
	if (code == 0)
		code = hsm_selftest_library(e);
	hsm_patience_step("loading the module");
	if (code == 0)
		code = hsm_call_open(vault->module, e);
	hsm_patience_step("opening the token");
	if (code == 0)
		code = hsm_token_open(&name, pin, writable, &token, e);
	return code != 0 ? code : adopt_token(vault, token, pin, e);
}

int
hsm_vault_init_token(struct hsm_vault *vault, const char *label, struct bytes so_pin, struct bytes pin, struct err *e)
{
	struct hsm_token *token = NULL;
	int code;

	if (vault->token != NULL)
		return err_set(e, ERR_EXISTS, 0, "the token '%s' exists", hsm_token_name(vault->token)->label);
	code = hsm_token_init(label, so_pin, pin, &token, e);
	return code != 0 ? code : adopt_token(vault, token, pin, e);
}

/*
 * RSA without padding is preferred for unwrapping (hsm/sign.h), but a token that lists it need not allow it for this
 * key, or may drop leading zeros; then the token's own unpadding has to do, and OAEP is not offered.
 */
static int
test_unwrap(struct hsm_key *key, struct err *e)
{
	if (key->raw_rsa && hsm_selftest_unwrap(key, UNWRAP_PKCS1, NULL) == 0)
		return hsm_selftest_unwrap(key, UNWRAP_OAEP, e);
	key->raw_rsa = false;
	return hsm_selftest_unwrap(key, UNWRAP_PKCS1, e);
}

int
hsm_vault_load(struct hsm_vault *vault, unsigned slot, struct err *e)
{
	AUTO_STRUCT(hsm_key) key = NULL;
	int code;

	if (vault->token == NULL)
		return err_set(e, ERR_UNKNOWN, 0, "there is no token yet");
	hsm_patience_step("loading a key");
	code = hsm_key_load(vault->token, slot, &key, e);
	hsm_patience_step("testing a key");
	if (code == 0)
		code = slot == KEY_RA_DECRYPT ? test_unwrap(key, e) : hsm_selftest_sign(key, e);
	if (code != 0)
		return code;
	hsm_key_free(vault->keys[slot]);
	vault->keys[slot] = TAKE(key);
	return 0;
}

int
hsm_vault_load_all(struct hsm_vault *vault, unsigned count, struct err *e)
{
	for (unsigned slot = 0; slot < count; slot++) {
		struct err reason = {0};
		int code = 0;

		/* The CA's key signs CRLs too. */
		if (slot != KEY_CRL)
			code = hsm_vault_load(vault, slot, &reason);
		if (code != 0 && code != ERR_UNKNOWN)
			return err_set(e, code, reason.detail, "%s", reason.text);
	}
	return 0;
}

const struct hsm_key *
hsm_vault_key(const struct hsm_vault *vault, unsigned slot)
{
	return slot < HSM_KEY_SLOTS ? vault->keys[slot] : NULL;
}

/* A signature with ra-sign over no attributes is of no use to anybody, so it goes first. */
static int
probe_signing(const struct hsm_vault *vault, struct err *e)
{
	static const unsigned order[] = {KEY_RA_SIGN, KEY_AUDIT, KEY_CA};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(order); i++) {
		const struct hsm_key *key = hsm_vault_key(vault, order[i]);

		if (key != NULL)
			return hsm_selftest_sign(key, e);
	}
	return 0;
}

/* A token that only fails to decrypt gives what strangers' bad ciphertexts give; nothing else would notice it. */
static int
probe_unwrapping(const struct hsm_vault *vault, struct err *e)
{
	const struct hsm_key *key = hsm_vault_key(vault, KEY_RA_DECRYPT);

	return key != NULL ? hsm_selftest_unwrap(key, UNWRAP_PKCS1, e) : 0;
}

int
hsm_vault_probe(const struct hsm_vault *vault, struct err *e)
{
	int code;

	if (vault->token == NULL)
		return 0;
	code = hsm_token_probe(vault->token, e);
	if (code == 0)
		code = probe_signing(vault, e);
	return code != 0 ? code : probe_unwrapping(vault, e);
}

void
hsm_vault_fini(struct hsm_vault *vault)
{
	int i;

	for (i = 0; i < HSM_KEY_SLOTS; i++) {
		hsm_key_free(vault->keys[i]);
		vault->keys[i] = NULL;
	}
	hsm_token_free(vault->token);
	vault->token = NULL;
}
