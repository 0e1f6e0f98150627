/*
 * tests/lib/channel - two ends of a channel in one loop, and an account of what happened to them
 *
 * For the tests of board/base/ipc.  One test program has one loop, made for each test by CASE().
 */
#ifndef TESTS_LIB_CHANNEL_H
#define TESTS_LIB_CHANNEL_H

#include "tests/lib/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "board/base/clock.h"
#include "board/base/ipc.h"
#include "board/base/log.h"
#include "board/msg.h"

#define UNUSED __attribute__((unused))

enum { PATIENCE_MS = 4000 };

/* One end and what happened to it. */
struct end {
	struct ipc *ipc;
	int messages;
	int closed;
	size_t body_bytes;
	uint16_t last_type;
	uint64_t last_id;
	int kept_fd;
	bool answers; /* a public_key request is answered with an spki */
	bool keeps_fd;
	bool free_on_message;
	bool free_on_closed;
};

static struct loop *loop;

static UNUSED void
end_free(struct end *end)
{
	ipc_free(TAKE(end->ipc));
}

static UNUSED void
on_message(struct ipc *ipc, struct ipc_message *message, void *arg)
{
	struct end *end = arg;
	struct msg_spki answer = {.code = 0, .spki = {(const uint8_t *)"key", 3}};

	end->messages++;
	end->body_bytes += message->body.len;
	end->last_type = message->type;
	end->last_id = message->id;
	if (end->keeps_fd && message->fd >= 0) {
		end->kept_fd = message->fd;
		message->fd = -1;
	}
	if (end->answers && message->type == MSG_PUBLIC_KEY)
		(void)!msg_spki_send(ipc, message->id, &answer);
	if (end->free_on_message)
		end_free(end);
}

static UNUSED void
on_closed(struct ipc *ipc, void *arg)
{
	struct end *end = arg;

	end->closed++;
	CHECK_INT(ipc_open_calls(ipc), 0);
	if (end->free_on_closed)
		end_free(end);
}

static UNUSED void
end_open(struct end *end, int fd, enum role self, enum role peer)
{
	const struct ipc_handlers handlers = {.on_message = on_message, .on_closed = on_closed, .arg = end};

	end->kept_fd = -1;
	CHECK_INT(ipc_new(loop, fd, self, peer, &handlers, &end->ipc), 0);
}

/* A channel between two roles. */
static UNUSED void
open_both(struct end *a, enum role role_a, struct end *b, enum role role_b)
{
	int fds[2];

	CHECK_INT(ipc_pair(fds, NULL), 0);
	end_open(a, fds[0], role_a, role_b);
	end_open(b, fds[1], role_b, role_a);
}

/* A channel of the signer to front, whose end is the bare socket that is returned. */
static UNUSED int
open_bare(struct end *signer)
{
	int fds[2];

	CHECK_INT(ipc_pair(fds, NULL), 0);
	end_open(signer, fds[0], ROLE_SIGNER, ROLE_FRONT);
	return fds[1];
}

static UNUSED void
run_until(const int *flag, int want)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;

	while (*flag < want && clock_mono_ms() < end)
		loop_run_once(loop, 20);
	CHECK_INT(*flag, want);
}

/* Lets everything happen that is about to happen. */
static UNUSED void
settle(void)
{
	for (int i = 0; i < 8; i++)
		loop_run_once(loop, 1);
}

static UNUSED int
setup(void **state)
{
	/* Refused frames are logged; here that is noise. */
	log_init("test", (enum log_level) - 1);
	return loop_new(&loop);
}

static UNUSED int
teardown(void **state)
{
	loop_free(TAKE(loop));
	return 0;
}

static UNUSED size_t
frame_build(uint8_t *out, uint32_t len, uint16_t type, uint16_t zero, uint64_t id)
{
	AUTO_BUF b;

	buf_init(&b, 64);
	buf_put_u32(&b, len);
	buf_put_u16(&b, type);
	buf_put_u16(&b, zero);
	buf_put_u64(&b, id);
	memcpy(out, b.data, b.len);
	return b.len;
}

struct answers {
	int count;
	int ok;
	int timeouts;
	int closed;
	struct end *frees; /* this end is freed by the first answer */
	struct end *calls; /* this end is called again by the first answer */
};

static int call_key(struct end *end, int timeout_ms, struct answers *answers) UNUSED;

static UNUSED void
on_answer(int code, const struct ipc_message *message, void *arg)
{
	struct answers *answers = arg;
	struct end *again = answers->calls;
	struct msg_spki spki;

	answers->count++;
	answers->ok += code == 0;
	answers->timeouts += code == ERR_TIMEOUT;
	answers->closed += code == ERR_CLOSED;
	CHECK((code == 0) == (message != NULL));
	if (message != NULL)
		CHECK_INT(msg_spki_get(message->body, &spki), 0);
	if (again != NULL) {
		answers->calls = NULL;
		CHECK_INT(call_key(again, 5000, answers), code == ERR_CLOSED ? ERR_CLOSED : 0);
	}
	if (answers->frees != NULL)
		end_free(TAKE(answers->frees));
}

static UNUSED int
call_key(struct end *end, int timeout_ms, struct answers *answers)
{
	struct msg_public_key request = {.key_class = KEY_CA};

	return msg_public_key_call(end->ipc, &request, timeout_ms, on_answer, answers);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
