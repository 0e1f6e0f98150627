#include "appliance/announce.h"

#include "board/base/der.h"
#include "board/base/oid.h"
#include "net/cms.h"

int
app_announce_content(const struct bytes *certificates, size_t count, struct buf *out)
{
	net_cms_put_certs_only(out, certificates, count, (struct bytes){NULL, 0});
	return buf_status(out);
}

/* Begins an attribute and its SET of one value. */
static void
attribute_open(struct buf *out, struct bytes oid, size_t marks[2])
{
	marks[0] = der_open(out, DER_SEQUENCE);
	der_put_oid(out, oid);
	marks[1] = der_open(out, DER_SET);
}

static void
attribute_close(struct buf *out, const size_t marks[2])
{
	der_close(out, marks[1]);
	der_close(out, marks[0]);
}

int
app_announce_attributes(const struct app_issuer *issuer, struct bytes content, int64_t now, struct buf *out)
{
	uint8_t hash[NET_CMS_DIGEST_MAX];
	size_t len = net_cms_digest(issuer->digest, content, hash);
	size_t whole, marks[2];

	if (len == 0)
		return ERR_CRYPTO;
	/* Each is longer than the one before it, which is the order that DER wants (X.690 11.6). */
	whole = der_open(out, DER_SET);
	attribute_open(out, OID_CONTENT_TYPE, marks);
	der_put_oid(out, OID_DATA);
	attribute_close(out, marks);
	attribute_open(out, OID_SIGNING_TIME, marks);
	der_put_time(out, now);
	attribute_close(out, marks);
	attribute_open(out, OID_MESSAGE_DIGEST, marks);
	der_put(out, DER_OCTET_STRING, (struct bytes){hash, len});
	attribute_close(out, marks);
	der_close(out, whole);
	return buf_status(out);
}

static bool
is_rsa(const struct app_issuer *issuer)
{
	struct der algorithm, oid;
	struct view v;

	if (der_whole(issuer->cert.tbs.spki, DER_SEQUENCE, &v) != 0 || der_expect(&v, DER_SEQUENCE, &algorithm) != 0)
		return false;
	v = view_of(algorithm.content);
	return der_expect(&v, DER_OID, &oid) == 0 && bytes_equal(oid.content, OID_RSA_ENCRYPTION);
}

static void
put_signer_info(struct buf *out, const struct app_issuer *issuer, struct bytes attributes, struct bytes signature)
{
	size_t set = der_open(out, DER_SET), info = der_open(out, DER_SEQUENCE);

	der_put_int(out, 1);
	net_cms_put_issuer_serial(out, &issuer->cert);
	net_cms_put_algorithm(out, net_cms_alg_digest(issuer->digest)->oid, false);
	/* The same SET as was signed, now under its IMPLICIT [0] (RFC 5652 5.4). */
	buf_put_u8(out, DER_CONTEXT_CONSTRUCTED(0));
	buf_put_raw(out, attributes.data + 1, attributes.len - 1);
	/* Plain rsaEncryption for RSA, as in all that we sign for SCEP: some clients know nothing else (facts C23). */
	if (is_rsa(issuer))
		net_cms_put_algorithm(out, OID_RSA_ENCRYPTION, true);
	else
		der_put_raw(out, issuer->algorithm);
	der_put(out, DER_OCTET_STRING, signature);
	der_close(out, info);
	der_close(out, set);
}

int
app_announce_join(const struct app_issuer *issuer, struct bytes content, struct bytes attributes,
		  struct bytes signature, struct buf *out)
{
	size_t info = der_open(out, DER_SEQUENCE), inner, body, mark, octets;

	if (attributes.len == 0)
		return ERR_FORMAT;
	der_put_oid(out, OID_SIGNED_DATA);
	inner = der_open(out, DER_CONTEXT_CONSTRUCTED(0));
	body = der_open(out, DER_SEQUENCE);
	der_put_int(out, 1);
	mark = der_open(out, DER_SET);
	net_cms_put_algorithm(out, net_cms_alg_digest(issuer->digest)->oid, false);
	der_close(out, mark);
	/* id-data, as in all of SCEP: clients that read PKCS#7 understand no other type here. */
	mark = der_open(out, DER_SEQUENCE);
	der_put_oid(out, OID_DATA);
	octets = der_open(out, DER_CONTEXT_CONSTRUCTED(0));
	der_put(out, DER_OCTET_STRING, content);
	der_close(out, octets);
	der_close(out, mark);
	der_put(out, DER_CONTEXT_CONSTRUCTED(0), issuer->der);
	put_signer_info(out, issuer, attributes, signature);
	der_close(out, body);
	der_close(out, inner);
	der_close(out, info);
	return buf_status(out);
}
