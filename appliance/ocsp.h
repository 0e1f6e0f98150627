/*
 * appliance/ocsp - building OCSP answers (RFC 6960 4.2, as RFC 5019 narrows it): one certificate, responder by key
 *
 * Threads:  any.
 */
#ifndef APPLIANCE_OCSP_H
#define APPLIANCE_OCSP_H

#include "appliance/store_names.h"
#include "board/base/x509.h"
#include "board/msg.h"

enum { APP_OCSP_KEY_HASH = 20, APP_OCSP_HASH_MAX = 32 };

/* OCSPResponseStatus (RFC 6960 4.2.1). */
enum { APP_OCSP_SUCCESSFUL = 0, APP_OCSP_TRY_LATER = 3, APP_OCSP_UNAUTHORIZED = 6 };

/* What one answer says. */
struct app_ocsp {
	enum digest digest; /* of the two hashes: DIGEST_SHA1 or DIGEST_SHA256 */
	struct bytes name_hash;
	struct bytes key_hash;
	uint8_t serial[APP_SERIAL_SIZE];
	int64_t revoked; /* 0: good */
	int reason;
	int64_t this_update;
	int64_t next_update;
	uint8_t responder[APP_OCSP_KEY_HASH]; /* SHA-1 of the responder's key, x509_key_id() */
};

/*
 * The two hashes by which a CertID names an issuer: of its subject, and of its key's bits.  digest is DIGEST_SHA1 or
 * DIGEST_SHA256; both are written.  Fails with ERR_ALG, ERR_FORMAT, ERR_CRYPTO.
 */
MUST_CHECK int app_ocsp_issuer(const struct x509 *ca, enum digest digest, struct bytes *ret_name_hash,
			       struct bytes *ret_key_hash, uint8_t ret_octets[2 * APP_OCSP_HASH_MAX]);

/* Appends the ResponseData, which is what is signed; no reason if unspecified.  Fails with ERR_LIMIT, ERR_NOMEM. */
MUST_CHECK int app_ocsp_build(const struct app_ocsp *ocsp, struct buf *out);

/*
 * Appends the whole OCSPResponse: data as app_ocsp_build() made it, its signature and the responder's certificate.
 * Fails with ERR_LIMIT, ERR_NOMEM.
 */
MUST_CHECK int app_ocsp_join(struct bytes data, struct bytes algorithm, struct bytes signature,
			     struct bytes certificate, struct buf *out);

#endif
