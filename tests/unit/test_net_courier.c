#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board/base/clock.h"
#include "tests/lib/certs.h"
#include "tests/lib/courierrig.h"
#include "tests/lib/test.h"

#define JSON_ANSWER "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: "
#define SUCCESS     JSON_ANSWER "18\r\n\r\n{\"code\":\"Success\"}"

/* ---- what must hold ---- */

TEST(asks_over_mutual_tls_with_the_key_of_another_process)
{
	rig_begin_with_peer(SUCCESS);
	t.peer.keep = true;
	rig_ask_and_wait();
	CHECK_INT(t.last.code, 0);
	CHECK_TEXT(t.last.reason, "Success");
	CHECK_INT(t.last.http_status, 201);
	CHECK_TEXT(t.peer.client, "/CN=policy");
	CHECK(strncmp(t.peer.request, "POST /CMCertificateRegistration/Certificate/VerifyRequest HTTP/1.1\r\n", 67) ==
	      0);
	CHECK(strstr(t.peer.request, "\"transactionId\":\"T1\"") != NULL);
	CHECK(t.signatures == 1);
	/* The connection is kept. */
	rig_ask_and_wait();
	rig_ask_and_wait();
	CHECK_INT(t.last.code, 0);
	CHECK_INT(t.peer.connections, 1);
	CHECK_INT(t.signatures, 1);
	rig_finish();
}

TEST(refusal_is_an_answer)
{
	rig_begin_with_peer(JSON_ANSWER
			    "62\r\n\r\n{\"code\":\"SubjectNameMismatch\",\"errorDescription\":\"CN differs\"}");
	rig_ask_and_wait();
	CHECK_INT(t.last.code, 0);
	CHECK_TEXT(t.last.reason, "SubjectNameMismatch");
	rig_finish();
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
		rig_begin_with_peer(answers[i]);
		rig_ask_and_wait();
		if (t.last.code == 0)
			fprintf(stderr, "answer %zu\n", i);
		CHECK(t.last.code != 0);
		CHECK_TEXT(t.last.reason, "");
		CHECK(t.last.text[0] != '\0');
		rig_finish();
	}
}

TEST(forbidden_says_that_our_certificate_is_not_trusted)
{
	rig_begin_with_peer("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
	rig_ask_and_wait();
	CHECK_INT(t.last.code, ERR_DENIED);
	CHECK(strstr(t.last.text, "does not trust our client certificate") != NULL);
	rig_finish();
}

TEST(answer_without_end_is_cut_off)
{
	static char endless[NET_COURIER_ANSWER_MAX * 2];

	memset(endless, 'a', sizeof(endless) - 1);
	memcpy(endless, JSON_ANSWER "99999999\r\n\r\n", strlen(JSON_ANSWER "99999999\r\n\r\n"));
	rig_begin_with_peer(endless);
	rig_ask_and_wait();
	CHECK_INT(t.last.code, ERR_LIMIT);
	rig_finish();
}

TEST(silence_ends_at_the_deadline)
{
	int64_t start = clock_mono_ms();

	rig_begin_with_peer(SUCCESS);
	t.peer.delay_ms = 60000;
	rig_ask_and_wait();
	CHECK_INT(t.last.code, ERR_TIMEOUT);
	CHECK(clock_mono_ms() - start >= RIG_DEADLINE_MS);
	rig_finish();
}

TEST(nobody_there_is_a_failure_at_once)
{
	rig_begin(SUCCESS);
	t.peer.port = 1;
	rig_set_module("127.0.0.1", t.root);
	rig_ask_and_wait();
	CHECK_INT(t.last.code, ERR_IO);
	rig_finish();
}

TEST(server_below_another_root_is_not_talked_to)
{
	EVP_PKEY *other_key = certs_ec("P-256");
	struct bytes other = certs_ca(other_key); /* of the same name */

	rig_begin(SUCCESS);
	tlspeer_start(&t.peer);
	rig_set_module("127.0.0.1", other);
	rig_ask_and_wait();
	CHECK_INT(t.last.code, ERR_VERIFY);
	CHECK_INT(t.peer.requests, 0);
	rig_finish();
	free((void *)other.data);
	EVP_PKEY_free(other_key);
}

TEST(server_of_another_name_is_not_talked_to)
{
	struct bytes other;

	rig_begin(SUCCESS);
	other = rig_issue(t.server_key, "127.0.0.1", "DNS:other.example.com");
	t.peer.certificate = other;
	tlspeer_start(&t.peer);
	rig_set_module("127.0.0.1", t.root);
	rig_ask_and_wait();
	CHECK_INT(t.last.code, ERR_VERIFY);
	CHECK_INT(t.peer.requests, 0);
	rig_finish();
	free((void *)other.data);
}

TEST(without_a_signature_there_is_no_call)
{
	rig_begin_with_peer(SUCCESS);
	t.signer_refuses = true;
	rig_ask_and_wait();
	CHECK(t.last.code != 0);
	CHECK_INT(t.peer.requests, 0);
	t.signer_refuses = false;
	rig_ask_and_wait();
	CHECK_INT(t.last.code, 0);
	rig_finish();
}

TEST(signer_that_goes_away_does_not_keep_a_call)
{
	rig_begin_with_peer(SUCCESS);
	t.signer_silent = true;
	rig_ask();
	while (t.signatures == 0)
		loop_run_once(t.loop, 10);
	ipc_free(TAKE(t.signer));
	rig_until_answers(1);
	CHECK(t.last.code != 0);
	rig_finish();
}

TEST(calls_that_are_too_many_are_told_at_once)
{
	rig_begin_with_peer(SUCCESS);
	t.peer.delay_ms = 60000;
	for (int i = 0; i < NET_COURIER_CALLS + 3; i++)
		rig_ask();
	rig_until_answers(3);
	CHECK_INT(t.last.code, ERR_BUSY);
	rig_until_answers(NET_COURIER_CALLS + 3);
	rig_finish();
}

TEST(module_that_is_not_there_cannot_be_asked)
{
	struct msg_policy_module none = {.kind = POLICY_NONE};
	struct msg_policy_verify far = {.index = 200};

	rig_begin_with_peer(SUCCESS);
	assert_int_equal(msg_policy_verify_call(t.authority, &far, RIG_PATIENCE_MS, rig_on_result, NULL), 0);
	rig_until_answers(1);
	CHECK_INT(t.last.code, ERR_CONFIG);
	assert_int_equal(msg_policy_module_send(t.authority, 0, &none), 0);
	rig_ask_and_wait();
	CHECK_INT(t.last.code, ERR_CONFIG);
	rig_finish();
}

TEST(challenge_comes_with_the_answer_to_generate)
{
	struct msg_policy_generate m = {.index = 0};

	rig_begin_with_peer(JSON_ANSWER "41\r\n\r\n{\"code\":\"Success\",\"challenge\":\"0123ABCD\"}");
	assert_int_equal(msg_policy_generate_call(t.authority, &m, RIG_PATIENCE_MS, rig_on_result, NULL), 0);
	rig_until_answers(1);
	CHECK_INT(t.last.code, 0);
	CHECK_INT(t.last.challenge.len, 8);
	CHECK(memcmp(t.challenge, "0123ABCD", 8) == 0);
	rig_finish();
}

TEST(notify_and_probe_want_the_status_they_are_known_by)
{
	struct msg_policy_notify notify = {.disposition = DISPOSITION_FAILURE};
	struct msg_policy_probe probe = {.index = 0};

	rig_begin_with_peer("HTTP/1.1 204 No Content\r\n\r\n");
	assert_int_equal(msg_policy_notify_call(t.authority, &notify, RIG_PATIENCE_MS, rig_on_result, NULL), 0);
	rig_until_answers(1);
	CHECK_INT(t.last.code, 0);
	CHECK(strstr(t.peer.request, "\"disposition\":\"Failure\"") != NULL);
	assert_int_equal(msg_policy_probe_call(t.authority, &probe, RIG_PATIENCE_MS, rig_on_result, NULL), 0);
	rig_until_answers(2);
	CHECK(t.last.code != 0);
	rig_finish();
	rig_begin_with_peer("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
	assert_int_equal(msg_policy_probe_call(t.authority, &probe, RIG_PATIENCE_MS, rig_on_result, NULL), 0);
	rig_until_answers(1);
	CHECK_INT(t.last.code, 0);
	rig_finish();
}

TEST_MAIN(RUN(asks_over_mutual_tls_with_the_key_of_another_process), RUN(refusal_is_an_answer),
	  RUN(answers_that_are_none_are_failures), RUN(forbidden_says_that_our_certificate_is_not_trusted),
	  RUN(answer_without_end_is_cut_off), RUN(silence_ends_at_the_deadline), RUN(nobody_there_is_a_failure_at_once),
	  RUN(server_below_another_root_is_not_talked_to), RUN(server_of_another_name_is_not_talked_to),
	  RUN(without_a_signature_there_is_no_call), RUN(signer_that_goes_away_does_not_keep_a_call),
	  RUN(calls_that_are_too_many_are_told_at_once), RUN(module_that_is_not_there_cannot_be_asked),
	  RUN(challenge_comes_with_the_answer_to_generate), RUN(notify_and_probe_want_the_status_they_are_known_by))
