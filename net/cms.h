/*
 * net/cms - the cryptography of CMS messages (RFC 5652), and the parts that a reply is written from
 *
 * Threads:  any.
 */
#ifndef NET_CMS_H
#define NET_CMS_H

#include "board/base/x509.h"
#include "net/cms_alg.h"

enum {
	NET_CMS_DIGEST_MAX = 64,
	NET_CMS_SERIAL_MAX = 64, /* 32 octets occur in the field (sscep, certmonger) */
};

/* The digest of v into out; returns its length, 0 when the cryptographic library failed. */
size_t net_cms_digest(enum digest digest, struct bytes v, uint8_t out[NET_CMS_DIGEST_MAX]);

/* Content octets of the INTEGER that number is, written to storage; empty when it is too long. */
struct bytes net_cms_serial(const ASN1_INTEGER *number, uint8_t storage[NET_CMS_SERIAL_MAX]);

/* Content of the subjectKeyIdentifier extension; empty when there is none. */
struct bytes net_cms_key_id(const struct x509 *cert);

/* Verifies an RSA signature over data.  Fails with ERR_ALG or ERR_VERIFY. */
MUST_CHECK int net_cms_verify(EVP_PKEY *key, const struct net_cms_signature *how, struct bytes data,
			      struct bytes signature, struct err *e);

/* Decrypts and appends the plain text to out.  Fails with ERR_VERIFY for anything wrong, ERR_LIMIT, ERR_NOMEM. */
MUST_CHECK int net_cms_decrypt(enum net_cms_cipher_id cipher, struct bytes key, struct bytes iv, struct bytes content,
			       struct buf *out, struct err *e);

/* Appends an AlgorithmIdentifier, with NULL as parameter or with none. */
void net_cms_put_algorithm(struct buf *out, struct bytes oid, bool with_null);

/* Appends IssuerAndSerialNumber of a certificate. */
void net_cms_put_issuer_serial(struct buf *out, const struct x509 *cert);

/*
 * Appends a degenerate SignedData: count certificates in this order, then the CRL unless it is empty; no content, no
 * signer (RFC 8894 3.4).
 */
void net_cms_put_certs_only(struct buf *out, const struct bytes *certs, size_t count, struct bytes crl);

/*
 * Appends EnvelopedData with plain for the holder of cert, whose RSA key key is, under a fresh content key.  Fails with
 * ERR_CRYPTO, ERR_LIMIT, ERR_NOMEM.
 */
MUST_CHECK int
net_cms_put_envelope(struct buf *out, struct bytes plain, enum net_cms_cipher_id cipher,
		     const struct net_cms_transport *transport, const struct x509 *cert, EVP_PKEY *key, struct err *e);

#endif
