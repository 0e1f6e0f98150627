/*
 * board/role - what every role process does first and last
 *
 * A role is started by the parent (board/spawn.h) with its own user id and limits already in place, its log on
 * descriptor 2 and its channel to the parent on descriptor 3.  role_run() receives what the parent sends, calls the
 * role's functions, and returns when it shall exit.
 *
 * Threads:  the main thread.
 */
#ifndef BOARD_ROLE_H
#define BOARD_ROLE_H

#include "board/base/ipc.h"
#include "board/base/loop.h"
#include "board/config.h"
#include "board/msg.h"

enum { ROLE_CONTROL_FD = 3 };

struct role_functions {
	/* First configuration, and each reload.  conf lives until the next call. */
	void (*on_config)(const struct config *conf, void *arg);
	/* A channel to another role; fd is the callee's.  Replaces an older one of the same role and index. */
	void (*on_peer)(enum role peer, unsigned index, int fd, void *arg);
	void (*on_listener)(int kind, unsigned index, int fd, void *arg); /* fd is the callee's; may be NULL */
	void (*on_secret)(int kind, struct bytes secret, void *arg);      /* borrowed; may be NULL */
	void (*on_ca_chain)(const struct msg_ca_chain *chain, void *arg); /* borrowed; may be NULL */
	void (*on_start)(void *arg);                                      /* all of the above came at least once */
	void (*on_stop)(void *arg);                                       /* finish, then call role_exit() */
	void (*on_ping)(void *arg); /* the parent asks for a sign of life: role_pong() soon; NULL: given at once */
	void *arg;
};

/*
 * The role's main loop.  Sets up the log, forbids core dumps and new privileges, makes the loop, and runs until
 * role_exit() or until the parent is gone.  Returns the process's exit status.
 */
int role_run(enum role self, const struct role_functions *functions);

/* The main thread's loop. */
struct loop *role_loop(void);

/* Applies the system call list of this role (board/sandbox.h), when all is open and threads may still be started. */
void role_confine(void);

/* Tells the parent that this role works. */
void role_ready(void);

/* The sign of life that on_ping asked for. */
void role_pong(void);

/* Tells the parent why it does not, and ends the loop with exit status 1. */
void role_trouble(const struct err *e);

/* Ends the loop. */
void role_exit(int status);

#endif
