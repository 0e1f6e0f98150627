#include "tests/fuzz/scepwrap.h"

#include <stdlib.h>

#include "board/base/der.h"
#include "board/base/oid.h"
#include "net/cms.h"
#include "tests/fuzz/ground.h"
#include "tests/lib/certs.h"

enum { LIMIT = 1 << 20 };

void
scepwrap_attributes(struct buf *out, const char *message_type, const char *transaction)
{
	certs_attribute(out, OID_SCEP_MESSAGE_TYPE, DER_PRINTABLE_STRING, bytes_of_text(message_type));
	certs_attribute(out, OID_SCEP_TRANSACTION_ID, DER_PRINTABLE_STRING, bytes_of_text(transaction));
	certs_attribute(out, OID_SCEP_SENDER_NONCE, DER_OCTET_STRING, bytes_of_text("sixteen octets.."));
}

static void
put_algorithm(struct buf *out, struct bytes oid)
{
	size_t mark = der_open(out, DER_SEQUENCE);

	der_put_oid(out, oid);
	der_put(out, DER_NULL, (struct bytes){NULL, 0});
	der_close(out, mark);
}

/* SignerInfo of the device's self-signed certificate. */
static void
put_signer(struct buf *out, struct bytes content, struct bytes attributes)
{
	struct bytes signature;
	uint8_t digest[32];
	struct x509 cert;
	AUTO_BUF list, set;
	size_t whole, mark;

	buf_init(&list, LIMIT);
	buf_init(&set, LIMIT);
	x509_sha256(content, digest);
	certs_attribute(&list, OID_CONTENT_TYPE, DER_OID, OID_DATA);
	certs_attribute(&list, OID_MESSAGE_DIGEST, DER_OCTET_STRING, (struct bytes){digest, sizeof(digest)});
	buf_put_raw(&list, attributes.data, attributes.len);
	der_put(&set, DER_SET, buf_bytes(&list));
	signature = certs_sign(ground_rsa(0), EVP_sha256(), buf_bytes(&set));
	HOLDS(x509_parse(ground_self_signed(0), &cert, NULL) == 0);
	whole = der_open(out, DER_SEQUENCE);
	der_put_int(out, 1);
	mark = der_open(out, DER_SEQUENCE);
	der_put_raw(out, cert.tbs.issuer);
	der_put(out, DER_INTEGER, cert.tbs.serial);
	der_close(out, mark);
	put_algorithm(out, OID_SHA256);
	der_put(out, DER_CONTEXT_CONSTRUCTED(0), buf_bytes(&list));
	put_algorithm(out, OID_RSA_ENCRYPTION);
	der_put(out, DER_OCTET_STRING, signature);
	der_close(out, whole);
	free((void *)signature.data);
}

static void
put_content(struct buf *out, struct bytes content)
{
	size_t info = der_open(out, DER_SEQUENCE), mark;

	der_put_oid(out, OID_DATA);
	mark = der_open(out, DER_CONTEXT_CONSTRUCTED(0));
	der_put(out, DER_OCTET_STRING, content);
	der_close(out, mark);
	der_close(out, info);
}

void
scepwrap_message(struct buf *out, struct bytes content, struct bytes attributes)
{
	size_t whole = der_open(out, DER_SEQUENCE), outer, body, mark;

	der_put_oid(out, OID_SIGNED_DATA);
	outer = der_open(out, DER_CONTEXT_CONSTRUCTED(0));
	body = der_open(out, DER_SEQUENCE);
	der_put_int(out, 1);
	mark = der_open(out, DER_SET);
	put_algorithm(out, OID_SHA256);
	der_close(out, mark);
	put_content(out, content);
	der_put(out, DER_CONTEXT_CONSTRUCTED(0), ground_self_signed(0));
	mark = der_open(out, DER_SET);
	put_signer(out, content, attributes);
	der_close(out, mark);
	der_close(out, body);
	der_close(out, outer);
	der_close(out, whole);
	HOLDS(buf_status(out) == 0);
}

void
scepwrap_envelope(struct buf *out, struct bytes plain)
{
	const struct net_cms_transport transport = {.padding = UNWRAP_PKCS1};
	struct x509 cert;

	HOLDS(x509_parse(ground_issued(1), &cert, NULL) == 0);
	HOLDS(net_cms_put_envelope(out, plain, NET_CMS_AES128_CBC, &transport, &cert, ground_rsa(1), NULL) == 0);
}
