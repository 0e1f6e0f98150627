/*
 * tests/load/prepare - everything that is made before the clock starts
 *
 * Fetches the CA's certificates, makes or reads the devices' keys, enrolls the devices that are to renew, has requests
 * wait that are to be polled for, and makes every message.
 *
 * Threads:  the main thread, which blocks; works on all processors.
 * Owner:    prepare_fini() frees what struct prepared holds.
 */
#ifndef TESTS_LOAD_PREPARE_H
#define TESTS_LOAD_PREPARE_H

#include "tests/load/message.h"
#include "tests/load/mix.h"

/* What devices have certified. */
enum prepare_key { PREPARE_RSA2048, PREPARE_RSA3072, PREPARE_RSA4096, PREPARE_P256 };

struct prepare_options {
	const struct target *target;
	struct mix mix;
	size_t count;
	size_t connections; /* of the run to come; as many requests wait to be polled for, at most */
	enum prepare_key key;
	size_t pool;                    /* device keys; requests take them in turn */
	const char *keys_file;          /* PEM; read, and what is missing is added; NULL: none */
	const char *challenges_file;    /* one for each request, a line each; "-" is standard input; NULL: none */
	const char *challenges_command; /* prints as many as its last argument says; NULL: none */
	const char *shared_file;        /* its first line is everybody's challenge; NULL: none */
	const char *subject;
	const char *get; /* NULL: GetCACaps */
	size_t verify;   /* answers to be kept */
	int timeout_ms;
};

struct device {
	struct scepmsg_client client;
	size_t number;
	char transaction_id[300]; /* of a request that waits */
};

struct prepared {
	struct message_maker maker;
	char get[TARGET_PATH_SIZE + 40];
	X509 *ca;
	X509 *ra_sign;
	X509 *ra_decrypt;
	struct scepmsg_client *clients; /* a key each */
	size_t client_count;
	struct device *devices; /* enrolled, to be renewed */
	size_t device_count;
	struct device *waiting; /* have requests that wait; clients borrowed */
	size_t waiting_count;   /* 0: polls ask for what nobody requested */
	char **challenges;
	size_t challenge_count;
	size_t challenge_next;
	struct job *jobs;
	size_t job_count;
};

/* Does it all.  Fails with ERR_*; e says at what. */
MUST_CHECK int prepare(const struct prepare_options *options, struct prepared *ret_prepared, struct err *e);

/* Frees; challenges are wiped. */
void prepare_fini(struct prepared *p);

#endif
