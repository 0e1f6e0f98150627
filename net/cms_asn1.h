/*
 * net/cms_asn1 - the shapes of CMS (RFC 5652) that SCEP messages have, read from BER
 *
 * OpenSSL's template decoder does the reading, so that indefinite lengths and strings in pieces come out whole (facts
 * C22).  Its own CMS types are not used because they decode the public key of every certificate (board/base/x509.h).
 * Certificates, names and attribute values stay as they are encoded.
 *
 * Threads:  any.
 * Owner:    a parsed structure owns copies of everything in it.
 */
#ifndef NET_CMS_ASN1_H
#define NET_CMS_ASN1_H

#include <openssl/x509.h>

#include "board/base/buf.h"

enum { NET_CMS_BY_ISSUER_SERIAL, NET_CMS_BY_KEY_ID };

/* SignerIdentifier and RecipientIdentifier, which look the same (RFC 5652 5.3, 6.2.1). */
struct net_cms_id {
	int type; /* NET_CMS_BY_* */
	union {
		struct net_cms_issuer_serial *issuer_serial;
		ASN1_OCTET_STRING *key_id;
	} d;
};

struct net_cms_issuer_serial {
	ASN1_TYPE *issuer;
	ASN1_INTEGER *serial;
};

struct net_cms_attribute {
	ASN1_OBJECT *type;
	STACK_OF(ASN1_TYPE) * values;
};

struct net_cms_signer {
	ASN1_INTEGER *version;
	struct net_cms_id *id;
	X509_ALGOR *digest;
	OPENSSL_STACK *attributes; /* of struct net_cms_attribute, in received order; NULL when absent */
	X509_ALGOR *algorithm;
	ASN1_OCTET_STRING *signature;
	STACK_OF(ASN1_TYPE) * unsigned_attributes;
};

struct net_cms_content {
	ASN1_OBJECT *type;
	ASN1_OCTET_STRING *octets; /* NULL when absent */
};

struct net_cms_signed {
	ASN1_INTEGER *version;
	ASN1_TYPE *digests;
	struct net_cms_content *content;
	STACK_OF(ASN1_TYPE) * certs; /* NULL when absent */
	STACK_OF(ASN1_TYPE) * crls;
	OPENSSL_STACK *signers; /* of struct net_cms_signer */
};

struct net_cms_message {
	ASN1_OBJECT *type; /* checked: SignedData */
	struct net_cms_signed *body;
};

struct net_cms_encrypted {
	ASN1_OBJECT *type;
	X509_ALGOR *cipher;
	ASN1_OCTET_STRING *octets; /* NULL when absent */
};

struct net_cms_enveloped {
	ASN1_INTEGER *version;
	STACK_OF(ASN1_TYPE) * originator;
	STACK_OF(ASN1_TYPE) * recipients; /* each as encoded; a SEQUENCE is a KeyTransRecipientInfo */
	struct net_cms_encrypted *content;
	STACK_OF(ASN1_TYPE) * attributes;
};

struct net_cms_envelope {
	ASN1_OBJECT *type; /* checked: EnvelopedData */
	struct net_cms_enveloped *body;
};

/* KeyTransRecipientInfo */
struct net_cms_key_trans {
	ASN1_INTEGER *version;
	struct net_cms_id *id;
	X509_ALGOR *algorithm;
	ASN1_OCTET_STRING *wrapped;
};

/* Parses a ContentInfo with SignedData and nothing behind it; NULL when it is none.  The caller frees. */
struct net_cms_message *net_cms_message_parse(struct bytes ber);

/* Parses a ContentInfo with EnvelopedData and nothing behind it; NULL when it is none.  The caller frees. */
struct net_cms_envelope *net_cms_envelope_parse(struct bytes ber);

/* Parses one element of recipients; NULL when it is no KeyTransRecipientInfo.  The caller frees. */
struct net_cms_key_trans *net_cms_key_trans_parse(const ASN1_TYPE *recipient);

/* Free what the functions above gave; NULL is fine. */
void net_cms_message_free(struct net_cms_message *message);
void net_cms_envelope_free(struct net_cms_envelope *envelope);    /* as net_cms_message_free() */
void net_cms_key_trans_free(struct net_cms_key_trans *recipient); /* as net_cms_message_free() */

/* How many elements list has; 0 for NULL. */
size_t net_cms_count(const void *list);

/*
 * Appends the attributes in received order as the DER SET OF that was signed (RFC 5652 5.4).  Fails with ERR_NOMEM,
 * ERR_LIMIT.
 */
MUST_CHECK int net_cms_attributes_put(const struct net_cms_signer *signer, struct buf *out);

/* Does the object identifier have these content octets (board/base/oid.h)? */
bool net_cms_is(const ASN1_OBJECT *object, struct bytes oid);

/* Content octets of any ASN.1 string; empty for NULL. */
struct bytes net_cms_octets(const ASN1_STRING *string);

/* The element as encoded, when it is a SEQUENCE; else empty. */
struct bytes net_cms_sequence(const ASN1_TYPE *any);

#endif
