#include "appliance/enroll.h"

#include <stdio.h>
#include <string.h>

#include "appliance/enroll_impl.h"
#include "appliance/renew.h"
#include "board/base/clock.h"
#include "board/base/log.h"

enum { PKCS_REQ = 19, RENEWAL_REQ = 17, DAY_S = 86400, SUBJECT_LIMIT = 32768 };

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

void
app_enroll_free(struct app_enrollment *enrollment)
{
	if (enrollment->has_csr)
		app_csr_fini(&enrollment->csr);
	app_issue_fini(&enrollment->issue);
	app_held_fini(&enrollment->held);
	buf_fini(&enrollment->subject);
	free(enrollment->kept);
	free(enrollment);
}

void
app_enroll_refuse(struct app_enrollment *enrollment, const struct app_refusal *refusal)
{
	struct app_authority *a = enrollment->authority;
	const struct app_issue *issue = &enrollment->issue;
	struct msg_decision decision = {.status = STATUS_REFUSED,
					.fail_info = (uint8_t)refusal->fail_info,
					.hresult = app_refusal_hresult(refusal)};

	a->enrolling.refused++;
	log_event(ENROLL_REFUSED, log_text(issue->peer), log_text(issue->transaction_id), log_text(issue->subject_text),
		  log_text(refusal->cause), app_refusal_ndes(refusal));
	app_refusal_audit(a, issue, refusal->cause);
	snprintf(decision.text, sizeof(decision.text), "%s", refusal->text);
	app_reply_send(&enrollment->reply, &decision);
	app_enroll_free(enrollment);
}

static void
refuse_as(struct app_enrollment *enrollment, struct app_refusal refusal)
{
	app_enroll_refuse(enrollment, &refusal);
}

void
app_enroll_retry(struct app_enrollment *enrollment, int code, const struct err *e)
{
	const struct app_issue *issue = &enrollment->issue;

	log_event(ENROLL_POSTPONED, log_text(issue->peer), log_text(issue->transaction_id), err_name(code),
		  log_text(e->text));
	app_reply_retry(&enrollment->reply, code);
	app_enroll_free(enrollment);
}

void
app_enroll_answer(struct app_enrollment *enrollment, const struct msg_decision *decision)
{
	app_reply_send(&enrollment->reply, decision);
}

void
app_enroll_deliver(struct app_enrollment *enrollment)
{
	struct msg_decision decision = {.status = STATUS_ISSUED, .certificate = enrollment->issue.certificate};

	app_reply_send(&enrollment->reply, &decision);
	app_enroll_free(enrollment);
}

static void
issued(struct app_enrollment *enrollment)
{
	const struct app_issue *issue = &enrollment->issue;
	const char *serial = log_hex((struct bytes){issue->subject.serial, APP_SERIAL_SIZE});

	if (issue->existing)
		log_event(ENROLL_REPEATED, serial, log_text(issue->peer), log_text(issue->transaction_id));
	else
		log_event(ENROLL_ISSUED, serial, log_text(issue->subject_text), issue->template_name,
			  log_text(issue->peer), log_text(issue->transaction_id),
			  (long long)(clock_mono_ms() - issue->began_ms));
	if (enrollment->profile.policy_module[0] != '\0' && !issue->existing)
		app_enroll_issued(enrollment);
	else
		app_enroll_deliver(enrollment);
}

/* A module that vouched for it is told that it came to nothing. */
static void
refuse_granted(struct app_enrollment *enrollment, struct app_refusal refusal)
{
	if (enrollment->profile.policy_module[0] != '\0')
		app_enroll_failed(enrollment, &refusal);
	app_enroll_refuse(enrollment, &refusal);
}

/* The end of app_issue_start(). */
static void
on_issue_done(struct app_issue *issue, void *arg)
{
	struct app_enrollment *enrollment = arg;

	if (issue->code == 0)
		issued(enrollment);
	else if (issue->code == ERR_DENIED && issue->verdict != APP_CHALLENGE_OK)
		refuse_granted(enrollment, app_refusal_challenge(issue->verdict));
	else if (issue->code == ERR_DENIED)
		refuse_granted(enrollment, app_refusal_for(issue->code, &issue->e));
	else if (issue->code == ERR_UNKNOWN && issue->renews)
		refuse_granted(enrollment, app_refusal_renewal(issue->code, &issue->e));
	else
		app_enroll_retry(enrollment, issue->code, &issue->e);
}

static struct app_enrollment *
enrollment_new(struct app_front *front, uint64_t id, const struct msg_enroll *m)
{
	struct app_enrollment *enrollment = calloc(1, sizeof(*enrollment));
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

static void
on_held(struct app_store_request *request, void *arg)
{
	struct app_enrollment *enrollment = arg;
	struct app_issue *issue = &enrollment->issue;
	struct msg_decision decision = {.status = STATUS_PENDING};
	enum app_challenge_verdict verdict = request->verdict;
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
		app_enroll_free(enrollment);
	else if (code == ERR_DENIED && verdict != APP_CHALLENGE_OK)
		refuse_as(enrollment, app_refusal_challenge(verdict));
	else if (code == ERR_DENIED)
		refuse_as(enrollment, app_refusal_for(code, &e));
	else
		app_enroll_retry(enrollment, code == ERR_LIMIT ? ERR_BUSY : code, &e);
}

/* Has the request wait for an operator instead of issuing. */
static int
hold(struct app_enrollment *enrollment, const struct app_template_entry *entry, struct err *e)
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
	enrollment->held.approvals_needed = entry->template.approvals;
	snprintf(enrollment->held.template_name, sizeof(enrollment->held.template_name), "%s", entry->template.name);
	request->hold = &enrollment->held;
	enrollment->claim = (struct app_claim){
		.template_name = enrollment->held.template_name,
		.needs_template = app_profile_is_agent(entry->profile),
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

int
app_enroll_issue(struct app_enrollment *enrollment, const struct app_template_entry *entry,
		 struct app_refusal *ret_refusal, struct err *e)
{
	int status;

	enrollment->issue.profile = entry->profile;
	status = app_issue_start(enrollment->authority, &enrollment->issue, e);
	if (status == 0) {
		/* It borrows from the message, and holds the challenge. */
		app_csr_fini(&enrollment->csr);
		enrollment->has_csr = false;
		return 0;
	}
	*ret_refusal = app_refusal_for(ERR_DENIED, e);
	/* A certificate that would break RFC 5280 comes of the request, which will not get better. */
	return status == ERR_INTERNAL ? ERR_DENIED : status;
}

/*
 * Checks the proved request against its template and begins its certificate; what stands in the way becomes an ERR_*
 * with e, and *ret_refusal for peers' faults.
 */
static int
decide(struct app_enrollment *enrollment, const struct msg_enroll *m, const struct app_template_entry *entry,
       const struct x509 *signer, bool renews, struct app_refusal *ret_refusal, struct err *e)
{
	int status = app_enroll_check(enrollment, entry, renews, e);

	if (status != 0) {
		*ret_refusal = app_refusal_for(status, e);
		return status;
	}
	app_templates_note(&enrollment->csr, entry->template.name, enrollment->issue.transaction_id);
	status = renews ? app_enroll_authorize_renewal(enrollment, m, entry, signer, ret_refusal, e)
			: app_enroll_authorize_first(enrollment, entry, signer, ret_refusal, e);
	if (status == 0)
		status = app_enroll_take_bound(enrollment, entry, ret_refusal, e);
	if (status != 0)
		return status;
	if (enrollment->profile.policy_module[0] != '\0')
		return app_enroll_ask(enrollment, entry, e);
	if (enrollment->waits)
		return hold(enrollment, entry, e);
	return app_enroll_issue(enrollment, entry, ret_refusal, e);
}

/* Answers what did not begin. */
void
app_enroll_end_unless(struct app_enrollment *enrollment, int status, const struct app_refusal *refusal,
		      const struct err *e)
{
	if (status == 0)
		return;
	if (err_class(status) == ERR_CLASS_PEER)
		app_enroll_refuse(enrollment, refusal);
	else
		app_enroll_retry(enrollment, status, e);
}

/* ---- the template of a renewal ----------------------------------------------------------------------------------- */

static void
on_old(struct app_store_request *request, void *arg)
{
	struct app_enrollment *enrollment = arg;
	const struct app_authority *a = enrollment->authority;
	const char *old = request->code == 0 && request->record_count > 0 ? request->records[0].template_name : "";
	const struct app_template_entry *entry = NULL;
	struct err e = request->e;
	struct app_refusal refusal = app_refusal_renewal(ERR_DENIED, &e);
	struct x509 signer;
	int status = request->code == ERR_UNKNOWN ? 0 : request->code;

	enrollment->authority->enrolling.lookups--;
	if (status == 0) {
		e = (struct err){0};
		status = x509_parse(enrollment->message.signer, &signer, &e);
	}
	if (status == 0)
		status = app_templates_select_renewal(a, old, enrollment->profile.template, &enrollment->csr, &signer,
						      &entry, &e);
	app_store_request_fini(request);
	if (status == 0)
		status = decide(enrollment, &enrollment->message, entry, &signer, true, &refusal, &e);
	app_enroll_end_unless(enrollment, status, &refusal, &e);
}

/* What is borrowed from the message becomes the enrollment's. */
static int
keep_message(struct app_enrollment *enrollment, const struct msg_enroll *m)
{
	struct msg_enroll *kept = &enrollment->message;
	struct bytes *const parts[] = {&kept->transaction_id, &kept->csr, &kept->signer, &kept->attributes,
				       &kept->signature};
	size_t total = 0;

	if (enrollment->kept != NULL)
		return 0;
	*kept = *m;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		total += parts[i]->len;
	enrollment->kept = malloc(total);
	if (enrollment->kept == NULL)
		return ERR_NOMEM;
	total = 0;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (parts[i]->len > 0)
			memcpy(enrollment->kept + total, parts[i]->data, parts[i]->len);
		parts[i]->data = enrollment->kept + total;
		total += parts[i]->len;
	}
	app_csr_move(&enrollment->csr, kept->csr.data);
	return 0;
}

/* Asks the store which template the old certificate has. */
static int
look_up_old(struct app_enrollment *enrollment, const struct msg_enroll *m, const struct x509 *signer, struct err *e)
{
	struct app_store_request *request = &enrollment->request;
	int status = keep_message(enrollment, m);

	if (status != 0)
		return err_set(e, status, 0, "keeping the request");
	request->op = APP_STORE_SHOW;
	request->done = on_old;
	request->arg = enrollment;
	memcpy(request->serial, signer->tbs.serial.data, APP_SERIAL_SIZE);
	status = app_store_submit(enrollment->authority->store, request);
	if (status != 0)
		return err_set(e, status, 0, "the store's queue");
	enrollment->authority->enrolling.lookups++;
	return 0;
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

/* Proves the request, sees who signed it, and finds its template; fails as decide() does. */
static int
begin(struct app_enrollment *enrollment, const struct msg_enroll *m, struct app_refusal *ret_refusal, struct err *e)
{
	const struct app_authority *a = enrollment->authority;
	const struct app_template_entry *entry = NULL;
	struct x509 signer;
	bool renews;
	/*
	 * The front only says whose URL it was; what that means is looked up here.  A front that was broken into can
	 * name any profile, but any peer can ask at any URL, and no profile is laxer than the settings
	 * (config_profile.c).  One that is not known is new, or gone: a reload has not reached all roles.
	 */
	int status = config_profile_find(a->conf, bytes_of_text(m->profile), &enrollment->profile);

	if (status != 0)
		return err_set(e, ERR_BUSY, 0, "profile %s", m->profile);
	if (m->message_type != PKCS_REQ && (m->message_type != RENEWAL_REQ || !enrollment->profile.renewal))
		return err_set(e, ERR_DENIED, 0, "message type %u", m->message_type);
	if (m->transaction_id.len == 0)
		return err_set(e, ERR_DENIED, 0, "no transactionID");
	status = app_enroll_prove(enrollment, m, ret_refusal, e);
	if (status != 0)
		return status;
	if (enrollment->profile.policy_module[0] != '\0') {
		/* Asking a module takes its time. */
		if (keep_message(enrollment, m) != 0)
			return err_set(e, ERR_NOMEM, 0, "keeping the request");
		m = &enrollment->message;
	}
	status = x509_parse(m->signer, &signer, e);
	if (status != 0) {
		*ret_refusal = app_refusal_for(status, e);
		return status;
	}
	app_generation_requester_hash(a, &signer, enrollment->issue.key_hash);
	renews = enrollment->profile.renewal && app_renew_is(a, m, &signer, &enrollment->csr);
	if (renews && signer.tbs.serial.len == APP_SERIAL_SIZE)
		return look_up_old(enrollment, m, &signer, e);
	status = app_templates_select(a, enrollment->profile.template, &enrollment->csr, &entry, e);
	if (status != 0)
		return status;
	return decide(enrollment, m, entry, &signer, renews, ret_refusal, e);
}

void
app_enroll_request(struct app_front *front, uint64_t id, const struct msg_enroll *m)
{
	struct app_authority *a = front->authority;
	struct app_enrollment *enrollment = enrollment_new(front, id, m);
	struct err e = {0};
	struct app_refusal refusal = app_refusal_for(ERR_DENIED, &e);
	struct app_reply reply;
	int status;

	if (enrollment == NULL) {
		app_reply_open(&reply, front, id);
		app_reply_retry(&reply, ERR_NOMEM);
		return;
	}
	if (a->stopping || a->issuing.count >= APP_ISSUE_LIMIT)
		status = err_set(&e, ERR_BUSY, 0, "too much is under way");
	else
		status = begin(enrollment, m, &refusal, &e);
	app_enroll_end_unless(enrollment, status, &refusal, &e);
}
