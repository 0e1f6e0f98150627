#include "appliance/publish.h"

#include <stdio.h>
#include <string.h>

#include "appliance/state.h"
#include "board/base/clock.h"
#include "board/base/log.h"

enum { TICK_MS = 60 * 1000, RETRY_MIN_MS = 5 * 1000, RETRY_MAX_MS = 300 * 1000, SIGN_MS = 60 * 1000 };
/* STEP_S: less than the signer lets a CRL begin ahead of its own clock (hsm/tbs.h). */
enum { STEP_S = 240, MINUTE_S = 60, HOUR_S = 3600 };
enum { CRL_BYTES = 63 * 1024 * 1024, URL_SIZE = sizeof(((struct config *)NULL)->ca_delta_url) + 8 };

/* One CRL under way. */
struct app_publish_job {
	struct app_publish *publish;
	char delta_url[URL_SIZE];
	bool delta;
	int64_t changes;
	struct app_crl crl;
	struct buf tbs;
	struct buf der;
	int64_t number;
	int64_t this_update;
	int64_t next_update;
	struct app_store_request request;
};

static void begin(struct app_publish *p);
static void load(struct app_publish *p);

static const struct app_issuer *
issuer_of(const struct app_publish *p)
{
	return &p->authority->generations[p->generation].issuer;
}

static void
job_free(struct app_publish_job *job)
{
	app_crl_fini(&job->crl);
	buf_fini(&job->tbs);
	buf_fini(&job->der);
	app_store_request_fini(&job->request);
	free(job);
}

/* How often a CRL is made: never so rarely that the old one ends before. */
static int64_t
interval_s(const struct app_authority *a)
{
	int64_t asked = (int64_t)a->conf->ca_crl_interval_minutes * MINUTE_S;
	int64_t longest = (int64_t)a->conf->ca_crl_hours * HOUR_S * 3 / 4;

	return asked < longest ? asked : longest;
}

static bool
due(const struct app_publish *p, int64_t now)
{
	/* A CRL from the future comes of a clock that was wrong; the number goes on all the same. */
	return p->crl.len == 0 || now >= p->this_update + interval_s(p->authority) || now >= p->next_update ||
	       p->this_update > now + HOUR_S;
}

/* After half of the old one's life: a delta CRL that ends unnoticed hides revocations. */
static bool
delta_due(const struct app_publish *p, int64_t now)
{
	const struct app_delta *d = &p->delta;

	if (p->authority->conf->ca_delta_hours == 0)
		return false;
	return d->crl.len == 0 || now >= d->this_update + (d->next_update - d->this_update) / 2 ||
	       d->this_update > now + HOUR_S;
}

/* Delta CRLs are not made any more: nobody shall go on reading the last one. */
static void
drop_delta(struct app_publish *p)
{
	free((void *)p->delta.crl.data);
	p->delta = (struct app_delta){0};
	app_publish_send(p, true);
}

/* Moves all of from behind those of to. */
static void
move_waits(struct list *from, struct list *to)
{
	struct list *pos, *tmp;

	list_each (pos, tmp, from) {
		list_remove(pos);
		list_append(to, pos);
	}
}

static void
tell(struct list *waits, int code, const struct err *e)
{
	while (!list_empty(waits)) {
		struct app_publish_wait *wait = list_entry(waits->next, struct app_publish_wait, link);

		list_remove(&wait->link);
		wait->fn(code, e, wait->arg);
	}
}

static void
failed(struct app_publish *p, int code, const struct err *e)
{
	int64_t now = clock_wall();
	int64_t left = p->next_update - now;

	p->retry_ms = p->retry_ms == 0 ? RETRY_MIN_MS : p->retry_ms * 2;
	if (p->retry_ms > RETRY_MAX_MS)
		p->retry_ms = RETRY_MAX_MS;
	log_event(CRL_FAILED, err_name(code), log_text(e->text), (long long)(p->retry_ms / 1000));
	if (p->crl.len > 0 && left < (p->next_update - p->this_update) / 4)
		log_event(CRL_LATE, (long long)p->number, (long long)left);
	loop_timer_set(p->timer, p->retry_ms);
}

/* The CRL under way is published, or failed: tells who waits, and goes on. */
static void
finish(struct app_publish_job *job, int code, const struct err *e)
{
	struct app_publish *p = job->publish;
	const struct app_authority *a = p->authority;
	struct list waits;

	p->job = NULL;
	list_init(&waits);
	move_waits(&p->now, &waits);
	if (code != 0) {
		p->want_full = p->want_full || !job->delta;
		failed(p, code, e);
	} else {
		/* A delta CRL adds to the newest full one. */
		p->again = p->again || (!job->delta && a->conf->ca_delta_hours > 0);
		p->retry_ms = 0;
		loop_timer_set(p->timer, TICK_MS);
	}
	if (p->again && !a->stopping)
		begin(p);
	tell(&waits, code, e);
	job_free(job);
}

static void
fail_job(struct app_publish_job *job, int code, struct err *e, const char *step)
{
	err_set(e, code, 0, "%s", step);
	finish(job, code, e);
}

static void
adopt(struct app_publish_job *job)
{
	struct app_publish *p = job->publish;
	size_t len = 0;
	uint8_t *der = buf_take(&job->der, &len);

	p->last = job->number;
	if (job->delta) {
		free((void *)p->delta.crl.data);
		p->delta = (struct app_delta){{der, len},       job->number,      job->crl.base,
					      job->this_update, job->next_update, (int64_t)job->crl.count};
		return;
	}
	free((void *)p->crl.data);
	p->crl = (struct bytes){der, len};
	p->number = job->number;
	p->changes = job->changes;
	p->this_update = job->this_update;
	p->next_update = job->next_update;
	p->entries = (int64_t)job->crl.count;
}

static void
on_put(struct app_store_request *request, void *arg)
{
	struct app_publish_job *job = arg;
	struct app_publish *p = job->publish;
	struct err e = request->e;
	int code = request->code;

	app_state_note(p->authority, code);
	/* The DER was lent to the request. */
	request->der = (struct bytes){NULL, 0};
	if (code == 0) {
		adopt(job);
		log_event(CRL_PUBLISHED, (long long)job->number, (long long)job->crl.base,
			  (unsigned long long)job->crl.count, (long long)job->next_update);
		app_publish_send(p, job->delta);
		finish(job, 0, &e);
		return;
	}
	/* Another number is in the store than we think: look again before the next attempt. */
	if (code == ERR_EXISTS)
		p->loaded = false;
	fail_job(job, code, &e, "storing the CRL");
}

static int
join(struct app_publish_job *job, struct bytes signature)
{
	int status = app_cert_join(buf_bytes(&job->tbs), issuer_of(job->publish)->algorithm, signature, &job->der);

	return status != 0 ? status : buf_status(&job->der);
}

static void
on_signed(int code, const struct ipc_message *message, void *arg)
{
	struct app_publish_job *job = arg;
	struct app_authority *a = job->publish->authority;
	struct app_store_request *request = &job->request;
	struct bytes signature;
	struct err e = {0};
	int status = app_link_signature(issuer_of(job->publish), code, message, &signature, &e);

	if (status == 0)
		status = join(job, signature);
	memset(request, 0, sizeof(*request));
	request->op = APP_STORE_CRL_PUT;
	request->done = on_put;
	request->arg = job;
	request->now = clock_wall();
	request->issuer = job->publish->generation;
	request->number = job->number;
	request->base = job->crl.base;
	request->changes = job->changes;
	request->this_update = job->this_update;
	request->next_update = job->next_update;
	request->der = buf_bytes(&job->der);
	snprintf(request->actor, sizeof(request->actor), "system");
	if (status == 0)
		status = a->closing ? ERR_CLOSED : app_store_submit(a->store, request);
	if (status == 0)
		return;
	request->der = (struct bytes){NULL, 0};
	fail_job(job, status, &e, "storing the CRL");
}

static void
on_revoked(struct app_store_request *request, void *arg)
{
	struct app_publish_job *job = arg;
	const struct app_publish *p = job->publish;
	const struct app_authority *a = p->authority;
	struct msg_sign m = {
		.key_class = KEY_CRL, .generation = (uint8_t)p->generation, .digest = (uint8_t)issuer_of(p)->digest};
	struct err e = request->e;
	int status = request->code;

	job->changes = request->changes;
	app_store_request_fini(request);
	if (status == 0)
		status = app_crl_build(issuer_of(p), &job->crl, job->number, job->this_update, job->next_update,
				       &job->tbs);
	if (status == 0)
		status = buf_status(&job->tbs);
	if (status == 0 && a->links.signer == NULL)
		status = err_set(&e, ERR_CLOSED, 0, "there is no signer");
	m.data = buf_bytes(&job->tbs);
	if (status == 0)
		status = msg_sign_call(a->links.signer, &m, SIGN_MS, on_signed, job);
	if (status != 0)
		fail_job(job, status, &e, "building and signing the CRL");
}

/*
 * The time of the next CRL.  When the clock was set back a little, it is that of the last one: some take the list with
 * the latest date for the newest.  One from further ahead comes of a clock that was wrong; nobody accepts it anyway.
 */
static int64_t
next_time(const struct app_publish *p, int64_t now)
{
	int64_t last = p->delta.this_update > p->this_update ? p->delta.this_update : p->this_update;

	return last > now && last <= now + STEP_S ? last : now;
}

/*
 * For how long behind its end a certificate stays on a CRL of this time: until one was issued behind that end (RFC 5280
 * 3.3).  Normally that is within the life of a CRL; after a long outage it is the time since the last one.
 */
static int64_t
grace_s(const struct app_publish *p, int64_t now)
{
	int64_t life = (int64_t)p->authority->conf->ca_crl_hours * HOUR_S;
	int64_t since = now - p->this_update;

	return since > life ? since : life;
}

static struct app_publish_job *
job_new(struct app_publish *p)
{
	struct app_publish_job *job = calloc(1, sizeof(*job));

	if (job == NULL)
		return NULL;
	job->publish = p;
	app_crl_init(&job->crl);
	buf_init(&job->tbs, CRL_BYTES);
	buf_init(&job->der, CRL_BYTES);
	job->number = p->last + 1;
	job->this_update = next_time(p, clock_wall());
	job->crl.made = job->this_update;
	return job;
}

/* What the store shall read for the job, and how long the CRL lives.  Fails with ERR_LIMIT. */
static int
ask_for(struct app_publish_job *job, bool delta)
{
	const struct app_publish *p = job->publish;
	const struct app_authority *a = p->authority;

	job->delta = delta;
	job->next_update =
		job->this_update + (int64_t)(delta ? a->conf->ca_delta_hours : a->conf->ca_crl_hours) * HOUR_S;
	job->crl.base = delta ? p->number : 0;
	job->crl.delta_url = job->delta_url;
	job->request.issuer = p->generation;
	job->request.op = delta ? APP_STORE_CHANGED : APP_STORE_REVOKED;
	job->request.done = on_revoked;
	job->request.arg = job;
	job->request.now = job->this_update;
	job->request.changes = p->changes;
	job->request.grace = grace_s(p, job->this_update);
	job->request.each = app_crl_add;
	job->request.each_arg = &job->crl;
	return app_generation_url(a->conf->ca_delta_url, p->generation, job->delta_url, sizeof(job->delta_url));
}

/* Begins one more CRL for all that wait. */
static void
begin(struct app_publish *p)
{
	struct app_authority *a = p->authority;
	struct app_publish_job *job;
	struct err e = {0};
	int status;

	if (!p->loaded) {
		p->again = true;
		load(p);
		return;
	}
	p->again = false;
	move_waits(&p->later, &p->now);
	if (app_link_settling(a) && list_empty(&p->now)) {
		p->retry_ms = RETRY_MIN_MS;
		loop_timer_set(p->timer, RETRY_MIN_MS);
		return;
	}
	job = p->job = job_new(p);
	if (job == NULL) {
		loop_timer_set(p->timer, RETRY_MIN_MS);
		return;
	}
	status = ask_for(job, !p->want_full && a->conf->ca_delta_hours > 0);
	p->want_full = false;
	/* It would have ended already, and take the place of a good one. */
	if (job->this_update < issuer_of(p)->cert.tbs.not_before) {
		err_set(&e, ERR_STAGE, 0, "the clock stands before the beginning of the CA certificate");
		fail_job(job, ERR_STAGE, &e, "making the CRL");
		return;
	}
	/* No work for nothing, and no number lost, while nobody can sign. */
	if (a->links.signer == NULL) {
		fail_job(job, ERR_CLOSED, &e, "there is no signer");
		return;
	}
	if (status == 0)
		status = app_store_submit(a->store, &job->request);
	if (status != 0)
		fail_job(job, status, &e, "reading the revoked certificates");
}

static void
take_stored(struct app_publish *p, struct app_store_request *request)
{
	struct bytes copy = bytes_dup(request->der);

	if (copy.data == NULL)
		return;
	free((void *)p->crl.data);
	p->crl = copy;
	p->number = request->number;
	p->last = request->last;
	p->changes = request->changes;
	p->this_update = request->this_update;
	p->next_update = request->next_update;
	p->entries = app_crl_entries(copy);
}

static void
on_loaded(struct app_store_request *request, void *arg)
{
	struct app_publish_job *job = arg;
	struct app_publish *p = job->publish;
	struct err e = request->e;
	int code = request->code == ERR_UNKNOWN ? 0 : request->code;

	if (request->code == 0)
		take_stored(p, request);
	if (code != 0) {
		/* Not at once again: the timer does. */
		p->again = false;
		fail_job(job, code, &e, "reading the last CRL");
		return;
	}
	p->job = NULL;
	p->loaded = true;
	if (p->crl.len > 0)
		app_publish_send(p, false);
	loop_timer_set(p->timer, TICK_MS);
	p->want_full = p->want_full || due(p, clock_wall());
	if ((p->again || p->want_full) && !p->authority->stopping)
		begin(p);
	job_free(job);
}

/* Asks the store for the last CRL; what waits goes on from there. */
static void
load(struct app_publish *p)
{
	struct app_publish_job *job = p->job = job_new(p);
	struct err e = {0};
	int status;

	move_waits(&p->later, &p->now);
	if (job == NULL) {
		loop_timer_set(p->timer, RETRY_MIN_MS);
		return;
	}
	job->request.op = APP_STORE_CRL_GET;
	job->request.issuer = p->generation;
	job->request.done = on_loaded;
	job->request.arg = job;
	status = app_store_submit(p->authority->store, &job->request);
	if (status != 0) {
		p->again = false;
		fail_job(job, status, &e, "reading the last CRL");
	}
}

void
app_publish_start(struct app_authority *a, unsigned generation)
{
	struct app_publish *p = &a->publish[generation];

	if (p->loaded || p->job != NULL)
		return;
	/* A crash may have come between a revocation and its CRL, so the last one is not good enough. */
	p->again = true;
	p->want_full = true;
	load(p);
}

/* Makes a CRL for wait, as soon as the one under way is done. */
static void
make(struct app_publish *p, struct app_publish_wait *wait)
{
	struct app_authority *a = p->authority;
	struct err e = {0};

	if (wait != NULL)
		list_init(&wait->link);
	if (a->stopping)
		err_set(&e, ERR_CLOSED, 0, "the appliance stops");
	else if (!app_generation_is_live(a, p->generation))
		err_set(&e, ERR_STAGE, 0, "all certificates of CA generation %u have ended", p->generation + 1);
	if (e.code != 0) {
		if (wait != NULL)
			wait->fn(e.code, &e, wait->arg);
		return;
	}
	if (wait != NULL)
		list_append(&p->later, &wait->link);
	if (p->job != NULL)
		p->again = true;
	else
		begin(p);
}

void
app_publish_make(struct app_authority *a, struct app_publish_wait *wait)
{
	for (unsigned g = 0; g < CA_GENERATIONS; g++) {
		struct app_publish *p = &a->publish[g];

		if (!app_generation_is_live(a, g))
			continue;
		p->want_full = true;
		make(p, g == a->current ? wait : NULL);
	}
}

void
app_publish_revoked(struct app_authority *a, unsigned generation, struct app_publish_wait *wait)
{
	if (a->conf->ca_delta_hours == 0 || strcmp(a->conf->ca_crl_on_revocation, "delta") != 0)
		a->publish[generation].want_full = true;
	make(&a->publish[generation], wait);
}

/* Makes one when it is due or an attempt failed. */
static void
wake(struct app_publish *p)
{
	const struct app_authority *a = p->authority;

	if (a->stopping || p->job != NULL || a->store == NULL || !app_generation_is_live(a, p->generation))
		return;
	if (a->conf->ca_delta_hours == 0 && p->delta.crl.len > 0)
		drop_delta(p);
	p->want_full = p->want_full || (p->loaded && due(p, clock_wall()));
	if (!p->loaded)
		load(p);
	else if (p->retry_ms != 0 || p->want_full || delta_due(p, clock_wall()))
		begin(p);
	else
		loop_timer_set(p->timer, TICK_MS);
}

void
app_publish_wake(struct app_authority *a)
{
	for (unsigned g = 0; g < CA_GENERATIONS; g++) {
		if (a->publish[g].timer != NULL)
			wake(&a->publish[g]);
	}
}

static void
on_timer(void *arg)
{
	wake(arg);
}

int
app_publish_init(struct app_authority *a)
{
	int status = 0;

	for (unsigned g = 0; status == 0 && g < CA_GENERATIONS; g++)
		status = loop_timer_new(a->loop, on_timer, &a->publish[g], &a->publish[g].timer);
	return status;
}

static void
publish_fini(struct app_publish *p)
{
	struct err e = {0};

	err_set(&e, ERR_CLOSED, 0, "the appliance stops");
	tell(&p->now, ERR_CLOSED, &e);
	tell(&p->later, ERR_CLOSED, &e);
	loop_timer_free(TAKE(p->timer));
	free((void *)p->crl.data);
	p->crl = (struct bytes){NULL, 0};
	free((void *)p->delta.crl.data);
	p->delta = (struct app_delta){0};
}

void
app_publish_fini(struct app_authority *a)
{
	for (unsigned g = 0; g < CA_GENERATIONS; g++)
		publish_fini(&a->publish[g]);
}
