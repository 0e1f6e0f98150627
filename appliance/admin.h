/*
 * appliance/admin - who may have a challenge from the administrator's page, and the challenge
 *
 * The front says which name and password came, or which certificate a TLS client proved to have the key of.  Here is
 * decided who that is (an account of the store, or the holder of a certificate in admin.certificates; this CA issued
 * the certificate, and it is in force), and whether that account may have a challenge.  Who is nobody is asked to log
 * in.
 * Challenges are bounded by challenge.max_open, and how fast they are made by APP_ADMIN_BURST and APP_ADMIN_REFILL_MS,
 * since each leaves an audit record for ever; log-ins are bounded by appliance/login.h.
 *
 * Threads:  the authority's loop.
 */
#ifndef APPLIANCE_ADMIN_H
#define APPLIANCE_ADMIN_H

#include "appliance/link.h"

enum { APP_ADMIN_BURST = 100, APP_ADMIN_REFILL_MS = 200 };

struct app_admin {
	size_t visits; /* requests that wait for the store */
	int64_t tokens;
	int64_t tokens_ms;
};

/* MSG_ADMIN: answers with MSG_ADMIN_ANSWER, once. */
void app_admin_request(struct app_front *front, uint64_t id, const struct msg_admin *m);

#endif
