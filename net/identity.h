/*
 * net/identity - what the front shows of the CA and of itself, and the answers made of it
 *
 * The CA may have more than one generation (board/msg.h): the one that is shown, and those before it whose certificates
 * are still out there.  One name may belong to several; the key identifier tells them apart.
 *
 * A copy of MSG_IDENTITY, which each loop keeps while the authority is away.  Operations that began with one finish
 * with it (reference count).
 *
 * Threads:  one at a time; each loop makes its own.
 */
#ifndef NET_IDENTITY_H
#define NET_IDENTITY_H

#include "board/base/x509.h"
#include "board/config.h"
#include "board/msg.h"
#include "net/page.h"

struct net_scep_request;

struct net_identity {
	unsigned references;                 /* private */
	struct bytes memory;                 /* what the rest points into; owned */
	struct msg_identity is;              /* chain: own CA first, root last */
	unsigned shown;                      /* generation of the CA that chain is of */
	struct net_page *ca[CA_GENERATIONS]; /* the CA certificates, for /ca; NULL: there is none */
	struct net_page *next;               /* the answer to GetNextCACert; NULL: there is no next CA */
	struct net_page *alone;              /* answers to GetCACert (RFC 8894 4.2): the CA certificate alone, */
	struct net_page *rootless;           /* RA certificates and the chain without the root, */
	struct net_page *whole;              /* and with it */
};

/* A copy of message with its pages.  Fails with ERR_FORMAT when something is missing in it, ERR_NOMEM. */
MUST_CHECK int net_identity_new(const struct msg_identity *message, struct net_identity **ret_identity, struct err *e);

/* The answer to GetCACert that profile wants; borrowed. */
struct net_page *net_identity_getcacert(const struct net_identity *identity, const struct config_profile *profile);

/* Which generation issued this certificate, by name and key identifier?  CA_GENERATIONS: none of ours. */
unsigned net_identity_issuer(const struct net_identity *identity, struct bytes certificate);

/* The certificate of the CA that issued this one; of the shown one for others, or none.  Borrowed. */
struct bytes net_identity_ca(const struct net_identity *identity, struct bytes certificate);

/* The newest generation with this name that is older than below; CA_GENERATIONS: none. */
unsigned net_identity_named(const struct net_identity *identity, struct bytes name, unsigned below);

/*
 * What the answer to request is signed with: an RA certificate of the same generation as the one that it is enveloped
 * to, since a client that encrypts to an old one knows that CA.  Else that of the shown one.  Borrowed.
 */
struct bytes net_identity_signer(const struct net_identity *identity, const struct net_scep_request *request);

/* x509_requester_hash() of a signer's certificate, whichever generation of the CA it names. */
void net_identity_requester_hash(const struct net_identity *identity, const struct x509 *signer, uint8_t ret_hash[32]);

/* One reference more.  Returns identity. */
struct net_identity *net_identity_ref(struct net_identity *identity);

/* Gives one reference back; NULL is fine. */
void net_identity_free(struct net_identity *identity);

CLEANUP_STRUCT(net_identity, net_identity_free)

#endif
