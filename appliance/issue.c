#include "appliance/issue.h"

#include <stdio.h>
#include <string.h>

#include "appliance/state.h"
#include "board/base/clock.h"
#include "board/base/log.h"
#include "board/base/oid.h"

enum { TBS_LIMIT = 65536, CERTIFICATE_LIMIT = 65536, PARKED_MS = 20, FAILED_MS = 200 };

/* The CA that signs it. */
static const struct app_issuer *
issuer_of(const struct app_issue *issue)
{
	return &issue->authority->generations[issue->generation].issuer;
}

enum step { STEP_RESERVE, STEP_SIGN, STEP_STORE, STEP_ABANDON, STEP_DONE };

/* Begins the step; its end calls advance(), unless it fails at once. */
typedef int (*step_fn)(struct app_issue *issue);

static int begin_reserve(struct app_issue *issue);
static int begin_sign(struct app_issue *issue);
static int begin_store(struct app_issue *issue);
static int begin_abandon(struct app_issue *issue);

/* The life of a certificate: appliance/issue.h draws it. */
static const struct {
	const char *name;
	step_fn begin;
	enum step on_ok;
	enum step on_failure;
} steps[] = {
	[STEP_RESERVE] = {"reserving", begin_reserve, STEP_SIGN, STEP_DONE},
	[STEP_SIGN] = {"signing", begin_sign, STEP_STORE, STEP_ABANDON},
	[STEP_STORE] = {"storing", begin_store, STEP_DONE, STEP_DONE},
	[STEP_ABANDON] = {"abandoning", begin_abandon, STEP_DONE, STEP_DONE},
};

static void
finish(struct app_issue *issue)
{
	struct app_issuing *issuing = &issue->authority->issuing;

	issuing->count--;
	if (issue->code == 0 && !issue->existing)
		issuing->issued++;
	if (issue->code != 0)
		issuing->failed++;
	issue->done(issue, issue->arg);
}

/* The step under way ended with status: goes on to the next one that does not fail at once. */
static void
advance(struct app_issue *issue, int status)
{
	while (true) {
		/* The first failure is the issue's; that of a clean-up after it is not. */
		if (status != 0 && issue->code == 0) {
			issue->code = status;
			err_set(&issue->e, status, 0, "%s", steps[issue->step].name);
		}
		issue->step = status == 0 ? steps[issue->step].on_ok : steps[issue->step].on_failure;
		/* A transaction that has its certificate needs no other. */
		if (issue->existing)
			issue->step = STEP_DONE;
		if (issue->step == STEP_DONE) {
			finish(issue);
			return;
		}
		status = steps[issue->step].begin(issue);
		if (status == 0)
			return;
	}
}

/*
 * The store failed to end an intent: the same is asked again soon, since until then the transaction counts as being
 * answered and its challenge as held.  False when it has failed for too long; if it takes nothing at all, the role ends
 * then.
 */
static bool
try_again(struct app_issue *issue, int status)
{
	struct app_authority *a = issue->authority;
	int64_t now = clock_mono_ms();

	if (status != ERR_STORE || a->closing)
		return false;
	if (issue->failing_ms == 0)
		issue->failing_ms = now;
	if (now - issue->failing_ms >= 2 * APP_STORE_PATIENCE_MS)
		return false;
	list_append(&a->issuing.parked, &issue->parked);
	loop_timer_set(a->issuing.timer, FAILED_MS);
	return true;
}

/* Queues the request; when the store's queue is full it waits here for room.  What was signed must be stored. */
static int
submit(struct app_issue *issue, bool may_wait)
{
	struct app_issuing *issuing = &issue->authority->issuing;
	int status;

	if (issue->authority->closing)
		return ERR_CLOSED;
	status = app_store_submit(issue->authority->store, &issue->request);
	if (status != ERR_BUSY || !may_wait)
		return status;
	list_append(&issuing->parked, &issue->parked);
	loop_timer_set(issuing->timer, PARKED_MS);
	return 0;
}

static void
on_parked(void *arg)
{
	struct app_authority *a = arg;
	struct list *pos, *tmp;

	list_each (pos, tmp, &a->issuing.parked) {
		struct app_issue *issue = list_entry(pos, struct app_issue, parked);
		int status = app_store_submit(a->store, &issue->request);

		if (status == ERR_BUSY) {
			loop_timer_set(a->issuing.timer, PARKED_MS);
			return;
		}
		list_remove(&issue->parked);
		if (status != 0)
			advance(issue, status);
	}
}

/* Empties the request for op and fills what all operations need. */
static struct app_store_request *
request_for(struct app_issue *issue, enum app_store_op op, app_store_done_fn done)
{
	struct app_store_request *request = &issue->request;

	memset(request, 0, sizeof(*request));
	request->op = op;
	request->done = done;
	request->arg = issue;
	request->now = clock_wall();
	memcpy(request->serial, issue->subject.serial, APP_SERIAL_SIZE);
	snprintf(request->actor, sizeof(request->actor), "%s", issue->actor);
	return request;
}

/* Takes over the certificate that this transaction has already. */
static int
take_existing(struct app_issue *issue, const struct app_store_request *request)
{
	if (request->record_count == 0)
		return ERR_INTERNAL;
	buf_clear(&issue->cert);
	buf_put_raw(&issue->cert, request->records[0].der.data, request->records[0].der.len);
	memcpy(issue->subject.serial, request->records[0].serial, APP_SERIAL_SIZE);
	if (buf_status(&issue->cert) != 0)
		return buf_status(&issue->cert);
	issue->certificate = buf_bytes(&issue->cert);
	issue->existing = true;
	return 0;
}

static void
on_reserved(struct app_store_request *request, void *arg)
{
	struct app_issue *issue = arg;
	int status = request->code;

	issue->verdict = request->verdict;
	app_state_note(issue->authority, status);
	if (status == ERR_EXISTS)
		status = take_existing(issue, request);
	if (status != 0)
		err_set(&issue->e, status, request->e.detail, "reserving: %s", request->e.text);
	app_store_request_fini(request);
	advance(issue, status);
}

/* What the challenge has to be good for: what the certificate will say, whatever the request was. */
static int
make_claim(struct app_issue *issue)
{
	struct x509_tbs tbs;
	struct x509_extension san = {.critical = false};
	int status = x509_tbs_parse(buf_bytes(&issue->tbs), &tbs, &issue->e);

	if (status == 0)
		status = x509_extension_find(&tbs, OID_SUBJECT_ALT_NAME, &san);
	if (status != 0 && status != ERR_UNKNOWN)
		return err_set(&issue->e, ERR_INTERNAL, 0, "reading the TBSCertificate");
	issue->claim = (struct app_claim){
		.template_name = issue->template_name,
		.needs_template = app_profile_is_agent(issue->profile),
		.name = tbs.subject,
		.san = san.value,
		.spki = tbs.spki,
		.key_usage = issue->key_usage,
	};
	return 0;
}

static int
begin_reserve(struct app_issue *issue)
{
	struct app_store_request *request = request_for(issue, APP_STORE_RESERVE, on_reserved);
	int status = issue->has_challenge ? make_claim(issue) : 0;

	if (status != 0)
		return status;
	request->claim = &issue->claim;
	request->number = issue->approved;
	request->usage = (int)issue->usage;
	request->issuer = issue->generation;
	request->not_before = issue->subject.not_before;
	request->not_after = issue->subject.not_after;
	request->expires = issue->requested_not_after;
	x509_sha256(buf_bytes(&issue->tbs), request->tbs_hash);
	memcpy(request->key_hash, issue->key_hash, APP_HASH_SIZE);
	request->has_challenge = issue->has_challenge;
	memcpy(request->challenge_hash, issue->challenge_hash, APP_HASH_SIZE);
	request->renews = issue->renews;
	memcpy(request->old_serial, issue->old_serial, APP_SERIAL_SIZE);
	memcpy(request->old_hash, issue->old_hash, APP_HASH_SIZE);
	snprintf(request->transaction_id, sizeof(request->transaction_id), "%s", issue->transaction_id);
	snprintf(request->subject, sizeof(request->subject), "%s", issue->subject_text);
	snprintf(request->template_name, sizeof(request->template_name), "%s", issue->template_name);
	snprintf(request->peer, sizeof(request->peer), "%s", issue->peer);
	return submit(issue, false);
}

static int
join(struct app_issue *issue, struct bytes signature)
{
	int status;

	buf_clear(&issue->cert);
	status = app_cert_join(buf_bytes(&issue->tbs), issuer_of(issue)->algorithm, signature, &issue->cert);
	return status != 0 ? status : buf_status(&issue->cert);
}

static void
on_signed(int code, const struct ipc_message *message, void *arg)
{
	struct app_issue *issue = arg;
	struct bytes signature;
	int status = app_link_signature(issuer_of(issue), code, message, &signature, &issue->e);

	if (status == 0)
		status = join(issue, signature);
	advance(issue, status);
}

static int
begin_sign(struct app_issue *issue)
{
	struct app_authority *a = issue->authority;
	struct msg_sign m = {
		.key_class = KEY_CA,
		.generation = (uint8_t)issue->generation,
		.digest = (uint8_t)issuer_of(issue)->digest,
		.data = buf_bytes(&issue->tbs),
	};

	if (issue->generation == a->current && a->internal.ca_key_wrong)
		return err_set(&issue->e, ERR_STAGE, 0, "the token's CA key is not that of the CA certificate");
	if (a->links.signer == NULL)
		return err_set(&issue->e, ERR_CLOSED, 0, "there is no signer");
	return msg_sign_call(a->links.signer, &m, app_link_timeout(a), on_signed, issue);
}

static void
on_stored(struct app_store_request *request, void *arg)
{
	struct app_issue *issue = arg;
	int status = request->code;

	app_state_note(issue->authority, status);
	if (try_again(issue, status))
		return;
	if (status == 0)
		issue->certificate = buf_bytes(&issue->cert);
	else
		err_set(&issue->e, status, request->e.detail, "storing: %s", request->e.text);
	if (status != 0)
		log_event(ENROLL_UNSTORED, log_hex((struct bytes){request->serial, APP_SERIAL_SIZE}),
			  log_text(issue->subject_text), err_name(status), log_text(request->e.text));
	app_store_request_fini(request);
	advance(issue, status);
}

static int
begin_store(struct app_issue *issue)
{
	struct app_store_request *request = request_for(issue, APP_STORE_ISSUE, on_stored);
	int status;

	request->usage = (int)issue->usage;
	request->not_before = issue->subject.not_before;
	request->not_after = issue->subject.not_after;
	request->der = buf_bytes(&issue->cert);
	status = submit(issue, true);
	if (status != 0)
		log_event(ENROLL_UNSTORED, log_hex((struct bytes){issue->subject.serial, APP_SERIAL_SIZE}),
			  log_text(issue->subject_text), err_name(status), log_text("not accepted by the store"));
	return status;
}

static void
on_abandoned(struct app_store_request *request, void *arg)
{
	struct app_issue *issue = arg;

	app_state_note(issue->authority, request->code);
	if (try_again(issue, request->code))
		return;
	if (request->code != 0)
		log_event(FAILURE, "abandoning an intent", err_name(request->code), request->e.detail,
			  log_text(request->e.text));
	app_store_request_fini(request);
	advance(issue, 0);
}

static int
begin_abandon(struct app_issue *issue)
{
	struct app_store_request *request = request_for(issue, APP_STORE_ABANDON, on_abandoned);

	snprintf(request->text, sizeof(request->text), "%s", issue->e.text);
	return submit(issue, true);
}

/* What was asked for and what is granted are both in the log; the audit trail has them too. */
static void
shorten(struct app_issue *issue)
{
	char asked[24], granted[24];

	if (issue->requested_not_after < issue->subject.not_after)
		issue->subject.not_after = issue->requested_not_after;
	log_event(VALIDITY_REQUESTED, log_text(issue->transaction_id),
		  clock_text(issue->requested_not_after, asked, sizeof(asked)),
		  clock_text(issue->subject.not_after, granted, sizeof(granted)));
}

/* Fills what varies and builds the TBSCertificate; nothing is queued yet. */
static int
build(struct app_issue *issue, const struct app_profile *profile, struct err *e)
{
	const struct app_issuer *issuer = issuer_of(issue);
	struct app_subject *subject = &issue->subject;
	int status;

	status = app_profile_validity(profile, clock_wall(), issuer->cert.tbs.not_before, issuer->cert.tbs.not_after,
				      &subject->not_before, &subject->not_after, e);
	if (status == 0 && issue->requested_not_after != 0)
		shorten(issue);
	if (status == 0)
		status = app_serial_new(subject->serial);
	if (status == 0)
		status = app_cert_build(issuer, profile, subject, &issue->tbs);
	if (status == 0)
		status = buf_status(&issue->tbs);
	if (status == 0)
		status = app_cert_lint(issuer, buf_bytes(&issue->tbs), e);
	if (status != 0)
		return err_set(e, status, 0, "building the certificate");
	x509_name_text(subject->name, issue->subject_text, sizeof(issue->subject_text));
	/* These belong to the caller; from here on the TBSCertificate holds what matters. */
	subject->name = subject->spki = subject->san = (struct bytes){NULL, 0};
	return 0;
}

/*
 * What another generation than the current one issues has that one's URLs; it is rare, so its profile is made for it.
 */
static int
prepare(struct app_authority *a, struct app_issue *issue, struct err *e)
{
	AUTO_STRUCT(app_profile) profile = NULL;
	struct config conf;
	int status;

	if (issue->generation == a->current)
		return build(issue, issue->profile, e);
	status = app_generation_config(a->conf, issue->generation, &conf, e);
	if (status == 0)
		status = app_profile_new(&conf, issue->usage, &profile, e);
	return status != 0 ? status : build(issue, profile, e);
}

int
app_issue_start(struct app_authority *a, struct app_issue *issue, struct err *e)
{
	int status;

	issue->authority = a;
	if (!issue->by_generation)
		issue->generation = a->current;
	if (issue->profile == NULL)
		issue->profile = a->profiles[issue->usage];
	if (issue->profile == NULL)
		return err_set(e, ERR_STAGE, 0, "there is no profile for this certificate");
	snprintf(issue->template_name, sizeof(issue->template_name), "%s", app_profile_name(issue->profile));
	issue->began_ms = clock_mono_ms();
	list_init(&issue->parked);
	buf_init(&issue->tbs, TBS_LIMIT);
	buf_init(&issue->cert, CERTIFICATE_LIMIT);
	if (a->stopping || a->issuing.count >= APP_ISSUE_LIMIT)
		return err_set(e, ERR_BUSY, 0, "%zu certificates are under way", a->issuing.count);

	status = prepare(a, issue, e);
	if (status != 0)
		return status;
	issue->step = STEP_RESERVE;
	status = begin_reserve(issue);
	issue->profile = NULL; /* it may be replaced from here on */
	if (status != 0)
		return err_set(e, status, 0, "the store's queue");
	a->issuing.count++;
	return 0;
}

void
app_issue_fini(struct app_issue *issue)
{
	list_remove(&issue->parked);
	buf_fini(&issue->tbs);
	buf_fini(&issue->cert);
	issue->certificate = (struct bytes){NULL, 0};
}

int
app_issuing_init(struct app_authority *a)
{
	return loop_timer_new(a->loop, on_parked, a, &a->issuing.timer);
}

void
app_issuing_fini(struct app_authority *a)
{
	struct list *pos, *tmp;

	list_each (pos, tmp, &a->issuing.parked) {
		struct app_issue *issue = list_entry(pos, struct app_issue, parked);

		list_remove(&issue->parked);
		advance(issue, ERR_CLOSED);
	}
	loop_timer_free(TAKE(a->issuing.timer));
}
