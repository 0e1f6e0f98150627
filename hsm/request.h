/*
 * hsm/request - one message to the signer, from its bytes to its answer
 *
 * A table says for each type how it is decoded, who is refused at once, what a worker does, and which message answers.
 * hsm/serve.c moves requests between the channels and the workers; nothing here knows of that.
 *
 * Threads:  run in a worker; the other functions in the loop.
 * Owner:    a request owns a copy of what it needs of its message, and its results; hsm_request_fini() wipes both.
 */
#ifndef HSM_REQUEST_H
#define HSM_REQUEST_H

#include "board/base/ipc.h"
#include "board/base/secret.h"
#include "hsm/queue.h"
#include "hsm/sign.h"
#include "hsm/tbs.h"
#include "hsm/vault.h"

/* What requests are judged by and done with.  Constant while workers run, but for the vault at the ceremony. */
struct hsm_domain {
	struct hsm_vault *vault;
	struct hsm_limits limits[CA_GENERATIONS];
	const struct secret *pin; /* both for the ceremony; else NULL */
	const struct secret *so_pin;
	bool ceremony; /* the one worker changes the vault, so that everything that looks at it is a job */
	unsigned workers;
};

struct hsm_request_kind;

struct hsm_request {
	struct hsm_job job;
	const struct hsm_domain *domain;
	const struct hsm_request_kind *kind;
	enum role from;
	uint64_t id;

	/* what was asked */
	enum key_class key_class;
	unsigned generation;
	enum digest digest;
	enum key_alg algorithm;
	char label[33];
	bool too_long;            /* data was longer than the class allows, and not kept */
	struct hsm_unwrap unwrap; /* its bytes point into data */
	struct bytes data;        /* owned */

	/* for TOKEN_STATUS, set by hsm/serve.c */
	uint32_t queued;
	uint64_t jobs_done;
	uint64_t jobs_failed;

	/* what came out */
	struct hsm_signature signature;
	struct bytes signature_algorithm; /* static storage */
	uint8_t key[HSM_UNWRAP_MAX];
	bool suspect; /* see hsm_unwrap() */
	struct buf spki;
	bool usable;
	struct hsm_token_name token;
};

/* Decodes message into zeroed storage; job.run and job.bulk are set.  Fails with ERR_FORMAT, ERR_NOMEM. */
MUST_CHECK int hsm_request_init(struct hsm_request *request, const struct ipc_message *message, enum role from,
				const struct hsm_domain *domain);

/* May it be done at all?  Fails with ERR_DENIED, ERR_ALG, ERR_UNKNOWN (no such key), and leaves that in job.err. */
MUST_CHECK int hsm_request_allowed(struct hsm_request *request);

/* True when job.run() never waits, so that the loop may call it. */
bool hsm_request_is_local(const struct hsm_request *request);

/* Sends the answer, which tells job.err if that has a code.  Fails as ipc_send() does. */
MUST_CHECK int hsm_request_answer(struct hsm_request *request, struct ipc *ipc);

/*
 * Answers a request that a worker may still be busy with, so it looks at nothing that a worker changes.
 * Fails as ipc_send() does.
 */
MUST_CHECK int hsm_request_fail(const struct hsm_request *request, const struct err *e, struct ipc *ipc);

/* Logs job.err when it says that a signature was refused. */
void hsm_request_log(const struct hsm_request *request);

/* Wipes and frees what the request owns. */
void hsm_request_fini(struct hsm_request *request);

#endif
