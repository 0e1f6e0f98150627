/*
 * board/base/outq - see outq.h
 */
#include "board/base/outq.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	OUTQ_CHUNK = 64 * 1024,       /* small frames share one */
	OUTQ_FLUSH_MAX = 1024 * 1024, /* bytes in one turn of the loop */
};

/* One with a descriptor holds exactly its frame. */
struct outq_chunk {
	struct list link;
	int fd;
	bool sealed; /* nothing more may be appended */
	size_t off;
	size_t len;
	size_t cap;
	uint8_t data[];
};

static void
chunk_free(struct outq *q, struct outq_chunk *chunk)
{
	list_remove(&chunk->link);
	q->bytes -= chunk->len - chunk->off;
	if (chunk->fd >= 0)
		(void)close(chunk->fd);
	explicit_bzero(chunk->data, chunk->len);
	free(chunk);
}

void
outq_init(struct outq *q)
{
	list_init(&q->chunks);
	q->bytes = 0;
}

void
outq_fini(struct outq *q)
{
	struct list *pos, *tmp;

	list_each (pos, tmp, &q->chunks)
		chunk_free(q, list_entry(pos, struct outq_chunk, link));
}

/* One sendmsg().  The number of bytes, 0 when it would block, or ERR_CLOSED. */
static ssize_t
send_once(int sock, struct iovec *iov, size_t count, int fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {.space = {0}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = count};
	ssize_t n;

	if (fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		*CMSG_FIRSTHDR(&msg) = (struct cmsghdr){
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(sizeof(fd)),
		};
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &fd, sizeof(fd));
	}
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ENOMEM ? 0 : ERR_CLOSED;
}

int
outq_flush(struct outq *q, int sock)
{
	size_t budget = OUTQ_FLUSH_MAX;
	struct list *pos, *tmp;

	list_each (pos, tmp, &q->chunks) {
		struct outq_chunk *chunk = list_entry(pos, struct outq_chunk, link);
		struct iovec iov = {chunk->data + chunk->off, chunk->len - chunk->off};
		ssize_t n = send_once(sock, &iov, 1, chunk->fd);

		if (n <= 0)
			return (int)n;
		if (chunk->fd >= 0) {
			(void)close(chunk->fd);
			chunk->fd = -1;
		}
		chunk->off += (size_t)n;
		q->bytes -= (size_t)n;
		/* The socket took what it can. */
		if (chunk->off < chunk->len)
			return 0;
		chunk_free(q, chunk);
		if ((size_t)n >= budget)
			return 0;
		budget -= (size_t)n;
	}
	return 0;
}

/* The chunk to append need bytes to; NULL when there is no memory. */
static struct outq_chunk *
chunk_get(struct outq *q, size_t need, bool alone)
{
	struct outq_chunk *chunk = list_entry(q->chunks.prev, struct outq_chunk, link);
	size_t cap = alone || need > OUTQ_CHUNK ? need : OUTQ_CHUNK;

	if (!list_empty(&q->chunks) && !alone && !chunk->sealed && chunk->cap - chunk->len >= need)
		return chunk;
	chunk = malloc(sizeof(*chunk) + cap);
	if (chunk == NULL)
		return NULL;
	*chunk = (struct outq_chunk){.fd = -1, .sealed = alone, .cap = cap};
	list_append(&q->chunks, &chunk->link);
	return chunk;
}

/* Queues header and body without their first skip bytes; takes over fd on success. */
static int
outq_append(struct outq *q, const struct iovec frame[2], size_t skip, int fd)
{
	size_t total = frame[0].iov_len + frame[1].iov_len - skip;
	struct outq_chunk *chunk = chunk_get(q, total, fd >= 0);

	if (chunk == NULL)
		return ERR_NOMEM;
	for (int i = 0; i < 2; i++) {
		size_t gone = skip < frame[i].iov_len ? skip : frame[i].iov_len;

		if (frame[i].iov_len > gone)
			memcpy(chunk->data + chunk->len, (const uint8_t *)frame[i].iov_base + gone,
			       frame[i].iov_len - gone);
		chunk->len += frame[i].iov_len - gone;
		skip -= gone;
	}
	chunk->fd = fd;
	q->bytes += total;
	return 0;
}

int
outq_send(struct outq *q, int sock, const struct iovec frame[2])
{
	struct iovec iov[2] = {frame[0], frame[1]};
	ssize_t done = list_empty(&q->chunks) ? send_once(sock, iov, 2, -1) : 0;
	int r;

	if (done < 0)
		return (int)done;
	if ((size_t)done == frame[0].iov_len + frame[1].iov_len)
		return 0;
	r = outq_append(q, frame, (size_t)done, -1);
	/* When half a frame is out, nothing else can follow it. */
	return r != 0 && done > 0 ? ERR_CLOSED : r;
}

int
outq_send_fd(struct outq *q, int sock, const struct iovec frame[2], int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	int r;

	if (copy < 0)
		return ERR_NOMEM;
	r = outq_append(q, frame, 0, copy);
	if (r != 0) {
		(void)close(copy);
		return r;
	}
	return outq_flush(q, sock);
}
