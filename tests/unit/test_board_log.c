/*
 * What an operator finds in the log: one whole line per event, nothing that a peer smuggled in, and an account of what
 * is missing.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "board/base/clock.h"
#include "board/base/log.h"
#include "board/base/thread.h"

enum { CAPTURE = 1 << 20 };

static int reader;
static int saved_stderr;
static char captured[CAPTURE];

/* Descriptor 2 becomes a non-blocking pipe, as it is in a role. */
static int
capture_start(void **state)
{
	int fds[2];

	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) != 0)
		return -1;
	reader = fds[0];
	saved_stderr = dup(2);
	if (dup2(fds[1], 2) < 0)
		return -1;
	close(fds[1]);
	log_init("front", LOG_LEVEL_INFO);
	return 0;
}

static int
capture_stop(void **state)
{
	dup2(saved_stderr, 2);
	close(saved_stderr);
	close(reader);
	clock_set_fake(-1, -1);
	return 0;
}

/* All that was logged since the last time. */
static const char *
logged(void)
{
	size_t len = 0;
	ssize_t n;

	while ((n = read(reader, captured + len, CAPTURE - 1 - len)) > 0)
		len += (size_t)n;
	captured[len] = '\0';
	return captured;
}

static int
count_lines(const char *text, const char *what)
{
	int count = 0;

	while ((text = strstr(text, what)) != NULL) {
		count++;
		text++;
	}
	return count;
}

TEST(an_event_is_one_line_with_all_keys)
{
	clock_set_fake(1795348800, 1000);
	log_event(ROLE_STARTED, "signer", 42);
	CHECK_TEXT(logged(), "time=2026-11-22T12:00:00.000Z role=front level=info event=ROLE_STARTED name=signer "
			     "pid=42\n");
}

TEST(an_event_that_ndes_has_too_says_its_number)
{
	log_event(STOPPING, "SIGTERM");
	CHECK(strstr(logged(), " event=STOPPING ndes=3 cause=SIGTERM\n") != NULL);
	log_event(SCEP_NOT_SCEP, "192.0.2.1", log_text("x"));
	CHECK(strstr(logged(), " event=SCEP_NOT_SCEP ndes=16 peer=192.0.2.1 ") != NULL);
	log_event(CONFIG_RELOADED, "x");
	CHECK(strstr(logged(), "ndes") == NULL);
}

TEST(what_is_less_urgent_than_the_level_is_left_out)
{
	log_init("signer", LOG_LEVEL_WARNING);
	log_event(ROLE_STARTED, "x", 1);
	CHECK_TEXT(logged(), "");
	log_event(CONFIG_RESTART_NEEDED, "x");
	CHECK_INT(count_lines(logged(), "role=signer level=warning"), 1);
}

TEST(levels_are_parsed_from_their_names)
{
	CHECK_INT(log_level_parse("error"), LOG_LEVEL_ERROR);
	CHECK_INT(log_level_parse("debug"), LOG_LEVEL_DEBUG);
	CHECK_INT(log_level_parse("Debug"), -1);
	CHECK_INT(log_level_parse(""), -1);
}

TEST(a_peer_cannot_forge_a_line_or_a_key)
{
	CHECK_TEXT(log_text("a b\n\"\\\x1b\xff"
			    "c"),
		   "\"a b\\x0a\\x22\\x5c\\x1b\\xffc\"");
	CHECK_TEXT(log_text(NULL), "\"\"");
	CHECK_TEXT(log_bytes((struct bytes){(const uint8_t *)"a\0b", 3}), "\"a\\x00b\"");
	CHECK_TEXT(log_hex((struct bytes){(const uint8_t *)"\x01\xab", 2}), "01ab");
	/* Even when the caller forgot. */
	log_event(CONFIG_REFUSED, "x\nevent=FORGED\x1b[2J");
	CHECK_INT(count_lines(logged(), "\n"), 1);
	CHECK(strstr(captured, "x?event=FORGED?[2J\n") != NULL);
}

TEST(long_text_is_cut_and_shows_it)
{
	char text[1001];
	const char *out;

	memset(text, '\n', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	out = log_text(text);
	CHECK_INT(strlen(out), 200 * 4 + 5);
	CHECK_TEXT(out + strlen(out) - 5, "a\"...");
	CHECK_INT(strlen(log_hex((struct bytes){(const uint8_t *)text, 1000})), 403);
	CHECK_TEXT(log_text("short"), "\"short\"");
}

TEST(sixteen_escaped_texts_live_side_by_side)
{
	const char *out[16];
	char want[8];

	for (int i = 0; i < 16; i++) {
		char c[2] = {(char)('a' + i), '\0'};

		out[i] = log_text(c);
	}
	for (int i = 0; i < 16; i++) {
		(void)snprintf(want, sizeof(want), "\"%c\"", 'a' + i);
		CHECK_TEXT(out[i], want);
	}
}

TEST(a_line_longer_than_a_pipe_takes_at_once_is_cut)
{
	static char text[10000];

	memset(text, 'x', sizeof(text) - 1);
	log_event(CONFIG_REFUSED, text);
	CHECK(strlen(logged()) <= 4096);
	CHECK_INT(count_lines(captured, "\n"), 1);
	CHECK_INT(captured[strlen(captured) - 1], '\n');
}

TEST(a_storm_of_one_event_is_suppressed_and_counted)
{
	clock_set_fake(1000, 1000000);
	for (int i = 0; i < LOG_BURST + 57; i++)
		log_event(CONFIG_REFUSED, "again");
	log_event(CONFIG_RELOADED, "others still pass");
	CHECK_INT(count_lines(logged(), "event=CONFIG_REFUSED"), LOG_BURST);
	CHECK_INT(count_lines(captured, "event=CONFIG_RELOADED"), 1);
	clock_set_fake(1001, 1001000);
	log_event(CONFIG_RELOADED, "the next second");
	CHECK_INT(count_lines(logged(), "event=LOG_SUPPRESSED name=CONFIG_REFUSED count=57\n"), 1);
	clock_set_fake(1002, 1002000);
	log_event(CONFIG_REFUSED, "again");
	CHECK_INT(count_lines(logged(), "LOG_SUPPRESSED"), 0);
	CHECK_INT(count_lines(captured, "event=CONFIG_REFUSED"), 1);
}

/* The sum of what the LOG_DROPPED lines of text say. */
static long
sum_dropped(const char *text)
{
	static const char key[] = "event=LOG_DROPPED count=";
	long sum = 0;

	while ((text = strstr(text, key)) != NULL) {
		text += sizeof(key) - 1;
		sum += strtol(text, NULL, 10);
	}
	return sum;
}

TEST(a_reader_that_does_not_read_costs_lines_but_never_waits)
{
	static char text[2000];
	long lost;

	memset(text, 'y', sizeof(text) - 1);
	while (write(2, text, sizeof(text) - 1) > 0)
		;
	CHECK_INT(errno, EAGAIN);
	for (int i = 0; i < 20; i++)
		log_event(CONFIG_REFUSED, text);
	/* A short report may still have found room in the pipe. */
	lost = sum_dropped(logged());
	CHECK_INT(count_lines(captured, "event=CONFIG_REFUSED"), 0);
	log_event(CONFIG_RELOADED, "read again");
	lost += sum_dropped(logged());
	CHECK_INT(lost, 20);
	CHECK_INT(count_lines(captured, "event=CONFIG_RELOADED"), 1);
	log_event(CONFIG_RELOADED, "no second report");
	CHECK_INT(count_lines(logged(), "LOG_DROPPED"), 0);
}

TEST(errno_survives)
{
	errno = ENOENT;
	log_event(CONFIG_RELOADED, "x");
	CHECK_INT(errno, ENOENT);
}

static void *
log_many(void *arg)
{
	for (int i = 0; i < 100; i++)
		log_event(CONFIG_RESTART_NEEDED, log_text("thread"));
	return NULL;
}

TEST(threads_do_not_mix_their_lines)
{
	pthread_t threads[4];
	int whole;

	clock_set_fake(2000, 2000000);
	for (size_t i = 0; i < 4; i++)
		CHECK_INT(thread_start("log", log_many, NULL, &threads[i]), 0);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	whole = count_lines(logged(), "level=warning event=CONFIG_RESTART_NEEDED setting=\"thread\"\n");
	CHECK_INT(whole, LOG_BURST);
	clock_set_fake(2001, 2001000);
	log_event(CONFIG_RELOADED, "x");
	CHECK_INT(count_lines(logged(), "name=CONFIG_RESTART_NEEDED count=200\n"), 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, capture_start, capture_stop)

TEST_MAIN(CASE(an_event_is_one_line_with_all_keys), CASE(an_event_that_ndes_has_too_says_its_number),
	  CASE(what_is_less_urgent_than_the_level_is_left_out), CASE(levels_are_parsed_from_their_names),
	  CASE(a_peer_cannot_forge_a_line_or_a_key), CASE(long_text_is_cut_and_shows_it),
	  CASE(sixteen_escaped_texts_live_side_by_side), CASE(a_line_longer_than_a_pipe_takes_at_once_is_cut),
	  CASE(a_storm_of_one_event_is_suppressed_and_counted),
	  CASE(a_reader_that_does_not_read_costs_lines_but_never_waits), CASE(errno_survives),
	  CASE(threads_do_not_mix_their_lines))
