#include "tests/lib/courierrig.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board/base/clock.h"
#include "tests/lib/certs.h"
#include "tests/lib/test.h"

struct courierrig t;

struct bytes
rig_issue(EVP_PKEY *key, const char *cn, const char *names)
{
	X509 *certificate = certs_new(key, cn);
	X509_NAME *issuer = X509_NAME_new();
	struct bytes der;

	assert_int_equal(
		X509_NAME_add_entry_by_txt(issuer, "CN", MBSTRING_UTF8, (const unsigned char *)"CA", -1, -1, 0), 1);
	X509_set_issuer_name(certificate, issuer);
	X509_NAME_free(issuer);
	if (names != NULL)
		certs_extension(certificate, NID_subject_alt_name, names);
	assert_true(X509_sign(certificate, t.root_key, EVP_sha256()) > 0);
	der = certs_der(certificate);
	X509_free(certificate);
	return der;
}

/* ---- stand-ins for authority and signer ---- */

void
rig_on_result(int code, const struct ipc_message *message, void *arg)
{
	t.answers++;
	if (code != 0) {
		t.last = (struct msg_policy_result){.code = code};
		return;
	}
	assert_int_equal(msg_policy_result_get(message->body, &t.last), 0);
	assert_true(t.last.challenge.len <= sizeof(t.challenge));
	if (t.last.challenge.len > 0)
		memcpy(t.challenge, t.last.challenge.data, t.last.challenge.len);
}

static void
on_sign(struct ipc *ipc, struct ipc_message *message, void *arg)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(t.policy_key, NULL);
	struct msg_signature m = {.code = t.signer_refuses ? ERR_TOKEN : 0};
	struct msg_sign_hash question;
	uint8_t signature[128];
	size_t len = sizeof(signature);

	assert_int_equal(message->type, MSG_SIGN_HASH);
	assert_int_equal(msg_sign_hash_get(message->body, &question), 0);
	t.signatures++;
	assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
	assert_int_equal(EVP_PKEY_sign(ctx, signature, &len, question.hash.data, question.hash.len), 1);
	EVP_PKEY_CTX_free(ctx);
	if (!t.signer_refuses)
		m.signature = (struct bytes){signature, len};
	if (!t.signer_silent)
		assert_int_equal(msg_signature_send(ipc, message->id, &m), 0);
}

static void
on_nothing(struct ipc *ipc, struct ipc_message *message, void *arg)
{
}

static void
on_gone(struct ipc *ipc, void *arg)
{
}

static struct ipc *
connect_stand_in(enum role self, ipc_message_fn fn)
{
	struct ipc_handlers handlers = {fn, on_gone, NULL};
	struct ipc *ipc;
	int fds[2];

	assert_int_equal(ipc_pair(fds, NULL), 0);
	assert_int_equal(ipc_new(t.loop, fds[0], self, ROLE_COURIER, &handlers, &ipc), 0);
	assert_int_equal(net_courier_peer(t.courier, self, fds[1]), 0);
	return ipc;
}

/* ---- set-up ---- */

void
rig_begin(const char *answer)
{
	memset(&t, 0, sizeof(t));
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(loop_new(&t.loop), 0);
	assert_int_equal(net_https_init(NULL), 0);
	assert_int_equal(net_courier_new(t.loop, &t.courier), 0);
	t.authority = connect_stand_in(ROLE_AUTHORITY, on_nothing);
	t.signer = connect_stand_in(ROLE_SIGNER, on_sign);
	t.root_key = certs_ec("P-256");
	t.server_key = certs_ec("P-256");
	t.policy_key = certs_ec("P-256");
	t.root = certs_ca(t.root_key);
	t.server = rig_issue(t.server_key, "server", "DNS:localhost,IP:127.0.0.1");
	t.client = rig_issue(t.policy_key, "policy", NULL);
	t.peer.key = t.server_key;
	t.peer.certificate = t.server;
	t.peer.client_root = t.root;
	t.peer.answer = answer;
}

void
rig_set_module(const char *host, struct bytes root)
{
	struct msg_policy_module m = {.kind = POLICY_REGISTRATION_POINT, .deadline_ms = RIG_DEADLINE_MS};

	snprintf(m.name, sizeof(m.name), "crp");
	snprintf(m.url, sizeof(m.url), "https://%s:%d/CMCertificateRegistration", host, t.peer.port);
	m.root = (struct msg_list){.item = {root}, .count = 1};
	m.chain = (struct msg_list){.item = {t.client}, .count = 1};
	assert_int_equal(msg_policy_module_send(t.authority, 0, &m), 0);
}

void
rig_begin_with_peer(const char *answer)
{
	rig_begin(answer);
	tlspeer_start(&t.peer);
	rig_set_module("127.0.0.1", t.root);
}

void
rig_until_answers(int count)
{
	int64_t end = clock_mono_ms() + RIG_PATIENCE_MS;

	while (t.answers < count && clock_mono_ms() < end)
		loop_run_once(t.loop, 10);
	assert_int_equal(t.answers, count);
}

void
rig_finish(void)
{
	int64_t end = clock_mono_ms() + RIG_PATIENCE_MS;

	if (t.peer.thread != 0)
		tlspeer_stop(&t.peer);
	while (net_courier_open(t.courier) > 0 && clock_mono_ms() < end)
		loop_run_once(t.loop, 10);
	assert_int_equal(net_courier_open(t.courier), 0);
	net_courier_free(t.courier);
	ipc_free(t.authority);
	ipc_free(t.signer);
	loop_free(t.loop);
	EVP_PKEY_free(t.root_key);
	EVP_PKEY_free(t.server_key);
	EVP_PKEY_free(t.policy_key);
	free((void *)t.root.data);
	free((void *)t.server.data);
	free((void *)t.client.data);
}

void
rig_ask(void)
{
	struct msg_policy_verify m = {.csr = {(const uint8_t *)"\x30\x00", 2}};

	snprintf(m.transaction_id, sizeof(m.transaction_id), "T1");
	assert_int_equal(msg_policy_verify_call(t.authority, &m, RIG_PATIENCE_MS, rig_on_result, NULL), 0);
}

void
rig_ask_and_wait(void)
{
	int before = t.answers;

	rig_ask();
	rig_until_answers(before + 1);
}
