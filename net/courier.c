#include "net/courier.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

#include "board/base/clock.h"
#include "board/base/list.h"
#include "board/base/log.h"
#include "board/base/thread.h"
#include "board/base/x509.h"
#include "net/policyjson.h"
#include "net/remotekey.h"

enum { IDLE_MAX = 8, MODULE_MEMORY = 131072, BODY_MAX = 512 * 1024, SIGN_MS = 10000, SIGNATURE_MEMORY = 4096 };

/* A connection that waits for the next call of its module. */
struct idle {
	struct net_https *https;
	const struct net_module *module; /* only compared: its connections go when it goes */
};

struct net_courier {
	struct loop *loop;
	struct ipc *authority;
	struct ipc *signer;
	uint64_t generation; /* of the authority's channel: an answer to an older one is dropped */
	struct net_module *modules[NET_COURIER_MODULES];
	struct idle idle[IDLE_MAX];
	size_t idle_count;
	size_t open;
};

struct call {
	struct net_errand errand; /* first: the kinds know no more */
	struct net_courier *courier;
	uint64_t id;
	uint64_t generation;
	int64_t began_ms;
	pthread_t thread;
	int code;
	struct err e;
};

/* ---- connections ------------------------------------------------------------------------------------------------- */

static struct net_https *
take_connection(struct net_courier *courier, const struct net_module *module)
{
	struct net_https *https = NULL;

	for (size_t i = courier->idle_count; i-- > 0;) {
		if (courier->idle[i].module != module)
			continue;
		https = courier->idle[i].https;
		courier->idle[i] = courier->idle[--courier->idle_count];
		return https;
	}
	return net_https_new(&https) == 0 ? https : NULL;
}

/* One whose call failed is not used again. */
static void
give_connection(struct net_courier *courier, struct net_https *https, const struct net_module *module, bool good)
{
	bool current = false;

	for (size_t i = 0; i < NET_COURIER_MODULES; i++)
		current = current || courier->modules[i] == module;
	if (!good || !current || courier->idle_count == IDLE_MAX) {
		net_https_free(https);
		return;
	}
	courier->idle[courier->idle_count++] = (struct idle){https, module};
}

static void
drop_connections(struct net_courier *courier, const struct net_module *module)
{
	for (size_t i = courier->idle_count; i-- > 0;)
		if (courier->idle[i].module == module) {
			net_https_free(courier->idle[i].https);
			courier->idle[i] = courier->idle[--courier->idle_count];
		}
}

/* ---- signatures for the handshake -------------------------------------------------------------------------------- */

struct signing {
	struct net_courier *courier;
	struct bytes hash;
	uint8_t *signature;
	size_t size;
	sem_t done;
};

static void
on_signature(int code, const struct ipc_message *message, void *arg)
{
	struct signing *signing = arg;
	struct msg_signature m;

	if (code == 0 && (message->type != MSG_SIGNATURE || msg_signature_get(message->body, &m) != 0))
		code = ERR_FORMAT;
	if (code == 0 && m.code != 0)
		code = (int)m.code;
	if (code == 0 && m.signature.len <= NET_REMOTEKEY_SIGNATURE_MAX) {
		memcpy(signing->signature, m.signature.data, m.signature.len);
		signing->size = m.signature.len;
	}
	if (code != 0)
		log_event(FAILURE, "signing with the policy key", err_name(code), 0u, log_text(""));
	sem_post(&signing->done);
}

static void
ask_signer(void *arg)
{
	struct signing *signing = arg;
	struct msg_sign_hash m = {.hash = signing->hash};

	if (signing->courier->signer == NULL ||
	    msg_sign_hash_call(signing->courier->signer, &m, SIGN_MS, on_signature, signing) != 0)
		sem_post(&signing->done);
}

/* In the thread of a call.  The loop answers once, whatever becomes of the signer. */
static size_t
sign(struct bytes hash, uint8_t *signature, void *arg)
{
	struct net_courier *courier = arg;
	struct signing signing = {.courier = courier, .hash = hash, .signature = signature};

	if (sem_init(&signing.done, 0, 0) != 0)
		return 0;
	if (loop_post(courier->loop, ask_signer, &signing) == 0)
		while (sem_wait(&signing.done) != 0)
			;
	sem_destroy(&signing.done);
	return signing.size;
}

/* ---- modules ----------------------------------------------------------------------------------------------------- */

static void
module_unref(struct net_module *module)
{
	if (module == NULL || --module->references > 0)
		return;
	EVP_PKEY_free(module->key);
	net_intune_fini(&module->intune);
	buf_fini(&module->memory);
	free(module);
}

static struct bytes
keep(struct buf *memory, struct bytes what)
{
	size_t start = memory->len;

	buf_put_raw(memory, what.data, what.len);
	return (struct bytes){(const uint8_t *)start, what.len}; /* an offset, until the memory stands still */
}

static void
settle(const struct buf *memory, struct bytes *what)
{
	what->data = memory->data == NULL ? NULL : memory->data + (size_t)what->data;
}

/* A copy of m that owns what it points to. */
static int
copy_module(struct net_module *module, const struct msg_policy_module *m, struct err *e)
{
	struct msg_policy_module *is = &module->is;

	*is = *m;
	buf_init(&module->memory, MODULE_MEMORY);
	for (size_t i = 0; i < is->root.count; i++)
		is->root.item[i] = keep(&module->memory, is->root.item[i]);
	for (size_t i = 0; i < is->chain.count; i++)
		is->chain.item[i] = keep(&module->memory, is->chain.item[i]);
	is->secret = keep(&module->memory, is->secret);
	if (buf_status(&module->memory) != 0)
		return err_set(e, buf_status(&module->memory), 0, "policy module %s", m->name);
	for (size_t i = 0; i < is->root.count; i++)
		settle(&module->memory, &is->root.item[i]);
	for (size_t i = 0; i < is->chain.count; i++)
		settle(&module->memory, &is->chain.item[i]);
	settle(&module->memory, &is->secret);
	return 0;
}

static int
module_new(struct net_courier *courier, const struct msg_policy_module *m, struct net_module **ret_module,
	   struct err *e)
{
	struct net_module *module = calloc(1, sizeof(*module));
	struct x509 certificate;
	int code;

	if (module == NULL)
		return err_set(e, ERR_NOMEM, 0, "policy module %s", m->name);
	module->references = 1;
	net_intune_init(&module->intune);
	code = copy_module(module, m, e);
	if (code == 0 && m->chain.count > 0)
		code = x509_parse(m->chain.item[0], &certificate, e);
	if (code == 0 && m->chain.count > 0)
		code = net_remotekey_new(certificate.tbs.spki, sign, courier, &module->key, e);
	if (code != 0) {
		module_unref(module);
		return code;
	}
	*ret_module = module;
	return 0;
}

static void
set_module(struct net_courier *courier, const struct msg_policy_module *m)
{
	struct net_module *module = NULL;
	struct err e = {0};

	if (m->index >= NET_COURIER_MODULES)
		return;
	if (m->kind != POLICY_NONE && module_new(courier, m, &module, &e) != 0)
		log_event(FAILURE, "policy module", err_name(e.code), e.detail, log_text(e.text));
	drop_connections(courier, courier->modules[m->index]);
	module_unref(courier->modules[m->index]);
	courier->modules[m->index] = module;
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

static void
answer(struct net_courier *courier, uint64_t id, const struct msg_policy_result *result)
{
	int code = courier->authority == NULL ? 0 : msg_policy_result_send(courier->authority, id, result);

	if (code != 0)
		log_event(FAILURE, "answering the authority", err_name(code), 0u, log_text(""));
}

static void
refuse(struct net_courier *courier, uint64_t id, int code, const char *text)
{
	struct msg_policy_result result = {.code = code};

	snprintf(result.text, sizeof(result.text), "%s", text);
	answer(courier, id, &result);
}

static void
call_free(struct call *call)
{
	net_https_free(call->errand.https);
	module_unref(call->errand.module);
	buf_fini(&call->errand.body);
	buf_fini(&call->errand.store);
	free(call);
}

/* Back in the loop. */
static void
on_done(void *arg)
{
	struct call *call = arg;
	struct net_courier *courier = call->courier;
	struct msg_policy_result *result = &call->errand.result;

	pthread_join(call->thread, NULL);
	courier->open--;
	result->code = call->code;
	result->detail = call->e.detail;
	result->elapsed_ms = (uint32_t)(clock_mono_ms() - call->began_ms);
	if (call->code != 0)
		snprintf(result->text, sizeof(result->text), "%s", call->e.text);
	if (call->generation == courier->generation)
		answer(courier, call->id, result);
	give_connection(courier, TAKE(call->errand.https), call->errand.module, call->code == 0);
	call_free(call);
}

static void *
run(void *arg)
{
	struct call *call = arg;

	switch (call->errand.module->is.kind) {
	case POLICY_REGISTRATION_POINT:
		call->code = net_registration_run(&call->errand, &call->e);
		break;
	case POLICY_INTUNE:
		call->code = net_intune_run(&call->errand, &call->e);
		break;
	default:
		call->code = err_set(&call->e, ERR_CONFIG, 0, "this kind of policy module makes no calls");
		break;
	}
	/* The loop takes 65,536 posts, and we are NET_COURIER_CALLS. */
	BUG_ON(loop_post(call->courier->loop, on_done, call) != 0);
	return NULL;
}

/* Takes over what call holds in any case. */
static void
begin(struct net_courier *courier, struct call *call, unsigned index)
{
	struct net_errand *errand = &call->errand;
	uint64_t id = call->id;
	int code;

	if (index >= NET_COURIER_MODULES || courier->modules[index] == NULL) {
		call_free(call);
		refuse(courier, id, ERR_CONFIG, "there is no such policy module");
		return;
	}
	errand->module = courier->modules[index];
	errand->module->references++;
	errand->https = take_connection(courier, errand->module);
	code = errand->https == NULL ? ERR_NOMEM : buf_status(&errand->body);
	if (code == 0)
		code = thread_start("call", run, call, &call->thread);
	if (code == 0) {
		courier->open++;
		return;
	}
	call_free(call);
	refuse(courier, id, code, "starting the call");
}

static struct call *
call_new(struct net_courier *courier, uint64_t id, enum net_errand_op op)
{
	struct call *call = courier->open < NET_COURIER_CALLS ? calloc(1, sizeof(*call)) : NULL;

	if (call == NULL) {
		refuse(courier, id, ERR_BUSY, "too many calls are under way");
		return NULL;
	}
	call->courier = courier;
	call->id = id;
	call->generation = courier->generation;
	call->began_ms = clock_mono_ms();
	call->errand.op = op;
	buf_init(&call->errand.body, BODY_MAX);
	buf_init(&call->errand.store, SIGNATURE_MEMORY);
	return call;
}

static bool
is_intune(const struct net_courier *courier, unsigned index)
{
	return index < NET_COURIER_MODULES && courier->modules[index] != NULL &&
	       courier->modules[index]->is.kind == POLICY_INTUNE;
}

static void
on_verify(struct net_courier *courier, const struct ipc_message *message)
{
	struct msg_policy_verify m;
	struct call *call;

	if (msg_policy_verify_get(message->body, &m) != 0)
		return;
	call = call_new(courier, message->id, NET_ERRAND_VERIFY);
	if (call == NULL)
		return;
	net_policyjson_put_verify(&m, is_intune(courier, m.index), &call->errand.body);
	begin(courier, call, m.index);
}

static void
on_notify(struct net_courier *courier, const struct ipc_message *message)
{
	struct msg_policy_notify m;
	struct call *call;

	if (msg_policy_notify_get(message->body, &m) != 0)
		return;
	call = call_new(courier, message->id, NET_ERRAND_NOTIFY);
	if (call == NULL)
		return;
	call->errand.is_success = m.disposition == DISPOSITION_SUCCESS;
	net_policyjson_put_notify(&m, is_intune(courier, m.index), &call->errand.body);
	begin(courier, call, m.index);
}

static void
on_generate(struct net_courier *courier, const struct ipc_message *message)
{
	struct msg_policy_generate m;
	struct call *call;

	if (msg_policy_generate_get(message->body, &m) != 0)
		return;
	call = call_new(courier, message->id, NET_ERRAND_GENERATE);
	if (call == NULL)
		return;
	net_policyjson_put_generate(&m, &call->errand.body);
	begin(courier, call, m.index);
}

static void
on_probe(struct net_courier *courier, const struct ipc_message *message)
{
	struct msg_policy_probe m;
	struct call *call;

	if (msg_policy_probe_get(message->body, &m) != 0)
		return;
	call = call_new(courier, message->id, NET_ERRAND_PROBE);
	if (call != NULL)
		begin(courier, call, m.index);
}

/* ---- channels ---------------------------------------------------------------------------------------------------- */

static void
on_authority_message(struct ipc *ipc, struct ipc_message *message, void *arg)
{
	struct net_courier *courier = arg;
	struct msg_policy_module module;

	if (message->type == MSG_POLICY_VERIFY)
		on_verify(courier, message);
	else if (message->type == MSG_POLICY_NOTIFY)
		on_notify(courier, message);
	else if (message->type == MSG_POLICY_GENERATE)
		on_generate(courier, message);
	else if (message->type == MSG_POLICY_PROBE)
		on_probe(courier, message);
	else if (message->type == MSG_POLICY_MODULE && msg_policy_module_get(message->body, &module) == 0)
		set_module(courier, &module);
}

static void
on_signer_message(struct ipc *ipc, struct ipc_message *message, void *arg)
{
}

/* What is under way goes on, and its answer finds nobody. */
static void
on_authority_closed(struct ipc *ipc, void *arg)
{
	struct net_courier *courier = arg;

	courier->generation++;
	ipc_free(TAKE(courier->authority));
}

static void
on_signer_closed(struct ipc *ipc, void *arg)
{
	struct net_courier *courier = arg;

	ipc_free(TAKE(courier->signer));
}

int
net_courier_peer(struct net_courier *courier, enum role peer, int fd)
{
	struct ipc_handlers authority = {on_authority_message, on_authority_closed, courier};
	struct ipc_handlers signer = {on_signer_message, on_signer_closed, courier};
	bool is_signer = peer == ROLE_SIGNER;
	struct ipc **place = is_signer ? &courier->signer : &courier->authority;
	struct ipc *ipc;
	int code;

	if (!is_signer && peer != ROLE_AUTHORITY)
		return ERR_DENIED;
	code = ipc_new(courier->loop, fd, ROLE_COURIER, peer, is_signer ? &signer : &authority, &ipc);
	if (code != 0)
		return code;
	ipc_free(*place);
	*place = ipc;
	courier->generation += !is_signer;
	return 0;
}

int
net_courier_new(struct loop *loop, struct net_courier **ret_courier)
{
	struct net_courier *courier = calloc(1, sizeof(*courier));

	if (courier == NULL)
		return ERR_NOMEM;
	courier->loop = loop;
	*ret_courier = courier;
	return 0;
}

void
net_courier_free(struct net_courier *courier)
{
	if (courier == NULL)
		return;
	ipc_free(courier->authority);
	ipc_free(courier->signer);
	for (size_t i = 0; i < NET_COURIER_MODULES; i++) {
		drop_connections(courier, courier->modules[i]);
		module_unref(courier->modules[i]);
	}
	free(courier);
}

size_t
net_courier_open(const struct net_courier *courier)
{
	return courier->open;
}
