/*
 * The answering half of scepmsg.h: what a client does with a CertRep.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/cms.h>

#include "tests/lib/scepmsg.h"

CLEANUP(ASN1_OBJECT, ASN1_OBJECT_free)
CLEANUP(BIO, BIO_free_all)
CLEANUP(CMS_ContentInfo, CMS_ContentInfo_free)

/* The only value of the attribute with this OID as bytes, when it has this type; empty else. */
static struct bytes
attribute_of(CMS_SignerInfo *si, const char *oid, int type)
{
	const struct bytes none = {NULL, 0};
	AUTO(ASN1_OBJECT) object = OBJ_txt2obj(oid, 1);
	const ASN1_STRING *value = CMS_signed_get0_data_by_OBJ(si, object, -3, type);

	if (value == NULL)
		return none;
	return (struct bytes){ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value)};
}

static int
number_of(CMS_SignerInfo *si, const char *oid)
{
	struct bytes text = attribute_of(si, oid, V_ASN1_PRINTABLESTRING);
	char copy[8];

	if (text.len == 0 || text.len >= sizeof(copy))
		return -1;
	snprintf(copy, sizeof(copy), "%.*s", (int)text.len, (const char *)text.data);
	return atoi(copy);
}

/* Verifies the signature with ra_sign alone, whatever certificates came along; gives the content. */
static int
signature_verify(CMS_ContentInfo *cms, X509 *ra_sign, BIO *out)
{
	STACK_OF(X509) *signers = sk_X509_new_null();
	ASN1_OCTET_STRING **content = CMS_get0_content(cms);
	AUTO(BIO) empty = BIO_new_mem_buf("", 0);
	bool has_content = content != NULL && *content != NULL;
	int rc = -1;

	if (signers != NULL && sk_X509_push(signers, ra_sign) > 0)
		rc = CMS_verify(cms, signers, NULL, has_content ? NULL : empty, out,
				CMS_NO_SIGNER_CERT_VERIFY | CMS_NOINTERN | CMS_BINARY) == 1
			     ? 0
			     : -1;
	sk_X509_free(signers);
	return rc;
}

/* RFC 8894 3.2.1: what every CertRep has to carry. */
static int
attributes_read(CMS_SignerInfo *si, const struct scepmsg_request *request, struct scepmsg_reply *reply, struct err *e)
{
	struct bytes id = attribute_of(si, "2.16.840.1.113733.1.9.7", V_ASN1_PRINTABLESTRING);
	struct bytes nonce = attribute_of(si, "2.16.840.1.113733.1.9.6", V_ASN1_OCTET_STRING);
	struct bytes text = attribute_of(si, "1.3.6.1.5.5.7.24.1", V_ASN1_UTF8STRING);
	struct bytes error = attribute_of(si, "1.3.6.1.4.1.311.21.33", V_ASN1_PRINTABLESTRING);
	struct bytes message = attribute_of(si, "1.3.6.1.4.1.311.21.38", V_ASN1_UTF8STRING);

	reply->message_type = number_of(si, "2.16.840.1.113733.1.9.2");
	reply->pki_status = number_of(si, "2.16.840.1.113733.1.9.3");
	reply->fail_info = number_of(si, "2.16.840.1.113733.1.9.4");
	reply->has_sender_nonce = attribute_of(si, "2.16.840.1.113733.1.9.5", V_ASN1_OCTET_STRING).len == 16;
	snprintf(reply->text, sizeof(reply->text), "%.*s", (int)text.len,
		 text.data != NULL ? (const char *)text.data : "");
	snprintf(reply->error, sizeof(reply->error), "%.*s", (int)error.len, (const char *)error.data);
	snprintf(reply->message, sizeof(reply->message), "%.*s", (int)message.len, (const char *)message.data);
	if (!bytes_equal(id, bytes_of_text(request->transaction_id)))
		return err_set(e, ERR_VERIFY, 0, "transactionID of the reply is another");
	if (!bytes_equal(nonce, (struct bytes){request->nonce, request->nonce_len}))
		return err_set(e, ERR_VERIFY, 0, "recipientNonce is not the request's senderNonce");
	if (reply->message_type != 3)
		return err_set(e, ERR_VERIFY, 0, "messageType of the reply is %d", reply->message_type);
	if ((reply->pki_status == 2) != (reply->fail_info >= 0))
		return err_set(e, ERR_VERIFY, 0, "pkiStatus %d with failInfo %d", reply->pki_status, reply->fail_info);
	return 0;
}

static void
algorithms_read(CMS_SignerInfo *si, struct scepmsg_reply *reply)
{
	X509_ALGOR *digest, *signature;
	const ASN1_OBJECT *object;

	CMS_SignerInfo_get0_algs(si, NULL, NULL, &digest, &signature);
	X509_ALGOR_get0(&object, NULL, NULL, digest);
	reply->digest = OBJ_obj2nid(object);
	X509_ALGOR_get0(&object, NULL, NULL, signature);
	reply->signature = OBJ_obj2nid(object);
}

static void
transport_read(CMS_ContentInfo *cms, struct scepmsg_reply *reply)
{
	CMS_RecipientInfo *ri = sk_CMS_RecipientInfo_value(CMS_get0_RecipientInfos(cms), 0);
	const ASN1_OBJECT *object;
	X509_ALGOR *algorithm = NULL;
	int type;

	if (ri == NULL || CMS_RecipientInfo_ktri_get0_algs(ri, NULL, NULL, &algorithm) != 1 || algorithm == NULL)
		return;
	X509_ALGOR_get0(&object, &type, NULL, algorithm);
	reply->transport = OBJ_obj2nid(object);
	reply->transport_has_parameters = type == V_ASN1_SEQUENCE || type == V_ASN1_NULL;
}

/* The NID of the content cipher, found in the encoding as OpenSSL has no function for it. */
static int
cipher_of(struct bytes envelope)
{
	static const int known[] = {NID_aes_128_cbc, NID_aes_192_cbc, NID_aes_256_cbc, NID_des_ede3_cbc, NID_des_cbc};
	const ASN1_OBJECT *object;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		object = OBJ_nid2obj(known[i]);
		if (memmem(envelope.data, envelope.len, OBJ_get0_data(object), OBJ_length(object)) != NULL)
			return known[i];
	}
	return 0;
}

static int
content_read(struct bytes envelope, const struct scepmsg_client *client, struct scepmsg_reply *reply, struct err *e)
{
	AUTO(BIO) in = BIO_new_mem_buf(envelope.data, (int)envelope.len);
	AUTO(BIO) plain = BIO_new(BIO_s_mem());
	AUTO(CMS_ContentInfo) cms = d2i_CMS_bio(in, NULL);
	AUTO(CMS_ContentInfo) degenerate = NULL;

	if (cms == NULL || OBJ_obj2nid(CMS_get0_type(cms)) != NID_pkcs7_enveloped)
		return err_set_ossl(e, ERR_FORMAT, "content of the reply is no EnvelopedData");
	reply->cipher = cipher_of(envelope);
	transport_read(cms, reply);
	if (CMS_decrypt(cms, client->key, client->cert, NULL, plain, CMS_BINARY) != 1)
		return err_set_ossl(e, ERR_VERIFY, "content of the reply does not decrypt");
	degenerate = d2i_CMS_bio(plain, NULL);
	if (degenerate == NULL)
		return err_set_ossl(e, ERR_FORMAT, "content of the envelope is no SignedData");
	reply->inner = CMS_get1_certs(degenerate);
	reply->issued = sk_X509_value(reply->inner, 0);
	reply->crls = CMS_get1_crls(degenerate);
	if (reply->issued == NULL && sk_X509_CRL_num(reply->crls) <= 0)
		return err_set(e, ERR_FORMAT, 0, "SUCCESS without a certificate or CRL");
	return 0;
}

static int
reply_read(CMS_ContentInfo *cms, const struct scepmsg_client *client, const struct scepmsg_request *request,
	   X509 *ra_sign, struct scepmsg_reply *reply, struct err *e)
{
	AUTO(BIO) out = BIO_new(BIO_s_mem());
	CMS_SignerInfo *si = sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(cms), 0);
	struct bytes envelope;
	char *data;
	int rc;

	if (si == NULL)
		return err_set_ossl(e, ERR_FORMAT, "the reply is not signed");
	if (signature_verify(cms, ra_sign, out) != 0)
		return err_set_ossl(e, ERR_VERIFY, "signature of the reply");
	algorithms_read(si, reply);
	rc = attributes_read(si, request, reply, e);
	if (rc != 0)
		return rc;
	envelope.len = (size_t)BIO_get_mem_data(out, &data);
	envelope.data = (const uint8_t *)data;
	reply->has_content = envelope.len > 0;
	reply->outer = CMS_get1_certs(cms);
	if (reply->has_content != (reply->pki_status == 0))
		return err_set(e, ERR_FORMAT, 0, "pkiStatus %d with content of %zu octets", reply->pki_status,
			       envelope.len);
	return reply->has_content ? content_read(envelope, client, reply, e) : 0;
}

int
scepmsg_reply_parse(struct bytes der, const struct scepmsg_client *client, const struct scepmsg_request *request,
		    X509 *ra_sign, struct scepmsg_reply *ret_reply, struct err *e)
{
	AUTO(BIO) in = BIO_new_mem_buf(der.data, (int)der.len);
	AUTO(CMS_ContentInfo) cms = d2i_CMS_bio(in, NULL);
	struct scepmsg_reply reply = {.message_type = -1, .pki_status = -1, .fail_info = -1};
	int rc;

	if (cms == NULL || OBJ_obj2nid(CMS_get0_type(cms)) != NID_pkcs7_signed)
		return err_set_ossl(e, ERR_FORMAT, "the reply is no SignedData");
	rc = reply_read(cms, client, request, ra_sign, &reply, e);
	if (rc != 0)
		scepmsg_reply_fini(&reply);
	else
		*ret_reply = reply;
	return rc;
}

void
scepmsg_reply_fini(struct scepmsg_reply *reply)
{
	sk_X509_pop_free(reply->inner, X509_free);
	sk_X509_pop_free(reply->outer, X509_free);
	sk_X509_CRL_pop_free(reply->crls, X509_CRL_free);
	*reply = (struct scepmsg_reply){0};
}
