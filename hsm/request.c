#include "hsm/request.h"

#include <stdio.h>
#include <string.h>

#include "board/base/clock.h"
#include "board/base/log.h"
#include "board/msg.h"

enum { SPKI_LIMIT = 2048, UNWRAP_LIMIT = 8192 };

struct hsm_request_kind {
	uint16_t type;
	bool local; /* run() does not wait for the token */
	int (*decode)(struct hsm_request *request, struct bytes body);
	int (*allowed)(struct hsm_request *request, struct err *e); /* NULL: whoever msg.def lets ask */
	int (*run)(struct hsm_request *request, struct err *e);
	int (*answer)(struct hsm_request *request, struct ipc *ipc);
};

/* An owned copy of bytes that go away with the message. */
static int
keep_data(struct hsm_request *request, struct bytes data)
{
	uint8_t *copy = malloc(data.len + 1);

	if (copy == NULL)
		return ERR_NOMEM;
	if (data.len != 0)
		memcpy(copy, data.data, data.len);
	request->data.data = copy;
	request->data.len = data.len;
	return 0;
}

/* code, detail and text of an answer. */
#define PUT_ERR(m, err)                                                                                                \
	do {                                                                                                           \
		(m)->code = (err)->code;                                                                               \
		(m)->detail = (err)->detail;                                                                           \
		snprintf((m)->text, sizeof((m)->text), "%s", (err)->text);                                             \
	} while (0)

static const struct hsm_key *
key_of(const struct hsm_request *request)
{
	return hsm_vault_key(request->domain->vault, hsm_key_slot(request->key_class, request->generation));
}

static int
no_key(const struct hsm_request *request, struct err *e)
{
	return err_set(e, ERR_UNKNOWN, 0, "the token has no key %s",
		       hsm_key_label(hsm_key_slot(request->key_class, request->generation)));
}

/* Takes the name of a key from a message; only the CA's own has later generations.  Fails with ERR_FORMAT. */
static int
take_name(struct hsm_request *request, uint8_t key_class, uint8_t generation)
{
	if (key_class >= KEY_CLASS_COUNT || generation >= CA_GENERATIONS)
		return ERR_FORMAT;
	if (generation != 0 && key_class != KEY_CA && key_class != KEY_CRL)
		return ERR_FORMAT;
	request->key_class = (enum key_class)key_class;
	request->generation = generation;
	return 0;
}

/* ---- sign -------------------------------------------------------------------------------------------------------- */

static int
sign_decode(struct hsm_request *request, struct bytes body)
{
	struct msg_sign m;
	int code = msg_sign_get(body, &m);

	if (code != 0)
		return code;
	if (take_name(request, m.key_class, m.generation) != 0)
		return ERR_FORMAT;
	request->digest = (enum digest)m.digest;
	request->job.bulk = m.key_class == KEY_CRL || m.key_class == KEY_AUDIT;
	request->too_long = m.data.len > hsm_tbs_limit(request->key_class);
	return request->too_long ? 0 : keep_data(request, m.data);
}

static int
sign_allowed(struct hsm_request *request, struct err *e)
{
	int code = hsm_tbs_allowed(request->key_class, request->from, request->digest, e);

	if (code == 0 && request->too_long)
		code = err_set(e, ERR_LIMIT, 0, "refused to sign: longer than anything that this key signs");

	/* At the ceremony the worker may be making the key just now. */
	if (code == 0 && !request->domain->ceremony && key_of(request) == NULL)
		code = no_key(request, e);
	return code;
}

static int
sign_run(struct hsm_request *request, struct err *e)
{
	struct hsm_limits limits = request->domain->limits[request->generation];
	const struct hsm_key *key = key_of(request);
	struct bytes algorithm;
	int code;

	if (key == NULL)
		return no_key(request, e);
	if (request->key_class == KEY_CA || request->key_class == KEY_CRL || request->key_class == KEY_POLICY ||
	    request->key_class == KEY_REGISTRATION)
		limits.ca_spki = key->spki;
	algorithm = hsm_sign_algorithm(key->algorithm, request->digest);
	code = hsm_tbs_check(&limits, request->key_class, request->from, request->digest, algorithm, request->data,
			     clock_wall(), e);
	if (code == 0)
		code = hsm_sign(key, request->digest, request->data, &request->signature, e);
	if (code == 0)
		request->signature_algorithm = algorithm;
	return code;
}

static int
sign_answer(struct hsm_request *request, struct ipc *ipc)
{
	struct msg_signature m = {.code = 0};

	PUT_ERR(&m, &request->job.err);
	if (m.code == 0) {
		m.algorithm = request->signature_algorithm;
		m.signature = (struct bytes){request->signature.data, request->signature.len};
	}
	return msg_signature_send(ipc, request->id, &m);
}

/* ---- sign a hash, for a TLS handshake ---------------------------------------------------------------------------- */

/* msg.def lets nobody but the courier ask this, and the key is none but its own. */
static int
sign_hash_decode(struct hsm_request *request, struct bytes body)
{
	struct msg_sign_hash m;
	int code = msg_sign_hash_get(body, &m);

	if (code != 0)
		return code;
	request->key_class = KEY_POLICY;
	return keep_data(request, m.hash);
}

static int
sign_hash_allowed(struct hsm_request *request, struct err *e)
{
	return key_of(request) == NULL ? no_key(request, e) : 0;
}

static int
sign_hash_run(struct hsm_request *request, struct err *e)
{
	const struct hsm_key *key = key_of(request);

	return key == NULL ? no_key(request, e) : hsm_sign_hash(key, request->data, &request->signature, e);
}

/* ---- unwrap ------------------------------------------------------------------------------------------------------ */

static int
unwrap_decode(struct hsm_request *request, struct bytes body)
{
	struct hsm_unwrap *unwrap = &request->unwrap;
	struct msg_unwrap m;
	AUTO_BUF both;
	int code = msg_unwrap_get(body, &m);

	buf_init(&both, UNWRAP_LIMIT);
	if (code != 0)
		return code;
	buf_put_raw(&both, m.ciphertext.data, m.ciphertext.len);
	buf_put_raw(&both, m.label.data, m.label.len);
	code = buf_status(&both);
	if (code == 0)
		code = keep_data(request, buf_bytes(&both));
	if (code != 0)
		return code;
	request->key_class = KEY_RA_DECRYPT;
	*unwrap = (struct hsm_unwrap){
		.padding = m.padding,
		.digest = (enum digest)m.digest,
		.mgf_digest = (enum digest)m.mgf_digest,
		.key_size = m.key_size,
		.ciphertext = {request->data.data, m.ciphertext.len},
		.label = {request->data.data + m.ciphertext.len, m.label.len},
	};
	return 0;
}

static int
unwrap_allowed(struct hsm_request *request, struct err *e)
{
	return key_of(request) == NULL ? no_key(request, e) : 0;
}

static int
unwrap_run(struct hsm_request *request, struct err *e)
{
	const struct hsm_key *key = key_of(request);

	return key == NULL ? no_key(request, e) : hsm_unwrap(key, &request->unwrap, request->key, &request->suspect, e);
}

static int
unwrap_answer(struct hsm_request *request, struct ipc *ipc)
{
	struct msg_unwrapped m = {.code = 0};

	PUT_ERR(&m, &request->job.err);
	if (m.code == 0)
		m.key = (struct bytes){request->key, request->unwrap.key_size};
	return msg_unwrapped_send(ipc, request->id, &m);
}

/* ---- public keys and status -------------------------------------------------------------------------------------- */

static void
put_spki(struct hsm_request *request, const struct hsm_key *key)
{
	buf_clear(&request->spki);
	buf_put_raw(&request->spki, key->spki.data, key->spki.len);
}

static int
public_key_decode(struct hsm_request *request, struct bytes body)
{
	struct msg_public_key m;
	int code = msg_public_key_get(body, &m);

	return code != 0 ? code : take_name(request, m.key_class, m.generation);
}

static int
public_key_run(struct hsm_request *request, struct err *e)
{
	const struct hsm_key *key = key_of(request);

	if (key == NULL)
		return no_key(request, e);
	put_spki(request, key);
	return buf_status(&request->spki);
}

static int
spki_answer(struct hsm_request *request, struct ipc *ipc)
{
	struct msg_spki m = {.code = 0};

	PUT_ERR(&m, &request->job.err);
	m.spki = buf_bytes(&request->spki);
	return msg_spki_send(ipc, request->id, &m);
}

static int
status_decode(struct hsm_request *request, struct bytes body)
{
	struct msg_token_status m;

	return msg_token_status_get(body, &m);
}

static int
status_run(struct hsm_request *request, struct err *e)
{
	const struct hsm_token *token = request->domain->vault->token;

	request->usable = token != NULL;
	if (token != NULL)
		request->token = *hsm_token_name(token);
	return 0;
}

static int
status_answer(struct hsm_request *request, struct ipc *ipc)
{
	struct msg_token_state m = {
		.usable = request->usable && request->job.err.code == 0,
		.queued = request->queued,
		.workers = request->domain->workers,
		.jobs_done = request->jobs_done,
		.jobs_failed = request->jobs_failed,
	};

	snprintf(m.label, sizeof(m.label), "%s", request->token.label);
	snprintf(m.model, sizeof(m.model), "%s", request->token.model);
	snprintf(m.serial, sizeof(m.serial), "%s", request->token.serial);
	snprintf(m.text, sizeof(m.text), "%s", request->job.err.text);
	return msg_token_state_send(ipc, request->id, &m);
}

/* ---- the ceremony ------------------------------------------------------------------------------------------------ */

static int
ceremony_allowed(struct hsm_request *request, struct err *e)
{
	if (!request->domain->ceremony)
		return err_set(e, ERR_DENIED, 0, "this is for the ceremony");
	return 0;
}

static int
init_decode(struct hsm_request *request, struct bytes body)
{
	struct msg_token_init m;
	int code = msg_token_init_get(body, &m);

	if (code == 0)
		snprintf(request->label, sizeof(request->label), "%s", m.label);
	return code;
}

static int
init_run(struct hsm_request *request, struct err *e)
{
	const struct hsm_domain *domain = request->domain;
	const struct hsm_token_name *made;
	int code;

	if (domain->so_pin == NULL || domain->pin == NULL)
		return err_set(e, ERR_STAGE, 0, "a new token needs both PINs");
	code = hsm_vault_init_token(domain->vault, request->label, secret_bytes(domain->so_pin),
				    secret_bytes(domain->pin), e);
	if (code != 0)
		return code;
	made = hsm_token_name(domain->vault->token);
	log_event(SIGNER_TOKEN_MADE, log_text(made->label), log_text(made->serial));
	return 0;
}

static int
generate_decode(struct hsm_request *request, struct bytes body)
{
	struct msg_key_generate m;
	int code = msg_key_generate_get(body, &m);

	if (code != 0)
		return code;
	request->algorithm = (enum key_alg)m.algorithm;
	return take_name(request, m.key_class, m.generation);
}

/* The new key, or the one that is there: its SubjectPublicKeyInfo is given with ERR_EXISTS too. */
static int
generate_run(struct hsm_request *request, struct err *e)
{
	struct hsm_vault *vault = request->domain->vault;
	unsigned slot = hsm_key_slot(request->key_class, request->generation);
	int made;
	int code;

	if (vault->token == NULL)
		return err_set(e, ERR_STAGE, 0, "there is no token yet");
	if (key_of(request) != NULL) {
		put_spki(request, key_of(request));
		return err_set(e, ERR_EXISTS, 0, "the key %s exists", hsm_key_label(slot));
	}
	made = hsm_key_generate(vault->token, slot, request->algorithm, e);
	if (made != 0)
		return made;
	code = hsm_vault_load(vault, slot, e);
	if (code == 0)
		put_spki(request, key_of(request));
	return code;
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

static const struct hsm_request_kind kinds[] = {
	{MSG_SIGN, false, sign_decode, sign_allowed, sign_run, sign_answer},
	{MSG_SIGN_HASH, false, sign_hash_decode, sign_hash_allowed, sign_hash_run, sign_answer},
	{MSG_UNWRAP, false, unwrap_decode, unwrap_allowed, unwrap_run, unwrap_answer},
	{MSG_PUBLIC_KEY, true, public_key_decode, NULL, public_key_run, spki_answer},
	{MSG_TOKEN_STATUS, true, status_decode, NULL, status_run, status_answer},
	{MSG_TOKEN_INIT, false, init_decode, ceremony_allowed, init_run, spki_answer},
	{MSG_KEY_GENERATE, false, generate_decode, ceremony_allowed, generate_run, spki_answer},
};

/* In a worker, or in the loop for what is local. */
static void
run(struct hsm_job *job)
{
	struct hsm_request *request = (struct hsm_request *)(void *)job;
	int code = request->kind->run(request, &job->err);

	if (code != 0)
		err_set(&job->err, code, 0, "%s", err_name(code));
}

int
hsm_request_init(struct hsm_request *request, const struct ipc_message *message, enum role from,
		 const struct hsm_domain *domain)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds) && kinds[i].type != message->type; i++)
		continue;
	if (i == ARRAY_SIZE(kinds))
		return ERR_FORMAT;
	buf_init(&request->spki, SPKI_LIMIT);
	request->kind = &kinds[i];
	request->domain = domain;
	request->from = from;
	request->id = message->id;
	request->job.run = run;
	return kinds[i].decode(request, message->body);
}

int
hsm_request_allowed(struct hsm_request *request)
{
	if (request->kind->allowed == NULL)
		return 0;
	return request->kind->allowed(request, &request->job.err);
}

bool
hsm_request_is_local(const struct hsm_request *request)
{
	return request->kind->local && !request->domain->ceremony;
}

int
hsm_request_answer(struct hsm_request *request, struct ipc *ipc)
{
	return request->kind->answer(request, ipc);
}

int
hsm_request_fail(const struct hsm_request *request, const struct err *e, struct ipc *ipc)
{
	struct hsm_request answer = {.kind = request->kind, .id = request->id};

	buf_init(&answer.spki, SPKI_LIMIT);
	answer.job.err = *e;
	return hsm_request_answer(&answer, ipc);
}

void
hsm_request_log(const struct hsm_request *request)
{
	const struct err *err = &request->job.err;

	if (request->kind->type == MSG_SIGN && err_class(err->code) == ERR_CLASS_PEER && err->code != ERR_UNKNOWN)
		log_event(SIGNER_REFUSED, msg_key_name(request->key_class), ipc_role_name(request->from),
			  log_text(err->text));
}

void
hsm_request_fini(struct hsm_request *request)
{
	secret_wipe(request->key, sizeof(request->key));
	buf_fini(&request->spki);
	free((void *)request->data.data);
	request->data = (struct bytes){NULL, 0};
}
