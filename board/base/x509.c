#include "board/base/x509.h"

#include "board/base/der.h"
#include "board/base/oid.h"

enum { X509_V1 = 0, X509_V3 = 2 };

/* An element of this tag, of which only the whole encoding is wanted. */
static int
take_whole(struct view *v, uint8_t tag, struct bytes *ret_whole)
{
	struct der element;
	int rc = der_expect(v, tag, &element);

	if (rc == 0)
		*ret_whole = element.whole;
	return rc;
}

/* [0] EXPLICIT Version DEFAULT v1; DER leaves a default out. */
static int
version_parse(struct view *v, int *ret_version)
{
	struct der outer, number;
	struct view inside;
	int version = X509_V1;

	if (der_peek(v, DER_CONTEXT_CONSTRUCTED(0))) {
		if (der_next(v, &outer) != 0)
			return ERR_FORMAT;
		inside = view_of(outer.content);
		if (der_expect(&inside, DER_INTEGER, &number) != 0 || inside.left != 0 ||
		    der_small_int(&number, &version) != 0 || version == X509_V1 || version > X509_V3)
			return ERR_FORMAT;
	}
	*ret_version = version;
	return 0;
}

/* X.690 8.3.2.  Neither sign nor size is judged: clients' own certificates have up to 32 octets. */
static int
serial_parse(struct view *v, struct bytes *ret_serial)
{
	struct der element;
	struct bytes c;

	if (der_expect(v, DER_INTEGER, &element) != 0)
		return ERR_FORMAT;
	c = element.content;
	if (c.len == 0 ||
	    (c.len > 1 && ((c.data[0] == 0 && c.data[1] < 0x80) || (c.data[0] == 0xff && c.data[1] > 0x7f))))
		return ERR_FORMAT;
	*ret_serial = c;
	return 0;
}

static int
validity_parse(struct view *v, struct x509_tbs *tbs)
{
	struct der outer, first, last;
	struct view inside;

	if (der_expect(v, DER_SEQUENCE, &outer) != 0)
		return ERR_FORMAT;
	inside = view_of(outer.content);
	if (der_next(&inside, &first) != 0 || der_next(&inside, &last) != 0 || inside.left != 0)
		return ERR_FORMAT;
	if (der_time(&first, &tbs->not_before) != 0)
		return ERR_FORMAT;
	return der_time(&last, &tbs->not_after);
}

/* The unique identifiers, which nobody uses, and the extensions. */
static int
tail_parse(struct view *v, struct x509_tbs *tbs)
{
	struct der element;
	struct view inside;
	int number;

	for (number = 1; number <= 2; number++) {
		if (!der_peek(v, (uint8_t)DER_CONTEXT(number)))
			continue;
		if (tbs->version == X509_V1 || der_next(v, &element) != 0)
			return ERR_FORMAT;
	}
	if (der_peek(v, DER_CONTEXT_CONSTRUCTED(3))) {
		if (tbs->version != X509_V3 || der_next(v, &element) != 0)
			return ERR_FORMAT;
		if (der_whole(element.content, DER_SEQUENCE, &inside) != 0 || inside.left == 0)
			return ERR_FORMAT;
		tbs->extensions = element.content;
	}
	return v->left == 0 ? 0 : ERR_FORMAT;
}

int
x509_tbs_parse(struct bytes der, struct x509_tbs *ret_tbs, struct err *e)
{
	struct x509_tbs tbs = {.whole = der};
	struct view v;

	if (der_whole(der, DER_SEQUENCE, &v) != 0)
		return err_set(e, ERR_FORMAT, 0, "TBSCertificate is not one DER SEQUENCE");
	if (version_parse(&v, &tbs.version) != 0)
		return err_set(e, ERR_FORMAT, 0, "certificate version");
	if (serial_parse(&v, &tbs.serial) != 0)
		return err_set(e, ERR_FORMAT, 0, "certificate serial number");
	if (take_whole(&v, DER_SEQUENCE, &tbs.algorithm) != 0)
		return err_set(e, ERR_FORMAT, 0, "certificate signature algorithm");
	if (take_whole(&v, DER_SEQUENCE, &tbs.issuer) != 0)
		return err_set(e, ERR_FORMAT, 0, "certificate issuer");
	if (validity_parse(&v, &tbs) != 0)
		return err_set(e, ERR_FORMAT, 0, "certificate validity");
	if (take_whole(&v, DER_SEQUENCE, &tbs.subject) != 0)
		return err_set(e, ERR_FORMAT, 0, "certificate subject");
	if (take_whole(&v, DER_SEQUENCE, &tbs.spki) != 0)
		return err_set(e, ERR_FORMAT, 0, "certificate subjectPublicKeyInfo");
	if (tail_parse(&v, &tbs) != 0)
		return err_set(e, ERR_FORMAT, 0, "certificate extensions");
	*ret_tbs = tbs;
	return 0;
}

int
x509_parse(struct bytes der, struct x509 *ret_cert, struct err *e)
{
	struct x509 cert = {.whole = der};
	struct der bits;
	struct bytes tbs;
	struct view v;
	int rc;

	if (der_whole(der, DER_SEQUENCE, &v) != 0)
		return err_set(e, ERR_FORMAT, 0, "certificate is not one DER SEQUENCE");
	if (take_whole(&v, DER_SEQUENCE, &tbs) != 0)
		return err_set(e, ERR_FORMAT, 0, "certificate without TBSCertificate");
	rc = x509_tbs_parse(tbs, &cert.tbs, e);
	if (rc != 0)
		return rc;
	if (take_whole(&v, DER_SEQUENCE, &cert.algorithm) != 0)
		return err_set(e, ERR_FORMAT, 0, "certificate without signatureAlgorithm");
	if (der_expect(&v, DER_BIT_STRING, &bits) != 0 || v.left != 0 || bits.content.len < 1 ||
	    bits.content.data[0] != 0)
		return err_set(e, ERR_FORMAT, 0, "certificate signature");
	if (!bytes_equal(cert.algorithm, cert.tbs.algorithm))
		return err_set(e, ERR_FORMAT, 0, "certificate with two signature algorithms (RFC 5280 4.1.1.2)");
	cert.signature = (struct bytes){bits.content.data + 1, bits.content.len - 1};
	*ret_cert = cert;
	return 0;
}

int
x509_extension_next(struct view *list, struct x509_extension *ret_extension, bool *ret_end)
{
	struct x509_extension x = {.critical = false};
	struct der outer, element;
	struct view v;

	if (!list->bad && list->left == 0) {
		*ret_end = true;
		return 0;
	}
	if (der_expect(list, DER_SEQUENCE, &outer) != 0)
		return ERR_FORMAT;
	v = view_of(outer.content);
	if (der_expect(&v, DER_OID, &element) != 0 || element.content.len == 0)
		return ERR_FORMAT;
	x.oid = element.content;
	if (der_peek(&v, DER_BOOLEAN)) {
		/* An explicit FALSE is not DER, yet common in what devices make; app_cert_lint() refuses it in ours. */
		if (der_next(&v, &element) != 0 || element.content.len != 1 ||
		    (element.content.data[0] != 0 && element.content.data[0] != 0xff))
			return ERR_FORMAT;
		x.critical = element.content.data[0] != 0;
	}
	if (der_expect(&v, DER_OCTET_STRING, &element) != 0 || v.left != 0)
		return ERR_FORMAT;
	x.value = element.content;
	*ret_extension = x;
	*ret_end = false;
	return 0;
}

int
x509_extension_find(const struct x509_tbs *tbs, struct bytes oid, struct x509_extension *ret_extension)
{
	struct x509_extension x = {.critical = false};
	struct view list;
	bool end;
	int rc;

	if (tbs->extensions.len == 0)
		return ERR_UNKNOWN;
	rc = der_whole(tbs->extensions, DER_SEQUENCE, &list);
	while (rc == 0) {
		rc = x509_extension_next(&list, &x, &end);
		if (rc != 0)
			break;
		if (end)
			return ERR_UNKNOWN;
		if (bytes_equal(x.oid, oid)) {
			*ret_extension = x;
			return 0;
		}
	}
	return rc;
}
