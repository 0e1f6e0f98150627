#include "appliance/enroll_impl.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "appliance/renew.h"
#include "appliance/validity.h"
#include "board/base/clock.h"
#include "board/base/oid.h"

enum { SIGNATURE_MAX = 2048 /* RSA with 16,384 bits */ };

#define ALGORITHM_SHA256_RSA OID_BYTES("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00")

/* The outer signer of a first request has the request's key (RFC 8894 2.3).  Two encodings of one key are the same. */
static int
check_signer(struct app_enrollment *enrollment, const struct x509 *signer, struct err *e)
{
	struct evp_pkey_st *key = NULL;
	int status;
	bool same;

	if (bytes_equal(signer->tbs.spki, enrollment->csr.spki))
		return 0;
	status = x509_spki_key(signer->tbs.spki, &key, e);
	if (status != 0)
		return status;
	same = EVP_PKEY_eq(key, enrollment->csr.key) == 1;
	EVP_PKEY_free(key);
	return same ? 0 : err_set(e, ERR_DENIED, 0, "the message was signed with another key than the request's");
}

/*
 * Which challenge has to be reserved?  None when it is the static one.  Both are compared as keyed hashes, so that the
 * time this takes tells nothing about the static one, its length included.  Fails with ERR_DENIED where the profile
 * accepts the static one alone.
 */
static int
take_challenge(struct app_enrollment *enrollment)
{
	struct app_authority *a = enrollment->authority;
	struct app_issue *issue = &enrollment->issue;
	uint8_t fixed[APP_HASH_SIZE];

	issue->has_challenge = true;
	app_challenge_hash(a->challenge_key, enrollment->csr.challenge, issue->challenge_hash);
	if (a->static_challenge != NULL && strcmp(enrollment->profile.challenge, "one-time") != 0) {
		app_challenge_hash(a->challenge_key, secret_bytes(a->static_challenge), fixed);
		issue->has_challenge = !bytes_equal((struct bytes){fixed, sizeof(fixed)},
						    (struct bytes){issue->challenge_hash, APP_HASH_SIZE});
		secret_wipe(fixed, sizeof(fixed));
	}
	return issue->has_challenge && strcmp(enrollment->profile.challenge, "static") == 0 ? ERR_DENIED : 0;
}

/* Takes as long as verifying a request of the outer signer's key, which is the key of an honest one. */
static void
spend_proof(const struct msg_enroll *m)
{
	uint8_t signature[SIGNATURE_MAX];
	struct evp_pkey_st *key = NULL;
	struct x509 signer;
	int size;

	if (x509_parse(m->signer, &signer, NULL) != 0 || x509_spki_key(signer.tbs.spki, &key, NULL) != 0)
		return;
	size = EVP_PKEY_get_size(key);
	/* Below any modulus of that length, so that it is raised to the exponent. */
	memset(signature, 0x55, sizeof(signature));
	if (size > 0 && size <= SIGNATURE_MAX)
		(void)!x509_verify(key, ALGORITHM_SHA256_RSA, m->csr, (struct bytes){signature, (size_t)size}, NULL);
	EVP_PKEY_free(key);
}

/*
 * Parses the request and has it proved.  Until its own signature vouches for it, it may be somebody else's that was
 * changed on the way, by one who wants to learn from the answer what it says.  So all that is wrong before that gets
 * one answer, and takes one time (decisions/012).
 */
int
app_enroll_prove(struct app_enrollment *enrollment, const struct msg_enroll *m, struct app_refusal *ret_refusal,
		 struct err *e)
{
	struct app_issue *issue = &enrollment->issue;
	int status = app_csr_parse(m->csr, &enrollment->csr, e);

	if (status == 0) {
		enrollment->has_csr = true;
		x509_name_text(enrollment->csr.subject, issue->subject_text, sizeof(issue->subject_text));
		issue->key_usage = app_binding_requested_usage(enrollment->csr.extensions);
		return 0;
	}
	if (status != ERR_DENIED && status != ERR_VERIFY)
		spend_proof(m);
	*ret_refusal = app_refusal_unproved(status, e);
	return status;
}

/* What the template says of a proved request, and what it asks for. */
int
app_enroll_check(struct app_enrollment *enrollment, const struct app_template_entry *entry, bool renews, struct err *e)
{
	/* Whether it is bound to just that subjectAltName is for the store to see (struct app_claim). */
	bool may_be_bound = renews || enrollment->csr.challenge.len > 0;
	int status = app_profile_check(entry->profile, &enrollment->csr, may_be_bound, e);

	if (status == 0)
		status = app_cert_subject(entry->profile, &enrollment->csr, &enrollment->subject,
					  &enrollment->issue.subject, e);
	if (status == 0 &&
	    !x509_name_differs(enrollment->issue.subject.name, enrollment->authority->issuer.cert.tbs.subject))
		status = err_set(e, ERR_DENIED, 0, "the subject is the CA's own name");
	if (status == 0 && enrollment->authority->conf->ca_editf_attributeenddate)
		status = app_validity_requested(&enrollment->csr, clock_wall(), &enrollment->issue.requested_not_after,
						e);
	return status;
}

/* The old certificate vouches for the request; a challenge that came along is not looked at and stays as it is. */
int
app_enroll_authorize_renewal(struct app_enrollment *enrollment, const struct msg_enroll *m,
			     const struct app_template_entry *entry, const struct x509 *signer,
			     struct app_refusal *ret_refusal, struct err *e)
{
	struct app_issue *issue = &enrollment->issue;
	int status = app_renew_check(enrollment->authority, m, entry, signer, &enrollment->csr,
				     &enrollment->issue.subject, e);

	if (status != 0) {
		*ret_refusal = app_refusal_renewal(status, e);
		return status;
	}
	issue->renews = true;
	memcpy(issue->old_serial, signer->tbs.serial.data, APP_SERIAL_SIZE);
	x509_sha256(signer->whole, issue->old_hash);
	return 0;
}

/* Nothing vouches for who signed a first request, so the challenge has to. */
int
app_enroll_authorize_first(struct app_enrollment *enrollment, const struct app_template_entry *entry,
			   const struct x509 *signer, struct app_refusal *ret_refusal, struct err *e)
{
	int status = check_signer(enrollment, signer, e);

	if (status != 0) {
		*ret_refusal = app_refusal_for(status, e);
		return status;
	}
	enrollment->waits = enrollment->profile.approval || app_template_needs_approval(&entry->template);
	/* A module is never asked about a first request without a challenge (facts, microsoft.md 2.3). */
	if (enrollment->profile.policy_module[0] != '\0' && enrollment->csr.challenge.len == 0) {
		*ret_refusal = app_refusal_challenge(APP_CHALLENGE_MISSING);
		return ERR_DENIED;
	}
	/* Whether the challenge is good is for the module to say, which compares it with the whole request. */
	if (enrollment->profile.policy_module[0] != '\0')
		return 0;
	if (enrollment->csr.challenge.len == 0 && strcmp(enrollment->profile.challenge_missing, "pending") == 0) {
		enrollment->waits = true;
		return 0;
	}
	if (enrollment->csr.challenge.len == 0) {
		*ret_refusal = app_refusal_challenge(APP_CHALLENGE_MISSING);
		return ERR_DENIED;
	}
	status = take_challenge(enrollment);
	if (status != 0)
		*ret_refusal = app_refusal_challenge(APP_CHALLENGE_NOT_KNOWN);
	return status;
}

/*
 * What only a challenge that was bound to it may give, or the old certificate: a SID, and the power to ask for others.
 * The store compares it with the challenge; here is refused what has none that could be bound.
 */
int
app_enroll_take_bound(struct app_enrollment *enrollment, const struct app_template_entry *entry,
		      struct app_refusal *ret_refusal, struct err *e)
{
	struct app_issue *issue = &enrollment->issue;
	bool is_bindable = issue->renews || issue->has_challenge;
	bool is_vouched;
	char sid[APP_SID_SIZE] = "";
	int status = issue->subject.san.len > 0 ? app_san_sid(issue->subject.san, sid, e) : ERR_UNKNOWN;

	if (status == ERR_DENIED) {
		*ret_refusal = app_refusal_for(status, e);
		return status;
	}
	is_vouched = is_bindable || enrollment->profile.policy_module[0] != '\0';
	if ((!is_vouched && status == 0) || (!is_bindable && app_profile_is_agent(entry->profile))) {
		*ret_refusal = app_refusal_challenge(!is_vouched && status == 0 ? APP_CHALLENGE_BOUND_SAN
										: APP_CHALLENGE_BOUND_TEMPLATE);
		return ERR_DENIED;
	}
	if (status == 0 && app_profile_has_sid(entry->profile))
		snprintf(issue->subject.sid, sizeof(issue->subject.sid), "%s", sid);
	return 0;
}
