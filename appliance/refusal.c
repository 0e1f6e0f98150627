#include "appliance/refusal.h"

#include <stdio.h>
#include <string.h>

#include "appliance/state.h"
#include "board/base/clock.h"
#include "board/base/log.h"

/* What a peer may read about its refusal: enough to tell which kind, nothing about why. */
#define TEXT_CHALLENGE "challenge password not accepted"
#define TEXT_KEY       "key or algorithm not accepted"
#define TEXT_FORMAT    "request is malformed"
#define TEXT_REQUEST   "request not accepted"
#define TEXT_RENEWAL   "renewal not accepted"

struct app_refusal
app_refusal_for(int code, const struct err *e)
{
	switch (code) {
	case ERR_ALG:
		return (struct app_refusal){SCEP_BAD_ALG, TEXT_KEY, e->text};
	case ERR_FORMAT:
		return (struct app_refusal){SCEP_BAD_MESSAGE_CHECK, TEXT_FORMAT, e->text};
	default:
		return (struct app_refusal){SCEP_BAD_REQUEST, TEXT_REQUEST, e->text};
	}
}

struct app_refusal
app_refusal_unproved(int code, const struct err *e)
{
	if (code == ERR_DENIED)
		return (struct app_refusal){SCEP_BAD_ALG, TEXT_KEY, e->text};
	return (struct app_refusal){SCEP_BAD_MESSAGE_CHECK, TEXT_FORMAT, e->text};
}

struct app_refusal
app_refusal_renewal(int code, const struct err *e)
{
	if (code == ERR_VERIFY)
		return (struct app_refusal){SCEP_BAD_MESSAGE_CHECK, TEXT_RENEWAL, e->text};
	if (code == ERR_UNKNOWN)
		return (struct app_refusal){SCEP_BAD_CERT_ID, TEXT_RENEWAL, e->text};
	return (struct app_refusal){SCEP_BAD_REQUEST, TEXT_RENEWAL, e->text};
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
		[APP_CHALLENGE_REGISTRATION] = "challenge: made for a registration point, which was not asked",
	};

	return (size_t)verdict < ARRAY_SIZE(texts) ? texts[verdict] : "challenge: refused";
}

struct app_refusal
app_refusal_challenge(enum app_challenge_verdict verdict)
{
	return (struct app_refusal){SCEP_BAD_REQUEST, TEXT_CHALLENGE, verdict_text(verdict)};
}

/* The numbers of NDES' events: a renewal, a password, the CA (board/base/ndes.def). */
const char *
app_refusal_ndes(const struct app_refusal *refusal)
{
	if (strcmp(refusal->text, TEXT_RENEWAL) == 0)
		return "28";
	return strcmp(refusal->text, TEXT_CHALLENGE) == 0 ? "29" : "31";
}

/* No more than the text says: unknown, expired, used and missing challenges are told apart in the log alone. */
uint32_t
app_refusal_hresult(const struct app_refusal *refusal)
{
	return strcmp(refusal->text, TEXT_CHALLENGE) == 0 ? HRESULT_CHALLENGE : 0;
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

void
app_refusal_audit(struct app_authority *a, const struct app_issue *issue, const char *cause)
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
