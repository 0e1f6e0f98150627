/*
 * hsm/: every CKR_* in every phase.  Whatever a token answers: what was asked is served, or answered with an error
 * once; the signer goes on, or says what is wrong and starts again as soon as the fault is over.  No crash, no hang,
 * no wrong signature (tests/lib/faulty.c verifies each), no second try of a PIN.
 *
 * Each code is tried in each phase; of the phase's functions one after the other is taken, or with CHANCERY_TEST_LONG
 * every one.
 */
#include <stdlib.h>
#include <sys/wait.h>

#include "board/base/clock.h"
#include "tests/lib/faulty.h"
#include "tests/lib/test.h"

static const char *const codes[] = {
#define CODE(name) #name,
#include "tests/mock/codes.def"
#undef CODE
};

static struct faulty f;

/* Are all combinations wanted? */
static bool
is_long(void)
{
	return getenv("CHANCERY_TEST_LONG") != NULL;
}

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

static void
sound(void)
{
	mock_script(&f.mock, "# no fault\n");
	mock_forget(&f.mock);
}

/* The functions of a phase, with what comes between name and return= in the script. */
struct phase {
	const char *const *calls;
	size_t count;
};

#define PHASE(array)                                                                                                   \
	{                                                                                                              \
		(array), ARRAY_SIZE(array)                                                                             \
	}

/* Calls judge(call, code) for every pair, or for one function a code. */
static void
each(const struct phase *phase, void (*judge)(struct signer_rig *rig, const char *call, const char *code),
     struct signer_rig *rig)
{
	size_t c;
	size_t i;

	for (c = 0; c < ARRAY_SIZE(codes); c++) {
		for (i = 0; i < phase->count; i++) {
			if (is_long() || i == c % phase->count)
				judge(rig, phase->calls[i], codes[c]);
		}
	}
}

/* How the signer ended, when it did: by itself, and with words about it. */
static void
check_end(const struct signer_rig *rig, const char *call, const char *code)
{
	if (!WIFEXITED(rig->wait_status) || WEXITSTATUS(rig->wait_status) != 1 || rig->trouble_text[0] == '\0')
		fail_msg("%s %s: status 0x%x, trouble '%s'", call, code, (unsigned)rig->wait_status, rig->trouble_text);
}

/* ---- start ------------------------------------------------------------------------------------------------------- */

/* It is in service with all its keys, or says what is wrong; a PIN that may have been judged is not tried again. */
static void
judge_start(struct signer_rig *rig, const char *call, const char *code)
{
	unsigned refused;

	mock_script(&f.mock, "%s return=%s\n", call, code);
	mock_forget(&f.mock);
	if (signer_rig_start(rig)) {
		if (signer_public_key(rig, rig->authority, KEY_AUDIT, NULL) != 0)
			fail_msg("%s %s: in service without a key that the token has", call, code);
	} else {
		check_end(rig, call, code);
	}
	refused = mock_count(&f.mock, "C_Login", code);
	if (refused > 1 && strncmp(code, "CKR_PIN", 7) == 0)
		fail_msg("%s %s: %u logins", call, code, refused);
	if (refused > 0 && strcmp(call, "C_Login") == 0 && strncmp(code, "CKR_PIN", 7) == 0)
		CHECK_INT(rig->trouble, ERR_PIN);
	(void)signer_rig_stop(rig);
}

static void
start_phase(const struct phase *phase)
{
	struct signer_rig rig;

	faulty_rig(&f, &rig);
	rig.conf.signer_hang_ms = 2000;
	each(phase, judge_start, &rig);
	sound();
	faulty_recovers(&f, &rig);
	signer_rig_fini(&rig);
}

TEST(every_code_while_the_module_starts)
{
	static const char *const calls[] = {"C_Initialize", "C_GetSlotList", "C_GetTokenInfo", "C_GetSlotInfo nth=1"};
	const struct phase phase = PHASE(calls);

	start_phase(&phase);
}

TEST(every_code_at_the_login)
{
	static const char *const calls[] = {"C_Login", "C_OpenSession nth=1", "C_Login nth=2", "C_OpenSession nth=2"};
	const struct phase phase = PHASE(calls);

	start_phase(&phase);
}

TEST(every_code_while_keys_are_loaded_and_tested)
{
	static const char *const calls[] = {
		"C_FindObjectsInit",   "C_SignInit",    "C_FindObjects nth=3",        "C_Sign",
		"C_GetMechanismInfo",  "C_DecryptInit", "C_FindObjectsFinal",         "C_Decrypt",
		"C_GetAttributeValue", "C_Sign nth=2",  "C_GetAttributeValue nth=30", "C_FindObjectsInit nth=8",
	};
	const struct phase phase = PHASE(calls);

	start_phase(&phase);
}

/* libp11 waits for ever after some of these; hsm/patience.c ends that, which takes a second each. */
TEST(codes_when_the_engine_opens_its_session)
{
	struct signer_rig rig;
	size_t c;

	faulty_rig(&f, &rig);
	rig.conf.signer_hang_ms = 10;
	for (c = 0; c < ARRAY_SIZE(codes); c += is_long() ? 1 : 40) {
		mock_script(&f.mock, "C_OpenSession nth=3 return=%s\n", codes[c]);
		if (!signer_rig_start(&rig))
			CHECK(WIFEXITED(rig.wait_status) && WEXITSTATUS(rig.wait_status) == 1);
		(void)signer_rig_stop(&rig);
	}
	sound();
	faulty_recovers(&f, &rig);
	signer_rig_fini(&rig);
}

/* ---- service ----------------------------------------------------------------------------------------------------- */

static bool
is_device_error(int code)
{
	return code == ERR_TOKEN || code == ERR_CLOSED || code == ERR_NOMEM || code == ERR_CRYPTO;
}

/* One answer; if it was an error, the signer ends with words, or goes on and works. */
static void
judge_service(struct signer_rig *rig, const char *call, const char *code)
{
	bool decrypts = strncmp(call, "C_Decrypt", 9) == 0;
	bool ours = true;
	int got;

	mock_script(&f.mock, "%s nth=1 return=%s\n", call, code);
	got = decrypts ? faulty_unwrap(&f, rig, &ours) : faulty_sign(&f, rig);
	if (got != 0 && !is_device_error(got))
		fail_msg("%s %s: answered with %s", call, code, err_name(got));
	if (mock_count(&f.mock, decrypts ? "C_Decrypt" : "C_Sign", NULL) == 0)
		fail_msg("%s %s: the token was not asked", call, code);
	sound();
	if (got == ERR_TOKEN) {
		signer_rig_wait(rig, &rig->exited, 1);
		check_end(rig, call, code);
	}
	/* After a doubtful result a probe may be under way, which finds the token well. */
	faulty_recovers(&f, rig);
}

TEST(every_code_in_service)
{
	static const char *const calls[] = {"C_SignInit", "C_DecryptInit", "C_Sign", "C_Decrypt"};
	const struct phase phase = PHASE(calls);
	struct signer_rig rig;

	faulty_rig(&f, &rig);
	CHECK(signer_rig_start(&rig));
	each(&phase, judge_service, &rig);
	CHECK_INT(signer_rig_stop(&rig), 0);
	signer_rig_fini(&rig);
}

/* ---- idle -------------------------------------------------------------------------------------------------------- */

/* The probe of an idle signer meets it, and the signer ends with words. */
static void
judge_idle(struct signer_rig *rig, const char *call, const char *code)
{
	mock_script(&f.mock, "%s return=%s\n", call, code);
	signer_rig_wait(rig, &rig->exited, 1);
	check_end(rig, call, code);
	CHECK(rig->trouble == ERR_TOKEN || rig->trouble == ERR_NOMEM);
	sound();
	(void)signer_rig_stop(rig);
	CHECK(signer_rig_start(rig));
}

TEST(every_code_when_idle)
{
	static const char *const calls[] = {"C_GetSessionInfo", "C_SignInit", "C_Decrypt", "C_Sign", "C_DecryptInit"};
	const struct phase phase = PHASE(calls);
	struct signer_rig rig;

	faulty_rig(&f, &rig);
	rig.conf.signer_health_s = 0;  /* the probe comes with each look, */
	rig.conf.signer_hang_ms = 100; /* which is a quarter of this */
	CHECK(signer_rig_start(&rig));
	each(&phase, judge_idle, &rig);
	sound();
	(void)signer_rig_stop(&rig);
	signer_rig_fini(&rig);
}

/* ---- the ceremony ------------------------------------------------------------------------------------------------ */

static void
rig_ceremony(struct faulty *fresh, struct signer_rig *rig)
{
	signer_rig_init(rig, &fresh->token, FAULTY_LABEL, FAULTY_PIN);
	mock_use(&fresh->mock, rig);
	rig->owner = ROLE_PROVISION;
	rig->so_pin = FAULTY_SO_PIN;
}

static int
init_token(struct signer_rig *rig)
{
	return signer_token_init(rig, FAULTY_LABEL);
}

static int
make_key(struct signer_rig *rig)
{
	return signer_generate(rig, KEY_CA, KEY_ALG_P256, NULL);
}

static void
fails_with_every_code(struct signer_rig *rig, const struct mock *mock, const char *const *calls, size_t count,
		      int (*request)(struct signer_rig *rig))
{
	size_t c;
	size_t i;

	for (c = 0; c < ARRAY_SIZE(codes); c++) {
		for (i = 0; i < count; i++) {
			/* To be logged in already is no failure. */
			if (strcmp(calls[i], "C_Login") == 0 && strcmp(codes[c], "CKR_USER_ALREADY_LOGGED_IN") == 0)
				continue;
			mock_script(mock, "%s return=%s\n", calls[i], codes[c]);
			if (request(rig) == 0)
				fail_msg("%s %s: done all the same", calls[i], codes[c]);
		}
	}
}

/* The ceremony is told, and its next try works. */
TEST(every_code_in_the_ceremony)
{
	static const char *const init[] = {"C_InitToken", "C_GetSlotList"};
	static const char *const pin[] = {"C_OpenSession", "C_InitPIN", "C_Login"};
	static const char *const make[] = {"C_GenerateKeyPair", "C_FindObjectsInit", "C_FindObjects"};
	static struct faulty fresh;
	struct signer_rig rig;

	token_make(&fresh.token, NULL, NULL, NULL);
	mock_make(&fresh.mock, &fresh.token);
	token_give(&fresh.token, CONFIG_ROLE_UID_BASE + 2);
	rig_ceremony(&fresh, &rig);
	CHECK(signer_rig_start(&rig));
	fails_with_every_code(&rig, &fresh.mock, init, ARRAY_SIZE(init), init_token);
	/* From here on there is a token without a user PIN. */
	fails_with_every_code(&rig, &fresh.mock, pin, ARRAY_SIZE(pin), init_token);
	mock_script(&fresh.mock, "# no fault\n");
	CHECK_INT(signer_token_init(&rig, FAULTY_LABEL), 0);
	fails_with_every_code(&rig, &fresh.mock, make, ARRAY_SIZE(make), make_key);
	mock_script(&fresh.mock, "# no fault\n");
	CHECK_INT(signer_generate(&rig, KEY_CA, KEY_ALG_P256, NULL), 0);
	CHECK_INT(signer_public_key(&rig, rig.provision, KEY_CA, NULL), 0);
	CHECK_INT(rig.exited, 0);
	CHECK_INT(signer_rig_stop(&rig), 0);
	signer_rig_fini(&rig);
	token_remove(&fresh.token);
}

int
main(void)
{
	const struct CMUnitTest list[] = {
		RUN(every_code_while_the_module_starts),
		RUN(every_code_at_the_login),
		RUN(every_code_while_keys_are_loaded_and_tested),
		RUN(codes_when_the_engine_opens_its_session),
		RUN(every_code_in_service),
		RUN(every_code_when_idle),
		RUN(every_code_in_the_ceremony),
	};
	int failed = cmocka_run_group_tests(list, make_all, remove_all);

	return test_finish((int)ARRAY_SIZE(list), failed);
}
