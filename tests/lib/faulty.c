#include "tests/lib/faulty.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "board/base/oid.h"
#include "board/base/x509.h"
#include "hsm/sign.h"
#include "tests/lib/certs.h"
#include "tests/lib/tbs.h"
#include "tests/lib/test.h"

/* Encrypts f->content_key for the token's ra-decrypt. */
static void
encrypt(struct faulty *f)
{
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *ctx;

	memcpy(f->content_key, "0123456789abcdef", sizeof(f->content_key));
	f->ciphertext_len = sizeof(f->ciphertext);
	CHECK_INT(x509_spki_key(buf_bytes(&f->decrypt_spki), &key, NULL), 0);
	ctx = EVP_PKEY_CTX_new(key, NULL);
	CHECK(EVP_PKEY_encrypt_init(ctx) == 1 && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1);
	CHECK(EVP_PKEY_encrypt(ctx, f->ciphertext, &f->ciphertext_len, f->content_key, sizeof(f->content_key)) == 1);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
}

void
faulty_make(struct faulty *f)
{
	struct bytes name = certs_name("Faulty Token CA");
	struct signer_rig rig;

	memset(f, 0, sizeof(*f));
	buf_init(&f->sign_spki, 2048);
	buf_init(&f->decrypt_spki, 2048);
	buf_init(&f->attributes, 4096);
	tbs_attributes_put(&f->attributes, true);
	token_make(&f->token, NULL, NULL, NULL);
	mock_make(&f->mock, &f->token);
	token_give(&f->token, CONFIG_ROLE_UID_BASE + 2);
	signer_rig_init(&rig, &f->token, FAULTY_LABEL, FAULTY_PIN);
	rig.owner = ROLE_PROVISION;
	rig.so_pin = FAULTY_SO_PIN;
	CHECK(signer_rig_start(&rig));
	CHECK_INT(signer_token_init(&rig, FAULTY_LABEL), 0);
	CHECK_INT(signer_generate(&rig, KEY_CA, KEY_ALG_P256, NULL), 0);
	CHECK_INT(signer_generate(&rig, KEY_RA_SIGN, KEY_ALG_P256, &f->sign_spki), 0);
	CHECK_INT(signer_generate(&rig, KEY_RA_DECRYPT, KEY_ALG_RSA2048, &f->decrypt_spki), 0);
	CHECK_INT(signer_generate(&rig, KEY_AUDIT, KEY_ALG_P256, NULL), 0);
	f->root = signer_make_root(&rig, KEY_ALG_P256, name);
	CHECK_INT(signer_rig_stop(&rig), 0);
	signer_rig_fini(&rig);
	free((void *)name.data);
	encrypt(f);
}

void
faulty_free(struct faulty *f)
{
	buf_fini(&f->sign_spki);
	buf_fini(&f->decrypt_spki);
	buf_fini(&f->attributes);
	free((void *)f->root.data);
	token_remove(&f->token);
}

void
faulty_rig(struct faulty *f, struct signer_rig *rig)
{
	signer_rig_init(rig, &f->token, FAULTY_LABEL, FAULTY_PIN);
	rig->ca_certificate = bytes_dup(f->root);
	mock_use(&f->mock, rig);
}

int
faulty_sign(struct faulty *f, struct signer_rig *rig)
{
	EVP_PKEY *key = NULL;
	AUTO_BUF algorithm;
	AUTO_BUF signature;
	int code;

	if (rig->front == NULL)
		return ERR_CLOSED;
	buf_init(&algorithm, 100);
	buf_init(&signature, 1024);
	code = signer_sign(rig, rig->front, KEY_RA_SIGN, DIGEST_SHA256, buf_bytes(&f->attributes), &algorithm,
			   &signature);
	if (code != 0)
		return code;
	CHECK_INT(x509_spki_key(buf_bytes(&f->sign_spki), &key, NULL), 0);
	CHECK_INT(x509_verify(key, buf_bytes(&algorithm), buf_bytes(&f->attributes), buf_bytes(&signature), NULL), 0);
	EVP_PKEY_free(key);
	return 0;
}

int
faulty_unwrap(struct faulty *f, struct signer_rig *rig, bool *ret_ours)
{
	AUTO_BUF key;
	int code;

	*ret_ours = false;
	if (rig->front == NULL)
		return ERR_CLOSED;
	buf_init(&key, 64);
	code = signer_unwrap(rig, UNWRAP_PKCS1, sizeof(f->content_key),
			     (struct bytes){f->ciphertext, f->ciphertext_len}, &key);
	*ret_ours = code == 0 && memcmp(key.data, f->content_key, sizeof(f->content_key)) == 0;
	return code;
}

static void
start_if_ended(struct signer_rig *rig)
{
	if (rig->spawn != NULL && spawn_running(rig->spawn))
		return;
	(void)signer_rig_stop(rig);
	if (!signer_rig_start(rig))
		fail_msg("the signer does not start: %s", rig->trouble_text);
}

void
faulty_recovers(struct faulty *f, struct signer_rig *rig)
{
	bool ours;

	start_if_ended(rig);
	/* A fault may have left an operation active in a session, which the next one meets; that is its end, too. */
	if (faulty_sign(f, rig) != 0 || faulty_unwrap(f, rig, &ours) != 0) {
		signer_rig_wait(rig, &rig->exited, 1);
		CHECK_INT(rig->trouble, ERR_TOKEN);
		start_if_ended(rig);
	}
	CHECK_INT(faulty_sign(f, rig), 0);
	CHECK_INT(faulty_unwrap(f, rig, &ours), 0);
	CHECK(ours);
}
