/*
 * appliance/listen - the sockets that the parent binds for the roles
 *
 * The parent keeps them open, so that peers wait in the kernel while a role is started again, and no role needs the
 * right to bind a port.  Each of front's loops gets a socket of its own for each address (SO_REUSEPORT), between
 * which the kernel distributes the connections.
 *
 * Threads:  the parent's main thread.
 */
#ifndef APPLIANCE_LISTEN_H
#define APPLIANCE_LISTEN_H

#include "board/config.h"

enum { LISTEN_MAX = 512 };

struct app_listeners {
	struct app_listener {
		int kind;       /* LISTEN_* of board/msg.h */
		unsigned index; /* the loop that shall own it */
		int fd;
	} item[LISTEN_MAX];
	size_t count;
	int lock_fd;
	char control[256]; /* path of the control socket */
};

/*
 * Binds what the configuration lists, and paths.run/control.  A second chanceryd on the same paths.run or the same
 * ports is refused.  Fails with ERR_IO and names the address; what was bound then is closed by app_listen_close().
 */
MUST_CHECK int app_listen_open(const struct config *conf, struct app_listeners *listeners, struct err *e);

/* Before app_listen_open(), so that app_listen_close() is always allowed. */
void app_listen_init(struct app_listeners *listeners);

/* Closes all, and removes the control socket if it is ours. */
void app_listen_close(struct app_listeners *listeners);

#endif
