/*
 * What a request has to do with a policy module, of enroll_impl.h: asked before, told afterwards (decisions/026).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/enroll_impl.h"
#include "board/base/clock.h"
#include "board/base/log.h"

/* Something that a module is being told. */
struct telling {
	struct app_authority *authority;
	struct app_enrollment *waits; /* its answer depends on it; NULL: it was answered */
	bool is_success;
	char module[40];
	char transaction_id[APP_TRANSACTION_MAX];
	uint8_t serial[APP_SERIAL_SIZE];
	unsigned generation;
};

/* ---- before ------------------------------------------------------------------------------------------------------ */

static void
refuse(struct app_enrollment *enrollment, const char *why, const char *text)
{
	struct app_refusal refusal = app_refusal_challenge(APP_CHALLENGE_NOT_KNOWN);
	char cause[400];

	/* What the peer gets is the same as with a challenge that is not known. */
	snprintf(cause, sizeof(cause), "policy module %s: %s%s%.200s", enrollment->profile.policy_module, why,
		 text[0] == '\0' ? "" : ": ", text);
	refusal.cause = cause;
	app_enroll_refuse(enrollment, &refusal);
}

/* As it was configured when it was installed. */
static void
not_asked(struct app_enrollment *enrollment, int code, const char *text)
{
	struct app_policy_module *module = app_policy_find(enrollment->authority, enrollment->profile.policy_module);
	struct err e = {0};

	(void)err_set(&e, code, 0, "policy module %s cannot be asked: %.150s", enrollment->profile.policy_module, text);
	if (module == NULL || app_policy_refuses(module))
		refuse(enrollment, "cannot be asked", text);
	else
		app_enroll_retry(enrollment, code, &e);
}

static void
on_verified(const struct app_policy_answer *answer, void *arg)
{
	struct app_enrollment *enrollment = arg;
	struct app_authority *a = enrollment->authority;
	const struct app_template_entry *entry = app_templates_find(a, enrollment->template_name);
	struct err e = {0};
	struct app_refusal refusal = app_refusal_for(ERR_DENIED, &e);
	int code;

	a->enrolling.lookups--;
	if (answer->code != 0) {
		not_asked(enrollment, answer->code, answer->text);
		return;
	}
	if (!answer->granted) {
		refuse(enrollment, answer->reason, answer->text);
		return;
	}
	if (entry == NULL)
		code = err_set(&e, ERR_STAGE, 0, "there is no template %s any more", enrollment->template_name);
	else
		code = app_enroll_issue(enrollment, entry, &refusal, &e);
	if (err_class(code) == ERR_CLASS_PEER && code != 0)
		app_enroll_failed(enrollment, &refusal);
	app_enroll_end_unless(enrollment, code, &refusal, &e);
}

static void
ask(struct app_enrollment *enrollment)
{
	struct app_authority *a = enrollment->authority;
	struct app_policy_module *module = app_policy_find(a, enrollment->profile.policy_module);
	const struct app_issue *issue = &enrollment->issue;
	struct app_policy_request request = {.transaction_id = issue->transaction_id,
					     .csr = enrollment->message.csr,
					     .template_name = enrollment->template_name,
					     .profile = enrollment->profile.name,
					     .peer = issue->peer};
	int code;

	if (module == NULL) {
		refuse(enrollment, "is not installed", "");
		return;
	}
	if (issue->renews)
		request.signer = enrollment->message.signer;
	code = app_policy_verify(module, &request, on_verified, enrollment);
	if (code == 0)
		a->enrolling.lookups++;
	else
		not_asked(enrollment, code, code == ERR_CLOSED ? "the courier is away" : "it rests, or is busy");
}

static void
on_known(struct app_store_request *request, void *arg)
{
	struct app_enrollment *enrollment = arg;
	struct msg_decision decision = {.status = STATUS_ISSUED};
	struct err e = request->e;
	int code = request->code;

	enrollment->authority->enrolling.lookups--;
	if (code == 0 && request->record_count > 0) {
		decision.certificate = request->records[0].der;
		app_enroll_answer(enrollment, &decision);
		app_store_request_fini(request);
		app_enroll_free(enrollment);
		return;
	}
	app_store_request_fini(request);
	if (code != 0 && code != ERR_UNKNOWN)
		app_enroll_retry(enrollment, code, &e);
	else
		ask(enrollment);
}

int
app_enroll_ask(struct app_enrollment *enrollment, const struct app_template_entry *entry, struct err *e)
{
	const struct app_issue *issue = &enrollment->issue;
	struct app_store_request *request = &enrollment->request;
	int code;

	if (enrollment->waits)
		return err_set(e, ERR_STAGE, 0, "template %s needs approval, which goes with no policy module",
			       entry->template.name);
	memset(request, 0, sizeof(*request));
	snprintf(enrollment->template_name, sizeof(enrollment->template_name), "%s", entry->template.name);
	request->op = APP_STORE_TRANSACTION;
	request->done = on_known;
	request->arg = enrollment;
	request->now = clock_wall();
	snprintf(request->transaction_id, sizeof(request->transaction_id), "%s", issue->transaction_id);
	memcpy(request->key_hash, issue->key_hash, APP_HASH_SIZE);
	code = app_store_submit(enrollment->authority->store, request);
	if (code != 0)
		return err_set(e, code, 0, "the store's queue");
	enrollment->authority->enrolling.lookups++;
	return 0;
}

/* ---- afterwards -------------------------------------------------------------------------------------------------- */

static void
on_revoked(struct app_store_request *request, void *arg)
{
	struct app_authority *a = arg;

	if (request->code == 0) {
		log_event(REVOKED, log_hex((struct bytes){request->serial, APP_SERIAL_SIZE}),
			  app_reason_name(request->reason), request->actor);
		app_responder_forget(a, request->serial);
		if (!a->closing)
			app_publish_revoked(a, request->issuer, NULL);
	} else {
		log_event(FAILURE, "revoking what a policy module did not release", err_name(request->code),
			  request->e.detail, log_text(request->e.text));
	}
	a->enrolling.lookups--;
	app_store_request_fini(request);
	free(request);
}

/* What is not to be used is not only withheld: the same transaction gets a new one, and nobody this one. */
static void
revoke(struct app_authority *a, const struct telling *telling)
{
	struct app_store_request *request = calloc(1, sizeof(*request));
	int code = request == NULL ? ERR_NOMEM : 0;

	if (code == 0) {
		request->op = APP_STORE_REVOKE;
		request->done = on_revoked;
		request->arg = a;
		request->reason = APP_REASON_PRIVILEGE_WITHDRAWN;
		request->now = clock_wall();
		request->issuer = telling->generation;
		memcpy(request->serial, telling->serial, APP_SERIAL_SIZE);
		snprintf(request->actor, sizeof(request->actor), "policy module %s", telling->module);
		code = app_store_submit(a->store, request);
	}
	if (code == 0) {
		a->enrolling.lookups++;
		return;
	}
	free(request);
	log_event(FAILURE, "revoking what a policy module did not release", err_name(code), 0U,
		  log_hex((struct bytes){telling->serial, APP_SERIAL_SIZE}));
}

/* The end of a notification; with success and no answer that it was taken, waits or not decides what is left to do. */
static void
told(struct telling *telling, int code, bool granted, const char *reason, const char *text)
{
	struct app_authority *a = telling->authority;
	struct app_enrollment *enrollment = telling->waits;
	bool is_taken = code == 0 && (granted || !telling->is_success);
	struct err e = {0};

	if (!is_taken)
		log_event(POLICY_UNTOLD, telling->module, log_text(telling->transaction_id),
			  log_hex((struct bytes){telling->serial, APP_SERIAL_SIZE}),
			  code != 0 ? err_name(code) : log_text(reason), log_text(text));
	if (!is_taken && telling->is_success && (code == 0 || enrollment != NULL))
		revoke(a, telling);
	if (enrollment == NULL)
		return;
	if (is_taken) {
		app_enroll_deliver(enrollment);
	} else if (code == 0) {
		refuse(enrollment, reason, text);
	} else {
		(void)err_set(&e, code, 0, "policy module %s does not know of the certificate", telling->module);
		app_enroll_retry(enrollment, code, &e);
	}
}

static void
on_told(const struct app_policy_answer *answer, void *arg)
{
	struct telling *telling = arg;

	telling->authority->enrolling.lookups--;
	told(telling, answer->code, answer->granted, answer->reason, answer->text);
	free(telling);
}

static void
tell(struct app_enrollment *enrollment, struct app_enrollment *waits, struct app_policy_outcome *outcome)
{
	struct app_authority *a = enrollment->authority;
	const struct app_issue *issue = &enrollment->issue;
	struct app_policy_module *module = app_policy_find(a, enrollment->profile.policy_module);
	struct telling telling = {.authority = a,
				  .waits = waits,
				  .is_success = outcome->disposition == DISPOSITION_SUCCESS,
				  .generation = issue->generation};
	struct telling *kept = malloc(sizeof(*kept));
	int code = kept == NULL ? ERR_NOMEM : ERR_CLOSED;

	snprintf(telling.module, sizeof(telling.module), "%s", enrollment->profile.policy_module);
	snprintf(telling.transaction_id, sizeof(telling.transaction_id), "%s", issue->transaction_id);
	memcpy(telling.serial, issue->subject.serial, APP_SERIAL_SIZE);
	outcome->transaction_id = issue->transaction_id;
	outcome->csr = enrollment->message.csr;
	outcome->issuer = a->generations[issue->generation].issuer.cert.whole;
	if (kept != NULL && module != NULL) {
		*kept = telling;
		code = app_policy_notify(module, outcome, on_told, kept);
	}
	if (code == 0) {
		a->enrolling.lookups++;
		return;
	}
	free(kept);
	told(&telling, code, false, "", "it was removed, rests, or the courier is away");
}

void
app_enroll_issued(struct app_enrollment *enrollment)
{
	struct app_policy_outcome outcome = {
		.disposition = DISPOSITION_SUCCESS, .text = "", .certificate = enrollment->issue.certificate};
	struct app_policy_module *module = app_policy_find(enrollment->authority, enrollment->profile.policy_module);
	struct msg_decision decision = {.status = STATUS_ISSUED, .certificate = enrollment->issue.certificate};

	if (module == NULL || app_policy_kind(module) == POLICY_INTUNE) {
		tell(enrollment, enrollment, &outcome);
		return;
	}
	app_enroll_answer(enrollment, &decision);
	tell(enrollment, NULL, &outcome);
	app_enroll_free(enrollment);
}

void
app_enroll_failed(struct app_enrollment *enrollment, const struct app_refusal *refusal)
{
	struct app_policy_outcome outcome = {
		.disposition = DISPOSITION_FAILURE, .hresult = app_refusal_hresult(refusal), .text = refusal->cause};

	if (outcome.hresult == 0)
		outcome.hresult = HRESULT_INVALID_ARGUMENT;
	tell(enrollment, NULL, &outcome);
}
