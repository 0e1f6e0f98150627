/*
 * net/route - which path is what: SCEP, CRL, CA certificate, health
 *
 * SCEP answers at several paths, because clients have one built in (RFC 8894 4.1 says to ignore it): /scep,
 * /cgi-bin/pkiclient.exe, and those of NDES, /certsrv/mscep and /certsrv/mscep/mscep.dll, each as it is, with "/", or
 * with "/pkiclient.exe" behind it, in any case.  They are as the settings say; /scep/NAME is as the SCEP profile of
 * that name says, and nothing when there is none.  A GET without an operation gets a page for people (net/html.h).
 *
 * /crl, /delta.crl and /ca are those of the CA's first generation for good, as its certificates say so; a later one's
 * have its number behind, from 2 on, and "current" is the newest.
 *
 * Threads:  the loop's thread alone.
 */
#ifndef NET_ROUTE_H
#define NET_ROUTE_H

#include "board/config.h"
#include "net/http.h"
#include "net/identity.h"
#include "net/ocspkeep.h"
#include "net/pkiop.h"

/* What a loop has at hand to answer with; all of it borrowed. */
struct net_route {
	const struct config *conf;
	struct net_identity *identity; /* NULL before the authority sent one */
	/* Of each generation of the CA the full and the delta CRL; NULL as above, or when none is made. */
	struct net_page *const *crl;
	struct net_page *const *delta;
	struct net_pkiop_set *operations;
	struct net_ocspkeep *ocsp;
	struct ipc *authority; /* NULL while it is away */
	bool signer_is_there;
};

/* Takes the request over and has it answered. */
void net_route_request(const struct net_route *route, struct net_http_request *request);

#endif
