/*
 * hsm/tbs_registration - what the registration key signs: the registration point's own root, and TLS server
 * certificates below it
 *
 * The root has no name that the signer knows, so a certificate is taken for one below it by the key identifier: the
 * key certifies nothing else, whatever the authority calls its issuer.
 *
 * Threads:  any.
 */
#ifndef HSM_TBS_REGISTRATION_H
#define HSM_TBS_REGISTRATION_H

#include "board/base/x509.h"

enum {
	HSM_TBS_REGISTRATION_ROOT_DAYS = 20 * 366, /* longest life of the root */
	HSM_TBS_REGISTRATION_TLS_DAYS = 90,        /* and of a certificate below it */
};

/*
 * Is tbs either a self-issued root for the key own_spki itself (CA:TRUE with path length 0, keyCertSign and cRLSign
 * alone), or an end entity's of another key for serverAuth alone, with a subjectAltName?  now is seconds since 1970.
 * Fails with ERR_DENIED, ERR_FORMAT.
 */
MUST_CHECK int hsm_tbs_registration(const struct x509_tbs *tbs, struct bytes own_spki, int64_t now, struct err *e);

#endif
