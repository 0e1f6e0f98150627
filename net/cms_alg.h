/*
 * net/cms_alg - the algorithms of CMS messages (RFC 3370, 4055, 5754): which there are, and how messages name them
 *
 * What is not in these enums is not supported: MD5 has no number here.  Single DES (RFC 8894 2.9 forbids it) is there
 * to read requests of clients that know nothing else, where the configuration allows it; nothing is ever written with
 * it.
 *
 * Threads:  any.  Tables are filled once and live as long as the process.
 */
#ifndef NET_CMS_ALG_H
#define NET_CMS_ALG_H

#include <stdbool.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "board/base/buf.h"
#include "board/base/err.h"
#include "board/msg.h"

enum net_cms_cipher_id {
	NET_CMS_AES128_CBC,
	NET_CMS_AES192_CBC,
	NET_CMS_AES256_CBC,
	NET_CMS_DES3_CBC,
	NET_CMS_DES_CBC, /* decryption alone */
	NET_CMS_CIPHER_COUNT
};

/*
 * Both are fetched once: OpenSSL 3.0 looks algorithms up by name, under a lock, at every use of EVP_sha256() and the
 * like.
 */
struct net_cms_digest {
	const char *name;
	struct bytes oid;
	EVP_MD *md;
};

struct net_cms_cipher {
	const char *name;
	struct bytes oid;
	size_t key_size;
	size_t block; /* and size of the IV */
	EVP_CIPHER *cipher;
};

/* How a content key is wrapped for an RSA key. */
struct net_cms_transport {
	int padding;            /* UNWRAP_PKCS1 or UNWRAP_OAEP; the rest is for OAEP */
	enum digest digest;     /* DIGEST_* */
	enum digest mgf_digest; /* DIGEST_* */
	struct bytes label;
};

/* How an RSA signature is made. */
struct net_cms_signature {
	bool pss;
	enum digest digest;     /* DIGEST_* */
	enum digest mgf_digest; /* DIGEST_*; with salt for PSS */
	int salt;               /* octets */
};

/* What there is to know of a digest. */
const struct net_cms_digest *net_cms_alg_digest(enum digest digest);

/* What there is to know of a cipher. */
const struct net_cms_cipher *net_cms_alg_cipher(enum net_cms_cipher_id cipher);

/* The digest that an AlgorithmIdentifier names.  Fails with ERR_ALG. */
MUST_CHECK int net_cms_alg_digest_of(const X509_ALGOR *algorithm, enum digest *ret_digest);

/* The content cipher and its IV, borrowed from algorithm.  Fails with ERR_ALG; ERR_FORMAT when the IV is wrong. */
MUST_CHECK int
net_cms_alg_cipher_of(const X509_ALGOR *algorithm, enum net_cms_cipher_id *ret_cipher, struct bytes *ret_iv);

/* The key transport; the label is borrowed from algorithm.  Fails with ERR_ALG; ERR_FORMAT for broken parameters. */
MUST_CHECK int net_cms_alg_transport_of(const X509_ALGOR *algorithm, struct net_cms_transport *ret_transport);

/*
 * The RSA signature over this digest: plain rsaEncryption or any shaXWithRSAEncryption - clients mix them up, and as in
 * OpenSSL the digest counts, not the name -, or RSASSA-PSS with just that digest.  Fails with ERR_ALG.
 */
MUST_CHECK int
net_cms_alg_signature_of(const X509_ALGOR *algorithm, enum digest digest, struct net_cms_signature *ret_signature);

#endif
