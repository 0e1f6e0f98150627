#include "net/scep.h"

#include <stdarg.h>
#include <stdio.h>

#include <openssl/core_names.h>
#include <openssl/err.h>

#include "board/base/der.h"
#include "board/base/oid.h"
#include "net/cms.h"
#include "net/cms_asn1.h"

enum {
	RSA_BITS_MIN = 2048,
	RSA_BITS_MAX = 8192,
	EXPONENT_BITS_MAX = 64, /* a longer one makes verifying as slow as signing */
	WRAPPED_MAX = 1024,
	LABEL_MAX = 256,
	MESSAGE_TYPE_MAX = 255,
};

/* The attributes that we read. */
enum { ATTR_CONTENT_TYPE, ATTR_DIGEST, ATTR_MESSAGE_TYPE, ATTR_TRANSACTION_ID, ATTR_SENDER_NONCE, ATTR_COUNT };

static const char *const attribute_names[ATTR_COUNT] = {
	"contentType", "messageDigest", "messageType", "transactionID", "senderNonce",
};

struct net_scep_store {
	struct net_cms_message *message;
	struct net_cms_envelope *envelope;
	struct net_cms_key_trans *recipients[NET_SCEP_RECIPIENTS_MAX];
	uint8_t serials[NET_SCEP_RECIPIENTS_MAX][NET_CMS_SERIAL_MAX];
	struct buf attributes;
};

/* What one parse looks at. */
struct parse {
	struct net_scep_request *request;
	const struct net_scep_policy *policy;
	const struct net_cms_signed *body;
	const struct net_cms_signer *signer;
	const ASN1_TYPE *attributes[ATTR_COUNT]; /* the only value of each, NULL when missing */
	int repeated;                            /* ATTR_* that came twice or without exactly one value, else -1 */
};

/* Makes the request one that gets a FAILURE; the first reason counts.  Never 0, so that the steps end there. */
static int PRINTF_LIKE(3, 4) refuse(struct net_scep_request *request, enum scep_fail fail, const char *fmt, ...)
{
	va_list args;

	if (request->fail_info == NET_SCEP_GOOD) {
		request->fail_info = (int)fail;
		va_start(args, fmt);
		vsnprintf(request->cause, sizeof(request->cause), fmt, args);
		va_end(args);
	}
	return ERR_DENIED;
}

void
net_scep_request_free(struct net_scep_request *request)
{
	size_t i;

	if (request == NULL)
		return;
	EVP_PKEY_free(request->key);
	if (request->store != NULL) {
		net_cms_message_free(request->store->message);
		net_cms_envelope_free(request->store->envelope);
		for (i = 0; i < NET_SCEP_RECIPIENTS_MAX; i++)
			net_cms_key_trans_free(request->store->recipients[i]);
		buf_fini(&request->store->attributes);
	}
	free(request->store);
	free(request);
}

static struct net_scep_request *
request_new(void)
{
	struct net_scep_request *request = calloc(1, sizeof(*request));
	struct net_scep_store *store = calloc(1, sizeof(*store));

	if (request == NULL || store == NULL) {
		free(request);
		free(store);
		return NULL;
	}
	request->fail_info = NET_SCEP_GOOD;
	request->message_type = -1;
	request->digest = DIGEST_SHA256;
	request->cipher = NET_CMS_AES128_CBC;
	request->key_size = net_cms_alg_cipher(request->cipher)->key_size;
	buf_init(&store->attributes, SIZE_MAX);
	request->store = store;
	return request;
}

/* Text of whatever string type; empty for other types. */
static struct bytes
string_of(const ASN1_TYPE *value)
{
	switch (value->type) {
	case V_ASN1_PRINTABLESTRING:
	case V_ASN1_UTF8STRING:
	case V_ASN1_IA5STRING:
	case V_ASN1_T61STRING:
	case V_ASN1_VISIBLESTRING:
	case V_ASN1_NUMERICSTRING:
	case V_ASN1_OCTET_STRING:
		return net_cms_octets(value->value.asn1_string);
	default:
		return (struct bytes){NULL, 0};
	}
}

static int
attribute_index(const ASN1_OBJECT *type)
{
	if (net_cms_is(type, OID_CONTENT_TYPE))
		return ATTR_CONTENT_TYPE;
	if (net_cms_is(type, OID_MESSAGE_DIGEST))
		return ATTR_DIGEST;
	if (net_cms_is(type, OID_SCEP_MESSAGE_TYPE))
		return ATTR_MESSAGE_TYPE;
	if (net_cms_is(type, OID_SCEP_TRANSACTION_ID))
		return ATTR_TRANSACTION_ID;
	if (net_cms_is(type, OID_SCEP_SENDER_NONCE))
		return ATTR_SENDER_NONCE;
	return -1;
}

static void
attributes_sort(struct parse *p)
{
	const struct net_cms_attribute *attribute;
	size_t i;
	int index;

	p->repeated = -1;
	for (i = 0; i < net_cms_count(p->signer->attributes); i++) {
		attribute = OPENSSL_sk_value(p->signer->attributes, (int)i);
		index = attribute_index(attribute->type);
		if (index < 0)
			continue;
		if (p->attributes[index] != NULL || net_cms_count(attribute->values) != 1)
			p->repeated = index;
		else
			p->attributes[index] = sk_ASN1_TYPE_value(attribute->values, 0);
	}
}

/* A decimal number from 0 to 255; -1 for all else. */
static int
message_type_of(struct bytes text)
{
	size_t i;
	int value = 0;

	if (text.len == 0 || text.len > 3)
		return -1;
	for (i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return -1;
		value = value * 10 + (text.data[i] - '0');
	}
	return value <= MESSAGE_TYPE_MAX ? value : -1;
}

static bool
is_printable(struct bytes text)
{
	size_t i;

	for (i = 0; i < text.len; i++) {
		if (text.data[i] < 0x20 || text.data[i] > 0x7e)
			return false;
	}
	return true;
}

/* What a reply copies, read before anything is judged, so that a refusal names its transaction too. */
static void
attributes_read(struct parse *p)
{
	struct net_scep_request *request = p->request;
	struct bytes text;

	attributes_sort(p);
	if (p->attributes[ATTR_MESSAGE_TYPE] != NULL)
		request->message_type = message_type_of(string_of(p->attributes[ATTR_MESSAGE_TYPE]));
	if (p->attributes[ATTR_TRANSACTION_ID] != NULL) {
		text = string_of(p->attributes[ATTR_TRANSACTION_ID]);
		if (text.len <= NET_SCEP_ID_MAX && is_printable(text))
			request->transaction_id = text;
	}
	if (p->attributes[ATTR_SENDER_NONCE] != NULL) {
		text = string_of(p->attributes[ATTR_SENDER_NONCE]);
		if (text.len <= NET_SCEP_NONCE_MAX)
			request->sender_nonce = text;
	}
}

static bool
is_cert_of(const struct net_cms_id *id, const struct x509 *cert)
{
	uint8_t storage[NET_CMS_SERIAL_MAX];

	if (id->type == NET_CMS_BY_KEY_ID)
		return bytes_equal(net_cms_octets(id->d.key_id), net_cms_key_id(cert));
	return bytes_equal(net_cms_serial(id->d.issuer_serial->serial, storage), cert->tbs.serial) &&
	       bytes_equal(net_cms_sequence(id->d.issuer_serial->issuer), cert->tbs.issuer);
}

/* Finds the certificate that the SignerInfo names; it may stand among others (RFC 8894 2.3). */
static int
signer_find(struct parse *p)
{
	struct net_scep_request *request = p->request;
	struct x509 cert;
	struct bytes der;
	size_t i;

	for (i = 0; i < net_cms_count(p->body->certs); i++) {
		der = net_cms_sequence(sk_ASN1_TYPE_value(p->body->certs, (int)i));
		if (der.len == 0 || x509_parse(der, &cert, NULL) != 0 || !is_cert_of(p->signer->id, &cert))
			continue;
		request->signer = der;
		request->cert = cert;
		return 0;
	}
	return refuse(request, SCEP_BAD_MESSAGE_CHECK, "the signer's certificate is missing (%zu others)",
		      net_cms_count(p->body->certs));
}

static int
exponent_check(struct net_scep_request *request)
{
	BIGNUM *exponent = NULL;
	int bits;

	if (EVP_PKEY_get_bn_param(request->key, OSSL_PKEY_PARAM_RSA_E, &exponent) != 1) {
		ERR_clear_error();
		return refuse(request, SCEP_BAD_ALG, "the requester's key has no exponent");
	}
	bits = BN_num_bits(exponent);
	BN_free(exponent);
	return bits <= EXPONENT_BITS_MAX ? 0 : refuse(request, SCEP_BAD_ALG, "exponent of %d bits", bits);
}

/* The requester's key: RSA, because the reply is enveloped to it. */
static int
key_check(struct parse *p)
{
	struct net_scep_request *request = p->request;
	struct err why = {0};
	int bits;

	if (x509_spki_key(request->cert.tbs.spki, &request->key, &why) != 0)
		return refuse(request, SCEP_BAD_ALG, "the requester's key: %.150s", why.text);
	if (EVP_PKEY_get_base_id(request->key) != EVP_PKEY_RSA)
		return refuse(request, SCEP_BAD_ALG, "the requester's key is not RSA");
	bits = EVP_PKEY_get_bits(request->key);
	if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)
		return refuse(request, SCEP_BAD_ALG, "the requester's RSA key has %d bits", bits);
	return exponent_check(request);
}

static int
algorithms_check(struct parse *p, struct net_cms_signature *ret_how)
{
	struct net_scep_request *request = p->request;
	enum digest digest;

	if (net_cms_alg_digest_of(p->signer->digest, &digest) != 0)
		return refuse(request, SCEP_BAD_ALG, "digest algorithm not supported");
	if (digest == DIGEST_SHA1 && !p->policy->sha1)
		return refuse(request, SCEP_BAD_ALG, "SHA-1 is not allowed");
	if (net_cms_alg_signature_of(p->signer->algorithm, digest, ret_how) != 0)
		return refuse(request, SCEP_BAD_ALG, "signature algorithm not supported");
	request->digest = digest;
	return key_check(p);
}

static bool
is_digest_right(const struct parse *p)
{
	const ASN1_TYPE *value = p->attributes[ATTR_DIGEST];
	uint8_t hash[NET_CMS_DIGEST_MAX];
	size_t len = net_cms_digest(p->request->digest, net_cms_octets(p->body->content->octets), hash);

	return value != NULL && value->type == V_ASN1_OCTET_STRING && len > 0 &&
	       bytes_equal(net_cms_octets(value->value.octet_string), (struct bytes){hash, len});
}

/* RFC 5652 5.4, 5.6: the digest of the content, then the signature over the attributes. */
static int
signature_check(struct parse *p)
{
	struct net_scep_request *request = p->request;
	struct buf *tbs = &request->store->attributes;
	struct bytes signature = net_cms_octets(p->signer->signature);
	struct net_cms_signature how;

	if (algorithms_check(p, &how) != 0)
		return ERR_DENIED;
	if (!is_digest_right(p))
		return refuse(request, SCEP_BAD_MESSAGE_CHECK, "messageDigest does not fit the content");
	if (net_cms_attributes_put(p->signer, tbs) != 0 ||
	    net_cms_verify(request->key, &how, buf_bytes(tbs), signature, NULL) != 0)
		return refuse(request, SCEP_BAD_MESSAGE_CHECK, "the outer signature is wrong");
	request->attributes = buf_bytes(tbs);
	request->signature = signature;
	request->how = how;
	return 0;
}

/* senderNonce alone may be missing: it is in the field (facts C33), and the reply copies what came. */
static int
attributes_check(struct parse *p)
{
	static const int needed[] = {ATTR_CONTENT_TYPE, ATTR_MESSAGE_TYPE, ATTR_TRANSACTION_ID};
	struct net_scep_request *request = p->request;
	const ASN1_TYPE *content_type = p->attributes[ATTR_CONTENT_TYPE];
	size_t i;

	if (p->repeated >= 0)
		return refuse(request, SCEP_BAD_REQUEST, "attribute %s is there twice or has not one value",
			      attribute_names[p->repeated]);
	for (i = 0; i < ARRAY_SIZE(needed); i++) {
		if (p->attributes[needed[i]] == NULL)
			return refuse(request, SCEP_BAD_REQUEST, "attribute %s is missing", attribute_names[needed[i]]);
	}
	if (content_type->type != V_ASN1_OBJECT || !net_cms_is(content_type->value.object, OID_DATA) ||
	    !net_cms_is(p->body->content->type, OID_DATA))
		return refuse(request, SCEP_BAD_REQUEST, "content type is not data");
	if (request->transaction_id.len == 0)
		return refuse(request, SCEP_BAD_REQUEST, "transactionID is no printable text of 1 to %d octets",
			      NET_SCEP_ID_MAX);
	if (p->attributes[ATTR_SENDER_NONCE] != NULL && request->sender_nonce.len == 0)
		return refuse(request, SCEP_BAD_REQUEST, "senderNonce is no string of 1 to %d octets",
			      NET_SCEP_NONCE_MAX);
	return 0;
}

static int
message_type_check(const struct parse *p)
{
	struct net_scep_request *request = p->request;

	switch (request->message_type) {
	case NET_SCEP_PKCS_REQ:
	case NET_SCEP_CERT_POLL:
	case NET_SCEP_GET_CERT:
	case NET_SCEP_GET_CRL:
		return 0;
	case NET_SCEP_RENEWAL_REQ:
		if (p->policy->renewal)
			return 0;
		return refuse(request, SCEP_BAD_REQUEST, "renewal is not served (scep.renewal)");
	default:
		return refuse(request, SCEP_BAD_REQUEST, "messageType %d is unknown", request->message_type);
	}
}

/* One usable key-transport recipient.  Fails for what a signer could not unwrap. */
static int
recipient_read(const struct net_cms_key_trans *key_trans, uint8_t serial[NET_CMS_SERIAL_MAX],
	       struct net_scep_recipient *ret)
{
	struct net_scep_recipient r = {0};
	struct net_cms_transport transport;

	if (net_cms_alg_transport_of(key_trans->algorithm, &transport) != 0 || transport.label.len > LABEL_MAX)
		return ERR_ALG;
	r.padding = transport.padding;
	r.digest = transport.digest;
	r.mgf_digest = transport.mgf_digest;
	r.label = transport.label;
	r.wrapped = net_cms_octets(key_trans->wrapped);
	if (r.wrapped.len == 0 || r.wrapped.len > WRAPPED_MAX)
		return ERR_FORMAT;
	if (key_trans->id->type == NET_CMS_BY_KEY_ID) {
		r.ski = net_cms_octets(key_trans->id->d.key_id);
	} else {
		r.issuer = net_cms_sequence(key_trans->id->d.issuer_serial->issuer);
		r.serial = net_cms_serial(key_trans->id->d.issuer_serial->serial, serial);
	}
	*ret = r;
	return 0;
}

/* Other kinds of recipients, and ones with unknown algorithms, may stand beside those that we can use. */
static int
recipients_read(struct net_scep_request *request, const struct net_cms_enveloped *body)
{
	struct net_scep_store *store = request->store;
	size_t i, n = 0, count = net_cms_count(body->recipients);

	if (count == 0 || count > NET_SCEP_RECIPIENTS_MAX)
		return refuse(request, SCEP_BAD_REQUEST, "%zu recipients", count);
	for (i = 0; i < count; i++) {
		store->recipients[i] = net_cms_key_trans_parse(sk_ASN1_TYPE_value(body->recipients, (int)i));
		if (store->recipients[i] != NULL &&
		    recipient_read(store->recipients[i], store->serials[i], &request->recipients[n]) == 0)
			n++;
	}
	request->recipient_count = n;
	return n > 0 ? 0 : refuse(request, SCEP_BAD_ALG, "no recipient with RSA key transport that we support");
}

static int
cipher_read(struct parse *p, const struct net_cms_encrypted *encrypted)
{
	struct net_scep_request *request = p->request;
	enum net_cms_cipher_id cipher;
	int rc = net_cms_alg_cipher_of(encrypted->cipher, &cipher, &request->iv);

	if (rc == ERR_FORMAT)
		return refuse(request, SCEP_BAD_REQUEST, "the cipher's IV is malformed");
	if (rc != 0)
		return refuse(request, SCEP_BAD_ALG, "content cipher not supported");
	if (cipher == NET_CMS_DES3_CBC && !p->policy->des3)
		return refuse(request, SCEP_BAD_ALG, "3DES is not allowed");
	if (cipher == NET_CMS_DES_CBC && !p->policy->des_requests)
		return refuse(request, SCEP_BAD_ALG, "single DES is not allowed");
	request->cipher = cipher;
	request->key_size = net_cms_alg_cipher(cipher)->key_size;
	return 0;
}

static int
envelope_read(struct parse *p)
{
	struct net_scep_request *request = p->request;
	struct bytes content = net_cms_octets(p->body->content->octets);
	const struct net_cms_enveloped *body;

	if (content.len == 0)
		return refuse(request, SCEP_BAD_REQUEST, "the message has no content");
	request->store->envelope = net_cms_envelope_parse(content);
	if (request->store->envelope == NULL)
		return refuse(request, SCEP_BAD_REQUEST, "the content is no EnvelopedData");
	body = request->store->envelope->body;
	if (!net_cms_is(body->content->type, OID_DATA))
		return refuse(request, SCEP_BAD_REQUEST, "the encrypted content is not data");
	if (cipher_read(p, body->content) != 0)
		return ERR_DENIED;
	request->content = net_cms_octets(body->content->octets);
	if (request->content.len == 0)
		return refuse(request, SCEP_BAD_REQUEST, "the envelope is empty");
	return recipients_read(request, body);
}

/* The order of facts D.1: what costs nothing first, nothing before the signature that a stranger could have made up. */
static void
request_check(struct parse *p)
{
	if (signer_find(p) == 0 && signature_check(p) == 0 && attributes_check(p) == 0 && message_type_check(p) == 0 &&
	    envelope_read(p) == 0)
		BUG_ON(p->request->fail_info != NET_SCEP_GOOD);
}

/* When message is the beginning of a longer one, its whole length; else 0.  Tells a truncated GET (RFC 8894 4.1). */
static size_t
whole_length(struct bytes message)
{
	size_t count, i, len = 0;

	if (message.len < 2 || message.data[0] != DER_SEQUENCE || message.data[1] <= 0x80 || message.data[1] > 0x84)
		return 0;
	count = message.data[1] & 0x7f;
	if (message.len < 2 + count)
		return 0;
	for (i = 0; i < count; i++)
		len = len << 8 | message.data[2 + i];
	len += 2 + count;
	return len > message.len ? len : 0;
}

static int
not_scep(struct bytes message, struct err *e)
{
	size_t whole = whole_length(message);

	if (whole > 0)
		return err_set(e, ERR_FORMAT, 0, "message is cut short: %zu of %zu octets", message.len, whole);
	return err_set(e, ERR_FORMAT, 0, "message is no CMS SignedData");
}

/* Decodes the message and finds its one signer; then the request says what is wrong with it. */
static int
request_parse(struct parse *p, struct bytes message, struct err *e)
{
	struct net_scep_store *store = p->request->store;
	size_t count;

	store->message = net_cms_message_parse(message);
	if (store->message == NULL)
		return not_scep(message, e);
	p->body = store->message->body;
	count = net_cms_count(p->body->signers);
	if (count != 1)
		return err_set(e, ERR_FORMAT, 0, "message has %zu signers", count);
	p->signer = OPENSSL_sk_value(p->body->signers, 0);
	count = net_cms_count(p->signer->attributes);
	if (count == 0 || count > NET_SCEP_ATTRIBUTES_MAX)
		return err_set(e, ERR_FORMAT, 0, "message has %zu signed attributes", count);
	count = net_cms_count(p->body->certs);
	if (count > NET_SCEP_CERTS_MAX)
		return err_set(e, ERR_FORMAT, 0, "message has %zu certificates", count);
	attributes_read(p);
	request_check(p);
	return 0;
}

int
net_scep_parse(struct bytes message, const struct net_scep_policy *policy, struct net_scep_request **ret_request,
	       struct err *e)
{
	struct parse p = {.request = request_new(), .policy = policy};
	int rc;

	if (p.request == NULL)
		return err_set(e, ERR_NOMEM, 0, "parsing a message");
	rc = request_parse(&p, message, e);
	if (rc != 0)
		net_scep_request_free(p.request);
	else
		*ret_request = p.request;
	return rc;
}

static bool
is_recipient(const struct net_scep_recipient *recipient, const struct x509 *cert)
{
	if (recipient->issuer.len == 0)
		return recipient->ski.len > 0 && bytes_equal(recipient->ski, net_cms_key_id(cert));
	return bytes_equal(recipient->serial, cert->tbs.serial) && bytes_equal(recipient->issuer, cert->tbs.issuer);
}

/* Clients re-encode or re-order the issuer's name, so a serial number that fits in one pair only will do (C29). */
static bool
is_same_serial(const struct net_scep_recipient *recipient, const struct x509 *cert)
{
	return recipient->serial.len > 0 && bytes_equal(recipient->serial, cert->tbs.serial);
}

/* How many pairs of recipient and certificate fit; the first of them goes to ret_*. */
static size_t
pairs_find(const struct net_scep_request *request, const struct x509 *certs, size_t count,
	   bool (*fits)(const struct net_scep_recipient *, const struct x509 *),
	   const struct net_scep_recipient **ret_recipient, size_t *ret_cert)
{
	size_t i, j, found = 0;

	for (i = 0; i < request->recipient_count; i++) {
		for (j = 0; j < count; j++) {
			if (certs[j].whole.len == 0 || !fits(&request->recipients[i], &certs[j]))
				continue;
			if (found++ > 0)
				continue;
			*ret_recipient = &request->recipients[i];
			*ret_cert = j;
		}
	}
	return found;
}

int
net_scep_recipient(const struct net_scep_request *request, const struct bytes *certs, size_t count,
		   const struct net_scep_recipient **ret_recipient, size_t *ret_cert, struct err *e)
{
	struct x509 parsed[NET_SCEP_CERTS_MAX] = {0};
	const struct net_scep_recipient *recipient;
	size_t i, cert;

	if (count > NET_SCEP_CERTS_MAX)
		count = NET_SCEP_CERTS_MAX;
	for (i = 0; i < count; i++) {
		if (x509_parse(certs[i], &parsed[i], NULL) != 0)
			parsed[i].whole = (struct bytes){NULL, 0};
	}
	if (pairs_find(request, parsed, count, is_recipient, &recipient, &cert) == 0 &&
	    pairs_find(request, parsed, count, is_same_serial, &recipient, &cert) != 1)
		return err_set(e, ERR_UNKNOWN, 0, "the message is for none of our %zu RA certificates", count);
	*ret_recipient = recipient;
	*ret_cert = cert;
	return 0;
}

int
net_scep_open(const struct net_scep_request *request, struct bytes key, struct buf *out, struct err *e)
{
	return net_cms_decrypt(request->cipher, key, request->iv, request->content, out, e);
}
