#include "tests/load/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/pem.h>

#include "tests/load/parallel.h"

struct making {
	struct scepmsg_client *clients;
	int bits;
};

EVP_PKEY *
keys_p256(void)
{
	return EVP_EC_gen("P-256");
}

static int
make_one(void *arg, size_t i)
{
	struct making *m = arg;

	return scepmsg_client_new(m->bits, &m->clients[i]) == 0 ? 0 : ERR_CRYPTO;
}

/* As many keys of the file as fit; a file that is not there has none. */
static int
read_file(const char *path, struct making *m, size_t count, size_t *ret_read, struct err *e)
{
	FILE *f = fopen(path, "r");
	EVP_PKEY *key;
	size_t n = 0;

	*ret_read = 0;
	if (f == NULL)
		return errno == ENOENT ? 0 : err_set(e, ERR_IO, (uint32_t)errno, "%s: %s", path, strerror(errno));
	while (n < count && (key = PEM_read_PrivateKey(f, NULL, NULL, NULL)) != NULL) {
		if (!EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_get_bits(key) != m->bits ||
		    scepmsg_client_of(key, &m->clients[n]) != 0)
			EVP_PKEY_free(key);
		else
			n++;
	}
	(void)fclose(f);
	*ret_read = n;
	return 0;
}

static int
add_to_file(const char *path, const struct making *m, size_t from, size_t count, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	FILE *f = fd >= 0 ? fdopen(fd, "a") : NULL;
	bool good = f != NULL;

	for (size_t i = from; good && i < count; i++)
		good = PEM_write_PKCS8PrivateKey(f, m->clients[i].key, NULL, NULL, 0, NULL, NULL) == 1;
	if (f != NULL)
		good = fclose(f) == 0 && good;
	else if (fd >= 0)
		(void)close(fd);
	return good ? 0 : err_set(e, ERR_IO, (uint32_t)errno, "%s: %s", path, strerror(errno));
}

int
keys_get(size_t count, int bits, const char *file, struct scepmsg_client **ret_clients, struct err *e)
{
	struct making all = {calloc(count, sizeof(*all.clients)), bits};
	struct making rest;
	size_t have = 0;
	int status = 0;

	if (all.clients == NULL)
		return err_set(e, ERR_NOMEM, 0, "keys");
	if (file != NULL)
		status = read_file(file, &all, count, &have, e);
	if (status == 0 && have < count) {
		rest = (struct making){all.clients + have, bits};
		status = parallel_run(make_one, &rest, count - have);
		if (status != 0)
			status = err_set(e, status, 0, "keys cannot be made");
		else if (file != NULL)
			status = add_to_file(file, &all, have, count, e);
	}
	if (status == 0) {
		*ret_clients = all.clients;
		return 0;
	}
	for (size_t i = 0; i < count; i++)
		scepmsg_client_fini(&all.clients[i]);
	free(all.clients);
	return status;
}
