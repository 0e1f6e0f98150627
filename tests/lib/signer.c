#include "tests/lib/signer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "board/base/clock.h"
#include "board/base/oid.h"
#include "tests/lib/tbs.h"
#include "tests/lib/test.h"

/* Longest wait of a test; sanitizers and a busy machine make things slow. */
enum { WAIT_MS = 30000 };

void
signer_rig_init(struct signer_rig *rig, const struct token *token, const char *label, const char *pin)
{
	memset(rig, 0, sizeof(*rig));
	CHECK_INT(loop_new(&rig->loop), 0);
	config_default(&rig->conf);
	snprintf(rig->conf.signer_module, sizeof(rig->conf.signer_module), "%s", TOKEN_MODULE);
	snprintf(rig->conf.signer_token, sizeof(rig->conf.signer_token), "%s", label);
	snprintf(rig->environment, sizeof(rig->environment), "%s", token->environment);
	rig->owner = ROLE_PARENT;
	rig->pin = pin;
}

/* ---- what the parent does ---------------------------------------------------------------------------------------- */

static void
send_secret(struct ipc *control, int kind, const char *text)
{
	struct msg_secret m = {.kind = (uint8_t)kind};

	if (text == NULL)
		return;
	m.secret = bytes_of_text(text);
	CHECK_INT(msg_secret_send(control, 0, &m), 0);
}

static void
ignore_message(struct ipc *ipc, struct ipc_message *message, void *arg)
{
}

static void
on_peer_closed(struct ipc *ipc, void *arg)
{
	*(struct ipc **)arg = NULL;
	ipc_free(ipc);
}

/* A channel of role to the signer; our end in *place. */
static void
open_peer(struct signer_rig *rig, struct ipc *control, enum role role, struct ipc **place)
{
	struct ipc_handlers handlers = {.on_message = ignore_message, .on_closed = on_peer_closed, .arg = place};
	struct msg_peer peer = {.peer = (uint8_t)role};
	int fds[2] = {-1, -1};
	AUTO_BUF body;

	ipc_free(TAKE(*place));
	CHECK_INT(ipc_pair(fds, NULL), 0);
	buf_init(&body, 64);
	msg_peer_put(&body, &peer);
	CHECK_INT(ipc_send(control, MSG_PEER, 0, buf_bytes(&body), fds[1]), 0);
	close(fds[1]);
	CHECK_INT(ipc_new(rig->loop, fds[0], role, ROLE_SIGNER, &handlers, place), 0);
}

static void
on_started(struct spawn *spawn, void *arg)
{
	struct signer_rig *rig = arg;
	struct ipc *control = spawn_ipc(spawn);
	struct msg_config config = {.config = {(const uint8_t *)&rig->conf, sizeof(rig->conf)}};
	struct msg_ca_chain chain = {.certificates = {.count = 1, .item = {rig->ca_certificate}}};
	struct msg_ca_chain next = {.generation = 1, .certificates = {.count = 1, .item = {rig->ca_next}}};
	struct msg_start start = {0};

	CHECK_INT(msg_config_send(control, 0, &config), 0);
	send_secret(control, SECRET_PIN, rig->pin);
	send_secret(control, SECRET_SO_PIN, rig->so_pin);
	if (rig->ca_certificate.len != 0)
		CHECK_INT(msg_ca_chain_send(control, 0, &chain), 0);
	if (rig->ca_next.len != 0)
		CHECK_INT(msg_ca_chain_send(control, 0, &next), 0);
	if (rig->owner == ROLE_PROVISION) {
		open_peer(rig, control, ROLE_PROVISION, &rig->provision);
	} else {
		open_peer(rig, control, ROLE_FRONT, &rig->front);
		open_peer(rig, control, ROLE_AUTHORITY, &rig->authority);
	}
	CHECK_INT(msg_start_send(control, 0, &start), 0);
}

static void
on_message(struct spawn *spawn, struct ipc_message *message, void *arg)
{
	struct signer_rig *rig = arg;
	struct msg_trouble trouble;

	if (message->type == MSG_READY)
		rig->ready++;
	if (message->type == MSG_TROUBLE) {
		CHECK_INT(msg_trouble_get(message->body, &trouble), 0);
		rig->trouble = (int)trouble.code;
		memcpy(rig->trouble_text, trouble.text, sizeof(rig->trouble_text));
	}
}

static void
on_exited(struct spawn *spawn, int wait_status, int64_t restart_ms, void *arg)
{
	struct signer_rig *rig = arg;

	rig->exited++;
	rig->wait_status = wait_status;
	if (!rig->again)
		spawn_hold(spawn);
}

void
signer_rig_wait(struct signer_rig *rig, const unsigned *counter, unsigned count)
{
	int64_t end = clock_mono_ms() + WAIT_MS;

	while (*counter < count && clock_mono_ms() < end)
		loop_run_once(rig->loop, 50);
	CHECK(*counter >= count);
}

bool
signer_rig_start(struct signer_rig *rig)
{
	struct spawn_functions functions = {on_started, on_message, on_exited, rig};
	char path[300];
	struct spawn_program program = {
		.self = ROLE_SIGNER,
		.owner = rig->owner,
		.path = token_program("chancery-signer", path, sizeof(path)),
		.uid = geteuid() == 0 ? CONFIG_ROLE_UID_BASE + 2 : getuid(),
		.environment = {rig->environment, rig->more_environment[0], rig->more_environment[1]},
		.open_files = 256,
	};
	int64_t end = clock_mono_ms() + WAIT_MS;
	struct err e = {0};

	rig->ready = 0;
	rig->exited = 0;
	rig->trouble = 0;
	CHECK_INT(spawn_new(rig->loop, &program, &functions, &rig->spawn), 0);
	CHECK_INT(spawn_start(rig->spawn, &e), 0);
	while (rig->ready == 0 && rig->exited == 0 && clock_mono_ms() < end)
		loop_run_once(rig->loop, 50);
	CHECK(rig->ready != 0 || rig->exited != 0);
	return rig->ready != 0;
}

int
signer_rig_stop(struct signer_rig *rig)
{
	if (rig->spawn != NULL && spawn_running(rig->spawn)) {
		unsigned before = rig->exited;

		rig->again = false;
		spawn_stop(rig->spawn);
		signer_rig_wait(rig, &rig->exited, before + 1);
	}
	ipc_free(TAKE(rig->front));
	ipc_free(TAKE(rig->authority));
	ipc_free(TAKE(rig->provision));
	spawn_free(TAKE(rig->spawn));
	return WIFEXITED(rig->wait_status) ? WEXITSTATUS(rig->wait_status) : -WTERMSIG(rig->wait_status);
}

void
signer_rig_fini(struct signer_rig *rig)
{
	(void)signer_rig_stop(rig);
	free((void *)rig->ca_certificate.data);
	free((void *)rig->ca_next.data);
	loop_free(rig->loop);
}

/* ---- questions --------------------------------------------------------------------------------------------------- */

void
signer_keep(int code, const struct ipc_message *message, void *arg)
{
	struct signer_answer *answer = arg;

	CHECK_INT(answer->done, 0); /* one answer each */
	answer->done++;
	answer->code = code;
	if (message == NULL)
		return;
	answer->type = message->type;
	buf_init(&answer->body, 65536);
	buf_put_raw(&answer->body, message->body.data, message->body.len);
}

int
signer_sign(struct signer_rig *rig, struct ipc *ipc, enum key_class key_class, enum digest digest, struct bytes data,
	    struct buf *algorithm, struct buf *signature)
{
	struct msg_sign m = {.key_class = (uint8_t)key_class,
			     .generation = rig->generation,
			     .digest = (uint8_t)digest,
			     .data = data};
	struct signer_answer answer = {0};
	struct msg_signature got;

	CHECK_INT(msg_sign_call(ipc, &m, WAIT_MS, signer_keep, &answer), 0);
	signer_rig_wait(rig, &answer.done, 1);
	if (answer.code != 0)
		return answer.code;
	CHECK_INT(answer.type, MSG_SIGNATURE);
	CHECK_INT(msg_signature_get(buf_bytes(&answer.body), &got), 0);
	CHECK((got.code == 0) == (got.signature.len != 0));
	if (got.code == 0 && signature != NULL) {
		buf_put_raw(algorithm, got.algorithm.data, got.algorithm.len);
		buf_put_raw(signature, got.signature.data, got.signature.len);
	}
	buf_fini(&answer.body);
	return (int)got.code;
}

int
signer_unwrap(struct signer_rig *rig, int padding, size_t key_size, struct bytes ciphertext, struct buf *key)
{
	struct msg_unwrap m = {.padding = (uint8_t)padding, .key_size = (uint16_t)key_size, .ciphertext = ciphertext};
	struct signer_answer answer = {0};
	struct msg_unwrapped got;

	CHECK_INT(msg_unwrap_call(rig->front, &m, WAIT_MS, signer_keep, &answer), 0);
	signer_rig_wait(rig, &answer.done, 1);
	if (answer.code != 0)
		return answer.code;
	CHECK_INT(answer.type, MSG_UNWRAPPED);
	CHECK_INT(msg_unwrapped_get(buf_bytes(&answer.body), &got), 0);
	CHECK_INT(got.key.len, got.code == 0 ? key_size : 0);
	buf_put_raw(key, got.key.data, got.key.len);
	buf_fini(&answer.body);
	return (int)got.code;
}

static int
take_spki(struct signer_rig *rig, struct signer_answer *answer, struct buf *spki)
{
	struct msg_spki got;

	signer_rig_wait(rig, &answer->done, 1);
	if (answer->code != 0)
		return answer->code;
	CHECK_INT(answer->type, MSG_SPKI);
	CHECK_INT(msg_spki_get(buf_bytes(&answer->body), &got), 0);
	if (spki != NULL)
		buf_put_raw(spki, got.spki.data, got.spki.len);
	buf_fini(&answer->body);
	return (int)got.code;
}

int
signer_public_key(struct signer_rig *rig, struct ipc *ipc, enum key_class key_class, struct buf *spki)
{
	struct msg_public_key m = {.key_class = (uint8_t)key_class, .generation = rig->generation};
	struct signer_answer answer = {0};

	CHECK_INT(msg_public_key_call(ipc, &m, WAIT_MS, signer_keep, &answer), 0);
	return take_spki(rig, &answer, spki);
}

int
signer_generate(struct signer_rig *rig, enum key_class key_class, enum key_alg algorithm, struct buf *spki)
{
	struct msg_key_generate m = {
		.key_class = (uint8_t)key_class, .generation = rig->generation, .algorithm = (uint8_t)algorithm};
	struct signer_answer answer = {0};

	CHECK_INT(msg_key_generate_call(rig->provision, &m, WAIT_MS, signer_keep, &answer), 0);
	return take_spki(rig, &answer, spki);
}

int
signer_token_init(struct signer_rig *rig, const char *label)
{
	struct msg_token_init m = {.label = ""};
	struct signer_answer answer = {0};

	snprintf(m.label, sizeof(m.label), "%s", label);
	CHECK_INT(msg_token_init_call(rig->provision, &m, WAIT_MS, signer_keep, &answer), 0);
	return take_spki(rig, &answer, NULL);
}

/* ---- a ceremony -------------------------------------------------------------------------------------------------- */

static const struct bytes ecdsa_sha256 = {(const uint8_t *)"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02", 12};
static const struct bytes rsa_sha256 = {(const uint8_t *)"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00",
					15};

struct bytes
signer_make_root(struct signer_rig *rig, enum key_alg algorithm, struct bytes name)
{
	struct tbs_plan plan;
	struct bytes certificate;
	AUTO_BUF spki;
	AUTO_BUF tbs;
	AUTO_BUF signed_with;
	AUTO_BUF signature;
	AUTO_BUF whole;

	buf_init(&spki, 2048);
	buf_init(&tbs, 4096);
	buf_init(&signed_with, 100);
	buf_init(&signature, 1024);
	buf_init(&whole, 8192);
	CHECK_INT(signer_public_key(rig, rig->provision, KEY_CA, &spki), 0);
	plan = tbs_plan(algorithm < KEY_ALG_P256 ? rsa_sha256 : ecdsa_sha256, name, name, buf_bytes(&spki),
			clock_wall());
	plan.not_before -= 30 * 24 * 3600;
	plan.not_after += 3650LL * 24 * 3600;
	plan.ca = true;
	plan.key_usage = 0x06;
	plan.subject_key_id = bytes_of_text(rig->generation == 0 ? "root" : "next root");
	tbs_put(&tbs, &plan);
	CHECK_INT(signer_sign(rig, rig->provision, KEY_CA, DIGEST_SHA256, buf_bytes(&tbs), &signed_with, &signature),
		  0);
	CHECK(bytes_equal(buf_bytes(&signed_with), plan.algorithm));
	tbs_join(&whole, buf_bytes(&tbs), buf_bytes(&signed_with), buf_bytes(&signature));
	certificate = bytes_dup(buf_bytes(&whole));
	CHECK(certificate.data != NULL);
	return certificate;
}
