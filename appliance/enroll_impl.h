/*
 * appliance/enroll_impl - the inside of a request under way, for enroll.c, which takes it through its steps, and
 * enroll_check.c, which judges it
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

	/* a renewal waits for what the store knows of the old certificate */
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

#endif
