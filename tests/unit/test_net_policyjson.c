#include <string.h>

#include "net/policyjson.h"
#include "tests/lib/test.h"

static struct msg_policy_result result;
static struct err error;

static int
get_result(const char *json)
{
	AUTO_BUF store;
	int code;

	buf_init(&store, 4096);
	memset(&result, 0, sizeof(result));
	error = (struct err){0};
	code = net_policyjson_get_result(bytes_of_text(json), &result, &store, &error);
	if (code == 0 && result.challenge.len == 0)
		result.challenge = (struct bytes){NULL, 0};
	return code;
}

static int
get_text(const char *json, const char *path, char *out, size_t size)
{
	error = (struct err){0};
	return net_policyjson_get_text(bytes_of_text(json), path, out, size, &error);
}

TEST(answer_is_a_code_and_a_text)
{
	CHECK_INT(get_result("{\"code\":\"Success\",\"errorDescription\":\"\"}"), 0);
	CHECK_TEXT(result.reason, "Success");
	CHECK_INT(get_result("{\"code\":\"SubjectNameMismatch\",\"errorDescription\":\"CN\",\"more\":[1,{}]}"), 0);
	CHECK_TEXT(result.reason, "SubjectNameMismatch");
	CHECK_TEXT(result.text, "CN");
	CHECK_INT(get_result("{\"code\":\"ChallengeExpired\",\"errorDescription\":null}"), 0);
	CHECK_TEXT(result.text, "");
}

TEST(answers_that_are_none_are_refused)
{
	static const char *const wrong[] = {
		"",
		"{",
		"[]",
		"\"Success\"",
		"{}",
		"{\"code\":null}",
		"{\"code\":1}",
		"{\"code\":[\"Success\"]}",
		"{\"code\":\"Success\",\"code\":\"ChallengeExpired\"}",
		"{\"code\":\"Success\"} {\"code\":\"Success\"}",
		"{\"code\":\"Success\",\"errorDescription\":7}",
		"{\"code\":\"Suc\\u0000cess\"}",
		"{\"code\":\"Suc\\ncess\"}",
		"{\"code\":\"Success\",\"challenge\":\"a\\u0007b\"}",
		"<html><body>Success</body></html>",
		"{\"code\":\"Succ\xc3\x28\"}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		int code = get_result(wrong[i]);

		if (code != ERR_FORMAT)
			fprintf(stderr, "%s: %s\n", wrong[i], err_name(code));
		CHECK_INT(code, ERR_FORMAT);
		CHECK_TEXT(result.reason, "");
		CHECK(error.text[0] != '\0');
	}
}

TEST(answer_beyond_its_bounds_is_refused)
{
	char long_code[128] = "{\"code\":\"";
	char deep[64] = "";

	memset(long_code + 9, 'a', 64);
	memcpy(long_code + 9 + 64, "\"}", 3);
	CHECK_INT(get_result(long_code), ERR_LIMIT);
	memcpy(long_code + 9 + 63, "\"}", 3);
	CHECK_INT(get_result(long_code), 0);

	memset(deep, '[', NET_POLICYJSON_DEPTH + 1);
	memset(deep + NET_POLICYJSON_DEPTH + 1, ']', NET_POLICYJSON_DEPTH + 1);
	CHECK_INT(get_result(deep), ERR_LIMIT);
	deep[NET_POLICYJSON_DEPTH] = ']';
	deep[2 * NET_POLICYJSON_DEPTH] = '\0';
	CHECK_INT(get_result(deep), ERR_FORMAT);
	/* Brackets in a text are no levels. */
	CHECK_INT(get_result("{\"code\":\"[[[[[[[[[[[[[[[[{{{{{{\\\"[[[[\"}"), 0);
}

TEST(every_truncation_of_an_answer_is_refused)
{
	static const char good[] = "{\"code\":\"Success\",\"errorDescription\":\"x\",\"challenge\":\"ABC\"}";
	char part[sizeof(good)];

	for (size_t len = 0; len < sizeof(good) - 1; len++) {
		memcpy(part, good, len);
		part[len] = '\0';
		CHECK_INT(get_result(part), ERR_FORMAT);
	}
	CHECK_INT(get_result(good), 0);
}

TEST(text_at_a_path_is_found)
{
	static const char json[] =
		"{\"access_token\":\"T\",\"value\":[{\"uri\":\"a\"},{\"uri\":\"b\",\"n\":{\"m\":\"c\"}}]}";
	char out[4];

	CHECK_INT(get_text(json, "access_token", out, sizeof(out)), 0);
	CHECK_TEXT(out, "T");
	CHECK_INT(get_text(json, "value.1.uri", out, sizeof(out)), 0);
	CHECK_TEXT(out, "b");
	CHECK_INT(get_text(json, "value.1.n.m", out, sizeof(out)), 0);
	CHECK_TEXT(out, "c");
	CHECK_INT(get_text(json, "value.2.uri", out, sizeof(out)), ERR_UNKNOWN);
	CHECK_INT(get_text(json, "value.x.uri", out, sizeof(out)), ERR_UNKNOWN);
	CHECK_INT(get_text(json, "nothing", out, sizeof(out)), ERR_UNKNOWN);
	CHECK_INT(get_text(json, "value", out, sizeof(out)), ERR_FORMAT);
	CHECK_INT(get_text(json, "access_token.0", out, sizeof(out)), ERR_UNKNOWN);
	CHECK_INT(get_text("{\"a\":\"1234\"}", "a", out, sizeof(out)), ERR_LIMIT);
	CHECK_INT(get_text("{\"a\":\"123\"}", "a", out, sizeof(out)), 0);
}

/* What we write is read again by the same library that any server uses. */
TEST(request_is_json_whatever_a_peer_put_into_it)
{
	struct msg_policy_verify m = {.csr = {(const uint8_t *)"\x30\x03\x02\x01\x05", 5}};
	char out[256];
	AUTO_BUF json;

	buf_init(&json, 4096);
	strcpy(m.transaction_id, "a\"b\\c\x01\xff</script>");
	strcpy(m.template_name, "device");
	net_policyjson_put_verify(&m, false, &json);
	CHECK_INT(buf_status(&json), 0);
	CHECK_INT(net_policyjson_get_text(buf_bytes(&json), "request.certificateRequest", out, sizeof(out), NULL), 0);
	CHECK_TEXT(out, "MAMCAQU=");
	CHECK_INT(net_policyjson_get_text(buf_bytes(&json), "request.template", out, sizeof(out), NULL), 0);
	CHECK_TEXT(out, "device");
	CHECK_INT(net_policyjson_get_text(buf_bytes(&json), "request.transactionId", out, sizeof(out), NULL),
		  ERR_FORMAT); /* a control character, which the reader refuses */
	buf_clear(&json);
	strcpy(m.transaction_id, "a\"b\\c\xff</script>");
	net_policyjson_put_verify(&m, true, &json);
	CHECK_INT(net_policyjson_get_text(buf_bytes(&json), "request.transactionId", out, sizeof(out), NULL), 0);
	CHECK_TEXT(out, "a\"b\\c\xc3\xbf</script>");
	/* Intune knows three members. */
	CHECK_INT(net_policyjson_get_text(buf_bytes(&json), "request.template", out, sizeof(out), NULL), ERR_UNKNOWN);
}

TEST(notification_says_why_a_request_failed)
{
	struct msg_policy_notify m = {.disposition = DISPOSITION_FAILURE, .hresult = -2146875392};
	char out[256];
	AUTO_BUF json;

	buf_init(&json, 4096);
	strcpy(m.text, "key: RSA with 1024 bits");
	net_policyjson_put_notify(&m, false, &json);
	CHECK_INT(net_policyjson_get_text(buf_bytes(&json), "notification.errorDescription", out, sizeof(out), NULL),
		  0);
	CHECK_TEXT(out, "key: RSA with 1024 bits");
	CHECK_INT(net_policyjson_get_text(buf_bytes(&json), "notification.disposition", out, sizeof(out), NULL), 0);
	CHECK_TEXT(out, "Failure");
	CHECK(memmem(json.data, json.len, "\"hResult\":-2146875392,", 22) != NULL);
}

static struct msg_registration question;
static struct buf store;

static int
get_request(int action, const char *json)
{
	memset(&question, 0, sizeof(question));
	error = (struct err){0};
	buf_fini(&store);
	buf_init(&store, NET_POLICYJSON_MAX);
	return net_policyjson_get_request(bytes_of_text(json), action, &question, &store, &error);
}

TEST(what_one_side_writes_the_other_reads)
{
	struct msg_policy_verify verify = {.csr = {(const uint8_t *)"\x30\x03\x02\x01\x05", 5},
					   .signer = {(const uint8_t *)"\x30\x01\x00\xff", 4}};
	struct msg_policy_notify notify = {.disposition = DISPOSITION_FAILURE, .hresult = -5, .csr = verify.csr};
	char text[4096] = "";
	AUTO_BUF json;

	buf_init(&json, sizeof(text) - 1);
	strcpy(verify.transaction_id, "T\"1");
	strcpy(verify.template_name, "device");
	strcpy(verify.profile, "laptops");
	strcpy(verify.peer, "192.0.2.1");
	net_policyjson_put_verify(&verify, false, &json);
	memcpy(text, json.data, json.len);
	CHECK_INT(get_request(REGISTRATION_VERIFY, text), 0);
	CHECK_TEXT(question.transaction_id, "T\"1");
	CHECK_TEXT(question.template_name, "device");
	CHECK_TEXT(question.profile, "laptops");
	CHECK_TEXT(question.device_address, "192.0.2.1");
	CHECK_BYTES(question.csr, verify.csr.data, 5);
	CHECK_BYTES(question.signer, verify.signer.data, 4);

	buf_clear(&json);
	memset(text, 0, sizeof(text));
	strcpy(notify.transaction_id, "T1");
	strcpy(notify.text, "no");
	net_policyjson_put_notify(&notify, false, &json);
	memcpy(text, json.data, json.len);
	CHECK_INT(get_request(REGISTRATION_NOTIFY, text), 0);
	CHECK_INT(question.disposition, DISPOSITION_FAILURE);
	CHECK_INT(question.hresult, -5);
	CHECK_TEXT(question.text, "no");
	CHECK_BYTES(question.csr, verify.csr.data, 5);
	CHECK_INT(question.serial.len, 0);
}

TEST(challenge_is_asked_for_a_profile_a_device_and_a_user)
{
	CHECK_INT(get_request(REGISTRATION_GENERATE,
			      "{\"request\":{\"profile\":\"laptops\",\"deviceId\":\"d1\",\"userId\":\"u1\","
			      "\"variables\":{\"DNS\":\"a.example.com\",\"Email\":\"a=b@example.com\"}}}"),
		  0);
	CHECK_TEXT(question.profile, "laptops");
	CHECK_TEXT(question.device, "d1");
	CHECK_TEXT(question.user, "u1");
	CHECK_INT(question.variables.count, 2);
	CHECK_BYTES(question.variables.item[0], "DNS=a.example.com", 17);
	CHECK_BYTES(question.variables.item[1], "Email=a=b@example.com", 21);
	CHECK_INT(get_request(REGISTRATION_GENERATE, "{\"request\":{\"profile\":\"laptops\"}}"), 0);
	CHECK_TEXT(question.device, "");
	CHECK_INT(question.variables.count, 0);
}

TEST(requests_with_wrong_members_are_refused_by_name)
{
	static const struct {
		int action;
		const char *json;
		const char *named;
	} wrong[] = {
		{REGISTRATION_VERIFY, "{}", "request"},
		{REGISTRATION_VERIFY, "{\"request\":[]}", "request"},
		{REGISTRATION_VERIFY, "{\"notification\":{\"transactionId\":\"T\"}}", "request"},
		{REGISTRATION_VERIFY, "{\"request\":{\"certificateRequest\":\"MAA=\"}}", "transactionId"},
		{REGISTRATION_VERIFY, "{\"request\":{\"transactionId\":\"T\"}}", "certificateRequest"},
		{REGISTRATION_VERIFY, "{\"request\":{\"transactionId\":\"T\",\"certificateRequest\":\"\"}}",
		 "certificateRequest"},
		{REGISTRATION_VERIFY, "{\"request\":{\"transactionId\":\"T\",\"certificateRequest\":\"MAA\"}}",
		 "certificateRequest"},
		{REGISTRATION_VERIFY, "{\"request\":{\"transactionId\":\"T\",\"certificateRequest\":\"M A=\"}}",
		 "certificateRequest"},
		{REGISTRATION_VERIFY, "{\"request\":{\"transactionId\":7,\"certificateRequest\":\"MAA=\"}}",
		 "transactionId"},
		{REGISTRATION_VERIFY,
		 "{\"request\":{\"transactionId\":\"T\",\"certificateRequest\":\"MAA=\",\"template\":{}}}", "template"},
		{REGISTRATION_NOTIFY, "{\"notification\":{\"transactionId\":\"T\",\"certificateRequest\":\"MAA=\"}}",
		 "disposition"},
		{REGISTRATION_NOTIFY,
		 "{\"notification\":{\"transactionId\":\"T\",\"certificateRequest\":\"MAA=\","
		 "\"disposition\":\"success\"}}",
		 "disposition"},
		{REGISTRATION_NOTIFY,
		 "{\"notification\":{\"transactionId\":\"T\",\"certificateRequest\":\"MAA=\","
		 "\"disposition\":\"Failure\",\"hResult\":1.5}}",
		 "hResult"},
		{REGISTRATION_NOTIFY,
		 "{\"notification\":{\"transactionId\":\"T\",\"certificateRequest\":\"MAA=\","
		 "\"disposition\":\"Success\",\"certificateSerialNumber\":\"0G\"}}",
		 "certificateSerialNumber"},
		{REGISTRATION_GENERATE, "{\"request\":{}}", "profile"},
		{REGISTRATION_GENERATE, "{\"request\":{\"profile\":\"p\",\"variables\":[]}}", "variables"},
		{REGISTRATION_GENERATE, "{\"request\":{\"profile\":\"p\",\"variables\":{\"a\":1}}}", "variables"},
		{REGISTRATION_GENERATE, "{\"request\":{\"profile\":\"p\",\"userId\":\"a\\u0001\"}}", "userId"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		CHECK_INT(get_request(wrong[i].action, wrong[i].json), ERR_FORMAT);
		if (strncmp(error.text, wrong[i].named, strlen(wrong[i].named)) != 0)
			fprintf(stderr, "%s: %s\n", wrong[i].json, error.text);
		CHECK(strncmp(error.text, wrong[i].named, strlen(wrong[i].named)) == 0);
	}
	buf_fini(&store);
}

TEST_MAIN(RUN(answer_is_a_code_and_a_text), RUN(answers_that_are_none_are_refused),
	  RUN(answer_beyond_its_bounds_is_refused), RUN(every_truncation_of_an_answer_is_refused),
	  RUN(text_at_a_path_is_found), RUN(request_is_json_whatever_a_peer_put_into_it),
	  RUN(notification_says_why_a_request_failed), RUN(what_one_side_writes_the_other_reads),
	  RUN(challenge_is_asked_for_a_profile_a_device_and_a_user),
	  RUN(requests_with_wrong_members_are_refused_by_name))
