/*
 * appliance/control - the control socket: who may use it, and one session for each caller
 *
 * The parent binds the socket, the kernel says who called (SO_PEERCRED), and only root is served.  The command is
 * root's, unless an operator's name and password came before it (appliance/login.h): then it is his, or is not run.  A
 * session runs one command (appliance/command.h), which may go on in callbacks; when the caller hangs up meanwhile, the
 * command runs to its end without output.
 *
 * Threads:  the authority's loop.
 */
#ifndef APPLIANCE_CONTROL_H
#define APPLIANCE_CONTROL_H

#include "appliance/login.h"
#include "appliance/publish.h"
#include "appliance/store.h"

struct app_authority;
struct app_command;
struct app_session;

enum { APP_SESSION_MAX = 8, APP_SESSION_MS = 60 * 1000, APP_OPTION_MAX = 12 };

/* Exit statuses of the chancery command. */
enum { APP_EXIT_OK, APP_EXIT_FAILED, APP_EXIT_USAGE };

struct app_control {
	int fd; /* the listening socket */
	struct loop_fd *watch;
	struct list sessions;
	size_t count;
};

struct app_session {
	struct list link;
	struct app_authority *authority;
	struct ipc *ipc; /* NULL when the caller is gone */
	struct loop_timer *timer;
	uint64_t id;
	struct app_account account;                  /* who gives the command */
	char actor[64];                              /* the same for the audit trail */
	bool busy;                                   /* a command runs */
	bool done;                                   /* it has ended; the caller hangs up next */
	void (*resume)(struct app_session *session); /* goes on when the caller has read enough */

	struct secret *password; /* a new one, for the command; NULL: none came */

	/* what was asked */
	const struct app_command *command;
	char argument[256];
	bool given[APP_OPTION_MAX];
	int64_t number[APP_OPTION_MAX];
	char text[APP_OPTION_MAX][256];
	struct bytes file; /* borrowed until the handler returns */

	/* for the command's use */
	struct buf out;
	struct app_store_request request;
	struct app_publish_wait wait;
	void *own;

	struct app_login login;
};

/* Serves the listening socket, which is taken over on success.  Fails with ERR_NOMEM. */
MUST_CHECK int app_control_listen(struct app_authority *a, int fd);

/* Ends listening and hangs up on all; commands that run go on to their end. */
void app_control_fini(struct app_authority *a);

/* Adds to the output. */
void app_session_print(struct app_session *session, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Sends the output so far; resume is called when the caller has read enough of it, which may be at once. */
void app_session_page(struct app_session *session, void (*resume)(struct app_session *session));

/* Sends the rest and the exit status; the session may be gone afterwards. */
void app_session_end(struct app_session *session, int exit_status);

/* Sends the output, then a message for standard error, and ends with exit_status. */
void app_session_fail(struct app_session *session, int exit_status, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Queues session->request with done, or ends the session; the rest of the request is filled already. */
void app_session_ask(struct app_session *session, app_store_done_fn done);

#endif
