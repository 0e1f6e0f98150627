/*
 * hsm/token - one token: found by its label or PKCS#11 URI, logged in to once, watched
 *
 * It keeps one session of its own open for ever, for finding and generating keys and for the health probe; SoftHSM
 * loses the login when the last session of a slot closes (facts, C73).  Signing uses libp11's sessions
 * (hsm/engine.h).
 *
 * Threads:  one at a time.
 * Owner:    the caller frees a token with hsm_token_free(), which leaves the session to the process's end.
 */
#ifndef HSM_TOKEN_H
#define HSM_TOKEN_H

#include <stdbool.h>

#include "board/base/buf.h"
#include "board/base/err.h"

struct hsm_token;

/* What names a token.  An empty text does not matter for the choice. */
struct hsm_token_name {
	char label[33];
	char serial[17];
	char manufacturer[33];
	char model[17];
};

/*
 * Reads signer.token: a plain label, or a PKCS#11 URI (RFC 7512) with token, serial, manufacturer, model.  A URI that
 * holds a PIN, a module or anything else that is not looked at is refused.  Fails with ERR_CONFIG.
 */
MUST_CHECK int hsm_token_name_parse(const char *text, struct hsm_token_name *ret_name, struct err *e);

/*
 * Finds the one token that fits name.  Opens a session (read-write if writable) and logs in with exactly one attempt,
 * and none at all when the token says that it is locked or that one more failure would lock it.  Fails with
 * ERR_UNKNOWN when there is no such token, ERR_EXISTS when several fit, ERR_PIN, ERR_TOKEN.
 */
MUST_CHECK int hsm_token_open(const struct hsm_token_name *name, struct bytes pin, bool writable,
			      struct hsm_token **ret_token, struct err *e);

/*
 * Initialises a free slot as the token label, sets both PINs, and opens it as hsm_token_open() does with writable.
 * Fails with ERR_EXISTS when a token has that label, ERR_UNKNOWN when no slot is free, ERR_PIN, ERR_TOKEN.
 */
MUST_CHECK int
hsm_token_init(const char *label, struct bytes so_pin, struct bytes pin, struct hsm_token **ret_token, struct err *e);

/* NULL is fine. */
void hsm_token_free(struct hsm_token *token);

/* Session and login are still there.  Any thread, but one at a time.  Fails with ERR_TOKEN. */
MUST_CHECK int hsm_token_probe(const struct hsm_token *token, struct err *e);

/* What the token calls itself; borrowed, constant. */
const struct hsm_token_name *hsm_token_name(const struct hsm_token *token);

/* The session and slot, for hsm/key.c; CK_SESSION_HANDLE and CK_SLOT_ID. */
unsigned long hsm_token_session(const struct hsm_token *token);
unsigned long hsm_token_slot(const struct hsm_token *token); /* see hsm_token_session() */

CLEANUP_STRUCT(hsm_token, hsm_token_free)

#endif
