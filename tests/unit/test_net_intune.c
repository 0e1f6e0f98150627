#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board/base/clock.h"
#include "tests/lib/courierrig.h"
#include "tests/lib/test.h"

/*
 * A stand-in for Microsoft's servers, made from the public descriptions (facts, microsoft.md 4): one port plays where
 * tokens come from, the directory, and the service.
 */
static struct {
	atomic_int tokens;
	atomic_int directories;
	atomic_int actions;
	char last_request[8192];
	const char *verdict;  /* what the service answers; NULL: success */
	bool expire;          /* the service refuses tokens until a new one was fetched */
	bool no_service;      /* the directory does not know it */
	bool wrong_secret;    /* no tokens */
	int forgotten_tokens; /* tokens fetched when the service began to refuse */
} intune;

static const char *
json(const char *body)
{
	static char answer[4096];

	snprintf(answer, sizeof(answer),
		 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen(body),
		 body);
	return answer;
}

#define DENIED "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}"

static const char *
directory(void)
{
	static char list[1024];

	intune.directories++;
	snprintf(list, sizeof(list),
		 "{\"value\":[{\"providerName\":\"Other\",\"uri\":\"https://other.example.com\"},"
		 "{\"providerName\":\"%s\",\"uri\":\"https://127.0.0.1:%d/StatelessScep\"}]}",
		 intune.no_service ? "Nothing" : "scepRequestValidationFEservice", t.peer.port);
	return json(list);
}

static const char *
service(const char *request)
{
	intune.actions++;
	snprintf(intune.last_request, sizeof(intune.last_request), "%s", request);
	if (intune.expire && intune.tokens <= intune.forgotten_tokens)
		return DENIED;
	if (strstr(request, "Authorization: Bearer TOKEN\r\n") == NULL)
		return DENIED;
	return json(intune.verdict != NULL ? intune.verdict : "{\"code\":\"Success\",\"errorDescription\":\"\"}");
}

static const char *
reply(const char *request)
{
	if (strncmp(request, "POST /tenant-1/oauth2/v2.0/token ", 33) == 0) {
		intune.tokens++;
		if (intune.wrong_secret || strstr(request, "client_secret=s%20%26cret") == NULL)
			return DENIED;
		return json("{\"token_type\":\"Bearer\",\"expires_in\":3599,\"access_token\":\"TOKEN\"}");
	}
	if (strncmp(request, "GET /v1.0/servicePrincipals/appId=0000000a-0000-0000-c000-000000000000/endpoints ", 81) ==
	    0)
		return directory();
	if (strstr(request, " /StatelessScep/ScepActions/") != NULL)
		return service(request);
	return "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
}

static void
begin(void)
{
	struct msg_policy_module m = {.kind = POLICY_INTUNE, .deadline_ms = RIG_DEADLINE_MS};

	memset(&intune, 0, sizeof(intune));
	rig_begin("");
	t.peer.client_root = (struct bytes){NULL, 0};
	t.peer.reply = reply;
	t.peer.keep = true;
	tlspeer_start(&t.peer);
	snprintf(m.name, sizeof(m.name), "intune");
	snprintf(m.url, sizeof(m.url), "https://127.0.0.1:%d", t.peer.port);
	snprintf(m.directory, sizeof(m.directory), "https://127.0.0.1:%d", t.peer.port);
	snprintf(m.scope, sizeof(m.scope), "https://api.manage.microsoft.com//.default");
	snprintf(m.tenant, sizeof(m.tenant), "tenant-1");
	snprintf(m.client, sizeof(m.client), "app");
	m.secret = bytes_of_text("s &cret");
	m.root = (struct msg_list){.item = {t.root}, .count = 1};
	assert_int_equal(msg_policy_module_send(t.authority, 0, &m), 0);
}

TEST(validates_with_a_token_and_the_address_from_the_directory)
{
	begin();
	rig_ask_and_wait();
	CHECK_INT(t.last.code, 0);
	CHECK_TEXT(t.last.reason, "Success");
	CHECK(strncmp(intune.last_request, "POST /StatelessScep/ScepActions/validateRequest ", 48) == 0);
	CHECK(strstr(intune.last_request, "api-version: 2018-02-20\r\n") != NULL);
	CHECK(strstr(intune.last_request, "client-request-id: ") != NULL);
	CHECK(strstr(intune.last_request, "{\"request\":{\"transactionId\":\"T1\",\"certificateRequest\":\"MAA=\","
					  "\"callerInfo\":\"Chancery\"}}") != NULL);
	CHECK_INT(intune.tokens, 2);
	/* Token and address are kept. */
	rig_ask_and_wait();
	CHECK_INT(t.last.code, 0);
	CHECK_INT(intune.tokens, 2);
	CHECK_INT(intune.directories, 1);
	CHECK_INT(intune.actions, 2);
	rig_finish();
}

TEST(refusal_is_given_with_its_reason)
{
	begin();
	intune.verdict = "{\"code\":\"ChallengeExpired\",\"errorDescription\":\"The challenge has expired\"}";
	rig_ask_and_wait();
	CHECK_INT(t.last.code, 0);
	CHECK_TEXT(t.last.reason, "ChallengeExpired");
	CHECK_TEXT(t.last.text, "The challenge has expired");
	CHECK_INT(intune.actions, 1);
	rig_finish();
}

TEST(token_that_ended_early_is_fetched_again_once)
{
	begin();
	rig_ask_and_wait();
	intune.forgotten_tokens = intune.tokens;
	intune.expire = true;
	rig_ask_and_wait();
	CHECK_INT(t.last.code, 0);
	CHECK_TEXT(t.last.reason, "Success");
	CHECK_INT(intune.tokens, 4);
	intune.forgotten_tokens = 1000;
	rig_ask_and_wait();
	CHECK_INT(t.last.code, ERR_DENIED);
	CHECK_INT(intune.tokens, 6);
	rig_finish();
}

TEST(wrong_secret_and_unknown_service_grant_nothing)
{
	begin();
	intune.wrong_secret = true;
	rig_ask_and_wait();
	CHECK_INT(t.last.code, ERR_DENIED);
	CHECK_TEXT(t.last.reason, "");
	CHECK(strstr(t.last.text, "cret") == NULL);
	intune.wrong_secret = false;
	intune.no_service = true;
	rig_ask_and_wait();
	CHECK_INT(t.last.code, ERR_UNKNOWN);
	CHECK(strstr(t.last.text, "ScepRequestValidationFEService") != NULL);
	CHECK_INT(intune.actions, 0);
	intune.no_service = false;
	rig_ask_and_wait();
	CHECK_INT(t.last.code, 0);
	rig_finish();
}

TEST(answers_that_are_none_grant_nothing)
{
	static const char *const verdicts[] = {"", "{}", "[]", "<html>Success</html>", "{\"code\":true}"};

	begin();
	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++) {
		intune.verdict = verdicts[i];
		rig_ask_and_wait();
		CHECK_INT(t.last.code, ERR_FORMAT);
		CHECK_TEXT(t.last.reason, "");
	}
	rig_finish();
}

TEST(outcome_is_told_in_the_terms_of_intune)
{
	struct msg_policy_notify m = {.disposition = DISPOSITION_SUCCESS, .csr = {(const uint8_t *)"\x30\x00", 2}};

	begin();
	m.certificate = t.client;
	snprintf(m.transaction_id, sizeof(m.transaction_id), "T1");
	assert_int_equal(msg_policy_notify_call(t.authority, &m, RIG_PATIENCE_MS, rig_on_result, NULL), 0);
	rig_until_answers(1);
	CHECK_INT(t.last.code, 0);
	CHECK(strstr(intune.last_request, "ScepActions/successNotification ") != NULL);
	CHECK(strstr(intune.last_request, "\"certificateSerialNumber\":\"8899AABBCCDDEEFF\"") != NULL ||
	      strstr(intune.last_request, "\"certificateSerialNumber\":\"008899AABBCCDDEEFF\"") != NULL);
	CHECK(strstr(intune.last_request, "\"issuingCertificateAuthority\":\"CN=CA\"") != NULL);
	CHECK(strstr(intune.last_request, "disposition") == NULL);
	m.disposition = DISPOSITION_FAILURE;
	m.hresult = -2146875392;
	snprintf(m.text, sizeof(m.text), "subject: not the one of the challenge");
	assert_int_equal(msg_policy_notify_call(t.authority, &m, RIG_PATIENCE_MS, rig_on_result, NULL), 0);
	rig_until_answers(2);
	CHECK(strstr(intune.last_request, "ScepActions/failureNotification ") != NULL);
	CHECK(strstr(intune.last_request, "\"hResult\":-2146875392,\"errorDescription\":\"subject: not") != NULL);
	rig_finish();
}

TEST(all_calls_together_end_at_the_deadline)
{
	int64_t start;

	begin();
	t.peer.delay_ms = 700; /* the third of four would be beyond it */
	start = clock_mono_ms();
	rig_ask_and_wait();
	CHECK_INT(t.last.code, ERR_TIMEOUT);
	CHECK(clock_mono_ms() - start >= RIG_DEADLINE_MS);
	rig_finish();
}

TEST_MAIN(RUN(validates_with_a_token_and_the_address_from_the_directory), RUN(refusal_is_given_with_its_reason),
	  RUN(token_that_ended_early_is_fetched_again_once), RUN(wrong_secret_and_unknown_service_grant_nothing),
	  RUN(answers_that_are_none_grant_nothing), RUN(outcome_is_told_in_the_terms_of_intune),
	  RUN(all_calls_together_end_at_the_deadline))
