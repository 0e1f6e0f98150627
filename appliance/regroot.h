/*
 * appliance/regroot - the root of this unit's registration points, and TLS server certificates below it
 *
 * Its key is in the token, class registration.  Policy modules get the root at their set-up and trust nothing else for
 * finding their registration point, so it is none of the CA's (facts, microsoft.md 3.5; decisions/027).  What it signs
 * is in the store before anybody sees it, with the usages registration-root and registration-tls.
 *
 * Threads:  the authority's loop.
 */
#ifndef APPLIANCE_REGROOT_H
#define APPLIANCE_REGROOT_H

#include "appliance/link.h"

/* With code 0 the root is in force; else text says why not. */
typedef void (*app_regroot_fn)(int code, const char *text, void *arg);

/*
 * Makes the root unless there is one for the token's key already (made tells which).  fn is called exactly once, never
 * before the call returns.  Fails with ERR_BUSY, ERR_CLOSED, ERR_NOMEM; then it is not.
 */
MUST_CHECK int app_regroot_make(struct app_authority *a, const char *actor, app_regroot_fn fn, void *arg);

/* Writes the root to paths.state/registration/root.pem.  Fails with ERR_UNKNOWN (there is none), ERR_IO. */
MUST_CHECK int app_regroot_export(const struct app_authority *a, char *path, size_t size, struct err *e);

/* MSG_TLS_REQUEST with TLS_REGISTRATION: answers with the decision. */
void app_regroot_tls(struct app_front *front, uint64_t id, const struct msg_tls_request *m);

#endif
