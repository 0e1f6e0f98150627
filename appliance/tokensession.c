#include "appliance/tokensession.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "board/base/clock.h"
#include "board/spawn.h"

/* Generating an RSA-4096 key in a slow token takes this long at the worst. */
enum { TOKEN_WAIT_MS = 300 * 1000, TOKEN_STOP_MS = 15 * 1000 };

struct app_token {
	struct loop *loop;
	struct spawn *signer;
	struct ipc *ipc; /* the channel for requests */
	const struct config *conf;
	const struct secret *pin;
	const struct secret *so_pin;
	bool ready;
	bool ended;
	struct err trouble;

	/* the request that waits */
	bool answered;
	int code;
	uint16_t type;
	struct buf body;
};

static void
send_secret(struct ipc *control, int kind, const struct secret *secret, int *code)
{
	struct msg_secret m = {.kind = (uint8_t)kind, .secret = secret_bytes(secret)};

	if (secret != NULL && *code == 0)
		*code = msg_secret_send(control, 0, &m);
}

static void
on_request_closed(struct ipc *ipc, void *arg)
{
	struct app_token *t = arg;

	ipc_free(ipc);
	t->ipc = NULL;
}

static void
on_request_message(struct ipc *ipc, struct ipc_message *message, void *arg)
{
	/* The signer sends nothing but answers here. */
}

/* Both ends of the request channel: one stays here, one goes to the signer. */
static int
open_requests(struct app_token *t, struct ipc *control, struct err *e)
{
	struct ipc_handlers handlers = {on_request_message, on_request_closed, t};
	struct msg_peer peer = {.peer = ROLE_PROVISION, .index = 0};
	struct buf body;
	int fds[2];
	int code = ipc_pair(fds, e);

	if (code != 0)
		return code;
	buf_init(&body, 64);
	msg_peer_put(&body, &peer);
	code = ipc_send(control, MSG_PEER, 0, buf_bytes(&body), fds[1]);
	buf_fini(&body);
	(void)close(fds[1]);
	if (code == 0)
		code = ipc_new(t->loop, fds[0], ROLE_PROVISION, ROLE_SIGNER, &handlers, &t->ipc);
	if (code != 0)
		(void)close(fds[0]);
	return code;
}

static void
on_started(struct spawn *spawn, void *arg)
{
	struct app_token *t = arg;
	struct ipc *control = spawn_ipc(spawn);
	struct msg_config config = {.config = {(const uint8_t *)t->conf, sizeof(*t->conf)}};
	struct msg_start start = {0};
	int code = msg_config_send(control, 0, &config);

	send_secret(control, SECRET_PIN, t->pin, &code);
	send_secret(control, SECRET_SO_PIN, t->so_pin, &code);
	if (code == 0)
		code = open_requests(t, control, &t->trouble);
	if (code == 0)
		code = msg_start_send(control, 0, &start);
	if (code != 0)
		(void)err_set(&t->trouble, code, 0, "starting the signer");
}

static void
on_message(struct spawn *spawn, struct ipc_message *message, void *arg)
{
	struct app_token *t = arg;
	struct msg_trouble trouble;

	if (message->type == MSG_READY)
		t->ready = true;
	if (message->type == MSG_TROUBLE && msg_trouble_get(message->body, &trouble) == 0)
		(void)err_set(&t->trouble, (int)trouble.code, trouble.detail, "%s", trouble.text);
}

static void
on_exited(struct spawn *spawn, int wait_status, int64_t restart_ms, void *arg)
{
	struct app_token *t = arg;

	spawn_hold(spawn);
	t->ended = true;
	(void)err_set(&t->trouble, ERR_TOKEN, (uint32_t)wait_status, "the signer ended");
}

/* Runs the loop until *done, the signer's end, or the deadline. */
static int
wait_for(struct app_token *t, const bool *done, int timeout_ms, struct err *e)
{
	int64_t end = clock_mono_ms() + timeout_ms;

	while (!*done && !t->ended && t->trouble.code == 0 && clock_mono_ms() < end)
		loop_run_once(t->loop, 100);
	if (*done)
		return 0;
	if (t->trouble.code != 0)
		return err_set(e, t->trouble.code, t->trouble.detail, "%s", t->trouble.text);
	return err_set(e, ERR_TIMEOUT, 0, "the signer did not answer in time");
}

static int
start(struct app_token *t, const char *path, struct err *e)
{
	struct spawn_functions functions = {on_started, on_message, on_exited, t};
	struct spawn_program program = {
		.self = ROLE_SIGNER,
		.owner = ROLE_PROVISION,
		.path = path,
		.uid = CONFIG_ROLE_UID_BASE + 2,
		.environment = {t->conf->signer_environment[0] != '\0' ? t->conf->signer_environment : NULL},
		.open_files = 256,
	};
	int code = loop_new(&t->loop);

	if (code != 0)
		return err_set(e, code, 0, "event loop");
	code = spawn_new(t->loop, &program, &functions, &t->signer);
	if (code != 0)
		return err_set(e, code, 0, "signer");
	code = spawn_start(t->signer, e);
	return code != 0 ? code : wait_for(t, &t->ready, TOKEN_WAIT_MS, e);
}

int
app_token_open(const char *path, const struct config *conf, const struct secret *pin, const struct secret *so_pin,
	       struct app_token **ret_token, struct err *e)
{
	AUTO_STRUCT(app_token) t = calloc(1, sizeof(*t));
	int code;

	if (t == NULL)
		return err_set(e, ERR_NOMEM, 0, "signer");
	t->conf = conf;
	t->pin = pin;
	t->so_pin = so_pin;
	buf_init(&t->body, msg_limit(MSG_SPKI) + msg_limit(MSG_SIGNATURE));
	code = start(t, path, e);
	if (code != 0)
		return code;
	*ret_token = TAKE(t);
	return 0;
}

void
app_token_close(struct app_token *token)
{
	int64_t end = clock_mono_ms() + TOKEN_STOP_MS;

	if (token == NULL)
		return;
	if (token->signer != NULL && spawn_running(token->signer)) {
		spawn_stop(token->signer);
		while (spawn_running(token->signer) && clock_mono_ms() < end)
			loop_run_once(token->loop, 50);
	}
	ipc_free(token->ipc);
	spawn_free(token->signer);
	loop_free(token->loop);
	buf_fini(&token->body);
	free(token);
}

static void
on_answer(int code, const struct ipc_message *message, void *arg)
{
	struct app_token *t = arg;

	t->answered = true;
	t->code = code;
	buf_clear(&t->body);
	if (code != 0)
		return;
	t->type = message->type;
	buf_put_raw(&t->body, message->body.data, message->body.len);
}

/* Waits for the answer to the call that returned call_code; afterwards t->body holds it. */
static int
await_answer(struct app_token *t, int call_code, uint16_t type, struct err *e)
{
	int code;

	if (call_code != 0)
		return err_set(e, call_code, 0, "asking the signer");
	code = wait_for(t, &t->answered, TOKEN_WAIT_MS + 1000, e);
	if (code == 0)
		code = t->code;
	if (code == 0 && (t->type != type || buf_status(&t->body) != 0))
		code = ERR_INTERNAL;
	return code != 0 ? err_set(e, code, 0, "answer of the signer") : 0;
}

/* Only one request is under way at a time. */
static int
check_open(struct app_token *t, struct err *e)
{
	t->answered = false;
	if (t->ipc == NULL)
		return err_set(e, ERR_TOKEN, 0, "the signer ended");
	return 0;
}

static int
take_spki(struct app_token *t, int call_code, struct buf *spki, struct err *e)
{
	struct msg_spki answer;
	int code = await_answer(t, call_code, MSG_SPKI, e);

	if (code != 0)
		return code;
	if (msg_spki_get(buf_bytes(&t->body), &answer) != 0)
		return err_set(e, ERR_INTERNAL, 0, "answer of the signer");
	if (spki != NULL)
		buf_put_raw(spki, answer.spki.data, answer.spki.len);
	return answer.code != 0 ? err_set(e, (int)answer.code, answer.detail, "%s", answer.text) : 0;
}

int
app_token_init(struct app_token *token, const char *label, struct err *e)
{
	struct msg_token_init m = {.label = ""};
	int code = check_open(token, e);

	if (code != 0)
		return code;
	(void)snprintf(m.label, sizeof(m.label), "%s", label);
	code = msg_token_init_call(token->ipc, &m, TOKEN_WAIT_MS, on_answer, token);
	return take_spki(token, code, NULL, e);
}

int
app_token_generate(struct app_token *token, enum key_class class_, unsigned generation, enum key_alg algorithm,
		   struct buf *spki, struct err *e)
{
	struct msg_key_generate m = {
		.key_class = (uint8_t)class_, .generation = (uint8_t)generation, .algorithm = (uint8_t)algorithm};
	int code = check_open(token, e);

	if (code != 0)
		return code;
	code = msg_key_generate_call(token->ipc, &m, TOKEN_WAIT_MS, on_answer, token);
	return take_spki(token, code, spki, e);
}

int
app_token_sign_ca(struct app_token *token, unsigned generation, enum digest digest, struct bytes data,
		  struct buf *algorithm, struct buf *signature, struct err *e)
{
	struct msg_sign m = {
		.key_class = KEY_CA, .generation = (uint8_t)generation, .digest = (uint8_t)digest, .data = data};
	struct msg_signature answer;
	int code = check_open(token, e);

	if (code != 0)
		return code;
	code = await_answer(token, msg_sign_call(token->ipc, &m, TOKEN_WAIT_MS, on_answer, token), MSG_SIGNATURE, e);
	if (code != 0)
		return code;
	if (msg_signature_get(buf_bytes(&token->body), &answer) != 0)
		return err_set(e, ERR_INTERNAL, 0, "answer of the signer");
	if (answer.code != 0)
		return err_set(e, (int)answer.code, answer.detail, "%s", answer.text);
	buf_put_raw(algorithm, answer.algorithm.data, answer.algorithm.len);
	buf_put_raw(signature, answer.signature.data, answer.signature.len);
	return 0;
}
