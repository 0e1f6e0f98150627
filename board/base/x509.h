/*
 * board/base/x509 - the outer shape of a certificate, without decoding its public key
 *
 * OpenSSL decodes the SubjectPublicKeyInfo of every certificate that it parses, which costs 200 microseconds each
 * (facts, hsm.md 3).  Most of our readers want a name, a serial number or the raw key, so they use this.
 *
 * Threads:  any.
 * Owner:    every struct bytes points into the DER that was parsed.
 */
#ifndef BOARD_BASE_X509_H
#define BOARD_BASE_X509_H

#include "board/base/buf.h"
#include "board/base/err.h"

/* OpenSSL's EVP_PKEY, so that headers need not include OpenSSL's. */
struct evp_pkey_st;

struct x509_tbs {
	struct bytes whole;     /* the TBSCertificate */
	int version;            /* as encoded: 2 means v3 */
	struct bytes serial;    /* content of the INTEGER, sign octet included */
	struct bytes algorithm; /* AlgorithmIdentifier, whole */
	struct bytes issuer;    /* Name, whole */
	int64_t not_before;     /* seconds since 1970 */
	int64_t not_after;
	struct bytes subject;    /* Name, whole */
	struct bytes spki;       /* SubjectPublicKeyInfo, whole */
	struct bytes extensions; /* SEQUENCE OF Extension, whole; empty when absent */
};

struct x509 {
	struct bytes whole;
	struct x509_tbs tbs;
	struct bytes algorithm; /* signatureAlgorithm, whole */
	struct bytes signature; /* octets of the BIT STRING */
};

struct x509_extension {
	struct bytes oid; /* content octets */
	bool critical;
	struct bytes value; /* content of the OCTET STRING */
};

/* Parses a certificate (RFC 5280 4.1), strict DER and nothing behind it.  Fails with ERR_FORMAT. */
MUST_CHECK int x509_parse(struct bytes der, struct x509 *ret_cert, struct err *e);

/* Parses a TBSCertificate alone.  Fails with ERR_FORMAT. */
MUST_CHECK int x509_tbs_parse(struct bytes der, struct x509_tbs *ret_tbs, struct err *e);

/* Finds an extension by OID content.  Fails with ERR_UNKNOWN when absent, ERR_FORMAT when the list is broken. */
MUST_CHECK int x509_extension_find(const struct x509_tbs *tbs, struct bytes oid, struct x509_extension *ret_extension);

/*
 * Reads the next extension of a list; *ret_end tells that there was none.  Start with der_whole(tbs->extensions).
 * Fails with ERR_FORMAT.
 */
MUST_CHECK int x509_extension_next(struct view *list, struct x509_extension *ret_extension, bool *ret_end);

/*
 * The key of a SubjectPublicKeyInfo, which the caller frees with EVP_PKEY_free().  RSA and the named curves P-256,
 * P-384, P-521 only, RSA to 16,384 bits with an exponent below 2^256; avoids OpenSSL's generic decoder.  Fails with
 * ERR_FORMAT or ERR_ALG.
 */
MUST_CHECK int x509_spki_key(struct bytes spki, struct evp_pkey_st **ret_key, struct err *e);

/* SHA-256 of v into out. */
void x509_sha256(struct bytes v, uint8_t out[32]);

/*
 * Who signed a SCEP message, as transactions are kept: SHA-256 of the whole certificate when issuer (a Name) issued it,
 * else of its SubjectPublicKeyInfo.  So a renewal with the old key is not the transaction that gave the old
 * certificate, though many clients make the transactionID of the key.
 */
void x509_requester_hash(const struct x509 *signer, struct bytes issuer, uint8_t out[32]);

/* Does it say that issuer (a Name) issued it, and not its own subject?  That alone proves nothing. */
bool x509_names_issuer(const struct x509 *cert, struct bytes issuer);

/* SHA-1 of the key bits, the usual key identifier (RFC 5280 4.2.1.2 method 1).  Fails with ERR_FORMAT. */
MUST_CHECK int x509_key_id(struct bytes spki, uint8_t out[20]);

/*
 * Verifies a signature over data with key, by the AlgorithmIdentifier given (sha256/384/512WithRSAEncryption,
 * ecdsa-with-SHA256/384/512).  Fails with ERR_ALG or ERR_VERIFY.
 */
MUST_CHECK int
x509_verify(struct evp_pkey_st *key, struct bytes algorithm, struct bytes data, struct bytes signature, struct err *e);

/* "CN=x, O=y" of a DER Name for people, escaped; cut to size.  Returns out. */
char *x509_name_text(struct bytes name, char *out, size_t size);

/*
 * Are these two Names, and not one to a reader that follows RFC 5280 7.1, for whom string types, case and blanks do not
 * count?  False for what is no Name.
 */
bool x509_name_differs(struct bytes a, struct bytes b);

/*
 * DER of the first PEM block with this label, e.g. "CERTIFICATE"; *pem moves behind it.  The caller frees.  Fails with
 * ERR_UNKNOWN, ERR_FORMAT.
 */
MUST_CHECK int x509_pem_next(struct view *pem, const char *label, struct bytes *ret_der, struct err *e);

/* Appends der as PEM with this label. */
void x509_pem_put(struct buf *b, const char *label, struct bytes der);

#endif
