#include "appliance/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/state.h"
#include "appliance/store_policy.h"
#include "board/base/clock.h"
#include "board/base/log.h"

enum { MODULE_MEMORY = 131072 };

struct app_policy_module {
	struct app_authority *authority;
	const struct app_policy_calls *calls;
	struct msg_policy_module is; /* what it points to is in memory */
	struct buf memory;           /* MSG_POLICY_MODULE as it is sent; is borrows from it */
	struct app_policy_health health;
	bool refuse;      /* requests while it cannot be asked */
	struct list open; /* struct call */
	size_t open_count;
};

/* One question that is not answered yet. */
struct call {
	struct list link;
	struct app_policy_module *module;
	bool is_verify;
	app_policy_fn fn;
	void *arg;
};

/* ---- health ------------------------------------------------------------------------------------------------------ */

/* While a module rests, nobody asks it; when the rest is over, the first to ask finds out. */
static bool
may_ask(struct app_policy_module *module)
{
	struct app_policy_health *health = &module->health;

	if (health->rests_until == 0)
		return true;
	if (clock_mono_ms() < health->rests_until)
		return false;
	/* Whoever comes next has to wait for the answer to this one. */
	health->rests_until = clock_mono_ms() + health->rest_ms;
	return true;
}

static void
note_failure(struct app_policy_module *module, const char *why)
{
	struct app_policy_health *health = &module->health;

	health->unavailable++;
	snprintf(health->last_error, sizeof(health->last_error), "%s", why);
	if (++health->failures < APP_POLICY_FAILURES)
		return;
	health->rest_ms = health->rest_ms == 0 ? APP_POLICY_REST_MS : 2 * health->rest_ms;
	if (health->rest_ms > APP_POLICY_REST_MAX_MS)
		health->rest_ms = APP_POLICY_REST_MAX_MS;
	health->rests_until = clock_mono_ms() + health->rest_ms;
	log_event(POLICY_RESTS, module->is.name, (long long)health->rest_ms, log_text(why));
}

static void
note_success(struct app_policy_module *module, uint32_t elapsed_ms)
{
	struct app_policy_health *health = &module->health;

	if (health->rests_until != 0)
		log_event(POLICY_BACK, module->is.name);
	health->failures = 0;
	health->rests_until = 0;
	health->rest_ms = 0;
	health->last_ms = elapsed_ms;
	health->last_error[0] = '\0';
}

/* ---- calls to the courier ---------------------------------------------------------------------------------------- */

static void
finish(struct call *call, const struct app_policy_answer *answer)
{
	app_policy_fn fn = call->fn;
	void *arg = call->arg;

	if (call->module != NULL) {
		list_remove(&call->link);
		call->module->open_count--;
	}
	free(call);
	fn(answer, arg);
}

static void
count(const struct call *call, const struct app_policy_answer *answer)
{
	if (call->is_verify && answer->granted)
		call->module->health.granted++;
	else if (call->is_verify)
		call->module->health.refused++;
}

/*
 * Does this status say that the server is there, and will not have just this request?  Anybody can send one of which
 * that is said, and who does it again and again shall not have the module rest for all others.
 */
static bool
is_about_request(const struct call *call, uint32_t http_status)
{
	return call->is_verify && call->module->is.kind == POLICY_REGISTRATION_POINT &&
	       (http_status == 400 || http_status == 413 || http_status == 422);
}

/* A module that was removed meanwhile has no call any more, and its answer nobody. */
static void
on_result(int code, const struct ipc_message *message, void *arg)
{
	struct call *call = arg;
	struct msg_policy_result m = {.http_status = 0};
	struct app_policy_answer answer = {.code = code, .reason = "", .text = "the courier did not answer"};

	if (code == 0 && (message->type != MSG_POLICY_RESULT || msg_policy_result_get(message->body, &m) != 0))
		answer.code = ERR_FORMAT;
	else if (code == 0)
		answer = (struct app_policy_answer){.code = (int)m.code,
						    .granted = m.code == 0 && strcmp(m.reason, "Success") == 0,
						    .reason = m.code == 0 ? m.reason : "",
						    .text = m.text,
						    .challenge = m.challenge};
	if (call->module != NULL && answer.code != 0 && !is_about_request(call, m.http_status)) {
		note_failure(call->module, answer.text);
	} else if (call->module != NULL) {
		note_success(call->module, m.elapsed_ms);
		count(call, &answer);
	}
	if (call->module == NULL)
		answer = (struct app_policy_answer){.code = ERR_CLOSED, .reason = "", .text = "the module was removed"};
	finish(call, &answer);
}

static int
call_new(struct app_policy_module *module, app_policy_fn fn, void *arg, struct call **ret_call)
{
	struct call *call;

	if (module->authority->policy.courier == NULL)
		return ERR_CLOSED;
	if (module->open_count >= APP_POLICY_CALLS)
		return ERR_BUSY;
	call = calloc(1, sizeof(*call));
	if (call == NULL)
		return ERR_NOMEM;
	*call = (struct call){.module = module, .fn = fn, .arg = arg};
	list_append(&module->open, &call->link);
	module->open_count++;
	*ret_call = call;
	return 0;
}

/* Gives back what call_new() gave when the question could not be sent. */
static int
sent(struct call *call, int code)
{
	if (code == 0)
		return 0;
	list_remove(&call->link);
	call->module->open_count--;
	free(call);
	return code;
}

static int
timeout(const struct app_policy_module *module)
{
	return (int)module->is.deadline_ms + APP_POLICY_GRACE_MS;
}

static int
courier_verify(struct app_policy_module *module, const struct app_policy_request *request, app_policy_fn fn, void *arg)
{
	struct msg_policy_verify m = {.index = module->is.index, .csr = request->csr, .signer = request->signer};
	struct call *call;
	int code = call_new(module, fn, arg, &call);

	if (code != 0)
		return code;
	call->is_verify = true;
	snprintf(m.transaction_id, sizeof(m.transaction_id), "%s", request->transaction_id);
	snprintf(m.template_name, sizeof(m.template_name), "%s", request->template_name);
	snprintf(m.profile, sizeof(m.profile), "%s", request->profile);
	snprintf(m.peer, sizeof(m.peer), "%s", request->peer);
	return sent(call,
		    msg_policy_verify_call(module->authority->policy.courier, &m, timeout(module), on_result, call));
}

static int
courier_notify(struct app_policy_module *module, const struct app_policy_outcome *outcome, app_policy_fn fn, void *arg)
{
	struct msg_policy_notify m = {.index = module->is.index,
				      .disposition = (uint8_t)outcome->disposition,
				      .hresult = outcome->hresult,
				      .csr = outcome->csr,
				      .certificate = outcome->certificate,
				      .issuer = outcome->issuer};
	struct call *call;
	int code = call_new(module, fn, arg, &call);

	if (code != 0)
		return code;
	snprintf(m.text, sizeof(m.text), "%s", outcome->text);
	snprintf(m.transaction_id, sizeof(m.transaction_id), "%s", outcome->transaction_id);
	return sent(call,
		    msg_policy_notify_call(module->authority->policy.courier, &m, timeout(module), on_result, call));
}

static int
courier_generate(struct app_policy_module *module, const char *template_name, const char *params, const char *operator,
		 app_policy_fn fn, void *arg)
{
	struct msg_policy_generate m = {.index = module->is.index};
	struct call *call;
	int code = call_new(module, fn, arg, &call);

	if (code != 0)
		return code;
	snprintf(m.template_name, sizeof(m.template_name), "%s", template_name);
	snprintf(m.params, sizeof(m.params), "%s", params);
	snprintf(m.operator, sizeof(m.operator), "%s", operator);
	return sent(call,
		    msg_policy_generate_call(module->authority->policy.courier, &m, timeout(module), on_result, call));
}

/* The courier learns of it now, or when it comes. */
static int
courier_initialize(struct app_policy_module *module, struct err *e)
{
	struct ipc *courier = module->authority->policy.courier;

	if (courier == NULL)
		return 0;
	return ipc_send(courier, MSG_POLICY_MODULE, 0, buf_bytes(&module->memory), -1);
}

static void
courier_uninitialize(struct app_policy_module *module)
{
	struct msg_policy_module none = {.index = module->is.index, .kind = POLICY_NONE};

	if (module->authority->policy.courier != NULL)
		(void)!msg_policy_module_send(module->authority->policy.courier, 0, &none);
}

static const struct app_policy_calls courier_calls = {
	.initialize = courier_initialize,
	.uninitialize = courier_uninitialize,
	.generate_challenge = courier_generate,
	.verify_request = courier_verify,
	.notify = courier_notify,
};

/* ---- modules ----------------------------------------------------------------------------------------------------- */

static const struct app_policy_calls *
calls_of(int kind)
{
	bool outside = kind == POLICY_REGISTRATION_POINT || kind == POLICY_INTUNE || kind == POLICY_EXEC;

	return outside ? &courier_calls : NULL;
}

static struct app_policy_module **
place_of(struct app_authority *a, const char *name)
{
	struct app_policy_module **free_place = NULL;

	for (size_t i = 0; i < APP_POLICY_MODULES; i++) {
		struct app_policy_module **place = &a->policy.modules[i];

		if (*place != NULL && strcmp((*place)->is.name, name) == 0)
			return place;
		if (*place == NULL && free_place == NULL)
			free_place = place;
	}
	return free_place;
}

/* Those who wait are told when the answer comes or its time is over; they do not know the module any more. */
static void
module_free(struct app_policy_module *module)
{
	struct list *pos, *tmp;

	list_each (pos, tmp, &module->open) {
		struct call *call = list_entry(pos, struct call, link);

		list_remove(&call->link);
		call->module = NULL;
	}
	module->calls->uninitialize(module);
	buf_fini(&module->memory);
	free(module);
}

/* The message for the courier, which is what the module is. */
static int
fill(struct app_policy_module *module, const struct msg_policy_module *m)
{
	struct msg_policy_module is;
	struct buf memory;
	int code;

	buf_init(&memory, MODULE_MEMORY);
	msg_policy_module_put(&memory, m);
	code = buf_status(&memory);
	if (code == 0)
		code = msg_policy_module_get(buf_bytes(&memory), &is);
	if (code != 0) {
		buf_fini(&memory);
		return code;
	}
	buf_fini(&module->memory);
	module->memory = memory;
	module->is = is;
	return 0;
}

/* A copy of m as the message that the courier gets. */
static int
module_new(struct app_authority *a, const struct msg_policy_module *m, uint8_t index,
	   struct app_policy_module **ret_module, struct err *e)
{
	struct app_policy_module *module = calloc(1, sizeof(*module));
	struct msg_policy_module numbered = *m;
	int code;

	if (module == NULL)
		return err_set(e, ERR_NOMEM, 0, "policy module %s", m->name);
	numbered.index = index;
	if (numbered.chain.count == 0 && numbered.kind == POLICY_REGISTRATION_POINT)
		numbered.chain = a->policy.chain;
	module->authority = a;
	module->calls = calls_of(m->kind);
	list_init(&module->open);
	buf_init(&module->memory, MODULE_MEMORY);
	code = fill(module, &numbered);
	if (code != 0) {
		free(module);
		return err_set(e, code, 0, "policy module %s", m->name);
	}
	*ret_module = module;
	return 0;
}

int
app_policy_set(struct app_authority *a, const struct msg_policy_module *m, struct err *e)
{
	struct app_policy_module **place = place_of(a, m->name);
	struct app_policy_module *module = NULL;
	int code;

	if (calls_of(m->kind) == NULL)
		return err_set(e, ERR_CONFIG, 0, "policy module %s: there is no kind %u", m->name, m->kind);
	if (place == NULL)
		return err_set(e, ERR_LIMIT, 0, "more than %d policy modules", APP_POLICY_MODULES);
	code = module_new(a, m, (uint8_t)(place - a->policy.modules), &module, e);
	if (code != 0)
		return code;
	BUG_ON(module == NULL);
	if (*place != NULL)
		module_free(*place);
	*place = module;
	return module->calls->initialize(module, e);
}

void
app_policy_remove(struct app_authority *a, const char *name)
{
	struct app_policy_module **place = place_of(a, name);

	if (place != NULL && *place != NULL)
		module_free(TAKE(*place));
}

void
app_policy_fini(struct app_authority *a)
{
	/* Whoever waits is told first, while there are modules to tell it of. */
	ipc_free(TAKE(a->policy.courier));
	for (size_t i = 0; i < APP_POLICY_MODULES; i++)
		if (a->policy.modules[i] != NULL)
			module_free(TAKE(a->policy.modules[i]));
	a->policy.chain.count = 0;
	buf_fini(&a->policy.chain_memory);
}

struct app_policy_module *
app_policy_find(struct app_authority *a, const char *name)
{
	struct app_policy_module **place = place_of(a, name);

	return place == NULL ? NULL : *place;
}

const char *
app_policy_name(const struct app_policy_module *module)
{
	return module->is.name;
}

const struct app_policy_health *
app_policy_health(const struct app_policy_module *module)
{
	return &module->health;
}

int
app_policy_kind(const struct app_policy_module *module)
{
	return module->is.kind;
}

const struct msg_policy_module *
app_policy_is(const struct app_policy_module *module)
{
	return &module->is;
}

bool
app_policy_refuses(const struct app_policy_module *module)
{
	return module->refuse;
}

/* ---- certificate and store --------------------------------------------------------------------------------------- */

/* A copy of it all that the authority owns. */
static int
keep_chain(struct app_policy *policy, const struct msg_list *chain)
{
	struct msg_list kept;
	struct buf memory;
	int code;

	buf_init(&memory, MODULE_MEMORY);
	for (size_t i = 0; i < chain->count; i++)
		buf_put_raw(&memory, chain->item[i].data, chain->item[i].len);
	code = buf_status(&memory);
	if (code == 0)
		code = app_store_policy_split(buf_bytes(&memory), &kept);
	if (code != 0) {
		buf_fini(&memory);
		return code;
	}
	buf_fini(&policy->chain_memory);
	policy->chain_memory = memory;
	policy->chain = kept;
	return 0;
}

int
app_policy_chain(struct app_authority *a, const struct msg_list *chain, bool is_foreign, struct err *e)
{
	int code = keep_chain(&a->policy, chain);

	if (code == 0)
		a->policy.chain_is_foreign = is_foreign;
	for (size_t i = 0; i < APP_POLICY_MODULES && code == 0; i++) {
		struct app_policy_module *module = a->policy.modules[i];
		struct msg_policy_module m;

		if (module == NULL || module->is.kind != POLICY_REGISTRATION_POINT)
			continue;
		m = module->is;
		m.chain = a->policy.chain;
		code = fill(module, &m);
		if (code == 0)
			code = module->calls->initialize(module, e);
	}
	return code == 0 ? 0 : err_set(e, code, 0, "using the policy key's certificate");
}

int
app_policy_use(struct app_authority *a, const struct app_policy_row *row, struct err *e)
{
	int code = app_policy_set(a, &row->is, e);
	struct app_policy_module *module = app_policy_find(a, row->is.name);

	if (module != NULL)
		module->refuse = row->refuse;
	return code;
}

static int
on_chain(const struct msg_list *chain, void *arg, struct err *e)
{
	return app_policy_chain(arg, chain, true, e);
}

/* One that another version knew is left out: requests that need it are refused, and the log says why. */
static int
on_row(const struct app_policy_row *row, void *arg, struct err *e)
{
	struct err why = {0};
	int code = app_policy_use(arg, row, &why);

	if (code == ERR_CONFIG || code == ERR_LIMIT) {
		log_event(POLICY_LEFT_OUT, log_text(row->is.name), log_text(why.text));
		return 0;
	}
	return code == 0 ? 0 : err_set(e, code, why.detail, "%s", why.text);
}

int
app_policy_load(struct app_authority *a, const char *path, struct err *e)
{
	return app_store_policies(path, on_chain, on_row, a, e);
}

/* ---- the calls --------------------------------------------------------------------------------------------------- */

int
app_policy_verify(struct app_policy_module *module, const struct app_policy_request *request, app_policy_fn fn,
		  void *arg)
{
	return may_ask(module) ? module->calls->verify_request(module, request, fn, arg) : ERR_BUSY;
}

int
app_policy_notify(struct app_policy_module *module, const struct app_policy_outcome *outcome, app_policy_fn fn,
		  void *arg)
{
	return may_ask(module) ? module->calls->notify(module, outcome, fn, arg) : ERR_BUSY;
}

int
app_policy_generate(struct app_policy_module *module, const char *template_name, const char *params,
		    const char *operator, app_policy_fn fn, void *arg)
{
	if (!may_ask(module))
		return ERR_BUSY;
	return module->calls->generate_challenge(module, template_name, params, operator, fn, arg);
}

int
app_policy_probe(struct app_policy_module *module, app_policy_fn fn, void *arg)
{
	struct msg_policy_probe m = {.index = module->is.index};
	struct call *call;
	int code = call_new(module, fn, arg, &call);

	if (code != 0)
		return code;
	return sent(call,
		    msg_policy_probe_call(module->authority->policy.courier, &m, timeout(module), on_result, call));
}

/* ---- the channel ------------------------------------------------------------------------------------------------- */

static void
on_courier_message(struct ipc *ipc, struct ipc_message *message, void *arg)
{
	/* An answer that nobody waits for any more. */
}

static void
on_courier_closed(struct ipc *ipc, void *arg)
{
	struct app_authority *a = arg;

	if (a->policy.courier == ipc)
		a->policy.courier = NULL;
	log_event(LINK_CLOSED, ipc_role_name(ROLE_COURIER), 0U);
	ipc_free(ipc);
}

int
app_policy_courier(struct app_authority *a, int fd)
{
	struct ipc_handlers handlers = {on_courier_message, on_courier_closed, a};
	struct ipc *old = a->policy.courier;
	int code = ipc_new(a->loop, fd, ROLE_AUTHORITY, ROLE_COURIER, &handlers, &a->policy.courier);

	if (code != 0)
		return code;
	ipc_free(old);
	for (size_t i = 0; i < APP_POLICY_MODULES; i++)
		if (a->policy.modules[i] != NULL)
			(void)!a->policy.modules[i]->calls->initialize(a->policy.modules[i], NULL);
	return 0;
}
