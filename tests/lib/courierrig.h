/*
 * tests/lib/courierrig - the courier in this process, with stand-ins for the authority and the signer and a TLS peer
 *
 * Threads:  one, and the peer's and the courier's own.
 */
#ifndef TESTS_LIB_COURIERRIG_H
#define TESTS_LIB_COURIERRIG_H

#include "net/courier.h"
#include "tests/lib/tlspeer.h"

enum { RIG_DEADLINE_MS = 1500, RIG_PATIENCE_MS = 10000 };

struct courierrig {
	struct loop *loop;
	struct net_courier *courier;
	struct ipc *authority; /* the stand-in's end */
	struct ipc *signer;    /* see authority */
	EVP_PKEY *root_key;
	EVP_PKEY *server_key;
	EVP_PKEY *policy_key;
	struct bytes root;
	struct bytes server;
	struct bytes client;
	struct tlspeer peer; /* not started yet */
	bool signer_silent;
	bool signer_refuses;
	int signatures;
	int answers;
	struct msg_policy_result last;
	uint8_t challenge[64];
};

/* The one of this test program. */
extern struct courierrig t;

/* Makes all but the peer, which will answer so and asks for a client certificate. */
void rig_begin(const char *answer);

/* The same with the peer running, and module 0 asking it. */
void rig_begin_with_peer(const char *answer);

/* Module 0 asks the peer under this name, and trusts this root. */
void rig_set_module(const char *host, struct bytes root);

/* A certificate for key below the root; the caller frees data. */
struct bytes rig_issue(EVP_PKEY *key, const char *cn, const char *names);

/* Counts an answer and keeps it in t.last. */
void rig_on_result(int code, const struct ipc_message *message, void *arg);

/* Asks module 0 to verify a request. */
void rig_ask(void);

/* The same, and waits for the answer. */
void rig_ask_and_wait(void);

/* Runs the loop until so many answers have come; fails the test when they do not, or more. */
void rig_until_answers(int count);

/* Ends and frees all. */
void rig_finish(void);

#endif
