/*
 * board/spawn - starting roles and starting them again
 *
 * fork+exec with the role's own user id, no supplementary groups, resource limits, no new privileges, an empty
 * environment but for what is passed, and every descriptor closed except log (2) and control channel (3); 0 and 1
 * are /dev/null.  A role that ends is started again after 100 ms, then twice as long each time up to 10 s; a minute
 * of life resets that.
 *
 * Threads:  the parent's loop.
 */
#ifndef BOARD_SPAWN_H
#define BOARD_SPAWN_H

#include <sys/types.h>

#include "board/base/ipc.h"
#include "board/base/loop.h"

struct spawn;

struct spawn_functions {
	/* The role was (re)started: send it what it needs, ending with MSG_START. */
	void (*on_started)(struct spawn *spawn, void *arg);
	void (*on_message)(struct spawn *spawn, struct ipc_message *message, void *arg);
	/* The role ended; it is started again after restart_ms (-1: it is held) unless spawn_hold() is called here. */
	void (*on_exited)(struct spawn *spawn, int wait_status, int64_t restart_ms, void *arg);
	void *arg;
};

struct spawn_program {
	enum role self;             /* the role that is started */
	enum role owner;            /* who starts it: ROLE_PARENT or ROLE_PROVISION */
	const char *path;           /* executable */
	uid_t uid;                  /* its user and group id */
	const char *environment[8]; /* NAME=value, NULL ends */
	unsigned open_files;        /* RLIMIT_NOFILE */
};

/* Prepares a role without starting it.  Strings are copied.  Fails with ERR_NOMEM. */
MUST_CHECK int spawn_new(struct loop *loop, const struct spawn_program *program,
			 const struct spawn_functions *functions, struct spawn **ret_spawn);

/* Starts it now, calling on_started before it returns; nothing happens while it runs.  Fails with ERR_IO. */
MUST_CHECK int spawn_start(struct spawn *spawn, struct err *e);

/* Does not start it again by itself; spawn_start() still does. */
void spawn_hold(struct spawn *spawn);

/* Sends MSG_STOP and holds; SIGTERM after 5 s, SIGKILL after 10 s. */
void spawn_stop(struct spawn *spawn);

/* Kills what runs and frees; NULL is fine. */
void spawn_free(struct spawn *spawn);

/* The channel to the running role; NULL while it does not run. */
struct ipc *spawn_ipc(struct spawn *spawn);

pid_t spawn_pid(const struct spawn *spawn);      /* 0 while it does not run */
bool spawn_running(const struct spawn *spawn);   /* between start and exit */
enum role spawn_role(const struct spawn *spawn); /* who it is */

/* "exit-1", "SIGSEGV": why a process ended, from what waitpid() gave, for the log.  Returns out. */
char *spawn_cause(int wait_status, char *out, size_t size);

/*
 * The path of a program of the appliance: beside the running one, or in ../libexec/chancery from there.  Fails with
 * ERR_UNKNOWN and says where it looked.
 */
MUST_CHECK int spawn_find(const char *program, char *out, size_t size, struct err *e);

#endif
