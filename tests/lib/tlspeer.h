/*
 * tests/lib/tlspeer - a TLS server in a thread of its own, which says what the test wants said
 *
 * A stand-in for servers that behave: it is for what real ones cannot be made to do (half an answer, silence, the wrong
 * certificate, a megabyte).  It serves one connection after the other, on a free port of 127.0.0.1.
 *
 * Threads:  what it saw is read after tlspeer_stop(), or with tlspeer_requests().
 */
#ifndef TESTS_LIB_TLSPEER_H
#define TESTS_LIB_TLSPEER_H

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "board/base/buf.h"

struct tlspeer {
	/* set before tlspeer_start() */
	EVP_PKEY *key;
	struct bytes certificate;
	struct bytes client_root; /* clients must show a certificate below it; empty: none is asked for */
	const char *answer;       /* the whole HTTP answer; the connection ends after it unless keep is set */
	size_t answer_len;        /* 0: all of the text */
	const char *(*reply)(const char *request); /* not NULL: gives answer, in the peer's thread */
	bool keep;                                 /* go on with the next request on the same connection */
	int delay_ms;                              /* before the answer */

	int port;
	atomic_int connections;
	atomic_int requests;
	char request[8192]; /* the last one, cut */
	char client[256];   /* subject of the last client certificate */

	/* its own */
	int listener;
	pthread_t thread;
	SSL_CTX *context;
	atomic_bool stopping;
};

/* Starts it; the test fails when it cannot. */
void tlspeer_start(struct tlspeer *peer);

/* Ends it and waits for its thread. */
void tlspeer_stop(struct tlspeer *peer);

#endif
