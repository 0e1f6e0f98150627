#include "appliance/csr.h"

#include <openssl/evp.h>

#include "board/base/der.h"
#include "board/base/oid.h"
#include "board/base/secret.h"
#include "board/base/x509.h"

CLEANUP(EVP_MD_CTX, EVP_MD_CTX_free)

enum { ATTRIBUTES_MAX = 32, CHALLENGE_MAX = 49152 /* of what fits into a URL */ };

struct parts {
	struct bytes info; /* CertificationRequestInfo, whole: what is signed */
	struct bytes algorithm;
	struct bytes signature;
	struct der attributes; /* tag 0 when absent */
};

/* RFC 2986 4.2 */
static int
outer_parse(struct bytes der, struct parts *parts)
{
	struct der info, algorithm, bits;
	struct view v;

	if (der_whole(der, DER_SEQUENCE, &v) != 0 || der_expect(&v, DER_SEQUENCE, &info) != 0 ||
	    der_expect(&v, DER_SEQUENCE, &algorithm) != 0 || der_expect(&v, DER_BIT_STRING, &bits) != 0 || v.left != 0)
		return ERR_FORMAT;
	if (bits.content.len < 1 || bits.content.data[0] != 0)
		return ERR_FORMAT;
	parts->info = info.whole;
	parts->algorithm = algorithm.whole;
	parts->signature = (struct bytes){bits.content.data + 1, bits.content.len - 1};
	return 0;
}

/* RFC 2986 4.1.  Clients that have no attributes leave [0] out, although it is not optional. */
static int
info_parse(struct parts *parts, struct app_csr *csr)
{
	struct der version, subject, spki;
	struct view v;
	int number;

	if (der_whole(parts->info, DER_SEQUENCE, &v) != 0 || der_expect(&v, DER_INTEGER, &version) != 0 ||
	    der_small_int(&version, &number) != 0 || number != 0)
		return ERR_FORMAT;
	if (der_expect(&v, DER_SEQUENCE, &subject) != 0 || der_expect(&v, DER_SEQUENCE, &spki) != 0)
		return ERR_FORMAT;
	if (v.left > 0 && der_expect(&v, DER_CONTEXT_CONSTRUCTED(0), &parts->attributes) != 0)
		return ERR_FORMAT;
	csr->subject = subject.whole;
	csr->spki = spki.whole;
	return v.left == 0 ? 0 : ERR_FORMAT;
}

/* The only member of a SET OF. */
static int
single_value(struct bytes values, struct der *ret_value)
{
	struct view v = view_of(values);

	if (der_next(&v, ret_value) != 0 || v.left != 0)
		return ERR_FORMAT;
	return 0;
}

/* RFC 2985 5.4.1, in whichever of the string types it came (facts C57). */
static int
challenge_parse(struct bytes values, struct app_csr *csr, struct err *e)
{
	AUTO_BUF text = {0};
	struct der value;
	struct view v;
	uint32_t c;

	if (single_value(values, &value) != 0 || value.content.len > CHALLENGE_MAX)
		return err_set(e, ERR_FORMAT, 0, "challengePassword is not one short string");
	buf_init(&text, 2 * CHALLENGE_MAX);
	v = view_of(value.content);
	while (v.left > 0) {
		if (der_text_next(value.tag, &v, &c) != 0 || c == 0)
			return err_set(e, ERR_FORMAT, 0, "challengePassword has octets that its type cannot have");
		der_text_put(&text, c);
	}
	if (buf_status(&text) != 0)
		return err_set(e, buf_status(&text), 0, "challengePassword");
	if (text.len > 0)
		csr->challenge.data = buf_take(&text, &csr->challenge.len);
	return 0;
}

static int
extensions_parse(struct bytes values, struct app_csr *csr, struct err *e)
{
	struct der value;

	if (csr->extensions.len > 0)
		return err_set(e, ERR_FORMAT, 0, "request asks for extensions twice");
	if (single_value(values, &value) != 0 || value.tag != DER_SEQUENCE)
		return err_set(e, ERR_FORMAT, 0, "extensionRequest");
	csr->extensions = value.whole;
	return 0;
}

/* Windows may repeat the attribute, and put several pairs into one (facts, microsoft.md 8.3). */
static int
pairs_parse(struct bytes values, struct app_csr *csr, struct err *e)
{
	struct view v = view_of(values);
	struct der pair;

	while (v.left > 0) {
		if (der_expect(&v, DER_SEQUENCE, &pair) != 0)
			return err_set(e, ERR_FORMAT, 0, "enrollment name and value pair");
		if (csr->pair_count == APP_CSR_PAIRS_MAX)
			return err_set(e, ERR_FORMAT, 0, "request with more than %d name and value pairs",
				       APP_CSR_PAIRS_MAX);
		csr->pairs[csr->pair_count++] = pair.whole;
	}
	return 0;
}

static bool
seen_before(const struct bytes *seen, size_t count, struct bytes oid)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (bytes_equal(seen[i], oid))
			return true;
	return false;
}

static int
attributes_parse(struct bytes content, struct app_csr *csr, struct err *e)
{
	struct bytes seen[ATTRIBUTES_MAX];
	struct der attribute, type, values;
	struct view v = view_of(content), inside;
	size_t count;
	int rc = 0;

	for (count = 0; rc == 0 && v.left > 0; count++) {
		if (count == ATTRIBUTES_MAX)
			return err_set(e, ERR_FORMAT, 0, "request with more than %d attributes", ATTRIBUTES_MAX);
		if (der_expect(&v, DER_SEQUENCE, &attribute) != 0)
			return err_set(e, ERR_FORMAT, 0, "request attributes");
		inside = view_of(attribute.content);
		if (der_expect(&inside, DER_OID, &type) != 0 || der_expect(&inside, DER_SET, &values) != 0 ||
		    inside.left != 0)
			return err_set(e, ERR_FORMAT, 0, "request attribute");
		seen[count] = type.content;
		if (bytes_equal(type.content, OID_MS_NAME_VALUE_PAIR)) {
			rc = pairs_parse(values.content, csr, e);
			continue;
		}
		if (seen_before(seen, count, type.content))
			return err_set(e, ERR_FORMAT, 0, "request with an attribute twice");
		if (bytes_equal(type.content, OID_CHALLENGE_PASSWORD))
			rc = challenge_parse(values.content, csr, e);
		else if (bytes_equal(type.content, OID_EXTENSION_REQUEST) ||
			 bytes_equal(type.content, OID_MS_EXTENSION_REQUEST))
			rc = extensions_parse(values.content, csr, e);
	}
	return rc;
}

/* Old clients sign with these; said apart, because their owners can change it.  NULL for any other algorithm. */
static const EVP_MD *
weak_digest(struct bytes algorithm)
{
	struct der oid;
	struct view v;

	if (der_whole(algorithm, DER_SEQUENCE, &v) != 0 || der_expect(&v, DER_OID, &oid) != 0)
		return NULL;
	if (bytes_equal(oid.content, OID_MD5_RSA))
		return EVP_md5();
	return bytes_equal(oid.content, OID_SHA1_RSA) || bytes_equal(oid.content, OID_ECDSA_SHA1) ? EVP_sha1() : NULL;
}

/*
 * Only a request that really is signed that way is told so: who changes the algorithm of somebody else's request learns
 * nothing (decisions/012).
 */
static int
weak_check(const struct parts *parts, EVP_PKEY *key, const EVP_MD *md, struct err *e)
{
	AUTO(EVP_MD_CTX) ctx = EVP_MD_CTX_new();

	if (ctx == NULL || EVP_DigestVerifyInit(ctx, NULL, md, NULL, key) != 1 ||
	    EVP_DigestVerify(ctx, parts->signature.data, parts->signature.len, parts->info.data, parts->info.len) != 1)
		return err_set_ossl(e, ERR_VERIFY, "request is not signed by its own key");
	return err_set(e, ERR_DENIED, 0, "request is signed with MD5 or SHA-1");
}

/* Proof of possession: the request is signed with the key that it brings. */
static int
key_prove(const struct parts *parts, struct app_csr *csr, struct err *e)
{
	const EVP_MD *weak = weak_digest(parts->algorithm);
	int rc = x509_spki_key(csr->spki, &csr->key, e);

	if (rc != 0)
		return rc;
	if (weak != NULL)
		return weak_check(parts, csr->key, weak, e);
	csr->key_bits = EVP_PKEY_get_bits(csr->key);
	csr->is_rsa = EVP_PKEY_get_base_id(csr->key) == EVP_PKEY_RSA;
	rc = x509_verify(csr->key, parts->algorithm, parts->info, parts->signature, NULL);
	if (rc == ERR_VERIFY)
		return err_set(e, rc, 0, "request is not signed by its own key");
	if (rc == ERR_ALG)
		return err_set(e, rc, 0, "signature algorithm of the request is unknown, or not one for its key");
	return rc == 0 ? 0 : err_set(e, rc, 0, "proof of possession");
}

int
app_csr_parse(struct bytes der, struct app_csr *ret_csr, struct err *e)
{
	struct app_csr csr = {.whole = der};
	struct parts parts = {.attributes.tag = 0};
	int rc = 0;

	if (der.len > CONFIG_APP_CSR_MAX)
		return err_set(e, ERR_LIMIT, 0, "request of %zu octets", der.len);
	if (outer_parse(der, &parts) != 0)
		return err_set(e, ERR_FORMAT, 0, "request is not PKCS#10 in DER");
	if (info_parse(&parts, &csr) != 0)
		return err_set(e, ERR_FORMAT, 0, "CertificationRequestInfo");
	if (parts.attributes.tag != 0)
		rc = attributes_parse(parts.attributes.content, &csr, e);
	if (rc == 0)
		rc = key_prove(&parts, &csr, e);
	if (rc != 0) {
		app_csr_fini(&csr);
		return rc;
	}
	*ret_csr = csr;
	return 0;
}

void
app_csr_move(struct app_csr *csr, const uint8_t *der)
{
	const uint8_t *old = csr->whole.data;
	struct bytes *const parts[] = {&csr->whole, &csr->subject, &csr->spki, &csr->extensions};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (parts[i]->data != NULL)
			parts[i]->data = der + (parts[i]->data - old);
	for (size_t i = 0; i < csr->pair_count; i++)
		csr->pairs[i].data = der + (csr->pairs[i].data - old);
}

void
app_csr_fini(struct app_csr *csr)
{
	if (csr->challenge.data != NULL)
		secret_wipe((void *)csr->challenge.data, csr->challenge.len);
	free((void *)csr->challenge.data);
	EVP_PKEY_free(csr->key);
	*csr = (struct app_csr){.key = NULL};
}
