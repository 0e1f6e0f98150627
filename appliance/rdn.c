#include "appliance/rdn.h"

#include <string.h>
#include <strings.h>

#include "board/base/der.h"
#include "board/base/oid.h"

enum { ATTRIBUTES_MAX = 32 };

#define OID_PKCS9(n) OID_BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x09" n)

/* Cisco routers ask for unstructuredName and unstructuredAddress unless told otherwise. */
static const struct app_rdn_type types[] = {
	{"CN", OID_COMMON_NAME, 64, DER_UTF8_STRING},
	{"serialNumber", OID_SERIAL_NUMBER, 64, DER_PRINTABLE_STRING},
	{"C", OID_COUNTRY, 2, DER_PRINTABLE_STRING},
	{"L", OID_LOCALITY, 128, DER_UTF8_STRING},
	{"ST", OID_STATE, 128, DER_UTF8_STRING},
	{"O", OID_ORGANIZATION, 64, DER_UTF8_STRING},
	{"OU", OID_ORGANIZATIONAL_UNIT, 64, DER_UTF8_STRING},
	{"DC", OID_DOMAIN_COMPONENT, 63, DER_IA5_STRING},
	{"emailAddress", OID_EMAIL_ADDRESS, 255, DER_IA5_STRING},
	{"UID", OID_USER_ID, 256, DER_UTF8_STRING},
	{"unstructuredName", OID_PKCS9("\x02"), 255, DER_IA5_STRING},
	{"unstructuredAddress", OID_PKCS9("\x08"), 255, DER_UTF8_STRING},
	{"SN", OID_BYTES("\x55\x04\x04"), 64, DER_UTF8_STRING},
	{"GN", OID_BYTES("\x55\x04\x2a"), 64, DER_UTF8_STRING},
	{"title", OID_BYTES("\x55\x04\x0c"), 64, DER_UTF8_STRING},
	{"dnQualifier", OID_BYTES("\x55\x04\x2e"), 64, DER_PRINTABLE_STRING},
};

const struct app_rdn_type *
app_rdn_types(size_t *ret_count)
{
	*ret_count = ARRAY_SIZE(types);
	return types;
}

int
app_rdn_by_oid(struct bytes oid)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		if (bytes_equal(types[i].oid, oid))
			return (int)i;
	return -1;
}

int
app_rdn_by_word(const char *word, size_t len)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		if (strlen(types[i].word) == len && strncasecmp(types[i].word, word, len) == 0)
			return (int)i;
	return -1;
}

static bool
is_letter(uint32_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/*
 * Any of the string types is taken for any attribute, and PrintableString with any ASCII character: devices do both.
 * The certificate gets the same octets under the right tag by app_rdn_mend().
 */
static int
value_check(const struct app_rdn_type *type, const struct der *value, struct err *e)
{
	struct view v = view_of(value->content);
	bool is_country = bytes_equal(type->oid, OID_COUNTRY);
	size_t count = 0;
	uint32_t c;

	while (v.left > 0) {
		if (der_text_next(value->tag, &v, &c) != 0)
			return err_set(e, ERR_DENIED, 0, "subject: %s is not text of its type", type->word);
		if (!der_text_visible(c))
			return err_set(e, ERR_DENIED, 0, "subject: %s has a control character", type->word);
		if (is_country && !is_letter(c))
			return err_set(e, ERR_DENIED, 0, "subject: C is not two letters");
		count++;
	}
	if (count == 0 || count > type->max || (is_country && count != 2))
		return err_set(e, ERR_DENIED, 0, "subject: %s has %zu characters, allowed are %d to %d", type->word,
			       count, is_country ? 2 : 1, type->max);
	return 0;
}

static int
attribute_check(struct bytes content, uint32_t allowed, struct err *e)
{
	struct view v = view_of(content);
	struct der type, value;
	int index;

	if (der_expect(&v, DER_OID, &type) != 0 || der_next(&v, &value) != 0 || v.left != 0)
		return err_set(e, ERR_DENIED, 0, "subject: malformed attribute");
	index = app_rdn_by_oid(type.content);
	if (index < 0)
		return err_set(e, ERR_DENIED, 0, "subject: an attribute type that is not allowed");
	if ((allowed & 1U << index) == 0)
		return err_set(e, ERR_DENIED, 0, "subject: %s is not allowed", types[index].word);
	return value_check(&types[index], &value, e);
}

/* X.690 11.6: the members of a SET OF stand in ascending order. */
static bool
is_ascending(struct bytes a, struct bytes b)
{
	int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);

	return order < 0 || (order == 0 && a.len < b.len);
}

static int
rdn_check(struct bytes content, uint32_t allowed, size_t *count, struct err *e)
{
	struct view v = view_of(content);
	struct bytes last = {NULL, 0};
	struct der attribute;
	int rc;

	if (v.left == 0)
		return err_set(e, ERR_DENIED, 0, "subject: empty RDN");
	while (v.left > 0) {
		if (der_expect(&v, DER_SEQUENCE, &attribute) != 0)
			return err_set(e, ERR_DENIED, 0, "subject: malformed RDN");
		if (last.data != NULL && !is_ascending(last, attribute.whole))
			return err_set(e, ERR_DENIED, 0, "subject: RDN with its attributes out of order");
		last = attribute.whole;
		if (++*count > ATTRIBUTES_MAX)
			return err_set(e, ERR_DENIED, 0, "subject: more than %d attributes", ATTRIBUTES_MAX);
		rc = attribute_check(attribute.content, allowed, e);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int
app_rdn_check(struct bytes name, uint32_t allowed, size_t *ret_count, struct err *e)
{
	struct der rdn;
	struct view v;
	size_t count = 0;
	int rc;

	if (der_whole(name, DER_SEQUENCE, &v) != 0)
		return err_set(e, ERR_DENIED, 0, "subject: not a Name");
	while (v.left > 0) {
		if (der_expect(&v, DER_SET, &rdn) != 0)
			return err_set(e, ERR_DENIED, 0, "subject: malformed RDN");
		rc = rdn_check(rdn.content, allowed, &count, e);
		if (rc != 0)
			return rc;
	}
	*ret_count = count;
	return 0;
}

bool
app_rdn_printable(uint32_t c)
{
	return is_letter(c) || (c >= '0' && c <= '9') || (c != 0 && c < 0x80 && strchr(" '()+,-./:=?", (int)c) != NULL);
}

/* The tag for a value in octets that mean the same in UTF-8, ISO 8859-1 and ASCII. */
static uint8_t
tag_for(const struct app_rdn_type *type, uint8_t tag, bool printable)
{
	if (type->string == DER_IA5_STRING)
		return DER_IA5_STRING;
	if (printable && (type->string == DER_PRINTABLE_STRING || tag == DER_PRINTABLE_STRING))
		return DER_PRINTABLE_STRING;
	return tag == DER_T61_STRING ? tag : DER_UTF8_STRING;
}

/* attribute is in the memory that may be changed. */
static void
attribute_mend(struct bytes attribute)
{
	struct view v = view_of(attribute);
	struct der type, value;
	bool printable = true;
	int index;

	if (der_expect(&v, DER_OID, &type) != 0 || der_next(&v, &value) != 0)
		return;
	index = app_rdn_by_oid(type.content);
	if (index < 0 || value.tag == DER_BMP_STRING)
		return;
	for (size_t i = 0; i < value.content.len; i++) {
		if (value.content.data[i] >= 0x80)
			return;
		printable = printable && app_rdn_printable(value.content.data[i]);
	}
	*(uint8_t *)(uintptr_t)value.whole.data = tag_for(&types[index], value.tag, printable);
}

void
app_rdn_mend(uint8_t *name, size_t len)
{
	struct view rdns, attributes;
	struct der rdn, attribute;

	if (der_whole((struct bytes){name, len}, DER_SEQUENCE, &rdns) != 0)
		return;
	while (der_expect(&rdns, DER_SET, &rdn) == 0) {
		attributes = view_of(rdn.content);
		while (der_expect(&attributes, DER_SEQUENCE, &attribute) == 0)
			attribute_mend(attribute.content);
	}
}
