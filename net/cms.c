#include "net/cms.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include "board/base/der.h"
#include "board/base/oid.h"
#include "board/base/secret.h"
#include "net/cms_asn1.h"

enum {
	KEY_MAX = 32,
	IV_MAX = 16,
	WRAPPED_MAX = 1024 /* RSA-8192 */
};

CLEANUP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
CLEANUP(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)

size_t
net_cms_digest(enum digest digest, struct bytes v, uint8_t out[NET_CMS_DIGEST_MAX])
{
	unsigned int len = 0;

	if (EVP_Digest(v.data, v.len, out, &len, net_cms_alg_digest(digest)->md, NULL) != 1)
		return 0;
	return len;
}

struct bytes
net_cms_serial(const ASN1_INTEGER *number, uint8_t storage[NET_CMS_SERIAL_MAX])
{
	const struct bytes none = {NULL, 0};
	unsigned char der[NET_CMS_SERIAL_MAX + 4], *p = der;
	struct view v;
	int len = i2d_ASN1_INTEGER(number, NULL);

	if (len <= 0 || len > NET_CMS_SERIAL_MAX)
		return none;
	i2d_ASN1_INTEGER(number, &p);
	if (der_whole((struct bytes){der, (size_t)len}, DER_INTEGER, &v) != 0)
		return none;
	memcpy(storage, v.next, v.left);
	return (struct bytes){storage, v.left};
}

struct bytes
net_cms_key_id(const struct x509 *cert)
{
	struct x509_extension extension;
	struct view v;

	if (x509_extension_find(&cert->tbs, OID_SUBJECT_KEY_ID, &extension) != 0 ||
	    der_whole(extension.value, DER_OCTET_STRING, &v) != 0)
		return (struct bytes){NULL, 0};
	return (struct bytes){v.next, v.left};
}

/* Tells ctx how the signature was made. */
static int
verify_setup(EVP_PKEY_CTX *ctx, const struct net_cms_signature *how)
{
	if (EVP_PKEY_verify_init(ctx) <= 0 ||
	    EVP_PKEY_CTX_set_rsa_padding(ctx, how->pss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING) <= 0 ||
	    EVP_PKEY_CTX_set_signature_md(ctx, net_cms_alg_digest(how->digest)->md) <= 0)
		return ERR_ALG;
	if (how->pss && (EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, net_cms_alg_digest(how->mgf_digest)->md) <= 0 ||
			 EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, how->salt) <= 0))
		return ERR_ALG;
	return 0;
}

int
net_cms_verify(EVP_PKEY *key, const struct net_cms_signature *how, struct bytes data, struct bytes signature,
	       struct err *e)
{
	AUTO(EVP_PKEY_CTX) ctx = EVP_PKEY_CTX_new(key, NULL);
	uint8_t hash[NET_CMS_DIGEST_MAX];
	size_t len;

	if (ctx == NULL || verify_setup(ctx, how) != 0)
		return err_set_ossl(e, ERR_ALG, "signature algorithm not possible with this key");
	len = net_cms_digest(how->digest, data, hash);
	if (EVP_PKEY_verify(ctx, signature.data, signature.len, hash, len) != 1)
		return err_set_ossl(e, ERR_VERIFY, "outer signature is wrong");
	return 0;
}

/* How many octets the padding of the last block says to remove, 0 when it is wrong; time does not depend on it. */
static size_t
padding_length(const uint8_t *last_block, size_t block)
{
	uint32_t pad = last_block[block - 1], bad, in_padding, differs;
	size_t i;

	/* The top bit of a difference of small numbers says which is larger. */
	bad = ((pad - 1) >> 31) | (((uint32_t)block - pad) >> 31);
	for (i = 0; i < block; i++) {
		in_padding = (((uint32_t)(block - 1 - i) - pad) >> 31) & 1;
		differs = ((uint32_t)0 - (uint32_t)(last_block[i] ^ (uint8_t)pad)) >> 31;
		bad |= in_padding & differs;
	}
	return pad & (bad - 1);
}

int
net_cms_decrypt(enum net_cms_cipher_id cipher, struct bytes key, struct bytes iv, struct bytes content, struct buf *out,
		struct err *e)
{
	static const char text[] = "the content does not decrypt";
	uint8_t schedule[EVP_MAX_KEY_LENGTH] = {0};
	const struct net_cms_cipher *info = net_cms_alg_cipher(cipher);
	AUTO(EVP_CIPHER_CTX) ctx = EVP_CIPHER_CTX_new();
	AUTO_BUF plain;
	uint8_t *room;
	size_t pad;
	bool decrypted;
	int len = 0;

	buf_init(&plain, content.len);
	if (key.len != info->key_size || iv.len != info->block || content.len == 0 || content.len % info->block != 0 ||
	    content.len > INT32_MAX)
		return err_set(e, ERR_VERIFY, 0, text);
	room = buf_put_room(&plain, content.len);
	if (ctx == NULL || room == NULL)
		return err_set(e, ERR_NOMEM, 0, "decrypting");
	/* A key as long as the cipher's is used once; the 8 octets of single DES three times (cms_alg.c). */
	for (size_t i = 0; i < (size_t)EVP_CIPHER_get_key_length(info->cipher); i++)
		schedule[i] = key.data[i % key.len];
	decrypted = EVP_DecryptInit_ex2(ctx, info->cipher, schedule, iv.data, NULL) == 1 &&
		    EVP_CIPHER_CTX_set_padding(ctx, 0) == 1 &&
		    EVP_DecryptUpdate(ctx, room, &len, content.data, (int)content.len) == 1 &&
		    (size_t)len == content.len;
	secret_wipe(schedule, sizeof(schedule));
	if (!decrypted) {
		ERR_clear_error();
		return err_set(e, ERR_VERIFY, 0, text);
	}
	pad = padding_length(room + content.len - info->block, info->block);
	if (pad == 0)
		return err_set(e, ERR_VERIFY, 0, text);
	buf_put_raw(out, room, content.len - pad);
	return buf_status(out);
}

void
net_cms_put_algorithm(struct buf *out, struct bytes oid, bool with_null)
{
	size_t mark = der_open(out, DER_SEQUENCE);

	der_put_oid(out, oid);
	if (with_null)
		der_put(out, DER_NULL, (struct bytes){NULL, 0});
	der_close(out, mark);
}

void
net_cms_put_issuer_serial(struct buf *out, const struct x509 *cert)
{
	size_t mark = der_open(out, DER_SEQUENCE);

	der_put_raw(out, cert->tbs.issuer);
	der_put(out, DER_INTEGER, cert->tbs.serial);
	der_close(out, mark);
}

void
net_cms_put_certs_only(struct buf *out, const struct bytes *certs, size_t count, struct bytes crl)
{
	size_t info = der_open(out, DER_SEQUENCE), explicit, body, mark, i;

	der_put_oid(out, OID_SIGNED_DATA);
	explicit = der_open(out, DER_CONTEXT_CONSTRUCTED(0));
	body = der_open(out, DER_SEQUENCE);
	der_put_int(out, 1);
	der_put(out, DER_SET, (struct bytes){NULL, 0});
	mark = der_open(out, DER_SEQUENCE);
	der_put_oid(out, OID_DATA);
	der_close(out, mark);
	if (count > 0 || crl.len == 0) {
		mark = der_open(out, DER_CONTEXT_CONSTRUCTED(0));
		for (i = 0; i < count; i++)
			der_put_raw(out, certs[i]);
		der_close(out, mark);
	}
	if (crl.len > 0)
		der_put(out, DER_CONTEXT_CONSTRUCTED(1), crl);
	der_put(out, DER_SET, (struct bytes){NULL, 0});
	der_close(out, body);
	der_close(out, explicit);
	der_close(out, info);
}

static void
put_hash_under(struct buf *out, int n, enum digest digest, bool mgf)
{
	size_t outer, mark;

	if (digest == DIGEST_SHA1)
		return;
	outer = der_open(out, (uint8_t)DER_CONTEXT_CONSTRUCTED(n));
	mark = mgf ? der_open(out, DER_SEQUENCE) : 0;
	if (mgf)
		der_put_oid(out, OID_MGF1);
	net_cms_put_algorithm(out, net_cms_alg_digest(digest)->oid, true);
	if (mgf)
		der_close(out, mark);
	der_close(out, outer);
}

/* With OAEP the parameters are a SEQUENCE even when all is default, for .NET (facts C20). */
static void
put_transport(struct buf *out, const struct net_cms_transport *transport)
{
	static const struct bytes p_specified = {(const uint8_t *)"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x09", 9};
	size_t outer, params, source, mark;

	if (transport->padding == UNWRAP_PKCS1) {
		net_cms_put_algorithm(out, OID_RSA_ENCRYPTION, true);
		return;
	}
	outer = der_open(out, DER_SEQUENCE);
	der_put_oid(out, OID_RSAES_OAEP);
	params = der_open(out, DER_SEQUENCE);
	put_hash_under(out, 0, transport->digest, false);
	put_hash_under(out, 1, transport->mgf_digest, true);
	if (transport->label.len > 0) {
		source = der_open(out, DER_CONTEXT_CONSTRUCTED(2));
		mark = der_open(out, DER_SEQUENCE);
		der_put_oid(out, p_specified);
		der_put(out, DER_OCTET_STRING, transport->label);
		der_close(out, mark);
		der_close(out, source);
	}
	der_close(out, params);
	der_close(out, outer);
}

static int
wrap_setup(EVP_PKEY_CTX *ctx, const struct net_cms_transport *transport)
{
	void *label;

	if (EVP_PKEY_encrypt_init(ctx) <= 0)
		return ERR_CRYPTO;
	if (transport->padding == UNWRAP_PKCS1)
		return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) > 0 ? 0 : ERR_CRYPTO;
	if (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) <= 0 ||
	    EVP_PKEY_CTX_set_rsa_oaep_md(ctx, net_cms_alg_digest(transport->digest)->md) <= 0 ||
	    EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, net_cms_alg_digest(transport->mgf_digest)->md) <= 0)
		return ERR_CRYPTO;
	if (transport->label.len == 0)
		return 0;
	label = OPENSSL_memdup(transport->label.data, transport->label.len);
	if (label == NULL || EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, label, (int)transport->label.len) <= 0) {
		OPENSSL_free(label);
		return ERR_CRYPTO;
	}
	return 0;
}

static int
put_recipient(struct buf *out, struct bytes content_key, const struct net_cms_transport *transport,
	      const struct x509 *cert, EVP_PKEY *key)
{
	AUTO(EVP_PKEY_CTX) ctx = EVP_PKEY_CTX_new(key, NULL);
	uint8_t wrapped[WRAPPED_MAX];
	size_t mark, len = sizeof(wrapped);

	if (ctx == NULL || wrap_setup(ctx, transport) != 0 || (size_t)EVP_PKEY_get_size(key) > sizeof(wrapped) ||
	    EVP_PKEY_encrypt(ctx, wrapped, &len, content_key.data, content_key.len) <= 0)
		return ERR_CRYPTO;
	mark = der_open(out, DER_SEQUENCE);
	der_put_int(out, 0);
	net_cms_put_issuer_serial(out, cert);
	put_transport(out, transport);
	der_put(out, DER_OCTET_STRING, (struct bytes){wrapped, len});
	der_close(out, mark);
	return 0;
}

/* The cipher text as a primitive [0], with PKCS#7 padding. */
static int
put_cipher_text(struct buf *out, struct bytes plain, const struct net_cms_cipher *info, const uint8_t *key,
		const uint8_t *iv)
{
	AUTO(EVP_CIPHER_CTX) ctx = EVP_CIPHER_CTX_new();
	size_t mark, padded = plain.len + info->block - plain.len % info->block;
	int len = 0, last = 0;
	uint8_t *room;

	mark = der_open(out, DER_CONTEXT(0));
	room = buf_put_room(out, padded);
	if (room == NULL)
		return buf_status(out);
	if (ctx == NULL || EVP_EncryptInit_ex2(ctx, info->cipher, key, iv, NULL) != 1 ||
	    EVP_EncryptUpdate(ctx, room, &len, plain.data, (int)plain.len) != 1 ||
	    EVP_EncryptFinal_ex(ctx, room + len, &last) != 1)
		return ERR_CRYPTO;
	der_close(out, mark);
	return buf_status(out);
}

static int
put_enveloped(struct buf *out, struct bytes plain, const struct net_cms_cipher *info,
	      const struct net_cms_transport *transport, const struct x509 *cert, EVP_PKEY *key,
	      const uint8_t *content_key)
{
	size_t mark, inner;
	uint8_t iv[IV_MAX];
	int rc;

	if (RAND_bytes(iv, (int)info->block) != 1)
		return ERR_CRYPTO;
	der_put_int(out, 0);
	mark = der_open(out, DER_SET);
	rc = put_recipient(out, (struct bytes){content_key, info->key_size}, transport, cert, key);
	if (rc != 0)
		return rc;
	der_close(out, mark);
	mark = der_open(out, DER_SEQUENCE);
	der_put_oid(out, OID_DATA);
	inner = der_open(out, DER_SEQUENCE);
	der_put_oid(out, info->oid);
	der_put(out, DER_OCTET_STRING, (struct bytes){iv, info->block});
	der_close(out, inner);
	rc = put_cipher_text(out, plain, info, content_key, iv);
	der_close(out, mark);
	return rc;
}

int
net_cms_put_envelope(struct buf *out, struct bytes plain, enum net_cms_cipher_id cipher,
		     const struct net_cms_transport *transport, const struct x509 *cert, EVP_PKEY *key, struct err *e)
{
	const struct net_cms_cipher *info = net_cms_alg_cipher(cipher);
	size_t outer, explicit, mark;
	uint8_t content_key[KEY_MAX];
	int rc;

	if (RAND_priv_bytes(content_key, (int)info->key_size) != 1)
		return err_set_ossl(e, ERR_CRYPTO, "making a content key");
	outer = der_open(out, DER_SEQUENCE);
	der_put_oid(out, OID_ENVELOPED_DATA);
	explicit = der_open(out, DER_CONTEXT_CONSTRUCTED(0));
	mark = der_open(out, DER_SEQUENCE);
	rc = put_enveloped(out, plain, info, transport, cert, key, content_key);
	secret_wipe(content_key, sizeof(content_key));
	if (rc != 0)
		return err_set_ossl(e, rc, "enveloping the reply");
	der_close(out, mark);
	der_close(out, explicit);
	der_close(out, outer);
	return buf_status(out);
}
