/*
 * board/base/ipc - see ipc.h
 *
 * Descriptors: outq.h sends one alone with its frame, and a recvmsg() ends after the piece that carried one.  So it
 * belongs to the frame that holds the last byte of that read.
 */
#include "board/base/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "board/base/calls.h"
#include "board/base/clock.h"
#include "board/base/log.h"
#include "board/base/outq.h"
#include "board/msg.h"

enum {
	IPC_HEADER = 16,
	IPC_IN_SIZE = 64 * 1024, /* bytes read at once */
	IPC_FRAMES_MAX = 64,     /* handled in one turn of the loop */
};

struct ipc_frame {
	size_t total; /* header and body */
	uint16_t type;
	uint64_t id;
};

struct ipc {
	struct loop *loop;
	int fd;
	struct loop_fd *watch;
	struct loop_timer *deadline; /* for the call that expires first */
	struct loop_timer *kick;     /* frames are left over, or writing failed */
	enum role self;
	enum role peer;
	unsigned index;
	struct ipc_handlers handlers;

	bool open;
	bool freed;     /* ipc_free() came; the memory goes when depth is 0 */
	bool send_dead; /* writing failed; what the peer sent before is still read */
	bool want_write;
	unsigned depth; /* calls from the loop that are inside this channel */

	uint8_t *in;
	size_t in_cap;
	size_t in_start;
	size_t in_end;
	uint64_t in_pos; /* how many bytes of the stream came before in[in_start] */
	struct {
		int fd;
		uint64_t pos; /* of the last byte that was read together with it */
	} in_fd[2];
	size_t in_fds;

	struct outq out;

	struct calls calls;
	int64_t armed; /* when the deadline timer is due; INT64_MAX when it is not set */
};

/* ---- closing ----------------------------------------------------------------------------------------------------- */

/* Gives back everything but the memory that a callback may still look at. */
static void
channel_shut(struct ipc *ipc)
{
	ipc->open = false;
	loop_fd_free(TAKE(ipc->watch));
	loop_timer_free(TAKE(ipc->deadline));
	loop_timer_free(TAKE(ipc->kick));
	if (ipc->fd >= 0)
		(void)close(ipc->fd);
	ipc->fd = -1;
	for (size_t i = 0; i < ipc->in_fds; i++)
		(void)close(ipc->in_fd[i].fd);
	ipc->in_fds = 0;
	outq_fini(&ipc->out);
}

/* Whoever is called may free the channel, which comes here again: each call is taken out before its function runs. */
static void
calls_fail(struct ipc *ipc)
{
	uint32_t next = 0;
	struct call call;

	while (calls_take_due(&ipc->calls, INT64_MAX, &next, &call))
		call.fn(ERR_CLOSED, NULL, call.arg);
}

static void
channel_enter(struct ipc *ipc)
{
	ipc->depth++;
}

static void
channel_leave(struct ipc *ipc)
{
	if (--ipc->depth > 0 || !ipc->freed)
		return;
	if (ipc->in != NULL) {
		explicit_bzero(ipc->in, ipc->in_cap);
		free(ipc->in);
	}
	calls_fini(&ipc->calls);
	free(ipc);
}

/* The peer is gone or is not to be trusted. */
static void
channel_end(struct ipc *ipc)
{
	channel_shut(ipc);
	calls_fail(ipc);
	if (!ipc->freed && ipc->handlers.on_closed != NULL)
		ipc->handlers.on_closed(ipc, ipc->handlers.arg);
}

static void
channel_refuse(struct ipc *ipc, uint16_t type, const char *cause)
{
	log_event(IPC_REFUSED, ipc_role_name(ipc->peer), ipc_role_name(ipc->self), (unsigned)type, cause);
	channel_end(ipc);
}

void
ipc_free(struct ipc *ipc)
{
	if (ipc == NULL || ipc->freed)
		return;
	ipc->freed = true;
	channel_enter(ipc);
	channel_shut(ipc);
	calls_fail(ipc);
	channel_leave(ipc);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* The header at the start of what was read, when it is complete. */
static bool
frame_header(const struct ipc *ipc, struct ipc_frame *ret_frame, uint16_t *ret_zero)
{
	struct view v;

	/* First, because there is no memory at all before the first byte came. */
	if (ipc->in_end - ipc->in_start < IPC_HEADER)
		return false;
	v = (struct view){.next = ipc->in + ipc->in_start, .left = ipc->in_end - ipc->in_start};
	ret_frame->total = (size_t)IPC_HEADER + view_u32(&v);
	ret_frame->type = view_u16(&v);
	*ret_zero = view_u16(&v);
	ret_frame->id = view_u64(&v);
	return true;
}

/* True with a whole frame that the table allows.  Another closes the channel as soon as its header came. */
static bool
frame_next(struct ipc *ipc, struct ipc_frame *ret_frame)
{
	struct ipc_frame frame;
	uint16_t zero;
	size_t len;

	if (!frame_header(ipc, &frame, &zero))
		return false;
	len = frame.total - IPC_HEADER;
	if (!msg_allowed(frame.type, ipc->peer, ipc->self, 0)) {
		channel_refuse(ipc, frame.type, "type");
		return false;
	}
	if (!msg_allowed(frame.type, ipc->peer, ipc->self, len)) {
		channel_refuse(ipc, frame.type, "length");
		return false;
	}
	if (zero != 0) {
		channel_refuse(ipc, frame.type, "header");
		return false;
	}
	*ret_frame = frame;
	return ipc->in_end - ipc->in_start >= frame.total;
}

static void
message_deliver(struct ipc *ipc, struct ipc_message *message)
{
	struct call call;

	switch (calls_take(&ipc->calls, message->id, &call)) {
	case CALLS_OPEN:
		call.fn(0, message, call.arg);
		break;
	case CALLS_LATE:
		break;
	case CALLS_NONE:
		if (ipc->handlers.on_message != NULL)
			ipc->handlers.on_message(ipc, message, ipc->handlers.arg);
		break;
	}
}

/* The descriptor that came with the frame at the start of what was read, or -1. */
static int
frame_fd(struct ipc *ipc, size_t total)
{
	int fd;

	if (ipc->in_fds == 0 || ipc->in_fd[0].pos >= ipc->in_pos + total)
		return -1;
	fd = ipc->in_fd[0].fd;
	ipc->in_fd[0] = ipc->in_fd[1];
	ipc->in_fds--;
	return fd;
}

static void
frame_handle(struct ipc *ipc, const struct ipc_frame *frame)
{
	uint8_t *start = ipc->in + ipc->in_start;
	struct ipc_message message = {
		.type = frame->type,
		.id = frame->id,
		.body = {start + IPC_HEADER, frame->total - IPC_HEADER},
		.fd = frame_fd(ipc, frame->total),
	};

	message_deliver(ipc, &message);
	if (message.fd >= 0)
		(void)close(message.fd);
	/* PINs and content keys pass here. */
	explicit_bzero(start, frame->total);
	ipc->in_start += frame->total;
	ipc->in_pos += frame->total;
}

/* Handles whole frames until none is left, the channel is closed, or *budget is used up. */
static void
frames_handle(struct ipc *ipc, unsigned *budget)
{
	struct ipc_frame frame;

	while (*budget > 0 && ipc->open && frame_next(ipc, &frame)) {
		frame_handle(ipc, &frame);
		--*budget;
	}
}

/*
 * Room to read into, when no whole frame is left.  The buffer grows as bytes come, not because a header promises many,
 * and goes back when a large frame was handled.
 */
static int
in_room(struct ipc *ipc)
{
	size_t left = ipc->in_end - ipc->in_start;
	struct ipc_frame frame = {.total = IPC_IN_SIZE};
	uint16_t zero;
	size_t cap = IPC_IN_SIZE;
	uint8_t *in;

	if (ipc->in != NULL && ipc->in_start > 0) {
		memmove(ipc->in, ipc->in + ipc->in_start, left);
		explicit_bzero(ipc->in + left, ipc->in_start);
		ipc->in_start = 0;
		ipc->in_end = left;
	}
	if (ipc->in_end < ipc->in_cap && (left > 0 || ipc->in_cap == IPC_IN_SIZE))
		return 0;
	if (left > 0 && frame_header(ipc, &frame, &zero))
		cap = frame.total < ipc->in_cap * 2 ? frame.total : ipc->in_cap * 2;
	in = malloc(cap);
	if (in == NULL)
		return ERR_NOMEM;
	if (ipc->in != NULL) {
		memcpy(in, ipc->in, left);
		explicit_bzero(ipc->in, left);
		free(ipc->in);
	}
	ipc->in = in;
	ipc->in_cap = cap;
	return 0;
}

/* Keeps the descriptor that came with a read; closes what is too many.  False when there was too much. */
static bool
in_keep_fds(struct ipc *ipc, struct msghdr *msg)
{
	bool ok = (msg->msg_flags & MSG_CTRUNC) == 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (i > 0 || ipc->in_fds == ARRAY_SIZE(ipc->in_fd)) {
				(void)close(fd);
				ok = false;
				continue;
			}
			ipc->in_fd[ipc->in_fds].fd = fd;
			ipc->in_fd[ipc->in_fds++].pos = ipc->in_pos + (ipc->in_end - ipc->in_start) - 1;
		}
	}
	return ok;
}

/* Reads once. */
static void
in_read(struct ipc *ipc)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov;
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	ssize_t n;

	if (in_room(ipc) != 0) {
		channel_refuse(ipc, MSG_NONE, "memory");
		return;
	}
	iov = (struct iovec){ipc->in + ipc->in_end, ipc->in_cap - ipc->in_end};
	n = recvmsg(ipc->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0 && errno == EINTR)
		return;
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) && !ipc->send_dead)
		return;
	if (n <= 0) {
		channel_end(ipc);
		return;
	}
	ipc->in_end += (size_t)n;
	if (!in_keep_fds(ipc, &msg))
		channel_refuse(ipc, MSG_NONE, "descriptors");
}

static void
in_work(struct ipc *ipc)
{
	unsigned budget = IPC_FRAMES_MAX;

	frames_handle(ipc, &budget);
	if (ipc->open && budget > 0) {
		in_read(ipc);
		frames_handle(ipc, &budget);
	}
	/* The socket may be empty already, so it would not call again for what is left. */
	if (ipc->open && (budget == 0 || ipc->send_dead))
		loop_timer_set(ipc->kick, 0);
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

/* What every attempt to write ends with: r is its result. */
static int
write_done(struct ipc *ipc, int r)
{
	bool want;

	if (r == ERR_CLOSED) {
		ipc->send_dead = true;
		outq_fini(&ipc->out);
		/* on_closed must not come from inside ipc_send(). */
		loop_timer_set(ipc->kick, 0);
	}
	want = ipc->out.bytes > 0;
	if (want != ipc->want_write) {
		ipc->want_write = want;
		loop_fd_want(ipc->watch, want ? LOOP_READ | LOOP_WRITE : LOOP_READ);
	}
	return r;
}

static void
frame_put_header(uint8_t out[IPC_HEADER], size_t len, uint16_t type, uint64_t id)
{
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t)(len >> (24 - 8 * i));
	out[4] = (uint8_t)(type >> 8);
	out[5] = (uint8_t)type;
	out[6] = 0;
	out[7] = 0;
	for (int i = 0; i < 8; i++)
		out[8 + i] = (uint8_t)(id >> (56 - 8 * i));
}

int
ipc_send(struct ipc *ipc, uint16_t type, uint64_t id, struct bytes body, int fd)
{
	uint8_t header[IPC_HEADER];
	struct iovec frame[2] = {{header, sizeof(header)}, {(void *)(uintptr_t)body.data, body.len}};

	if (!msg_allowed(type, ipc->self, ipc->peer, body.len))
		return ERR_DENIED;
	if (!ipc->open || ipc->send_dead)
		return ERR_CLOSED;
	if (ipc->out.bytes >= IPC_OUT_LIMIT)
		return ERR_BUSY;
	frame_put_header(header, body.len, type, id);
	return write_done(ipc,
			  fd >= 0 ? outq_send_fd(&ipc->out, ipc->fd, frame, fd) : outq_send(&ipc->out, ipc->fd, frame));
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

static void
deadline_arm(struct ipc *ipc, int64_t deadline)
{
	int64_t wait = deadline - clock_mono_ms();

	if (!ipc->open || deadline >= ipc->armed)
		return;
	ipc->armed = deadline;
	/* One more, because the loop's clock is coarse and may be early. */
	loop_timer_set(ipc->deadline, wait > 0 ? wait + 1 : 0);
}

int
ipc_call(struct ipc *ipc, uint16_t type, struct bytes body, int timeout_ms, ipc_answer_fn fn, void *arg)
{
	int64_t deadline = clock_mono_ms() + (timeout_ms > 0 ? timeout_ms : 0);
	struct call undone;
	uint64_t id;
	int r;

	if (!msg_allowed(type, ipc->self, ipc->peer, body.len))
		return ERR_DENIED;
	r = calls_put(&ipc->calls, fn, arg, deadline, &id);
	if (r != 0)
		return r;
	r = ipc_send(ipc, type, id, body, -1);
	if (r != 0) {
		(void)calls_take(&ipc->calls, id, &undone);
		return r;
	}
	deadline_arm(ipc, deadline);
	return 0;
}

/* ---- called by the loop ------------------------------------------------------------------------------------------ */

static void
on_deadline(void *arg)
{
	struct ipc *ipc = arg;
	int64_t now = clock_mono_ms();
	uint32_t next = 0;
	struct call call;

	channel_enter(ipc);
	ipc->armed = INT64_MAX;
	while (calls_take_due(&ipc->calls, now, &next, &call))
		call.fn(ERR_TIMEOUT, NULL, call.arg);
	deadline_arm(ipc, calls_deadline(&ipc->calls));
	channel_leave(ipc);
}

static void
on_kick(void *arg)
{
	struct ipc *ipc = arg;

	channel_enter(ipc);
	in_work(ipc);
	channel_leave(ipc);
}

static void
on_ready(int fd, int ready, void *arg)
{
	struct ipc *ipc = arg;

	channel_enter(ipc);
	if ((ready & LOOP_WRITE) != 0)
		(void)write_done(ipc, outq_flush(&ipc->out, ipc->fd));
	if ((ready & LOOP_READ) != 0)
		in_work(ipc);
	channel_leave(ipc);
}

/* ---- making one -------------------------------------------------------------------------------------------------- */

static int
channel_watch(struct ipc *ipc, int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
		return ERR_IO;
	if (loop_timer_new(ipc->loop, on_deadline, ipc, &ipc->deadline) != 0 ||
	    loop_timer_new(ipc->loop, on_kick, ipc, &ipc->kick) != 0 ||
	    loop_fd_new(ipc->loop, fd, LOOP_READ, on_ready, ipc, &ipc->watch) != 0)
		return ERR_NOMEM;
	return 0;
}

int
ipc_new(struct loop *loop, int fd, enum role self, enum role peer, const struct ipc_handlers *handlers,
	struct ipc **ret_ipc)
{
	struct ipc *ipc = calloc(1, sizeof(*ipc));
	int r;

	if (ipc == NULL)
		return ERR_NOMEM;
	ipc->loop = loop;
	ipc->fd = -1;
	ipc->self = self;
	ipc->peer = peer;
	ipc->handlers = *handlers;
	ipc->armed = INT64_MAX;
	outq_init(&ipc->out);
	calls_init(&ipc->calls, self > peer);
	r = channel_watch(ipc, fd);
	if (r != 0) {
		ipc_free(ipc);
		return r;
	}
	ipc->fd = fd;
	ipc->open = true;
	*ret_ipc = ipc;
	return 0;
}

size_t
ipc_backlog(const struct ipc *ipc)
{
	return ipc->out.bytes;
}

size_t
ipc_open_calls(const struct ipc *ipc)
{
	return ipc->calls.open;
}

enum role
ipc_peer(const struct ipc *ipc)
{
	return ipc->peer;
}

unsigned
ipc_index(const struct ipc *ipc)
{
	return ipc->index;
}

void
ipc_set_index(struct ipc *ipc, unsigned index)
{
	ipc->index = index;
}

const char *
ipc_role_name(enum role role)
{
	static const char *const names[ROLE_COUNT] = {
		[ROLE_PARENT] = "parent",   [ROLE_FRONT] = "front",     [ROLE_AUTHORITY] = "authority",
		[ROLE_SIGNER] = "signer",   [ROLE_CONSOLE] = "console", [ROLE_PROVISION] = "provision",
		[ROLE_COURIER] = "courier",
	};

	return (unsigned)role < ROLE_COUNT ? names[role] : "unknown";
}

int
ipc_pair(int ret_fds[2], struct err *e)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
		return err_set(e, ERR_IO, (uint32_t)errno, "socketpair");
	ret_fds[0] = fds[0];
	ret_fds[1] = fds[1];
	return 0;
}
