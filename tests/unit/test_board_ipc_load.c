/*
 * Channels under load: a backlog is bounded, no byte is lost or read twice, and descriptors arrive with their frame.
 */
#include "tests/lib/channel.h"

#include <sys/socket.h>

enum { BIG = 3 * 1024 * 1024 };

/* ---- backlog ----------------------------------------------------------------------------------------------------- */

TEST(a_peer_that_does_not_read_costs_a_bounded_backlog)
{
	struct end signer = {.messages = 0};
	int sock = open_bare(&signer);
	static uint8_t body[4096];
	int sent = 0;
	int r;

	while ((r = ipc_send(signer.ipc, MSG_SPKI, 1, (struct bytes){body, sizeof(body)}, -1)) == 0)
		sent++;
	CHECK_INT(r, ERR_BUSY);
	CHECK(ipc_backlog(signer.ipc) >= IPC_OUT_LIMIT);
	CHECK(ipc_backlog(signer.ipc) < IPC_OUT_LIMIT + 2 * sizeof(body));
	CHECK(sent > IPC_OUT_LIMIT / 5000);
	end_free(&signer);
	close(sock);
}

TEST(a_call_that_meets_a_full_backlog_fails_and_is_not_answered)
{
	struct end authority = {.messages = 0};
	struct answers answers = {0};
	struct bytes big = {calloc(1, 16 << 20), 16 << 20};
	int fds[2];

	CHECK_INT(ipc_pair(fds, NULL), 0);
	end_open(&authority, fds[0], ROLE_AUTHORITY, ROLE_SIGNER);
	while (ipc_backlog(authority.ipc) < IPC_OUT_LIMIT)
		CHECK_INT(ipc_send(authority.ipc, MSG_SIGN, 0, big, -1), 0);
	CHECK_INT(call_key(&authority, 5000, &answers), ERR_BUSY);
	CHECK_INT(ipc_open_calls(authority.ipc), 0);
	end_free(&authority);
	CHECK_INT(answers.count, 0);
	close(fds[1]);
	free((void *)(uintptr_t)big.data);
}

TEST(large_and_small_messages_arrive_whole_and_in_order)
{
	struct end authority = {.messages = 0};
	struct end signer = {.messages = 0};
	uint8_t *body = malloc(BIG);
	struct msg_sign sign = {.key_class = KEY_CA, .data = {body, BIG - 7}};
	struct answers answers = {0};

	memset(body, 0x5a, BIG);
	open_both(&authority, ROLE_AUTHORITY, &signer, ROLE_SIGNER);
	for (int i = 0; i < 3; i++) {
		CHECK_INT(msg_sign_send(authority.ipc, 5, &sign), 0);
		CHECK_INT(call_key(&authority, 5000, &answers), 0);
	}
	CHECK(ipc_backlog(authority.ipc) > 0);
	run_until(&signer.messages, 6);
	CHECK_INT(signer.body_bytes, 3 * (BIG + 2));
	CHECK_INT(ipc_backlog(authority.ipc), 0);
	CHECK_INT(signer.last_type, MSG_PUBLIC_KEY);
	end_free(&authority);
	end_free(&signer);
	free(body);
}

TEST(what_was_sent_before_a_close_arrives)
{
	struct end front = {.messages = 0};
	struct end signer = {.messages = 0};
	struct answers answers = {0};

	open_both(&front, ROLE_FRONT, &signer, ROLE_SIGNER);
	for (int i = 0; i < 150; i++)
		CHECK_INT(call_key(&front, 5000, &answers), 0);
	CHECK_INT(ipc_backlog(front.ipc), 0);
	end_free(&front);
	run_until(&signer.closed, 1);
	CHECK_INT(signer.messages, 150);
	end_free(&signer);
}

TEST(writing_to_a_closed_peer_fails_and_still_reads_what_it_said)
{
	struct end signer = {.messages = 0};
	int sock = open_bare(&signer);
	uint8_t frame[17];
	struct msg_spki spki = {.code = 0};

	frame[frame_build(frame, 1, MSG_PUBLIC_KEY, 0, 7)] = KEY_CA;
	CHECK_INT(write(sock, frame, sizeof(frame)), sizeof(frame));
	close(sock);
	CHECK_INT(msg_spki_send(signer.ipc, 7, &spki), ERR_CLOSED);
	CHECK_INT(msg_spki_send(signer.ipc, 7, &spki), ERR_CLOSED);
	CHECK_INT(signer.closed, 0);
	run_until(&signer.closed, 1);
	CHECK_INT(signer.messages, 1);
	settle();
	CHECK_INT(signer.closed, 1);
	end_free(&signer);
}

TEST(a_peer_that_only_stops_reading_is_closed_too)
{
	struct end signer = {.messages = 0};
	int sock = open_bare(&signer);
	struct msg_spki spki = {.code = 0};
	static uint8_t frame[16 + 150000];

	/* Several reads' worth, so that the end is noticed only after the last of them. */
	(void)frame_build(frame, sizeof(frame) - 16, MSG_SIGN, 0, 7);
	CHECK_INT(write(sock, frame, sizeof(frame)), sizeof(frame));
	CHECK_INT(shutdown(sock, SHUT_RD), 0);
	CHECK_INT(msg_spki_send(signer.ipc, 7, &spki), ERR_CLOSED);
	run_until(&signer.closed, 1);
	CHECK_INT(signer.messages, 1);
	end_free(&signer);
	close(sock);
}

/* ---- descriptors ------------------------------------------------------------------------------------------------- */

static int
open_fds(void)
{
	int count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static ino_t
inode(int fd)
{
	struct stat st = {.st_ino = 0};

	CHECK_INT(fstat(fd, &st), 0);
	return st.st_ino;
}

static void
send_peer(struct end *parent, int index, int fd)
{
	struct msg_peer peer = {.peer = ROLE_FRONT, .index = (uint16_t)index};
	AUTO_BUF b;

	buf_init(&b, 64);
	msg_peer_put(&b, &peer);
	CHECK_INT(ipc_send(parent->ipc, MSG_PEER, (uint64_t)index, buf_bytes(&b), fd), 0);
}

TEST(a_descriptor_that_nobody_keeps_is_closed)
{
	struct end parent = {.messages = 0};
	struct end signer = {.messages = 0};
	int before, fds[2];

	open_both(&parent, ROLE_PARENT, &signer, ROLE_SIGNER);
	CHECK_INT(pipe(fds), 0);
	before = open_fds();
	for (int i = 0; i < 10; i++)
		send_peer(&parent, i, fds[0]);
	run_until(&signer.messages, 10);
	CHECK_INT(open_fds(), before);
	end_free(&parent);
	end_free(&signer);
	close(fds[0]);
	close(fds[1]);
}

/* The descriptor's inode must be that of the pipe with the message's id. */
struct fd_check {
	ino_t inodes[20];
	int messages;
	int with_fd;
};

static void
on_fd_message(struct ipc *ipc, struct ipc_message *message, void *arg)
{
	struct fd_check *check = arg;

	check->messages++;
	CHECK_INT(message->type == MSG_PEER, message->fd >= 0);
	if (message->fd < 0)
		return;
	check->with_fd++;
	CHECK_INT(inode(message->fd), check->inodes[message->id]);
	CHECK(fcntl(message->fd, F_GETFD) & FD_CLOEXEC);
}

TEST(descriptors_arrive_with_their_own_frame_among_others)
{
	struct end parent = {.messages = 0};
	struct fd_check check = {.messages = 0};
	const struct ipc_handlers handlers = {.on_message = on_fd_message, .arg = &check};
	struct bytes big = {calloc(1, 60000), 60000};
	struct ipc *signer = NULL;
	int pair[2], fds[2], before = open_fds();

	CHECK_INT(ipc_pair(pair, NULL), 0);
	end_open(&parent, pair[0], ROLE_PARENT, ROLE_SIGNER);
	CHECK_INT(ipc_new(loop, pair[1], ROLE_SIGNER, ROLE_PARENT, &handlers, &signer), 0);
	for (int i = 0; i < 20; i++) {
		/* Enough to make most of it wait in the queue. */
		CHECK_INT(ipc_send(parent.ipc, MSG_CONFIG, 99, big, -1), 0);
		CHECK_INT(pipe(fds), 0);
		check.inodes[i] = inode(fds[0]);
		send_peer(&parent, i, fds[0]);
		close(fds[0]);
		close(fds[1]);
		CHECK_INT(ipc_send(parent.ipc, MSG_SECRET, 99, (struct bytes){big.data, 9}, -1), 0);
	}
	run_until(&check.messages, 60);
	CHECK_INT(check.with_fd, 20);
	ipc_free(signer);
	end_free(&parent);
	CHECK_INT(open_fds(), before);
	free((void *)(uintptr_t)big.data);
}

TEST(a_kept_descriptor_works)
{
	struct end parent = {.messages = 0};
	struct end signer = {.keeps_fd = true};
	int fds[2];
	char c;

	open_both(&parent, ROLE_PARENT, &signer, ROLE_SIGNER);
	CHECK_INT(pipe(fds), 0);
	send_peer(&parent, 1, fds[1]);
	close(fds[1]);
	run_until(&signer.messages, 1);
	CHECK_INT(write(signer.kept_fd, "x", 1), 1);
	CHECK_INT(read(fds[0], &c, 1), 1);
	close(signer.kept_fd);
	close(fds[0]);
	end_free(&parent);
	end_free(&signer);
}

static void
send_raw_fds(int sock, const void *data, size_t len, const int *fds, size_t count)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * 4)];
	} control = {.space = {0}};
	struct iovec iov = {(void *)(uintptr_t)data, len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control};

	msg.msg_controllen = CMSG_SPACE(sizeof(int) * count);
	CMSG_FIRSTHDR(&msg)->cmsg_level = SOL_SOCKET;
	CMSG_FIRSTHDR(&msg)->cmsg_type = SCM_RIGHTS;
	CMSG_FIRSTHDR(&msg)->cmsg_len = CMSG_LEN(sizeof(int) * count);
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), fds, sizeof(int) * count);
	CHECK_INT(sendmsg(sock, &msg, 0), (ssize_t)len);
}

TEST(more_than_one_descriptor_closes_the_channel_and_leaks_none)
{
	int before = open_fds();

	for (size_t count = 2; count <= 4; count++) {
		struct end signer = {.messages = 0};
		int sock = open_bare(&signer);
		const int fds[4] = {sock, sock, sock, sock};
		uint8_t frame[17];

		frame[frame_build(frame, 1, MSG_PUBLIC_KEY, 0, 7)] = KEY_CA;
		send_raw_fds(sock, frame, sizeof(frame), fds, count);
		run_until(&signer.closed, 1);
		end_free(&signer);
		close(sock);
	}
	CHECK_INT(open_fds(), before);
}

TEST(a_descriptor_for_each_piece_of_a_frame_closes_the_channel_and_leaks_none)
{
	int before = open_fds();
	struct end signer = {.messages = 0};
	int sock = open_bare(&signer);
	uint8_t frame[17];

	frame[frame_build(frame, 1, MSG_PUBLIC_KEY, 0, 7)] = KEY_CA;
	for (size_t i = 0; i < 3; i++) {
		send_raw_fds(sock, frame + i, 1, &sock, 1);
		loop_run_once(loop, 20);
	}
	run_until(&signer.closed, 1);
	CHECK_INT(signer.messages, 0);
	end_free(&signer);
	close(sock);
	CHECK_INT(open_fds(), before);
}

/* ---- the rest ---------------------------------------------------------------------------------------------------- */

TEST(one_busy_channel_leaves_the_loop_to_others)
{
	struct end front = {.messages = 0};
	struct end signer = {.messages = 0};
	struct answers answers = {0};

	open_both(&front, ROLE_FRONT, &signer, ROLE_SIGNER);
	for (int i = 0; i < 1000; i++)
		CHECK_INT(call_key(&front, 5000, &answers), 0);
	loop_run_once(loop, 20);
	CHECK(signer.messages > 0);
	CHECK(signer.messages <= 128);
	run_until(&signer.messages, 1000);
	end_free(&front);
	end_free(&signer);
}

TEST(a_channel_knows_its_peer_and_index)
{
	struct end front = {.messages = 0};
	struct end signer = {.messages = 0};

	open_both(&front, ROLE_FRONT, &signer, ROLE_SIGNER);
	CHECK_INT(ipc_peer(signer.ipc), ROLE_FRONT);
	CHECK_INT(ipc_index(signer.ipc), 0);
	ipc_set_index(signer.ipc, 3);
	CHECK_INT(ipc_index(signer.ipc), 3);
	CHECK_TEXT(ipc_role_name(ROLE_PROVISION), "provision");
	CHECK_TEXT(ipc_role_name(ROLE_COUNT), "unknown");
	end_free(&front);
	end_free(&signer);
}

TEST(a_descriptor_that_is_none_is_not_taken_over)
{
	const struct ipc_handlers handlers = {.on_message = NULL};
	struct ipc *ipc = NULL;

	CHECK(ipc_new(loop, -1, ROLE_FRONT, ROLE_SIGNER, &handlers, &ipc) != 0);
	CHECK(ipc == NULL);
}

TEST_MAIN(CASE(a_peer_that_does_not_read_costs_a_bounded_backlog),
	  CASE(a_call_that_meets_a_full_backlog_fails_and_is_not_answered),
	  CASE(large_and_small_messages_arrive_whole_and_in_order), CASE(what_was_sent_before_a_close_arrives),
	  CASE(writing_to_a_closed_peer_fails_and_still_reads_what_it_said),
	  CASE(a_peer_that_only_stops_reading_is_closed_too), CASE(a_descriptor_that_nobody_keeps_is_closed),
	  CASE(descriptors_arrive_with_their_own_frame_among_others), CASE(a_kept_descriptor_works),
	  CASE(more_than_one_descriptor_closes_the_channel_and_leaks_none),
	  CASE(a_descriptor_for_each_piece_of_a_frame_closes_the_channel_and_leaks_none),
	  CASE(one_busy_channel_leaves_the_loop_to_others), CASE(a_channel_knows_its_peer_and_index),
	  CASE(a_descriptor_that_is_none_is_not_taken_over))
