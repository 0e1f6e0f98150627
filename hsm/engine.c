/* The engine interface is the one that libp11 0.4 has; nothing outside this file sees it. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "hsm/engine.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "board/base/secret.h"
#include "hsm/call.h"

/* Name of the library under which libp11 files a module's CK_RV in OpenSSL's error queue. */
#define LIBP11_MODULE "PKCS#11 module"

/* The engine of this process. */
static ENGINE *engine;

/*
 * Keeps the engine's code in memory whatever OpenSSL does with the engine: its static tables are used until the end,
 * and leak checkers need its symbols.
 */
static void
pin_library(void)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/pkcs11.so", OPENSSL_info(OPENSSL_INFO_ENGINES_DIR));
	/* If this fails, ENGINE_by_id() fails next and says so. */
	(void)dlopen(path, RTLD_NOW | RTLD_NODELETE);
}

static int
set_pin(ENGINE *new_engine, struct bytes pin)
{
	char text[256];
	int ok;

	if (pin.len >= sizeof(text))
		return 0;
	memcpy(text, pin.data, pin.len);
	text[pin.len] = '\0';
	ok = ENGINE_ctrl_cmd_string(new_engine, "PIN", text, 0);
	secret_wipe(text, sizeof(text));
	return ok;
}

int
hsm_engine_open(const char *module, struct bytes pin, struct err *e)
{
	ENGINE *found;
	int ok;

	if (engine != NULL)
		return set_pin(engine, pin) == 1 ? 0 : err_set_ossl(e, ERR_CRYPTO, "setting the engine's PIN");
	pin_library();
	found = ENGINE_by_id("pkcs11");
	if (found == NULL)
		return err_set_ossl(e, ERR_CONFIG, "the pkcs11 engine of libp11 is not installed");
	ok = ENGINE_ctrl_cmd_string(found, "MODULE_PATH", module, 0) == 1 &&
	     ENGINE_ctrl_cmd_string(found, "QUIET", NULL, 0) == 1 && set_pin(found, pin) == 1 &&
	     ENGINE_init(found) == 1;
	if (!ok) {
		ENGINE_free(found);
		return err_set_ossl(e, ERR_CRYPTO, "preparing the pkcs11 engine");
	}
	engine = found;
	return 0;
}

/* Appends name=value with everything escaped that a PKCS#11 URI does not want bare (RFC 7512 2.3). */
static void
put_attribute(struct buf *uri, const char *name, const char *value)
{
	static const char bare[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
	const char *c;

	buf_printf(uri, "%s=", name);
	for (c = value; *c != '\0'; c++) {
		if (strchr(bare, *c) != NULL)
			buf_put_u8(uri, (uint8_t)*c);
		else
			buf_printf(uri, "%%%02X", (unsigned)(unsigned char)*c);
	}
}

int
hsm_engine_load(const struct hsm_token_name *token, const char *label, struct evp_pkey_st **ret_key, struct err *e)
{
	EVP_PKEY *key;
	AUTO_BUF uri;

	BUG_ON(engine == NULL);
	buf_init(&uri, 1024);
	buf_printf(&uri, "pkcs11:");
	put_attribute(&uri, "token", token->label);
	buf_printf(&uri, ";");
	put_attribute(&uri, "serial", token->serial);
	buf_printf(&uri, ";");
	put_attribute(&uri, "object", label);
	buf_printf(&uri, ";type=private");
	buf_put_u8(&uri, 0);
	if (buf_status(&uri) != 0)
		return err_set(e, buf_status(&uri), 0, "URI of key %s", label);

	ERR_clear_error();
	key = ENGINE_load_private_key(engine, (const char *)uri.data, NULL, NULL);
	if (key == NULL) {
		unsigned long rv = hsm_engine_rv();

		if (rv == CKR_OK)
			return err_set(e, ERR_TOKEN, 0, "libp11 does not find the private key %s", label);
		return err_set(e, hsm_call_code(rv), (uint32_t)rv, "loading key %s: %s", label, hsm_call_rv_name(rv));
	}
	if (EVP_PKEY_set1_engine(key, NULL) != 1) {
		EVP_PKEY_free(key);
		return err_set_ossl(e, ERR_CRYPTO, "taking the engine off key %s", label);
	}
	*ret_key = key;
	return 0;
}

unsigned long
hsm_engine_rv(void)
{
	unsigned long rv = CKR_OK;
	unsigned long entry;

	while ((entry = ERR_get_error()) != 0) {
		const char *library = ERR_lib_error_string(entry);

		if (rv == CKR_OK && library != NULL && strcmp(library, LIBP11_MODULE) == 0)
			rv = (unsigned long)ERR_GET_REASON(entry);
	}
	return rv;
}

bool
hsm_engine_gone(unsigned long rv)
{
	switch (rv) {
	case CKR_HOST_MEMORY:
	case CKR_SLOT_ID_INVALID:
	case CKR_FUNCTION_FAILED:
	case CKR_CANT_LOCK:
	case CKR_DEVICE_ERROR:
	case CKR_DEVICE_MEMORY:
	case CKR_DEVICE_REMOVED:
	case CKR_KEY_HANDLE_INVALID:
	case CKR_OBJECT_HANDLE_INVALID:
	case CKR_OPERATION_ACTIVE:
	case CKR_OPERATION_NOT_INITIALIZED:
	case CKR_SESSION_CLOSED:
	case CKR_SESSION_COUNT:
	case CKR_SESSION_HANDLE_INVALID:
	case CKR_TOKEN_NOT_PRESENT:
	case CKR_TOKEN_NOT_RECOGNIZED:
	case CKR_USER_NOT_LOGGED_IN:
	case CKR_CRYPTOKI_NOT_INITIALIZED:
		return true;
	default:
		return false;
	}
}
