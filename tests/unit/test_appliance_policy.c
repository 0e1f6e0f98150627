#include "tests/lib/office.h"

#include "board/base/clock.h"
#include "tests/lib/test.h"

/* A stand-in for the courier: the real one has its own tests, and cannot be made to keep silent. */
struct courier {
	struct ipc *ipc;
	bool silent;
	int64_t code; /* of its answers */
	uint32_t http_status;
	const char *reason;
	int modules;
	struct msg_policy_module module;
	int questions;
	struct msg_policy_verify verify;
	struct msg_policy_notify notify;
	char first_csr_octet;
};

static struct office office;
static struct courier courier;

/* What came back. */
static struct {
	int answers;
	int code;
	bool granted;
	char reason[64];
	char text[256];
} last;

static void
answer(uint64_t id)
{
	struct msg_policy_result m = {.code = courier.code, .http_status = courier.http_status};

	if (courier.silent)
		return;
	if (courier.code == 0)
		snprintf(m.reason, sizeof(m.reason), "%s", courier.reason);
	else
		snprintf(m.text, sizeof(m.text), "connection refused");
	assert_int_equal(msg_policy_result_send(courier.ipc, id, &m), 0);
}

static void
on_message(struct ipc *ipc, struct ipc_message *message, void *arg)
{
	if (message->type == MSG_POLICY_MODULE) {
		courier.modules++;
		assert_int_equal(msg_policy_module_get(message->body, &courier.module), 0);
		return;
	}
	courier.questions++;
	if (message->type == MSG_POLICY_VERIFY) {
		assert_int_equal(msg_policy_verify_get(message->body, &courier.verify), 0);
		courier.first_csr_octet = courier.verify.csr.len > 0 ? (char)courier.verify.csr.data[0] : '\0';
	}
	if (message->type == MSG_POLICY_NOTIFY)
		assert_int_equal(msg_policy_notify_get(message->body, &courier.notify), 0);
	answer(message->id);
}

static void
on_closed(struct ipc *ipc, void *arg)
{
	ipc_free(TAKE(courier.ipc));
}

static void
connect_courier(void)
{
	struct ipc_handlers handlers = {on_message, on_closed, NULL};
	int fds[2];

	ipc_free(TAKE(courier.ipc));
	assert_int_equal(ipc_pair(fds, NULL), 0);
	assert_int_equal(ipc_new(office.loop, fds[0], ROLE_COURIER, ROLE_AUTHORITY, &handlers, &courier.ipc), 0);
	assert_int_equal(app_policy_courier(&office.authority, fds[1]), 0);
}

static struct app_policy_module *
begin(void)
{
	struct msg_policy_module m = {.kind = POLICY_REGISTRATION_POINT, .deadline_ms = 200};

	memset(&courier, 0, sizeof(courier));
	memset(&last, 0, sizeof(last));
	courier.reason = "Success";
	office_open(&office, false);
	strcpy(m.name, "crp");
	strcpy(m.url, "https://crp.example.com/CMCertificateRegistration");
	CHECK_INT(app_policy_set(&office.authority, &m, NULL), 0);
	return app_policy_find(&office.authority, "crp");
}

static void
end(void)
{
	office_close(&office);
	ipc_free(TAKE(courier.ipc));
}

static void
take_answer(const struct app_policy_answer *answer_, void *arg)
{
	last.answers++;
	last.code = answer_->code;
	last.granted = answer_->granted;
	snprintf(last.reason, sizeof(last.reason), "%s", answer_->reason);
	snprintf(last.text, sizeof(last.text), "%s", answer_->text);
}

static int
verify(struct app_policy_module *module)
{
	struct app_policy_request request = {.transaction_id = "T1",
					     .csr = {(const uint8_t *)"\x30", 1},
					     .template_name = "device",
					     .profile = "",
					     .peer = "192.0.2.1"};

	return app_policy_verify(module, &request, take_answer, NULL);
}

static void
verify_and_wait(struct app_policy_module *module)
{
	int before = last.answers;

	CHECK_INT(verify(module), 0);
	CHECK_INT(last.answers, before);
	OFFICE_UNTIL(&office, last.answers > before);
	CHECK_INT(last.answers, before + 1);
}

TEST(module_is_asked_and_its_answer_given)
{
	struct app_policy_module *module = begin();

	connect_courier();
	OFFICE_UNTIL(&office, courier.modules == 1);
	CHECK_TEXT(courier.module.url, "https://crp.example.com/CMCertificateRegistration");
	verify_and_wait(module);
	CHECK(last.granted);
	CHECK_TEXT(courier.verify.transaction_id, "T1");
	CHECK_INT(courier.first_csr_octet, '\x30');
	courier.reason = "SubjectNameMismatch";
	verify_and_wait(module);
	CHECK_INT(last.code, 0);
	CHECK(!last.granted);
	CHECK_TEXT(last.reason, "SubjectNameMismatch");
	CHECK_INT(app_policy_health(module)->granted, 1);
	CHECK_INT(app_policy_health(module)->refused, 1);
	end();
}

TEST(an_answer_that_is_not_success_grants_nothing)
{
	static const char *const reasons[] = {"", "success", "Success ", "SUCCESS", "Unknown", "Successful"};
	struct app_policy_module *module = begin();

	connect_courier();
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		courier.reason = reasons[i];
		verify_and_wait(module);
		CHECK(!last.granted);
	}
	end();
}

TEST(without_courier_nothing_is_granted_and_each_caller_told)
{
	struct app_policy_module *module = begin();

	CHECK_INT(verify(module), ERR_CLOSED);
	connect_courier();
	courier.silent = true;
	CHECK_INT(verify(module), 0);
	CHECK_INT(verify(module), 0);
	OFFICE_UNTIL(&office, courier.questions == 2);
	ipc_free(TAKE(courier.ipc));
	OFFICE_UNTIL(&office, last.answers == 2);
	CHECK_INT(last.code, ERR_CLOSED);
	CHECK(!last.granted);
	CHECK_INT(verify(module), ERR_CLOSED);
	/* A new one learns of the modules that there are. */
	courier.silent = false;
	courier.modules = 0;
	connect_courier();
	OFFICE_UNTIL(&office, courier.modules == 1);
	verify_and_wait(module);
	CHECK(last.granted);
	end();
}

TEST(silence_ends_with_the_deadline)
{
	struct app_policy_module *module = begin();

	connect_courier();
	courier.silent = true;
	verify_and_wait(module);
	CHECK_INT(last.code, ERR_TIMEOUT);
	CHECK(!last.granted);
	end();
}

TEST(module_that_cannot_be_asked_rests_and_comes_back)
{
	struct app_policy_module *module = begin();
	int asked;

	connect_courier();
	courier.code = ERR_IO;
	for (int i = 0; i < APP_POLICY_FAILURES; i++) {
		verify_and_wait(module);
		CHECK_INT(last.code, ERR_IO);
		CHECK_TEXT(last.text, "connection refused");
	}
	asked = courier.questions;
	CHECK_INT(verify(module), ERR_BUSY);
	CHECK_INT(verify(module), ERR_BUSY);
	CHECK_INT(courier.questions, asked);
	CHECK_INT(app_policy_health(module)->rest_ms, APP_POLICY_REST_MS);

	/* After the rest one call finds out, and the others wait for it. */
	courier.code = 0;
	OFFICE_UNTIL(&office, clock_mono_ms() >= app_policy_health(module)->rests_until);
	CHECK_INT(verify(module), 0);
	CHECK_INT(verify(module), ERR_BUSY);
	OFFICE_UNTIL(&office, last.granted);
	CHECK_INT(app_policy_health(module)->failures, 0);
	verify_and_wait(module);
	CHECK(last.granted);
	end();
}

TEST(refusals_are_answers_and_no_reason_to_rest)
{
	struct app_policy_module *module = begin();

	connect_courier();
	courier.reason = "ChallengeExpired";
	for (int i = 0; i < 3 * APP_POLICY_FAILURES; i++)
		verify_and_wait(module);
	CHECK_INT(app_policy_health(module)->failures, 0);
	end();
}

TEST(requests_that_a_server_cannot_read_do_not_make_it_rest)
{
	static const uint32_t rests[] = {401, 403, 404, 500, 503};
	struct app_policy_module *module = begin();

	connect_courier();
	courier.code = ERR_FORMAT;
	courier.http_status = 400;
	for (int i = 0; i < 3 * APP_POLICY_FAILURES; i++) {
		verify_and_wait(module);
		CHECK_INT(last.code, ERR_FORMAT);
		CHECK(!last.granted);
	}
	CHECK_INT(app_policy_health(module)->failures, 0);
	for (size_t i = 0; i < ARRAY_SIZE(rests); i++) {
		courier.http_status = rests[i];
		verify_and_wait(module);
	}
	CHECK_INT(verify(module), ERR_BUSY);
	end();
}

TEST(questions_of_one_module_are_bounded)
{
	struct app_policy_module *module = begin();

	connect_courier();
	courier.silent = true;
	for (int i = 0; i < APP_POLICY_CALLS; i++)
		CHECK_INT(verify(module), 0);
	CHECK_INT(verify(module), ERR_BUSY);
	OFFICE_UNTIL(&office, last.answers == APP_POLICY_CALLS);
	end();
}

TEST(module_that_is_removed_answers_nobody_with_consent)
{
	struct app_policy_module *module = begin();

	connect_courier();
	courier.silent = true;
	CHECK_INT(verify(module), 0);
	OFFICE_UNTIL(&office, courier.questions == 1);
	app_policy_remove(&office.authority, "crp");
	CHECK(app_policy_find(&office.authority, "crp") == NULL);
	app_policy_remove(&office.authority, "crp");
	OFFICE_UNTIL(&office, last.answers == 1);
	CHECK_INT(last.code, ERR_CLOSED);
	CHECK(!last.granted);
	OFFICE_UNTIL(&office, courier.modules >= 2);
	CHECK_INT(courier.module.kind, POLICY_NONE);
	end();
}

TEST(kinds_and_numbers_beyond_the_known_are_refused)
{
	struct msg_policy_module m = {.kind = 77};
	struct err e = {0};

	(void)begin();
	strcpy(m.name, "strange");
	CHECK_INT(app_policy_set(&office.authority, &m, &e), ERR_CONFIG);
	m.kind = POLICY_EXEC;
	for (int i = 1; i < APP_POLICY_MODULES; i++) {
		snprintf(m.name, sizeof(m.name), "m%d", i);
		CHECK_INT(app_policy_set(&office.authority, &m, NULL), 0);
	}
	CHECK_INT(app_policy_set(&office.authority, &m, NULL), 0);
	strcpy(m.name, "one more");
	CHECK_INT(app_policy_set(&office.authority, &m, NULL), ERR_LIMIT);
	end();
}

TEST_MAIN(RUN(module_is_asked_and_its_answer_given), RUN(an_answer_that_is_not_success_grants_nothing),
	  RUN(without_courier_nothing_is_granted_and_each_caller_told), RUN(silence_ends_with_the_deadline),
	  RUN(module_that_cannot_be_asked_rests_and_comes_back), RUN(refusals_are_answers_and_no_reason_to_rest),
	  RUN(requests_that_a_server_cannot_read_do_not_make_it_rest), RUN(questions_of_one_module_are_bounded),
	  RUN(module_that_is_removed_answers_nobody_with_consent), RUN(kinds_and_numbers_beyond_the_known_are_refused))
