#include "appliance/registration_check.h"

#include <stdio.h>
#include <string.h>

#include "appliance/state.h"
#include "appliance/store_registration.h"
#include "board/base/clock.h"
#include "board/base/log.h"
#include "board/base/x509.h"

/* A challenge from the future: our clock went back. */
enum { CLOCK_GRACE_S = 300, CHALLENGE_MIN = 8 };

/* One call on its way. */
struct call {
	struct app_authority *authority;
	app_policy_fn fn;
	void *arg;
	struct app_store_request request;
	struct app_registration_record record;
	struct bytes der; /* the request, owned: csr borrows from it */
	struct app_csr csr;
	bool is_parsed;
	bool renews;
	uint8_t signer[APP_HASH_SIZE]; /* with renews: SHA-256 of the old certificate */
	char template_name[APP_TEMPLATE_NAME];
};

const char *
app_registration_reason_name(enum app_registration_reason reason)
{
	static const char *const names[APP_REGISTRATION_REASONS] = {
		[APP_REGISTRATION_UNKNOWN] = "Unknown",
		[APP_REGISTRATION_SUCCESS] = "Success",
		[APP_REGISTRATION_REQUEST_DECODING] = "CertificateRequestDecodingFailed",
		[APP_REGISTRATION_CHALLENGE_MISSING] = "ChallengePasswordMissing",
		[APP_REGISTRATION_CHALLENGE_DESERIALIZATION] = "ChallengeDeserializationError",
		[APP_REGISTRATION_CHALLENGE_DECRYPTION] = "ChallengeDecryptionError",
		[APP_REGISTRATION_CHALLENGE_DECODING] = "ChallengeDecodingError",
		[APP_REGISTRATION_CHALLENGE_TIMESTAMP] = "ChallengeInvalidTimestamp",
		[APP_REGISTRATION_CHALLENGE_EXPIRED] = "ChallengeExpired",
		[APP_REGISTRATION_SUBJECT_MISSING] = "SubjectNameMissing",
		[APP_REGISTRATION_SUBJECT_MISMATCH] = "SubjectNameMismatch",
		[APP_REGISTRATION_SAN_MISSING] = "SubjectAltNameMissing",
		[APP_REGISTRATION_SAN_MISMATCH] = "SubjectAltNameMismatch",
		[APP_REGISTRATION_KEY_USAGE] = "KeyUsageMismatch",
		[APP_REGISTRATION_KEY_LENGTH] = "KeyLengthMismatch",
		[APP_REGISTRATION_EKU_MISSING] = "EnhancedKeyUsageMissing",
		[APP_REGISTRATION_EKU_MISMATCH] = "EnhancedKeyUsageMismatch",
		[APP_REGISTRATION_AAD_KEY_MISSING] = "AadKeyIdentifierListMissing",
		[APP_REGISTRATION_REGISTERED_KEY] = "RegisteredKeyMismatch",
		[APP_REGISTRATION_SIGNING_CERTIFICATE] = "SigningCertThumbprintMismatch",
		[APP_REGISTRATION_NO_LONGER_TARGETED] = "ScepProfileNoLongerTargetedToTheClient",
		[APP_REGISTRATION_SIGNATURE] = "SignatureValidationFailed",
		[APP_REGISTRATION_REQUEST_ID] = "BadCertificateRequestIdInChallenge",
		[APP_REGISTRATION_DEVICE_ID] = "BadDeviceIdInChallenge",
		[APP_REGISTRATION_USER_ID] = "BadUserIdInChallenge",
	};

	return reason >= 0 && reason < APP_REGISTRATION_REASONS ? names[reason] : names[APP_REGISTRATION_UNKNOWN];
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

static void
call_free(struct call *call)
{
	if (call->is_parsed)
		app_csr_fini(&call->csr);
	app_registration_record_fini(&call->record);
	app_store_request_fini(&call->request);
	free((void *)(uintptr_t)call->der.data);
	free(call);
}

static void
answer(struct call *call, int code, enum app_registration_reason reason, const char *text)
{
	const struct app_policy_answer a = {
		.code = code,
		.granted = code == 0 && reason == APP_REGISTRATION_SUCCESS,
		.reason = code == 0 ? app_registration_reason_name(reason) : "",
		.text = text,
	};

	call->fn(&a, call->arg);
	call_free(call);
}

static void
answer_failure(struct call *call, int code)
{
	answer(call, code, APP_REGISTRATION_UNKNOWN, "the store of the registration point cannot be asked");
}

static struct call *
call_new(struct app_authority *a, app_policy_fn fn, void *arg, const char *transaction_id, const char *peer)
{
	struct call *call = calloc(1, sizeof(*call));

	if (call == NULL)
		return NULL;
	call->authority = a;
	call->fn = fn;
	call->arg = arg;
	call->request.arg = call;
	call->request.now = clock_wall();
	call->request.registration = &call->record;
	snprintf(call->request.transaction_id, sizeof(call->request.transaction_id), "%s", transaction_id);
	snprintf(call->request.peer, sizeof(call->request.peer), "%s", peer);
	return call;
}

static void
refuse(struct call *call, enum app_registration_reason reason, const char *text)
{
	call->record.reason = reason;
	snprintf(call->record.text, sizeof(call->record.text), "%s", text);
}

/* ---- the request ------------------------------------------------------------------------------------------------- */

/* RFC 2986: what the request is, or the reason why not.  The transaction is that of its key. */
static int
read_csr(struct call *call, struct bytes der)
{
	struct err e = {0};
	int code;

	x509_sha256(der, call->request.key_hash);
	call->der = bytes_dup(der);
	if (call->der.data == NULL && der.len > 0)
		return ERR_NOMEM;
	code = app_csr_parse(call->der, &call->csr, &e);
	if (code == ERR_NOMEM)
		return code;
	if (code != 0) {
		refuse(call,
		       code == ERR_VERIFY || code == ERR_DENIED ? APP_REGISTRATION_SIGNATURE
								: APP_REGISTRATION_REQUEST_DECODING,
		       e.text);
		return 0;
	}
	call->is_parsed = true;
	call->record.reason = APP_REGISTRATION_SUCCESS;
	x509_sha256(call->csr.spki, call->request.key_hash);
	x509_name_text(call->csr.subject, call->request.subject, sizeof(call->request.subject));
	return 0;
}

/* What we make are hexadecimal digits in upper case. */
static bool
is_token(struct bytes challenge)
{
	for (size_t i = 0; i < challenge.len; i++)
		if (!(challenge.data[i] >= '0' && challenge.data[i] <= '9') &&
		    !(challenge.data[i] >= 'A' && challenge.data[i] <= 'F'))
			return false;
	return challenge.len >= CHALLENGE_MIN;
}

static void
read_challenge(struct call *call)
{
	if (call->csr.challenge.len == 0) {
		refuse(call, APP_REGISTRATION_CHALLENGE_MISSING, "challenge: the request has none");
		return;
	}
	if (!is_token(call->csr.challenge)) {
		refuse(call, APP_REGISTRATION_CHALLENGE_DESERIALIZATION, "challenge: has not the form of one");
		return;
	}
	call->request.has_challenge = true;
	app_challenge_hash(call->authority->challenge_key, call->csr.challenge, call->request.challenge_hash);
}

static void
read_signer(struct call *call, struct bytes signer)
{
	struct x509 cert;

	call->renews = true;
	if (x509_parse(signer, &cert, NULL) != 0 || !app_registration_record_serial(&call->record, cert.tbs.serial)) {
		refuse(call, APP_REGISTRATION_REQUEST_DECODING, "signer: not a certificate");
		return;
	}
	x509_sha256(signer, call->signer);
}

/* ---- verify ------------------------------------------------------------------------------------------------------ */

static void
log_verdict(const struct call *call)
{
	const struct app_registration_record *record = &call->record;

	if (record->reason == APP_REGISTRATION_SUCCESS)
		log_event(REGISTRATION_VERIFIED, log_text(call->request.transaction_id),
			  log_text(record->terms.profile), log_text(record->terms.device), call->request.peer);
	else
		log_event(REGISTRATION_DENIED, log_text(call->request.transaction_id), log_text(record->terms.profile),
			  log_text(record->terms.device), call->request.peer,
			  app_registration_reason_name(record->reason), log_text(record->text));
}

static void
on_noted(struct app_store_request *request, void *arg)
{
	struct call *call = arg;

	app_state_note(call->authority, request->code);
	if (request->code == ERR_LIMIT)
		refuse(call, APP_REGISTRATION_REQUEST_ID, "challenge: too many requests were made with it");
	else if (request->code != 0) {
		answer_failure(call, request->code);
		return;
	}
	log_verdict(call);
	answer(call, 0, call->record.reason, call->record.text);
}

/* Records the verdict, and then gives it. */
static int
note(struct call *call)
{
	struct app_store_request *request = &call->request;
	struct app_enrolling *enrolling = &call->authority->enrolling;
	bool allowed = call->record.reason == APP_REGISTRATION_SUCCESS;

	call->record.state = allowed ? APP_REGISTRATION_STATE_PENDING : APP_REGISTRATION_STATE_DENIED;
	request->op = APP_STORE_REGISTRATION_NOTE;
	request->done = on_noted;
	request->has_challenge = request->has_challenge && call->record.terms.profile[0] != '\0';
	if (!allowed && !bucket_take(&enrolling->records, APP_REFUSE_BURST, 1000 / APP_REFUSE_RATE)) {
		enrolling->skipped++;
		request->all = true;
	}
	return app_store_submit(call->authority->store, request);
}

static void
judge_challenge(struct call *call)
{
	const struct app_registration_record *record = &call->record;

	if (record->revoked)
		refuse(call, APP_REGISTRATION_NO_LONGER_TARGETED, "challenge: it was revoked");
	else if (record->used != 0 || record->state == APP_REGISTRATION_STATE_ISSUED)
		refuse(call, APP_REGISTRATION_REQUEST_ID, "challenge: it was used already");
	else if (record->created > call->request.now + CLOCK_GRACE_S)
		refuse(call, APP_REGISTRATION_CHALLENGE_TIMESTAMP, "challenge: it was made in the future");
	/* It was good when this very request was allowed. */
	else if (record->expires <= call->request.now && record->state != APP_REGISTRATION_STATE_PENDING)
		refuse(call, APP_REGISTRATION_CHALLENGE_EXPIRED, "challenge: it has expired");
}

static void
judge(struct call *call)
{
	struct app_registration_record *record = &call->record;
	char why[APP_TERMS_WHY];

	if (!call->renews)
		judge_challenge(call);
	else if (record->has_certificate && memcmp(record->certificate, call->signer, sizeof(call->signer)) != 0)
		refuse(call, APP_REGISTRATION_SIGNING_CERTIFICATE,
		       "signer: another certificate with a serial number that is known");
	if (record->reason == APP_REGISTRATION_SUCCESS && !record->is_there)
		refuse(call, APP_REGISTRATION_NO_LONGER_TARGETED, "profile: it was removed");
	if (record->reason != APP_REGISTRATION_SUCCESS)
		return;
	record->reason = app_terms_check(&record->terms, &call->csr, call->template_name, call->request.now, why);
	snprintf(record->text, sizeof(record->text), "%s", why);
}

static void
on_found(struct app_store_request *request, void *arg)
{
	struct call *call = arg;
	int code = request->code;

	if (code == ERR_STAGE)
		refuse(call, APP_REGISTRATION_CHALLENGE_DECODING,
		       "challenge: it was not made for a certificate profile");
	else if (code == ERR_UNKNOWN && call->renews)
		refuse(call, APP_REGISTRATION_SIGNING_CERTIFICATE, "signer: no certificate of a request known here");
	else if (code == ERR_UNKNOWN)
		refuse(call, APP_REGISTRATION_CHALLENGE_DECRYPTION, "challenge: none that was made here");
	else if (code != 0) {
		answer_failure(call, code);
		return;
	}
	if (code == 0)
		judge(call);
	code = note(call);
	if (code != 0)
		answer_failure(call, code);
}

static int
find(struct call *call)
{
	call->request.op = APP_STORE_REGISTRATION_FIND;
	call->request.done = on_found;
	return app_store_submit(call->authority->store, &call->request);
}

int
app_registration_verify(struct app_authority *a, const struct app_policy_request *request, app_policy_fn fn, void *arg)
{
	struct call *call = call_new(a, fn, arg, request->transaction_id, request->peer);
	int code;

	if (call == NULL)
		return ERR_NOMEM;
	snprintf(call->template_name, sizeof(call->template_name), "%s", request->template_name);
	code = read_csr(call, request->csr);
	if (code == 0 && call->is_parsed && request->signer.len > 0)
		read_signer(call, request->signer);
	else if (code == 0 && call->is_parsed)
		read_challenge(call);
	if (code == 0)
		code = call->record.reason == APP_REGISTRATION_SUCCESS ? find(call) : note(call);
	if (code != 0)
		call_free(call);
	return code;
}

/* ---- notify ------------------------------------------------------------------------------------------------------ */

static void
on_ended(struct app_store_request *request, void *arg)
{
	struct call *call = arg;
	enum app_registration_reason reason = APP_REGISTRATION_SUCCESS;
	const char *text = request->e.text;

	app_state_note(call->authority, request->code);
	if (request->code == ERR_UNKNOWN)
		reason = APP_REGISTRATION_UNKNOWN;
	else if (request->code == ERR_DENIED && request->verdict == APP_CHALLENGE_REVOKED)
		reason = APP_REGISTRATION_NO_LONGER_TARGETED;
	else if (request->code == ERR_DENIED)
		reason = APP_REGISTRATION_REQUEST_ID;
	else if (request->code != 0) {
		answer_failure(call, request->code);
		return;
	}
	log_event(REGISTRATION_NOTIFIED, log_text(request->transaction_id),
		  app_registration_state_name(call->record.state), request->peer, app_registration_reason_name(reason),
		  log_text(reason == APP_REGISTRATION_SUCCESS ? "" : text));
	answer(call, 0, reason, reason == APP_REGISTRATION_SUCCESS ? "" : text);
}

/* The certificate's serial number and hash; false when there is neither it nor a number. */
static bool
read_certificate(struct call *call, struct bytes certificate, struct bytes serial)
{
	struct x509 cert;

	if (certificate.len == 0)
		return app_registration_record_serial(&call->record, serial);
	if (x509_parse(certificate, &cert, NULL) != 0)
		return false;
	call->record.has_certificate = true;
	x509_sha256(certificate, call->record.certificate);
	return app_registration_record_serial(&call->record, cert.tbs.serial);
}

int
app_registration_notify(struct app_authority *a, const struct app_policy_outcome *outcome, struct bytes serial,
			app_policy_fn fn, void *arg)
{
	struct call *call = call_new(a, fn, arg, outcome->transaction_id, "");
	struct app_store_request *request;
	int code;

	if (call == NULL)
		return ERR_NOMEM;
	request = &call->request;
	code = read_csr(call, outcome->csr);
	request->op = APP_STORE_REGISTRATION_END;
	request->done = on_ended;
	call->record.state = outcome->disposition == DISPOSITION_SUCCESS   ? APP_REGISTRATION_STATE_ISSUED
			     : outcome->disposition == DISPOSITION_PENDING ? APP_REGISTRATION_STATE_PENDING
									   : APP_REGISTRATION_STATE_ERROR;
	call->record.reason = APP_REGISTRATION_SUCCESS;
	snprintf(call->record.text, sizeof(call->record.text), "%s", outcome->text != NULL ? outcome->text : "");
	if (call->record.state == APP_REGISTRATION_STATE_ERROR)
		call->record.reason = APP_REGISTRATION_UNKNOWN;
	if (code == 0 && call->record.state == APP_REGISTRATION_STATE_ISSUED &&
	    !read_certificate(call, outcome->certificate, serial))
		code = ERR_FORMAT;
	if (code == 0)
		code = app_store_submit(a->store, request);
	if (code != 0)
		call_free(call);
	return code;
}
