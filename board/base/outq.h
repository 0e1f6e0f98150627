/*
 * board/base/outq - the frames of one channel that its socket did not take yet
 *
 * For board/base/ipc.c.  In the usual case the socket takes a frame at once and nothing is copied.  A descriptor
 * travels alone with its frame in one sendmsg(), so that the reader can tell whose it is.
 *
 * Threads:  one at a time.
 * Owner:    the caller's storage; outq_fini().  The socket stays the caller's.  What was written is wiped.
 */
#ifndef BOARD_BASE_OUTQ_H
#define BOARD_BASE_OUTQ_H

#include <stddef.h>
#include <sys/uio.h>

#include "board/base/err.h"
#include "board/base/list.h"

struct outq {
	struct list chunks;
	size_t bytes; /* that wait */
};

/* An empty queue. */
void outq_init(struct outq *q);

/* Drops and wipes what waits and closes its descriptors; the queue is empty afterwards. */
void outq_fini(struct outq *q);

/* Writes head and body to the socket, queues what it does not take.  ERR_NOMEM, or ERR_CLOSED: write no more. */
MUST_CHECK int outq_send(struct outq *q, int sock, const struct iovec frame[2]);

/* The same with a descriptor, which is duplicated. */
MUST_CHECK int outq_send_fd(struct outq *q, int sock, const struct iovec frame[2], int fd);

/* Writes what waits, as far as the socket takes it now.  Fails with ERR_CLOSED. */
MUST_CHECK int outq_flush(struct outq *q, int sock);

#endif
