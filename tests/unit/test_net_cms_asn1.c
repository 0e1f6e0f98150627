/* net/cms_asn1: what a message may cost before anybody knows whose it is. */
#include "board/base/der.h"
#include "board/base/oid.h"
#include "net/cms.h"
#include "net/scep.h"
#include "tests/lib/certs.h"
#include "tests/lib/test.h"

static const struct net_scep_policy policy = {.sha1 = false};

/* SignedData with one signer, whose certificate is missing, and count CRLs of two octets. */
static void
put_with_crls(struct buf *out, size_t count)
{
	const struct bytes none = {NULL, 0};
	size_t info = der_open(out, DER_SEQUENCE), outer, body, mark, signer, attribute;

	der_put_oid(out, OID_SIGNED_DATA);
	outer = der_open(out, DER_CONTEXT_CONSTRUCTED(0));
	body = der_open(out, DER_SEQUENCE);
	der_put_int(out, 1);
	der_put(out, DER_SET, none);
	mark = der_open(out, DER_SEQUENCE);
	der_put_oid(out, OID_DATA);
	der_close(out, mark);
	mark = der_open(out, DER_CONTEXT_CONSTRUCTED(1));
	for (size_t i = 0; i < count; i++)
		der_put(out, DER_SEQUENCE, none);
	der_close(out, mark);
	mark = der_open(out, DER_SET);
	signer = der_open(out, DER_SEQUENCE);
	der_put_int(out, 1);
	der_put(out, DER_CONTEXT(0), bytes_of_text("key identifier"));
	net_cms_put_algorithm(out, OID_SHA256, false);
	attribute = der_open(out, DER_CONTEXT_CONSTRUCTED(0));
	certs_attribute(out, OID_SCEP_TRANSACTION_ID, DER_PRINTABLE_STRING, bytes_of_text("t"));
	der_close(out, attribute);
	net_cms_put_algorithm(out, OID_RSA_ENCRYPTION, true);
	der_put(out, DER_OCTET_STRING, bytes_of_text("signature"));
	der_close(out, signer);
	der_close(out, mark);
	der_close(out, body);
	der_close(out, outer);
	der_close(out, info);
}

/* Each object of the decoder costs fifty times the two octets that it is made of, and is kept until the answer. */
TEST(a_message_of_nothing_but_elements_is_not_decoded)
{
	struct net_scep_request *request = NULL;
	struct err e = {0};
	AUTO_BUF few;
	AUTO_BUF many;

	buf_init(&few, 1 << 20);
	buf_init(&many, 1 << 20);
	put_with_crls(&few, 10);
	CHECK_INT(net_scep_parse(buf_bytes(&few), &policy, &request, &e), 0);
	CHECK_INT(request->fail_info, SCEP_BAD_MESSAGE_CHECK);
	net_scep_request_free(request);
	put_with_crls(&many, 500000);
	CHECK_INT(buf_status(&many), 0);
	CHECK_INT(net_scep_parse(buf_bytes(&many), &policy, &request, &e), ERR_FORMAT);
}

TEST_MAIN(RUN(a_message_of_nothing_but_elements_is_not_decoded))
