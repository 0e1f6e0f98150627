#include "tests/lib/scepmsg.h"

#include <stdio.h>
#include <string.h>

#include <openssl/cms.h>
#include <openssl/pkcs7.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

enum { NONCE_DEFAULT = 16, SERIAL_BITS = 120, YEAR_S = 365 * 24 * 3600 };

CLEANUP(BIO, BIO_free_all)
CLEANUP(BIGNUM, BN_free)
CLEANUP(CMS_ContentInfo, CMS_ContentInfo_free)
CLEANUP(EVP_PKEY, EVP_PKEY_free)
CLEANUP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
CLEANUP(X509, X509_free)
CLEANUP(X509_NAME, X509_NAME_free)
CLEANUP(X509_REQ, X509_REQ_free)

EVP_PKEY *
scepmsg_rsa(int bits, unsigned long exponent)
{
	AUTO(EVP_PKEY_CTX) ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, NULL);
	AUTO(BIGNUM) e = BN_new();
	EVP_PKEY *key = NULL;

	if (ctx == NULL || e == NULL || EVP_PKEY_keygen_init(ctx) <= 0 ||
	    EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, bits) <= 0 ||
	    BN_set_word(e, exponent != 0 ? exponent : RSA_F4) != 1 ||
	    EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, e) <= 0 || EVP_PKEY_keygen(ctx, &key) <= 0)
		return NULL;
	return key;
}

/* "CN=a,O=b" */
static X509_NAME *
name_of(const char *text)
{
	AUTO(X509_NAME) name = X509_NAME_new();
	char copy[512], *save = NULL, *part, *value;

	snprintf(copy, sizeof(copy), "%s", text != NULL ? text : "");
	for (part = strtok_r(copy, ",", &save); part != NULL; part = strtok_r(NULL, ",", &save)) {
		value = strchr(part, '=');
		if (value == NULL)
			return NULL;
		*value++ = '\0';
		if (X509_NAME_add_entry_by_txt(name, part, MBSTRING_UTF8, (const unsigned char *)value, -1, -1, 0) != 1)
			return NULL;
	}
	return TAKE(name);
}

static int
extension_add(X509 *cert, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *extension;
	int rc;

	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	if (extension == NULL)
		return -1;
	rc = X509_add_ext(cert, extension, -1) == 1 ? 0 : -1;
	X509_EXTENSION_free(extension);
	return rc;
}

/* An unsigned certificate; issuer NULL for its own subject. */
static X509 *
cert_new(EVP_PKEY *key, const char *subject, const X509_NAME *issuer, long from_s, long until_s)
{
	AUTO(X509) cert = X509_new();
	AUTO(X509_NAME) name = name_of(subject);
	AUTO(BIGNUM) serial = BN_new();

	if (cert == NULL || name == NULL || BN_rand(serial, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) != 1 ||
	    BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(cert)) == NULL)
		return NULL;
	if (X509_set_version(cert, X509_VERSION_3) != 1 || X509_set_subject_name(cert, name) != 1 ||
	    X509_set_issuer_name(cert, issuer != NULL ? issuer : name) != 1 || X509_set_pubkey(cert, key) != 1 ||
	    X509_gmtime_adj(X509_getm_notBefore(cert), from_s) == NULL ||
	    X509_gmtime_adj(X509_getm_notAfter(cert), until_s) == NULL ||
	    extension_add(cert, NID_subject_key_identifier, "hash") != 0)
		return NULL;
	return TAKE(cert);
}

X509 *
scepmsg_self_signed_at(EVP_PKEY *key, long from_s, long until_s)
{
	AUTO(X509) cert = cert_new(key, "CN=scepmsg", NULL, from_s, until_s);

	return cert != NULL && X509_sign(cert, key, EVP_sha256()) > 0 ? TAKE(cert) : NULL;
}

X509 *
scepmsg_self_signed(EVP_PKEY *key)
{
	return scepmsg_self_signed_at(key, -60, YEAR_S);
}

X509 *
scepmsg_issue(EVP_PKEY *key, const char *name, X509 *issuer, EVP_PKEY *issuer_key)
{
	AUTO(X509) cert = NULL;
	char subject[300];

	snprintf(subject, sizeof(subject), "CN=%s", name);
	cert = cert_new(key, subject, X509_get_subject_name(issuer), -60, YEAR_S);
	return cert != NULL && X509_sign(cert, issuer_key, EVP_sha256()) > 0 ? TAKE(cert) : NULL;
}

X509 *
scepmsg_cert(struct bytes der)
{
	const unsigned char *p = der.data;

	return d2i_X509(NULL, &p, (long)der.len);
}

struct bytes
scepmsg_cert_der(X509 *cert)
{
	unsigned char *der = NULL;
	int len = i2d_X509(cert, &der);
	struct bytes copy = {NULL, 0};

	if (len > 0)
		copy = bytes_dup((struct bytes){der, (size_t)len});
	OPENSSL_free(der);
	return copy;
}

int
scepmsg_client_of(EVP_PKEY *key, struct scepmsg_client *ret_client)
{
	X509 *cert = key != NULL ? scepmsg_self_signed(key) : NULL;

	if (cert == NULL)
		return -1;
	*ret_client = (struct scepmsg_client){key, cert};
	return 0;
}

int
scepmsg_client_new(int bits, struct scepmsg_client *ret_client)
{
	AUTO(EVP_PKEY) key = scepmsg_rsa(bits, 0);

	if (scepmsg_client_of(key, ret_client) != 0)
		return -1;
	TAKE(key);
	return 0;
}

void
scepmsg_client_fini(struct scepmsg_client *client)
{
	EVP_PKEY_free(client->key);
	X509_free(client->cert);
	*client = (struct scepmsg_client){NULL, NULL};
}

/* Copies what a memory BIO holds. */
static struct bytes
bytes_of_bio(BIO *bio)
{
	char *data = NULL;
	long len = BIO_get_mem_data(bio, &data);

	return bytes_dup((struct bytes){(const uint8_t *)data, len > 0 ? (size_t)len : 0});
}

static int
csr_extensions(X509_REQ *req, const struct scepmsg_csr *csr)
{
	const struct {
		int nid;
		const char *value;
	} wanted[] = {
		{NID_subject_alt_name, csr->san},
		{NID_key_usage, csr->key_usage},
		{NID_ext_key_usage, csr->ext_key_usage},
	};
	STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
	X509_EXTENSION *extension;
	size_t i;
	int rc = 0;

	for (i = 0; i < ARRAY_SIZE(wanted) && rc == 0; i++) {
		if (wanted[i].value == NULL)
			continue;
		extension = X509V3_EXT_conf_nid(NULL, NULL, wanted[i].nid, wanted[i].value);
		if (extension == NULL || sk_X509_EXTENSION_push(list, extension) <= 0)
			rc = -1;
	}
	if (rc == 0 && sk_X509_EXTENSION_num(list) > 0 && X509_REQ_add_extensions(req, list) != 1)
		rc = -1;
	sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
	return rc;
}

/* ASCII as it stands in a string of this type: 1, 2 or 4 octets for each character. */
static int
widen(const char *text, int type, unsigned char *out, size_t size)
{
	size_t wide = type == V_ASN1_BMPSTRING ? 2 : type == V_ASN1_UNIVERSALSTRING ? 4 : 1;
	size_t i, len = strlen(text);

	if (len * wide > size)
		return -1;
	memset(out, 0, len * wide);
	for (i = 0; i < len; i++)
		out[i * wide + wide - 1] = (unsigned char)text[i];
	return (int)(len * wide);
}

static int
csr_challenge(X509_REQ *req, const struct scepmsg_csr *csr)
{
	int type = csr->challenge_type != 0 ? csr->challenge_type : V_ASN1_PRINTABLESTRING;
	unsigned char text[65536]; /* a challenge may fill a URL */
	int len;

	if (csr->challenge == NULL)
		return 0;
	len = widen(csr->challenge, type, text, sizeof(text));
	return len >= 0 && X509_REQ_add1_attr_by_NID(req, NID_pkcs9_challengePassword, type, text, len) == 1 ? 0 : -1;
}

struct bytes
scepmsg_csr_build(EVP_PKEY *key, const struct scepmsg_csr *csr)
{
	const struct bytes none = {NULL, 0};
	AUTO(X509_REQ) req = X509_REQ_new();
	AUTO(X509_NAME) name = name_of(csr->subject);
	AUTO(BIO) out = BIO_new(BIO_s_mem());
	EVP_PKEY *own = csr->key != NULL ? csr->key : key;
	struct bytes der;

	if (req == NULL || name == NULL || X509_REQ_set_version(req, X509_REQ_VERSION_1) != 1 ||
	    X509_REQ_set_subject_name(req, name) != 1 || X509_REQ_set_pubkey(req, own) != 1 ||
	    csr_challenge(req, csr) != 0 || csr_extensions(req, csr) != 0 ||
	    X509_REQ_sign(req, own, csr->digest != NULL ? csr->digest : EVP_sha256()) <= 0 ||
	    i2d_X509_REQ_bio(out, req) != 1)
		return none;
	der = bytes_of_bio(out);
	if (csr->broken_signature && der.len > 0)
		((uint8_t *)der.data)[der.len - 1] ^= 1;
	return der;
}

struct bytes
scepmsg_issuer_serial(X509 *cert)
{
	PKCS7_ISSUER_AND_SERIAL *both = PKCS7_ISSUER_AND_SERIAL_new();
	struct bytes copy = {NULL, 0};
	unsigned char *der = NULL;
	int len;

	if (both == NULL || X509_NAME_set(&both->issuer, X509_get_issuer_name(cert)) != 1)
		return copy;
	ASN1_INTEGER_free(both->serial);
	both->serial = ASN1_INTEGER_dup(X509_get0_serialNumber(cert));
	len = i2d_PKCS7_ISSUER_AND_SERIAL(both, &der);
	if (len > 0)
		copy = bytes_dup((struct bytes){der, (size_t)len});
	OPENSSL_free(der);
	PKCS7_ISSUER_AND_SERIAL_free(both);
	return copy;
}

/* Writes cms with the content that in holds: as one DER structure, or as BER in pieces. */
static struct bytes
cms_encode(CMS_ContentInfo *cms, BIO *in, bool indefinite)
{
	const struct bytes none = {NULL, 0};
	AUTO(BIO) out = BIO_new(BIO_s_mem());

	if (indefinite)
		return i2d_CMS_bio_stream(out, cms, in, CMS_STREAM | CMS_BINARY) == 1 ? bytes_of_bio(out) : none;
	return i2d_CMS_bio(out, cms) == 1 ? bytes_of_bio(out) : none;
}

static int
recipient_oaep(CMS_RecipientInfo *ri, const struct scepmsg_options *options)
{
	const EVP_MD *mgf = options->oaep_mgf != NULL ? options->oaep_mgf : options->oaep;
	EVP_PKEY_CTX *ctx = CMS_RecipientInfo_get0_pkey_ctx(ri);
	char *label;

	if (ctx == NULL || EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) <= 0 ||
	    EVP_PKEY_CTX_set_rsa_oaep_md(ctx, options->oaep) <= 0 || EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, mgf) <= 0)
		return -1;
	if (options->oaep_label == NULL)
		return 0;
	label = OPENSSL_strdup(options->oaep_label);
	if (label == NULL || EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, label, (int)strlen(label)) <= 0) {
		OPENSSL_free(label);
		return -1;
	}
	return 0;
}

static int
recipient_add(CMS_ContentInfo *cms, X509 *recipient, const struct scepmsg_options *options)
{
	unsigned int flags = CMS_KEY_PARAM | (options->by_key_id ? CMS_USE_KEYID : 0);
	CMS_RecipientInfo *ri = CMS_add1_recipient_cert(cms, recipient, flags);

	if (ri == NULL)
		return -1;
	return options->oaep != NULL ? recipient_oaep(ri, options) : 0;
}

static struct bytes
envelope_build(struct bytes plain, const struct scepmsg_options *options, X509 *recipient)
{
	const struct bytes none = {NULL, 0};
	const EVP_CIPHER *cipher = options->cipher != NULL ? options->cipher : EVP_aes_128_cbc();
	AUTO(BIO) in = BIO_new_mem_buf(plain.data, (int)plain.len);
	AUTO(CMS_ContentInfo)
	cms = CMS_encrypt(NULL, NULL, cipher, CMS_PARTIAL | (options->indefinite ? CMS_STREAM : 0));

	if (cms == NULL || (options->more_for != NULL && recipient_add(cms, options->more_for, options) != 0) ||
	    recipient_add(cms, recipient, options) != 0)
		return none;
	if (!options->indefinite && CMS_final(cms, in, NULL, CMS_BINARY) != 1)
		return none;
	return cms_encode(cms, in, options->indefinite);
}

static int
text_attribute(CMS_SignerInfo *si, const char *oid, const char *text, const struct scepmsg_options *options)
{
	int type = options->string_type != 0 ? options->string_type : V_ASN1_PRINTABLESTRING;

	return CMS_signed_add1_attr_by_txt(si, oid, type, text, (int)strlen(text)) == 1 ? 0 : -1;
}

static int
attribute_add(CMS_SignerInfo *si, int which, const struct scepmsg_options *options, struct scepmsg_request *request)
{
	switch (which) {
	case SCEPMSG_MESSAGE_TYPE:
		return text_attribute(si, "2.16.840.1.113733.1.9.2",
				      options->message_type != NULL ? options->message_type : "19", options);
	case SCEPMSG_TRANSACTION_ID:
		return text_attribute(si, "2.16.840.1.113733.1.9.7", request->transaction_id, options);
	default:
		return CMS_signed_add1_attr_by_txt(si, "2.16.840.1.113733.1.9.5", V_ASN1_OCTET_STRING, request->nonce,
						   (int)request->nonce_len) == 1
			       ? 0
			       : -1;
	}
}

static int
attributes_add(CMS_SignerInfo *si, const struct scepmsg_options *options, struct scepmsg_request *request)
{
	static const int all[] = {SCEPMSG_MESSAGE_TYPE, SCEPMSG_TRANSACTION_ID, SCEPMSG_SENDER_NONCE};
	size_t i;

	if (options->no_attributes)
		return 0;
	for (i = 0; i < ARRAY_SIZE(all); i++) {
		if ((options->omit & all[i]) == 0 && attribute_add(si, all[i], options, request) != 0)
			return -1;
		if ((options->repeat & all[i]) != 0 && attribute_add(si, all[i], options, request) != 0)
			return -1;
	}
	return 0;
}

static CMS_SignerInfo *
signer_add(CMS_ContentInfo *cms, const struct scepmsg_client *client, const struct scepmsg_options *options)
{
	const EVP_MD *md = options->digest != NULL ? options->digest : EVP_sha256();
	unsigned int flags = CMS_NOSMIMECAP | (options->no_cert ? CMS_NOCERTS : 0) |
			     (options->signer_key_id ? CMS_USE_KEYID : 0) | (options->no_attributes ? CMS_NOATTR : 0) |
			     (options->pss ? CMS_KEY_PARAM : 0);
	CMS_SignerInfo *si = CMS_add1_signer(cms, client->cert, client->key, md, flags);

	if (si == NULL || (options->extra != NULL && CMS_add1_cert(cms, options->extra) != 1))
		return NULL;
	if (options->pss && EVP_PKEY_CTX_set_rsa_padding(CMS_SignerInfo_get0_pkey_ctx(si), RSA_PKCS1_PSS_PADDING) <= 0)
		return NULL;
	return si;
}

/* Flips a bit where the options say so; the structure is complete already. */
static void
cms_break(CMS_ContentInfo *cms, CMS_SignerInfo *si, const struct scepmsg_options *options)
{
	ASN1_OCTET_STRING *signature = CMS_SignerInfo_get0_signature(si);
	ASN1_OCTET_STRING **content = CMS_get0_content(cms);

	if (options->broken_signature && signature->length > 0)
		signature->data[signature->length / 2] ^= 1;
	if (options->broken_content && content != NULL && *content != NULL)
		(*content)->data[(*content)->length - 1] ^= 1;
}

static struct bytes
signed_build(const struct scepmsg_client *client, struct bytes content, const struct scepmsg_options *options,
	     struct scepmsg_request *request)
{
	const struct bytes none = {NULL, 0};
	unsigned int flags = CMS_BINARY | CMS_PARTIAL | (options->indefinite ? CMS_STREAM : 0) |
			     (options->no_content ? CMS_DETACHED : 0);
	AUTO(BIO) in = BIO_new_mem_buf(content.len > 0 ? (const void *)content.data : "", (int)content.len);
	AUTO(CMS_ContentInfo) cms = CMS_sign(NULL, NULL, NULL, NULL, flags);
	CMS_SignerInfo *si;

	if (cms == NULL)
		return none;
	si = signer_add(cms, client, options);
	if (si == NULL || attributes_add(si, options, request) != 0)
		return none;
	if (!options->indefinite && CMS_final(cms, in, NULL, flags) != 1)
		return none;
	cms_break(cms, si, options);
	return cms_encode(cms, in, options->indefinite);
}

static int
request_begin(const struct scepmsg_options *options, struct scepmsg_request *request)
{
	uint8_t random[16];

	*request = (struct scepmsg_request){.nonce_len = options->nonce_len != 0 ? options->nonce_len : NONCE_DEFAULT};
	if (request->nonce_len > sizeof(request->nonce) || RAND_bytes(request->nonce, (int)request->nonce_len) != 1 ||
	    RAND_bytes(random, sizeof(random)) != 1)
		return -1;
	if (options->transaction_id != NULL)
		snprintf(request->transaction_id, sizeof(request->transaction_id), "%s", options->transaction_id);
	else
		bytes_hex((struct bytes){random, sizeof(random)}, request->transaction_id,
			  sizeof(request->transaction_id));
	return 0;
}

int
scepmsg_build(const struct scepmsg_client *client, struct bytes plain, const struct scepmsg_options *options,
	      X509 *recipient, struct scepmsg_request *ret_request)
{
	struct bytes envelope = {NULL, 0}, message;
	struct scepmsg_request request;
	struct buf all;
	size_t len;

	if (request_begin(options, &request) != 0)
		return -1;
	if (options->plain_content)
		envelope = bytes_dup(plain);
	else if (!options->no_content)
		envelope = envelope_build(plain, options, recipient);
	if (envelope.len == 0 && !options->no_content)
		return -1;
	message = signed_build(client, envelope, options, &request);
	buf_init(&all, SIZE_MAX);
	buf_put_raw(&all, options->before.data, options->before.len);
	buf_put_raw(&all, message.data, message.len);
	buf_put_raw(&all, options->after.data, options->after.len);
	free((void *)envelope.data);
	free((void *)message.data);
	request.der.data = buf_take(&all, &len);
	request.der.len = message.len > 0 ? len : 0;
	if (options->omit & SCEPMSG_SENDER_NONCE)
		request.nonce_len = 0;
	if (options->omit & SCEPMSG_TRANSACTION_ID)
		request.transaction_id[0] = '\0';
	*ret_request = request;
	return message.len > 0 ? 0 : -1;
}

int
scepmsg_enroll(const struct scepmsg_client *client, const struct scepmsg_csr *csr,
	       const struct scepmsg_options *options, X509 *recipient, struct scepmsg_request *ret_request)
{
	struct bytes der = scepmsg_csr_build(client->key, csr);
	int rc = der.len > 0 ? scepmsg_build(client, der, options, recipient, ret_request) : -1;

	free((void *)der.data);
	return rc;
}

void
scepmsg_request_fini(struct scepmsg_request *request)
{
	free((void *)request->der.data);
	request->der = (struct bytes){NULL, 0};
}
