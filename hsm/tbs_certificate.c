#include "hsm/tbs_certificate.h"

#include "board/base/der.h"
#include "board/base/oid.h"

/* keyUsage (RFC 5280 4.2.1.3) in the first octet of the BIT STRING. */
enum { USAGE_KEY_CERT_SIGN = 0x04, USAGE_CRL_SIGN = 0x02 };

int
hsm_tbs_denied(struct err *e, const char *why)
{
	return err_set(e, ERR_DENIED, 0, "refused to sign: %s", why);
}

int
hsm_tbs_malformed(struct err *e, const char *what)
{
	return err_set(e, ERR_FORMAT, 0, "refused to sign: %s", what);
}

int
hsm_tbs_serial(const struct x509_tbs *tbs, struct err *e)
{
	const struct bytes serial = tbs->serial;

	/* RFC 5280 4.1.2.2 */
	if (serial.len == 0 || serial.len > 20 || (serial.data[0] & 0x80) != 0)
		return hsm_tbs_denied(e, "the serial number is not positive or has more than 20 octets");
	if (serial.data[0] == 0 && serial.len == 1)
		return hsm_tbs_denied(e, "the serial number is zero");
	return 0;
}

int
hsm_tbs_find(const struct x509_tbs *tbs, struct bytes oid, uint8_t tag, struct view *ret_content, bool *ret_there)
{
	struct x509_extension extension;
	int code;

	*ret_there = false;
	if (tbs->extensions.len == 0)
		return 0;
	code = x509_extension_find(tbs, oid, &extension);
	if (code == ERR_UNKNOWN)
		return 0;
	if (code == 0)
		code = der_whole(extension.value, tag, ret_content);
	*ret_there = code == 0;
	return code;
}

int
hsm_tbs_no_ca(const struct x509_tbs *tbs, struct err *e)
{
	struct view content;
	bool there;
	int code = hsm_tbs_find(tbs, OID_BASIC_CONSTRAINTS, DER_SEQUENCE, &content, &there);

	if (code != 0)
		return hsm_tbs_malformed(e, "basicConstraints is malformed");
	if (!there || content.left != 0)
		return hsm_tbs_denied(e,
				      "basicConstraints is absent or not empty: only an end entity may be certified");
	return 0;
}

int
hsm_tbs_usage(const struct x509_tbs *tbs, struct err *e)
{
	struct view bits;
	bool there;
	int code = hsm_tbs_find(tbs, OID_KEY_USAGE, DER_BIT_STRING, &bits, &there);

	if (code != 0 || (there && bits.left < 2))
		return hsm_tbs_malformed(e, "keyUsage is malformed");
	/* Absent, it would allow everything. */
	if (!there || (bits.next[1] & (USAGE_KEY_CERT_SIGN | USAGE_CRL_SIGN)) != 0)
		return hsm_tbs_denied(e, "keyUsage is absent or has keyCertSign or cRLSign");
	return 0;
}

static bool
is_among(struct bytes oid, const struct bytes *known, size_t count)
{
	size_t i;

	for (i = 0; i < count && !bytes_equal(oid, known[i]); i++)
		;
	return i < count;
}

int
hsm_tbs_extensions(const struct x509_tbs *tbs, const struct bytes *known, size_t known_count, struct err *e)
{
	struct bytes seen[32];
	struct view list;
	size_t count = 0;
	int code = tbs->extensions.len == 0 ? 0 : der_whole(tbs->extensions, DER_SEQUENCE, &list);

	while (code == 0 && tbs->extensions.len != 0) {
		struct x509_extension extension;
		bool end = false;

		code = x509_extension_next(&list, &extension, &end);
		if (code != 0 || end)
			break;
		if (known != NULL && !is_among(extension.oid, known, known_count))
			return hsm_tbs_denied(e, "an extension that no certificate of ours has");
		if (is_among(extension.oid, seen, count))
			return hsm_tbs_denied(e, "an extension is there twice");
		if (count == ARRAY_SIZE(seen))
			return hsm_tbs_denied(e, "too many extensions");
		seen[count++] = extension.oid;
	}
	return code == 0 ? 0 : hsm_tbs_malformed(e, "the extensions are malformed");
}
