/*
 * net/remotekey - a private key that is somewhere else, for OpenSSL
 *
 * TLS needs an EVP_PKEY that signs.  This one has the public half and hands each hash to a function, which asks the
 * process that can use the real key.  P-256 alone: its signature is over a bare hash, with no padding to agree on.
 *
 * Threads:  the function runs in the thread of the handshake and may wait; a key may be used by several.
 */
#ifndef NET_REMOTEKEY_H
#define NET_REMOTEKEY_H

#include "board/base/buf.h"
#include "board/base/err.h"

struct evp_pkey_st; /* OpenSSL's EVP_PKEY */

enum { NET_REMOTEKEY_SIGNATURE_MAX = 80 };

/*
 * Signs hash (20 to 64 octets) into signature (an Ecdsa-Sig-Value of RFC 3279 2.2.3, DER; size
 * NET_REMOTEKEY_SIGNATURE_MAX) and gives its length; 0 when there is none.
 */
typedef size_t (*net_remotekey_fn)(struct bytes hash, uint8_t *signature, void *arg);

/*
 * A key whose public half is spki (SubjectPublicKeyInfo, DER).  arg must live as long as the key, which the caller
 * frees with EVP_PKEY_free().  Fails with ERR_FORMAT, ERR_ALG (another kind than P-256), ERR_NOMEM.
 */
MUST_CHECK int
net_remotekey_new(struct bytes spki, net_remotekey_fn sign, void *arg, struct evp_pkey_st **ret_key, struct err *e);

#endif
