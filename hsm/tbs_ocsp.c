#include "hsm/tbs_ocsp.h"

#include "board/base/der.h"
#include "board/base/oid.h"
#include "hsm/tbs.h"

enum { KEY_HASH_SIZE = 20 };

struct single {
	int64_t this_update;
	int64_t next_update;
};

static int
take_time(struct view *v, int64_t *ret_time)
{
	struct der element;

	return der_expect(v, DER_GENERALIZED_TIME, &element) != 0 ? ERR_FORMAT : der_time(&element, ret_time);
}

/* SHA-1 or SHA-256 with NULL, as we write it; then the size of its hashes. */
static size_t
hash_size(struct bytes algorithm)
{
	if (bytes_equal(algorithm, OID_BYTES("\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00")))
		return 20;
	return bytes_equal(algorithm, OID_BYTES("\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00")) ? 32 : 0;
}

/* Positive and minimal (RFC 5280 4.1.2.2). */
static bool
is_serial(struct bytes v)
{
	if (v.len == 0 || v.len > 20 || (v.data[0] & 0x80) != 0)
		return false;
	return v.data[0] != 0 || (v.len > 1 && (v.data[1] & 0x80) != 0);
}

/* hashAlgorithm, issuerNameHash, issuerKeyHash, serialNumber */
static int
check_cert_id(struct view *v)
{
	struct der element;
	struct der name;
	struct der key;
	struct view inside;
	size_t size;

	if (der_expect(v, DER_SEQUENCE, &element) != 0)
		return ERR_FORMAT;
	inside = view_of(element.content);
	if (der_expect(&inside, DER_SEQUENCE, &element) != 0)
		return ERR_FORMAT;
	size = hash_size(element.content);
	if (size == 0 || der_expect(&inside, DER_OCTET_STRING, &name) != 0 || name.content.len != size ||
	    der_expect(&inside, DER_OCTET_STRING, &key) != 0 || key.content.len != size ||
	    der_expect(&inside, DER_INTEGER, &element) != 0 || !is_serial(element.content))
		return ERR_FORMAT;
	return view_end(&inside);
}

/* good [0] NULL, revoked [1] { time, [0] reason OPTIONAL }; unknown is never signed */
static int
check_status(struct view *v)
{
	struct view inside;
	struct der element;
	int64_t when;

	if (der_peek(v, DER_CONTEXT(0)))
		return der_next(v, &element) == 0 && element.content.len == 0 ? 0 : ERR_FORMAT;
	if (der_expect(v, DER_CONTEXT_CONSTRUCTED(1), &element) != 0)
		return ERR_FORMAT;
	inside = view_of(element.content);
	if (take_time(&inside, &when) != 0)
		return ERR_FORMAT;
	if (inside.left > 0 && (der_expect(&inside, DER_CONTEXT_CONSTRUCTED(0), &element) != 0 ||
				der_whole(element.content, DER_ENUMERATED, &(struct view){0}) != 0))
		return ERR_FORMAT;
	return view_end(&inside);
}

/* The only SingleResponse in responses. */
static int
take_single(struct bytes responses, struct single *ret_single)
{
	struct der next;
	struct view v;
	struct view inside;

	if (der_whole(responses, DER_SEQUENCE, &v) != 0)
		return ERR_FORMAT;
	if (check_cert_id(&v) != 0 || check_status(&v) != 0 || take_time(&v, &ret_single->this_update) != 0 ||
	    der_expect(&v, DER_CONTEXT_CONSTRUCTED(0), &next) != 0 || view_end(&v) != 0)
		return ERR_FORMAT;
	inside = view_of(next.content);
	return take_time(&inside, &ret_single->next_update) != 0 ? ERR_FORMAT : view_end(&inside);
}

/* responderID by key, producedAt, responses; a version other than the default would stand before them. */
static int
parse(struct bytes data, int64_t *ret_produced, struct single *ret_single)
{
	struct view v;
	struct view key;
	struct der element;

	if (der_whole(data, DER_SEQUENCE, &v) != 0 || der_expect(&v, DER_CONTEXT_CONSTRUCTED(2), &element) != 0 ||
	    der_whole(element.content, DER_OCTET_STRING, &key) != 0 || key.left != KEY_HASH_SIZE ||
	    take_time(&v, ret_produced) != 0 || der_expect(&v, DER_SEQUENCE, &element) != 0 || view_end(&v) != 0)
		return ERR_FORMAT;
	return take_single(element.content, ret_single);
}

int
hsm_tbs_ocsp(struct bytes data, int64_t now, struct err *e)
{
	struct single single = {0};
	int64_t produced = 0;

	if (parse(data, &produced, &single) != 0)
		return err_set(e, ERR_FORMAT, 0, "refused to sign: not the ResponseData of one certificate");
	if (produced > now + HSM_TBS_SKEW_S || single.this_update > now + HSM_TBS_SKEW_S)
		return err_set(e, ERR_DENIED, 0, "refused to sign: the OCSP answer is from the future");
	if (single.next_update <= single.this_update || single.next_update > now + HSM_TBS_SKEW_S + HSM_TBS_OCSP_S)
		return err_set(e, ERR_DENIED, 0, "refused to sign: the OCSP answer's nextUpdate is out of bounds");
	return 0;
}
