/*
 * board/base/ipc - framed messages between roles, and the table of who may ask what
 *
 * A channel is one end of a Unix stream socket, owned by one loop.  Frame: u32 length of what follows the header, u16
 * type, u16 zero, u64 id; then the body.  A descriptor may ride along (SCM_RIGHTS).  board/msg.def says which role may
 * send which type to which role, and how long it may be; a frame outside that table closes the channel.
 *
 * ipc_call() sends a request and promises exactly one call of its function: with the answer, or with ERR_TIMEOUT, or
 * with ERR_CLOSED.  What is no answer to a call arrives at the channel's on_message.
 *
 * Threads:  the loop's thread alone.
 */
#ifndef BOARD_BASE_IPC_H
#define BOARD_BASE_IPC_H

#include "board/base/buf.h"
#include "board/base/loop.h"

struct ipc;

/* Who speaks.  ROLE_CONSOLE is the chancery command, ROLE_PROVISION the ceremony. */
enum role {
	ROLE_PARENT,
	ROLE_FRONT,
	ROLE_AUTHORITY,
	ROLE_SIGNER,
	ROLE_CONSOLE,
	ROLE_PROVISION,
	ROLE_COURIER,
	ROLE_COUNT
};

struct ipc_message {
	uint16_t type;
	uint64_t id;       /* answer with the same */
	struct bytes body; /* valid during the callback */
	int fd;            /* -1, or a descriptor: set it to -1 to keep it, else it is closed after the callback */
};

typedef void (*ipc_message_fn)(struct ipc *ipc, struct ipc_message *message, void *arg);
typedef void (*ipc_closed_fn)(struct ipc *ipc, void *arg);

/* code is 0 with a message, else ERR_TIMEOUT or ERR_CLOSED with NULL. */
typedef void (*ipc_answer_fn)(int code, const struct ipc_message *message, void *arg);

struct ipc_handlers {
	ipc_message_fn on_message;
	ipc_closed_fn on_closed; /* once, after all calls ended with ERR_CLOSED; free the channel here or later */
	void *arg;
};

enum { IPC_OUT_LIMIT = 64 * 1024 * 1024, IPC_CALL_LIMIT = 8192 };

/* Takes over fd on success (made non-blocking).  self and peer decide what may come and go.  Fails with ERR_NOMEM. */
MUST_CHECK int ipc_new(struct loop *loop, int fd, enum role self, enum role peer, const struct ipc_handlers *handlers,
		       struct ipc **ret_ipc);

/*
 * Closes; open calls are answered with ERR_CLOSED first, on_closed is not called.  NULL is fine.  May be called in
 * callbacks.
 */
void ipc_free(struct ipc *ipc);

/*
 * Sends a message; fd -1 or a descriptor that is duplicated.  Fails with ERR_BUSY when IPC_OUT_LIMIT bytes wait
 * already, ERR_CLOSED, ERR_DENIED when the table does not allow it, ERR_NOMEM.
 */
MUST_CHECK int ipc_send(struct ipc *ipc, uint16_t type, uint64_t id, struct bytes body, int fd);

/*
 * Sends a request; fn(code, answer, arg) is called exactly once unless this function fails (same codes as ipc_send();
 * ERR_BUSY also when IPC_CALL_LIMIT calls are open).
 */
MUST_CHECK int ipc_call(struct ipc *ipc, uint16_t type, struct bytes body, int timeout_ms, ipc_answer_fn fn, void *arg);

/* Bytes that wait to be written, and calls that wait for an answer. */
size_t ipc_backlog(const struct ipc *ipc);
size_t ipc_open_calls(const struct ipc *ipc); /* see ipc_backlog() */

/* The other end's role, and the number that the parent gave the channel (ipc_set_index(); 0 at first). */
enum role ipc_peer(const struct ipc *ipc);
unsigned ipc_index(const struct ipc *ipc);           /* see ipc_peer() */
void ipc_set_index(struct ipc *ipc, unsigned index); /* see ipc_peer() */

/* "parent", "front", … Static storage. */
const char *ipc_role_name(enum role role);

/* A connected pair of stream sockets, close-on-exec.  Fails with ERR_IO. */
MUST_CHECK int ipc_pair(int ret_fds[2], struct err *e);

CLEANUP_STRUCT(ipc, ipc_free)

#endif
