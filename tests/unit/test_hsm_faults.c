/* hsm/: what is promised for tokens that fail, each promise with a test of its own (appliance/doc/reliability.md). */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "board/base/clock.h"
#include "tests/lib/faulty.h"
#include "tests/lib/test.h"

enum { REQUESTS = 24 };

static struct faulty f;

static int
make_all(void **state)
{
	faulty_make(&f);
	return 0;
}

static int
remove_all(void **state)
{
	faulty_free(&f);
	return 0;
}

/* Every test begins with a sound token and an empty trace. */
static int
begin(void **state)
{
	mock_script(&f.mock, "# no fault\n");
	mock_forget(&f.mock);
	return 0;
}

/* ---- wrong signatures -------------------------------------------------------------------------------------------- */

/* The token spoils one signature in that way: that one request fails, the signer starts again, the others are right. */
static void
spoil_one(const char *how)
{
	struct signer_rig rig;
	unsigned failed = 0;
	unsigned i;

	faulty_rig(&f, &rig);
	CHECK(signer_rig_start(&rig));
	mock_script(&f.mock, "C_Sign nth=7 %s\n", how);
	for (i = 0; i < REQUESTS; i++) {
		int code = faulty_sign(&f, &rig);

		if (code == 0)
			continue;
		failed++;
		CHECK_INT(code, ERR_TOKEN);
		signer_rig_wait(&rig, &rig.exited, 1);
		CHECK_INT(rig.trouble, ERR_TOKEN);
		CHECK(strstr(rig.trouble_text, "chancery-ra-sign") != NULL);
		faulty_recovers(&f, &rig);
	}
	CHECK_INT(failed, 1);
	CHECK_INT(signer_rig_stop(&rig), 0);
	signer_rig_fini(&rig);
}

TEST(wrong_signature_never_leaves)
{
	spoil_one("wrong");
}

TEST(short_signature_never_leaves)
{
	spoil_one("short");
}

TEST(token_that_always_signs_wrongly_does_not_get_into_service)
{
	struct signer_rig rig;

	faulty_rig(&f, &rig);
	mock_script(&f.mock, "C_Sign wrong\n");
	CHECK(!signer_rig_start(&rig));
	CHECK_INT(rig.trouble, ERR_TOKEN);
	CHECK(strstr(rig.trouble_text, "wrong") != NULL);
	(void)signer_rig_stop(&rig);
	mock_script(&f.mock, "C_Decrypt wrong\n");
	CHECK(!signer_rig_start(&rig));
	CHECK_INT(rig.trouble, ERR_TOKEN);
	CHECK(strstr(rig.trouble_text, "chancery-ra-decrypt") != NULL);
	begin(NULL);
	faulty_recovers(&f, &rig);
	signer_rig_fini(&rig);
}

/* ---- PIN --------------------------------------------------------------------------------------------------------- */

TEST(refused_pin_is_tried_once)
{
	static const char *const codes[] = {
		"CKR_PIN_INCORRECT",
		"CKR_PIN_INVALID",
		"CKR_PIN_LEN_RANGE",
		"CKR_PIN_EXPIRED",
		"CKR_PIN_LOCKED",
		"CKR_PIN_TOO_WEAK",
		"CKR_USER_PIN_NOT_INITIALIZED",
		"CKR_FUNCTION_REJECTED",
	};
	struct signer_rig rig;
	size_t i;

	faulty_rig(&f, &rig);
	for (i = 0; i < ARRAY_SIZE(codes); i++) {
		mock_forget(&f.mock);
		mock_script(&f.mock, "C_Login return=%s\n", codes[i]);
		CHECK(!signer_rig_start(&rig));
		/* ERR_PIN is what makes the parent hold the signer until an operator acts. */
		CHECK_INT(rig.trouble, ERR_PIN);
		CHECK(strstr(rig.trouble_text, codes[i]) != NULL);
		CHECK(strstr(rig.trouble_text, FAULTY_PIN) == NULL);
		CHECK_INT(mock_count(&f.mock, "C_Login", NULL), 1);
		(void)signer_rig_stop(&rig);
	}
	signer_rig_fini(&rig);
}

/* libp11 logs in by itself once more; a token that forgot the login meanwhile would look at that PIN. */
TEST(pin_refused_to_the_engine_is_not_tried_for_the_next_key)
{
	struct signer_rig rig;

	faulty_rig(&f, &rig);
	mock_script(&f.mock, "C_Login from=2 return=CKR_PIN_INCORRECT\n");
	if (!signer_rig_start(&rig))
		CHECK_INT(rig.trouble, ERR_PIN);
	CHECK(mock_count(&f.mock, "C_Login", "CKR_PIN_INCORRECT") <= 1);
	(void)signer_rig_stop(&rig);
	signer_rig_fini(&rig);
}

TEST(lost_login_costs_one_new_login)
{
	struct signer_rig rig;
	unsigned before;

	faulty_rig(&f, &rig);
	CHECK(signer_rig_start(&rig));
	before = mock_count(&f.mock, "C_Login", NULL);
	mock_script(&f.mock, "C_SignInit nth=1 logout\n");
	CHECK_INT(faulty_sign(&f, &rig), ERR_TOKEN);
	signer_rig_wait(&rig, &rig.exited, 1);
	CHECK_INT(mock_count(&f.mock, "C_Login", NULL), before);
	faulty_recovers(&f, &rig);
	CHECK_INT(mock_count(&f.mock, "C_Login", NULL), 2 * before);
	signer_rig_fini(&rig);
}

/* ---- hung calls -------------------------------------------------------------------------------------------------- */

TEST(hung_call_costs_one_worker_and_then_the_signer)
{
	enum { OPEN = 12 };
	static struct signer_answer answers[OPEN];
	struct msg_sign m = {.key_class = KEY_RA_SIGN, .digest = DIGEST_SHA256};
	struct msg_signature got;
	struct signer_rig rig;
	unsigned served = 0;
	int64_t start;
	size_t i;

	faulty_rig(&f, &rig);
	rig.conf.signer_workers = 2;
	rig.conf.signer_hang_ms = 1000;
	CHECK(signer_rig_start(&rig));
	mock_script(&f.mock, "C_Sign nth=1 hang\n");
	m.data = buf_bytes(&f.attributes);
	start = clock_mono_ms();
	for (i = 0; i < OPEN; i++)
		CHECK_INT(msg_sign_call(rig.front, &m, 30000, signer_keep, &answers[i]), 0);
	/* The other worker does all others, while that one hangs. */
	for (i = 0; i < OPEN; i++) {
		signer_rig_wait(&rig, &answers[i].done, 1);
		CHECK_INT(answers[i].code, 0);
		CHECK_INT(msg_signature_get(buf_bytes(&answers[i].body), &got), 0);
		CHECK(got.code == 0 || got.code == ERR_TOKEN);
		served += got.code == 0;
		buf_fini(&answers[i].body);
	}
	CHECK_INT(served, OPEN - 1);
	CHECK(clock_mono_ms() - start >= rig.conf.signer_hang_ms);
	signer_rig_wait(&rig, &rig.exited, 1);
	CHECK_INT(rig.trouble, ERR_TOKEN);
	CHECK(strstr(rig.trouble_text, "hangs") != NULL);
	faulty_recovers(&f, &rig);
	signer_rig_fini(&rig);
}

/* Nobody but hsm/patience.c watches the module before the loop turns. */
TEST(call_that_hangs_at_the_start_ends_the_signer_in_time)
{
	/* libp11 opens the third session, and waits for ever when it gets none. */
	static const char *const hangs[] = {
		"C_Initialize hang",  "C_OpenSession nth=3 return=CKR_GENERAL_ERROR",
		"C_Login hang",       "C_Sign hang",
		"C_GetSlotList hang", "C_GetTokenInfo hang",
		"C_OpenSession hang", "C_GetAttributeValue hang",
		"C_SignInit hang",    "C_Decrypt hang",
	};
	size_t count = getenv("CHANCERY_TEST_LONG") != NULL ? ARRAY_SIZE(hangs) : 4;
	struct signer_rig rig;
	size_t i;

	faulty_rig(&f, &rig);
	rig.conf.signer_hang_ms = 100;
	for (i = 0; i < count; i++) {
		int64_t start = clock_mono_ms();

		mock_script(&f.mock, "%s\n", hangs[i]);
		CHECK(!signer_rig_start(&rig));
		CHECK(clock_mono_ms() - start < 10000);
		(void)signer_rig_stop(&rig);
	}
	begin(NULL);
	faulty_recovers(&f, &rig);
	signer_rig_fini(&rig);
}

/* ---- sessions, handles, the token itself ------------------------------------------------------------------------- */

static void
with_sessions(unsigned sessions, bool *ret_ready, int *ret_trouble, char *text, size_t size)
{
	struct signer_rig rig;
	unsigned i;

	faulty_rig(&f, &rig);
	rig.conf.signer_workers = 4;
	rig.conf.signer_hang_ms = 1000;
	mock_script(&f.mock, "sessions %u\n", sessions);
	*ret_ready = signer_rig_start(&rig);
	*ret_trouble = rig.trouble;
	snprintf(text, size, "%s", rig.trouble_text);
	for (i = 0; *ret_ready && i < REQUESTS; i++) {
		struct msg_sign m = {.key_class = KEY_RA_SIGN, .digest = DIGEST_SHA256};
		static struct signer_answer answers[4];
		size_t n;

		memset(answers, 0, sizeof(answers));
		m.data = buf_bytes(&f.attributes);
		for (n = 0; n < ARRAY_SIZE(answers); n++)
			CHECK_INT(msg_sign_call(rig.front, &m, 30000, signer_keep, &answers[n]), 0);
		for (n = 0; n < ARRAY_SIZE(answers); n++) {
			struct msg_signature got;

			signer_rig_wait(&rig, &answers[n].done, 1);
			CHECK_INT(answers[n].code, 0);
			CHECK_INT(msg_signature_get(buf_bytes(&answers[n].body), &got), 0);
			CHECK_INT(got.code, 0);
			buf_fini(&answers[n].body);
		}
	}
	if (*ret_ready)
		CHECK_INT(rig.exited, 0);
	signer_rig_fini(&rig);
}

TEST(four_workers_share_what_sessions_there_are)
{
	unsigned sessions;
	char text[200];
	bool ready;
	int trouble;

	for (sessions = 2; sessions <= 4; sessions++) {
		with_sessions(sessions, &ready, &trouble, text, sizeof(text));
		CHECK(ready);
	}
}

TEST(token_with_one_session_is_refused_at_the_start_by_name)
{
	char text[200];
	bool ready;
	int trouble;

	with_sessions(1, &ready, &trouble, text, sizeof(text));
	CHECK(!ready);
	CHECK_INT(trouble, ERR_TOKEN);
	CHECK(strstr(text, "session") != NULL);
}

/* One fault while in service; what follows must be an answer with an error, and a signer that starts again. */
static void
fault_in_service(const char *script, const char *before_return)
{
	struct signer_rig rig;

	faulty_rig(&f, &rig);
	CHECK(signer_rig_start(&rig));
	CHECK_INT(faulty_sign(&f, &rig), 0);
	mock_script(&f.mock, "%s", script);
	CHECK_INT(faulty_sign(&f, &rig), ERR_TOKEN);
	signer_rig_wait(&rig, &rig.exited, 1);
	CHECK_INT(rig.trouble, ERR_TOKEN);
	(void)signer_rig_stop(&rig);
	if (before_return != NULL) {
		CHECK(!signer_rig_start(&rig));
		CHECK_INT(rig.trouble, ERR_TOKEN);
		CHECK(strstr(rig.trouble_text, before_return) != NULL);
		begin(NULL);
	}
	faulty_recovers(&f, &rig);
	CHECK_INT(signer_rig_stop(&rig), 0);
	signer_rig_fini(&rig);
}

TEST(changed_handles_are_found_again)
{
	fault_in_service("C_SignInit nth=1 change-handles\n", NULL);
}

TEST(handles_that_change_at_each_login_are_found)
{
	struct signer_rig rig;

	faulty_rig(&f, &rig);
	mock_script(&f.mock, "handles-change-at-login\nC_Sign nth=9 logout\n");
	CHECK(signer_rig_start(&rig));
	while (faulty_sign(&f, &rig) == 0)
		continue;
	signer_rig_wait(&rig, &rig.exited, 1);
	faulty_recovers(&f, &rig);
	signer_rig_fini(&rig);
}

TEST(lost_sessions_end_the_signer_and_the_next_one_works)
{
	fault_in_service("C_SignInit nth=1 drop-sessions\n", NULL);
}

TEST(token_pulled_out_is_told_and_works_again_when_it_is_back)
{
	fault_in_service("absent\n", "no token fits");
}

TEST(idle_signer_notices_a_lost_session)
{
	struct signer_rig rig;

	faulty_rig(&f, &rig);
	rig.conf.signer_health_s = 1;
	CHECK(signer_rig_start(&rig));
	mock_script(&f.mock, "C_GetSessionInfo nth=1 drop-sessions\n");
	signer_rig_wait(&rig, &rig.exited, 1);
	CHECK_INT(rig.trouble, ERR_TOKEN);
	faulty_recovers(&f, &rig);
	signer_rig_fini(&rig);
}

/* Nothing but the unwrapping fails, which looks like a stranger's bad ciphertext each time. */
TEST(token_that_only_stops_decrypting_is_noticed)
{
	struct signer_rig rig;
	bool ours;
	int code;

	faulty_rig(&f, &rig);
	CHECK(signer_rig_start(&rig));
	CHECK_INT(faulty_unwrap(&f, &rig, &ours), 0);
	CHECK(ours);
	mock_script(&f.mock, "C_Decrypt return=CKR_GENERAL_ERROR\n");
	code = faulty_unwrap(&f, &rig, &ours);
	CHECK((code == 0 || code == ERR_TOKEN) && !ours);
	signer_rig_wait(&rig, &rig.exited, 1);
	CHECK_INT(rig.trouble, ERR_TOKEN);
	begin(NULL);
	faulty_recovers(&f, &rig);
	signer_rig_fini(&rig);
}

TEST(module_that_dies_leaves_no_answer_twice)
{
	struct signer_rig rig;

	faulty_rig(&f, &rig);
	CHECK(signer_rig_start(&rig));
	mock_script(&f.mock, "C_Sign nth=2 kill\n");
	CHECK_INT(faulty_sign(&f, &rig), 0);
	CHECK_INT(faulty_sign(&f, &rig), ERR_CLOSED);
	signer_rig_wait(&rig, &rig.exited, 1);
	CHECK(WIFSIGNALED(rig.wait_status) && WTERMSIG(rig.wait_status) == SIGKILL);
	faulty_recovers(&f, &rig);
	signer_rig_fini(&rig);
}

#define FAULT(name) cmocka_unit_test_setup(name, begin)

int
main(void)
{
	const struct CMUnitTest list[] = {
		FAULT(wrong_signature_never_leaves),
		FAULT(short_signature_never_leaves),
		FAULT(token_that_always_signs_wrongly_does_not_get_into_service),
		FAULT(refused_pin_is_tried_once),
		FAULT(pin_refused_to_the_engine_is_not_tried_for_the_next_key),
		FAULT(lost_login_costs_one_new_login),
		FAULT(hung_call_costs_one_worker_and_then_the_signer),
		FAULT(call_that_hangs_at_the_start_ends_the_signer_in_time),
		FAULT(four_workers_share_what_sessions_there_are),
		FAULT(token_with_one_session_is_refused_at_the_start_by_name),
		FAULT(changed_handles_are_found_again),
		FAULT(handles_that_change_at_each_login_are_found),
		FAULT(lost_sessions_end_the_signer_and_the_next_one_works),
		FAULT(token_pulled_out_is_told_and_works_again_when_it_is_back),
		FAULT(idle_signer_notices_a_lost_session),
		FAULT(token_that_only_stops_decrypting_is_noticed),
		FAULT(module_that_dies_leaves_no_answer_twice),
	};
	int failed = cmocka_run_group_tests(list, make_all, remove_all);

	return test_finish((int)ARRAY_SIZE(list), failed);
}
