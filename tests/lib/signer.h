/*
 * tests/lib/signer - the real chancery-signer as a child process, with channels to it
 *
 * The child runs under the signer's user id when the test is root.  It is not started again unless a test says
 * so.  What waits does so with a deadline and fails the test at its end.
 *
 * Threads:  one.
 */
#ifndef TESTS_LIB_SIGNER_H
#define TESTS_LIB_SIGNER_H

#include "board/config.h"
#include "board/msg.h"
#include "board/spawn.h"
#include "tests/lib/token.h"

struct signer_rig {
	struct loop *loop;
	struct config conf;
	enum role owner; /* ROLE_PARENT, or ROLE_PROVISION for a ceremony */
	struct bytes ca_certificate;
	struct bytes ca_next; /* of generation 1; empty: there is none */
	uint8_t generation;   /* of the CA's key in what is asked */
	const char *pin;
	const char *so_pin;              /* NULL: not sent */
	char environment[200];           /* NAME=value, the token's */
	const char *more_environment[2]; /* NULL ends */
	bool again;                      /* let board/spawn start it again */

	struct spawn *spawn;
	struct ipc *front;
	struct ipc *authority;
	struct ipc *provision;
	unsigned ready;  /* how often */
	unsigned exited; /* how often */
	int wait_status; /* of the last exit */
	int trouble;     /* code of the last MSG_TROUBLE */
	char trouble_text[200];
};

/* Defaults for this token; change conf, owner and the like, then start. */
void signer_rig_init(struct signer_rig *rig, const struct token *token, const char *label, const char *pin);

/* Starts it and waits until it is ready or has ended; true when ready. */
bool signer_rig_start(struct signer_rig *rig);

/* Waits until *counter is at least count. */
void signer_rig_wait(struct signer_rig *rig, const unsigned *counter, unsigned count);

/* Stops it in order, waits for its end, and frees what start made.  Returns the exit status. */
int signer_rig_stop(struct signer_rig *rig);

/* Stops it if it runs, and frees all. */
void signer_rig_fini(struct signer_rig *rig);

/* What one question was answered with; free body with buf_fini(). */
struct signer_answer {
	unsigned done;
	int code; /* of the transport: 0, ERR_TIMEOUT, ERR_CLOSED */
	uint16_t type;
	struct buf body;
};

/* For msg_name_call(): keeps the answer in arg, a struct signer_answer. */
void signer_keep(int code, const struct ipc_message *message, void *arg);

/*
 * MSG_SIGN over ipc: waits for the answer and returns its code, or the transport's.  algorithm and signature may be
 * NULL together; both are appended to when it is 0.
 */
int signer_sign(struct signer_rig *rig, struct ipc *ipc, enum key_class key_class, enum digest digest,
		struct bytes data, struct buf *algorithm, struct buf *signature);

/* MSG_UNWRAP by the front, PKCS#1 or OAEP with SHA-1; returns as signer_sign(), the key is appended. */
int signer_unwrap(struct signer_rig *rig, int padding, size_t key_size, struct bytes ciphertext, struct buf *key);

/* MSG_PUBLIC_KEY; returns as signer_sign(), the answer's spki is appended unless that is NULL. */
int signer_public_key(struct signer_rig *rig, struct ipc *ipc, enum key_class key_class, struct buf *spki);

/* MSG_KEY_GENERATE in a ceremony; returns as signer_public_key(). */
int signer_generate(struct signer_rig *rig, enum key_class key_class, enum key_alg algorithm, struct buf *spki);

/* MSG_TOKEN_INIT in a ceremony; returns as signer_public_key(). */
int signer_token_init(struct signer_rig *rig, const char *label);

/* A CA certificate for the token's ca key of this algorithm, signed by it in a ceremony; the caller frees data. */
struct bytes signer_make_root(struct signer_rig *rig, enum key_alg algorithm, struct bytes name);

#endif
