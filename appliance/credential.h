/*
 * appliance/credential - what is kept of a password, and whether a password is that one
 *
 * scrypt (RFC 7914) with a salt of its own.  The parameters stand beside each hash, so that those of new passwords can
 * be raised and old ones still be verified.
 *
 * Threads:  any; both calculations take tens of milliseconds and 16 MiB, so never in a loop.
 * Owner:    plain values, to be wiped by who has no use for them any more.
 */
#ifndef APPLIANCE_CREDENTIAL_H
#define APPLIANCE_CREDENTIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "board/base/buf.h"
#include "board/base/err.h"

/* N, R, P: scrypt's parameters for new passwords.  MIN, MAX: length of a password in characters; BYTES: in octets. */
enum {
	APP_SCRYPT_N = 1 << 14,
	APP_SCRYPT_R = 8,
	APP_SCRYPT_P = 1,
	APP_SALT_SIZE = 16,
	APP_PASSWORD_HASH_SIZE = 32,
	APP_PASSWORD_MIN = 12,
	APP_PASSWORD_MAX = 256,
	APP_PASSWORD_BYTES = 1024,
};

struct app_credential {
	uint8_t salt[APP_SALT_SIZE];
	int64_t n, r, p;
	uint8_t hash[APP_PASSWORD_HASH_SIZE];
};

/* May this be somebody's new password?  Fails with ERR_FORMAT, and e says why not, for the person who chose it. */
MUST_CHECK int app_credential_check_new(struct bytes password, struct err *e);

/* Makes what is kept of a password.  Fails with ERR_CRYPTO. */
MUST_CHECK int app_credential_make(struct bytes password, struct app_credential *ret_credential, struct err *e);

/*
 * Is it this password?  Takes the same time whether it is or not.  Without credential (NULL) it is never, and takes as
 * long as a new one would.  Fails with ERR_CRYPTO, also for parameters that would take too much memory.
 */
MUST_CHECK int
app_credential_verify(const struct app_credential *credential, struct bytes password, bool *ret_matches, struct err *e);

#endif
