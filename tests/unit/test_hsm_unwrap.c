/* hsm/sign: a bad ciphertext is answered like a good one, whatever is wrong with it. */
#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include "hsm/selftest.h"
#include "hsm/sign.h"
#include "hsm/vault.h"
#include "tests/lib/test.h"
#include "tests/lib/token.h"

#define LABEL "unwrap"
#define PIN   "271828"

enum { SIZE = 256 }; /* octets of RSA-2048 */

static struct token device;
static struct hsm_vault vault;
static struct hsm_key *key; /* the vault's, with raw_rsa to be switched */

static const uint8_t secret[32] = "thirty-two octets of content key";

static int
open_vault(void **state)
{
	struct config conf;
	struct err e = {0};

	token_make(&device, LABEL, PIN, "31415926");
	config_default(&conf);
	snprintf(conf.signer_module, sizeof(conf.signer_module), "%s", TOKEN_MODULE);
	snprintf(conf.signer_token, sizeof(conf.signer_token), "%s", LABEL);
	CHECK_INT(hsm_vault_open(&conf, bytes_of_text(PIN), true, &vault, &e), 0);
	CHECK_INT(hsm_key_generate(vault.token, KEY_RA_DECRYPT, KEY_ALG_RSA2048, &e), 0);
	CHECK_INT(hsm_vault_load(&vault, KEY_RA_DECRYPT, &e), 0);
	key = vault.keys[KEY_RA_DECRYPT];
	return 0;
}

static int
close_vault(void **state)
{
	hsm_vault_fini(&vault);
	token_remove(&device);
	return 0;
}

/* RSA of a block with any padding, done with the public key; md and label are OAEP's. */
static size_t
encrypt(int padding, const char *md, const char *mgf, const char *label, const uint8_t *block, size_t len, uint8_t *out)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key->public_key, NULL);
	size_t out_len = HSM_KEY_RSA_MAX;

	CHECK(EVP_PKEY_encrypt_init(ctx) == 1 && EVP_PKEY_CTX_set_rsa_padding(ctx, padding) == 1);
	if (md != NULL) {
		CHECK(EVP_PKEY_CTX_set_rsa_oaep_md_name(ctx, md, NULL) == 1);
		CHECK(EVP_PKEY_CTX_set_rsa_mgf1_md_name(ctx, mgf, NULL) == 1);
	}
	if (label != NULL)
		CHECK(EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, OPENSSL_strdup(label), (int)strlen(label)) == 1);
	CHECK(EVP_PKEY_encrypt(ctx, out, &out_len, block, len) == 1);
	EVP_PKEY_CTX_free(ctx);
	return out_len;
}

/* One unwrap that must be answered; true when the answer is the secret.  *suspect may be NULL. */
static bool
unwrap(const struct hsm_unwrap *request, bool *suspect)
{
	uint8_t out[HSM_UNWRAP_MAX];
	struct err e = {0};
	bool doubt = false;

	CHECK_INT(hsm_unwrap(key, request, out, &doubt, &e), 0);
	CHECK_INT(e.code, 0);
	if (suspect != NULL)
		*suspect = doubt;
	return memcmp(out, secret, request->key_size < sizeof(secret) ? request->key_size : sizeof(secret)) == 0;
}

static struct hsm_unwrap
pkcs1(size_t key_size, const uint8_t *ciphertext, size_t len)
{
	return (struct hsm_unwrap){
		.padding = UNWRAP_PKCS1, .key_size = key_size, .ciphertext = {.data = ciphertext, .len = len}};
}

/* A good PKCS#1 block for a key of key_size octets. */
static void
good_block(uint8_t *block, size_t key_size)
{
	memset(block, 0x5a, SIZE);
	block[0] = 0;
	block[1] = 2;
	block[SIZE - key_size - 1] = 0;
	memcpy(block + SIZE - key_size, secret, key_size);
}

/* A block with one octet changed must give something random, and each time something else. */
static void
check_bad_octet(size_t at, uint8_t value)
{
	uint8_t ciphertext[HSM_KEY_RSA_MAX];
	uint8_t first[HSM_UNWRAP_MAX];
	uint8_t second[HSM_UNWRAP_MAX];
	uint8_t block[SIZE];
	struct hsm_unwrap request;
	bool suspect;

	good_block(block, 32);
	block[at] = value;
	request = pkcs1(32, ciphertext, encrypt(RSA_NO_PADDING, NULL, NULL, NULL, block, SIZE, ciphertext));
	CHECK(!unwrap(&request, NULL));
	CHECK_INT(hsm_unwrap(key, &request, first, &suspect, NULL), 0);
	CHECK(!key->raw_rsa || !suspect); /* without the token's padding nothing fails at all */
	CHECK_INT(hsm_unwrap(key, &request, second, &suspect, NULL), 0);
	CHECK(memcmp(first, second, 32) != 0);
}

static void
check_pkcs1(void)
{
	static const size_t sizes[] = {8, 16, 24, 32};
	uint8_t ciphertext[HSM_KEY_RSA_MAX + 1] = {0};
	uint8_t block[SIZE];
	struct hsm_unwrap request;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		good_block(block, sizes[i]);
		request =
			pkcs1(sizes[i], ciphertext, encrypt(RSA_NO_PADDING, NULL, NULL, NULL, block, SIZE, ciphertext));
		CHECK(unwrap(&request, NULL));
		/* A key of another length than the cipher needs is a bad one. */
		request.key_size = sizes[i] == 32 ? 16 : sizes[i] + 8;
		CHECK(!unwrap(&request, NULL));
	}
	check_bad_octet(0, 1);
	check_bad_octet(1, 1);
	check_bad_octet(1, 3);
	check_bad_octet(2, 0);
	check_bad_octet(9, 0);
	check_bad_octet(SIZE - 34, 0);
	check_bad_octet(SIZE - 33, 1);

	/* Wrong lengths, zero, one, and numbers that are not below the modulus. */
	(void)encrypt(RSA_PKCS1_PADDING, NULL, NULL, NULL, secret, 32, ciphertext);
	for (i = 0; i <= SIZE + 1; i += i < 3 || i >= SIZE - 2 ? 1 : 50) {
		request = pkcs1(32, ciphertext, i);
		CHECK(unwrap(&request, NULL) == (i == SIZE));
	}
	memset(ciphertext, 0, SIZE);
	request = pkcs1(32, ciphertext, SIZE);
	CHECK(!unwrap(&request, NULL));
	ciphertext[SIZE - 1] = 1;
	CHECK(!unwrap(&request, NULL));
	memcpy(ciphertext, key->modulus, SIZE);
	CHECK(!unwrap(&request, NULL));
	memset(ciphertext, 0xff, SIZE);
	CHECK(!unwrap(&request, NULL));
}

TEST(pkcs1_without_the_tokens_padding)
{
	CHECK(key->raw_rsa); /* SoftHSM has it */
	check_pkcs1();
}

TEST(pkcs1_with_the_tokens_padding)
{
	uint8_t ciphertext[SIZE] = {0};
	struct hsm_unwrap request = pkcs1(32, ciphertext, SIZE);
	uint8_t out[HSM_UNWRAP_MAX];
	bool suspect = false;

	key->raw_rsa = false;
	check_pkcs1();
	/* The token answers a bad padding as it answers a defect of its own, so a probe has to tell. */
	CHECK(!unwrap(&request, &suspect));
	CHECK(suspect);
	/* But not after bad ones alone: whoever sent them would learn that they were bad, by the time it takes. */
	request.ciphertext.len = encrypt(RSA_PKCS1_PADDING, NULL, NULL, NULL, secret, 32, ciphertext);
	suspect = false;
	CHECK(unwrap(&request, &suspect));
	CHECK(suspect);
	request.padding = UNWRAP_OAEP;
	CHECK_INT(hsm_unwrap(key, &request, out, &suspect, NULL), ERR_ALG);
	key->raw_rsa = true;
}

TEST(oaep_with_digests_and_label)
{
	static const struct {
		const char *md;
		const char *mgf;
		enum digest digest;
		enum digest mgf_digest;
		const char *label;
	} cases[] = {
		{"SHA1", "SHA1", DIGEST_SHA1, DIGEST_SHA1, NULL},
		{"SHA256", "SHA1", DIGEST_SHA256, DIGEST_SHA1, NULL},
		{"SHA256", "SHA256", DIGEST_SHA256, DIGEST_SHA256, "a label"},
		{"SHA512", "SHA384", DIGEST_SHA512, DIGEST_SHA384, NULL},
	};
	uint8_t ciphertext[HSM_KEY_RSA_MAX];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct hsm_unwrap request = {.padding = UNWRAP_OAEP, .key_size = 32};
		bool suspect;

		request.digest = cases[i].digest;
		request.mgf_digest = cases[i].mgf_digest;
		if (cases[i].label != NULL)
			request.label = bytes_of_text(cases[i].label);
		request.ciphertext.data = ciphertext;
		request.ciphertext.len = encrypt(RSA_PKCS1_OAEP_PADDING, cases[i].md, cases[i].mgf, cases[i].label,
						 secret, 32, ciphertext);
		CHECK(unwrap(&request, NULL));
		request.label = bytes_of_text("another");
		CHECK(!unwrap(&request, &suspect));
		CHECK(!suspect);
		request.label = bytes_of_text("");
		request.digest = DIGEST_SHA384;
		CHECK(!unwrap(&request, NULL));
		ciphertext[17] ^= 1;
		CHECK(!unwrap(&request, NULL));
	}
}

TEST(nonsense_from_the_front_is_refused)
{
	uint8_t ciphertext[SIZE] = {0};
	struct hsm_unwrap request = pkcs1(7, ciphertext, SIZE);
	uint8_t out[HSM_UNWRAP_MAX];
	bool suspect;

	CHECK_INT(hsm_unwrap(key, &request, out, &suspect, NULL), ERR_FORMAT);
	request.key_size = HSM_UNWRAP_MAX + 1;
	CHECK_INT(hsm_unwrap(key, &request, out, &suspect, NULL), ERR_FORMAT);
	request.key_size = 16;
	request.padding = 7;
	CHECK_INT(hsm_unwrap(key, &request, out, &suspect, NULL), ERR_FORMAT);
	request.padding = UNWRAP_OAEP;
	request.digest = DIGEST_COUNT;
	CHECK_INT(hsm_unwrap(key, &request, out, &suspect, NULL), ERR_ALG);
}

TEST(decryption_key_does_not_sign)
{
	struct hsm_signature signature;

	CHECK_INT(hsm_sign(key, DIGEST_SHA256, bytes_of_text("x"), &signature, NULL), ERR_TOKEN);
	CHECK_INT(hsm_selftest_unwrap(key, UNWRAP_PKCS1, NULL), 0); /* and the session survived that */
}

TEST(lost_token_is_an_error_and_no_random_key)
{
	uint8_t ciphertext[HSM_KEY_RSA_MAX];
	struct hsm_unwrap request;
	uint8_t out[HSM_UNWRAP_MAX];
	struct err e = {0};
	bool suspect;

	request = pkcs1(32, ciphertext, encrypt(RSA_PKCS1_PADDING, NULL, NULL, NULL, secret, 32, ciphertext));
	token_pull(&device);
	CHECK_INT(hsm_unwrap(key, &request, out, &suspect, &e), ERR_TOKEN);
	CHECK(strstr(e.text, "CKR_") != NULL);
	CHECK(hsm_selftest_unwrap(key, UNWRAP_PKCS1, NULL) == ERR_TOKEN);
	token_plug(&device);
}

int
main(void)
{
	const struct CMUnitTest list[] = {
		RUN(pkcs1_without_the_tokens_padding), RUN(pkcs1_with_the_tokens_padding),
		RUN(oaep_with_digests_and_label),      RUN(nonsense_from_the_front_is_refused),
		RUN(decryption_key_does_not_sign),     RUN(lost_token_is_an_error_and_no_random_key),
	};
	int failed = cmocka_run_group_tests(list, open_vault, close_vault);

	return test_finish((int)ARRAY_SIZE(list), failed);
}
