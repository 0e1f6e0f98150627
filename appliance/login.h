/*
 * appliance/login - whether somebody is the operator that he says, and how often that may be tried
 *
 * One password is verified at a time: the failure of one is stored before the next is looked at, so that nobody gets
 * more guesses by asking in parallel.  How many are begun is bounded (struct app_logins); those from the network have
 * another bound than those from the control socket, which only root reaches, and let these pass ahead.
 *
 * Who is refused learns nothing but that: name, password, lock-out and disabled accounts take the same time and get the
 * same answer.  The log has the cause; it has no name that is none of ours, since people type passwords into the wrong
 * field.
 *
 * Threads:  the authority's loop; hashing is the store's (appliance/operator.h).
 * Owner:    a log-in belongs to its caller, but from app_login_start() until done is called.
 */
#ifndef APPLIANCE_LOGIN_H
#define APPLIANCE_LOGIN_H

#include "appliance/store.h"
#include "board/base/bucket.h"
#include "board/base/list.h"
#include "board/base/secret.h"

struct app_authority;
struct app_login;

/*
 * So many at once, and one more each so many milliseconds: from all the network, from one address (an IPv6 /64), from
 * the control socket.  One takes about 40 ms of a processor.  PEERS: addresses that are remembered.  WAITING: log-ins
 * from the network that may wait for their turn.
 */
enum {
	APP_LOGIN_BURST = 40,
	APP_LOGIN_REFILL_MS = 125,
	APP_LOGIN_PEER_BURST = 20,
	APP_LOGIN_PEER_REFILL_MS = 250,
	APP_LOGIN_CONSOLE_BURST = 40,
	APP_LOGIN_CONSOLE_REFILL_MS = 250,
	APP_LOGIN_PEERS = 64,
	APP_LOGIN_WAITING = 32,
};

enum app_login_verdict { APP_LOGIN_ACCEPTED, APP_LOGIN_REFUSED, APP_LOGIN_LATER };

struct app_login_peer {
	uint8_t key[16]; /* its address */
	int64_t used_ms;
	struct bucket bucket;
};

struct app_logins {
	struct list waiting; /* those from the control socket first */
	size_t waiting_count;
	struct app_login *running;
	struct bucket console;
	struct bucket network;
	struct app_login_peer peers[APP_LOGIN_PEERS];
};

typedef void (*app_login_done_fn)(struct app_login *login, enum app_login_verdict verdict, void *arg);

/* One log-in.  Zero it and fill what is named "in". */
struct app_login {
	/* in */
	char name[APP_ACCOUNT_SIZE];
	struct secret *password; /* owned by the log-in from the start on */
	char peer[64];           /* an address; "" for the control socket */
	app_login_done_fn done;
	void *arg;

	/* out, when it is accepted */
	struct app_account account;

	/* the module's own */
	struct list link;
	struct app_authority *authority;
	struct app_operator who;
	struct app_store_request request;
};

/* Before any other. */
void app_login_init(struct app_authority *a);

/* Calls done exactly once, at once or later: accepted, refused, or later when there is too much to do. */
void app_login_start(struct app_authority *a, struct app_login *login);

#endif
