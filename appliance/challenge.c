#include "appliance/challenge.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "board/base/file.h"
#include "board/base/log.h"

/* The key file is one line of hexadecimal digits, so that every tool copies it unharmed; the digits are the key. */
enum { KEY_BYTES = 32, KEY_DIGITS = 2 * KEY_BYTES };

/* Random upper-case hexadecimal digits. */
static int
new_digits(size_t digits, struct secret **ret_secret)
{
	static const char alphabet[] = "0123456789ABCDEF";
	AUTO_STRUCT(secret) secret = NULL;
	uint8_t *data;
	int code;

	code = secret_new(NULL, digits, &secret);
	if (code < 0)
		return code;
	data = secret_data(secret);
	if (RAND_priv_bytes(data, (int)digits) != 1)
		return ERR_CRYPTO;
	/* 16 divides 256, so each digit is as likely as any other. */
	for (size_t i = 0; i < digits; i++)
		data[i] = (uint8_t)alphabet[data[i] & 15];
	*ret_secret = TAKE(secret);
	return 0;
}

static int
make_key(const char *path, struct err *e)
{
	AUTO_STRUCT(secret) key = NULL;
	AUTO_BUF line;
	int code;

	buf_init(&line, KEY_DIGITS + 1);
	code = new_digits(KEY_DIGITS, &key);
	if (code < 0)
		return err_set(e, code, 0, "making the key of challenges");
	buf_put_raw(&line, secret_bytes(key).data, secret_bytes(key).len);
	buf_put_u8(&line, '\n');
	code = buf_status(&line);
	if (code < 0)
		return err_set(e, code, 0, "making the key of challenges");
	code = file_replace(path, 0600, buf_bytes(&line), e);
	if (code == 0)
		log_event(CHALLENGE_KEY_MADE, log_text(path));
	return code;
}

int
app_challenge_key_open(const char *path, struct secret **ret_key, struct err *e)
{
	AUTO_STRUCT(secret) key = NULL;
	int code = 0;

	if (access(path, F_OK) != 0 && errno == ENOENT)
		code = make_key(path, e);
	if (code == 0)
		code = secret_read_file(path, KEY_DIGITS, &key, e);
	if (code < 0)
		return code;
	if (secret_bytes(key).len != KEY_DIGITS)
		return err_set(e, ERR_IO, 0, "%s does not hold a key of %d digits", path, KEY_DIGITS);
	*ret_key = TAKE(key);
	return 0;
}

int
app_challenge_new(int digits, struct secret **ret_challenge)
{
	return new_digits((size_t)digits, ret_challenge);
}

void
app_challenge_hash(const struct secret *key, struct bytes challenge, uint8_t ret_hash[APP_HASH_SIZE])
{
	struct bytes k = secret_bytes(key);

	/* It cannot fail with a digest that is built in; without it no challenge could be told from another. */
	BUG_ON(HMAC(EVP_sha256(), k.data, (int)k.len, challenge.data, challenge.len, ret_hash, NULL) == NULL);
}
