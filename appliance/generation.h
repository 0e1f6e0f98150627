/*
 * appliance/generation - the CA's generations: which certificates there are, and which of them does what
 *
 * The parent gives the chain of each (MSG_CA_CHAIN), the store knows which is the current one, which the next, and
 * which were current before.  The current one issues; the next one is only announced; a previous one goes on signing
 * its CRLs and the OCSP responder's certificate until the last certificate that it issued has ended.  The authority's
 * members issuer, chain and chain_count are always the current one's.  See decisions/020-ca-generations.md.
 *
 * Threads:  the authority's loop.
 */
#ifndef APPLIANCE_GENERATION_H
#define APPLIANCE_GENERATION_H

#include "appliance/cert.h"
#include "board/config.h"

struct app_authority;
struct app_store_request;

enum { APP_CHAIN_MAX = 8 };

struct app_generation {
	struct bytes chain[APP_CHAIN_MAX]; /* DER, the CA's own first; owned */
	size_t chain_count;                /* 0: there is no such generation */
	struct app_issuer issuer;
	struct bytes announcement; /* the answer to GetNextCACert while it is the next one; owned */
	int64_t ends;   /* of a previous one: when the last certificate ends that it issued; 0: not known yet */
	bool has_ended; /* that was noticed */
};

/*
 * Takes copies of one generation's chain.  Fails with ERR_FORMAT, ERR_ALG, ERR_NOMEM, and with ERR_STAGE when it has
 * another chain already: that needs a restart.
 */
MUST_CHECK int app_generation_take(struct app_authority *a, const struct msg_ca_chain *m, struct err *e);

/*
 * Takes what the opened store knows, and makes new generations known to it.  Fails with ERR_STAGE when the current one
 * has no chain.
 */
MUST_CHECK int app_generation_open(struct app_authority *a, struct err *e);

/* Frees all. */
void app_generation_fini(struct app_authority *a);

/* Puts in force what a change in the store answered: another current one issues from now on. */
void app_generation_adopt(struct app_authority *a, const struct app_store_request *request);

/* The next one; CA_GENERATIONS when there is none whose chain we have. */
unsigned app_generation_next(const struct app_authority *a);

/* Does it sign anything: is it the current one, or a previous one that has not ended? */
bool app_generation_is_live(const struct app_authority *a, unsigned g);

/* Looks again when the previous ones end; at a start, after a roll-over, and once a day. */
void app_generation_survey(struct app_authority *a);

/*
 * Which generation signed this certificate?  By name, key identifier and signature; ended ones count.  Fails with
 * ERR_UNKNOWN.
 */
MUST_CHECK int app_generation_of(const struct app_authority *a, const struct x509 *cert, unsigned *ret_g);

/* Does the certificate name any of our generations as its issuer? */
bool app_generation_names(const struct app_authority *a, const struct x509 *cert);

/* x509_requester_hash() for a signer's certificate, whichever generation it names. */
void app_generation_requester_hash(const struct app_authority *a, const struct x509 *signer, uint8_t ret_hash[32]);

/*
 * A URL of the settings for generation g: "%g" becomes its number, from 1 on; without it, all but the first have "/"
 * and the number behind.  Fails with ERR_LIMIT.
 */
MUST_CHECK int app_generation_url(const char *url, unsigned g, char *out, size_t size);

/*
 * conf as it is for what generation g issues: ca.crl_url, ca.delta_url and ca.ca_url are its own.  Fails with
 * ERR_CONFIG when there is no room.
 */
MUST_CHECK int app_generation_config(const struct config *conf, unsigned g, struct config *ret_conf, struct err *e);

#endif
