/*
 * appliance/ownname - the names in the certificates that the authority makes for the appliance itself
 *
 * Threads:  any.
 */
#ifndef APPLIANCE_OWNNAME_H
#define APPLIANCE_OWNNAME_H

#include "board/base/buf.h"
#include "board/base/err.h"

/*
 * Appends a Name like the CA's, its common name followed by suffix (" RA signing") and cut so that 64 characters hold
 * both (ub-common-name, RFC 5280 A.1).  Fails with ERR_FORMAT, ERR_NOMEM.
 */
MUST_CHECK int app_ownname_like(struct bytes ca_name, const char *suffix, struct buf *out, struct err *e);

/*
 * From names separated by blanks (front.tls_names): appends to name a Name with the first as common name, and to san
 * the GeneralNames with all of them, IPv4 and IPv6 addresses as iPAddress, the rest as dNSName.  Fails with ERR_CONFIG
 * when a name is neither or there is none.
 */
MUST_CHECK int app_ownname_tls(const char *names, struct buf *name, struct buf *san, struct err *e);

/* Is every GeneralName of asked (content of a subjectAltName extension) one of allowed? */
bool app_ownname_subset(struct bytes asked, struct bytes allowed);

#endif
