#include "appliance/enroll.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "appliance/held.h"
#include "appliance/renew.h"
#include "appliance/state.h"
#include "appliance/validity.h"
#include "board/base/clock.h"
#include "board/base/log.h"
#include "board/base/oid.h"

enum {
	PKCS_REQ = 19,
	RENEWAL_REQ = 17,
	DAY_S = 86400,
	SUBJECT_LIMIT = 32768,
	SIGNATURE_MAX = 2048 /* RSA with 16,384 bits */
};

#define ALGORITHM_SHA256_RSA OID_BYTES("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00")

/* What a peer may read about its refusal: enough to tell which kind, nothing about why. */
#define TEXT_CHALLENGE "challenge password not accepted"
#define TEXT_KEY       "key or algorithm not accepted"
#define TEXT_FORMAT    "request is malformed"
#define TEXT_REQUEST   "request not accepted"
#define TEXT_RENEWAL   "renewal not accepted"

/* One MSG_ENROLL under way. */
struct enrollment {
	struct app_reply reply;
	struct app_authority *authority;
	struct app_csr csr; /* until the TBSCertificate is built */
	bool has_csr;
	bool waits; /* it needs an operator */
	struct config_profile profile;
	struct app_issue issue;
	struct app_held held; /* with waits, as is claim */
	struct app_claim claim;
	struct app_store_request request;
	struct buf subject; /* that the template makes of the request's */
};

/* Why and how a request is refused. */
struct refusal {
	int fail_info;
	const char *text;  /* for the peer */
	const char *cause; /* for log and audit */
};

void
app_enroll_transaction_text(struct bytes id, char out[APP_TRANSACTION_MAX])
{
	bool printable = id.len > 0 && id.len < APP_TRANSACTION_MAX;
	uint8_t hash[32];
	char hex[65];

	for (size_t i = 0; i < id.len && printable; i++)
		printable = id.data[i] >= 0x20 && id.data[i] < 0x7f;
	if (printable) {
		memcpy(out, id.data, id.len);
		out[id.len] = '\0';
		return;
	}
	x509_sha256(id, hash);
	snprintf(out, APP_TRANSACTION_MAX, "sha256:%s",
		 bytes_hex((struct bytes){hash, sizeof(hash)}, hex, sizeof(hex)));
}

static void
on_refusal_stored(struct app_store_request *request, void *arg)
{
	struct app_authority *a = arg;

	if (request->code != 0)
		log_event(FAILURE, "writing an audit record", err_name(request->code), request->e.detail,
			  log_text(request->e.text));
	app_store_request_fini(request);
	free(request);
	a->enrolling.refusals--;
}

static void
audit_refusal(struct app_authority *a, const struct app_issue *issue, const char *cause)
{
	struct app_store_request *request;

	if (!bucket_take(&a->enrolling.records, APP_REFUSE_BURST, 1000 / APP_REFUSE_RATE)) {
		a->enrolling.skipped++;
		return;
	}
	request = calloc(1, sizeof(*request));
	if (request == NULL)
		return;
	request->op = APP_STORE_REFUSE;
	request->done = on_refusal_stored;
	request->arg = a;
	request->now = clock_wall();
	snprintf(request->text, sizeof(request->text), "%s", cause);
	if (a->enrolling.skipped > 0)
		snprintf(request->text, sizeof(request->text), "%s (%llu before it not recorded)", cause,
			 (unsigned long long)a->enrolling.skipped);
	snprintf(request->peer, sizeof(request->peer), "%s", issue->peer);
	snprintf(request->actor, sizeof(request->actor), "%s", issue->actor);
	snprintf(request->transaction_id, sizeof(request->transaction_id), "%s", issue->transaction_id);
	snprintf(request->subject, sizeof(request->subject), "%s", issue->subject_text);
	if (app_store_submit(a->store, request) != 0) {
		free(request);
		a->enrolling.skipped++;
		return;
	}
	a->enrolling.skipped = 0;
	a->enrolling.refusals++;
}

static void
enrollment_free(struct enrollment *enrollment)
{
	if (enrollment->has_csr)
		app_csr_fini(&enrollment->csr);
	app_issue_fini(&enrollment->issue);
	app_held_fini(&enrollment->held);
	buf_fini(&enrollment->subject);
	free(enrollment);
}

/* The numbers of NDES' events: a renewal, a password, the CA (board/base/ndes.def). */
static const char *
ndes_number(const struct refusal *refusal)
{
	if (strcmp(refusal->text, TEXT_RENEWAL) == 0)
		return "28";
	return strcmp(refusal->text, TEXT_CHALLENGE) == 0 ? "29" : "31";
}

/* No more than the text says: unknown, expired, used and missing challenges are told apart in the log alone. */
static uint32_t
hresult(const struct refusal *refusal)
{
	return strcmp(refusal->text, TEXT_CHALLENGE) == 0 ? HRESULT_CHALLENGE : 0;
}

static void
refuse(struct enrollment *enrollment, const struct refusal *refusal)
{
	struct app_authority *a = enrollment->authority;
	const struct app_issue *issue = &enrollment->issue;
	struct msg_decision decision = {
		.status = STATUS_REFUSED, .fail_info = (uint8_t)refusal->fail_info, .hresult = hresult(refusal)};

	a->enrolling.refused++;
	log_event(ENROLL_REFUSED, log_text(issue->peer), log_text(issue->transaction_id), log_text(issue->subject_text),
		  log_text(refusal->cause), ndes_number(refusal));
	audit_refusal(a, issue, refusal->cause);
	snprintf(decision.text, sizeof(decision.text), "%s", refusal->text);
	app_reply_send(&enrollment->reply, &decision);
	enrollment_free(enrollment);
}

static void
retry_later(struct enrollment *enrollment, int code, const struct err *e)
{
	const struct app_issue *issue = &enrollment->issue;

	log_event(ENROLL_POSTPONED, log_text(issue->peer), log_text(issue->transaction_id), err_name(code),
		  log_text(e->text));
	app_reply_retry(&enrollment->reply, code);
	enrollment_free(enrollment);
}

static const char *
verdict_text(enum app_challenge_verdict verdict)
{
	static const char *const texts[] = {
		[APP_CHALLENGE_OK] = "challenge: accepted",
		[APP_CHALLENGE_MISSING] = "challenge: missing",
		[APP_CHALLENGE_NOT_KNOWN] = "challenge: not known",
		[APP_CHALLENGE_EXPIRED] = "challenge: expired",
		[APP_CHALLENGE_USED] = "challenge: used already",
		[APP_CHALLENGE_RESERVED] = "challenge: another request holds it",
		[APP_CHALLENGE_REVOKED] = "challenge: revoked by an operator",
		[APP_CHALLENGE_BOUND_TEMPLATE] = "challenge: made for another template",
		[APP_CHALLENGE_BOUND_SUBJECT] = "challenge: made for another subject",
		[APP_CHALLENGE_BOUND_SAN] = "challenge: made for another subjectAltName",
		[APP_CHALLENGE_BOUND_KEY] = "challenge: made for another key",
		[APP_CHALLENGE_BOUND_KEY_USAGE] = "challenge: made for another key usage",
	};

	return (size_t)verdict < ARRAY_SIZE(texts) ? texts[verdict] : "challenge: refused";
}

static void
issued(struct enrollment *enrollment)
{
	struct app_issue *issue = &enrollment->issue;
	struct msg_decision decision = {.status = STATUS_ISSUED, .certificate = issue->certificate};
	const char *serial = log_hex((struct bytes){issue->subject.serial, APP_SERIAL_SIZE});

	if (issue->existing)
		log_event(ENROLL_REPEATED, serial, log_text(issue->peer), log_text(issue->transaction_id));
	else
		log_event(ENROLL_ISSUED, serial, log_text(issue->subject_text), log_text(issue->peer),
			  log_text(issue->transaction_id), (long long)(clock_mono_ms() - issue->began_ms));
	app_reply_send(&enrollment->reply, &decision);
	enrollment_free(enrollment);
}

/* The end of app_issue_start(). */
static void
on_issue_done(struct app_issue *issue, void *arg)
{
	struct enrollment *enrollment = arg;

	if (issue->code == 0)
		issued(enrollment);
	else if (issue->code == ERR_DENIED && issue->verdict != APP_CHALLENGE_OK)
		refuse(enrollment, &(struct refusal){SCEP_BAD_REQUEST, TEXT_CHALLENGE, verdict_text(issue->verdict)});
	else if (issue->code == ERR_DENIED)
		refuse(enrollment, &(struct refusal){SCEP_BAD_REQUEST, TEXT_REQUEST, issue->e.text});
	else if (issue->code == ERR_UNKNOWN && issue->renews)
		refuse(enrollment, &(struct refusal){SCEP_BAD_CERT_ID, TEXT_RENEWAL, issue->e.text});
	else
		retry_later(enrollment, issue->code, &issue->e);
}

/* The request's own answer for what csr and profile found. */
static struct refusal
refusal_for(int code, const struct err *e)
{
	switch (code) {
	case ERR_ALG:
		return (struct refusal){SCEP_BAD_ALG, TEXT_KEY, e->text};
	case ERR_FORMAT:
		return (struct refusal){SCEP_BAD_MESSAGE_CHECK, TEXT_FORMAT, e->text};
	default:
		return (struct refusal){SCEP_BAD_REQUEST, TEXT_REQUEST, e->text};
	}
}

/* The outer signer of a first request has the request's key (RFC 8894 2.3).  Two encodings of one key are the same. */
static int
check_signer(struct enrollment *enrollment, const struct x509 *signer, struct err *e)
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
take_challenge(struct enrollment *enrollment)
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
static int
prove(struct enrollment *enrollment, const struct msg_enroll *m, struct refusal *ret_refusal, struct err *e)
{
	struct app_issue *issue = &enrollment->issue;
	int status = app_csr_parse(m->csr, &enrollment->csr, e);

	if (status == 0) {
		enrollment->has_csr = true;
		x509_name_text(enrollment->csr.subject, issue->subject_text, sizeof(issue->subject_text));
		issue->key_usage = app_binding_requested_usage(enrollment->csr.extensions);
		return 0;
	}
	if (status == ERR_DENIED) {
		*ret_refusal = (struct refusal){SCEP_BAD_ALG, TEXT_KEY, e->text};
		return status;
	}
	if (status != ERR_VERIFY)
		spend_proof(m);
	*ret_refusal = (struct refusal){SCEP_BAD_MESSAGE_CHECK, TEXT_FORMAT, e->text};
	return status;
}

/* What the template says of a proved request, and what it asks for. */
static int
check(struct enrollment *enrollment, struct err *e)
{
	const struct app_profile *profile = enrollment->authority->profiles[APP_USAGE_DEVICE];
	int status = app_profile_check(profile, &enrollment->csr, false, e);

	if (status == 0)
		status = app_cert_subject(profile, &enrollment->csr, &enrollment->subject, &enrollment->issue.subject,
					  e);
	if (status == 0 &&
	    !x509_name_differs(enrollment->issue.subject.name, enrollment->authority->issuer.cert.tbs.subject))
		status = err_set(e, ERR_DENIED, 0, "the subject is the CA's own name");
	if (status == 0 && enrollment->authority->conf->ca_editf_attributeenddate)
		status = app_validity_requested(&enrollment->csr, clock_wall(), &enrollment->issue.requested_not_after,
						e);
	return status;
}

/* The answer to a renewal that app_renew_check() does not let through. */
static struct refusal
renewal_refusal(int code, const struct err *e)
{
	if (code == ERR_VERIFY)
		return (struct refusal){SCEP_BAD_MESSAGE_CHECK, TEXT_RENEWAL, e->text};
	if (code == ERR_UNKNOWN)
		return (struct refusal){SCEP_BAD_CERT_ID, TEXT_RENEWAL, e->text};
	return (struct refusal){SCEP_BAD_REQUEST, TEXT_RENEWAL, e->text};
}

/* The old certificate vouches for the request; a challenge that came along is not looked at and stays as it is. */
static int
authorize_renewal(struct enrollment *enrollment, const struct msg_enroll *m, const struct x509 *signer,
		  struct refusal *ret_refusal, struct err *e)
{
	struct app_issue *issue = &enrollment->issue;
	int status = app_renew_check(enrollment->authority, m, signer, &enrollment->csr, &enrollment->issue.subject, e);

	if (status != 0) {
		*ret_refusal = renewal_refusal(status, e);
		return status;
	}
	issue->renews = true;
	memcpy(issue->old_serial, signer->tbs.serial.data, APP_SERIAL_SIZE);
	x509_sha256(signer->whole, issue->old_hash);
	return 0;
}

static struct enrollment *
enrollment_new(struct app_front *front, uint64_t id, const struct msg_enroll *m)
{
	struct enrollment *enrollment = calloc(1, sizeof(*enrollment));
	struct app_issue *issue;

	if (enrollment == NULL)
		return NULL;
	issue = &enrollment->issue;
	list_init(&issue->parked);
	buf_init(&enrollment->subject, SUBJECT_LIMIT);
	enrollment->authority = front->authority;
	app_reply_open(&enrollment->reply, front, id);
	issue->usage = APP_USAGE_DEVICE;
	issue->done = on_issue_done;
	issue->arg = enrollment;
	app_enroll_transaction_text(m->transaction_id, issue->transaction_id);
	snprintf(issue->peer, sizeof(issue->peer), "%s", m->peer);
	snprintf(issue->actor, sizeof(issue->actor), "peer %.58s", m->peer);
	return enrollment;
}

/* Nothing vouches for who signed a first request, so the challenge has to. */
static int
authorize_first(struct enrollment *enrollment, const struct x509 *signer, struct refusal *ret_refusal, struct err *e)
{
	int status = check_signer(enrollment, signer, e);

	if (status != 0) {
		*ret_refusal = refusal_for(status, e);
		return status;
	}
	enrollment->waits = enrollment->profile.approval;
	if (enrollment->csr.challenge.len == 0 && strcmp(enrollment->profile.challenge_missing, "pending") == 0) {
		enrollment->waits = true;
		return 0;
	}
	if (enrollment->csr.challenge.len == 0) {
		*ret_refusal = (struct refusal){SCEP_BAD_REQUEST, TEXT_CHALLENGE, verdict_text(APP_CHALLENGE_MISSING)};
		return ERR_DENIED;
	}
	status = take_challenge(enrollment);
	if (status != 0)
		*ret_refusal =
			(struct refusal){SCEP_BAD_REQUEST, TEXT_CHALLENGE, verdict_text(APP_CHALLENGE_NOT_KNOWN)};
	return status;
}

/* Who asks, and may he? */
static int
authorize(struct enrollment *enrollment, const struct msg_enroll *m, struct refusal *ret_refusal, struct err *e)
{
	const struct app_authority *a = enrollment->authority;
	struct x509 signer;
	int status = x509_parse(m->signer, &signer, e);

	if (status != 0) {
		*ret_refusal = refusal_for(status, e);
		return status;
	}
	x509_requester_hash(&signer, a->issuer.cert.tbs.subject, enrollment->issue.key_hash);
	if (enrollment->profile.renewal && app_renew_is(a, m, &signer, &enrollment->csr))
		return authorize_renewal(enrollment, m, &signer, ret_refusal, e);
	return authorize_first(enrollment, &signer, ret_refusal, e);
}

static void
on_held(struct app_store_request *request, void *arg)
{
	struct enrollment *enrollment = arg;
	struct app_issue *issue = &enrollment->issue;
	struct msg_decision decision = {.status = STATUS_PENDING};
	struct err e = request->e;
	int code = request->code;

	enrollment->authority->enrolling.lookups--;
	if (code == 0)
		log_event(ENROLL_HELD, (long long)request->number, log_text(issue->subject_text), log_text(issue->peer),
			  log_text(issue->transaction_id));
	if (code == ERR_EXISTS && request->record_count > 0)
		decision = (struct msg_decision){.status = STATUS_ISSUED, .certificate = request->records[0].der};
	if (code == 0 || decision.status == STATUS_ISSUED)
		app_reply_send(&enrollment->reply, &decision);
	app_store_request_fini(request);
	if (code == 0 || decision.status == STATUS_ISSUED)
		enrollment_free(enrollment);
	else if (code == ERR_DENIED && request->verdict != APP_CHALLENGE_OK)
		refuse(enrollment, &(struct refusal){SCEP_BAD_REQUEST, TEXT_CHALLENGE, verdict_text(request->verdict)});
	else if (code == ERR_DENIED)
		refuse(enrollment, &(struct refusal){SCEP_BAD_REQUEST, TEXT_REQUEST, e.text});
	else
		retry_later(enrollment, code == ERR_LIMIT ? ERR_BUSY : code, &e);
}

/* Has the request wait for an operator instead of issuing. */
static int
hold(struct enrollment *enrollment, struct err *e)
{
	struct app_authority *a = enrollment->authority;
	const struct app_issue *issue = &enrollment->issue;
	struct app_store_request *request = &enrollment->request;
	int status = app_held_copy(&enrollment->held, issue->subject.name, issue->subject.spki, issue->subject.san);

	if (status != 0)
		return err_set(e, status, 0, "keeping the request");
	request->op = APP_STORE_HOLD;
	request->done = on_held;
	request->arg = enrollment;
	enrollment->held.requested_not_after = issue->requested_not_after;
	enrollment->held.key_usage = issue->key_usage;
	enrollment->held.approvals_needed = a->conf->template_approvals;
	request->hold = &enrollment->held;
	enrollment->claim = (struct app_claim){
		.template_name = app_profile_name(a->profiles[APP_USAGE_DEVICE]),
		.name = enrollment->held.name,
		.san = enrollment->held.san,
		.spki = enrollment->held.spki,
		.key_usage = issue->key_usage,
	};
	request->claim = &enrollment->claim;
	request->now = clock_wall();
	request->expires = request->now + (int64_t)a->conf->scep_pending_days * DAY_S;
	request->max_open = a->conf->scep_pending_max;
	request->has_challenge = issue->has_challenge;
	memcpy(request->challenge_hash, issue->challenge_hash, APP_HASH_SIZE);
	memcpy(request->key_hash, issue->key_hash, APP_HASH_SIZE);
	snprintf(request->transaction_id, sizeof(request->transaction_id), "%s", issue->transaction_id);
	snprintf(request->subject, sizeof(request->subject), "%s", issue->subject_text);
	snprintf(request->peer, sizeof(request->peer), "%s", issue->peer);
	snprintf(request->actor, sizeof(request->actor), "%s", issue->actor);
	status = app_store_submit(a->store, request);
	if (status != 0)
		return err_set(e, status, 0, "the store's queue");
	a->enrolling.lookups++;
	return 0;
}

/*
 * Checks the request and begins its certificate; what stands in the way becomes an ERR_* with e, and *ret_refusal for
 * peers' faults.
 */
static int
begin(struct enrollment *enrollment, const struct msg_enroll *m, struct refusal *ret_refusal, struct err *e)
{
	/*
	 * The front only says whose URL it was; what that means is looked up here.  A front that was broken into can
	 * name any profile, but any peer can ask at any URL, and no profile is laxer than the settings
	 * (config_profile.c).  One that is not known is new, or gone: a reload has not reached all roles.
	 */
	int status = config_profile_find(enrollment->authority->conf, bytes_of_text(m->profile), &enrollment->profile);

	if (status != 0)
		return err_set(e, ERR_BUSY, 0, "profile %s", m->profile);
	if (m->message_type != PKCS_REQ && (m->message_type != RENEWAL_REQ || !enrollment->profile.renewal))
		return err_set(e, ERR_DENIED, 0, "message type %u", m->message_type);
	if (m->transaction_id.len == 0)
		return err_set(e, ERR_DENIED, 0, "no transactionID");
	status = prove(enrollment, m, ret_refusal, e);
	if (status != 0)
		return status;
	status = check(enrollment, e);
	if (status != 0) {
		*ret_refusal = refusal_for(status, e);
		return status;
	}
	status = authorize(enrollment, m, ret_refusal, e);
	if (status != 0)
		return status;
	if (enrollment->waits)
		return hold(enrollment, e);
	status = app_issue_start(enrollment->authority, &enrollment->issue, e);
	if (status == 0) {
		/* It borrows from the message, and holds the challenge. */
		app_csr_fini(&enrollment->csr);
		enrollment->has_csr = false;
		return 0;
	}
	*ret_refusal = (struct refusal){SCEP_BAD_REQUEST, TEXT_REQUEST, e->text};
	/* A certificate that would break RFC 5280 comes of the request, which will not get better. */
	return status == ERR_INTERNAL ? ERR_DENIED : status;
}

void
app_enroll_request(struct app_front *front, uint64_t id, const struct msg_enroll *m)
{
	struct app_authority *a = front->authority;
	struct enrollment *enrollment = enrollment_new(front, id, m);
	struct err e = {0};
	struct refusal refusal = {SCEP_BAD_REQUEST, TEXT_REQUEST, e.text};
	struct app_reply reply;
	int status;

	if (enrollment == NULL) {
		app_reply_open(&reply, front, id);
		app_reply_retry(&reply, ERR_NOMEM);
		return;
	}
	/* No work for what cannot be accepted anyway. */
	if (a->stopping || a->issuing.count >= APP_ISSUE_LIMIT)
		status = err_set(&e, ERR_BUSY, 0, "too much is under way");
	else
		status = begin(enrollment, m, &refusal, &e);
	if (status == 0)
		return;
	if (err_class(status) == ERR_CLASS_PEER)
		refuse(enrollment, &refusal);
	else
		retry_later(enrollment, status, &e);
}
