#include "appliance/credential.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "board/base/der.h"
#include "board/base/secret.h"

/* What one calculation may take: four times what the parameters for new passwords need. */
static const uint64_t MEMORY_MAX = 72u << 20;

int
app_credential_check_new(struct bytes password, struct err *e)
{
	struct view v = view_of(password);
	size_t count = 0;
	uint32_t c;

	while (v.left > 0) {
		if (der_text_next(DER_UTF8_STRING, &v, &c) != 0)
			return err_set(e, ERR_FORMAT, 0, "a password is text in UTF-8");
		if (c < 0x20 || c == 0x7f)
			return err_set(e, ERR_FORMAT, 0, "a password has no control characters");
		count++;
	}
	if (count < APP_PASSWORD_MIN)
		return err_set(e, ERR_FORMAT, 0,
			       "a password has at least %d characters: who gets hold of the store can try billions of "
			       "shorter ones; a few words that belong to no sentence are easy to keep in mind",
			       APP_PASSWORD_MIN);
	if (count > APP_PASSWORD_MAX)
		return err_set(e, ERR_FORMAT, 0, "a password has at most %d characters", APP_PASSWORD_MAX);
	return 0;
}

/* The hash of password with the salt and the parameters of the credential. */
static int
calculate(const struct app_credential *credential, struct bytes password, uint8_t hash[APP_PASSWORD_HASH_SIZE],
	  struct err *e)
{
	/* OpenSSL takes NULL for "check the parameters alone". */
	const char *text = password.len > 0 ? (const char *)password.data : "";

	if (credential->n <= 0 || credential->r <= 0 || credential->p <= 0 ||
	    EVP_PBE_scrypt(text, password.len, credential->salt, sizeof(credential->salt), (uint64_t)credential->n,
			   (uint64_t)credential->r, (uint64_t)credential->p, MEMORY_MAX, hash,
			   APP_PASSWORD_HASH_SIZE) != 1)
		return err_set_ossl(e, ERR_CRYPTO, "hashing a password");
	return 0;
}

static struct app_credential
empty(void)
{
	return (struct app_credential){.n = APP_SCRYPT_N, .r = APP_SCRYPT_R, .p = APP_SCRYPT_P};
}

int
app_credential_make(struct bytes password, struct app_credential *ret_credential, struct err *e)
{
	struct app_credential fresh = empty();
	int code;

	if (RAND_bytes(fresh.salt, sizeof(fresh.salt)) != 1)
		return err_set_ossl(e, ERR_CRYPTO, "making a salt");
	code = calculate(&fresh, password, fresh.hash, e);
	if (code == 0)
		*ret_credential = fresh;
	secret_wipe(&fresh, sizeof(fresh));
	return code;
}

int
app_credential_verify(const struct app_credential *credential, struct bytes password, bool *ret_matches, struct err *e)
{
	const struct app_credential nobody = empty();
	uint8_t hash[APP_PASSWORD_HASH_SIZE];
	int code = calculate(credential != NULL ? credential : &nobody, password, hash, e);

	if (code == 0)
		*ret_matches =
			(CRYPTO_memcmp(hash, credential != NULL ? credential->hash : nobody.hash, sizeof(hash)) == 0) &
			(credential != NULL);
	secret_wipe(hash, sizeof(hash));
	return code;
}
