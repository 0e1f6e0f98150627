/*
 * The answering half of scep.h: CertRep, what GetCert and GetCRL ask for, GetCACert, GetCACaps.
 */
#include <stdio.h>

#include <openssl/rand.h>

#include "board/base/clock.h"
#include "board/base/der.h"
#include "board/base/oid.h"
#include "board/config_check.h"
#include "net/cms.h"
#include "net/scep.h"

enum {
	NONCE_SIZE = 16,
	ATTRIBUTES_MAX = 12,
	PART_LIMIT = 2 * 1024 * 1024, /* certificates of ours, or a CRL that fits, so this is never reached */
};

struct net_scep_reply {
	struct buf tbs;       /* SignedAttributes as SET OF */
	struct buf content;   /* EnvelopedData in its ContentInfo; empty for FAILURE and PENDING */
	struct buf certs;     /* for SignedData, one after the other */
	struct buf signer_id; /* IssuerAndSerialNumber */
	enum digest digest;
	bool is_ec;
	bool empty_content; /* where content is empty, write it nevertheless */
};

/* Attributes while they are collected: one after the other in bytes, each beginning at its start. */
struct attributes {
	struct buf bytes;
	size_t start[ATTRIBUTES_MAX + 1];
	size_t count;
};

void
net_scep_reply_free(struct net_scep_reply *reply)
{
	if (reply == NULL)
		return;
	buf_fini(&reply->tbs);
	buf_fini(&reply->content);
	buf_fini(&reply->certs);
	buf_fini(&reply->signer_id);
	free(reply);
}

/* Is the key in this certificate an EC key?  What is not is RSA. */
static bool
has_ec_key(const struct x509 *cert)
{
	struct der algorithm, oid;
	struct view v, inner;

	if (der_whole(cert->tbs.spki, DER_SEQUENCE, &v) != 0 || der_expect(&v, DER_SEQUENCE, &algorithm) != 0)
		return false;
	inner = view_of(algorithm.content);
	return der_expect(&inner, DER_OID, &oid) == 0 && bytes_equal(oid.content, OID_EC_PUBLIC_KEY);
}

/* Begins an attribute and its SET of one value; ends of both are in attribute_end(). */
static void
attribute_begin(struct attributes *a, struct bytes oid, size_t marks[2])
{
	BUG_ON(a->count == ATTRIBUTES_MAX);
	a->start[a->count] = a->bytes.len;
	marks[0] = der_open(&a->bytes, DER_SEQUENCE);
	der_put_oid(&a->bytes, oid);
	marks[1] = der_open(&a->bytes, DER_SET);
}

static void
attribute_end(struct attributes *a, const size_t marks[2])
{
	der_close(&a->bytes, marks[1]);
	der_close(&a->bytes, marks[0]);
	a->start[++a->count] = a->bytes.len;
}

static void
attribute_put(struct attributes *a, struct bytes oid, uint8_t tag, struct bytes value)
{
	size_t marks[2];

	attribute_begin(a, oid, marks);
	der_put(&a->bytes, tag, value);
	attribute_end(a, marks);
}

static void
attribute_put_number(struct attributes *a, struct bytes oid, int number)
{
	char text[12];

	snprintf(text, sizeof(text), "%d", number);
	attribute_put(a, oid, DER_PRINTABLE_STRING, bytes_of_text(text));
}

static void
attribute_put_signing_time(struct attributes *a)
{
	size_t marks[2];

	attribute_begin(a, OID_SIGNING_TIME, marks);
	der_put_time(&a->bytes, clock_wall());
	attribute_end(a, marks);
}

/* RFC 8894 3.2.1.3: SUCCESS 0, FAILURE 2, PENDING 3. */
static int
pki_status(int status)
{
	switch (status) {
	case STATUS_ISSUED:
		return 0;
	case STATUS_REFUSED:
		return 2;
	case STATUS_PENDING:
		return 3;
	default:
		return -1;
	}
}

static int
put_digest(struct attributes *a, const struct net_scep_reply *reply)
{
	uint8_t hash[NET_CMS_DIGEST_MAX];
	size_t len = net_cms_digest(reply->digest, buf_bytes(&reply->content), hash);

	attribute_put(a, OID_MESSAGE_DIGEST, DER_OCTET_STRING, (struct bytes){hash, len});
	return len > 0 ? 0 : ERR_CRYPTO;
}

/*
 * Says no more than failInfo and failInfoText do, so it is no second answer to somebody who asks with changed messages
 * (decisions/012).
 */
static uint32_t
hresult_of(const struct net_scep_answer *answer)
{
	static const uint32_t of_fail[] = {
		[SCEP_BAD_ALG] = HRESULT_BAD_ALGORITHM,        [SCEP_BAD_MESSAGE_CHECK] = HRESULT_BAD_DATA,
		[SCEP_BAD_REQUEST] = HRESULT_INVALID_ARGUMENT, [SCEP_BAD_TIME] = HRESULT_BAD_TIME,
		[SCEP_BAD_CERT_ID] = HRESULT_NOT_FOUND,
	};

	if (answer->hresult != 0)
		return answer->hresult;
	return (size_t)answer->fail_info < ARRAY_SIZE(of_fail) ? of_fail[answer->fail_info] : HRESULT_INVALID_ARGUMENT;
}

/* As NDES writes them: the HRESULT as a signed decimal number, and one word for success. */
static void
put_microsoft(struct attributes *a, const struct net_scep_answer *answer)
{
	if (answer->status == STATUS_REFUSED)
		attribute_put_number(a, OID_MS_SCEP_ERROR, (int)(int32_t)hresult_of(answer));
	else if (answer->status == STATUS_ISSUED && answer->crl.len == 0)
		attribute_put(a, OID_MS_SCEP_SERVER_MESSAGE, DER_UTF8_STRING, bytes_of_text("Issued"));
}

/* Windows wants every one of these in a CertRep (facts C18); what the client did not send cannot be copied. */
static int
attributes_collect(struct attributes *a, const struct net_scep_reply *reply, const struct net_scep_request *request,
		   const struct net_scep_answer *answer)
{
	uint8_t nonce[NONCE_SIZE];
	int rc;

	attribute_put(a, OID_CONTENT_TYPE, DER_OID, OID_DATA);
	rc = put_digest(a, reply);
	if (rc != 0 || RAND_bytes(nonce, sizeof(nonce)) != 1)
		return ERR_CRYPTO;
	attribute_put_signing_time(a);
	attribute_put_number(a, OID_SCEP_MESSAGE_TYPE, NET_SCEP_CERT_REP);
	attribute_put_number(a, OID_SCEP_PKI_STATUS, pki_status(answer->status));
	attribute_put(a, OID_SCEP_SENDER_NONCE, DER_OCTET_STRING, (struct bytes){nonce, sizeof(nonce)});
	if (request->transaction_id.len > 0)
		attribute_put(a, OID_SCEP_TRANSACTION_ID, DER_PRINTABLE_STRING, request->transaction_id);
	if (request->sender_nonce.len > 0)
		attribute_put(a, OID_SCEP_RECIPIENT_NONCE, DER_OCTET_STRING, request->sender_nonce);
	if (answer->status == STATUS_REFUSED)
		attribute_put_number(a, OID_SCEP_FAIL_INFO, (int)answer->fail_info);
	if (answer->status == STATUS_REFUSED && answer->text != NULL && answer->text[0] != '\0')
		attribute_put(a, OID_SCEP_FAIL_INFO_TEXT, DER_UTF8_STRING, bytes_of_text(answer->text));
	if (answer->microsoft)
		put_microsoft(a, answer);
	return buf_status(&a->bytes);
}

/* X.690 11.6: no encoding of an attribute is the beginning of another, so the shorter is never padded. */
static int
der_compare(const void *a, const void *b)
{
	const struct bytes *x = a, *y = b;

	return memcmp(x->data, y->data, x->len < y->len ? x->len : y->len);
}

static void
put_sorted_set(struct buf *out, const struct attributes *a)
{
	struct bytes sorted[ATTRIBUTES_MAX] = {{NULL, 0}};
	size_t i, mark;

	for (i = 0; i < a->count; i++)
		sorted[i] = (struct bytes){a->bytes.data + a->start[i], a->start[i + 1] - a->start[i]};
	qsort(sorted, a->count, sizeof(sorted[0]), der_compare);
	mark = der_open(out, DER_SET);
	for (i = 0; i < a->count; i++)
		der_put_raw(out, sorted[i]);
	der_close(out, mark);
}

static int
tbs_build(struct net_scep_reply *reply, const struct net_scep_request *request, const struct net_scep_answer *answer,
	  struct err *e)
{
	struct attributes a = {.count = 0};
	int rc;

	buf_init(&a.bytes, PART_LIMIT);
	rc = attributes_collect(&a, reply, request, answer);
	if (rc == 0)
		put_sorted_set(&reply->tbs, &a);
	buf_fini(&a.bytes);
	if (rc == 0)
		rc = buf_status(&reply->tbs);
	return rc == 0 ? 0 : err_set_ossl(e, rc, "attributes of the reply");
}

/* The key transport that the request used: plain RSA unless it was OAEP (facts C21). */
static struct net_cms_transport
transport_of(const struct net_scep_request *request)
{
	const struct net_scep_recipient *r = &request->recipients[0];
	struct net_cms_transport transport = {UNWRAP_PKCS1, DIGEST_SHA1, DIGEST_SHA1, {NULL, 0}};

	if (request->recipient_count > 0 && r->padding == UNWRAP_OAEP)
		transport = (struct net_cms_transport){r->padding, r->digest, r->mgf_digest, r->label};
	return transport;
}

/* The issued certificate comes first: that is how the client knows it (RFC 8894 3.3.2.1). */
static int
content_build(struct net_scep_reply *reply, const struct net_scep_request *request,
	      const struct net_scep_answer *answer, struct err *e)
{
	struct net_cms_transport transport = transport_of(request);
	/* No answer in single DES, whatever was asked (RFC 8894 2.9). */
	enum net_cms_cipher_id cipher = request->cipher == NET_CMS_DES_CBC ? NET_CMS_AES128_CBC : request->cipher;
	struct bytes certs[1 + NET_SCEP_CERTS_MAX];
	AUTO_BUF plain;
	size_t i;
	int rc;

	buf_init(&plain, PART_LIMIT);
	if (request->key == NULL || EVP_PKEY_get_base_id(request->key) != EVP_PKEY_RSA)
		return err_set(e, ERR_ALG, 0, "no RSA key to envelope the reply to");
	certs[0] = answer->certificate;
	for (i = 0; i < answer->extra_count; i++)
		certs[1 + i] = answer->extra[i];
	/* To a GetCRL nothing but the CRL (RFC 8894 3.3.2.1). */
	net_cms_put_certs_only(&plain, certs, answer->crl.len > 0 ? 0 : 1 + answer->extra_count, answer->crl);
	rc = buf_status(&plain);
	if (rc != 0)
		return err_set(e, rc, 0, "degenerate SignedData of the reply");
	return net_cms_put_envelope(&reply->content, buf_bytes(&plain), cipher, &transport, &request->cert,
				    request->key, e);
}

static int
signer_build(struct net_scep_reply *reply, const struct net_scep_answer *answer, struct err *e)
{
	struct x509 ra_sign;
	size_t i;
	int rc = x509_parse(answer->ra_sign, &ra_sign, e);

	if (rc != 0)
		return rc;
	reply->is_ec = has_ec_key(&ra_sign);
	net_cms_put_issuer_serial(&reply->signer_id, &ra_sign);
	der_put_raw(&reply->certs, answer->ra_sign);
	for (i = 0; i < answer->extra_count; i++)
		der_put_raw(&reply->certs, answer->extra[i]);
	rc = buf_status(&reply->certs);
	return rc != 0 ? rc : buf_status(&reply->signer_id);
}

static struct net_scep_reply *
reply_alloc(enum digest digest)
{
	struct net_scep_reply *reply = calloc(1, sizeof(*reply));

	if (reply == NULL)
		return NULL;
	reply->digest = digest;
	buf_init(&reply->tbs, PART_LIMIT);
	buf_init(&reply->content, PART_LIMIT);
	buf_init(&reply->certs, PART_LIMIT);
	buf_init(&reply->signer_id, PART_LIMIT);
	return reply;
}

int
net_scep_reply_new(const struct net_scep_request *request, const struct net_scep_answer *answer,
		   struct net_scep_reply **ret_reply, struct err *e)
{
	AUTO_STRUCT(net_scep_reply) reply = NULL;
	int rc;

	if (pki_status(answer->status) < 0 || answer->extra_count > NET_SCEP_CERTS_MAX)
		return err_set(e, ERR_INTERNAL, 0, "no CertRep says status %d with %zu CA certificates", answer->status,
			       answer->extra_count);
	reply = reply_alloc(request->digest);
	if (reply == NULL)
		return err_set(e, ERR_NOMEM, 0, "building a reply");
	reply->empty_content = answer->empty_content;
	rc = signer_build(reply, answer, e);
	if (rc == 0 && answer->status == STATUS_ISSUED)
		rc = content_build(reply, request, answer, e);
	if (rc == 0)
		rc = tbs_build(reply, request, answer, e);
	if (rc != 0)
		return err_set(e, rc, 0, "building a reply");
	*ret_reply = TAKE(reply);
	return 0;
}

struct bytes
net_scep_reply_tbs(const struct net_scep_reply *reply)
{
	return buf_bytes(&reply->tbs);
}

enum digest
net_scep_reply_digest(const struct net_scep_reply *reply)
{
	return reply->digest;
}

/* Plain rsaEncryption for RSA: strongSwan accepts nothing else (facts C23). */
static void
put_signature_algorithm(struct buf *out, const struct net_scep_reply *reply)
{
	const struct bytes ecdsa[DIGEST_COUNT] = {
		[DIGEST_SHA1] = OID_ECDSA_SHA1,
		[DIGEST_SHA256] = OID_ECDSA_SHA256,
		[DIGEST_SHA384] = OID_ECDSA_SHA384,
		[DIGEST_SHA512] = OID_ECDSA_SHA512,
	};

	net_cms_put_algorithm(out, reply->is_ec ? ecdsa[reply->digest] : OID_RSA_ENCRYPTION, !reply->is_ec);
}

/* The same SET as was signed, now under its IMPLICIT [0] (RFC 5652 5.4). */
static void
put_signed_attributes(struct buf *out, const struct net_scep_reply *reply)
{
	const uint8_t tag = DER_CONTEXT_CONSTRUCTED(0);

	buf_put_u8(out, tag);
	buf_put_raw(out, reply->tbs.data + 1, reply->tbs.len - 1);
}

static void
put_signer_info(struct buf *out, const struct net_scep_reply *reply, struct bytes signature)
{
	size_t set = der_open(out, DER_SET), info = der_open(out, DER_SEQUENCE);

	der_put_int(out, 1);
	der_put_raw(out, buf_bytes(&reply->signer_id));
	net_cms_put_algorithm(out, net_cms_alg_digest(reply->digest)->oid, false);
	put_signed_attributes(out, reply);
	put_signature_algorithm(out, reply);
	der_put(out, DER_OCTET_STRING, signature);
	der_close(out, info);
	der_close(out, set);
}

/* FAILURE and PENDING have no content at all (RFC 8894 3.2), unless a client cannot read that. */
static void
put_content(struct buf *out, const struct net_scep_reply *reply)
{
	size_t content = der_open(out, DER_SEQUENCE), mark;

	der_put_oid(out, OID_DATA);
	if (reply->content.len > 0 || reply->empty_content) {
		mark = der_open(out, DER_CONTEXT_CONSTRUCTED(0));
		der_put(out, DER_OCTET_STRING, buf_bytes(&reply->content));
		der_close(out, mark);
	}
	der_close(out, content);
}

int
net_scep_reply_finish(const struct net_scep_reply *reply, struct bytes signature, struct buf *out, struct err *e)
{
	size_t info = der_open(out, DER_SEQUENCE), inner, body, set;
	int rc;

	der_put_oid(out, OID_SIGNED_DATA);
	inner = der_open(out, DER_CONTEXT_CONSTRUCTED(0));
	body = der_open(out, DER_SEQUENCE);
	der_put_int(out, 1);
	set = der_open(out, DER_SET);
	net_cms_put_algorithm(out, net_cms_alg_digest(reply->digest)->oid, false);
	der_close(out, set);
	put_content(out, reply);
	der_put(out, DER_CONTEXT_CONSTRUCTED(0), buf_bytes(&reply->certs));
	put_signer_info(out, reply, signature);
	der_close(out, body);
	der_close(out, inner);
	der_close(out, info);
	rc = buf_status(out);
	return rc == 0 ? 0 : err_set(e, rc, 0, "encoding a reply");
}

int
net_scep_certs_only(const struct bytes *certs, size_t count, struct buf *out)
{
	net_cms_put_certs_only(out, certs, count, (struct bytes){NULL, 0});
	return buf_status(out);
}

struct net_scep_policy
net_scep_policy_of(const struct config_profile *profile)
{
	return (struct net_scep_policy){
		.sha1 = profile->sha1,
		.des3 = profile->des3,
		.des_requests = profile->des_requests,
		.renewal = profile->renewal,
	};
}

void
net_scep_capabilities(const struct config_profile *profile, bool next_ca, struct buf *out)
{
	const char *list = profile->caps_extra;
	const char *word;
	size_t len;

	buf_printf(out, "AES\n%s%sPOSTPKIOperation\n%s%sSHA-256\nSHA-512\nSCEPStandard\n",
		   profile->des3 ? "DES3\n" : "", next_ca ? "GetNextCACert\n" : "", profile->renewal ? "Renewal\n" : "",
		   profile->sha1 ? "SHA-1\n" : "");
	while ((word = config_check_word(&list, &len)) != NULL)
		buf_printf(out, "%.*s\n", (int)len, word);
	if (profile->caps_blank_line)
		buf_put_u8(out, '\n');
}

int
net_scep_issuer_serial(struct bytes plain, struct bytes *ret_issuer, struct bytes *ret_serial)
{
	struct der issuer, serial;
	struct view v;

	if (der_whole(plain, DER_SEQUENCE, &v) != 0 || der_expect(&v, DER_SEQUENCE, &issuer) != 0 ||
	    der_expect(&v, DER_INTEGER, &serial) != 0 || view_end(&v) != 0 || serial.content.len == 0)
		return ERR_FORMAT;
	*ret_issuer = issuer.whole;
	*ret_serial = serial.content;
	return 0;
}

const char *
net_scep_fail_name(int fail_info)
{
	static const char *const names[] = {"badAlg", "badMessageCheck", "badRequest", "badTime", "badCertId"};

	return fail_info >= 0 && fail_info < (int)ARRAY_SIZE(names) ? names[fail_info] : "-";
}
