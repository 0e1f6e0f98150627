/* hsm/signer: the role as a process, with a real token, from the ceremony to the loss of the device. */
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "board/base/clock.h"
#include "board/base/oid.h"
#include "board/base/x509.h"
#include "hsm/sign.h"
#include "hsm/tbs.h"
#include "tests/lib/certs.h"
#include "tests/lib/signer.h"
#include "tests/lib/tbs.h"
#include "tests/lib/test.h"

#define LABEL  "chancery; test/1"
#define PIN    "48151623"
#define SO_PIN "10842342"

/* What the first tests make, for those after them. */
static struct token device;
static struct bytes root;
static struct bytes name;

static uid_t
signer_uid(void)
{
	return CONFIG_ROLE_UID_BASE + 2;
}

/* A signer in service. */
static void
rig_service(struct signer_rig *rig)
{
	signer_rig_init(rig, &device, LABEL, PIN);
	rig->ca_certificate = bytes_dup(root);
}

static void
put_honest(struct buf *tbs, struct bytes spki)
{
	struct bytes subject = certs_name("device");
	struct tbs_plan plan =
		tbs_plan(hsm_sign_algorithm(KEY_ALG_P256, DIGEST_SHA256), name, subject, spki, clock_wall());

	plan.authority_key_id = bytes_of_text("root");
	tbs_put(tbs, &plan);
	free((void *)subject.data);
}

TEST(ceremony_makes_token_keys_and_root)
{
	struct signer_rig rig;
	AUTO_BUF spki;
	AUTO_BUF again;

	buf_init(&spki, 2048);
	buf_init(&again, 2048);
	token_make(&device, NULL, NULL, NULL);
	token_give(&device, signer_uid());
	signer_rig_init(&rig, &device, LABEL, PIN);
	rig.owner = ROLE_PROVISION;
	rig.so_pin = SO_PIN;
	CHECK(signer_rig_start(&rig)); /* without a token */
	CHECK_INT(signer_public_key(&rig, rig.provision, KEY_CA, NULL), ERR_UNKNOWN);
	CHECK_INT(signer_generate(&rig, KEY_CA, KEY_ALG_P256, NULL), ERR_STAGE);
	CHECK_INT(signer_token_init(&rig, LABEL), 0);
	CHECK_INT(signer_token_init(&rig, LABEL), ERR_EXISTS);
	CHECK_INT(signer_generate(&rig, KEY_RA_DECRYPT, KEY_ALG_P256, NULL), ERR_ALG);
	CHECK_INT(signer_generate(&rig, KEY_CA, KEY_ALG_P256, &spki), 0);
	CHECK_INT(signer_generate(&rig, KEY_CA, KEY_ALG_RSA2048, &again), ERR_EXISTS);
	CHECK(bytes_equal(buf_bytes(&spki), buf_bytes(&again)));
	CHECK_INT(signer_generate(&rig, KEY_RA_SIGN, KEY_ALG_RSA2048, NULL), 0);
	CHECK_INT(signer_generate(&rig, KEY_RA_DECRYPT, KEY_ALG_RSA2048, NULL), 0);
	name = certs_name("Signer Test CA");
	root = signer_make_root(&rig, KEY_ALG_P256, name);
	/* RA keys are none of the ceremony's business. */
	CHECK_INT(signer_sign(&rig, rig.provision, KEY_RA_SIGN, DIGEST_SHA256, bytes_of_text("x"), NULL, NULL),
		  ERR_DENIED);
	CHECK_INT(signer_rig_stop(&rig), 0);

	/* The next ceremony finds all that. */
	CHECK(signer_rig_start(&rig));
	buf_clear(&again);
	CHECK_INT(signer_public_key(&rig, rig.provision, KEY_CA, &again), 0);
	CHECK(bytes_equal(buf_bytes(&spki), buf_bytes(&again)));
	CHECK_INT(signer_token_init(&rig, LABEL), ERR_EXISTS);
	CHECK_INT(signer_rig_stop(&rig), 0);
	signer_rig_fini(&rig);
}

TEST(service_signs_certificates_crls_and_messages)
{
	EVP_PKEY *client = certs_ec("P-256");
	struct bytes client_spki = certs_spki(client);
	EVP_PKEY *key = NULL;
	struct signer_rig rig;
	struct crl_plan crl = {.version = 1, .this_update = clock_wall(), .next_update = clock_wall() + 3600};
	struct x509 ca;
	AUTO_BUF data;
	AUTO_BUF algorithm;
	AUTO_BUF signature;

	buf_init(&data, 100000);
	buf_init(&algorithm, 100);
	buf_init(&signature, 1000);
	rig_service(&rig);
	CHECK(signer_rig_start(&rig));
	CHECK_INT(x509_parse(root, &ca, NULL), 0);
	CHECK_INT(x509_spki_key(ca.tbs.spki, &key, NULL), 0);
	CHECK_INT(x509_verify(key, ca.algorithm, ca.tbs.whole, ca.signature, NULL), 0);

	put_honest(&data, client_spki);
	CHECK_INT(signer_sign(&rig, rig.authority, KEY_CA, DIGEST_SHA256, buf_bytes(&data), &algorithm, &signature), 0);
	CHECK_INT(x509_verify(key, buf_bytes(&algorithm), buf_bytes(&data), buf_bytes(&signature), NULL), 0);
	CHECK_INT(signer_sign(&rig, rig.front, KEY_CA, DIGEST_SHA256, buf_bytes(&data), NULL, NULL), ERR_DENIED);
	CHECK_INT(signer_sign(&rig, rig.authority, KEY_CA, DIGEST_SHA1, buf_bytes(&data), NULL, NULL), ERR_ALG);
	CHECK_INT(signer_sign(&rig, rig.authority, KEY_CA, DIGEST_SHA384, buf_bytes(&data), NULL, NULL), ERR_DENIED);

	buf_clear(&data);
	buf_clear(&algorithm);
	buf_clear(&signature);
	crl.issuer = name;
	crl.algorithm = ca.algorithm;
	tbs_crl_put(&data, &crl);
	CHECK_INT(signer_sign(&rig, rig.authority, KEY_CRL, DIGEST_SHA256, buf_bytes(&data), &algorithm, &signature),
		  0);
	CHECK_INT(x509_verify(key, buf_bytes(&algorithm), buf_bytes(&data), buf_bytes(&signature), NULL), 0);
	buf_clear(&data);
	while (data.len <= 65536)
		buf_put_raw(&data, HSM_TBS_AUDIT_PREFIX, sizeof(HSM_TBS_AUDIT_PREFIX) - 1);
	CHECK_INT(signer_sign(&rig, rig.authority, KEY_AUDIT, DIGEST_SHA256, buf_bytes(&data), NULL, NULL), ERR_LIMIT);
	CHECK_INT(signer_sign(&rig, rig.authority, KEY_AUDIT, DIGEST_SHA256, bytes_of_text(HSM_TBS_AUDIT_PREFIX), NULL,
			      NULL),
		  ERR_UNKNOWN);

	EVP_PKEY_free(key);
	key = NULL;
	buf_clear(&data);
	CHECK_INT(signer_public_key(&rig, rig.front, KEY_RA_SIGN, &data), 0);
	CHECK_INT(x509_spki_key(buf_bytes(&data), &key, NULL), 0);
	buf_clear(&data);
	buf_clear(&algorithm);
	buf_clear(&signature);
	tbs_attributes_put(&data, true);
	CHECK_INT(signer_sign(&rig, rig.front, KEY_RA_SIGN, DIGEST_SHA512, buf_bytes(&data), &algorithm, &signature),
		  0);
	CHECK_INT(x509_verify(key, buf_bytes(&algorithm), buf_bytes(&data), buf_bytes(&signature), NULL), 0);
	CHECK_INT(signer_sign(&rig, rig.front, KEY_RA_SIGN, DIGEST_SHA1, buf_bytes(&data), NULL, NULL), 0);
	CHECK_INT(signer_sign(&rig, rig.authority, KEY_RA_SIGN, DIGEST_SHA256, buf_bytes(&data), NULL, NULL),
		  ERR_DENIED);

	CHECK_INT(signer_rig_stop(&rig), 0);
	signer_rig_fini(&rig);
	EVP_PKEY_free(key);
	EVP_PKEY_free(client);
	free((void *)client_spki.data);
}

/* A certificate of the generation that has this subjectKeyIdentifier, signed by the key of the one that rig asks. */
static int
sign_device(struct signer_rig *rig, const char *key_id, struct bytes spki)
{
	struct bytes subject = certs_name("device");
	struct tbs_plan plan =
		tbs_plan(hsm_sign_algorithm(KEY_ALG_P256, DIGEST_SHA256), name, subject, spki, clock_wall());
	AUTO_BUF tbs;
	int code;

	buf_init(&tbs, 4096);
	plan.authority_key_id = bytes_of_text(key_id);
	tbs_put(&tbs, &plan);
	code = signer_sign(rig, rig->authority, KEY_CA, DIGEST_SHA256, buf_bytes(&tbs), NULL, NULL);
	free((void *)subject.data);
	return code;
}

TEST(each_generation_signs_for_its_own_certificate)
{
	struct bytes device_spki = certs_spki(certs_rsa());
	struct bytes next = {NULL, 0};
	struct signer_rig rig;
	AUTO_BUF first;
	AUTO_BUF second;

	buf_init(&first, 2048);
	buf_init(&second, 2048);
	signer_rig_init(&rig, &device, LABEL, PIN);
	rig.owner = ROLE_PROVISION;
	CHECK(signer_rig_start(&rig));
	CHECK_INT(signer_public_key(&rig, rig.provision, KEY_CA, &first), 0);
	rig.generation = 1;
	CHECK_INT(signer_public_key(&rig, rig.provision, KEY_CA, NULL), ERR_UNKNOWN);
	CHECK_INT(signer_generate(&rig, KEY_CA, KEY_ALG_P256, &second), 0);
	CHECK(!bytes_equal(buf_bytes(&first), buf_bytes(&second)));
	next = signer_make_root(&rig, KEY_ALG_P256, name);
	CHECK_INT(signer_rig_stop(&rig), 0);
	/* A second look at an unfinished preparation finds the same key. */
	CHECK(signer_rig_start(&rig));
	buf_clear(&first);
	CHECK_INT(signer_generate(&rig, KEY_CA, KEY_ALG_P256, &first), ERR_EXISTS);
	CHECK(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
	CHECK_INT(signer_rig_stop(&rig), 0);
	signer_rig_fini(&rig);

	/* Without its certificate the key is not even loaded. */
	rig_service(&rig);
	CHECK(signer_rig_start(&rig));
	rig.generation = 1;
	CHECK_INT(signer_public_key(&rig, rig.authority, KEY_CA, NULL), ERR_UNKNOWN);
	CHECK_INT(signer_rig_stop(&rig), 0);
	rig.ca_next = next;
	CHECK(signer_rig_start(&rig));
	CHECK_INT(signer_public_key(&rig, rig.authority, KEY_CA, NULL), 0);
	CHECK_INT(sign_device(&rig, "next root", device_spki), 0);
	CHECK_INT(sign_device(&rig, "root", device_spki), ERR_DENIED);
	CHECK_INT(sign_device(&rig, "next root", buf_bytes(&first)), ERR_DENIED); /* a CA's own key */
	rig.generation = 0;
	CHECK_INT(sign_device(&rig, "root", device_spki), 0);
	CHECK_INT(sign_device(&rig, "next root", device_spki), ERR_DENIED);
	CHECK_INT(sign_device(&rig, "root", buf_bytes(&second)), ERR_DENIED); /* nor the other's */
	CHECK_INT(signer_rig_stop(&rig), 0);
	signer_rig_fini(&rig);
	free((void *)device_spki.data);
}

TEST(status_tells_token_and_counts)
{
	struct msg_token_status question = {0};
	struct signer_answer answer = {0};
	struct msg_token_state got;
	struct signer_rig rig;

	rig_service(&rig);
	CHECK(signer_rig_start(&rig));
	CHECK_INT(signer_sign(&rig, rig.authority, KEY_CA, DIGEST_SHA256, bytes_of_text("junk"), NULL, NULL),
		  ERR_FORMAT);
	CHECK_INT(msg_token_status_call(rig.authority, &question, 10000, signer_keep, &answer), 0);
	signer_rig_wait(&rig, &answer.done, 1);
	CHECK_INT(answer.type, MSG_TOKEN_STATE);
	CHECK_INT(msg_token_state_get(buf_bytes(&answer.body), &got), 0);
	CHECK(got.usable);
	CHECK_TEXT(got.label, LABEL);
	CHECK_TEXT(got.model, "SoftHSM v2");
	CHECK_INT(got.workers, rig.conf.signer_workers);
	CHECK_INT(got.jobs_failed, 1);
	buf_fini(&answer.body);
	CHECK_INT(signer_rig_stop(&rig), 0);
	signer_rig_fini(&rig);
}

TEST(every_request_of_a_flood_is_answered_once)
{
	enum { FLOOD = 600 };
	static struct signer_answer answers[FLOOD];
	struct signer_rig rig;
	unsigned ok = 0;
	unsigned busy = 0;
	AUTO_BUF data;
	size_t i;

	buf_init(&data, 4096);
	tbs_attributes_put(&data, true);
	rig_service(&rig);
	rig.conf.signer_queue = 16;
	CHECK(signer_rig_start(&rig));
	for (i = 0; i < FLOOD; i++) {
		struct msg_sign m = {.key_class = KEY_RA_SIGN, .digest = DIGEST_SHA256, .data = buf_bytes(&data)};

		CHECK_INT(msg_sign_call(rig.front, &m, 30000, signer_keep, &answers[i]), 0);
	}
	for (i = 0; i < FLOOD; i++) {
		struct msg_signature got;

		signer_rig_wait(&rig, &answers[i].done, 1);
		CHECK_INT(answers[i].code, 0);
		CHECK_INT(msg_signature_get(buf_bytes(&answers[i].body), &got), 0);
		CHECK(got.code == 0 || got.code == ERR_BUSY);
		ok += got.code == 0;
		busy += got.code == ERR_BUSY;
		buf_fini(&answers[i].body);
	}
	CHECK(ok >= 16);
	CHECK(busy > 0); /* a full queue refuses at once */
	CHECK_INT(signer_rig_stop(&rig), 0);
	signer_rig_fini(&rig);
}

/* A key of our own, encrypted for the token's ra-decrypt. */
static void
encrypt_for(struct bytes spki, const uint8_t *secret, size_t len, uint8_t *out, size_t *out_len)
{
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *ctx;

	CHECK_INT(x509_spki_key(spki, &key, NULL), 0);
	ctx = EVP_PKEY_CTX_new(key, NULL);
	CHECK(EVP_PKEY_encrypt_init(ctx) == 1 && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1);
	CHECK(EVP_PKEY_encrypt(ctx, out, out_len, secret, len) == 1);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
}

TEST(front_gets_content_keys_unwrapped)
{
	static const uint8_t secret[] = "0123456789abcdef";
	uint8_t ciphertext[512];
	size_t len = sizeof(ciphertext);
	struct signer_rig rig;
	AUTO_BUF spki;
	AUTO_BUF key;

	buf_init(&spki, 2048);
	buf_init(&key, 64);
	rig_service(&rig);
	CHECK(signer_rig_start(&rig));
	CHECK_INT(signer_public_key(&rig, rig.front, KEY_RA_DECRYPT, &spki), 0);
	encrypt_for(buf_bytes(&spki), secret, 16, ciphertext, &len);
	CHECK_INT(signer_unwrap(&rig, UNWRAP_PKCS1, 16, (struct bytes){ciphertext, len}, &key), 0);
	CHECK_BYTES(buf_bytes(&key), secret, 16);
	buf_clear(&key);
	CHECK_INT(signer_unwrap(&rig, UNWRAP_PKCS1, 32, (struct bytes){ciphertext, len}, &key), 0);
	CHECK(memcmp(key.data, secret, 16) != 0);
	CHECK_INT(signer_unwrap(&rig, UNWRAP_PKCS1, 16, (struct bytes){ciphertext, 0}, &key), 0);
	CHECK_INT(signer_rig_stop(&rig), 0);
	signer_rig_fini(&rig);
}

/* ---- PIN and attributes ------------------------------------------------------------------------------------------ */

TEST(wrong_pin_is_tried_and_told_without_the_pin)
{
	struct signer_rig rig;

	rig_service(&rig);
	rig.pin = "wrong pin";
	CHECK(!signer_rig_start(&rig));
	CHECK_INT(rig.trouble, ERR_PIN);
	CHECK(strstr(rig.trouble_text, "CKR_PIN_INCORRECT") != NULL);
	CHECK(strstr(rig.trouble_text, rig.pin) == NULL);
	CHECK(WIFEXITED(rig.wait_status) && WEXITSTATUS(rig.wait_status) == 1);
	(void)signer_rig_stop(&rig);

	/* The right one resets the token's count. */
	rig.pin = PIN;
	CHECK(signer_rig_start(&rig));
	CHECK_INT(signer_rig_stop(&rig), 0);
	rig.pin = NULL;
	CHECK(!signer_rig_start(&rig));
	CHECK_INT(rig.trouble, ERR_PIN);
	signer_rig_fini(&rig);
}

/* How often the trace in path shows a call of C_Login, and how often it failed. */
static void
count_logins(const char *path, unsigned *calls, unsigned *failures)
{
	FILE *f = fopen(path, "re");
	bool login = false;
	char line[500];

	CHECK(f != NULL);
	*calls = 0;
	*failures = 0;
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strstr(line, ": C_") != NULL)
			login = strstr(line, ": C_Login") != NULL;
		*calls += login && strstr(line, ": C_Login") != NULL;
		*failures += login && strstr(line, "CKR_PIN_INCORRECT") != NULL;
	}
	fclose(f);
}

/* OpenSC's tracing module stands between signer and token and writes down what the engine calls, too. */
TEST(one_login_attempt_is_made)
{
	static const char spy[] = "/usr/lib/x86_64-linux-gnu/pkcs11/pkcs11-spy.so";
	struct signer_rig rig;
	char trace[200];
	char output[250];
	unsigned calls;
	unsigned failures;

	if (access(spy, R_OK) != 0)
		SKIP("there is no pkcs11-spy (package opensc)");
	snprintf(trace, sizeof(trace), "%s/trace", device.folder);
	snprintf(output, sizeof(output), "PKCS11SPY_OUTPUT=%s", trace);
	rig_service(&rig);
	snprintf(rig.conf.signer_module, sizeof(rig.conf.signer_module), "%s", spy);
	rig.more_environment[0] = "PKCS11SPY=" TOKEN_MODULE;
	rig.more_environment[1] = output;
	rig.pin = "wrong pin";
	CHECK(!signer_rig_start(&rig));
	CHECK_INT(rig.trouble, ERR_PIN);
	(void)signer_rig_stop(&rig);
	count_logins(trace, &calls, &failures);
	CHECK_INT(calls, 1);
	CHECK_INT(failures, 1);
	/* With the right PIN the engine logs in again, which the token answers without looking at the PIN. */
	rig.pin = PIN;
	CHECK(signer_rig_start(&rig));
	CHECK_INT(signer_rig_stop(&rig), 0);
	count_logins(trace, &calls, &failures);
	CHECK_INT(failures, 1);
	signer_rig_fini(&rig);
}

/* Runs pkcs11-tool on the device, as a careless operator would. */
static void
operate(const char *const *more)
{
	const char *words[24] = {"pkcs11-tool", "--module", TOKEN_MODULE, "--token-label",
				 LABEL,         "--login",  "--pin",      PIN};
	size_t n = 8;

	for (; *more != NULL; more++)
		words[n++] = *more;
	words[n] = NULL;
	CHECK_INT(token_run(words), 0);
	token_give(&device, signer_uid());
}

TEST(extractable_key_is_refused_by_name)
{
	const char *make[] = {"--keypairgen",   "--key-type",   "EC:prime256v1", "--label",
			      "chancery-audit", "--usage-sign", "--extractable", NULL};
	const char *remove_private[] = {"--delete-object", "--type", "privkey", "--label", "chancery-audit", NULL};
	struct signer_rig rig;

	operate(make);
	rig_service(&rig);
	CHECK(!signer_rig_start(&rig));
	CHECK_INT(rig.trouble, ERR_TOKEN);
	CHECK(strstr(rig.trouble_text, "chancery-audit") != NULL);
	CHECK(strstr(rig.trouble_text, "EXTRACTABLE") != NULL);
	(void)signer_rig_stop(&rig);
	operate(remove_private);
	/* The public half that is left harms nobody, and the next ceremony replaces it. */
	CHECK(signer_rig_start(&rig));
	CHECK_INT(signer_public_key(&rig, rig.authority, KEY_AUDIT, NULL), ERR_UNKNOWN);
	CHECK_INT(signer_rig_stop(&rig), 0);
	signer_rig_fini(&rig);

	signer_rig_init(&rig, &device, LABEL, PIN);
	rig.owner = ROLE_PROVISION;
	CHECK(signer_rig_start(&rig));
	CHECK_INT(signer_generate(&rig, KEY_AUDIT, KEY_ALG_P256, NULL), 0);
	CHECK_INT(signer_rig_stop(&rig), 0);
	signer_rig_fini(&rig);
}

TEST(ca_certificate_of_another_key_is_refused)
{
	EVP_PKEY *other = certs_ec("P-256");
	struct signer_rig rig;

	signer_rig_init(&rig, &device, LABEL, PIN);
	rig.ca_certificate = certs_ca(other);
	CHECK(!signer_rig_start(&rig));
	CHECK_INT(rig.trouble, ERR_CONFIG);
	signer_rig_fini(&rig);
	EVP_PKEY_free(other);
}

TEST(service_without_ca_certificate_or_token_is_refused)
{
	struct signer_rig rig;

	signer_rig_init(&rig, &device, LABEL, PIN);
	CHECK(!signer_rig_start(&rig));
	CHECK_INT(rig.trouble, ERR_CONFIG);
	signer_rig_fini(&rig);
	rig_service(&rig);
	snprintf(rig.conf.signer_token, sizeof(rig.conf.signer_token), "no such token");
	CHECK(!signer_rig_start(&rig));
	CHECK_INT(rig.trouble, ERR_TOKEN);
	(void)signer_rig_stop(&rig);
	snprintf(rig.conf.signer_token, sizeof(rig.conf.signer_token), "pkcs11:token=x?pin-value=1234");
	CHECK(!signer_rig_start(&rig));
	CHECK_INT(rig.trouble, ERR_CONFIG);
	(void)signer_rig_stop(&rig);
	snprintf(rig.conf.signer_token, sizeof(rig.conf.signer_token), "pkcs11:token=chancery%%3B%%20test%%2f1");
	CHECK(signer_rig_start(&rig));
	CHECK_INT(signer_rig_stop(&rig), 0);
	signer_rig_fini(&rig);
}

/* ---- chancery-hsmspeed ------------------------------------------------------------------------------------------- */

static void
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

TEST(hsmspeed_measures_the_configured_token)
{
	char program[300];
	char conf[150];
	char pin[150];
	char text[600];
	const char *words[] = {program, "--config", conf,    "--seconds", "1", "--workers",
			       "2",     "--json",   "--key", "ca:sign",   NULL};
	const char *wrong[] = {program, "--config", conf, "--key", "ca:unwrap", NULL};

	(void)token_program("chancery-hsmspeed", program, sizeof(program));
	snprintf(conf, sizeof(conf), "%s/chancery.conf", device.folder);
	snprintf(pin, sizeof(pin), "%s/pin", device.folder);
	snprintf(text, sizeof(text), "signer: { token = \"%s\"; pin_file = \"%s\"; environment = \"%s\"; };\n", LABEL,
		 pin, device.environment);
	write_file(conf, text);
	write_file(pin, PIN "\n");
	CHECK_INT(token_run(wrong), 2);
	CHECK_INT(token_run(words), 0);
}

/* ---- the device goes away ---------------------------------------------------------------------------------------- */

TEST(pulled_token_ends_the_signer_and_a_plugged_one_works_again)
{
	struct signer_rig rig;
	AUTO_BUF data;
	int code;

	buf_init(&data, 4096);
	tbs_attributes_put(&data, true);
	rig_service(&rig);
	rig.again = true;
	CHECK(signer_rig_start(&rig));
	CHECK_INT(signer_sign(&rig, rig.front, KEY_RA_SIGN, DIGEST_SHA256, buf_bytes(&data), NULL, NULL), 0);
	token_pull(&device);
	code = signer_sign(&rig, rig.front, KEY_RA_SIGN, DIGEST_SHA256, buf_bytes(&data), NULL, NULL);
	CHECK_INT(code, ERR_TOKEN);
	signer_rig_wait(&rig, &rig.exited, 1);
	CHECK_INT(rig.trouble, ERR_TOKEN);
	CHECK(WIFEXITED(rig.wait_status) && WEXITSTATUS(rig.wait_status) == 1);
	/* It comes back without the token and gives up again. */
	signer_rig_wait(&rig, &rig.exited, 2);
	CHECK_INT(rig.trouble, ERR_TOKEN);
	CHECK_INT(rig.ready, 1);
	token_plug(&device);
	signer_rig_wait(&rig, &rig.ready, 2);
	CHECK_INT(signer_sign(&rig, rig.front, KEY_RA_SIGN, DIGEST_SHA256, buf_bytes(&data), NULL, NULL), 0);
	CHECK_INT(signer_rig_stop(&rig), 0);
	signer_rig_fini(&rig);
}

TEST(idle_signer_notices_the_loss_by_itself)
{
	struct signer_rig rig;

	rig_service(&rig);
	rig.conf.signer_health_s = 1;
	CHECK(signer_rig_start(&rig));
	token_pull(&device);
	signer_rig_wait(&rig, &rig.exited, 1);
	CHECK_INT(rig.trouble, ERR_TOKEN);
	token_plug(&device);
	signer_rig_fini(&rig);
}

/*
 * Whoever holds this lock stops every signature of SoftHSM, for as long as it likes (facts, hsm.md 7).  A child does,
 * until it is killed.
 */
static pid_t
lock_token(void)
{
	char pattern[200];
	glob_t found;
	int ready[2];
	pid_t child;
	char c = 0;

	snprintf(pattern, sizeof(pattern), "%s/tokens/*/generation", device.folder);
	CHECK_INT(glob(pattern, 0, NULL, &found), 0);
	CHECK(found.gl_pathc > 0 && pipe(ready) == 0);
	child = fork();
	if (child == 0) {
		struct flock lock = {.l_type = F_WRLCK};
		size_t i;

		for (i = 0; i < found.gl_pathc; i++) {
			if (fcntl(open(found.gl_pathv[i], O_RDWR | O_CLOEXEC), F_SETLK, &lock) != 0)
				_exit(1);
		}
		if (write(ready[1], "1", 1) == 1)
			(void)sleep(60);
		_exit(0);
	}
	CHECK(child > 0 && read(ready[0], &c, 1) == 1);
	close(ready[0]);
	close(ready[1]);
	globfree(&found);
	return child;
}

TEST(hung_module_is_noticed_and_open_requests_are_answered)
{
	enum { OPEN = 5 };
	static struct signer_answer answers[OPEN];
	struct signer_rig rig;
	struct msg_signature got;
	AUTO_BUF data;
	pid_t lock;
	size_t i;

	buf_init(&data, 4096);
	tbs_attributes_put(&data, true);
	rig_service(&rig);
	rig.conf.signer_hang_ms = 500;
	CHECK(signer_rig_start(&rig));
	lock = lock_token();
	for (i = 0; i < OPEN; i++) {
		struct msg_sign m = {.key_class = KEY_RA_SIGN, .digest = DIGEST_SHA256, .data = buf_bytes(&data)};

		CHECK_INT(msg_sign_call(rig.front, &m, 30000, signer_keep, &answers[i]), 0);
	}
	for (i = 0; i < OPEN; i++) {
		signer_rig_wait(&rig, &answers[i].done, 1);
		CHECK_INT(answers[i].code, 0);
		CHECK_INT(msg_signature_get(buf_bytes(&answers[i].body), &got), 0);
		CHECK_INT(got.code, ERR_TOKEN);
		buf_fini(&answers[i].body);
	}
	signer_rig_wait(&rig, &rig.exited, 1);
	CHECK_INT(rig.trouble, ERR_TOKEN);
	CHECK(strstr(rig.trouble_text, "hangs") != NULL);
	CHECK(kill(lock, SIGKILL) == 0 && waitpid(lock, NULL, 0) == lock);
	signer_rig_fini(&rig);
}

static int
clean_up(void **state)
{
	token_remove(&device);
	free((void *)root.data);
	free((void *)name.data);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest list[] = {
		RUN(ceremony_makes_token_keys_and_root),
		RUN(service_signs_certificates_crls_and_messages),
		RUN(each_generation_signs_for_its_own_certificate),
		RUN(status_tells_token_and_counts),
		RUN(every_request_of_a_flood_is_answered_once),
		RUN(front_gets_content_keys_unwrapped),
		RUN(wrong_pin_is_tried_and_told_without_the_pin),
		RUN(one_login_attempt_is_made),
		RUN(extractable_key_is_refused_by_name),
		RUN(ca_certificate_of_another_key_is_refused),
		RUN(service_without_ca_certificate_or_token_is_refused),
		RUN(hsmspeed_measures_the_configured_token),
		RUN(pulled_token_ends_the_signer_and_a_plugged_one_works_again),
		RUN(idle_signer_notices_the_loss_by_itself),
		RUN(hung_module_is_noticed_and_open_requests_are_answered),
	};
	int failed = cmocka_run_group_tests(list, NULL, clean_up);

	return test_finish((int)ARRAY_SIZE(list), failed);
}
