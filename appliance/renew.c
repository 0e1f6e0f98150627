#include "appliance/renew.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <string.h>

#include "board/base/clock.h"
#include "board/base/der.h"
#include "board/base/oid.h"

CLEANUP(EVP_MD_CTX, EVP_MD_CTX_free)
CLEANUP(EVP_PKEY, EVP_PKEY_free)

enum { PKCS_REQ = 19, RENEWAL_REQ = 17, DAY_S = 86400 };

/* ---- whose key ---- */

/* Two encodings of one key are the same key. */
static bool
is_same_key(const struct x509 *signer, const struct app_csr *csr)
{
	AUTO(EVP_PKEY) key = NULL;

	if (bytes_equal(signer->tbs.spki, csr->spki))
		return true;
	return x509_spki_key(signer->tbs.spki, &key, NULL) == 0 && EVP_PKEY_eq(key, csr->key) == 1;
}

/*
 * With a challenge, and signed by the key that it is for, it could be a first request as well: one for another name, or
 * after the old certificate ended.  Else its signer meant a renewal: certmonger sends the challenge of its file every
 * time, used or not.
 */
static bool
could_be_first(const struct x509 *signer, const struct app_csr *csr)
{
	if (csr->challenge.len == 0 || !is_same_key(signer, csr))
		return false;
	return !app_name_same(csr->subject, signer->tbs.subject) || clock_wall() > signer->tbs.not_after;
}

bool
app_renew_is(const struct app_authority *a, const struct msg_enroll *m, const struct x509 *signer,
	     const struct app_csr *csr)
{
	if (!a->conf->scep_renewal)
		return false;
	if (m->message_type == RENEWAL_REQ)
		return true;
	return m->message_type == PKCS_REQ && app_generation_names(a, signer) && !could_be_first(signer, csr);
}

/* ---- signatures ---- */

/* Whichever generation of the CA it was; that certificate cannot outlive its CA. */
static int
check_issuer(const struct app_authority *a, const struct x509 *signer, struct err *e)
{
	unsigned generation;

	if (!app_generation_names(a, signer) || signer->tbs.serial.len != APP_SERIAL_SIZE)
		return err_set(e, ERR_UNKNOWN, 0, "renewal: the signer's certificate is not one of this CA");
	if (app_generation_of(a, signer, &generation) != 0)
		return err_set(e, ERR_UNKNOWN, 0, "renewal: this CA did not sign the signer's certificate");
	return 0;
}

/* Does the attribute of this type have exactly one value, a string with this content? */
static bool
attribute_is(struct bytes attributes, struct bytes oid, struct bytes content)
{
	struct der attribute, type, values, value;
	struct view list, inner;
	size_t found = 0;

	if (der_whole(attributes, DER_SET, &list) != 0)
		return false;
	while (view_end(&list) != 0) {
		if (der_expect(&list, DER_SEQUENCE, &attribute) != 0)
			return false;
		inner = view_of(attribute.content);
		if (der_expect(&inner, DER_OID, &type) != 0 || der_expect(&inner, DER_SET, &values) != 0)
			return false;
		if (!bytes_equal(type.content, oid))
			continue;
		inner = view_of(values.content);
		if (der_next(&inner, &value) != 0 || view_end(&inner) != 0 || !bytes_equal(value.content, content))
			return false;
		found++;
	}
	return found == 1;
}

static const char *
digest_name(unsigned digest)
{
	static const char *const names[DIGEST_COUNT] = {
		[DIGEST_SHA1] = "SHA1",
		[DIGEST_SHA256] = "SHA256",
		[DIGEST_SHA384] = "SHA384",
		[DIGEST_SHA512] = "SHA512",
	};

	return digest < DIGEST_COUNT ? names[digest] : "";
}

static bool
is_signature_good(const struct msg_enroll *m, EVP_PKEY *key)
{
	AUTO(EVP_MD_CTX) context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *how = NULL;

	if (context == NULL || EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA ||
	    EVP_DigestVerifyInit_ex(context, &how, digest_name(m->digest), NULL, NULL, key, NULL) != 1)
		return false;
	if (m->is_pss != 0 && (EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING) <= 0 ||
			       EVP_PKEY_CTX_set_rsa_mgf1_md_name(how, digest_name(m->mgf_digest), NULL) <= 0 ||
			       EVP_PKEY_CTX_set_rsa_pss_saltlen(how, RSA_PSS_SALTLEN_AUTO) <= 0))
		return false;
	return EVP_DigestVerify(context, m->signature.data, m->signature.len, m->attributes.data, m->attributes.len) ==
	       1;
}

/* The front verified it too; but who is in the front shall not renew what nobody asked to be renewed. */
static int
check_message(const struct app_authority *a, const struct msg_enroll *m, const struct x509 *signer, struct err *e)
{
	AUTO(EVP_PKEY) key = NULL;
	struct config_profile profile;
	char type[8];

	snprintf(type, sizeof(type), "%u", m->message_type);
	if (config_profile_find(a->conf, bytes_of_text(m->profile), &profile) != 0)
		return err_set(e, ERR_BUSY, 0, "profile %s", m->profile);
	if (m->digest == DIGEST_SHA1 && !profile.sha1)
		return err_set(e, ERR_VERIFY, 0, "renewal: SHA-1 is not allowed");
	if (m->signature.len == 0 || x509_spki_key(signer->tbs.spki, &key, NULL) != 0 || !is_signature_good(m, key))
		return err_set_ossl(e, ERR_VERIFY, "renewal: the old certificate's key did not sign the message");
	if (!attribute_is(m->attributes, OID_SCEP_MESSAGE_TYPE, bytes_of_text(type)) ||
	    !attribute_is(m->attributes, OID_SCEP_TRANSACTION_ID, m->transaction_id))
		return err_set(e, ERR_VERIFY, 0, "renewal: the signature is for another message");
	return 0;
}

/* ---- rules ---- */

static int
check_time(const struct app_authority *a, const struct app_template *template, const struct x509 *signer, struct err *e)
{
	const struct config *conf = a->conf;
	bool has_own = template->renewal_days > 0;
	int window = has_own ? template->renewal_days : conf->scep_renewal_window_days;
	int64_t now = clock_wall();
	int64_t end = signer->tbs.not_after;

	if (now < signer->tbs.not_before)
		return err_set(e, ERR_DENIED, 0, "renewal: the old certificate is not valid yet");
	if (now >= end + (int64_t)conf->scep_renewal_grace_days * DAY_S)
		return err_set(e, ERR_DENIED, 0, "renewal: the old certificate has ended (scep.renewal_grace_days %d)",
			       conf->scep_renewal_grace_days);
	if (window > 0 && now < end - (int64_t)window * DAY_S)
		return err_set(e, ERR_DENIED, 0, "renewal: too early, the certificate ends in %lld days (%s %d)",
			       (long long)(end - now) / DAY_S,
			       has_own ? "renewal_days of the template" : "scep.renewal_window_days", window);
	return 0;
}

/* Is the GeneralName, whole, one of those in san? */
static bool
has_name(struct bytes san, struct bytes name)
{
	struct der one;
	struct view list;

	if (der_whole(san, DER_SEQUENCE, &list) != 0)
		return false;
	while (view_end(&list) != 0) {
		if (der_next(&list, &one) != 0)
			return false;
		if (bytes_equal(one.whole, name))
			return true;
	}
	return false;
}

static bool
has_all_names(struct bytes san, struct bytes wanted)
{
	struct der one;
	struct view list;

	if (der_whole(wanted, DER_SEQUENCE, &list) != 0)
		return false;
	while (view_end(&list) != 0) {
		if (der_next(&list, &one) != 0 || !has_name(san, one.whole))
			return false;
	}
	return true;
}

/* A SID is taken from the old certificate and from nowhere else, whatever may change by scep.renewal_subject_match. */
static bool
has_same_sid(struct bytes san, struct bytes wanted)
{
	char had[APP_SID_SIZE], asked[APP_SID_SIZE];
	int status = app_san_sid(wanted, asked, NULL);

	if (status == ERR_UNKNOWN)
		return true;
	return status == 0 && san.len > 0 && app_san_sid(san, had, NULL) == 0 && strcmp(had, asked) == 0;
}

/* subjectAltName as in the old certificate: the same names, some of them, or none mentioned, which keeps them. */
static int
check_names(const struct app_authority *a, const struct app_profile *profile, const struct x509 *signer,
	    struct app_subject *subject, struct err *e)
{
	struct x509_extension old = {.critical = false};
	int status = x509_extension_find(&signer->tbs, OID_SUBJECT_ALT_NAME, &old);

	if (status != 0 && status != ERR_UNKNOWN)
		return err_set(e, ERR_DENIED, 0, "renewal: the old certificate's extensions");
	if (a->conf->scep_renewal_subject_match) {
		if (!app_name_same(subject->name, signer->tbs.subject))
			return err_set(e, ERR_DENIED, 0, "renewal: another subject (scep.renewal_subject_match)");
		if (subject->san.len > 0 && !has_all_names(old.value, subject->san))
			return err_set(e, ERR_DENIED, 0,
				       "renewal: another subjectAltName (scep.renewal_subject_match)");
	}
	if (subject->san.len > 0 && !has_same_sid(old.value, subject->san))
		return err_set(e, ERR_DENIED, 0, "renewal: a SID that the old certificate has not");
	if (subject->san.len > 0 || old.value.len == 0)
		return 0;
	subject->san = old.value;
	/* The template may have changed since. */
	return app_profile_check_san(profile, subject->san, true, e);
}

int
app_renew_check(const struct app_authority *a, const struct msg_enroll *m, const struct app_template_entry *entry,
		const struct x509 *signer, const struct app_csr *csr, struct app_subject *subject, struct err *e)
{
	int status = check_issuer(a, signer, e);

	if (status == 0)
		status = check_message(a, m, signer, e);
	if (status == 0)
		status = check_time(a, &entry->template, signer, e);
	if (status == 0 && !a->conf->scep_renewal_same_key && is_same_key(signer, csr))
		status = err_set(e, ERR_DENIED, 0, "renewal: a new key is wanted (scep.renewal_same_key)");
	if (status == 0)
		status = check_names(a, entry->profile, signer, subject, e);
	return status;
}
