#include "net/cms_asn1.h"

#include <openssl/asn1t.h>
#include <openssl/err.h>

#include "board/base/der.h"
#include "board/base/oid.h"

/* Sixteen certificates have about 1,600. */
enum { ELEMENTS_MAX = 8192 };

/* asn1t.h's own frames of an item, written so that a formatter can read them. */
#define ITEM(name, type, itype, tag, info)                                                                             \
	static const ASN1_ITEM *name##_it(void)                                                                        \
	{                                                                                                              \
		static const ASN1_ITEM item = {                                                                        \
			itype, tag, name##_fields, ARRAY_SIZE(name##_fields), NULL, info, #name};                      \
		return &item;                                                                                          \
	}
#define SEQUENCE_ITEM(name, type) ITEM(name, type, ASN1_ITYPE_SEQUENCE, V_ASN1_SEQUENCE, sizeof(type))

static const ASN1_TEMPLATE ISSUER_SERIAL_fields[] = {
	ASN1_SIMPLE(struct net_cms_issuer_serial, issuer, ASN1_ANY),
	ASN1_SIMPLE(struct net_cms_issuer_serial, serial, ASN1_INTEGER),
};
SEQUENCE_ITEM(ISSUER_SERIAL, struct net_cms_issuer_serial)

static const ASN1_TEMPLATE ID_fields[] = {
	ASN1_SIMPLE(struct net_cms_id, d.issuer_serial, ISSUER_SERIAL),
	ASN1_IMP(struct net_cms_id, d.key_id, ASN1_OCTET_STRING, 0),
};
ITEM(ID, struct net_cms_id, ASN1_ITYPE_CHOICE, offsetof(struct net_cms_id, type), sizeof(struct net_cms_id))

static const ASN1_TEMPLATE ATTRIBUTE_fields[] = {
	ASN1_SIMPLE(struct net_cms_attribute, type, ASN1_OBJECT),
	ASN1_SET_OF(struct net_cms_attribute, values, ASN1_ANY),
};
SEQUENCE_ITEM(ATTRIBUTE, struct net_cms_attribute)

static const ASN1_TEMPLATE SIGNER_fields[] = {
	ASN1_SIMPLE(struct net_cms_signer, version, ASN1_INTEGER),
	ASN1_SIMPLE(struct net_cms_signer, id, ID),
	ASN1_SIMPLE(struct net_cms_signer, digest, X509_ALGOR),
	ASN1_IMP_SET_OF_OPT(struct net_cms_signer, attributes, ATTRIBUTE, 0),
	ASN1_SIMPLE(struct net_cms_signer, algorithm, X509_ALGOR),
	ASN1_SIMPLE(struct net_cms_signer, signature, ASN1_OCTET_STRING),
	ASN1_IMP_SET_OF_OPT(struct net_cms_signer, unsigned_attributes, ASN1_ANY, 1),
};
SEQUENCE_ITEM(SIGNER, struct net_cms_signer)

static const ASN1_TEMPLATE CONTENT_fields[] = {
	ASN1_SIMPLE(struct net_cms_content, type, ASN1_OBJECT),
	ASN1_EXP_OPT(struct net_cms_content, octets, ASN1_OCTET_STRING, 0),
};
SEQUENCE_ITEM(CONTENT, struct net_cms_content)

static const ASN1_TEMPLATE SIGNED_fields[] = {
	ASN1_SIMPLE(struct net_cms_signed, version, ASN1_INTEGER),
	ASN1_SIMPLE(struct net_cms_signed, digests, ASN1_ANY),
	ASN1_SIMPLE(struct net_cms_signed, content, CONTENT),
	ASN1_IMP_SET_OF_OPT(struct net_cms_signed, certs, ASN1_ANY, 0),
	ASN1_IMP_SET_OF_OPT(struct net_cms_signed, crls, ASN1_ANY, 1),
	ASN1_SET_OF(struct net_cms_signed, signers, SIGNER),
};
SEQUENCE_ITEM(SIGNED, struct net_cms_signed)

static const ASN1_TEMPLATE MESSAGE_fields[] = {
	ASN1_SIMPLE(struct net_cms_message, type, ASN1_OBJECT),
	ASN1_EXP(struct net_cms_message, body, SIGNED, 0),
};
SEQUENCE_ITEM(MESSAGE, struct net_cms_message)

static const ASN1_TEMPLATE ENCRYPTED_fields[] = {
	ASN1_SIMPLE(struct net_cms_encrypted, type, ASN1_OBJECT),
	ASN1_SIMPLE(struct net_cms_encrypted, cipher, X509_ALGOR),
	ASN1_IMP_OPT(struct net_cms_encrypted, octets, ASN1_OCTET_STRING, 0),
};
SEQUENCE_ITEM(ENCRYPTED, struct net_cms_encrypted)

static const ASN1_TEMPLATE ENVELOPED_fields[] = {
	ASN1_SIMPLE(struct net_cms_enveloped, version, ASN1_INTEGER),
	ASN1_IMP_SEQUENCE_OF_OPT(struct net_cms_enveloped, originator, ASN1_ANY, 0),
	ASN1_SET_OF(struct net_cms_enveloped, recipients, ASN1_ANY),
	ASN1_SIMPLE(struct net_cms_enveloped, content, ENCRYPTED),
	ASN1_IMP_SET_OF_OPT(struct net_cms_enveloped, attributes, ASN1_ANY, 1),
};
SEQUENCE_ITEM(ENVELOPED, struct net_cms_enveloped)

static const ASN1_TEMPLATE ENVELOPE_fields[] = {
	ASN1_SIMPLE(struct net_cms_envelope, type, ASN1_OBJECT),
	ASN1_EXP(struct net_cms_envelope, body, ENVELOPED, 0),
};
SEQUENCE_ITEM(ENVELOPE, struct net_cms_envelope)

static const ASN1_TEMPLATE KEY_TRANS_fields[] = {
	ASN1_SIMPLE(struct net_cms_key_trans, version, ASN1_INTEGER),
	ASN1_SIMPLE(struct net_cms_key_trans, id, ID),
	ASN1_SIMPLE(struct net_cms_key_trans, algorithm, X509_ALGOR),
	ASN1_SIMPLE(struct net_cms_key_trans, wrapped, ASN1_OCTET_STRING),
};
SEQUENCE_ITEM(KEY_TRANS, struct net_cms_key_trans)

/*
 * Is ber made of whole elements, to the bottom, and of no more than a message can have?  The decoder makes an object of
 * a hundred octets for each of two, in lists that we may not even look at; a message of nothing else would hold the
 * loop for a long time, and fifty times its size of memory.
 */
static bool
is_reasonable(struct bytes ber)
{
	const unsigned char *p = ber.data, *end = ber.data + ber.len;
	size_t count = 0;

	while (p < end) {
		long len;
		int tag, class;
		int form = ASN1_get_object(&p, &len, &tag, &class, end - p);

		if ((form & 0x80) != 0 || ++count > ELEMENTS_MAX) {
			ERR_clear_error();
			return false;
		}
		/* What is in a constructed one comes next. */
		if ((form & V_ASN1_CONSTRUCTED) == 0)
			p += len;
	}
	return true;
}

/* Decodes all of ber; a failure leaves nothing in OpenSSL's queue, as it is the peer's. */
static void *
decode(struct bytes ber, const ASN1_ITEM *item)
{
	const unsigned char *p = ber.data;
	ASN1_VALUE *value;

	if (ber.len == 0 || ber.len > INT32_MAX || !is_reasonable(ber))
		return NULL;
	value = ASN1_item_d2i(NULL, &p, (long)ber.len, item);
	if (value == NULL)
		ERR_clear_error();
	if (value != NULL && p != ber.data + ber.len) {
		ASN1_item_free(value, item);
		value = NULL;
	}
	return value;
}

struct net_cms_message *
net_cms_message_parse(struct bytes ber)
{
	struct net_cms_message *message = decode(ber, ASN1_ITEM_rptr(MESSAGE));

	if (message != NULL && !net_cms_is(message->type, OID_SIGNED_DATA)) {
		net_cms_message_free(message);
		message = NULL;
	}
	return message;
}

struct net_cms_envelope *
net_cms_envelope_parse(struct bytes ber)
{
	struct net_cms_envelope *envelope = decode(ber, ASN1_ITEM_rptr(ENVELOPE));

	if (envelope != NULL && !net_cms_is(envelope->type, OID_ENVELOPED_DATA)) {
		net_cms_envelope_free(envelope);
		envelope = NULL;
	}
	return envelope;
}

struct net_cms_key_trans *
net_cms_key_trans_parse(const ASN1_TYPE *recipient)
{
	return decode(net_cms_sequence(recipient), ASN1_ITEM_rptr(KEY_TRANS));
}

void
net_cms_message_free(struct net_cms_message *message)
{
	ASN1_item_free((ASN1_VALUE *)message, ASN1_ITEM_rptr(MESSAGE));
}

void
net_cms_envelope_free(struct net_cms_envelope *envelope)
{
	ASN1_item_free((ASN1_VALUE *)envelope, ASN1_ITEM_rptr(ENVELOPE));
}

void
net_cms_key_trans_free(struct net_cms_key_trans *recipient)
{
	ASN1_item_free((ASN1_VALUE *)recipient, ASN1_ITEM_rptr(KEY_TRANS));
}

size_t
net_cms_count(const void *list)
{
	int count = OPENSSL_sk_num(list);

	return count > 0 ? (size_t)count : 0;
}

int
net_cms_attributes_put(const struct net_cms_signer *signer, struct buf *out)
{
	size_t i, mark = der_open(out, DER_SET);
	uint8_t *room;
	int len;

	for (i = 0; i < net_cms_count(signer->attributes); i++) {
		const ASN1_VALUE *attribute = OPENSSL_sk_value(signer->attributes, (int)i);

		len = ASN1_item_i2d(attribute, NULL, ASN1_ITEM_rptr(ATTRIBUTE));
		if (len <= 0)
			return ERR_NOMEM;
		room = buf_put_room(out, (size_t)len);
		if (room != NULL)
			ASN1_item_i2d(attribute, &room, ASN1_ITEM_rptr(ATTRIBUTE));
	}
	der_close(out, mark);
	return buf_status(out);
}

bool
net_cms_is(const ASN1_OBJECT *object, struct bytes oid)
{
	return bytes_equal((struct bytes){OBJ_get0_data(object), OBJ_length(object)}, oid);
}

struct bytes
net_cms_octets(const ASN1_STRING *string)
{
	if (string == NULL)
		return (struct bytes){NULL, 0};
	return (struct bytes){ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string)};
}

struct bytes
net_cms_sequence(const ASN1_TYPE *any)
{
	if (any == NULL || any->type != V_ASN1_SEQUENCE)
		return (struct bytes){NULL, 0};
	return net_cms_octets(any->value.sequence);
}
