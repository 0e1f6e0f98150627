/*
 * chancery-signer - the role that uses the token
 *
 * It alone loads the vendor's PKCS#11 module and knows the PIN.  Its loop takes requests from front and authority; its
 * workers wait for the token.  When the token is lost, or a call into the module hangs, all open requests are answered
 * with ERR_TOKEN and the process ends; the parent starts it again, after a while, and that is the only way to recover.
 *
 * SECURITY: a role that was broken into can have signed only what hsm/tbs.h lists for it, within the CA's own limits.
 * The process ends by _exit() always: threads may be inside the module, which exit() would tear down under them.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "board/base/clock.h"
#include "board/base/log.h"
#include "board/role.h"
#include "hsm/patience.h"
#include "hsm/serve.h"

enum {
	START_STEP_MS = 1000, /* beyond signer.hang_ms, for a step of the start that is more than one call */
	DRAIN_TICK_MS = 10,   /* how often we look whether the last answers are out */
	DRAIN_LIMIT_MS = 500, /* how long they may take when the token is lost */
	STOP_LIMIT_MS = 4000, /* how long the accepted jobs may take at a stop; the parent kills after 5 s */
	PROBE_GAP_MS = 100,   /* between probes that doubtful results asked for */
	CEREMONY_HANG_MS = 600 * 1000,
};

enum phase { STARTING, SERVING, STOPPING, LOST };

struct signer {
	enum phase phase;
	struct config conf;
	struct secret *pin;
	struct secret *so_pin;
	struct bytes ca_certificates[CA_GENERATIONS]; /* owned; empty: none was given */
	struct hsm_vault vault;
	struct hsm_domain domain;
	struct hsm_service *service;
	struct hsm_workers *workers;
	struct loop_timer *watch; /* hung calls, and health when idle */
	struct loop_timer *drain;
	int64_t drain_until_ms;
	struct err lost;

	struct hsm_job probe;
	bool probing;
	int64_t probed_ms;
};

/* ---- ends -------------------------------------------------------------------------------------------------------- */

static bool
drained(struct signer *s)
{
	struct hsm_service_state state;

	hsm_service_get(s->service, &state);
	return state.backlog == 0 && (s->phase == LOST || hsm_workers_open(s->workers) == 0);
}

static void
on_drain(void *arg)
{
	struct signer *s = arg;
	struct hsm_service_state state;

	if (!drained(s) && clock_mono_ms() < s->drain_until_ms) {
		loop_timer_set(s->drain, DRAIN_TICK_MS);
		return;
	}
	if (s->phase == LOST) {
		role_trouble(&s->lost);
		return;
	}
	hsm_service_get(s->service, &state);
	log_event(SIGNER_STOPPED, (unsigned long long)state.done, (unsigned long long)state.failed);
	role_exit(drained(s) ? 0 : 1);
}

/* Answers what is open, lets the answers out, and ends with trouble. */
static void
lose(struct signer *s, const struct err *e)
{
	struct hsm_service_state state;

	if (s->phase == LOST)
		return;
	hsm_service_get(s->service, &state);
	log_event(SIGNER_TOKEN_LOST, err_name(e->code), e->detail, log_text(e->text), (unsigned)state.open);
	s->phase = LOST;
	s->lost = *e;
	hsm_service_refuse(s->service, ERR_TOKEN);
	hsm_service_fail(s->service, e);
	hsm_workers_close(s->workers);
	s->drain_until_ms = clock_mono_ms() + DRAIN_LIMIT_MS;
	loop_timer_set(s->drain, 0);
}

static void
on_stop(void *arg)
{
	struct signer *s = arg;

	if (s->phase != SERVING)
		return;
	s->phase = STOPPING;
	hsm_service_refuse(s->service, ERR_CLOSED);
	hsm_workers_close(s->workers);
	s->drain_until_ms = clock_mono_ms() + STOP_LIMIT_MS;
	loop_timer_set(s->drain, 0);
}

/* ---- health ------------------------------------------------------------------------------------------------------ */

static struct signer *
signer_of_probe(struct hsm_job *job)
{
	return (struct signer *)(void *)((char *)job - offsetof(struct signer, probe));
}

static void
probe_run(struct hsm_job *job)
{
	int code = hsm_vault_probe(&signer_of_probe(job)->vault, &job->err);

	if (code != 0)
		err_set(&job->err, code, 0, "health probe");
}

static void
probe_done(struct hsm_job *job)
{
	struct signer *s = signer_of_probe(job);

	s->probing = false;
	s->probed_ms = clock_mono_ms();
	if (job->err.code != 0 && job->err.code != ERR_TIMEOUT && s->phase == SERVING)
		lose(s, &job->err);
}

/* A full queue needs no probe: its jobs are one. */
static void
probe(struct signer *s)
{
	if (s->probing || s->phase != SERVING)
		return;
	s->probe = (struct hsm_job){
		.run = probe_run,
		.done = probe_done,
		.deadline_ms = clock_mono_ms() + s->conf.signer_hang_ms,
	};
	s->probing = hsm_workers_put(s->workers, &s->probe) == 0;
}

/* A job says that the token is unusable (e), or in doubt: then one probe in PROBE_GAP_MS tells. */
static void
on_trouble(const struct err *e, void *arg)
{
	struct signer *s = arg;

	if (e == NULL && clock_mono_ms() - s->probed_ms >= PROBE_GAP_MS)
		probe(s);
	else if (e != NULL && !s->domain.ceremony)
		lose(s, e);
}

static void
on_watch(void *arg)
{
	struct signer *s = arg;
	int64_t busy = hsm_workers_busy_ms(s->workers);
	int hang_ms = s->domain.ceremony ? CEREMONY_HANG_MS : s->conf.signer_hang_ms;
	int64_t health_ms = (int64_t)s->conf.signer_health_s * 1000;
	struct hsm_service_state state;
	struct err e = {0};

	if (s->phase == LOST)
		return;
	if (busy > hang_ms) {
		log_event(SIGNER_HUNG, (long long)busy);
		err_set(&e, ERR_TOKEN, 0, "a call into the PKCS#11 module hangs since %lld ms", (long long)busy);
		lose(s, &e);
		return;
	}
	hsm_service_get(s->service, &state);
	if (!s->domain.ceremony && clock_mono_ms() - state.last_ms >= health_ms &&
	    clock_mono_ms() - s->probed_ms >= health_ms)
		probe(s);
	loop_timer_set(s->watch, hang_ms / 4 < 250 ? hang_ms / 4 : 250);
}

/* ---- start ------------------------------------------------------------------------------------------------------- */

/* The newest generation with a CA certificate; CA_GENERATIONS: there is none at all. */
static unsigned
newest(const struct signer *s)
{
	unsigned g = CA_GENERATIONS;

	while (g > 0 && s->ca_certificates[g - 1].len == 0)
		g--;
	return g > 0 ? g - 1 : CA_GENERATIONS;
}

/*
 * The limits of one generation.  Keys of CAs that have ended may have been deleted from the token; the newest must be
 * there.
 */
static int
set_limits(struct signer *s, unsigned g, struct err *e)
{
	const struct hsm_key *key = hsm_vault_key(&s->vault, hsm_key_slot(KEY_CA, g));

	if (key != NULL)
		return hsm_limits_init(s->ca_certificates[g], key->spki, s->conf.ca_max_validity_days,
				       &s->domain.limits[g], e);
	if (g == newest(s))
		return err_set(e, ERR_TOKEN, 0, "the token has no key %s", hsm_key_label(hsm_key_slot(KEY_CA, g)));
	log_event(SIGNER_NO_CA_KEY, hsm_key_label(hsm_key_slot(KEY_CA, g)));
	return 0;
}

/* The keys without which there is no service, and what each CA key may sign. */
static int
check_keys(struct signer *s, struct err *e)
{
	static const unsigned needed[] = {KEY_RA_SIGN, KEY_RA_DECRYPT};
	int code = 0;

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		if (hsm_vault_key(&s->vault, needed[i]) == NULL)
			return err_set(e, ERR_TOKEN, 0, "the token has no key %s", hsm_key_label(needed[i]));
	}
	for (unsigned g = 0; code == 0 && g < CA_GENERATIONS; g++) {
		if (s->ca_certificates[g].len > 0)
			code = set_limits(s, g, e);
	}
	if (code == 0)
		hsm_limits_join(s->domain.limits, CA_GENERATIONS);
	return code;
}

/* The keys of the generations that have a certificate, or at the ceremony all that the token has. */
static int
load_keys(struct signer *s, struct err *e)
{
	int code = hsm_vault_load_all(&s->vault, s->domain.ceremony ? HSM_KEY_SLOTS : KEY_CLASS_COUNT, e);

	for (unsigned g = 1; code == 0 && !s->domain.ceremony && g < CA_GENERATIONS; g++) {
		struct err reason = {0};

		if (s->ca_certificates[g].len > 0)
			code = hsm_vault_load(&s->vault, hsm_key_slot(KEY_CA, g), &reason);
		if (code != 0 && code != ERR_UNKNOWN)
			return err_set(e, code, reason.detail, "%s", reason.text);
		code = 0;
	}
	return code;
}

/* Opens token and keys.  Only the ceremony may find the token missing. */
static int
open_vault(struct signer *s, struct err *e)
{
	struct err reason = {0};
	int code = hsm_vault_open(&s->conf, secret_bytes(s->pin), s->domain.ceremony, &s->vault, &reason);

	if (code == ERR_UNKNOWN && s->domain.ceremony)
		return 0;
	if (code == 0)
		code = load_keys(s, &reason);
	if (code == 0 && !s->domain.ceremony)
		code = check_keys(s, &reason);
	if (code == 0)
		return 0;
	/* To the parent a token that is absent, or whose keys may not be used, is a token that does not work. */
	if (err_class(code) == ERR_CLASS_PEER)
		code = ERR_TOKEN;
	return err_set(e, code, reason.detail, "%s", reason.text);
}

static int
start_serving(struct signer *s)
{
	struct hsm_service_setup setup = {
		.loop = role_loop(),
		.domain = &s->domain,
		.deadline_ms = s->conf.signer_deadline_ms,
		.on_trouble = on_trouble,
		.arg = s,
	};
	int code;

	s->domain.workers = s->domain.ceremony ? 1 : (unsigned)s->conf.signer_workers;
	code = hsm_workers_new(role_loop(), s->domain.workers, (size_t)s->conf.signer_queue, &s->workers);
	if (code == 0)
		code = loop_timer_new(role_loop(), on_watch, s, &s->watch);
	if (code == 0)
		code = loop_timer_new(role_loop(), on_drain, s, &s->drain);
	if (code != 0)
		return code;
	setup.workers = s->workers;
	s->phase = SERVING;
	s->probed_ms = clock_mono_ms();
	loop_timer_set(s->watch, 0);
	return hsm_service_start(s->service, &setup);
}

static void
report_ready(const struct signer *s)
{
	const struct hsm_token_name none = {0};
	const struct hsm_token_name *name = s->vault.token != NULL ? hsm_token_name(s->vault.token) : &none;
	char keys[400] = "";
	size_t used = 0;
	unsigned i;

	for (i = 0; i < HSM_KEY_SLOTS; i++) {
		const struct hsm_key *key = hsm_vault_key(&s->vault, i);

		if (key != NULL)
			used += (size_t)snprintf(keys + used, sizeof(keys) - used, "%s%s:%s", used > 0 ? "," : "",
						 hsm_key_label(i) + sizeof("chancery-") - 1,
						 msg_key_alg_name(key->algorithm));
	}
	log_event(SIGNER_READY, log_text(name->label), log_text(name->model), log_text(name->serial), keys,
		  s->domain.workers);
}

static void
forget_pins(struct signer *s)
{
	secret_free(TAKE(s->pin));
	secret_free(TAKE(s->so_pin));
}

static void
on_start(void *arg)
{
	struct signer *s = arg;
	struct err e = {0};
	int code;

	s->domain.vault = &s->vault;
	s->domain.ceremony = newest(s) == CA_GENERATIONS && hsm_service_has(s->service, ROLE_PROVISION);
	code = hsm_patience_begin(s->conf.signer_hang_ms + START_STEP_MS);
	if (code != 0)
		err_set(&e, code, 0, "watching the start");
	else if (s->pin == NULL)
		code = err_set(&e, ERR_PIN, 0, "no PIN was given");
	else if (!s->domain.ceremony && newest(s) == CA_GENERATIONS)
		code = err_set(&e, ERR_CONFIG, 0, "no CA certificate was given");
	else
		code = open_vault(s, &e);
	hsm_patience_end();
	if (!s->domain.ceremony) {
		forget_pins(s);
	} else {
		s->domain.pin = s->pin;
		s->domain.so_pin = s->so_pin;
	}
	if (code == 0)
		code = start_serving(s);
	if (code != 0) {
		err_set(&e, code, 0, "starting");
		role_trouble(&e);
		return;
	}
	role_confine();
	report_ready(s);
	role_ready();
}

/* ---- what the parent sends --------------------------------------------------------------------------------------- */

static void
on_config(const struct config *conf, void *arg)
{
	struct signer *s = arg;

	if (s->phase == STARTING) {
		s->conf = *conf;
		return;
	}
	s->conf.signer_deadline_ms = conf->signer_deadline_ms;
	s->conf.signer_hang_ms = conf->signer_hang_ms;
	s->conf.signer_health_s = conf->signer_health_s;
	hsm_service_deadline(s->service, conf->signer_deadline_ms);
}

static void
on_peer(enum role peer, unsigned index, int fd, void *arg)
{
	struct signer *s = arg;
	int code = hsm_service_peer(s->service, peer, index, fd);

	if (code != 0)
		log_event(FAILURE, "channel to a role", err_name(code), index, log_text(ipc_role_name(peer)));
}

static void
on_secret(int kind, struct bytes secret, void *arg)
{
	struct signer *s = arg;
	struct secret **place = kind == SECRET_PIN ? &s->pin : kind == SECRET_SO_PIN ? &s->so_pin : NULL;

	/* At a reload the token is open already. */
	if (place == NULL || s->phase != STARTING)
		return;
	secret_free(TAKE(*place));
	if (secret_new(secret.data, secret.len, place) != 0)
		log_event(FAILURE, "keeping the PIN", err_name(ERR_NOMEM), 0u, log_text(""));
}

static void
on_ca_chain(const struct msg_ca_chain *chain, void *arg)
{
	struct signer *s = arg;
	struct bytes *place = &s->ca_certificates[chain->generation % CA_GENERATIONS];

	/* What comes later needs a key that is not loaded: the parent starts another signer for it. */
	if (s->phase != STARTING || chain->certificates.count == 0 || chain->generation >= CA_GENERATIONS)
		return;
	free((void *)place->data);
	*place = bytes_dup(chain->certificates.item[0]);
}

int
main(void)
{
	static struct signer signer;
	const struct role_functions functions = {
		.on_config = on_config,
		.on_peer = on_peer,
		.on_secret = on_secret,
		.on_ca_chain = on_ca_chain,
		.on_start = on_start,
		.on_stop = on_stop,
		.arg = &signer,
	};
	int status;

	if (hsm_service_new(&signer.service) != 0)
		_exit(1);
	status = role_run(ROLE_SIGNER, &functions);
	/* Workers that wait for nothing can be joined; one inside the module can not. */
	if (signer.workers != NULL && hsm_workers_open(signer.workers) == 0)
		hsm_workers_free(signer.workers);
	_exit(status);
}
