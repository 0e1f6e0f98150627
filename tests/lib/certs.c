#include "tests/lib/certs.h"

#include <openssl/ec.h>
#include <openssl/rsa.h>

#include "board/base/der.h"
#include "tests/lib/test.h"

EVP_PKEY *
certs_rsa(void)
{
	static EVP_PKEY *key;

	if (key == NULL)
		key = EVP_RSA_gen(2048);
	assert_non_null(key);
	return key;
}

EVP_PKEY *
certs_ec(const char *curve)
{
	EVP_PKEY *key = EVP_EC_gen(curve);

	assert_non_null(key);
	return key;
}

X509 *
certs_new(EVP_PKEY *key, const char *cn)
{
	X509 *cert = X509_new();
	X509_NAME *name = X509_NAME_new();

	assert_int_equal(X509_set_version(cert, X509_VERSION_3), 1);
	assert_int_equal(ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), 0x8899aabbccddeeff), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 365 * 86400L);
	assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0),
			 1);
	assert_int_equal(X509_set_subject_name(cert, name), 1);
	assert_int_equal(X509_set_issuer_name(cert, name), 1);
	assert_int_equal(X509_set_pubkey(cert, key), 1);
	X509_NAME_free(name);
	return cert;
}

void
certs_extension(X509 *cert, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *extension;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(extension);
	assert_int_equal(X509_add_ext(cert, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

struct bytes
certs_der(X509 *cert)
{
	unsigned char *der = NULL;
	int len = i2d_X509(cert, &der);

	assert_true(len > 0);
	return (struct bytes){der, (size_t)len};
}

struct bytes
certs_spki(EVP_PKEY *key)
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(key, &der);

	assert_true(len > 0);
	return (struct bytes){der, (size_t)len};
}

struct bytes
certs_name(const char *cn)
{
	X509_NAME *name = X509_NAME_new();
	unsigned char *der = NULL;
	int len;

	assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0),
			 1);
	len = i2d_X509_NAME(name, &der);
	assert_true(len > 0);
	X509_NAME_free(name);
	return (struct bytes){der, (size_t)len};
}

struct bytes
certs_self_signed(EVP_PKEY *key, const EVP_MD *md)
{
	X509 *cert = certs_new(key, "test");
	struct bytes der;

	certs_extension(cert, NID_basic_constraints, "critical,CA:FALSE");
	certs_extension(cert, NID_subject_key_identifier, "hash");
	assert_true(X509_sign(cert, key, md) > 0);
	der = certs_der(cert);
	X509_free(cert);
	return der;
}

struct bytes
certs_ca(EVP_PKEY *key)
{
	X509 *cert = certs_new(key, "CA");
	struct bytes der;

	X509_gmtime_adj(X509_getm_notAfter(cert), 3650 * 86400L);
	certs_extension(cert, NID_basic_constraints, "critical,CA:TRUE");
	certs_extension(cert, NID_key_usage, "critical,keyCertSign,cRLSign");
	certs_extension(cert, NID_subject_key_identifier, "hash");
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	der = certs_der(cert);
	X509_free(cert);
	return der;
}

struct bytes
certs_sign(EVP_PKEY *key, const EVP_MD *md, struct bytes data)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t len = (size_t)EVP_PKEY_get_size(key);
	uint8_t *out = malloc(len);

	assert_non_null(out);
	assert_int_equal(EVP_DigestSignInit(ctx, NULL, md, NULL, key), 1);
	assert_int_equal(EVP_DigestSign(ctx, out, &len, data.data, data.len), 1);
	EVP_MD_CTX_free(ctx);
	return (struct bytes){out, len};
}

static void
algorithm_put(struct buf *b, const EVP_PKEY *key, const EVP_MD *md)
{
	X509_ALGOR *algorithm = X509_ALGOR_new();
	unsigned char *der = NULL;
	int type = EVP_PKEY_get_base_id(key), nid = type, len;

	if (md != NULL)
		assert_int_equal(OBJ_find_sigid_by_algs(&nid, EVP_MD_get_type(md), type), 1);
	X509_ALGOR_set0(algorithm, OBJ_nid2obj(nid), type == EVP_PKEY_RSA ? V_ASN1_NULL : V_ASN1_UNDEF, NULL);
	len = i2d_X509_ALGOR(algorithm, &der);
	assert_true(len > 0);
	buf_put_raw(b, der, (size_t)len);
	OPENSSL_free(der);
	X509_ALGOR_free(algorithm);
}

struct bytes
certs_request(EVP_PKEY *key, const EVP_MD *md, struct bytes name, struct bytes attributes)
{
	AUTO_BUF info = {0}, out = {0};
	struct bytes spki = certs_spki(key), signature, der;
	size_t mark;

	buf_init(&info, 100000);
	buf_init(&out, 100000);
	mark = der_open(&info, DER_SEQUENCE);
	der_put_int(&info, 0);
	der_put_raw(&info, name);
	der_put_raw(&info, spki);
	der_put(&info, DER_CONTEXT_CONSTRUCTED(0), attributes);
	der_close(&info, mark);
	signature = certs_sign(key, md, buf_bytes(&info));
	mark = der_open(&out, DER_SEQUENCE);
	der_put_raw(&out, buf_bytes(&info));
	algorithm_put(&out, key, md);
	der_put_bits(&out, signature);
	der_close(&out, mark);
	assert_int_equal(buf_status(&out), 0);
	free((void *)signature.data);
	free((void *)spki.data);
	der.data = buf_take(&out, &der.len);
	return der;
}

void
certs_attribute(struct buf *b, struct bytes oid, uint8_t tag, struct bytes value)
{
	size_t attribute = der_open(b, DER_SEQUENCE), set;

	der_put_oid(b, oid);
	set = der_open(b, DER_SET);
	der_put(b, tag, value);
	der_close(b, set);
	der_close(b, attribute);
}
