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
	list_init(&a->publish.now);
	list_init(&a->publish.later);
	list_init(&a->control.sessions);
	app_login_init(a);
}

int
app_state_configure(struct app_authority *a, const struct config *conf, struct err *e)
{
	struct app_profile *fresh[APP_USAGE_COUNT] = {NULL};
	int status = 0;

	a->conf = conf;
	for (int usage = APP_USAGE_DEVICE + 1; usage < APP_USAGE_CA && status == 0; usage++)
		status = app_profile_new(conf, (enum app_usage)usage, &fresh[usage], e);

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

/* The chain in use is the chain given? */
static bool
same_chain(const struct app_authority *a, const struct msg_list *certificates)
{
	if (a->chain_count != certificates->count)
		return false;
	for (size_t i = 0; i < a->chain_count; i++) {
		if (!bytes_equal(a->chain[i], certificates->item[i]))
			return false;
	}
	return true;
}

int
app_state_chain(struct app_authority *a, const struct msg_list *certificates, struct err *e)
{
	if (a->chain_count > 0)
		return same_chain(a, certificates) ? 0 : err_set(e, ERR_STAGE, 0, "another CA chain needs a restart");
	if (certificates->count == 0 || certificates->count > APP_CHAIN_MAX)
		return err_set(e, ERR_FORMAT, 0, "CA chain of %zu certificates", certificates->count);

	for (size_t i = 0; i < certificates->count; i++) {
		a->chain[i] = bytes_dup(certificates->item[i]);
		if (a->chain[i].data == NULL)
			return err_set(e, ERR_NOMEM, 0, "CA chain");
		a->chain_count++;
	}
	return app_issuer_init(a->chain[0], &a->issuer, e);
}

static void
on_ca_stored(struct app_store_request *request, void *arg)
{
	if (request->code != 0)
		log_event(FAILURE, "storing the CA certificate", err_name(request->code), request->e.detail,
			  request->e.text);
	app_store_request_fini(request);
	free(request);
}

/* The store keys certificates by 16 octets; a CA made elsewhere may have a longer or shorter serial number. */
static void
ca_serial(const struct app_authority *a, uint8_t serial[APP_SERIAL_SIZE])
{
	struct bytes own = a->issuer.cert.tbs.serial;
	uint8_t hash[32];

	memset(serial, 0, APP_SERIAL_SIZE);
	if (own.len <= APP_SERIAL_SIZE) {
		memcpy(serial + APP_SERIAL_SIZE - own.len, own.data, own.len);
		return;
	}
	x509_sha256(a->chain[0], hash);
	memcpy(serial, hash, APP_SERIAL_SIZE);
}

/* Makes the CA certificate known to the store, so that "certificate list" shows it; idempotent. */
static int
put_ca(struct app_authority *a, struct err *e)
{
	struct app_store_request *request = calloc(1, sizeof(*request));
	int status;

	if (request == NULL)
		return err_set(e, ERR_NOMEM, 0, "CA certificate");
	request->op = APP_STORE_CA_PUT;
	request->done = on_ca_stored;
	request->usage = APP_USAGE_CA;
	request->now = clock_wall();
	request->not_before = a->issuer.cert.tbs.not_before;
	request->not_after = a->issuer.cert.tbs.not_after;
	request->der = a->chain[0];
	ca_serial(a, request->serial);
	x509_name_text(a->issuer.cert.tbs.subject, request->subject, sizeof(request->subject));
	snprintf(request->template_name, sizeof(request->template_name), "ca");
	snprintf(request->actor, sizeof(request->actor), "system");
	status = app_store_submit(a->store, request);
	if (status != 0)
		free(request);
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
	return status != 0 ? status : app_templates_load(a, path, e);
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
		status = put_ca(a, e);
	if (status != 0)
		return err_set(e, status, 0, "opening the authority");

	app_publish_start(a);
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
	return a->issuing.count > 0 || a->enrolling.lookups > 0 || a->enrolling.refusals > 0 || a->admin.visits > 0;
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
	for (size_t i = 0; i < a->chain_count; i++)
		free((void *)a->chain[i].data);
	a->chain_count = 0;
	secret_free(TAKE(a->challenge_key));
	secret_free(TAKE(a->static_challenge));
}
