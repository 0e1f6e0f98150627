#include "net/ocsp.h"

#include <string.h>

#include "board/base/der.h"
#include "board/base/oid.h"

enum { SHA1_SIZE = 20, SHA256_SIZE = 32 };

/* hashAlgorithm: SHA-1 (RFC 5019) or SHA-256 (RFC 9919), parameters NULL or none. */
static int
take_digest(struct bytes algorithm, enum digest *ret_digest)
{
	struct view v = view_of(algorithm);
	struct der oid;
	struct der parameters;

	if (der_expect(&v, DER_OID, &oid) != 0)
		return ERR_FORMAT;
	if (v.left > 0 && (der_expect(&v, DER_NULL, &parameters) != 0 || parameters.content.len != 0))
		return ERR_FORMAT;
	if (bytes_equal(oid.content, OID_SHA1))
		*ret_digest = DIGEST_SHA1;
	else if (bytes_equal(oid.content, OID_SHA256))
		*ret_digest = DIGEST_SHA256;
	else
		return ERR_ALG;
	return view_end(&v);
}

static int
take_id(struct bytes content, struct net_ocsp_id *id)
{
	struct view v = view_of(content);
	struct der algorithm;
	struct der name;
	struct der key;
	struct der serial;
	size_t size;
	int code;

	if (der_expect(&v, DER_SEQUENCE, &algorithm) != 0 || der_expect(&v, DER_OCTET_STRING, &name) != 0 ||
	    der_expect(&v, DER_OCTET_STRING, &key) != 0 || der_expect(&v, DER_INTEGER, &serial) != 0 ||
	    view_end(&v) != 0)
		return ERR_FORMAT;
	code = take_digest(algorithm.content, &id->digest);
	if (code != 0)
		return code;
	size = id->digest == DIGEST_SHA1 ? SHA1_SIZE : SHA256_SIZE;
	if (name.content.len != size || key.content.len != size || serial.content.len == 0)
		return ERR_FORMAT;
	/* RFC 5280 4.1.2.2: no certificate has a longer one. */
	if (serial.content.len > 20)
		return ERR_ALG;
	id->name_hash = name.content;
	id->key_hash = key.content;
	id->serial = serial.content;
	return 0;
}

/* Skips an element with this tag if it is next. */
static int
skip(struct view *v, uint8_t tag)
{
	struct der element;

	return der_peek(v, tag) ? der_next(v, &element) : 0;
}

/* Request ::= SEQUENCE { reqCert, [0] extensions OPTIONAL }, and no second one. */
static int
take_list(struct bytes list, struct net_ocsp_id *id)
{
	struct view v = view_of(list);
	struct view inside;
	struct der request;
	struct der cert;
	int code;

	if (der_expect(&v, DER_SEQUENCE, &request) != 0)
		return ERR_FORMAT;
	inside = view_of(request.content);
	if (der_expect(&inside, DER_SEQUENCE, &cert) != 0 || skip(&inside, DER_CONTEXT_CONSTRUCTED(0)) != 0 ||
	    view_end(&inside) != 0)
		return ERR_FORMAT;
	code = take_id(cert.content, id);
	if (code != 0 || v.left == 0)
		return code;
	return der_next(&v, &request) == 0 ? ERR_ALG : ERR_FORMAT;
}

int
net_ocsp_parse(struct bytes der, struct net_ocsp_id *ret_id)
{
	struct net_ocsp_id id = {0};
	struct view v;
	struct der tbs;
	struct der list;
	int code;

	if (der_whole(der, DER_SEQUENCE, &v) != 0 || der_expect(&v, DER_SEQUENCE, &tbs) != 0 ||
	    skip(&v, DER_CONTEXT_CONSTRUCTED(0)) != 0 || view_end(&v) != 0)
		return ERR_FORMAT;
	v = view_of(tbs.content);
	/* version, requestorName, requestList, requestExtensions */
	if (skip(&v, DER_CONTEXT_CONSTRUCTED(0)) != 0 || skip(&v, DER_CONTEXT_CONSTRUCTED(1)) != 0 ||
	    der_expect(&v, DER_SEQUENCE, &list) != 0 || skip(&v, DER_CONTEXT_CONSTRUCTED(2)) != 0 || view_end(&v) != 0)
		return ERR_FORMAT;
	code = take_list(list.content, &id);
	if (code == 0)
		*ret_id = id;
	return code;
}

struct bytes
net_ocsp_error(int status, uint8_t out[NET_OCSP_ERROR_SIZE])
{
	const uint8_t response[NET_OCSP_ERROR_SIZE] = {DER_SEQUENCE, 3, DER_ENUMERATED, 1, (uint8_t)status};

	memcpy(out, response, sizeof(response));
	return (struct bytes){out, NET_OCSP_ERROR_SIZE};
}
