/*
 * appliance/announce - the message by which a CA announces its next certificate: the answer to GetNextCACert
 *
 * RFC 8894 4.7.1: a SignedData signed by the current CA key, around a degenerate one that holds the next CA's
 * certificates.  It is made once, at the ceremony that prepares the next generation (appliance/provision_next.c), and
 * served from memory; see decisions/020-ca-generations.md.
 *
 * Threads:  any.
 */
#ifndef APPLIANCE_ANNOUNCE_H
#define APPLIANCE_ANNOUNCE_H

#include "appliance/cert.h"

/* Appends what is announced: count certificates in this order, DER.  Fails with ERR_LIMIT, ERR_NOMEM. */
MUST_CHECK int app_announce_content(const struct bytes *certificates, size_t count, struct buf *out);

/*
 * Appends the SignedAttributes as SET OF, which issuer's key has to sign with issuer->digest (hsm/tbs.h).  now is
 * seconds since 1970.  Fails with ERR_CRYPTO, ERR_LIMIT, ERR_NOMEM.
 */
MUST_CHECK int
app_announce_attributes(const struct app_issuer *issuer, struct bytes content, int64_t now, struct buf *out);

/* Appends the whole message.  Fails with ERR_LIMIT, ERR_NOMEM. */
MUST_CHECK int app_announce_join(const struct app_issuer *issuer, struct bytes content, struct bytes attributes,
				 struct bytes signature, struct buf *out);

#endif
