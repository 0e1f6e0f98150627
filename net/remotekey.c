/* A provider for one signature would be ten times this; EC_KEY_METHOD is deprecated, and there in every OpenSSL 3. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "net/remotekey.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdlib.h>

CLEANUP(EVP_PKEY, EVP_PKEY_free)
CLEANUP(EC_KEY, EC_KEY_free)

/* Who signs for a key; hangs on the EC_KEY. */
struct remote {
	net_remotekey_fn sign;
	void *arg;
};

/* Made once for the process. */
static struct {
	pthread_once_t once;
	EC_KEY_METHOD *method;
	int slot; /* of ex_data */
} shared = {.once = PTHREAD_ONCE_INIT, .slot = -1};

static void
remote_free(void *parent, void *remote, CRYPTO_EX_DATA *ad, int slot, long argl, void *argp)
{
	free(remote);
}

static int
sign_der(int type, const unsigned char *hash, int len, unsigned char *signature, unsigned *ret_len, const BIGNUM *kinv,
	 const BIGNUM *r, EC_KEY *key)
{
	const struct remote *remote = EC_KEY_get_ex_data(key, shared.slot);
	size_t size = 0;

	if (remote != NULL && len > 0)
		size = remote->sign((struct bytes){hash, (size_t)len}, signature, remote->arg);
	*ret_len = (unsigned)size;
	return size > 0;
}

static void
make_method(void)
{
	EC_KEY_METHOD *method = EC_KEY_METHOD_new(EC_KEY_OpenSSL());

	shared.slot = EC_KEY_get_ex_new_index(0, NULL, NULL, NULL, remote_free);
	if (method == NULL || shared.slot < 0)
		return;
	EC_KEY_METHOD_set_sign(method, sign_der, NULL, NULL);
	shared.method = method;
}

int
net_remotekey_new(struct bytes spki, net_remotekey_fn sign, void *arg, struct evp_pkey_st **ret_key, struct err *e)
{
	const unsigned char *next = spki.data;
	AUTO(EVP_PKEY) public_key = d2i_PUBKEY(NULL, &next, (long)spki.len);
	AUTO(EVP_PKEY) key = EVP_PKEY_new();
	AUTO(EC_KEY) ec = NULL;
	struct remote *remote;

	if (public_key == NULL || next != spki.data + spki.len)
		return err_set_ossl(e, ERR_FORMAT, "public key of the remote key");
	ec = EVP_PKEY_get1_EC_KEY(public_key);
	if (ec == NULL || EC_GROUP_get_curve_name(EC_KEY_get0_group(ec)) != NID_X9_62_prime256v1)
		return err_set_ossl(e, ERR_ALG, "the remote key is not on P-256");
	pthread_once(&shared.once, make_method);
	remote = calloc(1, sizeof(*remote));
	if (shared.method == NULL || remote == NULL || key == NULL) {
		free(remote);
		return err_set(e, ERR_NOMEM, 0, "remote key");
	}
	*remote = (struct remote){sign, arg};
	if (EC_KEY_set_method(ec, shared.method) != 1 || EC_KEY_set_ex_data(ec, shared.slot, remote) != 1) {
		free(remote);
		return err_set_ossl(e, ERR_CRYPTO, "remote key");
	}
	if (EVP_PKEY_assign_EC_KEY(key, ec) != 1)
		return err_set_ossl(e, ERR_CRYPTO, "remote key");
	(void)TAKE(ec);
	*ret_key = TAKE(key);
	return 0;
}
