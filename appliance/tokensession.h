/*
 * appliance/tokensession - a signer of its own for the ceremony, asked one thing at a time
 *
 * The PKCS#11 module is loaded in the signer alone, also during provisioning: this starts chancery-signer in the same
 * confinement as in service, gives it the PINs, and sends the messages that only ROLE_PROVISION may send.  The signer
 * is not started again when it ends.
 *
 * Threads:  one; every call blocks for at most its deadline.
 */
#ifndef APPLIANCE_TOKENSESSION_H
#define APPLIANCE_TOKENSESSION_H

#include "board/base/secret.h"
#include "board/config.h"
#include "board/msg.h"

struct app_token;

/*
 * Starts the signer at path and waits until it works.  so_pin may be NULL.  Fails with ERR_PIN, ERR_TOKEN, ERR_IO,
 * ERR_TIMEOUT.
 */
MUST_CHECK int app_token_open(const char *path, const struct config *conf, const struct secret *pin,
			      const struct secret *so_pin, struct app_token **ret_token, struct err *e);

/* Ends the signer in order; NULL is fine. */
void app_token_close(struct app_token *token);

/* Initialises a token with this label.  Fails with ERR_EXISTS when there is one. */
MUST_CHECK int app_token_init(struct app_token *token, const char *label, struct err *e);

/*
 * Generates the key pair of a class and generation (board/msg.h); its SubjectPublicKeyInfo is appended to spki, also
 * with ERR_EXISTS.
 */
MUST_CHECK int app_token_generate(struct app_token *token, enum key_class class_, unsigned generation,
				  enum key_alg algorithm, struct buf *spki, struct err *e);

/* Signs data with the CA key of a generation; appends AlgorithmIdentifier and signature. */
MUST_CHECK int app_token_sign_ca(struct app_token *token, unsigned generation, enum digest digest, struct bytes data,
				 struct buf *algorithm, struct buf *signature, struct err *e);

CLEANUP_STRUCT(app_token, app_token_close)

#endif
