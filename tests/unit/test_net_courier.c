#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board/base/clock.h"
#include "net/courier.h"
#include "tests/lib/certs.h"
#include "tests/lib/test.h"
#include "tests/lib/tlspeer.h"

#define JSON_ANSWER "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: "
#define SUCCESS     JSON_ANSWER "18\r\n\r\n{\"code\":\"Success\"}"

enum { DEADLINE_MS = 1500, PATIENCE_MS = 10000 };

/* A certificate for key below a root, with what TLS needs. */
static struct bytes
issue(EVP_PKEY *key, const char *cn, const char *names, EVP_PKEY *root_key, const char *root_cn)
{
	X509 *certificate = certs_new(key, cn);
	X509_NAME *issuer = X509_NAME_new();
	struct bytes der;

	assert_int_equal(
		X509_NAME_add_entry_by_txt(issuer, "CN", MBSTRING_UTF8, (const unsigned char *)root_cn, -1, -1, 0), 1);
	X509_set_issuer_name(certificate, issuer);
	X509_NAME_free(issuer);
	if (names != NULL)
		certs_extension(certificate, NID_subject_alt_name, names);
	assert_true(X509_sign(certificate, root_key, EVP_sha256()) > 0);
	der = certs_der(certificate);
	X509_free(certificate);
	return der;
}

static struct {
	struct loop *loop;
	struct net_courier *courier;
	struct ipc *authority; /* the stand-in's end */
	struct ipc *signer;    /* see authority */
	EVP_PKEY *root_key;
	EVP_PKEY *server_key;
	EVP_PKEY *policy_key;
	struct bytes root;
	struct bytes server;
	struct bytes client;
	struct tlspeer peer;
	bool signer_silent;
	bool signer_refuses;
	int signatures;
	int answers;
	struct msg_policy_result last;
	uint8_t challenge[64];
} t;

/* ---- stand-ins for authority and signer ---- */

static void
on_result(int code, const struct ipc_message *message, void *arg)
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

static void
begin(const char *answer)
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
	t.server = issue(t.server_key, "server", "DNS:localhost,IP:127.0.0.1", t.root_key, "CA");
	t.client = issue(t.policy_key, "policy", NULL, t.root_key, "CA");
	t.peer.key = t.server_key;
	t.peer.certificate = t.server;
	t.peer.client_root = t.root;
	t.peer.answer = answer;
}

static void
set_module(const char *host, struct bytes root)
{
	struct msg_policy_module m = {.kind = POLICY_REGISTRATION_POINT, .deadline_ms = DEADLINE_MS};

	snprintf(m.name, sizeof(m.name), "crp");
	snprintf(m.url, sizeof(m.url), "https://%s:%d/CMCertificateRegistration", host, t.peer.port);
	m.root = (struct msg_list){.item = {root}, .count = 1};
	m.chain = (struct msg_list){.item = {t.client}, .count = 1};
	assert_int_equal(msg_policy_module_send(t.authority, 0, &m), 0);
}

static void
begin_with_peer(const char *answer)
{
	begin(answer);
	tlspeer_start(&t.peer);
	set_module("127.0.0.1", t.root);
}

static void
until_answers(int count)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;

	while (t.answers < count && clock_mono_ms() < end)
		loop_run_once(t.loop, 10);
	assert_int_equal(t.answers, count);
}

static void
finish(void)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;

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

static void
ask(void)
{
	struct msg_policy_verify m = {.csr = {(const uint8_t *)"\x30\x00", 2}};

	snprintf(m.transaction_id, sizeof(m.transaction_id), "T1");
	assert_int_equal(msg_policy_verify_call(t.authority, &m, PATIENCE_MS, on_result, NULL), 0);
}

static void
ask_and_wait(void)
{
	int before = t.answers;

	ask();
	until_answers(before + 1);
}

/* ---- what must hold ---- */

TEST(asks_over_mutual_tls_with_the_key_of_another_process)
{
	begin_with_peer(SUCCESS);
	t.peer.keep = true;
	ask_and_wait();
	CHECK_INT(t.last.code, 0);
	CHECK_TEXT(t.last.reason, "Success");
	CHECK_INT(t.last.http_status, 201);
	CHECK_TEXT(t.peer.client, "/CN=policy");
	CHECK(strncmp(t.peer.request, "POST /CMCertificateRegistration/Certificate/VerifyRequest HTTP/1.1\r\n", 67) ==
	      0);
	CHECK(strstr(t.peer.request, "\"transactionId\":\"T1\"") != NULL);
	CHECK(t.signatures == 1);
	/* The connection is kept. */
	ask_and_wait();
	ask_and_wait();
	CHECK_INT(t.last.code, 0);
	CHECK_INT(t.peer.connections, 1);
	CHECK_INT(t.signatures, 1);
	finish();
}

TEST(refusal_is_an_answer)
{
	begin_with_peer(JSON_ANSWER "62\r\n\r\n{\"code\":\"SubjectNameMismatch\",\"errorDescription\":\"CN differs\"}");
	ask_and_wait();
	CHECK_INT(t.last.code, 0);
	CHECK_TEXT(t.last.reason, "SubjectNameMismatch");
	finish();
}

/* None of these may look like consent. */
TEST(answers_that_are_none_are_failures)
{
	static const char *const answers[] = {
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 18\r\n\r\n{\"code\":\"Success\"}",
		"HTTP/1.1 500 Oops\r\nContent-Type: application/json\r\nContent-Length: "
		"18\r\n\r\n{\"code\":\"Success\"}",
		"HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 201 Created\r\nContent-Type: text/html\r\nContent-Length: 18\r\n\r\n{\"code\":\"Success\"}",
		JSON_ANSWER "19\r\n\r\n<html>Success</html>",
		JSON_ANSWER "40\r\n\r\n{\"code\":\"Success\"}",
		JSON_ANSWER "9\r\n\r\n{\"code\":\"Success\"}",
		JSON_ANSWER "0\r\n\r\n",
		"HTTP/1.1 201",
		"",
		"not HTTP at all",
	};

	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		begin_with_peer(answers[i]);
		ask_and_wait();
		if (t.last.code == 0)
			fprintf(stderr, "answer %zu\n", i);
		CHECK(t.last.code != 0);
		CHECK_TEXT(t.last.reason, "");
		CHECK(t.last.text[0] != '\0');
		finish();
	}
}

TEST(forbidden_says_that_our_certificate_is_not_trusted)
{
	begin_with_peer("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
	ask_and_wait();
	CHECK_INT(t.last.code, ERR_DENIED);
	CHECK(strstr(t.last.text, "does not trust our client certificate") != NULL);
	finish();
}

TEST(answer_without_end_is_cut_off)
{
	static char endless[NET_COURIER_ANSWER_MAX * 2];

	memset(endless, 'a', sizeof(endless) - 1);
	memcpy(endless, JSON_ANSWER "99999999\r\n\r\n", strlen(JSON_ANSWER "99999999\r\n\r\n"));
	begin_with_peer(endless);
	ask_and_wait();
	CHECK_INT(t.last.code, ERR_LIMIT);
	finish();
}

TEST(silence_ends_at_the_deadline)
{
	int64_t start = clock_mono_ms();

	begin_with_peer(SUCCESS);
	t.peer.delay_ms = 60000;
	ask_and_wait();
	CHECK_INT(t.last.code, ERR_TIMEOUT);
	CHECK(clock_mono_ms() - start >= DEADLINE_MS);
	finish();
}

TEST(nobody_there_is_a_failure_at_once)
{
	begin(SUCCESS);
	t.peer.port = 1;
	set_module("127.0.0.1", t.root);
	ask_and_wait();
	CHECK_INT(t.last.code, ERR_IO);
	finish();
}

TEST(server_below_another_root_is_not_talked_to)
{
	EVP_PKEY *other_key = certs_ec("P-256");
	struct bytes other = certs_ca(other_key); /* of the same name */

	begin(SUCCESS);
	tlspeer_start(&t.peer);
	set_module("127.0.0.1", other);
	ask_and_wait();
	CHECK_INT(t.last.code, ERR_VERIFY);
	CHECK_INT(t.peer.requests, 0);
	finish();
	free((void *)other.data);
	EVP_PKEY_free(other_key);
}

TEST(server_of_another_name_is_not_talked_to)
{
	struct bytes other;

	begin(SUCCESS);
	other = issue(t.server_key, "127.0.0.1", "DNS:other.example.com", t.root_key, "CA");
	t.peer.certificate = other;
	tlspeer_start(&t.peer);
	set_module("127.0.0.1", t.root);
	ask_and_wait();
	CHECK_INT(t.last.code, ERR_VERIFY);
	CHECK_INT(t.peer.requests, 0);
	finish();
	free((void *)other.data);
}

TEST(without_a_signature_there_is_no_call)
{
	begin_with_peer(SUCCESS);
	t.signer_refuses = true;
	ask_and_wait();
	CHECK(t.last.code != 0);
	CHECK_INT(t.peer.requests, 0);
	t.signer_refuses = false;
	ask_and_wait();
	CHECK_INT(t.last.code, 0);
	finish();
}

TEST(signer_that_goes_away_does_not_keep_a_call)
{
	begin_with_peer(SUCCESS);
	t.signer_silent = true;
	ask();
	while (t.signatures == 0)
		loop_run_once(t.loop, 10);
	ipc_free(TAKE(t.signer));
	until_answers(1);
	CHECK(t.last.code != 0);
	finish();
}

TEST(calls_that_are_too_many_are_told_at_once)
{
	begin_with_peer(SUCCESS);
	t.peer.delay_ms = 60000;
	for (int i = 0; i < NET_COURIER_CALLS + 3; i++)
		ask();
	until_answers(3);
	CHECK_INT(t.last.code, ERR_BUSY);
	until_answers(NET_COURIER_CALLS + 3);
	finish();
}

TEST(module_that_is_not_there_cannot_be_asked)
{
	struct msg_policy_module none = {.kind = POLICY_NONE};
	struct msg_policy_verify far = {.index = 200};

	begin_with_peer(SUCCESS);
	assert_int_equal(msg_policy_verify_call(t.authority, &far, PATIENCE_MS, on_result, NULL), 0);
	until_answers(1);
	CHECK_INT(t.last.code, ERR_CONFIG);
	assert_int_equal(msg_policy_module_send(t.authority, 0, &none), 0);
	ask_and_wait();
	CHECK_INT(t.last.code, ERR_CONFIG);
	finish();
}

TEST(challenge_comes_with_the_answer_to_generate)
{
	struct msg_policy_generate m = {.index = 0};

	begin_with_peer(JSON_ANSWER "41\r\n\r\n{\"code\":\"Success\",\"challenge\":\"0123ABCD\"}");
	assert_int_equal(msg_policy_generate_call(t.authority, &m, PATIENCE_MS, on_result, NULL), 0);
	until_answers(1);
	CHECK_INT(t.last.code, 0);
	CHECK_INT(t.last.challenge.len, 8);
	CHECK(memcmp(t.challenge, "0123ABCD", 8) == 0);
	finish();
}

TEST(notify_and_probe_want_the_status_they_are_known_by)
{
	struct msg_policy_notify notify = {.disposition = DISPOSITION_FAILURE};
	struct msg_policy_probe probe = {.index = 0};

	begin_with_peer("HTTP/1.1 204 No Content\r\n\r\n");
	assert_int_equal(msg_policy_notify_call(t.authority, &notify, PATIENCE_MS, on_result, NULL), 0);
	until_answers(1);
	CHECK_INT(t.last.code, 0);
	CHECK(strstr(t.peer.request, "\"disposition\":\"Failure\"") != NULL);
	assert_int_equal(msg_policy_probe_call(t.authority, &probe, PATIENCE_MS, on_result, NULL), 0);
	until_answers(2);
	CHECK(t.last.code != 0);
	finish();
	begin_with_peer("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
	assert_int_equal(msg_policy_probe_call(t.authority, &probe, PATIENCE_MS, on_result, NULL), 0);
	until_answers(1);
	CHECK_INT(t.last.code, 0);
	finish();
}

TEST_MAIN(RUN(asks_over_mutual_tls_with_the_key_of_another_process), RUN(refusal_is_an_answer),
	  RUN(answers_that_are_none_are_failures), RUN(forbidden_says_that_our_certificate_is_not_trusted),
	  RUN(answer_without_end_is_cut_off), RUN(silence_ends_at_the_deadline), RUN(nobody_there_is_a_failure_at_once),
	  RUN(server_below_another_root_is_not_talked_to), RUN(server_of_another_name_is_not_talked_to),
	  RUN(without_a_signature_there_is_no_call), RUN(signer_that_goes_away_does_not_keep_a_call),
	  RUN(calls_that_are_too_many_are_told_at_once), RUN(module_that_is_not_there_cannot_be_asked),
	  RUN(challenge_comes_with_the_answer_to_generate), RUN(notify_and_probe_want_the_status_they_are_known_by))
