/*
 * appliance/held - a request that waits for an operator, as the store keeps it
 *
 * It is what the certificate shall say, not the PKCS#10 request: that holds the challenge, which is kept nowhere.
 *
 * Threads:  any, one at a time.
 * Owner:    whoever made it; name, spki and san are copies of its own.
 */
#ifndef APPLIANCE_HELD_H
#define APPLIANCE_HELD_H

#include "appliance/store.h"

/* Stored as text, which app_held_state_name() gives. */
enum app_held_state { APP_HELD_NONE, APP_HELD_PENDING, APP_HELD_APPROVED, APP_HELD_DENIED };

struct app_held {
	int64_t number; /* what operators call it */
	enum app_held_state state;
	int64_t created;
	int64_t expires;
	bool has_challenge; /* which it holds */
	uint8_t challenge_hash[APP_HASH_SIZE];
	char transaction_id[APP_TRANSACTION_MAX];
	uint8_t key_hash[APP_HASH_SIZE];
	char subject[256];
	char peer[64];
	char operator[64];
	char reason[128];
	int64_t requested_not_after; /* 0: none was asked for */
	unsigned key_usage;          /* that the request asks for (appliance/binding.h); 0: none */
	int approvals_needed;        /* 1: by anybody; more: by so many operators with different names */
	int approvals;               /* that there are */
	char approvers[256];         /* their accounts, "alice, bob"; cut off when there are too many */
	char template_name[40];      /* "": older than templates */
	struct bytes name;
	struct bytes spki;
	struct bytes san;
};

/* "pending", "approved", "denied"; "" for none.  Static storage. */
const char *app_held_state_name(enum app_held_state state);

/* The state of such a name; APP_HELD_NONE for others. */
enum app_held_state app_held_state_parse(const char *name);

/* Takes copies of the three.  Fails with ERR_NOMEM; then there are none. */
MUST_CHECK int app_held_copy(struct app_held *held, struct bytes name, struct bytes spki, struct bytes san);

/* Frees the copies. */
void app_held_fini(struct app_held *held);

#endif
