/*
 * net/regpoint - the HTTPS side of certificate registration points
 *
 * POST /APPLICATION/Certificate/VerifyRequest, …/Notify and …/GenerateChallenge, JSON in and out, as
 * appliance/doc/registration-point.yaml describes them.  The authority decides, also whether the caller's certificate
 * is trusted; here bytes become MSG_REGISTRATION.  A browser gets what the Configuration Manager's administrators know
 * as the sign of health: a page "Server Error in '/APPLICATION' Application." with status 404 (facts, microsoft.md
 * 3.2).
 *
 * Threads:  the loop's thread alone.
 */
#ifndef NET_REGPOINT_H
#define NET_REGPOINT_H

#include "net/http.h"
#include "net/query.h"

struct ipc;

/* Takes over a request by NET_HTTP_REGISTRATION and has it answered.  authority may be NULL, while it is away. */
void net_regpoint_request(struct ipc *authority, struct net_http_request *request, const struct net_query *query);

#endif
