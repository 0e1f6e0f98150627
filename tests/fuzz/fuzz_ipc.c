/*
 * board/base/ipc: whatever octets a role writes, its peer hears only messages of the table, in the order in which they
 * stand, and hangs up at the first frame that is none.  The first octet says who is who.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "board/msg.h"
#include "tests/fuzz/ground.h"

enum { TURNS = 64, HEADER = 16 };

static struct {
	struct loop *loop;
	enum role self;
	enum role peer;
	bool closed;
	struct view sent; /* what is still to be heard */
} w;

static void
on_message(struct ipc *ipc, struct ipc_message *message, void *arg)
{
	uint32_t len = view_u32(&w.sent);
	uint16_t type = view_u16(&w.sent);
	uint16_t zero = view_u16(&w.sent);
	uint64_t id = view_u64(&w.sent);
	struct bytes body = view_raw(&w.sent, len);

	HOLDS(!w.closed && !w.sent.bad && zero == 0 && message->fd == -1);
	HOLDS(type == message->type && id == message->id && bytes_equal(body, message->body));
	HOLDS(msg_allowed(message->type, w.peer, w.self, message->body.len));
}

static void
on_closed(struct ipc *ipc, void *arg)
{
	HOLDS(!w.closed);
	w.closed = true;
}

static bool
is_next_allowed(void)
{
	struct view v = w.sent;
	uint32_t len = view_u32(&v);
	uint16_t type = view_u16(&v);

	return v.left < 10 || (view_u16(&v) == 0 && msg_allowed(type, w.peer, w.self, len));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum role pairs[][2] = {
		{ROLE_SIGNER, ROLE_FRONT},      {ROLE_SIGNER, ROLE_AUTHORITY}, {ROLE_AUTHORITY, ROLE_FRONT},
		{ROLE_FRONT, ROLE_AUTHORITY},   {ROLE_FRONT, ROLE_SIGNER},     {ROLE_AUTHORITY, ROLE_SIGNER},
		{ROLE_AUTHORITY, ROLE_CONSOLE}, {ROLE_PARENT, ROLE_FRONT},     {ROLE_FRONT, ROLE_PARENT},
	};
	const struct ipc_handlers handlers = {.on_message = on_message, .on_closed = on_closed};
	struct bytes input = {data, size};
	uint8_t way = ground_take_u8(&input) % ARRAY_SIZE(pairs);
	struct ipc *ipc;
	int fds[2];

	if (w.loop == NULL)
		HOLDS(loop_new(&w.loop) == 0);
	w.self = pairs[way][0];
	w.peer = pairs[way][1];
	w.closed = false;
	w.sent = view_of(input);
	HOLDS(ipc_pair(fds, NULL) == 0);
	HOLDS(ipc_new(w.loop, fds[0], w.self, w.peer, &handlers, &ipc) == 0);
	HOLDS(input.len == 0 || write(fds[1], input.data, input.len) == (ssize_t)input.len);
	close(fds[1]);
	for (int turn = 0; turn < TURNS && !w.closed; turn++)
		loop_run_once(w.loop, 5);
	HOLDS(w.closed);
	/* Nothing good was left out: what is next is no whole message, or none that may come. */
	HOLDS(w.sent.left < HEADER || !is_next_allowed() ||
	      w.sent.left - HEADER <
		      (size_t)(w.sent.next[0] << 24 | w.sent.next[1] << 16 | w.sent.next[2] << 8 | w.sent.next[3]));
	ipc_free(ipc);
	loop_run_once(w.loop, 0);
	return 0;
}

void
fuzz_seeds(void)
{
	AUTO_BUF b;
	char name[20];

	buf_init(&b, 1000);
	for (int way = 0; way < 9; way++) {
		for (uint16_t type = 1; type < MSG_TYPE_COUNT; type++) {
			buf_clear(&b);
			for (uint32_t n = 0; n < 3; n++) {
				buf_put_u32(&b, n);
				buf_put_u16(&b, type);
				buf_put_u16(&b, 0);
				buf_put_u64(&b, n);
				buf_put_raw(&b, "abc", n);
			}
			snprintf(name, sizeof(name), "way%d-%u", way, (unsigned)type);
			ground_seed_way(name, (uint8_t)way, buf_bytes(&b));
		}
	}
}
