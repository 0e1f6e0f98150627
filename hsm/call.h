/*
 * hsm/call - the only place that calls the PKCS#11 module: every call traced, timed and turned into our errors
 *
 * What the signing path needs goes through the engine (hsm/engine.h); this is for the rest: token information, login,
 * objects and their attributes, key generation.  A process uses one module, loaded once and never unloaded.
 *
 * C_Initialize is called here with CKF_OS_LOCKING_OK before the engine is loaded, which then finds it done.  Sessions
 * stay open, but for one at the start: SoftHSM 2.6.1 crashes or forgets the login when one is closed beside other calls
 * (facts, C73).
 *
 * Threads:  hsm_call_open() first and once; then any, one call at a time per session.
 */
#ifndef HSM_CALL_H
#define HSM_CALL_H

#include <stdbool.h>

#include <p11-kit/pkcs11.h>

#include "board/base/buf.h"
#include "board/base/err.h"

/* Loads the module and initialises it.  Fails with ERR_CONFIG when it cannot be loaded, ERR_TOKEN when it refuses. */
MUST_CHECK int hsm_call_open(const char *module, struct err *e);

/* "CKR_PIN_INCORRECT", …; "CKR_?" for numbers without a name here.  Static storage. */
const char *hsm_call_rv_name(unsigned long rv);

/* ERR_PIN for what the PIN caused, ERR_NOMEM for the host's memory, ERR_TOKEN for all else; 0 for CKR_OK. */
int hsm_call_code(unsigned long rv);

/* The slots with a token in them, in the module's order, into slots (at most *count, which becomes their number). */
MUST_CHECK int hsm_call_slots(CK_SLOT_ID *slots, CK_ULONG *count, struct err *e);

/* C_GetTokenInfo */
MUST_CHECK int hsm_call_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *ret_info, struct err *e);

/* Has this slot's token the mechanism with all of these CKF_* flags? */
bool hsm_call_has_mechanism(CK_SLOT_ID slot, CK_MECHANISM_TYPE mechanism, CK_FLAGS flags);

/* C_InitToken; label is cut or padded to 32 octets. */
MUST_CHECK int hsm_call_init_token(CK_SLOT_ID slot, struct bytes so_pin, const char *label, struct err *e);

/* C_OpenSession, read-only or read-write */
MUST_CHECK int hsm_call_open_session(CK_SLOT_ID slot, bool writable, CK_SESSION_HANDLE *ret_session, struct err *e);

/* C_CloseSession; while no other thread is in the module, and another session is open. */
MUST_CHECK int hsm_call_close_session(CK_SESSION_HANDLE session, struct err *e);

/* C_Login, once; user is CKU_USER or CKU_SO.  To be logged in already is success.  Fails with ERR_TOKEN when the
 * token surely did not look at the PIN, else with ERR_PIN. */
MUST_CHECK int hsm_call_login(CK_SESSION_HANDLE session, CK_USER_TYPE user, struct bytes pin, struct err *e);

/* C_Logout, for the security officer's session while a token is made */
MUST_CHECK int hsm_call_logout(CK_SESSION_HANDLE session, struct err *e);

/* C_InitPIN */
MUST_CHECK int hsm_call_init_pin(CK_SESSION_HANDLE session, struct bytes pin, struct err *e);

/* C_GetSessionInfo: is the session there, and is the user logged in?  Fails with ERR_TOKEN. */
MUST_CHECK int hsm_call_session_usable(CK_SESSION_HANDLE session, struct err *e);

/* Objects that match the template, at most *count of them; *count becomes their number. */
MUST_CHECK int hsm_call_find(CK_SESSION_HANDLE session, CK_ATTRIBUTE *template, CK_ULONG attributes,
			     CK_OBJECT_HANDLE *objects, CK_ULONG *count, struct err *e);

/* C_GetAttributeValue of one boolean.  *ret_known false: the object has no such attribute. */
MUST_CHECK int hsm_call_get_bool(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
				 bool *ret_value, bool *ret_known, struct err *e);

/* Has the object this attribute, with anything in it?  A sensitive one counts as filled. */
MUST_CHECK int hsm_call_has_value(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
				  bool *ret_has_value, struct err *e);

/* C_GenerateKeyPair; both templates as PKCS#11 wants them.  The handles are not given: keys are found by label. */
MUST_CHECK int
hsm_call_generate(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE mechanism, CK_ATTRIBUTE *public_template,
		  CK_ULONG public_count, CK_ATTRIBUTE *private_template, CK_ULONG private_count, struct err *e);

/* C_DestroyObject */
MUST_CHECK int hsm_call_destroy(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, struct err *e);

#endif
