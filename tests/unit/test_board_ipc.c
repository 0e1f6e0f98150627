/*
 * Channels between roles: what the table forbids closes the channel, and every call is answered exactly once whatever
 * happens.
 */
#include "tests/lib/channel.h"

/* ---- frames that are refused ------------------------------------------------------------------------------------- */

/* Sends a bare header; the channel must close before any body came. */
static void
must_close(uint32_t len, uint16_t type, uint16_t zero)
{
	struct end signer = {.messages = 0};
	int sock = open_bare(&signer);
	uint8_t frame[16];
	char c;

	CHECK_INT(write(sock, frame, frame_build(frame, len, type, zero, 1)), 16);
	run_until(&signer.closed, 1);
	CHECK_INT(signer.messages, 0);
	CHECK_INT(read(sock, &c, 1), 0);
	settle();
	CHECK_INT(signer.closed, 1);
	CHECK_INT(ipc_send(signer.ipc, MSG_SPKI, 1, (struct bytes){NULL, 0}, -1), ERR_CLOSED);
	end_free(&signer);
	close(sock);
}

TEST(what_the_table_forbids_closes_the_channel_at_its_header)
{
	must_close(0, MSG_NONE, 0);
	must_close(0, MSG_TYPE_COUNT, 0);
	must_close(0, 0xffff, 0);
	must_close(0, MSG_STOP, 0);     /* the parent's alone */
	must_close(0, MSG_DECISION, 0); /* not for the signer */
	must_close(0, MSG_SPKI, 0);     /* the signer's own */
	must_close((uint32_t)msg_limit(MSG_PUBLIC_KEY) + 1, MSG_PUBLIC_KEY, 0);
	must_close(0xffffffff, MSG_SIGN, 0);
	must_close(1, MSG_PUBLIC_KEY, 1);
	must_close(1, MSG_PUBLIC_KEY, 0x8000);
}

TEST(frames_before_the_forbidden_one_are_delivered)
{
	struct end signer = {.messages = 0};
	int sock = open_bare(&signer);
	uint8_t frames[33];
	size_t len = frame_build(frames, 1, MSG_PUBLIC_KEY, 0, 7);

	frames[len++] = KEY_CA;
	len += frame_build(frames + len, 0, MSG_STOP, 0, 8);
	CHECK_INT(write(sock, frames, len), (ssize_t)len);
	run_until(&signer.closed, 1);
	CHECK_INT(signer.messages, 1);
	CHECK_INT(signer.last_id, 7);
	end_free(&signer);
	close(sock);
}

TEST(sending_what_the_table_forbids_is_refused)
{
	struct end front = {.messages = 0};
	struct end signer = {.messages = 0};
	static uint8_t body[64];

	open_both(&front, ROLE_FRONT, &signer, ROLE_SIGNER);
	CHECK_INT(ipc_send(front.ipc, MSG_STOP, 0, (struct bytes){body, 1}, -1), ERR_DENIED);
	CHECK_INT(ipc_send(front.ipc, MSG_SPKI, 0, (struct bytes){body, 1}, -1), ERR_DENIED);
	CHECK_INT(ipc_send(front.ipc, 0xffff, 0, (struct bytes){body, 1}, -1), ERR_DENIED);
	CHECK_INT(ipc_send(front.ipc, MSG_PUBLIC_KEY, 0, (struct bytes){body, 17}, -1), ERR_DENIED);
	CHECK_INT(ipc_call(front.ipc, MSG_STOP, (struct bytes){body, 1}, 10, NULL, NULL), ERR_DENIED);
	CHECK_INT(ipc_open_calls(front.ipc), 0);
	CHECK_INT(ipc_send(front.ipc, MSG_PUBLIC_KEY, 0, (struct bytes){body, 16}, -1), 0);
	run_until(&signer.messages, 1);
	end_free(&front);
	end_free(&signer);
}

TEST(every_truncation_is_no_message_and_closes_once)
{
	uint8_t frame[17];

	for (size_t n = 0; n < sizeof(frame); n++) {
		struct end signer = {.messages = 0};
		int sock = open_bare(&signer);

		frame[frame_build(frame, 1, MSG_PUBLIC_KEY, 0, 7)] = KEY_CA;
		CHECK_INT(write(sock, frame, n), (ssize_t)n);
		close(sock);
		run_until(&signer.closed, 1);
		CHECK_INT(signer.messages, 0);
		end_free(&signer);
	}
}

TEST(frames_that_come_byte_by_byte_are_put_together)
{
	struct end signer = {.messages = 0};
	int sock = open_bare(&signer);
	uint8_t frame[17];

	frame[frame_build(frame, 1, MSG_PUBLIC_KEY, 0, 7)] = KEY_CA;
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < sizeof(frame); i++) {
			CHECK_INT(signer.messages, round);
			CHECK_INT(write(sock, frame + i, 1), 1);
			loop_run_once(loop, 20);
		}
	}
	CHECK_INT(signer.messages, 3);
	CHECK_INT(signer.closed, 0);
	end_free(&signer);
	close(sock);
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

TEST(a_call_gets_its_answer_once)
{
	struct end front = {.messages = 0};
	struct end signer = {.answers = true};
	struct answers answers = {0};

	open_both(&front, ROLE_FRONT, &signer, ROLE_SIGNER);
	for (int i = 0; i < 1000; i++)
		CHECK_INT(call_key(&front, 5000, &answers), 0);
	CHECK_INT(ipc_open_calls(front.ipc), 1000);
	run_until(&answers.count, 1000);
	CHECK_INT(answers.ok, 1000);
	CHECK_INT(front.messages, 0);
	CHECK_INT(ipc_open_calls(front.ipc), 0);
	end_free(&front);
	end_free(&signer);
	CHECK_INT(answers.count, 1000);
}

TEST(a_call_without_an_answer_times_out_once_and_a_late_answer_is_dropped)
{
	struct end front = {.messages = 0};
	struct end signer = {.messages = 0};
	struct answers answers = {0};
	struct msg_spki late = {.code = 0};

	open_both(&front, ROLE_FRONT, &signer, ROLE_SIGNER);
	CHECK_INT(call_key(&front, 15, &answers), 0);
	run_until(&answers.count, 1);
	CHECK_INT(answers.timeouts, 1);
	run_until(&signer.messages, 1);
	CHECK_INT(msg_spki_send(signer.ipc, signer.last_id, &late), 0);
	settle();
	CHECK_INT(answers.count, 1);
	CHECK_INT(front.messages, 0);
	/* The slot is used again, and the late answer is not taken for this call's. */
	CHECK_INT(call_key(&front, 5000, &answers), 0);
	CHECK_INT(msg_spki_send(signer.ipc, signer.last_id, &late), 0);
	settle();
	CHECK_INT(answers.count, 1);
	CHECK_INT(ipc_open_calls(front.ipc), 1);
	CHECK_INT(msg_spki_send(signer.ipc, signer.last_id, &late), 0);
	run_until(&answers.count, 2);
	CHECK_INT(answers.ok, 1);
	end_free(&front);
	end_free(&signer);
}

TEST(an_earlier_deadline_is_not_held_up_by_a_later_one)
{
	struct end front = {.messages = 0};
	struct end signer = {.messages = 0};
	struct answers late = {0};
	struct answers soon = {0};

	open_both(&front, ROLE_FRONT, &signer, ROLE_SIGNER);
	CHECK_INT(call_key(&front, 60000, &late), 0);
	CHECK_INT(call_key(&front, 10, &soon), 0);
	CHECK_INT(call_key(&front, 30, &soon), 0);
	run_until(&soon.count, 2);
	CHECK_INT(soon.timeouts, 2);
	CHECK_INT(late.count, 0);
	end_free(&front);
	CHECK_INT(late.closed, 1);
	end_free(&signer);
}

TEST(calls_open_when_the_peer_closes_are_answered_before_on_closed)
{
	struct end front = {.free_on_closed = true};
	struct end signer = {.messages = 0};
	struct answers answers = {0};

	open_both(&front, ROLE_FRONT, &signer, ROLE_SIGNER);
	for (int i = 0; i < 100; i++)
		CHECK_INT(call_key(&front, 5000, &answers), 0);
	answers.calls = &front;
	end_free(&signer);
	run_until(&front.closed, 1);
	CHECK_INT(answers.closed, 100);
	CHECK_INT(answers.count, 100);
	CHECK(front.ipc == NULL);
}

TEST(freeing_answers_open_calls_and_is_safe_inside_their_answers)
{
	struct end front = {.messages = 0};
	struct end signer = {.answers = true};
	struct answers answers = {0};

	open_both(&front, ROLE_FRONT, &signer, ROLE_SIGNER);
	for (int i = 0; i < 100; i++)
		CHECK_INT(call_key(&front, 5000, &answers), 0);
	answers.frees = &front;
	run_until(&answers.count, 100);
	CHECK_INT(answers.ok, 1);
	CHECK_INT(answers.closed, 99);
	CHECK_INT(front.closed, 0);
	end_free(&signer);
	ipc_free(NULL);
}

TEST(freeing_inside_a_timeout_is_safe)
{
	struct end front = {.messages = 0};
	struct end signer = {.messages = 0};
	struct answers answers = {0};

	open_both(&front, ROLE_FRONT, &signer, ROLE_SIGNER);
	for (int i = 0; i < 40; i++)
		CHECK_INT(call_key(&front, 5, &answers), 0);
	answers.frees = &front;
	run_until(&answers.count, 40);
	CHECK_INT(answers.timeouts, 1);
	CHECK_INT(answers.closed, 39);
	end_free(&signer);
}

TEST(freeing_inside_a_message_drops_the_frames_behind_it)
{
	struct end front = {.messages = 0};
	struct end signer = {.free_on_message = true};
	struct answers answers = {0};

	open_both(&front, ROLE_FRONT, &signer, ROLE_SIGNER);
	for (int i = 0; i < 10; i++)
		CHECK_INT(call_key(&front, 5000, &answers), 0);
	run_until(&front.closed, 1);
	CHECK_INT(signer.messages, 1);
	CHECK_INT(answers.closed, 10);
	end_free(&front);
}

TEST(more_calls_than_the_limit_are_refused)
{
	struct end front = {.messages = 0};
	struct end signer = {.answers = true};
	struct answers answers = {0};

	open_both(&front, ROLE_FRONT, &signer, ROLE_SIGNER);
	for (int i = 0; i < IPC_CALL_LIMIT; i++)
		CHECK_INT(call_key(&front, 5000, &answers), 0);
	CHECK_INT(call_key(&front, 5000, &answers), ERR_BUSY);
	run_until(&answers.count, IPC_CALL_LIMIT);
	CHECK_INT(answers.ok, IPC_CALL_LIMIT);
	CHECK_INT(call_key(&front, 5000, &answers), 0);
	run_until(&answers.count, IPC_CALL_LIMIT + 1);
	end_free(&front);
	end_free(&signer);
}

TEST(both_sides_may_call_at_once_without_mixing_ids)
{
	struct end parent = {.messages = 0};
	struct end signer = {.messages = 0};
	struct answers unused = {0};
	struct msg_stop stop = {0};
	struct msg_ready ready = {0};

	open_both(&parent, ROLE_PARENT, &signer, ROLE_SIGNER);
	CHECK_INT(msg_stop_call(parent.ipc, &stop, 5000, on_answer, &unused), 0);
	CHECK_INT(msg_ready_call(signer.ipc, &ready, 5000, on_answer, &unused), 0);
	run_until(&parent.messages, 1);
	run_until(&signer.messages, 1);
	CHECK_INT(unused.count, 0);
	CHECK(parent.last_id != signer.last_id);
	end_free(&parent);
	end_free(&signer);
	CHECK_INT(unused.closed, 2);
}

TEST(messages_with_small_ids_are_no_answers)
{
	struct end front = {.messages = 0};
	struct end signer = {.messages = 0};
	struct answers answers = {0};
	struct msg_spki spki = {.code = 0};

	open_both(&front, ROLE_FRONT, &signer, ROLE_SIGNER);
	CHECK_INT(call_key(&front, 5000, &answers), 0);
	for (uint64_t id = 0; id < 3; id++)
		CHECK_INT(msg_spki_send(signer.ipc, id, &spki), 0);
	run_until(&front.messages, 3);
	CHECK_INT(answers.count, 0);
	end_free(&front);
	end_free(&signer);
}

TEST_MAIN(CASE(what_the_table_forbids_closes_the_channel_at_its_header),
	  CASE(frames_before_the_forbidden_one_are_delivered), CASE(sending_what_the_table_forbids_is_refused),
	  CASE(every_truncation_is_no_message_and_closes_once), CASE(frames_that_come_byte_by_byte_are_put_together),
	  CASE(a_call_gets_its_answer_once), CASE(a_call_without_an_answer_times_out_once_and_a_late_answer_is_dropped),
	  CASE(an_earlier_deadline_is_not_held_up_by_a_later_one),
	  CASE(calls_open_when_the_peer_closes_are_answered_before_on_closed),
	  CASE(freeing_answers_open_calls_and_is_safe_inside_their_answers), CASE(freeing_inside_a_timeout_is_safe),
	  CASE(freeing_inside_a_message_drops_the_frames_behind_it), CASE(more_calls_than_the_limit_are_refused),
	  CASE(both_sides_may_call_at_once_without_mixing_ids), CASE(messages_with_small_ids_are_no_answers))
