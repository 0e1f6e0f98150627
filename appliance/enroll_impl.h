/*
 * appliance/enroll_impl - the inside of a request under way, for enroll.c, which takes it through its steps,
 * enroll_check.c, which judges it, and enroll_policy.c, which has a policy module judge it
 *
 * Threads:  the authority's loop.
 * Owner:    enroll.c makes and frees it.
 */
#ifndef APPLIANCE_ENROLL_IMPL_H
#define APPLIANCE_ENROLL_IMPL_H

#include "appliance/held.h"
#include "appliance/refusal.h"
#include "appliance/state.h"

/* One MSG_ENROLL under way. */
struct app_enrollment {
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

	/* what is asked of a policy module */
	char template_name[APP_TEMPLATE_NAME];

	/* a renewal waits for what the store knows of the old certificate, others for a policy module */
	struct msg_enroll message; /* borrows from kept */
	uint8_t *kept;
};

/*
 * Parses the request and has it proved.  Until its own signature vouches for it, it may be somebody else's that was
 * changed on the way, by one who wants to learn from the answer what it says.  So all that is wrong before that gets
 * one answer, and takes one time (decisions/012).  Fails as app_csr_parse(), with *ret_refusal.
 */
MUST_CHECK int app_enroll_prove(struct app_enrollment *enrollment, const struct msg_enroll *m,
				struct app_refusal *ret_refusal, struct err *e);

/* What the template says of a proved request, and what it asks for.  Fails with ERR_DENIED and others; e says why. */
MUST_CHECK int
app_enroll_check(struct app_enrollment *enrollment, const struct app_template_entry *entry, bool renews, struct err *e);

/*
 * The old certificate vouches for the request; a challenge that came along is not looked at and stays as it is.  Fails
 * as app_renew_check(), with *ret_refusal.
 */
MUST_CHECK int app_enroll_authorize_renewal(struct app_enrollment *enrollment, const struct msg_enroll *m,
					    const struct app_template_entry *entry, const struct x509 *signer,
					    struct app_refusal *ret_refusal, struct err *e);

/*
 * Nothing vouches for who signed a first request, so the challenge has to.  Fails with ERR_DENIED and *ret_refusal, and
 * as x509_spki_key().
 */
MUST_CHECK int app_enroll_authorize_first(struct app_enrollment *enrollment, const struct app_template_entry *entry,
					  const struct x509 *signer, struct app_refusal *ret_refusal, struct err *e);

/*
 * What only a challenge that was bound to it may give, or the old certificate: a SID, and the power to ask for others.
 * The store compares it with the challenge; here is refused what has none that could be bound, with ERR_DENIED and
 * *ret_refusal.
 */
MUST_CHECK int app_enroll_take_bound(struct app_enrollment *enrollment, const struct app_template_entry *entry,
				     struct app_refusal *ret_refusal, struct err *e);

/* ---- enroll.c ---- */

/* Frees it and what it owns. */
void app_enroll_free(struct app_enrollment *enrollment);

/* Answers, and nothing more: it is still the caller's. */
void app_enroll_answer(struct app_enrollment *enrollment, const struct msg_decision *decision);

/* Answers with the certificate that was issued; frees it. */
void app_enroll_deliver(struct app_enrollment *enrollment);

/* Refuses it, in log, audit trail and answer; frees it. */
void app_enroll_refuse(struct app_enrollment *enrollment, const struct app_refusal *refusal);

/* Has the device repeat it; frees it. */
void app_enroll_retry(struct app_enrollment *enrollment, int code, const struct err *e);

/* Unless status is 0: refuses it when that is a peer's fault, else has the device repeat it. */
void app_enroll_end_unless(struct app_enrollment *enrollment, int status, const struct app_refusal *refusal,
			   const struct err *e);

/* Begins the certificate of a request that was checked and authorized.  Fails as app_issue_start(). */
MUST_CHECK int app_enroll_issue(struct app_enrollment *enrollment, const struct app_template_entry *entry,
				struct app_refusal *ret_refusal, struct err *e);

/* ---- enroll_policy.c ---- */

/*
 * Asks the profile's policy module about a request that was checked, unless its transaction has its certificate; the
 * answer issues, refuses or postpones it.  message is the enrollment's own.  Fails with ERR_STAGE when an operator
 * should approve it too, and as app_store_submit().
 */
MUST_CHECK int app_enroll_ask(struct app_enrollment *enrollment, const struct app_template_entry *entry, struct err *e);

/*
 * The certificate is stored: tells the module, and hands it out, in the order that the kind of module wants.  Frees the
 * enrollment, now or later.
 */
void app_enroll_issued(struct app_enrollment *enrollment);

/* Tells the module that what it granted came to nothing; the enrollment is still the caller's. */
void app_enroll_failed(struct app_enrollment *enrollment, const struct app_refusal *refusal);

#endif
