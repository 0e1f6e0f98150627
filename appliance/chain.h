/*
 * appliance/chain - the file with the CA's certificate and those above it
 *
 * state/ca/ca.pem holds the CA's own certificate first and the root last.  The parent reads it at every start.
 *
 * Threads:  any, but never a loop's: these calls read and write files.
 */
#ifndef APPLIANCE_CHAIN_H
#define APPLIANCE_CHAIN_H

#include "board/base/buf.h"
#include "board/base/err.h"

enum { APP_CHAIN_MAX = 8 };

struct app_chain {
	struct bytes certificate[APP_CHAIN_MAX]; /* DER, owned; own CA first, root last */
	size_t count;
};

/* Frees the certificates. */
void app_chain_fini(struct app_chain *chain);

/*
 * Reads every certificate of a PEM file in its order; free with app_chain_fini() on success.  Fails with ERR_UNKNOWN
 * when there is no file, ERR_FORMAT when it holds none or something broken, ERR_LIMIT for more than APP_CHAIN_MAX.
 */
MUST_CHECK int app_chain_read(const char *path, struct app_chain *ret_chain, struct err *e);

/*
 * Puts a chain in order, own CA first: the certificate whose key is spki, then issuer by issuer up to a self-signed
 * root. What does not belong to it is left out and freed.  Verifies it as RFC 5280 6.1 wants at this time: signatures,
 * dates, CA:TRUE, path lengths, key usages.  Fails with ERR_VERIFY or ERR_UNKNOWN, and e names certificate and reason.
 */
MUST_CHECK int app_chain_order(struct app_chain *chain, struct bytes spki, int64_t now, struct err *e);

/* Writes the chain as PEM, mode 0644, replacing path at once.  Fails with ERR_IO. */
MUST_CHECK int app_chain_write(const char *path, const struct app_chain *chain, struct err *e);

/* "12:34:…" SHA-256 of a certificate, to be compared by eye; out needs 96 bytes or more.  Returns out. */
char *app_chain_fingerprint(struct bytes certificate, char *out, size_t size);

#endif
