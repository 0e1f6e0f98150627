#include "appliance/crl.h"

#include "board/base/der.h"
#include "board/base/oid.h"

void
app_crl_init(struct app_crl *crl)
{
	buf_init(&crl->entries, APP_CRL_LIMIT);
	crl->count = 0;
}

void
app_crl_fini(struct app_crl *crl)
{
	buf_fini(&crl->entries);
	crl->count = 0;
}

/* RFC 5280 5.3.1: the values that are for complete CRLs; 7 is unused, 8 is for delta CRLs. */
static bool
is_worth_saying(int reason)
{
	return reason > APP_REASON_UNSPECIFIED && reason <= 10 && reason != 7 && reason != 8;
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
	size_t whole = der_open(b, DER_SEQUENCE), list;

	der_put_unsigned(b, (struct bytes){entry->serial, APP_SERIAL_SIZE});
	der_put_time(b, entry->revoked);
	if (is_worth_saying(entry->reason) || entry->invalidity != 0) {
		list = der_open(b, DER_SEQUENCE);
		if (is_worth_saying(entry->reason))
			reason_put(b, entry->reason);
		if (entry->invalidity != 0)
			invalidity_put(b, entry->invalidity);
		der_close(b, list);
	}
	der_close(b, whole);
	crl->count++;
}

/* RFC 5280 5.2.1 and 5.2.3: both are in every CRL. */
static void
extensions_put(struct buf *b, struct bytes key_id, int64_t number)
{
	size_t list = der_open(b, DER_SEQUENCE), extension = der_open(b, DER_SEQUENCE), value, inside;
	uint8_t octets[8];
	int i;

	der_put_oid(b, OID_AUTHORITY_KEY_ID);
	value = der_open(b, DER_OCTET_STRING);
	inside = der_open(b, DER_SEQUENCE);
	der_put(b, DER_CONTEXT(0), key_id);
	der_close(b, inside);
	der_close(b, value);
	der_close(b, extension);

	for (i = 0; i < 8; i++)
		octets[i] = (uint8_t)((uint64_t)number >> (56 - 8 * i));
	extension = der_open(b, DER_SEQUENCE);
	der_put_oid(b, OID_CRL_NUMBER);
	value = der_open(b, DER_OCTET_STRING);
	der_put_unsigned(b, (struct bytes){octets, sizeof(octets)});
	der_close(b, value);
	der_close(b, extension);
	der_close(b, list);
}

int
app_crl_build(const struct app_issuer *issuer, const struct app_crl *crl, int64_t number, int64_t this_update,
	      int64_t next_update, struct buf *out)
{
	size_t whole, extensions;

	if (buf_status(&crl->entries) != 0)
		return buf_status(&crl->entries);
	if (number < 0)
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
	extensions_put(out, issuer->key_id, number);
	der_close(out, extensions);
	der_close(out, whole);
	return buf_status(out);
}
