#include "net/cms_alg.h"

#include <pthread.h>

#include "board/base/der.h"
#include "board/base/oid.h"
#include "net/cms_asn1.h"

enum {
	PSS_SALT_DEFAULT = 20,  /* RFC 4055 3.1 */
	PSS_TRAILER_DEFAULT = 1 /* the only one there is */
};

/* Fetched once: OpenSSL 3.0 looks algorithms up by name, under a lock, at every use of EVP_sha256() and the like. */
static struct net_cms_digest digests[DIGEST_COUNT];
static struct net_cms_cipher ciphers[NET_CMS_CIPHER_COUNT];
static pthread_once_t fetched = PTHREAD_ONCE_INIT;

static void
fetch(void)
{
	size_t i;

	digests[DIGEST_SHA1] = (struct net_cms_digest){"SHA1", OID_SHA1, NULL};
	digests[DIGEST_SHA256] = (struct net_cms_digest){"SHA256", OID_SHA256, NULL};
	digests[DIGEST_SHA384] = (struct net_cms_digest){"SHA384", OID_SHA384, NULL};
	digests[DIGEST_SHA512] = (struct net_cms_digest){"SHA512", OID_SHA512, NULL};
	ciphers[NET_CMS_AES128_CBC] = (struct net_cms_cipher){"AES-128-CBC", OID_AES128_CBC, 16, 16, NULL};
	ciphers[NET_CMS_AES192_CBC] = (struct net_cms_cipher){"AES-192-CBC", OID_AES192_CBC, 24, 16, NULL};
	ciphers[NET_CMS_AES256_CBC] = (struct net_cms_cipher){"AES-256-CBC", OID_AES256_CBC, 32, 16, NULL};
	ciphers[NET_CMS_DES3_CBC] = (struct net_cms_cipher){"DES-EDE3-CBC", OID_DES3_CBC, 24, 8, NULL};
	/* OpenSSL's default provider has no single DES; with three times the same key 3DES is it. */
	ciphers[NET_CMS_DES_CBC] = (struct net_cms_cipher){"DES-EDE3-CBC", OID_DES_CBC, 8, 8, NULL};
	for (i = 0; i < DIGEST_COUNT; i++)
		digests[i].md = EVP_MD_fetch(NULL, digests[i].name, NULL);
	for (i = 0; i < NET_CMS_CIPHER_COUNT; i++)
		ciphers[i].cipher = EVP_CIPHER_fetch(NULL, ciphers[i].name, NULL);
}

const struct net_cms_digest *
net_cms_alg_digest(enum digest digest)
{
	pthread_once(&fetched, fetch);
	return &digests[digest];
}

const struct net_cms_cipher *
net_cms_alg_cipher(enum net_cms_cipher_id cipher)
{
	pthread_once(&fetched, fetch);
	return &ciphers[cipher];
}

static int
digest_by_oid(struct bytes oid, enum digest *ret_digest)
{
	int i;

	for (i = 0; i < DIGEST_COUNT; i++) {
		if (!bytes_equal(oid, net_cms_alg_digest((enum digest)i)->oid))
			continue;
		*ret_digest = (enum digest)i;
		return 0;
	}
	return ERR_ALG;
}

/* Splits what OpenSSL decoded; param is the parameters' content for an OCTET STRING, all of it for a SEQUENCE. */
static struct bytes
algorithm_split(const X509_ALGOR *algorithm, int *ret_type, struct bytes *ret_param)
{
	const ASN1_OBJECT *object;
	const void *value = NULL;

	X509_ALGOR_get0(&object, ret_type, &value, algorithm);
	*ret_param = (struct bytes){NULL, 0};
	if (*ret_type == V_ASN1_OCTET_STRING || *ret_type == V_ASN1_SEQUENCE)
		*ret_param = net_cms_octets(value);
	return (struct bytes){OBJ_get0_data(object), OBJ_length(object)};
}

int
net_cms_alg_digest_of(const X509_ALGOR *algorithm, enum digest *ret_digest)
{
	struct bytes param;
	int type;

	return digest_by_oid(algorithm_split(algorithm, &type, &param), ret_digest);
}

int
net_cms_alg_cipher_of(const X509_ALGOR *algorithm, enum net_cms_cipher_id *ret_cipher, struct bytes *ret_iv)
{
	struct bytes iv, oid;
	int i, type;

	oid = algorithm_split(algorithm, &type, &iv);
	for (i = 0; i < NET_CMS_CIPHER_COUNT; i++) {
		if (!bytes_equal(oid, net_cms_alg_cipher((enum net_cms_cipher_id)i)->oid))
			continue;
		if (type != V_ASN1_OCTET_STRING || iv.len != net_cms_alg_cipher((enum net_cms_cipher_id)i)->block)
			return ERR_FORMAT;
		*ret_cipher = (enum net_cms_cipher_id)i;
		*ret_iv = iv;
		return 0;
	}
	return ERR_ALG;
}

/* Reads the content of an AlgorithmIdentifier: its OID; rest is left at the parameters. */
static int
identifier_read(struct view *v, struct bytes *ret_oid, struct view *ret_rest)
{
	struct der element, oid;
	struct view inner;
	int rc = der_expect(v, DER_SEQUENCE, &element);

	if (rc != 0)
		return rc;
	inner = view_of(element.content);
	rc = der_expect(&inner, DER_OID, &oid);
	if (rc != 0)
		return rc;
	*ret_oid = oid.content;
	*ret_rest = inner;
	return 0;
}

static int
hash_read(struct view *v, enum digest *ret_digest)
{
	struct bytes oid;
	struct view rest;
	int rc = identifier_read(v, &oid, &rest);

	return rc != 0 ? rc : digest_by_oid(oid, ret_digest);
}

static int
mgf_read(struct view *v, enum digest *ret_digest)
{
	struct bytes oid;
	struct view rest;
	int rc = identifier_read(v, &oid, &rest);

	if (rc != 0)
		return rc;
	return bytes_equal(oid, OID_MGF1) ? hash_read(&rest, ret_digest) : ERR_ALG;
}

/* The element under [n] EXPLICIT, when the next one is that. */
static int
explicit_read(struct view *v, int n, bool *ret_there, struct view *ret_inner)
{
	struct der element;
	int rc;

	*ret_there = der_peek(v, (uint8_t)DER_CONTEXT_CONSTRUCTED(n));
	if (!*ret_there)
		return 0;
	rc = der_next(v, &element);
	if (rc == 0)
		*ret_inner = view_of(element.content);
	return rc;
}

/* What RSAES-OAEP-params and RSASSA-PSS-params begin with alike (RFC 4055 3.1, 4.1); SHA-1 is the default of both. */
static int
hashes_read(struct view *v, enum digest *ret_digest, enum digest *ret_mgf_digest)
{
	struct view inner;
	bool there = false;
	int rc;

	*ret_digest = *ret_mgf_digest = DIGEST_SHA1;
	rc = explicit_read(v, 0, &there, &inner);
	if (rc == 0 && there)
		rc = hash_read(&inner, ret_digest);
	if (rc == 0)
		rc = explicit_read(v, 1, &there, &inner);
	if (rc == 0 && there)
		rc = mgf_read(&inner, ret_mgf_digest);
	return rc;
}

/* pSourceAlgorithm: pSpecified with the label.  The OID is not compared, there is no other. */
static int
label_read(struct view *v, struct bytes *ret_label)
{
	struct view inner, rest;
	struct der label;
	struct bytes oid;
	bool there = false;
	int rc = explicit_read(v, 2, &there, &inner);

	if (rc != 0 || !there)
		return rc;
	rc = identifier_read(&inner, &oid, &rest);
	if (rc == 0)
		rc = der_expect(&rest, DER_OCTET_STRING, &label);
	if (rc == 0)
		*ret_label = label.content;
	return rc;
}

int
net_cms_alg_transport_of(const X509_ALGOR *algorithm, struct net_cms_transport *ret_transport)
{
	struct net_cms_transport transport = {UNWRAP_PKCS1, DIGEST_SHA1, DIGEST_SHA1, {NULL, 0}};
	struct bytes oid, param;
	struct view v = {NULL, 0, false};
	int type, rc = 0;

	oid = algorithm_split(algorithm, &type, &param);
	if (bytes_equal(oid, OID_RSAES_OAEP)) {
		transport.padding = UNWRAP_OAEP;
		if (type == V_ASN1_SEQUENCE)
			rc = der_whole(param, DER_SEQUENCE, &v);
		if (rc == 0)
			rc = hashes_read(&v, &transport.digest, &transport.mgf_digest);
		if (rc == 0)
			rc = label_read(&v, &transport.label);
		if (rc == 0)
			rc = view_end(&v);
	} else if (!bytes_equal(oid, OID_RSA_ENCRYPTION)) {
		rc = ERR_ALG;
	}
	if (rc == 0)
		*ret_transport = transport;
	return rc;
}

/* RSASSA-PSS-params (RFC 4055 3.1): behind the hashes come salt length and trailer. */
static int
pss_read(struct bytes param, struct net_cms_signature *signature)
{
	struct der element;
	struct view v, inner;
	bool there = false;
	int trailer = PSS_TRAILER_DEFAULT, rc = der_whole(param, DER_SEQUENCE, &v);

	signature->salt = PSS_SALT_DEFAULT;
	if (rc == 0)
		rc = hashes_read(&v, &signature->digest, &signature->mgf_digest);
	if (rc == 0)
		rc = explicit_read(&v, 2, &there, &inner);
	if (rc == 0 && there)
		rc = der_expect(&inner, DER_INTEGER, &element);
	if (rc == 0 && there)
		rc = der_small_int(&element, &signature->salt);
	if (rc == 0)
		rc = explicit_read(&v, 3, &there, &inner);
	if (rc == 0 && there)
		rc = der_expect(&inner, DER_INTEGER, &element);
	if (rc == 0 && there)
		rc = der_small_int(&element, &trailer);
	if (rc == 0 && trailer != PSS_TRAILER_DEFAULT)
		rc = ERR_ALG;
	return rc != 0 ? rc : view_end(&v);
}

int
net_cms_alg_signature_of(const X509_ALGOR *algorithm, enum digest digest, struct net_cms_signature *ret_signature)
{
	struct net_cms_signature signature = {false, digest, digest, 0};
	struct bytes oid, param;
	int type, rc;

	oid = algorithm_split(algorithm, &type, &param);
	if (bytes_equal(oid, OID_RSA_ENCRYPTION) || bytes_equal(oid, OID_SHA1_RSA) ||
	    bytes_equal(oid, OID_SHA256_RSA) || bytes_equal(oid, OID_SHA384_RSA) || bytes_equal(oid, OID_SHA512_RSA)) {
		*ret_signature = signature;
		return 0;
	}
	if (!bytes_equal(oid, OID_RSASSA_PSS))
		return ERR_ALG;
	signature.pss = true;
	rc = pss_read(param, &signature);
	if (rc != 0 || signature.digest != digest)
		return ERR_ALG;
	*ret_signature = signature;
	return 0;
}
