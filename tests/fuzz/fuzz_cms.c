/*
 * net/cms and net/cms_asn1: what OpenSSL's CMS reader and ours both take has the same parts.  Way 0 a message, 1 an
 * envelope, 2 an AlgorithmIdentifier, 3 cipher text.
 */
#include <openssl/cms.h>
#include <openssl/err.h>
#include <stdlib.h>

#include "board/base/der.h"
#include "board/base/oid.h"
#include "net/cms.h"
#include "net/cms_asn1.h"
#include "net/scep.h"
#include "tests/fuzz/ground.h"
#include "tests/fuzz/scepwrap.h"

enum { OUT_MAX = 1 << 18 };

CLEANUP(CMS_ContentInfo, CMS_ContentInfo_free)
CLEANUP(X509_ALGOR, X509_ALGOR_free)

static CMS_ContentInfo *
theirs_of(struct bytes ber)
{
	const uint8_t *p = ber.data;
	CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)ber.len);

	ERR_clear_error();
	if (cms != NULL && p != ber.data + ber.len) {
		CMS_ContentInfo_free(cms);
		cms = NULL;
	}
	return cms;
}

static void
check_attributes(const struct net_cms_signer *signer)
{
	struct view v;
	AUTO_BUF set;

	buf_init(&set, OUT_MAX);
	if (signer->attributes == NULL || net_cms_attributes_put(signer, &set) != 0)
		return;
	HOLDS(der_whole(buf_bytes(&set), DER_SET, &v) == 0);
}

static void
check_message(struct bytes ber)
{
	struct net_cms_message *ours = net_cms_message_parse(ber);
	AUTO(CMS_ContentInfo) theirs = theirs_of(ber);

	if (ours != NULL) {
		struct net_cms_signed *body = ours->body;

		for (size_t i = 0; i < net_cms_count(body->signers); i++)
			check_attributes(OPENSSL_sk_value(body->signers, (int)i));
		if (theirs != NULL && body->content->octets != NULL) {
			ASN1_OCTET_STRING **content = CMS_get0_content(theirs);

			HOLDS(content == NULL || *content == NULL ||
			      ASN1_STRING_cmp(*content, body->content->octets) == 0);
			HOLDS((size_t)sk_CMS_SignerInfo_num(CMS_get0_SignerInfos(theirs)) ==
			      net_cms_count(body->signers));
		}
	}
	ERR_clear_error();
	net_cms_message_free(ours);
}

static void
check_envelope(struct bytes ber)
{
	struct net_cms_envelope *ours = net_cms_envelope_parse(ber);
	AUTO(CMS_ContentInfo) theirs = theirs_of(ber);
	struct net_cms_key_trans *recipient;

	if (ours == NULL)
		return;
	for (size_t i = 0; i < net_cms_count(ours->body->recipients); i++) {
		recipient = net_cms_key_trans_parse(sk_ASN1_TYPE_value(ours->body->recipients, (int)i));
		if (recipient != NULL)
			(void)net_cms_octets(recipient->wrapped);
		net_cms_key_trans_free(recipient);
	}
	if (theirs != NULL && CMS_get0_RecipientInfos(theirs) != NULL)
		HOLDS((size_t)sk_CMS_RecipientInfo_num(CMS_get0_RecipientInfos(theirs)) ==
		      net_cms_count(ours->body->recipients));
	ERR_clear_error();
	net_cms_envelope_free(ours);
}

static void
check_algorithm(struct bytes der)
{
	const uint8_t *p = der.data;
	AUTO(X509_ALGOR) algorithm = d2i_X509_ALGOR(NULL, &p, (long)der.len);
	struct net_cms_transport transport;
	struct net_cms_signature signature;
	enum net_cms_cipher_id cipher;
	enum digest digest;
	struct bytes iv;

	ERR_clear_error();
	if (algorithm == NULL)
		return;
	if (net_cms_alg_digest_of(algorithm, &digest) == 0)
		HOLDS(digest < DIGEST_COUNT && net_cms_is(algorithm->algorithm, net_cms_alg_digest(digest)->oid));
	if (net_cms_alg_cipher_of(algorithm, &cipher, &iv) == 0)
		HOLDS(cipher < NET_CMS_CIPHER_COUNT && iv.len == net_cms_alg_cipher(cipher)->block);
	if (net_cms_alg_transport_of(algorithm, &transport) == 0 && transport.padding == UNWRAP_OAEP)
		HOLDS(transport.digest < DIGEST_COUNT && transport.mgf_digest < DIGEST_COUNT);
	for (int d = 0; d < DIGEST_COUNT; d++) {
		if (net_cms_alg_signature_of(algorithm, (enum digest)d, &signature) == 0)
			HOLDS(signature.digest == (enum digest)d && (!signature.pss || signature.salt >= 0));
	}
	ERR_clear_error();
}

/* What decrypts is shorter than its cipher text by 1 to a block. */
static void
check_decrypt(struct bytes input)
{
	enum net_cms_cipher_id cipher = (enum net_cms_cipher_id)(ground_take_u8(&input) % NET_CMS_CIPHER_COUNT);
	const struct net_cms_cipher *known = net_cms_alg_cipher(cipher);
	static const uint8_t key[64] = "a key that is not secret, and as long as the longest of all....";
	AUTO_BUF out = {0};

	if (input.len < known->block)
		return;
	buf_init(&out, OUT_MAX);
	if (net_cms_decrypt(cipher, (struct bytes){key, known->key_size}, (struct bytes){input.data, known->block},
			    (struct bytes){input.data + known->block, input.len - known->block}, &out, NULL) == 0)
		HOLDS(out.len + known->block < input.len && out.len + 2 * known->block >= input.len);
	else
		HOLDS(out.len == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes input = {data, size}, issuer, serial;

	switch (ground_take_u8(&input) % 5) {
	case 0:
		check_message(input);
		break;
	case 1:
		check_envelope(input);
		break;
	case 2:
		check_algorithm(input);
		break;
	case 3:
		check_decrypt(input);
		break;
	default:
		if (net_scep_issuer_serial(input, &issuer, &serial) == 0)
			HOLDS(issuer.len >= 2 && serial.len > 0);
		break;
	}
	return 0;
}

void
fuzz_seeds(void)
{
	AUTO_BUF b, content;

	buf_init(&b, OUT_MAX);
	buf_init(&content, OUT_MAX);
	scepwrap_envelope(&content, bytes_of_text("plain"));
	ground_seed_way("envelope", 1, buf_bytes(&content));
	scepwrap_message(&b, buf_bytes(&content), (struct bytes){NULL, 0});
	ground_seed_way("message", 0, buf_bytes(&b));
	ground_seed_way("rsa", 2, OID_BYTES("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00"));
	ground_seed_way("oaep", 2, OID_BYTES("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07\x30\x00"));
	ground_seed_way("pss", 2, OID_BYTES("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x00"));
	ground_seed_way("aes", 2,
			OID_BYTES("\x30\x1d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x02\x04\x10"
				  "0123456789abcdef"));
	ground_seed_way("text", 3, bytes_of_text("\1an iv of 16 bytesand two blocks of cipher text...."));
	ground_seed_way("issuer-serial", 4, OID_BYTES("\x30\x05\x30\x00\x02\x01\x01"));
}

GROUND_DER_MUTATOR(1)
