/*
 * tests/lib/certs - keys and certificates made by OpenSSL, to be read by our own code
 *
 * Every function fails the test when OpenSSL does.
 *
 * Threads:  one.
 */
#ifndef TESTS_LIB_CERTS_H
#define TESTS_LIB_CERTS_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "board/base/buf.h"

/* An RSA key of 2048 bits, made once per process; not to be freed. */
EVP_PKEY *certs_rsa(void);

/* An EC key on "P-256", "P-384", "P-521" or another curve; the caller frees. */
EVP_PKEY *certs_ec(const char *curve);

/* DER of a certificate for key, signed by itself with md, valid for a year, CN=test; the caller frees data. */
struct bytes certs_self_signed(EVP_PKEY *key, const EVP_MD *md);

/* DER of a CA certificate for key: CN=CA, CA:TRUE, keyCertSign + cRLSign, key identifier; the caller frees data. */
struct bytes certs_ca(EVP_PKEY *key);

/* Adds an extension in OpenSSL's notation. */
void certs_extension(X509 *cert, int nid, const char *value);

/* The DER of one of OpenSSL's structures; the caller frees data. */
struct bytes certs_der(X509 *cert);
struct bytes certs_spki(EVP_PKEY *key);  /* SubjectPublicKeyInfo */
struct bytes certs_name(const char *cn); /* a Name of one CN */

/* Signature over data, as it stands in a certificate; the caller frees data. */
struct bytes certs_sign(EVP_PKEY *key, const EVP_MD *md, struct bytes data);

/*
 * DER of a request with this Name and these attributes, whatever they are, signed by key with md; the caller frees
 * data.
 */
struct bytes certs_request(EVP_PKEY *key, const EVP_MD *md, struct bytes name, struct bytes attributes);

/* Appends an attribute with one value of this tag and content. */
void certs_attribute(struct buf *b, struct bytes oid, uint8_t tag, struct bytes value);

/* A certificate without a signature yet, to be finished with X509_sign(); the caller frees. */
X509 *certs_new(EVP_PKEY *key, const char *cn);

#endif
