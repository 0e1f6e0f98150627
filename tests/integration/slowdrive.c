/*
 * slowdrive - slow and idle peers, and too many of them, against a live appliance
 *
 *	slowdrive ADDRESS PORT TLS_PORT SECONDS CONNECTIONS
 *
 * SECONDS are front.idle_s and front.answer_s, CONNECTIONS is front.connections_per_address.  While all the slow peers
 * of ADDRESS hang on, another address is served.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/drive.h"

enum {
	TICK_MS = 100,
	EARLY_MS = 300,        /* the deadline runs from the accept, and may come that much before ours */
	LATE_MS = 2000,        /* a busy machine */
	PROMPT_MS = 1000,      /* what other peers may have to wait for an answer */
	UNREAD_MAX = 64 << 20, /* more than the kernel keeps for both sides */
};

#define OTHER_ADDRESS "127.0.0.2"
#define GET_CAPS      "GET /scep?operation=GetCACaps HTTP/1.1\r\nHost: t\r\n\r\n"
#define POST_HEAD     "POST /scep?operation=PKIOperation HTTP/1.1\r\nHost: t\r\n"

/* A slow peer: what it sends at once, and what it sends again and again, an octet at each tick. */
struct peer {
	const char *what;
	const char *first;
	const char *drip; /* NULL: nothing more */
	bool is_tls;
	bool has_answer; /* first gets one, after which the wait begins anew */
	struct drive line;
	double begin_ms;
	double closed_ms; /* 0 while open */
};

static struct peer peers[] = {
	{.what = "a connection on which nothing comes", .first = ""},
	{.what = "a request line that stops", .first = "GET /scep?oper"},
	{.what = "a request line in drips", .first = "G", .drip = "E"},
	{.what = "a header that stops", .first = "GET /scep HTTP/1.1\r\nHost: t\r\n"},
	{.what = "a header in drips", .first = "GET /scep HTTP/1.1\r\nX: ", .drip = "x"},
	{.what = "a body that stops", .first = POST_HEAD "Content-Length: 1000\r\n\r\n0"},
	{.what = "a body in drips", .first = POST_HEAD "Content-Length: 1000\r\n\r\n", .drip = "0"},
	{.what = "chunks in drips", .first = POST_HEAD "Transfer-Encoding: chunked\r\n\r\n3e8\r\n", .drip = "0"},
	{.what = "a body of 2^63-1 octets that stops",
	 .first = POST_HEAD "Content-Length: 9223372036854775807\r\n\r\n"},
	{.what = "a body of 2^63-1 octets in drips",
	 .first = POST_HEAD "Content-Length: 9223372036854775807\r\n\r\n",
	 .drip = "0"},
	{.what = "a connection kept after its answer", .first = GET_CAPS, .has_answer = true},
	{.what = "a TLS connection on which nothing comes", .first = "", .is_tls = true},
	{.what = "a TLS handshake in drips", .first = "\x16\x03\x01\x02", .drip = "\x01", .is_tls = true},
};

static void
peer_open(struct peer *peer, const char *address, int port, int tls_port)
{
	struct drive_answer answer;

	peer->line = (struct drive){.address = address, .port = peer->is_tls ? tls_port : port, .fd = -1};
	peer->begin_ms = drive_now_ms();
	if (drive_dial(&peer->line) != 0 || drive_send(&peer->line, bytes_of_text(peer->first)) != 0)
		drive_check(false, "%s: the connection can be made", peer->what);
	if (peer->has_answer) {
		drive_receive(&peer->line, &answer);
		peer->begin_ms = drive_now_ms();
	}
}

/* Drips, and looks whether the connection is still there. */
static void
peer_tick(struct peer *peer)
{
	struct pollfd ready = {.fd = peer->line.fd, .events = POLLIN};
	char text[512];

	if (peer->closed_ms != 0)
		return;
	if (poll(&ready, 1, 0) == 1 && recv(peer->line.fd, text, sizeof(text), 0) <= 0) {
		peer->closed_ms = drive_now_ms();
		return;
	}
	if (peer->drip != NULL && send(peer->line.fd, peer->drip, 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
	    errno != EAGAIN)
		peer->closed_ms = drive_now_ms();
}

/* Asks from another address, on a connection of its own; the longest wait so far. */
static double
ask_other(const char *address, int port, double longest_ms)
{
	struct drive other = {.address = address, .port = port, .from = OTHER_ADDRESS, .fd = -1};
	struct drive_answer answer;
	double begin_ms = drive_now_ms(), took_ms;

	drive_ask(&other, bytes_of_text(GET_CAPS), &answer);
	took_ms = drive_now_ms() - begin_ms;
	if (answer.status != 200)
		drive_check(false, "another address is served: HTTP %d", answer.status);
	drive_close(&other);
	return took_ms > longest_ms ? took_ms : longest_ms;
}

static void
slow_peers(const char *address, int port, int tls_port, int limit_ms)
{
	double end_ms, longest_ms = 0;
	size_t i;
	long ms;

	for (i = 0; i < ARRAY_SIZE(peers); i++)
		peer_open(&peers[i], address, port, tls_port);
	end_ms = drive_now_ms() + limit_ms + LATE_MS;
	while (drive_now_ms() < end_ms) {
		for (i = 0; i < ARRAY_SIZE(peers); i++)
			peer_tick(&peers[i]);
		longest_ms = ask_other(address, port, longest_ms);
		usleep(TICK_MS * 1000);
	}
	for (i = 0; i < ARRAY_SIZE(peers); i++) {
		ms = (long)(peers[i].closed_ms - peers[i].begin_ms);
		if (!drive_check(peers[i].closed_ms != 0 && ms > limit_ms - EARLY_MS, "%s: closed in time",
				 peers[i].what))
			drive_note("closed after %ld ms", peers[i].closed_ms != 0 ? ms : -1);
		drive_close(&peers[i].line);
	}
	drive_check(longest_ms < PROMPT_MS, "meanwhile another address waits %.1f ms at most", longest_ms);
}

/* Sends requests and reads nothing, until the server takes no more. */
static void
unread_answers(const char *address, int port, int limit_ms)
{
	struct drive line = {.address = address, .port = port, .receive_size = 4096, .fd = -1};
	static const char ask[] = "GET /scep?operation=GetCACert HTTP/1.1\r\n\r\n";
	struct pollfd end = {.events = 0}, room = {.events = POLLOUT};
	double begin_ms = drive_now_ms();
	size_t sent = 0;
	int rc;

	if (drive_dial(&line) != 0 || fcntl(line.fd, F_SETFL, O_NONBLOCK) != 0) {
		drive_check(false, "a connection can be made");
		return;
	}
	end.fd = room.fd = line.fd;
	while (sent < UNREAD_MAX && poll(&room, 1, 500) == 1 && (room.revents & (POLLERR | POLLHUP)) == 0) {
		if (send(line.fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL) > 0)
			sent += sizeof(ask) - 1;
	}
	drive_check(sent < UNREAD_MAX, "who does not read is not read without end (%zu KiB were)", sent / 1024);
	rc = poll(&end, 1, limit_ms + LATE_MS);
	drive_check(rc == 1 && drive_now_ms() - begin_ms > limit_ms - EARLY_MS,
		    "a peer that does not read its answers: closed after %.0f ms", drive_now_ms() - begin_ms);
	ask_other(address, port, 0);
	drive_close(&line);
}

static void
too_many(const char *address, int port, int limit)
{
	struct drive *lines = calloc((size_t)limit + 5, sizeof(*lines));
	struct drive_answer answer;
	int i, served = 0, refused = 0;

	if (lines == NULL)
		exit(1);
	for (i = 0; i < limit + 5; i++) {
		lines[i] = (struct drive){.address = address, .port = port, .wait_ms = PROMPT_MS, .fd = -1};
		answer.status = DRIVE_TIMEOUT;
		if (drive_dial(&lines[i]) == 0 && drive_send(&lines[i], bytes_of_text(GET_CAPS)) == 0)
			drive_receive(&lines[i], &answer);
		served += answer.status == 200;
		refused += answer.status == DRIVE_CLOSED;
	}
	drive_check_int(limit, served, "%d connections of one address are served", limit);
	drive_check_int(5, refused, "and those beyond are closed at once");
	drive_check(ask_other(address, port, 0) < PROMPT_MS, "while another address is served");
	for (i = 0; i < limit + 5; i++)
		drive_close(&lines[i]);
	free(lines);
}

/* The places of connections that ended are free again. */
static void
again(const char *address, int port)
{
	struct drive line = {.address = address, .port = port, .fd = -1};
	double end_ms = drive_now_ms() + LATE_MS;
	struct drive_answer answer;

	do
		drive_ask(&line, bytes_of_text(GET_CAPS), &answer);
	while (answer.status != 200 && drive_now_ms() < end_ms);
	drive_check_int(200, answer.status, "and the first address again, once they are gone");
	drive_close(&line);
}

int
main(int argc, char **argv)
{
	int port, limit_ms;

	if (argc != 6) {
		fputs("usage: slowdrive ADDRESS PORT TLS_PORT SECONDS CONNECTIONS\n", stderr);
		return 2;
	}
	port = atoi(argv[2]);
	limit_ms = atoi(argv[4]) * 1000;
	slow_peers(argv[1], port, atoi(argv[3]), limit_ms);
	unread_answers(argv[1], port, limit_ms);
	too_many(argv[1], port, atoi(argv[5]));
	again(argv[1], port);
	return drive_finish();
}
