#include "appliance/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/ownname.h"
#include "appliance/regroot.h"
#include "appliance/state.h"
#include "board/base/clock.h"
#include "board/base/log.h"

enum { TICK_MS = 60 * 1000, RETRY_MIN_MS = 5 * 1000, RETRY_MAX_MS = 300 * 1000, JUMP_S = 30, DAY_S = 86400 };
enum { NAME_LIMIT = 4096 };

static const struct {
	enum app_usage usage;
	enum key_class key;
	const char *suffix;
} ra_kinds[APP_RA_COUNT] = {
	[APP_RA_SIGN] = {APP_USAGE_RA_SIGN, KEY_RA_SIGN, " RA signing"},
	[APP_RA_DECRYPT] = {APP_USAGE_RA_DECRYPT, KEY_RA_DECRYPT, " RA decryption"},
	[APP_RA_OCSP] = {APP_USAGE_OCSP, KEY_OCSP, " OCSP"},
	[APP_RA_POLICY] = {APP_USAGE_POLICY, KEY_POLICY, " policy module"},
};

/* One question of a check: a public key to the signer, or the current certificates of a usage to the store. */
struct app_internal_job {
	struct app_authority *authority;
	enum key_class key;
	int ra; /* which of ra_kinds; -1: the CA's key */
	struct app_store_request request;
};

enum { JOB_CA_KEY, JOB_KEYS, JOB_STORE = JOB_KEYS + APP_RA_COUNT, JOB_COUNT = JOB_STORE + APP_RA_COUNT };

/* A certificate for ourselves under way. */
struct own_issue {
	struct app_reply reply; /* TLS only */
	struct app_authority *authority;
	int ra; /* which of ra_kinds; -1: TLS */
	struct buf name;
	struct buf san;
	struct app_issue issue;
};

static void start_check(struct app_authority *a);
static void decide(struct app_authority *a);

static void
bytes_replace(struct bytes *v, struct bytes by)
{
	free((void *)v->data);
	*v = by;
}

static void
ra_clear(struct app_ra *ra)
{
	for (size_t i = 0; i < ra->count; i++)
		bytes_replace(&ra->certificates[i].der, (struct bytes){NULL, 0});
	ra->count = 0;
	ra->not_after = 0;
}

static void
job_done(struct app_authority *a)
{
	if (--a->internal.waiting == 0)
		decide(a);
}

static void
on_key(int code, const struct ipc_message *message, void *arg)
{
	struct app_internal_job *job = arg;
	struct app_authority *a = job->authority;
	struct msg_spki m = {0};
	struct bytes copy;

	if (code == 0 && (message->type != MSG_SPKI || msg_spki_get(message->body, &m) != 0))
		code = ERR_FORMAT;
	if (code == 0)
		code = (int)m.code;
	if (job->key == KEY_OCSP && code == ERR_UNKNOWN) {
		if (!a->internal.ocsp_off)
			log_event(OCSP_OFF, msg_key_name(KEY_OCSP));
		a->internal.ocsp_off = true;
	} else if (code != 0) {
		log_event(KEY_NOT_READ, msg_key_name(job->key), err_name(code), log_text(m.text));
	} else if (job->ra < 0) {
		a->internal.ca_key_wrong = !bytes_equal(m.spki, a->issuer.cert.tbs.spki);
		if (a->internal.ca_key_wrong)
			log_event(CA_KEY_WRONG, log_text("the token's key \"ca\" is not that of the CA certificate"));
	} else {
		copy = bytes_dup(m.spki);
		a->internal.ocsp_off = a->internal.ocsp_off && job->key != KEY_OCSP;
		if (copy.data != NULL)
			bytes_replace(&a->internal.ra[job->ra].spki, copy);
	}
	job_done(a);
}

const struct app_ra_certificate *
app_internal_newest(const struct app_ra *ra, unsigned generation)
{
	for (size_t i = 0; i < ra->count; i++) {
		if (ra->certificates[i].generation == generation)
			return &ra->certificates[i];
	}
	return NULL;
}

static void
take_record(struct app_ra *ra, const struct app_record *record)
{
	struct app_ra_certificate *place = &ra->certificates[ra->count];
	struct x509 cert;
	struct bytes copy;

	if (ra->count == APP_RA_DECRYPT_MAX || x509_parse(record->der, &cert, NULL) != 0)
		return;
	if (ra->spki.len > 0 && !bytes_equal(cert.tbs.spki, ra->spki))
		return;
	copy = bytes_dup(record->der);
	if (copy.data == NULL)
		return;
	if (ra->count == 0)
		ra->not_after = record->not_after;
	*place = (struct app_ra_certificate){copy, record->issuer, record->not_before, record->not_after};
	ra->count++;
}

/*
 * Takes the certificates whose key the token has, as app_ra orders them.  All for decryption, since clients cache them;
 * else the newest of each generation of the CA.
 */
static void
take_records(struct app_authority *a, int i, const struct app_store_request *request)
{
	struct app_ra *ra = &a->internal.ra[i];

	ra_clear(ra);
	for (unsigned step = 0; step <= CA_GENERATIONS; step++) {
		unsigned g = step == 0 ? a->current : CA_GENERATIONS - step;

		for (size_t k = 0; k < request->record_count; k++) {
			const struct app_record *record = &request->records[k];

			if (record->issuer != g || (step > 0 && g == a->current))
				continue;
			if (i == APP_RA_DECRYPT || app_internal_newest(ra, g) == NULL)
				take_record(ra, record);
		}
	}
}

static void
on_current(struct app_store_request *request, void *arg)
{
	struct app_internal_job *job = arg;

	/* What came back is judged in decide(), when the keys are known too. */
	job_done(job->authority);
}

static void
ask_key(struct app_authority *a, struct app_internal_job *job, enum key_class key, int ra)
{
	struct msg_public_key m = {.key_class = (uint8_t)key, .generation = (uint8_t)(key == KEY_CA ? a->current : 0)};

	job->authority = a;
	job->key = key;
	job->ra = ra;
	if (a->links.signer == NULL)
		return;
	if (msg_public_key_call(a->links.signer, &m, app_link_timeout(a), on_key, job) == 0)
		a->internal.waiting++;
}

static void
ask_store(struct app_authority *a, struct app_internal_job *job, int ra)
{
	int status;

	job->authority = a;
	job->ra = ra;
	job->request.op = APP_STORE_CURRENT;
	job->request.done = on_current;
	job->request.arg = job;
	job->request.usage = (int)ra_kinds[ra].usage;
	job->request.now = clock_wall();
	job->request.limit = APP_RA_DECRYPT_MAX;
	status = app_store_submit(a->store, &job->request);
	/* From here on an accepted request belongs to the store's thread. */
	if (status == 0)
		a->internal.waiting++;
	else
		job->request.code = status;
}

static void
start_check(struct app_authority *a)
{
	struct app_internal *internal = &a->internal;

	internal->again = false;
	internal->jobs = calloc(JOB_COUNT, sizeof(*internal->jobs));
	if (internal->jobs == NULL)
		return;
	/* One more than are asked, so that an answer that comes at once does not end the check. */
	internal->waiting = 1;
	ask_key(a, &internal->jobs[JOB_CA_KEY], KEY_CA, -1);
	for (int i = 0; i < APP_RA_COUNT; i++) {
		if (i == APP_RA_POLICY && !app_policy_wants_certificate(a))
			continue;
		ask_key(a, &internal->jobs[JOB_KEYS + i], ra_kinds[i].key, i);
		ask_store(a, &internal->jobs[JOB_STORE + i], i);
	}
	job_done(a);
}

void
app_internal_check(struct app_authority *a)
{
	if (a->stopping || a->store == NULL)
		return;
	if (a->internal.jobs != NULL)
		a->internal.again = true;
	else
		start_check(a);
}

static void
own_free(struct own_issue *own)
{
	app_issue_fini(&own->issue);
	buf_fini(&own->name);
	buf_fini(&own->san);
	free(own);
}

static struct own_issue *
own_new(struct app_authority *a, int ra, enum app_usage usage, app_issue_done_fn done)
{
	struct own_issue *own = calloc(1, sizeof(*own));

	if (own == NULL)
		return NULL;
	own->authority = a;
	own->ra = ra;
	buf_init(&own->name, NAME_LIMIT);
	buf_init(&own->san, NAME_LIMIT);
	list_init(&own->reply.link);
	list_init(&own->issue.parked);
	own->issue.usage = usage;
	own->issue.done = done;
	own->issue.arg = own;
	snprintf(own->issue.actor, sizeof(own->issue.actor), "system");
	return own;
}

/* Tries again later, each time twice as late. */
static void
back_off(struct app_internal *internal)
{
	internal->retry_ms = internal->retry_ms == 0 ? RETRY_MIN_MS : internal->retry_ms * 2;
	if (internal->retry_ms > RETRY_MAX_MS)
		internal->retry_ms = RETRY_MAX_MS;
	loop_timer_set(internal->timer, internal->retry_ms < TICK_MS ? internal->retry_ms : TICK_MS);
}

static void
log_own(const struct app_issue *issue, int code, const struct err *e)
{
	const char *usage = app_usage_name(issue->usage);

	if (code == 0)
		log_event(INTERNAL_ISSUED, usage, log_hex((struct bytes){issue->subject.serial, APP_SERIAL_SIZE}),
			  log_text(issue->subject_text));
	else
		log_event(INTERNAL_FAILED, usage, err_name(code), log_text(e->text),
			  issue->usage == APP_USAGE_RA_SIGN || issue->usage == APP_USAGE_RA_DECRYPT ? "10" : "-");
}

static void
on_ra_done(struct app_issue *issue, void *arg)
{
	struct own_issue *own = arg;
	struct app_authority *a = own->authority;

	log_own(issue, issue->code, &issue->e);
	a->internal.issuing--;
	if (issue->code != 0) {
		back_off(&a->internal);
	} else {
		a->internal.retry_ms = 0;
		app_internal_check(a);
	}
	own_free(own);
}

static void
issue_ra(struct app_authority *a, int ra, unsigned generation)
{
	struct own_issue *own = own_new(a, ra, ra_kinds[ra].usage, on_ra_done);
	struct bytes spki = a->internal.ra[ra].spki;
	struct err e = {0};
	int status;

	if (own == NULL)
		return;
	status = app_ownname_like(a->generations[generation].issuer.cert.tbs.subject, ra_kinds[ra].suffix, &own->name,
				  &e);
	own->issue.by_generation = true;
	own->issue.generation = generation;
	own->issue.subject.name = buf_bytes(&own->name);
	own->issue.subject.spki = spki;
	x509_sha256(spki, own->issue.key_hash);
	if (status == 0)
		status = app_issue_start(a, &own->issue, &e);
	if (status == 0) {
		a->internal.issuing++;
		return;
	}
	log_own(&own->issue, status, &e);
	back_off(&a->internal);
	own_free(own);
}

/*
 * Is a new certificate wanted?  The window is never more than a third of the current one's life, and a new one must
 * last longer: near the CA's own end it would not.
 */
static bool
renewal_due(const struct app_authority *a, int i, unsigned g, int64_t now)
{
	const struct app_ra_certificate *own = app_internal_newest(&a->internal.ra[i], g);
	const struct x509_tbs *ca = &a->generations[g].issuer.cert.tbs;
	int64_t window = (int64_t)a->conf->ca_ra_renew_days * DAY_S;
	int64_t third, not_before, not_after;

	if (i == APP_RA_OCSP && a->internal.ocsp_off)
		return false;
	if (i == APP_RA_POLICY && (a->internal.ra[i].spki.len == 0 || !app_policy_wants_certificate(a)))
		return false;
	/* A previous generation signs for OCSP alone. */
	if (g != a->current && (i != APP_RA_OCSP || !app_generation_is_live(a, g)))
		return false;
	if (own == NULL)
		return g == a->current || now < ca->not_after;
	third = (own->not_after - own->not_before) / 3;
	if (third < window)
		window = third;
	if (own->not_after - now > window)
		return false;
	if (app_profile_validity(a->profiles[ra_kinds[i].usage], now, ca->not_before, ca->not_after, &not_before,
				 &not_after, NULL) != 0)
		return false;
	return not_after - own->not_after > window / 2;
}

/* Finds the first certificate that is wanted, the current generation's before others; false when there is none. */
static bool
find_due(const struct app_authority *a, int64_t now, int *ret_ra, unsigned *ret_g)
{
	for (unsigned step = 0; step <= CA_GENERATIONS; step++) {
		unsigned g = step == 0 ? a->current : step - 1;

		for (int i = 0; i < APP_RA_COUNT; i++) {
			if (!renewal_due(a, i, g, now))
				continue;
			*ret_ra = i;
			*ret_g = g;
			return true;
		}
	}
	return false;
}

/* Takes what the store answered; false when it could not. */
static bool
take_answers(struct app_authority *a, struct app_internal_job *jobs)
{
	bool complete = true;

	for (int i = 0; i < APP_RA_COUNT; i++) {
		struct app_store_request *request = &jobs[JOB_STORE + i].request;

		if (request->code == 0) {
			take_records(a, i, request);
		} else {
			complete = false;
			log_event(FAILURE, "reading our own certificates", err_name(request->code), request->e.detail,
				  log_text(request->e.text));
		}
		app_store_request_fini(request);
	}
	return complete;
}

/* All answers of a check are there. */
static void
decide(struct app_authority *a)
{
	struct app_internal *internal = &a->internal;
	struct app_internal_job *jobs = TAKE(internal->jobs);
	int64_t now = clock_wall();
	bool complete = take_answers(a, jobs);
	bool due = false;
	unsigned g = 0;
	int i = 0;

	free(jobs);
	if (a->stopping)
		return;
	app_internal_announce(a);
	app_policy_adopt(a);
	if (!complete) {
		back_off(internal);
		return;
	}
	internal->checked = now;
	loop_timer_set(internal->timer, TICK_MS);
	if (internal->issuing == 0)
		due = find_due(a, now, &i, &g);
	if (due && a->links.signer != NULL && internal->ra[i].spki.len > 0 &&
	    !(g == a->current && internal->ca_key_wrong))
		issue_ra(a, i, g);
	else if (due && !app_link_settling(a) && !internal->again)
		log_event(INTERNAL_WAITS, app_usage_name(ra_kinds[i].usage),
			  internal->ca_key_wrong ? "the token has another CA key" : "the signer is away");
	if (!due && internal->issuing == 0)
		internal->retry_ms = 0;
	if (internal->again)
		start_check(a);
}

/* Each minute: is a certificate due, has the clock jumped, has a day gone by? */
static void
on_tick(void *arg)
{
	struct app_authority *a = arg;
	struct app_internal *internal = &a->internal;
	int64_t wall = clock_wall();
	int64_t mono_ms = clock_mono_ms();
	unsigned g;
	int i;
	int64_t jump = (wall - internal->tick_wall) - (mono_ms - internal->tick_mono_ms) / 1000;
	bool due = internal->retry_ms != 0 || jump > JUMP_S || jump < -JUMP_S || wall - internal->checked >= DAY_S;

	internal->tick_wall = wall;
	internal->tick_mono_ms = mono_ms;
	due = due || find_due(a, wall, &i, &g);
	if (jump > JUMP_S || jump < -JUMP_S) {
		log_event(CLOCK_JUMPED, (long long)jump);
		app_publish_wake(a);
	}
	loop_timer_set(internal->timer, TICK_MS);
	if (due)
		app_internal_check(a);
}

int
app_internal_init(struct app_authority *a)
{
	int status = loop_timer_new(a->loop, on_tick, a, &a->internal.timer);

	if (status != 0)
		return status;
	a->internal.tick_wall = clock_wall();
	a->internal.tick_mono_ms = clock_mono_ms();
	loop_timer_set(a->internal.timer, TICK_MS);
	return 0;
}

void
app_internal_fini(struct app_authority *a)
{
	loop_timer_free(TAKE(a->internal.timer));
	for (int i = 0; i < APP_RA_COUNT; i++) {
		ra_clear(&a->internal.ra[i]);
		bytes_replace(&a->internal.ra[i].spki, (struct bytes){NULL, 0});
	}
	free(TAKE(a->internal.jobs));
}

static void
tls_refuse(struct own_issue *own, int code, const struct err *e)
{
	bool peer = err_class(code) == ERR_CLASS_PEER;

	log_own(&own->issue, code, e);
	if (peer)
		app_reply_status(&own->reply, STATUS_REFUSED, SCEP_BAD_REQUEST, "");
	else
		app_reply_retry(&own->reply, code);
	own_free(own);
}

static void
on_tls_done(struct app_issue *issue, void *arg)
{
	struct own_issue *own = arg;
	struct msg_decision decision = {.status = STATUS_ISSUED, .certificate = issue->certificate};

	if (issue->code != 0) {
		tls_refuse(own, issue->code, &issue->e);
		return;
	}
	log_own(issue, 0, NULL);
	app_reply_send(&own->reply, &decision);
	own_free(own);
}

/* The key comes from the request, the names from the configuration; the request may ask for fewer, never for others. */
static int
tls_start(struct own_issue *own, const struct app_csr *csr, struct err *e)
{
	struct app_authority *a = own->authority;
	const struct app_profile *profile = a->profiles[APP_USAGE_TLS];
	struct app_subject *subject = &own->issue.subject;
	int status = app_profile_check(profile, csr, false, e);

	if (status == 0)
		status = app_cert_subject(profile, csr, &own->name, subject, e);
	if (status == 0)
		status = app_ownname_tls(a->conf->front_tls_names, &own->name, &own->san, e);
	if (status != 0)
		return status;
	if (subject->san.len == 0)
		subject->san = buf_bytes(&own->san);
	else if (!app_ownname_subset(subject->san, buf_bytes(&own->san)))
		return err_set(e, ERR_DENIED, 0, "the front asks for names outside front.tls_names");
	subject->name = buf_bytes(&own->name);
	x509_sha256(csr->spki, own->issue.key_hash);
	return app_issue_start(a, &own->issue, e);
}

void
app_internal_tls(struct app_front *front, uint64_t id, const struct msg_tls_request *m)
{
	struct app_authority *a = front->authority;
	struct own_issue *own;
	struct app_csr csr;
	struct app_reply reply;
	struct err e = {0};
	int status;

	if (m->use == TLS_REGISTRATION) {
		app_regroot_tls(front, id, m);
		return;
	}
	own = own_new(a, -1, APP_USAGE_TLS, on_tls_done);
	if (own == NULL) {
		app_reply_open(&reply, front, id);
		app_reply_retry(&reply, ERR_NOMEM);
		return;
	}
	app_reply_open(&own->reply, front, id);
	if (!bucket_take(&a->internal.tls, APP_TLS_BURST, APP_TLS_REFILL_MS)) {
		err_set(&e, ERR_BUSY, 0, "the front asks too often");
		tls_refuse(own, ERR_BUSY, &e);
		return;
	}
	status = app_csr_parse(m->csr, &csr, &e);
	if (status == 0) {
		status = tls_start(own, &csr, &e);
		app_csr_fini(&csr);
	}
	if (status != 0)
		tls_refuse(own, status, &e);
}
