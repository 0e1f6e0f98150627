#include "appliance/pending.h"

#include <stdio.h>
#include <string.h>

#include "appliance/held.h"
#include "board/base/clock.h"
#include "board/base/log.h"

/* One MSG_TRANSACTION under way. */
struct lookup {
	struct app_reply reply;
	struct app_authority *authority;
	struct app_store_request request;
};

/* What the device is told. */
static struct msg_decision
decide(const struct app_store_request *request)
{
	struct msg_decision decision = {.status = STATUS_RETRY, .code = request->code};

	if (request->code == ERR_UNKNOWN)
		decision.status = STATUS_NONE;
	if (request->code != 0)
		return decision;
	if (request->record_count > 0) {
		decision.status = STATUS_ISSUED;
		decision.certificate = request->records[0].der;
	} else if (request->held_state == APP_HELD_DENIED) {
		decision.status = STATUS_REFUSED;
		decision.fail_info = SCEP_BAD_REQUEST;
		snprintf(decision.text, sizeof(decision.text), "the request was denied");
	} else {
		decision.status = STATUS_PENDING;
	}
	return decision;
}

static void
on_found(struct app_store_request *request, void *arg)
{
	struct lookup *lookup = arg;
	struct app_authority *a = lookup->authority;
	struct msg_decision decision = decide(request);
	bool approved = decision.status == STATUS_PENDING && request->held_state == APP_HELD_APPROVED;
	int64_t number = request->number;

	if (decision.status == STATUS_RETRY)
		log_event(FAILURE, "looking up a transaction", err_name(request->code), request->e.detail,
			  log_text(request->e.text));
	app_reply_send(&lookup->reply, &decision);
	app_store_request_fini(request);
	a->enrolling.lookups--;
	free(lookup);
	if (approved)
		app_pending_issue(a, number, NULL, NULL);
}

/* Takes lookup over: what the store does not take is answered here. */
static void
ask_store(struct lookup *lookup)
{
	struct app_authority *a = lookup->authority;
	int status = app_store_submit(a->store, &lookup->request);

	if (status != 0) {
		app_reply_retry(&lookup->reply, status);
		free(lookup);
		return;
	}
	a->enrolling.lookups++;
}

void
app_pending_transaction(struct app_front *front, uint64_t id, const struct msg_transaction *m)
{
	struct app_authority *a = front->authority;
	struct lookup *lookup = calloc(1, sizeof(*lookup));
	struct app_reply refused;

	if (lookup == NULL || m->key_hash.len != APP_HASH_SIZE || m->transaction_id.len == 0 || a->stopping) {
		app_reply_open(&refused, front, id);
		if (a->stopping || lookup == NULL)
			app_reply_retry(&refused, a->stopping ? ERR_CLOSED : ERR_NOMEM);
		else
			app_reply_status(&refused, STATUS_NONE, 0, NULL);
		free(lookup);
		return;
	}
	app_reply_open(&lookup->reply, front, id);
	lookup->authority = a;
	lookup->request.op = APP_STORE_TRANSACTION;
	lookup->request.done = on_found;
	lookup->request.arg = lookup;
	lookup->request.now = clock_wall();
	app_enroll_transaction_text(m->transaction_id, lookup->request.transaction_id);
	memcpy(lookup->request.key_hash, m->key_hash.data, APP_HASH_SIZE);
	ask_store(lookup);
}

/* ---- GetCert ---- */

static void
on_certificate(struct app_store_request *request, void *arg)
{
	struct lookup *lookup = arg;
	const struct app_record *record = request->record_count > 0 ? &request->records[0] : NULL;
	bool is_there = record != NULL && record->usage == APP_USAGE_DEVICE && record->der.len > 0;
	struct msg_decision decision = {.status = STATUS_ISSUED};

	if (is_there)
		decision.certificate = record->der;
	if (request->code != 0 && request->code != ERR_UNKNOWN)
		app_reply_retry(&lookup->reply, request->code);
	else if (is_there)
		app_reply_send(&lookup->reply, &decision);
	else
		app_reply_status(&lookup->reply, STATUS_REFUSED, SCEP_BAD_CERT_ID, "no such certificate");
	app_store_request_fini(request);
	lookup->authority->enrolling.lookups--;
	free(lookup);
}

void
app_pending_certificate(struct app_front *front, uint64_t id, const struct msg_get_cert *m)
{
	struct app_authority *a = front->authority;
	struct lookup *lookup = calloc(1, sizeof(*lookup));
	struct app_reply reply;

	if (lookup == NULL || a->stopping || m->serial.len != APP_SERIAL_SIZE) {
		app_reply_open(&reply, front, id);
		if (lookup == NULL || a->stopping)
			app_reply_retry(&reply, a->stopping ? ERR_CLOSED : ERR_NOMEM);
		else
			app_reply_status(&reply, STATUS_REFUSED, SCEP_BAD_CERT_ID, "no such certificate");
		free(lookup);
		return;
	}
	app_reply_open(&lookup->reply, front, id);
	lookup->authority = a;
	lookup->request.op = APP_STORE_SHOW;
	lookup->request.done = on_certificate;
	lookup->request.arg = lookup;
	memcpy(lookup->request.serial, m->serial.data, APP_SERIAL_SIZE);
	ask_store(lookup);
}

/* ---- what was approved ---- */

/* A certificate for an approved request under way. */
struct ripe {
	struct app_authority *authority;
	struct app_store_request request;
	struct app_issue issue;
	int64_t number;
	app_pending_fn fn;
	void *arg;
};

static void
ripe_end(struct ripe *ripe, int code, const struct err *e)
{
	struct app_issue *issue = &ripe->issue;
	struct bytes serial = {issue->subject.serial, APP_SERIAL_SIZE};

	if (code == 0)
		log_event(ENROLL_ISSUED, log_hex(serial), log_text(issue->subject_text), issue->template_name,
			  log_text(issue->peer), log_text(issue->transaction_id),
			  (long long)(clock_mono_ms() - issue->began_ms));
	else
		log_event(REQUEST_NOT_ISSUED, (long long)ripe->number, err_name(code), log_text(e->text));
	if (ripe->fn != NULL)
		ripe->fn(code, e, serial, ripe->arg);
	app_issue_fini(issue);
	free(ripe);
}

static void
on_ripe_issued(struct app_issue *issue, void *arg)
{
	ripe_end(arg, issue->code, &issue->e);
}

static int
ripe_start(struct ripe *ripe, const struct app_held *held, struct err *e)
{
	const struct app_template_entry *entry = app_templates_find(ripe->authority, held->template_name);
	struct app_issue *issue = &ripe->issue;

	if (held->state != APP_HELD_APPROVED)
		return err_set(e, ERR_STAGE, 0, "the request is %s", app_held_state_name(held->state));
	if (entry == NULL)
		return err_set(e, ERR_STAGE, 0, "there is no template %s any more", held->template_name);
	issue->usage = APP_USAGE_DEVICE;
	issue->profile = entry->profile;
	if (app_profile_has_sid(entry->profile) && held->san.len > 0)
		(void)!app_san_sid(held->san, issue->subject.sid, NULL);
	issue->subject.name = held->name;
	issue->subject.spki = held->spki;
	issue->subject.san = held->san;
	issue->requested_not_after = held->requested_not_after;
	issue->approved = held->number;
	issue->has_challenge = held->has_challenge;
	issue->key_usage = held->key_usage;
	memcpy(issue->challenge_hash, held->challenge_hash, APP_HASH_SIZE);
	memcpy(issue->key_hash, held->key_hash, APP_HASH_SIZE);
	snprintf(issue->transaction_id, sizeof(issue->transaction_id), "%s", held->transaction_id);
	snprintf(issue->peer, sizeof(issue->peer), "%s", held->peer);
	snprintf(issue->actor, sizeof(issue->actor), "%s", held->operator);
	issue->done = on_ripe_issued;
	issue->arg = ripe;
	return app_issue_start(ripe->authority, issue, e);
}

static void
on_ripe(struct app_store_request *request, void *arg)
{
	struct ripe *ripe = arg;
	struct err e = request->e;
	int code = request->code;

	ripe->authority->enrolling.lookups--;
	if (code == 0)
		code = request->held_count > 0 ? ripe_start(ripe, &request->held[0], &e) : ERR_UNKNOWN;
	app_store_request_fini(request);
	if (code != 0)
		ripe_end(ripe, code, &e);
}

void
app_pending_issue(struct app_authority *a, int64_t number, app_pending_fn fn, void *arg)
{
	struct ripe *ripe = calloc(1, sizeof(*ripe));
	struct err e = {0};
	int code;

	if (ripe == NULL) {
		if (fn != NULL)
			fn(ERR_NOMEM, &e, (struct bytes){NULL, 0}, arg);
		return;
	}
	ripe->authority = a;
	ripe->number = number;
	ripe->fn = fn;
	ripe->arg = arg;
	list_init(&ripe->issue.parked);
	ripe->request.op = APP_STORE_HELD;
	ripe->request.number = number;
	ripe->request.now = clock_wall();
	ripe->request.done = on_ripe;
	ripe->request.arg = ripe;
	code = app_store_submit(a->store, &ripe->request);
	if (code == 0)
		a->enrolling.lookups++;
	else
		ripe_end(ripe, code, &e);
}
