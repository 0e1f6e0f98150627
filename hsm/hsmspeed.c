/*
 * chancery-hsmspeed - what the configured token does per second, through the signer's own queue and workers
 *
 * It opens the token as the signer does, keeps every worker busy for a while with one operation after the other, and
 * prints how many were done, how long each took in the token, and what it cost in CPU.  From that an operator chooses
 * signer.workers, signer.queue and the algorithms of the keys.
 *
 * It logs in to the token: with SoftHSM, do not start it while a signer is starting (facts, hsm.md 2, 18).
 *
 * SECURITY: as root it reads the PIN and then becomes the signer's user.  What it signs is text of its own that no peer
 * sees.
 */
#include <getopt.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include "board/base/clock.h"
#include "board/base/log.h"
#include "board/base/secret.h"
#include "board/config.h"
#include "board/version.h"
#include "hsm/sign.h"
#include "hsm/vault.h"
#include "hsm/worker.h"

CLEANUP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)

enum { SAMPLES_MAX = 1 << 20, TEXT_SIZE = 1024, CONTENT_KEY_SIZE = 32, PIN_MAX = 255, JOB_MS = 600 * 1000 };

/* The operations, in the order in which they are measured. */
static const struct operation {
	const char *name;   /* in the output */
	const char *option; /* for --key */
	enum key_class key_class;
	bool unwrap;
} operations[] = {
	{"ca_sign", "ca:sign", KEY_CA, false},
	{"ra_sign", "ra-sign:sign", KEY_RA_SIGN, false},
	{"ra_unwrap", "ra-decrypt:unwrap", KEY_RA_DECRYPT, true},
	{"audit_sign", "audit:sign", KEY_AUDIT, false},
};

struct options {
	const char *config;
	int seconds;
	int workers; /* 0: as configured */
	bool json;
	bool version;
	unsigned chosen; /* bit n: operations[n]; 0: all */
};

struct speed;

struct task {
	struct hsm_job job;
	struct speed *speed;
};

/* One measurement. */
struct speed {
	const struct operation *operation;
	const struct hsm_key *key;
	struct hsm_workers *workers;
	uint8_t text[TEXT_SIZE]; /* to be signed, or the ciphertext */
	size_t text_len;
	int64_t end_us;
	uint32_t *samples; /* microseconds in the token */
	size_t count;
	struct err err; /* first failure; ends the measurement */
	struct task tasks[2 * HSM_WORKERS_MAX];
};

struct result {
	double per_s;
	double p50_ms;
	double p99_ms;
	double cpu_us;
};

/* ---- measuring --------------------------------------------------------------------------------------------------- */

static void
task_run(struct hsm_job *job)
{
	const struct speed *speed = ((struct task *)(void *)job)->speed;
	struct bytes text = {speed->text, speed->text_len};
	struct hsm_unwrap unwrap = {.padding = UNWRAP_PKCS1, .key_size = CONTENT_KEY_SIZE, .ciphertext = text};
	struct hsm_signature signature;
	uint8_t out[HSM_UNWRAP_MAX];
	bool suspect;
	int code;

	if (speed->operation->unwrap)
		code = hsm_unwrap(speed->key, &unwrap, out, &suspect, &job->err);
	else
		code = hsm_sign(speed->key, DIGEST_SHA256, text, &signature, &job->err);
	if (code != 0)
		err_set(&job->err, code, 0, "%s", err_name(code));
}

static void
task_done(struct hsm_job *job)
{
	struct speed *speed = ((struct task *)(void *)job)->speed;

	if (job->err.code != 0) {
		if (speed->err.code == 0)
			speed->err = job->err;
		return;
	}
	if (speed->count < SAMPLES_MAX)
		speed->samples[speed->count] = (uint32_t)(job->ended_us - job->started_us);
	speed->count++;
	if (speed->err.code == 0 && clock_mono_us() < speed->end_us) {
		int code = hsm_workers_put(speed->workers, job);

		if (code != 0)
			err_set(&speed->err, code, 0, "queue");
	}
}

/* Bytes to sign, or a ciphertext for the key. */
static int
make_text(struct speed *speed, struct err *e)
{
	AUTO(EVP_PKEY_CTX) ctx = NULL;

	if (RAND_bytes(speed->text, sizeof(speed->text)) != 1)
		return err_set_ossl(e, ERR_CRYPTO, "random text");
	speed->text_len = sizeof(speed->text);
	/* Nobody can take this for a certificate, whatever follows. */
	memcpy(speed->text, "chancery-hsmspeed ", strlen("chancery-hsmspeed "));
	if (!speed->operation->unwrap)
		return 0;
	ctx = EVP_PKEY_CTX_new(speed->key->public_key, NULL);
	if (ctx == NULL || EVP_PKEY_encrypt_init(ctx) != 1 ||
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) != 1 ||
	    EVP_PKEY_encrypt(ctx, speed->text, &speed->text_len, (const uint8_t *)"content key of 32 octets, no more",
			     CONTENT_KEY_SIZE) != 1)
		return err_set_ossl(e, ERR_CRYPTO, "encrypting a content key");
	return 0;
}

static int64_t
cpu_us(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) != 0)
		return 0;
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL + usage.ru_utime.tv_usec +
	       usage.ru_stime.tv_usec;
}

static int
compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static double
percentile_ms(const struct speed *speed, unsigned percent)
{
	size_t n = speed->count < SAMPLES_MAX ? speed->count : SAMPLES_MAX;

	size_t at = n == 0 ? 0 : (n - 1) * percent / 100;

	return n == 0 ? 0 : speed->samples[at] / 1000.0;
}

/* Keeps two jobs for each worker on their way, so that none waits for the loop. */
static int
run_loop(struct loop *loop, struct speed *speed, int seconds, struct result *ret_result, struct err *e)
{
	int64_t start_us = clock_mono_us();
	int64_t start_cpu = cpu_us();
	unsigned i;

	speed->end_us = start_us + seconds * 1000000LL;
	for (i = 0; i < 2 * hsm_workers_count(speed->workers); i++) {
		struct task *task = &speed->tasks[i];

		task->speed = speed;
		task->job =
			(struct hsm_job){.run = task_run, .done = task_done, .deadline_ms = clock_mono_ms() + JOB_MS};
		if (hsm_workers_put(speed->workers, &task->job) != 0)
			break;
	}
	while (hsm_workers_open(speed->workers) > 0)
		loop_run_once(loop, 100);
	if (speed->err.code != 0)
		return err_set(e, speed->err.code, speed->err.detail, "%s", speed->err.text);
	qsort(speed->samples, speed->count < SAMPLES_MAX ? speed->count : SAMPLES_MAX, sizeof(uint32_t), compare);
	ret_result->per_s = (double)speed->count * 1e6 / (double)(clock_mono_us() - start_us);
	ret_result->cpu_us = speed->count == 0 ? 0 : (double)(cpu_us() - start_cpu) / (double)speed->count;
	ret_result->p50_ms = percentile_ms(speed, 50);
	ret_result->p99_ms = percentile_ms(speed, 99);
	return 0;
}

static int
measure(struct speed *speed, unsigned workers, int seconds, struct result *ret_result, struct err *e)
{
	AUTO_STRUCT(loop) loop = NULL;
	AUTO_STRUCT(hsm_workers) pool = NULL;
	int code = make_text(speed, e);

	if (code == 0)
		code = loop_new(&loop);
	if (code == 0)
		code = hsm_workers_new(loop, workers, 2 * (size_t)workers, &pool);
	if (code != 0)
		return err_set(e, code, 0, "starting");
	speed->workers = pool;
	return run_loop(loop, speed, seconds, ret_result, e);
}

/* ---- output ------------------------------------------------------------------------------------------------------ */

static void
print_result(const struct options *options, const struct speed *speed, unsigned workers, const struct result *r,
	     bool first)
{
	const char *algorithm = msg_key_alg_name(speed->key->algorithm);

	if (options->json) {
		printf("%s\n  \"%s\": {\"algorithm\": \"%s\", \"workers\": %u, \"per_s\": %.1f, \"p50_ms\": %.3f, "
		       "\"p99_ms\": %.3f, \"cpu_us\": %.0f}",
		       first ? "" : ",", speed->operation->name, algorithm, workers, r->per_s, r->p50_ms, r->p99_ms,
		       r->cpu_us);
	} else {
		if (first)
			printf("%-12s %-9s %7s %10s %9s %9s %9s\n", "operation", "algorithm", "workers", "per second",
			       "p50 ms", "p99 ms", "CPU us");
		printf("%-12s %-9s %7u %10.0f %9.2f %9.2f %9.0f\n", speed->operation->name, algorithm, workers,
		       r->per_s, r->p50_ms, r->p99_ms, r->cpu_us);
	}
	(void)fflush(stdout);
}

static int
measure_all(const struct options *options, const struct hsm_vault *vault, unsigned workers, struct err *e)
{
	static struct speed speed;
	uint32_t *samples = calloc(SAMPLES_MAX, sizeof(*samples));
	bool first = true;
	int code = samples == NULL ? ERR_NOMEM : 0;
	size_t i;

	if (options->json)
		printf("{");
	for (i = 0; code == 0 && i < ARRAY_SIZE(operations); i++) {
		struct result result = {0};

		memset(&speed, 0, sizeof(speed));
		speed.samples = samples;
		speed.operation = &operations[i];
		speed.key = hsm_vault_key(vault, hsm_key_slot(operations[i].key_class, 0));
		if (speed.key == NULL || (options->chosen != 0 && (options->chosen & (1u << i)) == 0))
			continue;
		code = measure(&speed, workers, options->seconds, &result, e);
		if (code == 0)
			print_result(options, &speed, workers, &result, first);
		first = false;
	}
	if (options->json)
		printf("\n}\n");
	free(samples);
	return code;
}

/* ---- start ------------------------------------------------------------------------------------------------------- */

/* Who may read the token's files, and who will: the signer's user. */
static int
become_signer(struct err *e)
{
	const uid_t uid = CONFIG_ROLE_UID_BASE + 2;

	if (geteuid() != 0)
		return 0;
	if (setgroups(0, NULL) != 0 || setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0)
		return err_set(e, ERR_IO, 0, "becoming the signer's user");
	return 0;
}

static int
open_token(const struct config *conf, struct hsm_vault *vault, struct err *e)
{
	AUTO_STRUCT(secret) pin = NULL;
	char environment[sizeof(conf->signer_environment)];
	char *value;
	int code;

	if (conf->signer_pin_file[0] == '\0')
		return err_set(e, ERR_CONFIG, 0, "signer.pin_file is not set");
	code = secret_read_file(conf->signer_pin_file, PIN_MAX, &pin, e);
	if (code == 0)
		code = become_signer(e);
	if (code != 0)
		return code;
	memcpy(environment, conf->signer_environment, sizeof(environment));
	value = strchr(environment, '=');
	if (value != NULL) {
		*value = '\0';
		if (setenv(environment, value + 1, 1) != 0)
			return err_set(e, ERR_NOMEM, 0, "environment");
	}
	code = hsm_vault_open(conf, secret_bytes(pin), false, vault, e);
	return code != 0 ? code : hsm_vault_load_all(vault, KEY_CLASS_COUNT, e);
}

static int
usage(void)
{
	size_t i;

	fprintf(stderr,
		"usage: chancery-hsmspeed [--config FILE] [--seconds N] [--workers N] [--json] [--key CLASS:OP ...]\n"
		"       chancery-hsmspeed --version\n"
		"CLASS:OP is one of");
	for (i = 0; i < ARRAY_SIZE(operations); i++)
		fprintf(stderr, " %s", operations[i].option);
	fprintf(stderr, "\n");
	return 2;
}

/* A number from low to high, or -1. */
static int
number(const char *text, int low, int high)
{
	char *end;
	long value = strtol(text, &end, 10);

	return *text == '\0' || *end != '\0' || value < low || value > high ? -1 : (int)value;
}

static bool
choose(struct options *options, const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(operations); i++) {
		if (strcmp(operations[i].option, name) == 0) {
			options->chosen |= 1u << i;
			return true;
		}
	}
	return false;
}

/* 0, or 2 after the usage was printed. */
static int
parse_options(int argc, char **argv, struct options *options)
{
	static const struct option names[] = {
		{"config", required_argument, NULL, 'c'},
		{"seconds", required_argument, NULL, 's'},
		{"workers", required_argument, NULL, 'w'},
		{"json", no_argument, NULL, 'j'},
		{"key", required_argument, NULL, 'k'},
		{"version", no_argument, NULL, 'v'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
		bool good = true;

		if (option == 'c')
			options->config = optarg;
		else if (option == 's')
			good = (options->seconds = number(optarg, 1, 3600)) > 0;
		else if (option == 'w')
			good = (options->workers = number(optarg, 1, HSM_WORKERS_MAX)) > 0;
		else if (option == 'k')
			good = choose(options, optarg);
		else if (option == 'j')
			options->json = true;
		else if (option == 'v')
			options->version = true;
		else
			good = false;
		if (!good)
			return usage();
	}
	return optind == argc ? 0 : usage();
}

int
main(int argc, char **argv)
{
	struct options options = {.config = CONFIG_PATH, .seconds = 3};
	static struct config conf;
	struct hsm_vault vault = {0};
	struct err e = {0};
	int code;

	log_init("hsmspeed", LOG_LEVEL_ERROR);
	if (parse_options(argc, argv, &options) != 0)
		return 2;
	if (options.version)
		return puts("chancery-hsmspeed " VERSION) < 0;
	code = config_load(options.config, &conf, &e);
	if (code == 0)
		code = open_token(&conf, &vault, &e);
	if (code == 0)
		code = measure_all(&options, &vault,
				   (unsigned)(options.workers > 0 ? options.workers : conf.signer_workers), &e);
	if (code != 0)
		fprintf(stderr, "chancery-hsmspeed: %s: %s\n", err_name(code), e.text);
	(void)fflush(stdout);
	/* The module stays loaded, so none of its clean-up must run (facts, hsm.md 2, 14). */
	_exit(code == 0 ? 0 : 1);
}
