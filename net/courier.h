/*
 * net/courier - the calls that the courier makes for the authority, one thread for each while it lasts
 *
 * The loop takes a request, writes its JSON and starts a thread; the thread waits for the server and reads the answer;
 * the loop sends it on.  At most NET_COURIER_CALLS are under way, more are answered ERR_BUSY at once.  Each request is
 * answered exactly once, at the latest when its module's deadline is over.
 *
 * What a kind of policy module does in its thread is in net/registration.c, net/intune.c and net/exec.c.
 *
 * Threads:  the functions of struct net_courier by the loop; net_courier_sign() and the kinds' run functions by the
 *           thread of a call.
 * Owner:    the role; a module lives until it was replaced and its last call has ended.
 */
#ifndef NET_COURIER_H
#define NET_COURIER_H

#include "board/base/loop.h"
#include "board/msg.h"
#include "net/https.h"
#include "net/intune.h"

enum { NET_COURIER_CALLS = 64, NET_COURIER_MODULES = 8, NET_COURIER_ANSWER_MAX = 64 * 1024 };

struct net_courier;

/* A policy module as MSG_POLICY_MODULE describes it; what points somewhere is the module's own. */
struct net_module {
	struct msg_policy_module is;
	struct evp_pkey_st *key;  /* the token's policy key; NULL: no client certificate */
	struct net_intune intune; /* of POLICY_INTUNE */
	struct buf memory;        /* private */
	unsigned references;      /* the loop's */
};

enum net_errand_op { NET_ERRAND_VERIFY, NET_ERRAND_NOTIFY, NET_ERRAND_GENERATE, NET_ERRAND_PROBE };

/* One call: what the thread reads, and where it leaves the answer. */
struct net_errand {
	enum net_errand_op op;
	struct net_module *module;
	struct net_https *https;
	struct buf body; /* JSON; empty for NET_ERRAND_PROBE */
	bool is_success; /* NET_ERRAND_NOTIFY: DISPOSITION_SUCCESS */

	struct msg_policy_result result; /* out: reason, text, http_status; challenge points into store */
	struct buf store;
};

/* Makes one.  Fails with ERR_NOMEM. */
MUST_CHECK int net_courier_new(struct loop *loop, struct net_courier **ret_courier);

/* Frees; no call may be under way. */
void net_courier_free(struct net_courier *courier);

/* Channels to the authority and the signer, in place of older ones; fd is taken on success.  Fails with ERR_NOMEM. */
MUST_CHECK int net_courier_peer(struct net_courier *courier, enum role peer, int fd);

/* Calls under way. */
size_t net_courier_open(const struct net_courier *courier);

/* ---- the kinds, in the thread of a call: 0 with an answer, else the ERR_* that is in the way, and e ---- */

/* Our own protocol over HTTPS (appliance/doc/registration-point.md). */
MUST_CHECK int net_registration_run(struct net_errand *errand, struct err *e);

CLEANUP_STRUCT(net_courier, net_courier_free)

#endif
