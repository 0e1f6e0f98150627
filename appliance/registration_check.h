/*
 * appliance/registration_check - the registration point's judgement: challenges for a certificate profile, a device and
 * a user; requests compared with them; what became of the requests
 *
 * A challenge carries, in the store, everything that its profile resolves to: subject and subjectAltName in DER, key
 * usage, purposes, key sizes, hashes, template, validity (appliance/terms.h).  Verify compares a request with that and
 * consumes nothing; notify with success uses the challenge up.  Of two requests that verify allowed for one challenge
 * the first notify wins, and the other is told BadCertificateRequestIdInChallenge: whoever notifies must not hand its
 * certificate out then, and revokes it (decisions/025).
 *
 * Each call is answered exactly once, and never before it returns.  Those that fail do not call fn.
 *
 * Threads:  the authority's loop.
 */
#ifndef APPLIANCE_REGISTRATION_CHECK_H
#define APPLIANCE_REGISTRATION_CHECK_H

#include "appliance/account.h"
#include "appliance/policy.h"

/*
 * The public names of facts microsoft.md 4.3, in its order; appliance/doc/registration-point.md says when we use
 * which.
 */
enum app_registration_reason {
	APP_REGISTRATION_UNKNOWN,
	APP_REGISTRATION_SUCCESS,
	APP_REGISTRATION_REQUEST_DECODING,
	APP_REGISTRATION_CHALLENGE_MISSING,
	APP_REGISTRATION_CHALLENGE_DESERIALIZATION,
	APP_REGISTRATION_CHALLENGE_DECRYPTION,
	APP_REGISTRATION_CHALLENGE_DECODING,
	APP_REGISTRATION_CHALLENGE_TIMESTAMP,
	APP_REGISTRATION_CHALLENGE_EXPIRED,
	APP_REGISTRATION_SUBJECT_MISSING,
	APP_REGISTRATION_SUBJECT_MISMATCH,
	APP_REGISTRATION_SAN_MISSING,
	APP_REGISTRATION_SAN_MISMATCH,
	APP_REGISTRATION_KEY_USAGE,
	APP_REGISTRATION_KEY_LENGTH,
	APP_REGISTRATION_EKU_MISSING,
	APP_REGISTRATION_EKU_MISMATCH,
	APP_REGISTRATION_AAD_KEY_MISSING,
	APP_REGISTRATION_REGISTERED_KEY,
	APP_REGISTRATION_SIGNING_CERTIFICATE,
	APP_REGISTRATION_NO_LONGER_TARGETED,
	APP_REGISTRATION_SIGNATURE,
	APP_REGISTRATION_REQUEST_ID,
	APP_REGISTRATION_DEVICE_ID,
	APP_REGISTRATION_USER_ID,
	APP_REGISTRATION_REASONS,
};

/* "SubjectNameMismatch" and so on; "Unknown" for other values. */
const char *app_registration_reason_name(enum app_registration_reason reason);

/* Which challenge is wanted; borrowed until the call returns. */
struct app_registration_ask {
	const char *profile;        /* certificate profile */
	const char *device;         /* its identifier, 1 to 127 octets */
	const char *user;           /* "": none */
	struct bytes variables[32]; /* "name=value" in UTF-8: what the profile's {{name}} stand for */
	size_t variable_count;
	const struct app_account
		*account;  /* needs the right to enroll on the template; autoenroll too with automatic */
	const char *actor; /* for the audit trail */
	bool automatic;    /* no person asks */
	int64_t minutes;   /* its life; 0: challenge.lifetime_minutes */
};

/* What became of asking; with code 0 challenge (a secret) and expires are set. */
struct app_registration_minted {
	/* ERR_UNKNOWN: no such profile; ERR_DENIED; ERR_FORMAT: variables; ERR_LIMIT: challenge.max_open; and others */
	int code;
	const char *text; /* why, for whoever asked; "" */
	struct bytes challenge;
	int64_t number;
	int64_t expires;
};

typedef void (*app_registration_fn)(const struct app_registration_minted *minted, void *arg);

/*
 * Makes a challenge.  What is wrong with the ask is answered by fn too.  Fails with ERR_BUSY, ERR_CLOSED, ERR_NOMEM.
 */
MUST_CHECK int app_registration_generate(struct app_authority *a, const struct app_registration_ask *ask,
					 app_registration_fn fn, void *arg);

/*
 * May this request be issued?  Looks its challenge up (with request->signer: the request that the old certificate came
 * from), compares, records, answers.  request->template_name is the template that will be used; its other texts are for
 * log and record.  Fails with ERR_BUSY, ERR_CLOSED, ERR_NOMEM.
 */
MUST_CHECK int
app_registration_verify(struct app_authority *a, const struct app_policy_request *request, app_policy_fn fn, void *arg);

/*
 * Tells what became of a request: success needs outcome->certificate, or serial (INTEGER's content) where only that is
 * known.  A second notify of the same is fine and changes nothing.  Answers SUCCESS; REQUEST_ID when the challenge was
 * used for another request, UNKNOWN when nothing is known of the request.  Fails with ERR_BUSY, ERR_CLOSED, ERR_NOMEM,
 * ERR_FORMAT: success without a certificate or serial number.
 */
MUST_CHECK int app_registration_notify(struct app_authority *a, const struct app_policy_outcome *outcome,
				       struct bytes serial, app_policy_fn fn, void *arg);

#endif
