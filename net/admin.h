/*
 * net/admin - the administrator's page, /certsrv/mscep_admin as NDES has it
 *
 * A GET of the page fetches a challenge; with operation=NDESGenerateChallenge or NDESGetCACertThumbprint it answers
 * with that alone.  The authority decides who may (appliance/admin.h); here is only what the answer looks like.  Who
 * proves neither by client certificate nor by password who he is gets 401, and may send a password (net/basic.h).
 *
 * Programs that read NDES' page expect UTF-16LE without a byte order mark, while HTML says UTF-8 (facts, microsoft.md
 * 1.7).  People see UTF-8: whoever sends Accept-Language, which browsers do and those programs do not, or asks with
 * charset=utf-8.  charset=utf-16le asks for the other.  Text and markers are the same.
 *
 * Threads:  the loop's thread alone.
 */
#ifndef NET_ADMIN_H
#define NET_ADMIN_H

#include "net/http.h"
#include "net/identity.h"
#include "net/query.h"

/* Takes over a GET by NET_HTTP_ADMIN and has it answered.  authority and identity may be NULL, while they are away. */
void net_admin_request(struct ipc *authority, struct net_identity *identity, struct net_http_request *request,
		       const struct net_query *query);

#endif
