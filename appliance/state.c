#include "appliance/state.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "board/base/clock.h"
#include "board/base/file.h"
#include "board/base/log.h"

void
app_state_init(struct app_authority *a, struct loop *loop)
{
	memset(a, 0, sizeof(*a));
	a->loop = loop;
	a->started = clock_wall();
	app_link_init(a);
	list_init(&a->issuing.parked);
	for (unsigned g = 0; g < CA_GENERATIONS; g++) {
		a->publish[g].authority = a;
		a->publish[g].generation = g;
		list_init(&a->publish[g].now);
		list_init(&a->publish[g].later);
	}
	list_init(&a->control.sessions);
	app_login_init(a);
}

int
app_state_configure(struct app_authority *a, const struct config *conf, struct err *e)
{
	struct app_profile *fresh[APP_USAGE_COUNT] = {NULL};
	struct config own;
	int status;

	a->conf = conf;
	status = app_generation_config(conf, a->current, &own, e);
	for (int usage = APP_USAGE_DEVICE + 1; usage < APP_USAGE_CA && status == 0; usage++)
		status = app_profile_new(&own, (enum app_usage)usage, &fresh[usage], e);

	if (status == 0)
		status = app_templates_configure(a, conf, e);

	for (int usage = APP_USAGE_DEVICE + 1; usage < APP_USAGE_CA; usage++) {
		/* What is freed is the old set after a success, the half-made new one after a failure. */
		struct app_profile *old = status == 0 ? a->profiles[usage] : fresh[usage];

		if (status == 0)
			a->profiles[usage] = fresh[usage];
		app_profile_free(old);
	}
	if (status == 0 && a->store != NULL)
		app_internal_check(a);
	return status;
}

static int
open_store(struct app_authority *a, struct err *e)
{
	char path[sizeof(a->conf->paths_state) + 32];
	int status;

	snprintf(path, sizeof(path), "%s/store", a->conf->paths_state);
	status = file_mkdir(path, 0700, geteuid(), e);
	if (status != 0)
		return status;

	snprintf(path, sizeof(path), "%s/store/challenge.key", a->conf->paths_state);
	status = app_challenge_key_open(path, &a->challenge_key, e);
	if (status != 0)
		return status;

	snprintf(path, sizeof(path), "%s/store/store.db", a->conf->paths_state);
	status =
		app_store_open(a->loop, path, a->conf->store_cache_mib, a->conf->store_queue, NULL, NULL, &a->store, e);
	if (status == 0)
		status = app_templates_load(a, path, e);
	if (status == 0)
		status = app_policy_load(a, path, e);
	return status != 0 ? status : app_regpoints_load(a, path, e);
}

int
app_state_open(struct app_authority *a, struct err *e)
{
	int status;

	if (a->conf == NULL || a->chain_count == 0 || a->templates.count == 0)
		return err_set(e, ERR_STAGE, 0, "no usable configuration or CA chain");

	status = open_store(a, e);
	if (status == 0)
		status = app_issuing_init(a);
	if (status == 0)
		status = app_internal_init(a);
	if (status == 0)
		status = app_publish_init(a);
	if (status == 0)
		status = app_rollover_init(a);
	if (status == 0)
		status = app_generation_open(a, e);
	if (status != 0)
		return err_set(e, status, 0, "opening the authority");

	for (unsigned g = 0; g < CA_GENERATIONS; g++) {
		if (app_generation_is_live(a, g))
			app_publish_start(a, g);
	}
	app_internal_check(a);
	return 0;
}

void
app_state_note(struct app_authority *a, int code)
{
	int64_t now = clock_mono_ms();

	if (code == 0)
		a->failing_ms = 0;
	if (code != ERR_STORE)
		return;
	if (a->failing_ms == 0)
		a->failing_ms = now;
	if (now - a->failing_ms < APP_STORE_PATIENCE_MS || a->on_broken == NULL || a->stopping)
		return;
	log_event(STORE_GIVEN_UP, (long long)(now - a->failing_ms));
	a->on_broken();
}

void
app_state_stop(struct app_authority *a)
{
	a->stopping = true;
}

bool
app_state_busy(const struct app_authority *a)
{
	return a->issuing.count > 0 || a->enrolling.lookups > 0 || a->enrolling.refusals > 0 || a->admin.visits > 0 ||
	       a->points.open > 0;
}

void
app_state_fini(struct app_authority *a)
{
	a->stopping = true;
	a->closing = true;
	/* Callers first: nobody can ask any more.  Then the signer's channel, which answers what waits for it. */
	app_control_fini(a);
	app_policy_fini(a);
	app_link_fini(a);
	/* Answers what the store still has, so that every issue comes to its end. */
	app_store_close(TAKE(a->store));
	app_publish_fini(a);
	app_internal_fini(a);
	app_issuing_fini(a);
	for (int usage = 0; usage < APP_USAGE_COUNT; usage++)
		app_profile_free(TAKE(a->profiles[usage]));
	app_templates_fini(a);
	app_regpoints_fini(a);
	app_rollover_fini(a);
	app_generation_fini(a);
	secret_free(TAKE(a->challenge_key));
	secret_free(TAKE(a->static_challenge));
}
