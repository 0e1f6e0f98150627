#include "appliance/ocsp.h"

#include <openssl/evp.h>

#include "board/base/der.h"
#include "board/base/oid.h"

static int
hash(enum digest digest, struct bytes v, uint8_t *out, struct bytes *ret_hash)
{
	const EVP_MD *md = digest == DIGEST_SHA1 ? EVP_sha1() : EVP_sha256();
	unsigned len = 0;

	if (EVP_Digest(v.data, v.len, out, &len, md, NULL) != 1)
		return ERR_CRYPTO;
	*ret_hash = (struct bytes){out, len};
	return 0;
}

/* The key itself, without algorithm and without the octet that counts unused bits (RFC 6960 4.1.1). */
static int
key_bits(struct bytes spki, struct bytes *ret_bits)
{
	struct der algorithm;
	struct der bits;
	struct view v;

	if (der_whole(spki, DER_SEQUENCE, &v) != 0 || der_expect(&v, DER_SEQUENCE, &algorithm) != 0 ||
	    der_expect(&v, DER_BIT_STRING, &bits) != 0 || bits.content.len < 2)
		return ERR_FORMAT;
	*ret_bits = (struct bytes){bits.content.data + 1, bits.content.len - 1};
	return 0;
}

int
app_ocsp_issuer(const struct x509 *ca, enum digest digest, struct bytes *ret_name_hash, struct bytes *ret_key_hash,
		uint8_t ret_octets[2 * APP_OCSP_HASH_MAX])
{
	struct bytes bits;
	int rc;

	if (digest != DIGEST_SHA1 && digest != DIGEST_SHA256)
		return ERR_ALG;
	rc = key_bits(ca->tbs.spki, &bits);
	if (rc == 0)
		rc = hash(digest, ca->tbs.subject, ret_octets, ret_name_hash);
	if (rc == 0)
		rc = hash(digest, bits, ret_octets + APP_OCSP_HASH_MAX, ret_key_hash);
	return rc;
}

static void
cert_id_put(struct buf *b, const struct app_ocsp *ocsp)
{
	size_t whole = der_open(b, DER_SEQUENCE), algorithm = der_open(b, DER_SEQUENCE);

	der_put_oid(b, ocsp->digest == DIGEST_SHA1 ? OID_SHA1 : OID_SHA256);
	der_put(b, DER_NULL, (struct bytes){NULL, 0});
	der_close(b, algorithm);
	der_put(b, DER_OCTET_STRING, ocsp->name_hash);
	der_put(b, DER_OCTET_STRING, ocsp->key_hash);
	der_put_unsigned(b, (struct bytes){ocsp->serial, APP_SERIAL_SIZE});
	der_close(b, whole);
}

static void
status_put(struct buf *b, const struct app_ocsp *ocsp)
{
	uint8_t reason = (uint8_t)ocsp->reason;
	size_t revoked, inside;

	if (ocsp->revoked == 0) {
		der_put(b, DER_CONTEXT(0), (struct bytes){NULL, 0});
		return;
	}
	revoked = der_open(b, DER_CONTEXT_CONSTRUCTED(1));
	der_put_generalized_time(b, ocsp->revoked);
	if (ocsp->reason > APP_REASON_UNSPECIFIED) {
		inside = der_open(b, DER_CONTEXT_CONSTRUCTED(0));
		der_put(b, DER_ENUMERATED, (struct bytes){&reason, 1});
		der_close(b, inside);
	}
	der_close(b, revoked);
}

int
app_ocsp_build(const struct app_ocsp *ocsp, struct buf *out)
{
	size_t whole = der_open(out, DER_SEQUENCE), mark = der_open(out, DER_CONTEXT_CONSTRUCTED(2)), list, next;

	der_put(out, DER_OCTET_STRING, (struct bytes){ocsp->responder, APP_OCSP_KEY_HASH});
	der_close(out, mark);
	der_put_generalized_time(out, ocsp->this_update);
	list = der_open(out, DER_SEQUENCE);
	mark = der_open(out, DER_SEQUENCE);
	cert_id_put(out, ocsp);
	status_put(out, ocsp);
	der_put_generalized_time(out, ocsp->this_update);
	next = der_open(out, DER_CONTEXT_CONSTRUCTED(0));
	der_put_generalized_time(out, ocsp->next_update);
	der_close(out, next);
	der_close(out, mark);
	der_close(out, list);
	der_close(out, whole);
	return buf_status(out);
}

int
app_ocsp_join(struct bytes data, struct bytes algorithm, struct bytes signature, struct bytes certificate,
	      struct buf *out)
{
	uint8_t status = APP_OCSP_SUCCESSFUL;
	size_t whole = der_open(out, DER_SEQUENCE), bytes, typed, octets, basic, list, certs;

	der_put(out, DER_ENUMERATED, (struct bytes){&status, 1});
	bytes = der_open(out, DER_CONTEXT_CONSTRUCTED(0));
	typed = der_open(out, DER_SEQUENCE);
	der_put_oid(out, OID_OCSP_BASIC);
	octets = der_open(out, DER_OCTET_STRING);
	basic = der_open(out, DER_SEQUENCE);
	der_put_raw(out, data);
	der_put_raw(out, algorithm);
	der_put_bits(out, signature);
	certs = der_open(out, DER_CONTEXT_CONSTRUCTED(0));
	list = der_open(out, DER_SEQUENCE);
	der_put_raw(out, certificate);
	der_close(out, list);
	der_close(out, certs);
	der_close(out, basic);
	der_close(out, octets);
	der_close(out, typed);
	der_close(out, bytes);
	der_close(out, whole);
	return buf_status(out);
}
