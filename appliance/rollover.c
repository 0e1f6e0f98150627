#include "appliance/rollover.h"

#include <stdio.h>
#include <string.h>

#include "appliance/state.h"
#include "board/base/clock.h"
#include "board/base/log.h"

enum { TICK_MS = 60 * 1000, DAY_S = 86400 };

/* A change under way. */
struct change {
	struct app_authority *authority;
	unsigned generation;
	char actor[64];
	app_rollover_fn fn;
	void *arg;
	struct app_store_request request;
};

static void
finish(struct change *change, int code, struct err *e)
{
	change->authority->rollover.busy = false;
	if (code != 0)
		err_set(e, code, 0, "%s", err_name(code));
	if (change->fn != NULL)
		change->fn(code, e, change->arg);
	app_store_request_fini(&change->request);
	free(change);
}

static void
log_change(const struct change *change)
{
	const struct app_store_request *request = &change->request;
	char when[24];

	if (request->op == APP_STORE_ROLLOVER)
		log_event(CA_ROLLOVER, request->issuer + 1, log_text(change->actor));
	else if (request->op == APP_STORE_ROLLOVER_CANCEL)
		log_event(CA_ROLLOVER_CANCELLED, request->issuer + 1, log_text(change->actor));
	else
		log_event(CA_ROLLOVER_PLANNED, request->issuer + 1,
			  request->expires == 0 ? "never" : clock_text(request->expires, when, sizeof(when)),
			  log_text(change->actor));
}

static void
on_changed(struct app_store_request *request, void *arg)
{
	struct change *change = arg;
	struct app_authority *a = change->authority;
	struct err e = request->e;

	app_state_note(a, request->code);
	if (request->code == 0) {
		log_change(change);
		app_generation_adopt(a, request);
		loop_timer_set(a->rollover.timer, 0);
	}
	finish(change, request->code, &e);
}

static void
submit(struct change *change)
{
	struct app_authority *a = change->authority;
	struct err e = {0};
	int status = a->closing ? ERR_CLOSED : app_store_submit(a->store, &change->request);

	if (status != 0)
		finish(change, status, &e);
}

/* The token has the next generation's key, and it is that of the certificate: now it can be done. */
static void
on_key(int code, const struct ipc_message *message, void *arg)
{
	struct change *change = arg;
	const struct app_issuer *issuer = &change->authority->generations[change->generation].issuer;
	struct msg_spki m = {0};
	struct err e = {0};

	if (code == 0 && (message->type != MSG_SPKI || msg_spki_get(message->body, &m) != 0))
		code = ERR_FORMAT;
	if (code == 0 && m.code != 0)
		code = err_set(&e, (int)m.code, m.detail, "signer: %s", m.text);
	if (code == 0 && !bytes_equal(m.spki, issuer->cert.tbs.spki))
		code = err_set(&e, ERR_STAGE, 0, "the token's key is not that of the next CA certificate");
	if (code != 0)
		finish(change, code, &e);
	else
		submit(change);
}

static int
ask_key(struct change *change, struct err *e)
{
	struct app_authority *a = change->authority;
	struct msg_public_key m = {.key_class = KEY_CA, .generation = (uint8_t)change->generation};

	if (a->links.signer == NULL)
		return err_set(e, ERR_CLOSED, 0, "there is no signer");
	return msg_public_key_call(a->links.signer, &m, app_link_timeout(a), on_key, change);
}

/* May it be done at all?  Fails with ERR_STAGE. */
static int
check(const struct app_authority *a, enum app_store_op op, int64_t at, unsigned g, struct err *e)
{
	const struct x509_tbs *ca = g < CA_GENERATIONS ? &a->generations[g].issuer.cert.tbs : NULL;
	int64_t when = op == APP_STORE_ROLLOVER ? clock_wall() : at;

	if (ca == NULL)
		return err_set(e, ERR_STAGE, 0, "no next CA is prepared");
	if (a->rollover.busy || a->stopping)
		return err_set(e, ERR_STAGE, 0, "another change is under way");
	if (op != APP_STORE_ROLLOVER_CANCEL && when != 0 && (when < ca->not_before || when >= ca->not_after))
		return err_set(e, ERR_STAGE, 0, "the next CA's certificate is not valid then");
	return 0;
}

void
app_rollover_change(struct app_authority *a, enum app_store_op op, int64_t at, const char *actor, app_rollover_fn fn,
		    void *arg)
{
	unsigned g = app_generation_next(a);
	struct change *change = NULL;
	struct err e = {0};
	int status = check(a, op, at, g, &e);

	if (status == 0) {
		change = calloc(1, sizeof(*change));
		status = change == NULL ? ERR_NOMEM : 0;
	}
	if (status != 0) {
		if (fn != NULL)
			fn(status, &e, arg);
		return;
	}
	*change = (struct change){.authority = a, .generation = g, .fn = fn, .arg = arg};
	snprintf(change->actor, sizeof(change->actor), "%s", actor);
	change->request.op = op;
	change->request.done = on_changed;
	change->request.arg = change;
	change->request.issuer = g;
	change->request.now = clock_wall();
	change->request.expires = at;
	snprintf(change->request.actor, sizeof(change->request.actor), "%s", actor);
	x509_name_text(a->generations[g].issuer.cert.tbs.subject, change->request.subject,
		       sizeof(change->request.subject));
	a->rollover.busy = true;
	if (op != APP_STORE_ROLLOVER)
		submit(change);
	else if ((status = ask_key(change, &e)) != 0)
		finish(change, status, &e);
}

static void
on_due(int code, const struct err *e, void *arg)
{
	const struct app_authority *a = arg;

	if (code != 0)
		log_event(CA_ROLLOVER_WAITS, app_generation_next(a) + 1, log_text(e->text));
}

/* Has the date come, and has a CA ended? */
static void
on_timer(void *arg)
{
	struct app_authority *a = arg;
	unsigned g = app_generation_next(a);
	int64_t at = g < CA_GENERATIONS ? a->issuers.of[g].rollover_at : 0;
	int64_t now = clock_wall();
	int64_t wait_ms = TICK_MS;

	if (now - a->rollover.surveyed >= DAY_S || now < a->rollover.surveyed) {
		a->rollover.surveyed = now;
		app_generation_survey(a);
	}
	if (at != 0 && at > now && (at - now) * 1000 < TICK_MS)
		wait_ms = (at - now) * 1000;
	loop_timer_set(a->rollover.timer, wait_ms);
	if (at != 0 && at <= now && !a->rollover.busy && !a->stopping)
		app_rollover_change(a, APP_STORE_ROLLOVER, 0, "system", on_due, a);
}

int
app_rollover_init(struct app_authority *a)
{
	int status = loop_timer_new(a->loop, on_timer, a, &a->rollover.timer);

	a->rollover.surveyed = clock_wall();
	if (status == 0)
		loop_timer_set(a->rollover.timer, 0);
	return status;
}

void
app_rollover_fini(struct app_authority *a)
{
	loop_timer_free(TAKE(a->rollover.timer));
}
