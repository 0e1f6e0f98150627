#include "appliance/terms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/binding.h"
#include "appliance/template_impl.h"
#include "appliance/validity.h"
#include "board/base/der.h"
#include "board/base/oid.h"
#include "board/base/x509.h"

/* "1 Years" of a client is not always 365 days, and its clock not always ours. */
enum { VALIDITY_GRACE_S = 2 * 86400, DAY_S = 86400, WORDS_SIZE = 120 };

void
app_terms_fini(struct app_terms *terms)
{
	free((void *)(uintptr_t)terms->subject.data);
	free((void *)(uintptr_t)terms->san.data);
	memset(terms, 0, sizeof(*terms));
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

/* The same characters, whatever the string type. */
static bool
is_same_text(const struct der *a, const struct der *b)
{
	struct view v = view_of(a->content), w = view_of(b->content);
	uint32_t x, y;

	while (v.left > 0 && w.left > 0)
		if (der_text_next(a->tag, &v, &x) != 0 || der_text_next(b->tag, &w, &y) != 0 || x != y)
			return false;
	return v.left == 0 && w.left == 0;
}

static bool
is_same_attribute(const struct der *a, const struct der *b)
{
	struct view v = view_of(a->content), w = view_of(b->content);
	struct der type, other_type, value, other_value;

	return der_expect(&v, DER_OID, &type) == 0 && der_expect(&w, DER_OID, &other_type) == 0 &&
	       der_next(&v, &value) == 0 && der_next(&w, &other_value) == 0 && v.left == 0 && w.left == 0 &&
	       bytes_equal(type.content, other_type.content) && is_same_text(&value, &other_value);
}

/* Attributes of one RDN, in the order of the encoding: the terms never have more than one. */
static bool
is_same_rdn(const struct der *a, const struct der *b)
{
	struct view v = view_of(a->content), w = view_of(b->content);
	struct der one, other;

	while (v.left > 0 && w.left > 0)
		if (der_expect(&v, DER_SEQUENCE, &one) != 0 || der_expect(&w, DER_SEQUENCE, &other) != 0 ||
		    !is_same_attribute(&one, &other))
			return false;
	return v.left == 0 && w.left == 0;
}

bool
app_terms_same_name(struct bytes a, struct bytes b)
{
	struct view v, w;
	struct der rdn, other;

	if (der_whole(a, DER_SEQUENCE, &v) != 0 || der_whole(b, DER_SEQUENCE, &w) != 0)
		return false;
	while (v.left > 0 && w.left > 0)
		if (der_expect(&v, DER_SET, &rdn) != 0 || der_expect(&w, DER_SET, &other) != 0 ||
		    !is_same_rdn(&rdn, &other))
			return false;
	return v.left == 0 && w.left == 0;
}

/* ---- what the request asks for ----------------------------------------------------------------------------------- */

/* One request and what it is compared with. */
struct check {
	const struct app_terms *terms;
	const struct app_csr *csr;
	const char *template_name;
	int64_t now;
	char *why;
};

static enum app_registration_reason
refuse(const struct check *check, enum app_registration_reason reason, const char *why)
{
	snprintf(check->why, APP_TERMS_WHY, "%s", why);
	return reason;
}

/* The value of an extension that is asked for; empty when it is not.  False when the list cannot be read. */
static bool
requested(const struct check *check, struct bytes oid, struct bytes *ret_value)
{
	struct x509_extension extension;
	struct view list;
	bool end = false, seen = false;

	*ret_value = (struct bytes){NULL, 0};
	if (check->csr->extensions.len == 0)
		return true;
	if (der_whole(check->csr->extensions, DER_SEQUENCE, &list) != 0)
		return false;
	for (;;) {
		if (x509_extension_next(&list, &extension, &end) != 0)
			return false;
		if (end)
			return true;
		if (!bytes_equal(extension.oid, oid))
			continue;
		if (seen)
			return false;
		seen = true;
		*ret_value = extension.value;
	}
}

static enum app_registration_reason
check_subject(const struct check *check)
{
	char asked[APP_TERMS_WHY / 2];
	struct view v;

	if (der_whole(check->csr->subject, DER_SEQUENCE, &v) != 0 || v.left == 0)
		return refuse(check, APP_REGISTRATION_SUBJECT_MISSING, "subject: the request has none");
	if (app_terms_same_name(check->terms->subject, check->csr->subject))
		return APP_REGISTRATION_SUCCESS;
	snprintf(check->why, APP_TERMS_WHY, "subject: the request has another: %s",
		 x509_name_text(check->csr->subject, asked, sizeof(asked)));
	return APP_REGISTRATION_SUBJECT_MISMATCH;
}

static enum app_registration_reason
check_san(const struct check *check)
{
	struct bytes san;
	struct view wanted;

	if (!requested(check, OID_SUBJECT_ALT_NAME, &san))
		return refuse(check, APP_REGISTRATION_REQUEST_DECODING, "extensions: cannot be read");
	if (san.len == 0 && der_whole(check->terms->san, DER_SEQUENCE, &wanted) == 0 && wanted.left > 0)
		return refuse(check, APP_REGISTRATION_SAN_MISSING, "subjectAltName: the request has none");
	if (app_binding_same_san(check->terms->san, san))
		return APP_REGISTRATION_SUCCESS;
	return refuse(check, APP_REGISTRATION_SAN_MISMATCH, "subjectAltName: the request has other names");
}

/* Each of what is asked for is in purposes; ret_count tells how many there are. */
static bool
are_among(struct bytes value, const struct app_oids *purposes, size_t *ret_count)
{
	struct view v;
	struct der oid;
	size_t count = 0;

	if (der_whole(value, DER_SEQUENCE, &v) != 0)
		return false;
	for (; v.left > 0; count++)
		if (der_expect(&v, DER_OID, &oid) != 0 || !app_words_oids_have(purposes, oid.content))
			return false;
	*ret_count = count;
	return true;
}

static bool
has_purpose(struct bytes value, struct bytes purpose)
{
	struct view v;
	struct der oid;

	if (der_whole(value, DER_SEQUENCE, &v) != 0)
		return false;
	while (v.left > 0 && der_next(&v, &oid) == 0)
		if (bytes_equal(oid.content, purpose))
			return true;
	return false;
}

/*
 * A client that asks for none, as Apple's and strongSwan's, gets what the template says, which the profile agrees
 * with.
 */
static enum app_registration_reason
check_purposes(const struct check *check)
{
	const struct app_oids *purposes = &check->terms->purposes;
	struct view v = view_of((struct bytes){purposes->der, purposes->len});
	struct bytes asked;
	struct der oid;
	size_t count;

	if (!requested(check, OID_EXT_KEY_USAGE, &asked))
		return refuse(check, APP_REGISTRATION_REQUEST_DECODING, "extensions: cannot be read");
	if (asked.len == 0)
		return APP_REGISTRATION_SUCCESS;
	if (!are_among(asked, purposes, &count))
		return refuse(check, APP_REGISTRATION_EKU_MISMATCH,
			      "extendedKeyUsage: the request asks for what the profile has not");
	while (v.left > 0 && der_next(&v, &oid) == 0)
		if (!has_purpose(asked, oid.content))
			return refuse(check, APP_REGISTRATION_EKU_MISSING,
				      "extendedKeyUsage: the request does not ask for all that the profile has");
	return APP_REGISTRATION_SUCCESS;
}

static enum app_registration_reason
check_key_usage(const struct check *check)
{
	struct bytes value;
	unsigned asked;

	if (!requested(check, OID_KEY_USAGE, &value))
		return refuse(check, APP_REGISTRATION_REQUEST_DECODING, "extensions: cannot be read");
	asked = app_binding_requested_usage(check->csr->extensions);
	if (value.len == 0 || asked == check->terms->key_usage)
		return APP_REGISTRATION_SUCCESS;
	snprintf(check->why, APP_TERMS_WHY, "keyUsage: the request asks for 0x%02X, the profile has 0x%02X", asked,
		 check->terms->key_usage);
	return APP_REGISTRATION_KEY_USAGE;
}

static enum app_registration_reason
check_key(const struct check *check)
{
	static const struct {
		bool is_rsa;
		int bits;
		unsigned size;
	} known[] = {{true, 2048, APP_KEY_RSA_2048}, {true, 3072, APP_KEY_RSA_3072}, {true, 4096, APP_KEY_RSA_4096},
		     {false, 256, APP_KEY_P256},     {false, 384, APP_KEY_P384},     {false, 521, APP_KEY_P521}};
	AUTO_BUF words = {0};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (check->csr->is_rsa == known[i].is_rsa && check->csr->key_bits == known[i].bits &&
		    (check->terms->key_sizes & known[i].size) != 0)
			return APP_REGISTRATION_SUCCESS;
	buf_init(&words, WORDS_SIZE);
	app_certprofile_key_words(check->terms->key_sizes, &words);
	snprintf(check->why, APP_TERMS_WHY, "key: %s of %d bits, the profile has %.*s",
		 check->csr->is_rsa ? "RSA" : "EC", check->csr->key_bits, (int)words.len, (const char *)words.data);
	return APP_REGISTRATION_KEY_LENGTH;
}

/* The hash of the request's signature; 0 for others. */
static unsigned
hash_of(const struct app_csr *csr)
{
	const struct {
		struct bytes oid;
		unsigned hash;
	} known[] = {
		{OID_SHA256_RSA, APP_HASH_SHA256},   {OID_SHA384_RSA, APP_HASH_SHA384},
		{OID_SHA512_RSA, APP_HASH_SHA512},   {OID_ECDSA_SHA256, APP_HASH_SHA256},
		{OID_ECDSA_SHA384, APP_HASH_SHA384}, {OID_ECDSA_SHA512, APP_HASH_SHA512},
	};
	struct der info, algorithm, oid;
	struct view v;

	if (der_whole(csr->whole, DER_SEQUENCE, &v) != 0 || der_next(&v, &info) != 0 ||
	    der_expect(&v, DER_SEQUENCE, &algorithm) != 0)
		return 0;
	v = view_of(algorithm.content);
	if (der_expect(&v, DER_OID, &oid) != 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (bytes_equal(known[i].oid, oid.content))
			return known[i].hash;
	return 0;
}

static enum app_registration_reason
check_hash(const struct check *check)
{
	AUTO_BUF words = {0};

	if ((hash_of(check->csr) & check->terms->hashes) != 0)
		return APP_REGISTRATION_SUCCESS;
	buf_init(&words, WORDS_SIZE);
	app_certprofile_hash_words(check->terms->hashes, &words);
	snprintf(check->why, APP_TERMS_WHY, "hash: the request is signed with another than %.*s", (int)words.len,
		 (const char *)words.data);
	return APP_REGISTRATION_SIGNATURE;
}

static enum app_registration_reason
check_validity(const struct check *check)
{
	int64_t asked = 0;
	struct err e = {0};

	if (app_validity_requested(check->csr, check->now, &asked, &e) != 0) {
		snprintf(check->why, APP_TERMS_WHY, "validity: %s", e.text);
		return APP_REGISTRATION_REQUEST_DECODING;
	}
	if (asked - check->now <= (int64_t)check->terms->validity_days * DAY_S + VALIDITY_GRACE_S)
		return APP_REGISTRATION_SUCCESS;
	snprintf(check->why, APP_TERMS_WHY, "validity: the request asks for more than the %d days of the profile",
		 check->terms->validity_days);
	return APP_REGISTRATION_CHALLENGE_TIMESTAMP;
}

static enum app_registration_reason
check_template(const struct check *check)
{
	if (strcmp(check->terms->template_name, check->template_name) == 0)
		return APP_REGISTRATION_SUCCESS;
	snprintf(check->why, APP_TERMS_WHY, "template: the request would be of %s, the profile has %s",
		 check->template_name, check->terms->template_name);
	return APP_REGISTRATION_REQUEST_ID;
}

enum app_registration_reason
app_terms_check(const struct app_terms *terms, const struct app_csr *csr, const char *template_name, int64_t now,
		char why[APP_TERMS_WHY])
{
	static enum app_registration_reason (*const checks[])(const struct check *check) = {
		check_subject, check_san,  check_purposes, check_key_usage,
		check_key,     check_hash, check_template, check_validity,
	};
	const struct check check = {.terms = terms, .csr = csr, .template_name = template_name, .now = now, .why = why};
	enum app_registration_reason reason = APP_REGISTRATION_SUCCESS;

	why[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(checks) && reason == APP_REGISTRATION_SUCCESS; i++)
		reason = checks[i](&check);
	return reason;
}
