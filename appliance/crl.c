#include "appliance/crl.h"

#include <string.h>

#include "board/base/der.h"
#include "board/base/oid.h"

void
app_crl_init(struct app_crl *crl)
{
	memset(crl, 0, sizeof(*crl));
	buf_init(&crl->entries, APP_CRL_LIMIT);
}

void
app_crl_fini(struct app_crl *crl)
{
	buf_fini(&crl->entries);
	crl->count = 0;
}

enum { REMOVE_FROM_CRL = 8, URI_TAG = 6 };

/* RFC 5280 5.3.1: unspecified is not written; 7 is unused, and nothing is revoked with 8. */
static bool
is_worth_saying(int reason)
{
	return reason > APP_REASON_UNSPECIFIED && reason <= 10 && reason != 7 && reason != REMOVE_FROM_CRL;
}

static void
reason_put(struct buf *b, int reason)
{
	size_t extension = der_open(b, DER_SEQUENCE), value;
	uint8_t code = (uint8_t)reason;

	der_put_oid(b, OID_REASON_CODE);
	value = der_open(b, DER_OCTET_STRING);
	der_put(b, DER_ENUMERATED, (struct bytes){&code, 1});
	der_close(b, value);
	der_close(b, extension);
}

/* RFC 5280 5.3.2 */
static void
invalidity_put(struct buf *b, int64_t when)
{
	size_t extension = der_open(b, DER_SEQUENCE), value;

	der_put_oid(b, OID_INVALIDITY_DATE);
	value = der_open(b, DER_OCTET_STRING);
	der_put_generalized_time(b, when);
	der_close(b, value);
	der_close(b, extension);
}

void
app_crl_add(const struct app_revoked *entry, void *arg)
{
	struct app_crl *crl = arg;
	struct buf *b = &crl->entries;
	bool is_revoked = entry->revoked != 0;
	bool says_why = !is_revoked || is_worth_saying(entry->reason);
	size_t whole = der_open(b, DER_SEQUENCE), list;

	der_put_unsigned(b, (struct bytes){entry->serial, APP_SERIAL_SIZE});
	der_put_time(b, is_revoked ? entry->revoked : crl->made);
	if (says_why || entry->invalidity != 0) {
		list = der_open(b, DER_SEQUENCE);
		if (says_why)
			reason_put(b, is_revoked ? entry->reason : REMOVE_FROM_CRL);
		if (entry->invalidity != 0)
			invalidity_put(b, entry->invalidity);
		der_close(b, list);
	}
	der_close(b, whole);
	crl->count++;
}

/* CRLNumber and BaseCRLNumber; without the latter a reader would take a delta for a full CRL, so it is critical. */
static void
number_put(struct buf *b, struct bytes oid, bool critical, int64_t number)
{
	size_t extension = der_open(b, DER_SEQUENCE), value;
	uint8_t octets[8];

	for (int i = 0; i < 8; i++)
		octets[i] = (uint8_t)((uint64_t)number >> (56 - 8 * i));
	der_put_oid(b, oid);
	if (critical)
		der_put_true(b);
	value = der_open(b, DER_OCTET_STRING);
	der_put_unsigned(b, (struct bytes){octets, sizeof(octets)});
	der_close(b, value);
	der_close(b, extension);
}

/* RFC 5280 5.2.6 */
static void
freshest_put(struct buf *b, const char *url)
{
	size_t extension = der_open(b, DER_SEQUENCE), value;

	der_put_oid(b, OID_FRESHEST_CRL);
	value = der_open(b, DER_OCTET_STRING);
	app_crl_points_put(b, url);
	der_close(b, value);
	der_close(b, extension);
}

void
app_crl_points_put(struct buf *b, const char *url)
{
	size_t list = der_open(b, DER_SEQUENCE), point = der_open(b, DER_SEQUENCE);
	size_t name = der_open(b, DER_CONTEXT_CONSTRUCTED(0)), full = der_open(b, DER_CONTEXT_CONSTRUCTED(0));

	der_put(b, DER_CONTEXT(URI_TAG), bytes_of_text(url));
	der_close(b, full);
	der_close(b, name);
	der_close(b, point);
	der_close(b, list);
}

int
app_crl_build(const struct app_issuer *issuer, const struct app_crl *crl, int64_t number, int64_t this_update,
	      int64_t next_update, struct buf *out)
{
	size_t whole, extensions, list;

	if (buf_status(&crl->entries) != 0)
		return buf_status(&crl->entries);
	if (number < 0 || crl->base < 0 || (crl->base != 0 && crl->base >= number))
		return ERR_LIMIT;
	whole = der_open(out, DER_SEQUENCE);
	der_put_int(out, 1); /* v2 */
	der_put_raw(out, issuer->algorithm);
	der_put_raw(out, issuer->cert.tbs.subject);
	der_put_time(out, this_update);
	der_put_time(out, next_update);
	if (crl->count > 0)
		der_put(out, DER_SEQUENCE, buf_bytes(&crl->entries));
	extensions = der_open(out, DER_CONTEXT_CONSTRUCTED(0));
	list = der_open(out, DER_SEQUENCE);
	app_cert_authority_key_id_put(out, issuer->key_id);
	number_put(out, OID_CRL_NUMBER, false, number);
	if (crl->base != 0)
		number_put(out, OID_DELTA_CRL_INDICATOR, true, crl->base);
	else if (crl->delta_url != NULL && crl->delta_url[0] != '\0')
		freshest_put(out, crl->delta_url);
	der_close(out, list);
	der_close(out, extensions);
	der_close(out, whole);
	return buf_status(out);
}

int64_t
app_crl_entries(struct bytes crl)
{
	struct view outer, tbs, list;
	struct der element;
	int64_t count = 0;

	if (der_whole(crl, DER_SEQUENCE, &outer) != 0 || der_expect(&outer, DER_SEQUENCE, &element) != 0)
		return 0;
	tbs = view_of(element.content);
	/* version, signature, issuer, thisUpdate, nextUpdate; then revokedCertificates if there are any */
	for (int i = 0; i < 5; i++) {
		if (der_next(&tbs, &element) != 0)
			return 0;
	}
	if (!der_peek(&tbs, DER_SEQUENCE) || der_next(&tbs, &element) != 0)
		return 0;
	list = view_of(element.content);
	while (list.left > 0 && der_next(&list, &element) == 0)
		count++;
	return count;
}
