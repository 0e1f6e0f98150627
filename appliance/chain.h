/*
 * appliance/chain - the files with the CA's certificate and those above it
 *
 * state/ca/ca.pem holds the CA's own certificate first and the root last; ca-2.pem and so on those of its later
 * generations, and announcement-2.der the answer to GetNextCACert by which the one before announces it.  The parent
 * reads them at every start and reload.
 *
 * Threads:  any, but never a loop's: these calls read and write files.
 */
#ifndef APPLIANCE_CHAIN_H
#define APPLIANCE_CHAIN_H

#include "board/base/buf.h"
#include "board/base/err.h"
#include "board/msg.h"

enum { APP_CHAIN_MAX = 8 };

struct app_chain {
	struct bytes certificate[APP_CHAIN_MAX]; /* DER, owned; own CA first, root last */
	size_t count;
};

/* All generations of the CA; those that are not there have a count of 0. */
struct app_chains {
	struct app_chain of[CA_GENERATIONS];
	struct bytes announcement[CA_GENERATIONS]; /* owned; empty: none */
};

/* Frees the certificates. */
void app_chain_fini(struct app_chain *chain);

/* "ca.pem", "ca-2.pem", "request-2.pem", "announcement-2.der": the name of a generation's file.  Returns out. */
char *app_chain_name(const char *what, unsigned generation, const char *suffix, char *out, size_t size);

/*
 * Reads what the folder state/ca has of each generation; free with app_chains_fini() on success.  Fails with
 * ERR_UNKNOWN when there is no ca.pem, and as app_chain_read(); e names the file.
 */
MUST_CHECK int app_chains_read(const char *folder, struct app_chains *ret_chains, struct err *e);

/*
 * Takes over the generations that have did not have, and logs them; true when there was one.  The rest stays fresh's.
 */
bool app_chains_adopt(struct app_chains *have, struct app_chains *fresh);

/* Frees all. */
void app_chains_fini(struct app_chains *chains);

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
