/*
 * net/intune - the third-party CA API of Microsoft Intune, as a policy module
 *
 * facts, microsoft.md 4: a token by OAuth 2.0 client credentials, the service's address from the directory, then
 * validateRequest, successNotification or failureNotification.  Token and address are kept until they end or a call
 * fails with them; then both are fetched anew and the call is made once more.
 *
 * No independent peer can be had for tests: tests/unit/test_net_intune.c has a stand-in made from the public
 * descriptions.
 *
 * Threads:  several calls of a module at a time share its struct net_intune, under its lock, which is not held while
 *           anybody waits.
 */
#ifndef NET_INTUNE_H
#define NET_INTUNE_H

#include <pthread.h>
#include <stdint.h>

#include "board/base/err.h"

struct net_errand;

enum { NET_INTUNE_TOKEN_SIZE = 8192, NET_INTUNE_URL_SIZE = 400 };

/* What a module keeps between calls. */
struct net_intune {
	pthread_mutex_t lock;
	char directory_token[NET_INTUNE_TOKEN_SIZE]; /* secrets; "": none */
	char service_token[NET_INTUNE_TOKEN_SIZE];   /* see directory_token */
	char service[NET_INTUNE_URL_SIZE];           /* "": not known */
	int64_t until_ms;                            /* clock_mono_ms() until which they are good */
};

/* Prepares the member of a module. */
void net_intune_init(struct net_intune *intune);

/* Wipes it. */
void net_intune_fini(struct net_intune *intune);

/* The call, in its thread; as net_registration_run(). */
MUST_CHECK int net_intune_run(struct net_errand *errand, struct err *e);

#endif
