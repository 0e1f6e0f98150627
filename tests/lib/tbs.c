#include "tests/lib/tbs.h"

#include "board/base/der.h"
#include "board/base/oid.h"
#include "tests/lib/test.h"

#define EMPTY ((struct bytes){NULL, 0})

struct tbs_plan
tbs_plan(struct bytes algorithm, struct bytes issuer, struct bytes subject, struct bytes spki, int64_t now)
{
	return (struct tbs_plan){
		.version = 2,
		.serial = OID_BYTES("\x47\x11"),
		.algorithm = algorithm,
		.issuer = issuer,
		.subject = subject,
		.spki = spki,
		.not_before = now - 3600,
		.not_after = now + 24 * 3600,
		.key_usage = 0xa0,
	};
}

/* One extension whose value is the DER in value. */
static void
put_extension(struct buf *out, struct bytes oid, struct bytes value)
{
	size_t mark = der_open(out, DER_SEQUENCE);

	der_put_oid(out, oid);
	der_put(out, DER_OCTET_STRING, value);
	der_close(out, mark);
}

static void
put_basic_constraints(struct buf *out, bool ca)
{
	AUTO_BUF value;
	size_t mark;

	buf_init(&value, 100);
	mark = der_open(&value, DER_SEQUENCE);
	if (ca)
		der_put_true(&value);
	der_close(&value, mark);
	put_extension(out, OID_BASIC_CONSTRAINTS, buf_bytes(&value));
}

static void
put_key_usage(struct buf *out, int usage)
{
	uint8_t bits[] = {0, (uint8_t)usage};
	AUTO_BUF value;

	buf_init(&value, 100);
	der_put(&value, DER_BIT_STRING, (struct bytes){bits, sizeof(bits)});
	put_extension(out, OID_KEY_USAGE, buf_bytes(&value));
}

static void
put_key_ids(struct buf *out, const struct tbs_plan *plan)
{
	AUTO_BUF value;
	size_t mark;

	buf_init(&value, 100);
	if (plan->subject_key_id.len != 0) {
		der_put(&value, DER_OCTET_STRING, plan->subject_key_id);
		put_extension(out, OID_SUBJECT_KEY_ID, buf_bytes(&value));
	}
	if (plan->authority_key_id.len != 0) {
		buf_clear(&value);
		mark = der_open(&value, DER_SEQUENCE);
		der_put(&value, DER_CONTEXT(0), plan->authority_key_id);
		der_close(&value, mark);
		put_extension(out, OID_AUTHORITY_KEY_ID, buf_bytes(&value));
	}
}

static void
put_extensions(struct buf *out, const struct tbs_plan *plan)
{
	size_t outer = der_open(out, DER_CONTEXT_CONSTRUCTED(3));
	size_t list = der_open(out, DER_SEQUENCE);

	if (!plan->bare) {
		put_basic_constraints(out, plan->ca);
		put_key_usage(out, plan->key_usage);
	}
	if (plan->extra.len != 0)
		put_extension(out, plan->extra, plan->extra_value);
	der_put_raw(out, plan->more);
	if (plan->twice)
		put_key_usage(out, plan->key_usage);
	put_key_ids(out, plan);
	der_close(out, list);
	der_close(out, outer);
}

void
tbs_put(struct buf *out, const struct tbs_plan *plan)
{
	size_t whole = der_open(out, DER_SEQUENCE);
	size_t mark;

	if (plan->version != 0) {
		mark = der_open(out, DER_CONTEXT_CONSTRUCTED(0));
		der_put_int(out, (unsigned)plan->version);
		der_close(out, mark);
	}
	der_put(out, DER_INTEGER, plan->serial);
	der_put_raw(out, plan->algorithm);
	der_put_raw(out, plan->issuer);
	mark = der_open(out, DER_SEQUENCE);
	der_put_time(out, plan->not_before);
	der_put_time(out, plan->not_after);
	der_close(out, mark);
	der_put_raw(out, plan->subject);
	der_put_raw(out, plan->spki);
	if (plan->version == 2)
		put_extensions(out, plan);
	der_close(out, whole);
	CHECK_INT(buf_status(out), 0);
}

void
tbs_crl_put(struct buf *out, const struct crl_plan *plan)
{
	size_t whole = der_open(out, DER_SEQUENCE);
	size_t list;
	size_t mark;
	size_t extra;

	if (plan->version != 0)
		der_put_int(out, (unsigned)plan->version);
	der_put_raw(out, plan->algorithm);
	der_put_raw(out, plan->issuer);
	der_put_time(out, plan->this_update);
	if (plan->next_update != 0)
		der_put_time(out, plan->next_update);
	list = der_open(out, DER_SEQUENCE);
	mark = der_open(out, DER_SEQUENCE);
	der_put_int(out, 7);
	der_put_time(out, plan->this_update);
	der_close(out, mark);
	der_close(out, list);
	mark = der_open(out, DER_CONTEXT_CONSTRUCTED(0));
	list = der_open(out, DER_SEQUENCE);
	put_key_ids(out, &(struct tbs_plan){.authority_key_id = plan->authority_key_id});
	put_extension(out, OID_CRL_NUMBER, OID_BYTES("\x02\x01\x01"));
	if (plan->extra.len > 0) {
		extra = der_open(out, DER_SEQUENCE);
		der_put_oid(out, plan->extra);
		if (plan->critical)
			der_put_true(out);
		der_put(out, DER_OCTET_STRING, OID_BYTES("\x02\x01\x01"));
		der_close(out, extra);
	}
	der_close(out, list);
	der_close(out, mark);
	der_close(out, whole);
	CHECK_INT(buf_status(out), 0);
}

void
tbs_request_put(struct buf *out, unsigned version, struct bytes name, struct bytes spki)
{
	size_t whole = der_open(out, DER_SEQUENCE);

	der_put_int(out, version);
	der_put_raw(out, name);
	der_put_raw(out, spki);
	der_put(out, DER_CONTEXT_CONSTRUCTED(0), EMPTY);
	der_close(out, whole);
	CHECK_INT(buf_status(out), 0);
}

static void
put_attribute(struct buf *out, struct bytes oid, struct bytes value)
{
	size_t whole = der_open(out, DER_SEQUENCE);

	der_put_oid(out, oid);
	der_put(out, DER_SET, value);
	der_close(out, whole);
}

static void
put_attributes(struct buf *out, bool message_type, struct bytes oid, struct bytes value)
{
	size_t whole = der_open(out, DER_SET);

	put_attribute(out, OID_CONTENT_TYPE, OID_BYTES("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"));
	put_attribute(out, OID_MESSAGE_DIGEST, OID_BYTES("\x04\x04\x01\x02\x03\x04"));
	if (message_type)
		put_attribute(out, OID_SCEP_MESSAGE_TYPE, OID_BYTES("\x13\x01\x33"));
	if (oid.len > 0)
		put_attribute(out, oid, value);
	der_close(out, whole);
	CHECK_INT(buf_status(out), 0);
}

void
tbs_attributes_put(struct buf *out, bool message_type)
{
	put_attributes(out, message_type, (struct bytes){NULL, 0}, (struct bytes){NULL, 0});
}

void
tbs_attributes_put_more(struct buf *out, struct bytes oid, struct bytes value)
{
	put_attributes(out, true, oid, value);
}

void
tbs_announcement_put(struct buf *out)
{
	size_t whole = der_open(out, DER_SET);

	put_attribute(out, OID_CONTENT_TYPE, OID_BYTES("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"));
	put_attribute(out, OID_SIGNING_TIME, OID_BYTES("\x17\x0d\x32\x36\x31\x31\x32\x32\x31\x32\x30\x30\x30\x30\x5a"));
	put_attribute(out, OID_MESSAGE_DIGEST, OID_BYTES("\x04\x04\x01\x02\x03\x04"));
	der_close(out, whole);
	CHECK_INT(buf_status(out), 0);
}

void
tbs_join(struct buf *out, struct bytes tbs, struct bytes algorithm, struct bytes signature)
{
	size_t whole = der_open(out, DER_SEQUENCE);

	der_put_raw(out, tbs);
	der_put_raw(out, algorithm);
	der_put_bits(out, signature);
	der_close(out, whole);
	CHECK_INT(buf_status(out), 0);
}
