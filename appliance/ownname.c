#include "appliance/ownname.h"

#include <arpa/inet.h>
#include <string.h>

#include "board/base/der.h"
#include "board/base/oid.h"

enum { COMMON_NAME_MAX = 64, NAMES_SIZE = 400 };
enum { SAN_DNS = 0x82, SAN_IP = 0x87 };

/* Appends an RDN with one attribute, the common name text+suffix. */
static void
put_common_name(struct buf *out, struct bytes text, const char *suffix)
{
	size_t set = der_open(out, DER_SET);
	size_t sequence = der_open(out, DER_SEQUENCE);
	size_t value;
	size_t room = COMMON_NAME_MAX - strlen(suffix);

	/* Cut between characters: the octets 10xxxxxx continue one (RFC 3629). */
	if (text.len > room) {
		while (room > 0 && (text.data[room] & 0xc0) == 0x80)
			room--;
		text.len = room;
	}
	der_put_oid(out, OID_COMMON_NAME);
	value = der_open(out, DER_UTF8_STRING);
	buf_put_raw(out, text.data, text.len);
	buf_put_raw(out, suffix, strlen(suffix));
	der_close(out, value);
	der_close(out, sequence);
	der_close(out, set);
}

/* The value of a common name that can be written as UTF-8 as it is; false for other attributes and strings. */
static bool
is_common_name(struct bytes set, struct bytes *ret_text)
{
	struct view attributes, attribute;
	struct der sequence, type, value;

	if (der_whole(set, DER_SET, &attributes) != 0 || der_expect(&attributes, DER_SEQUENCE, &sequence) != 0)
		return false;
	attribute = view_of(sequence.content);
	if (der_expect(&attribute, DER_OID, &type) != 0 || !bytes_equal(type.content, OID_COMMON_NAME) ||
	    der_next(&attribute, &value) != 0)
		return false;
	*ret_text = (struct bytes){(const uint8_t *)"Chancery", 8};
	if (value.tag == DER_UTF8_STRING || value.tag == DER_PRINTABLE_STRING || value.tag == DER_IA5_STRING)
		*ret_text = value.content;
	return true;
}

int
app_ownname_like(struct bytes ca_name, const char *suffix, struct buf *out, struct err *e)
{
	struct bytes text = {(const uint8_t *)"Chancery", 8};
	struct view rdns;
	struct der rdn;
	bool found = false;
	size_t mark;

	if (der_whole(ca_name, DER_SEQUENCE, &rdns) != 0)
		return err_set(e, ERR_FORMAT, 0, "the CA's name");
	mark = der_open(out, DER_SEQUENCE);
	while (rdns.left > 0) {
		if (der_expect(&rdns, DER_SET, &rdn) != 0)
			return err_set(e, ERR_FORMAT, 0, "the CA's name");
		if (is_common_name(rdn.whole, &text)) {
			/* The first one is replaced, others are left out: one certificate has one common name. */
			if (!found)
				put_common_name(out, text, suffix);
			found = true;
			continue;
		}
		der_put_raw(out, rdn.whole);
	}
	if (!found)
		put_common_name(out, text, suffix);
	der_close(out, mark);
	return buf_status(out);
}

static bool
is_dns_name(const char *name)
{
	size_t label = 0;

	for (const char *s = name; *s != '\0'; s++) {
		bool plain =
			(*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') || *s == '-';

		if (*s == '.' && label == 0)
			return false;
		if (*s != '.' && !plain)
			return false;
		label = *s == '.' ? 0 : label + 1;
		if (label > 63)
			return false;
	}
	return label > 0 && strlen(name) <= 253;
}

static int
put_san(struct buf *san, const char *name, struct err *e)
{
	uint8_t address[16];

	if (inet_pton(AF_INET, name, address) == 1)
		der_put(san, SAN_IP, (struct bytes){address, 4});
	else if (inet_pton(AF_INET6, name, address) == 1)
		der_put(san, SAN_IP, (struct bytes){address, 16});
	else if (is_dns_name(name))
		der_put(san, SAN_DNS, bytes_of_text(name));
	else
		return err_set(e, ERR_CONFIG, 0, "front.tls_names: \"%s\" is no DNS name or IP address", name);
	return 0;
}

int
app_ownname_tls(const char *names, struct buf *name, struct buf *san, struct err *e)
{
	char copy[NAMES_SIZE];
	char *rest = copy;
	char *word;
	size_t sequence, list;
	int count = 0;
	int status;

	if (strlen(names) >= sizeof(copy))
		return err_set(e, ERR_CONFIG, 0, "front.tls_names is too long");
	memcpy(copy, names, strlen(names) + 1);
	list = der_open(san, DER_SEQUENCE);
	while ((word = strsep(&rest, " \t")) != NULL) {
		if (*word == '\0')
			continue;
		status = put_san(san, word, e);
		if (status != 0)
			return status;
		if (count++ > 0)
			continue;
		sequence = der_open(name, DER_SEQUENCE);
		put_common_name(name, bytes_of_text(word), "");
		der_close(name, sequence);
	}
	der_close(san, list);
	if (count == 0)
		return err_set(e, ERR_CONFIG, 0, "front.tls_names is empty");
	return buf_status(name) != 0 ? buf_status(name) : buf_status(san);
}

bool
app_ownname_subset(struct bytes asked, struct bytes allowed)
{
	struct view want, have;
	struct der name, known;

	if (der_whole(asked, DER_SEQUENCE, &want) != 0)
		return false;
	while (want.left > 0) {
		bool found = false;

		if (der_next(&want, &name) != 0 || der_whole(allowed, DER_SEQUENCE, &have) != 0)
			return false;
		while (have.left > 0 && !found) {
			if (der_next(&have, &known) != 0)
				return false;
			found = bytes_equal(name.whole, known.whole);
		}
		if (!found)
			return false;
	}
	return true;
}
