/*
 * appliance/refusal - what a device is told about its refusal, and what the log and the audit trail are
 *
 * Threads:  the authority's loop.
 */
#ifndef APPLIANCE_REFUSAL_H
#define APPLIANCE_REFUSAL_H

#include "appliance/issue.h"
#include "board/base/err.h"

/* Why and how a request is refused. */
struct app_refusal {
	int fail_info;
	const char *text;  /* for the peer: which kind of thing it was, and no more */
	const char *cause; /* for log and audit; borrowed */
};

/* For what csr and template found in a request; the cause borrows from e. */
struct app_refusal app_refusal_for(int code, const struct err *e);

/* For what app_csr_parse() says of a request that nothing vouches for; the cause borrows from e. */
struct app_refusal app_refusal_unproved(int code, const struct err *e);

/* For a renewal that app_renew_check() does not let through; the cause borrows from e. */
struct app_refusal app_refusal_renewal(int code, const struct err *e);

/* For a challenge. */
struct app_refusal app_refusal_challenge(enum app_challenge_verdict verdict);

/* The number of the event that NDES has for it (board/base/ndes.def). */
const char *app_refusal_ndes(const struct app_refusal *refusal);

/* HRESULT_* for Microsoft's clients; 0: what failInfo says. */
uint32_t app_refusal_hresult(const struct app_refusal *refusal);

/* Writes an audit record of it, unless there are too many (APP_REFUSE_BURST). */
void app_refusal_audit(struct app_authority *a, const struct app_issue *issue, const char *cause);

#endif
