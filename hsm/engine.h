/*
 * hsm/engine - private keys of the token as OpenSSL keys, through libp11's ENGINE
 *
 * The only file that touches ENGINE or anything else that OpenSSL 3 calls deprecated.  libp11 0.4.12 has defects that
 * are fenced in here (facts, hsm.md 2): module and PIN are set before the first load, every key is named by token and
 * object, keys are loaded by one thread, nothing is ever unloaded, and the engine is taken off a loaded key, so that a
 * bad ciphertext costs one operation instead of two.
 *
 * Threads:  open and load by one thread before others sign; then the keys by any; rv by any about itself.
 * Owner:    a loaded key is the caller's and may be shared by threads; free it with EVP_PKEY_free(), or
 *           leave it to _exit().
 */
#ifndef HSM_ENGINE_H
#define HSM_ENGINE_H

#include "board/base/buf.h"
#include "board/base/err.h"
#include "hsm/token.h"

struct evp_pkey_st;

/*
 * Prepares the engine for the module, once for a process.  The user is logged in already (hsm/token.h), so the engine's
 * own C_Login finds it done; it wants the PIN all the same.  Fails with ERR_CRYPTO or ERR_CONFIG.
 */
MUST_CHECK int hsm_engine_open(const char *module, struct bytes pin, struct err *e);

/* The private key with this label on this token, which was seen there (hsm/key.c).  Fails with ERR_PIN, ERR_TOKEN. */
MUST_CHECK int
hsm_engine_load(const struct hsm_token_name *token, const char *label, struct evp_pkey_st **ret_key, struct err *e);

/*
 * What the module answered to the operation that just failed in this thread: the CK_RV of libp11's first entry in
 * OpenSSL's error queue, 0 when there is none.  Empties that queue.
 */
unsigned long hsm_engine_rv(void);

/* True for a CK_RV that says that token, session, login or object are gone, rather than that the input was wrong. */
bool hsm_engine_gone(unsigned long rv);

#endif
