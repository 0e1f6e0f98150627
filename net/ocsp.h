/*
 * net/ocsp - OCSP requests as peers send them (RFC 6960 4.1, RFC 5019 2.1), and answers without a signature
 *
 * Threads:  any.
 * Owner:    a parsed request borrows from the octets that it was parsed from.
 */
#ifndef NET_OCSP_H
#define NET_OCSP_H

#include "board/base/buf.h"
#include "board/base/err.h"
#include "board/msg.h"

/* OCSPResponseStatus (RFC 6960 4.2.1). */
enum {
	NET_OCSP_SUCCESSFUL = 0,
	NET_OCSP_MALFORMED = 1,
	NET_OCSP_TRY_LATER = 3,
	NET_OCSP_UNAUTHORIZED = 6,
};

enum { NET_OCSP_ERROR_SIZE = 5 };

/* The certificate that is asked about. */
struct net_ocsp_id {
	enum digest digest; /* DIGEST_SHA1 or DIGEST_SHA256 */
	struct bytes name_hash;
	struct bytes key_hash;
	struct bytes serial; /* content of the INTEGER */
};

/*
 * Reads an OCSPRequest, strict DER.  Nonce, other extensions, the requestor's name and a signature are not looked at
 * (RFC 5019 2.1.1 and 2.2.1).  Fails with ERR_FORMAT; ERR_ALG for other hashes, and for several certificates at once.
 */
MUST_CHECK int net_ocsp_parse(struct bytes der, struct net_ocsp_id *ret_id);

/* The OCSPResponse with this status alone, into out.  Returns it, borrowed from out. */
struct bytes net_ocsp_error(int status, uint8_t out[NET_OCSP_ERROR_SIZE]);

#endif
