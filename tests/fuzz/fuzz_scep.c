/*
 * net/scep: a message from its bytes to the CertRep.  Two octets first: the way, and the policy as bits.
 *
 * Way 0: the message as it comes; nothing that a mutation made of the seeds may pass for a message of the device's key.
 * The others are signed by that key after mutation: 1 the enveloped content, 2 the attributes, 3 what is enveloped,
 * which has to come out again.
 */
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "board/base/oid.h"
#include "hsm/sign.h"
#include "hsm/tbs.h"
#include "net/cms.h"
#include "net/cms_asn1.h"
#include "net/scep.h"
#include "tests/fuzz/ground.h"
#include "tests/fuzz/scepwrap.h"
#include "tests/lib/certs.h"

enum { OUT_MAX = 1 << 20, KEY_MAX = 512, WAY_RAW = 0, WAY_CONTENT, WAY_ATTRIBUTES, WAY_PLAIN, WAYS };

#define SEED_TRANSACTION "seed transaction"

CLEANUP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
CLEANUP(CMS_ContentInfo, CMS_ContentInfo_free)

static const struct hsm_limits no_limits;

static const EVP_MD *
md_of(enum digest digest)
{
	return net_cms_alg_digest(digest)->md;
}

/* What the signer does for the front: the content key, else anything. */
static struct bytes
unwrap(const struct net_scep_recipient *recipient, size_t key_size, uint8_t out[KEY_MAX])
{
	AUTO(EVP_PKEY_CTX) ctx = EVP_PKEY_CTX_new(ground_rsa(1), NULL);
	size_t len = KEY_MAX;

	HOLDS(EVP_PKEY_decrypt_init(ctx) == 1);
	if (recipient->padding == UNWRAP_OAEP) {
		HOLDS(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1);
		HOLDS(EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md_of(recipient->digest)) == 1);
		HOLDS(EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md_of(recipient->mgf_digest)) == 1);
	}
	if (EVP_PKEY_decrypt(ctx, out, &len, recipient->wrapped.data, recipient->wrapped.len) != 1 || len != key_size)
		memset(out, 7, key_size);
	return (struct bytes){out, key_size};
}

static void
check_open(const struct net_scep_request *request, struct bytes plain)
{
	struct bytes certs[] = {ground_issued(0), ground_issued(1)}, key;
	const struct net_scep_recipient *recipient = NULL;
	uint8_t octets[KEY_MAX];
	struct bytes issuer, serial;
	size_t which;
	AUTO_BUF out;

	buf_init(&out, OUT_MAX);
	if (net_scep_recipient(request, certs, 2, &recipient, &which, NULL) != 0) {
		HOLDS(plain.data == NULL);
		return;
	}
	HOLDS(which < 2 && request->key_size <= sizeof(octets));
	key = unwrap(recipient, request->key_size, octets);
	if (net_scep_open(request, key, &out, NULL) == 0) {
		HOLDS(out.len <= request->content.len);
		(void)!net_scep_issuer_serial(buf_bytes(&out), &issuer, &serial);
	} else {
		HOLDS(plain.data == NULL);
	}
	if (plain.data != NULL)
		HOLDS(bytes_equal(plain, buf_bytes(&out)));
}

/* OpenSSL reads the answer and finds its signature right. */
static void
check_finished(struct bytes der, bool has_content)
{
	BIO *nothing = has_content ? NULL : BIO_new_mem_buf("", 0);
	const uint8_t *p = der.data;
	AUTO(CMS_ContentInfo) cms = d2i_CMS_ContentInfo(NULL, &p, (long)der.len);
	struct net_cms_message *ours = net_cms_message_parse(der);

	HOLDS(cms != NULL && p == der.data + der.len && ours != NULL);
	HOLDS(CMS_verify(cms, NULL, NULL, nothing, NULL, CMS_NO_SIGNER_CERT_VERIFY | CMS_BINARY) == 1);
	BIO_free(nothing);
	net_cms_message_free(ours);
}

static void
check_reply(const struct net_scep_request *request, int status)
{
	struct net_scep_answer answer = {
		.status = status,
		.fail_info = request->fail_info < 0 ? SCEP_BAD_REQUEST : (enum scep_fail)request->fail_info,
		.text = "text",
		.ra_sign = ground_issued(1),
	};
	AUTO_STRUCT(net_scep_reply) reply = NULL;
	struct bytes ca = ground_ca(), signature;
	struct err e = {0};
	enum digest digest;
	AUTO_BUF out = {0};
	int code;

	if (status == STATUS_ISSUED)
		answer.certificate = ground_issued(0);
	answer.extra = &ca;
	answer.extra_count = 1;
	code = net_scep_reply_new(request, &answer, &reply, &e);
	HOLDS(code == 0 || (status == STATUS_ISSUED && (code == ERR_ALG || code == ERR_CRYPTO)));
	if (code != 0)
		return;
	digest = net_scep_reply_digest(reply);
	HOLDS(hsm_tbs_check(&no_limits, KEY_RA_SIGN, ROLE_FRONT, digest, hsm_sign_algorithm(KEY_ALG_RSA2048, digest),
			    net_scep_reply_tbs(reply), GROUND_NOW, &e) == 0);
	signature = certs_sign(ground_rsa(1), md_of(digest), net_scep_reply_tbs(reply));
	buf_init(&out, OUT_MAX);
	HOLDS(net_scep_reply_finish(reply, signature, &out, &e) == 0);
	free((void *)signature.data);
	check_finished(buf_bytes(&out), status == STATUS_ISSUED);
}

/* Whatever is said of a request is within the bounds that its header promises. */
static void
check_request(const struct net_scep_request *request)
{
	bool is_good = request->fail_info == NET_SCEP_GOOD;

	HOLDS(request->fail_info >= NET_SCEP_GOOD && request->fail_info <= SCEP_BAD_CERT_ID);
	HOLDS((request->cause[0] == '\0') == is_good);
	HOLDS(request->message_type >= -1 && request->message_type <= 255);
	HOLDS(request->transaction_id.len <= NET_SCEP_ID_MAX && request->sender_nonce.len <= NET_SCEP_NONCE_MAX);
	for (size_t i = 0; i < request->transaction_id.len; i++)
		HOLDS(request->transaction_id.data[i] >= 0x20 && request->transaction_id.data[i] < 0x7f);
	HOLDS(request->recipient_count <= NET_SCEP_RECIPIENTS_MAX);
	if (!is_good)
		return;
	HOLDS(request->key != NULL && request->signature.len > 0 && request->attributes.len > 0);
	HOLDS(request->message_type > 0 && request->transaction_id.len > 0);
	HOLDS(request->key_size == net_cms_alg_cipher(request->cipher)->key_size);
}

static bool
is_device(const struct net_scep_request *request)
{
	return request->key != NULL && EVP_PKEY_eq(request->key, ground_rsa(0)) == 1;
}

static void
check_message(struct bytes message, uint8_t bits, uint8_t way, struct bytes plain)
{
	const struct net_scep_policy policy = {
		.sha1 = bits & 1, .des3 = bits & 2, .des_requests = bits & 4, .renewal = bits & 8};
	AUTO_STRUCT(net_scep_request) request = NULL;
	struct err e = {0};
	int code = net_scep_parse(message, &policy, &request, &e);

	if (code != 0) {
		HOLDS(request == NULL && e.text[0] != '\0' && plain.data == NULL);
		return;
	}
	check_request(request);
	HOLDS(plain.data == NULL || request->fail_info == NET_SCEP_GOOD);
	if (way == WAY_RAW && request->signature.len > 0 && is_device(request))
		HOLDS(bytes_equal(request->transaction_id, bytes_of_text(SEED_TRANSACTION)));
	if (request->fail_info == NET_SCEP_GOOD)
		check_open(request, plain);
	check_reply(request, STATUS_REFUSED);
	if (request->fail_info == NET_SCEP_GOOD && request->key != NULL) {
		check_reply(request, STATUS_ISSUED);
		check_reply(request, STATUS_PENDING);
	}
}

/* The message that input stands for. */
static void
build(struct buf *out, uint8_t way, struct bytes input)
{
	AUTO_BUF content, attributes;

	buf_init(&content, OUT_MAX);
	buf_init(&attributes, OUT_MAX);
	if (way == WAY_PLAIN || way == WAY_ATTRIBUTES)
		scepwrap_envelope(&content, way == WAY_PLAIN ? input : bytes_of_text("plain"));
	else
		buf_put_raw(&content, input.data, input.len);
	if (way == WAY_ATTRIBUTES)
		buf_put_raw(&attributes, input.data, input.len);
	else
		scepwrap_attributes(&attributes, "19", SEED_TRANSACTION);
	scepwrap_message(out, buf_bytes(&content), buf_bytes(&attributes));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes input = {data, size}, plain = {NULL, 0};
	uint8_t way = ground_take_u8(&input) % WAYS, bits = ground_take_u8(&input);
	AUTO_BUF message;

	buf_init(&message, OUT_MAX);
	if (way == WAY_RAW) {
		check_message(input, bits, way, plain);
	} else {
		build(&message, way, input);
		check_message(buf_bytes(&message), bits, way, way == WAY_PLAIN && input.len > 0 ? input : plain);
	}
	ERR_clear_error();
	return 0;
}

static void
seed(const char *name, uint8_t way, struct bytes content)
{
	AUTO_BUF b;

	buf_init(&b, OUT_MAX);
	buf_put_u8(&b, 15);
	buf_put_raw(&b, content.data, content.len);
	ground_seed_way(name, way, buf_bytes(&b));
}

void
fuzz_seeds(void)
{
	AUTO_BUF b;

	buf_init(&b, OUT_MAX);
	build(&b, WAY_PLAIN, bytes_of_text("a request"));
	seed("message", WAY_RAW, buf_bytes(&b));
	buf_clear(&b);
	scepwrap_envelope(&b, bytes_of_text("a request"));
	seed("envelope", WAY_CONTENT, buf_bytes(&b));
	buf_clear(&b);
	scepwrap_attributes(&b, "17", "other");
	seed("attributes", WAY_ATTRIBUTES, buf_bytes(&b));
	seed("plain", WAY_PLAIN, bytes_of_text("a request"));
	seed("issuer-serial", WAY_PLAIN, bytes_of_text("\x30\x05\x30\x00\x02\x01\x01"));
}

GROUND_DER_MUTATOR(2)
