#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "board/base/clock.h"
#include "net/http.h"
#include "tests/lib/test.h"

enum { PATIENCE_MS = 4000, ANSWER_MAX = 1 << 16, BIG = 8 << 20 };

/* One loop with one listener, and what its handler was given. */
static struct {
	struct loop *loop;
	struct net_limit *limit;
	struct net_http *http;
	struct config conf;
	struct sockaddr_in address;
	struct net_http_request *kept[4]; /* those for /later */
	unsigned kept_count;
	unsigned seen;
	char big[BIG];
} w;

static void
on_request(struct net_http_request *request, void *arg)
{
	static const char *const methods[] = {"GET", "HEAD", "POST"};
	struct net_http_answer answer = {.status = 200, .type = "application/x-test"};
	char text[256];

	w.seen++;
	if (request->target.len == 6 && memcmp(request->target.data, "/later", 6) == 0) {
		w.kept[w.kept_count++] = request;
		return;
	}
	if (request->target.len == 4 && memcmp(request->target.data, "/big", 4) == 0) {
		answer.body = (struct bytes){(const uint8_t *)w.big, BIG};
		net_http_answer(request, &answer);
		return;
	}
	snprintf(text, sizeof(text), "%s %.*s %zu %s", methods[request->method], (int)request->target.len,
		 (const char *)request->target.data, request->body.len, request->peer);
	answer.body = bytes_of_text(text);
	answer.headers[0].name = "X-One";
	answer.headers[0].value = "1";
	net_http_answer(request, &answer);
}

static int
set_up(void **state)
{
	socklen_t size = sizeof(w.address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct err e = {0};

	memset(&w.kept, 0, sizeof(w.kept));
	w.kept_count = w.seen = 0;
	config_default(&w.conf);
	w.conf.front_idle_s = w.conf.front_answer_s = 60;
	w.conf.front_url_bytes = 200;
	w.conf.front_query_bytes = 100;
	w.conf.front_header_bytes = 2000;
	w.conf.front_body_bytes = 5000;
	w.address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (bind(fd, (struct sockaddr *)&w.address, size) != 0 ||
	    getsockname(fd, (struct sockaddr *)&w.address, &size) != 0)
		return -1;
	if (loop_new(&w.loop) != 0 || net_limit_new(100, 100, &w.limit) != 0 ||
	    net_http_new(w.loop, &w.conf, w.limit, on_request, NULL, &w.http) != 0)
		return -1;
	return net_http_listen(w.http, fd, NET_HTTP_PLAIN, &e);
}

static int
tear_down(void **state)
{
	net_http_free(TAKE(w.http));
	for (unsigned i = 0; i < w.kept_count; i++)
		net_http_answer_text(w.kept[i], 200, "too late");
	loop_run_once(w.loop, 0);
	loop_free(w.loop);
	CHECK_INT(net_limit_total(w.limit), 0);
	CHECK_INT(net_limit_octets(w.limit), 0);
	net_limit_free(w.limit);
	return 0;
}

static void
reconfigure(void)
{
	net_http_configure(w.http, &w.conf);
}

/* ---- a client in the same thread: the loop runs while it waits --------------------------------------------------- */

static int
dial(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK_INT(connect(fd, (struct sockaddr *)&w.address, sizeof(w.address)), 0);
	CHECK_INT(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static void
say(int fd, const char *text)
{
	size_t len = strlen(text);
	int64_t end = clock_mono_ms() + PATIENCE_MS;

	while (len > 0 && clock_mono_ms() < end) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n > 0) {
			text += n;
			len -= (size_t)n;
		} else if (errno != EAGAIN) {
			return;
		}
		loop_run_once(w.loop, 1);
	}
}

/* Until the handler keeps so many requests for later. */
static void
await_kept(unsigned count)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;

	while (w.kept_count < count && clock_mono_ms() < end)
		loop_run_once(w.loop, 5);
	CHECK_INT(w.kept_count, count);
}

/* Until so many connections are counted. */
static void
await_open(unsigned count)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;

	while (net_limit_total(w.limit) != count && clock_mono_ms() < end)
		loop_run_once(w.loop, 5);
	CHECK_INT(net_limit_total(w.limit), count);
}

/* One answer up to what its Content-Length says, or all up to the end; -1 when the connection was closed first. */
static int
hear(int fd, char *out, bool is_head)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;
	size_t len = 0;

	while (clock_mono_ms() < end) {
		char *body;
		const char *length;
		ssize_t n = recv(fd, out + len, 1, 0);

		if (n == 0 || (n < 0 && errno != EAGAIN))
			return len > 0 ? (int)len : -1;
		if (n < 0) {
			loop_run_once(w.loop, 5);
			continue;
		}
		out[++len] = '\0';
		body = strstr(out, "\r\n\r\n");
		if (body == NULL)
			continue;
		length = strstr(out, "Content-Length: ");
		if (is_head || (length != NULL && len >= (size_t)(body + 4 - out) + strtoul(length + 16, NULL, 10)))
			return (int)len;
	}
	fail_msg("no answer");
	return -1;
}

static bool
is_closed(int fd)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;
	char c;

	while (clock_mono_ms() < end) {
		ssize_t n = recv(fd, &c, 1, 0);

		if (n == 0 || (n < 0 && errno != EAGAIN))
			return true;
		loop_run_once(w.loop, 5);
	}
	return false;
}

/* The status of the answer to text on a new connection; the whole answer in out. */
static int
ask(const char *text, char *out)
{
	int fd = dial();
	int status;

	say(fd, text);
	CHECK(hear(fd, out, strncmp(text, "HEAD", 4) == 0) > 12);
	close(fd);
	CHECK(sscanf(out, "HTTP/1.%*d %d", &status) == 1);
	return status;
}

/* ---- refused ---------------------------------------------------------------------------------------------------- */

TEST(other_methods_get_405)
{
	char out[ANSWER_MAX];

	CHECK_INT(ask("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", out), 405);
	CHECK(strstr(out, "Allow: GET, HEAD, POST\r\n") != NULL);
	CHECK_INT(ask("BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n", out), 405);
	CHECK_INT(ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", out), 405);
	CHECK_INT(ask("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", out), 405);
	CHECK_INT(w.seen, 0);
}

/* Found by tests/fuzz/fuzz_front: they were answered in the version that was asked for. */
TEST(versions_that_are_none_get_505)
{
	static const char *const odd[] = {"0.1", "0.9", "1.2", "1.77"};
	char text[100];
	char out[ANSWER_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		snprintf(text, sizeof(text), "GET /x HTTP/%s\r\nHost: a\r\n\r\n", odd[i]);
		CHECK_INT(ask(text, out), 505);
		CHECK(strncmp(out, "HTTP/1.1 505 ", 13) == 0);
	}
	CHECK_INT(w.seen, 0);
}

TEST(urls_and_queries_that_are_too_long_get_414)
{
	char text[600];
	char out[ANSWER_MAX];

	snprintf(text, sizeof(text), "GET /%0200d HTTP/1.1\r\nHost: a\r\n\r\n", 0);
	CHECK_INT(ask(text, out), 414);
	snprintf(text, sizeof(text), "GET /?%0101d HTTP/1.1\r\nHost: a\r\n\r\n", 0);
	CHECK_INT(ask(text, out), 414);
	CHECK_INT(w.seen, 0);
	snprintf(text, sizeof(text), "GET /?%0100d HTTP/1.1\r\nHost: a\r\n\r\n", 0);
	CHECK_INT(ask(text, out), 200);
}

TEST(headers_that_are_too_long_get_431)
{
	char text[3000];
	char out[ANSWER_MAX];

	snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\nX: %02000d\r\n\r\n", 0);
	CHECK_INT(ask(text, out), 431);
	CHECK(strstr(out, "(MaxRequestBytes)") != NULL);
	CHECK_INT(ask("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", out), 400);
	w.conf.front_field_bytes = 500;
	reconfigure();
	snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\nX: %0498d\r\n\r\n", 0);
	CHECK_INT(ask(text, out), 431);
	CHECK(strstr(out, "(MaxFieldLength)") != NULL);
	CHECK_INT(w.seen, 0);
	snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\nX: %0497d\r\n\r\n", 0);
	CHECK_INT(ask(text, out), 200);
}

TEST(limits_hold_for_the_next_request_of_a_connection_too)
{
	char text[3000];
	char out[ANSWER_MAX];
	int fd = dial();

	say(fd, "GET /one HTTP/1.1\r\nHost: a\r\n\r\n");
	CHECK(hear(fd, out, false) > 0);
	CHECK(strncmp(out, "HTTP/1.1 200 ", 13) == 0);
	snprintf(text, sizeof(text), "GET /two HTTP/1.1\r\nX: %02000d\r\n\r\n", 0);
	say(fd, text);
	CHECK(hear(fd, out, false) > 0);
	CHECK(strncmp(out, "HTTP/1.1 431 Request Header Fields Too Large\r\n", 46) == 0);
	CHECK(strstr(out, "\r\nConnection: close\r\n") != NULL);
	close(fd);
	snprintf(text, sizeof(text), "GET /one HTTP/1.1\r\nHost: a\r\n\r\nGET /two HTTP/1.1\r\nX: %02000d\r\n\r\n", 0);
	fd = dial();
	say(fd, text);
	CHECK(hear(fd, out, false) > 0);
	CHECK(strncmp(out, "HTTP/1.1 200 ", 13) == 0);
	CHECK(hear(fd, out, false) > 0);
	CHECK(strncmp(out, "HTTP/1.1 431 ", 13) == 0);
	CHECK_INT(w.seen, 2);
	close(fd);
}

/* Until connections hold so much. */
static void
await_octets(size_t least, size_t most)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;

	while ((net_limit_octets(w.limit) < least || net_limit_octets(w.limit) > most) && clock_mono_ms() < end)
		loop_run_once(w.loop, 5);
	CHECK(net_limit_octets(w.limit) >= least && net_limit_octets(w.limit) <= most);
}

TEST(large_bodies_share_a_bound_and_small_ones_are_always_let_in)
{
	static char text[70000];
	char out[ANSWER_MAX];
	int first = dial();
	int second = dial();

	w.conf.front_body_bytes = 100000;
	reconfigure();
	net_limit_set_octets(w.limit, 60000);
	snprintf(text, sizeof(text), "POST / HTTP/1.1\r\nContent-Length: 90000\r\n\r\n%060000d", 0);
	say(first, text);
	await_octets(40000, 60000);
	say(second, text);
	CHECK(hear(second, out, false) > 0);
	CHECK(strncmp(out, "HTTP/1.1 503 Service Unavailable\r\n", 34) == 0);
	CHECK(strstr(out, "\r\nRetry-After: 3\r\n") != NULL);
	CHECK(strstr(out, "front.body_bytes_total") != NULL);
	await_octets(40000, 60000);
	/* What was turned away may say what it likes. */
	say(second, text);
	loop_run_once(w.loop, 5);
	await_octets(40000, 60000);
	snprintf(text, sizeof(text), "POST / HTTP/1.1\r\nContent-Length: 5000\r\n\r\n%05000d", 0);
	CHECK_INT(ask(text, out), 200);
	close(first);
	await_octets(0, 0);
	snprintf(text, sizeof(text), "POST / HTTP/1.1\r\nContent-Length: 60000\r\n\r\n%060000d", 0);
	CHECK_INT(ask(text, out), 200);
	close(second);
}

TEST(many_small_fields_count_for_what_they_cost)
{
	static char text[40000];
	char out[ANSWER_MAX];

	w.conf.front_header_bytes = 100000;
	reconfigure();
	net_limit_set_octets(w.limit, 60000);
	strcpy(text, "GET / HTTP/1.1\r\n");
	for (size_t at = strlen(text); at < sizeof(text) - 10; at += 5)
		strcpy(text + at, "a:b\r\n");
	CHECK_INT(ask(text, out), 503);
	CHECK_INT(w.seen, 0);
}

TEST(what_a_peer_sent_that_went_away_is_held_until_it_is_answered)
{
	static char text[40000];
	int fd = dial();

	w.conf.front_body_bytes = 100000;
	reconfigure();
	snprintf(text, sizeof(text), "POST /later HTTP/1.1\r\nContent-Length: 30000\r\n\r\n%030000d", 0);
	say(fd, text);
	await_kept(1);
	close(fd);
	/* evhttp sees that the peer is gone when it writes, or with the connections at the end. */
	CHECK(net_limit_octets(w.limit) > 10000);
	net_http_free(TAKE(w.http));
	CHECK(net_limit_octets(w.limit) > 10000);
	net_http_answer_text(w.kept[0], 200, "too late");
	w.kept_count = 0;
	CHECK_INT(net_limit_octets(w.limit), 0);
}

TEST(bodies_that_are_too_long_get_413)
{
	char text[7000];
	char out[ANSWER_MAX];

	snprintf(text, sizeof(text), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5001\r\n\r\n%05001d", 0);
	CHECK_INT(ask(text, out), 413);
	snprintf(text, sizeof(text),
		 "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1389\r\n%05001d\r\n0\r\n\r\n", 0);
	CHECK_INT(ask(text, out), 413);
	CHECK_INT(w.seen, 0);
	snprintf(text, sizeof(text), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n%05000d", 0);
	CHECK_INT(ask(text, out), 200);
}

TEST(what_is_not_http_gets_400_or_nothing)
{
	char out[ANSWER_MAX];

	CHECK_INT(ask("what is this, some other protocol?\r\n\r\n", out), 400);
	CHECK_INT(ask("GET / HTTP/1.1\r\nno colon here\r\n\r\n", out), 400);
	CHECK_INT(ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", out), 400);
	CHECK_INT(ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1x\r\n\r\n", out), 400);
	CHECK_INT(w.seen, 0);
}

TEST(head_with_a_body_is_refused_and_ends_the_connection)
{
	char out[ANSWER_MAX];
	int fd = dial();

	say(fd, "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n");
	CHECK(hear(fd, out, true) > 0);
	CHECK(strncmp(out, "HTTP/1.1 400 ", 13) == 0);
	CHECK(is_closed(fd));
	CHECK_INT(w.seen, 0);
	close(fd);
}

/* ---- served ----------------------------------------------------------------------------------------------------- */

TEST(a_handler_sees_method_target_body_and_peer)
{
	char out[ANSWER_MAX];

	CHECK_INT(ask("GET /a?b=c+d%20e HTTP/1.1\r\nHost: a\r\n\r\n", out), 200);
	CHECK(strstr(out, "\r\n\r\nGET /a?b=c+d%20e 0 127.0.0.1") != NULL);
	CHECK(strstr(out, "\r\nContent-Type: application/x-test\r\n") != NULL);
	CHECK(strstr(out, "\r\nX-One: 1\r\n") != NULL);
	CHECK_INT(ask("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", out), 200);
	CHECK(strstr(out, "\r\n\r\nPOST /p 3 127.0.0.1") != NULL);
	CHECK_INT(ask("POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n", out),
		  200);
	CHECK(strstr(out, "\r\n\r\nPOST /c 4 127.0.0.1") != NULL);
}

TEST(head_gets_the_fields_and_no_body)
{
	char out[ANSWER_MAX];

	CHECK_INT(ask("HEAD /h HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", out), 200);
	CHECK(strstr(out, "\r\nContent-Length: 19\r\n") != NULL); /* HEAD /h 0 127.0.0.1 */
	CHECK_TEXT(strstr(out, "\r\n\r\n"), "\r\n\r\n");
}

TEST(http_1_0_without_host_is_served_and_closed)
{
	char out[ANSWER_MAX];
	int fd = dial();

	say(fd, "GET /old HTTP/1.0\r\n\r\n");
	CHECK(hear(fd, out, false) > 0);
	CHECK(strncmp(out, "HTTP/1.0 200 ", 13) == 0);
	CHECK(is_closed(fd));
	close(fd);
}

TEST(a_connection_carries_many_requests_also_pipelined)
{
	char out[ANSWER_MAX];
	int fd = dial();

	for (int i = 0; i < 3; i++) {
		say(fd, "GET /k HTTP/1.1\r\nHost: a\r\n\r\n");
		CHECK(hear(fd, out, false) > 0);
	}
	say(fd,
	    "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 1\r\n\r\nxGET /3 HTTP/1.1\r\n\r\n");
	CHECK(hear(fd, out, false) > 0);
	CHECK(strstr(out, "GET /1 0 ") != NULL);
	CHECK(hear(fd, out, false) > 0);
	CHECK(strstr(out, "POST /2 1 ") != NULL);
	CHECK(hear(fd, out, false) > 0);
	CHECK(strstr(out, "GET /3 0 ") != NULL);
	CHECK_INT(w.seen, 6);
	close(fd);
}

TEST(a_page_is_sent_as_it_is_and_304_has_no_body)
{
	struct net_http_answer answer = {.status = 304};
	char out[ANSWER_MAX];
	AUTO_STRUCT(net_page) page = NULL;
	int fd = dial();

	CHECK_INT(net_page_new("application/pkix-crl", bytes_of_text("CRL"), 784111777, 0, &page), 0);
	CHECK_TEXT(page->last_modified, "Sun, 06 Nov 1994 08:49:37 GMT");
	answer.page = page;
	say(fd, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
	say(fd, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
	await_kept(1);
	net_http_answer(w.kept[0], &answer);
	CHECK(hear(fd, out, true) > 0);
	CHECK(strstr(out, " 304 ") != NULL && strstr(out, "Content-Length") == NULL);
	await_kept(2);
	answer.status = 200;
	net_http_answer(w.kept[1], &answer);
	w.kept_count = 0;
	net_page_free(TAKE(page)); /* before the peer has it */
	CHECK(hear(fd, out, false) > 0);
	CHECK_TEXT(strstr(out, "\r\n\r\n"), "\r\n\r\nCRL");
	close(fd);
}

/* glibc's function would open a socket for this, and the front's list of system calls would end the process. */
TEST(the_address_of_a_link_local_peer_is_asked_of_nobody)
{
	struct sockaddr_in6 peer = {.sin6_family = AF_INET6, .sin6_port = htons(80), .sin6_scope_id = 1};
	struct sockaddr other = {.sa_family = AF_UNIX};
	char host[64];
	char port[8];

	CHECK_INT(inet_pton(AF_INET6, "fe80::1", &peer.sin6_addr), 1);
	CHECK_INT(getnameinfo((struct sockaddr *)&peer, sizeof(peer), host, sizeof(host), port, sizeof(port), 0), 0);
	CHECK_TEXT(host, "fe80::1");
	CHECK_TEXT(port, "80");
	CHECK_INT(getnameinfo(&other, sizeof(other), host, sizeof(host), port, sizeof(port), 0), EAI_FAMILY);
}

/* ---- limits and deadlines --------------------------------------------------------------------------------------- */

TEST(more_connections_than_one_address_may_have_are_closed)
{
	char out[ANSWER_MAX];
	int fds[3];

	net_limit_set(w.limit, 100, 2);
	for (int i = 0; i < 3; i++) {
		fds[i] = dial();
		loop_run_once(w.loop, 20);
	}
	CHECK(is_closed(fds[2]));
	say(fds[1], "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	CHECK(hear(fds[1], out, false) > 0);
	close(fds[0]);
	close(fds[2]);
	await_open(1);
	CHECK_INT(ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n", out), 200);
	close(fds[1]);
}

TEST(more_connections_than_in_all_allowed_are_closed)
{
	int fds[200];
	int open = 0;
	char c;

	net_limit_set(w.limit, 150, 1000);
	for (int i = 0; i < 200; i++)
		fds[i] = dial();
	for (int i = 0; i < 20; i++)
		loop_run_once(w.loop, 5);
	await_open(150);
	for (int i = 0; i < 200; i++)
		open += recv(fds[i], &c, 1, 0) < 0 && errno == EAGAIN;
	CHECK_INT(open, 150);
	for (int i = 0; i < 200; i++)
		close(fds[i]);
	await_open(0);
}

TEST(idle_and_drip_feeding_peers_are_closed_in_time)
{
	int64_t start = clock_mono_ms();
	int idle;
	int slow;
	int i;

	w.conf.front_idle_s = 1;
	reconfigure();
	idle = dial();
	slow = dial();
	say(slow, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000\r\n\r\n");
	for (i = 0; i < 100 && net_limit_total(w.limit) > 0 + (i < 3); i++) {
		say(slow, "x");
		loop_run_once(w.loop, 50);
	}
	CHECK(is_closed(slow));
	CHECK(is_closed(idle));
	CHECK(clock_mono_ms() - start < 2500);
	CHECK_INT(w.seen, 0);
	close(idle);
	close(slow);
}

TEST(the_idle_time_begins_anew_with_each_answer)
{
	char out[ANSWER_MAX];
	int64_t end = clock_mono_ms() + 1600;
	int fd;

	w.conf.front_idle_s = 1;
	reconfigure();
	fd = dial();
	while (clock_mono_ms() < end) {
		say(fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
		CHECK(hear(fd, out, false) > 0);
		for (int64_t pause = clock_mono_ms() + 400; clock_mono_ms() < pause;)
			loop_run_once(w.loop, 20);
	}
	CHECK(is_closed(fd));
	close(fd);
}

TEST(a_peer_that_does_not_read_its_answer_is_closed)
{
	int small = 4096;
	int fd;

	w.conf.front_answer_s = 1;
	reconfigure();
	fd = dial();
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	say(fd, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
	await_open(0);
	CHECK_INT(net_http_busy(w.http), 0);
	close(fd);
}

TEST(a_peer_that_sends_without_reading_is_not_read_without_end)
{
	size_t sent = 0;
	int fd = dial();

	say(fd, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
	/* The kernel lets a sender go on only when much of its buffer is free again: quiet for long, not for once. */
	for (int quiet = 0; quiet < 300 && sent < (32 << 20);) {
		ssize_t n = send(fd, w.big, 65536, MSG_NOSIGNAL);

		quiet = n > 0 ? 0 : quiet + 1;
		sent += n > 0 ? (size_t)n : 0;
		loop_run_once(w.loop, 1);
	}
	CHECK(sent < (16 << 20)); /* the kernel's buffers and 70 KB of ours */
	close(fd);
}

/* ---- ends ------------------------------------------------------------------------------------------------------- */

TEST(an_answer_to_a_peer_that_went_away_is_dropped)
{
	struct linger reset = {.l_onoff = 1, .l_linger = 0};
	char out[ANSWER_MAX];
	int fd = dial();

	say(fd, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
	await_kept(1);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
	loop_run_once(w.loop, 20);
	CHECK(net_http_header(w.kept[0], "host") != NULL);
	net_http_answer_text(w.kept[0], 200, "hello?");
	w.kept_count = 0;
	await_open(0);
	CHECK_INT(ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n", out), 200);
}

TEST(a_peer_that_resets_while_it_is_answered_does_no_harm)
{
	struct linger reset = {.l_onoff = 1, .l_linger = 0};
	int fd = dial();

	say(fd, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
	loop_run_once(w.loop, 5);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
	await_open(0);
	CHECK_INT(net_http_busy(w.http), 0);
}

TEST(stopping_closes_idle_connections_and_finishes_the_others)
{
	char out[ANSWER_MAX];
	int idle = dial();
	int busy = dial();
	int late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	say(busy, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
	await_kept(1);
	net_http_stop(w.http);
	CHECK(is_closed(idle));
	CHECK(connect(late, (struct sockaddr *)&w.address, sizeof(w.address)) != 0);
	CHECK_INT(net_http_busy(w.http), 1);
	net_http_answer_text(w.kept[0], 200, "done");
	w.kept_count = 0;
	CHECK(hear(busy, out, false) > 0);
	CHECK(strstr(out, "\r\nConnection: close\r\n") != NULL);
	CHECK(is_closed(busy));
	await_open(0);
	CHECK_INT(net_http_busy(w.http), 0);
	close(idle);
	close(busy);
	close(late);
}

/* tear_down() answers the request after everything else is gone. */
TEST(a_request_may_be_answered_after_the_end)
{
	int fd = dial();

	say(fd, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
	say(fd, "GET /more HTTP/1.1\r\nHost: a\r\n\r\n");
	await_kept(1);
	close(fd);
}

#define WITH(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

TEST_MAIN(WITH(other_methods_get_405), WITH(versions_that_are_none_get_505),
	  WITH(urls_and_queries_that_are_too_long_get_414), WITH(headers_that_are_too_long_get_431),
	  WITH(bodies_that_are_too_long_get_413), WITH(limits_hold_for_the_next_request_of_a_connection_too),
	  WITH(bodies_that_are_too_long_get_413), WITH(large_bodies_share_a_bound_and_small_ones_are_always_let_in),
	  WITH(bodies_that_are_too_long_get_413), WITH(many_small_fields_count_for_what_they_cost),
	  WITH(bodies_that_are_too_long_get_413), WITH(what_a_peer_sent_that_went_away_is_held_until_it_is_answered),
	  WITH(bodies_that_are_too_long_get_413), WITH(what_is_not_http_gets_400_or_nothing),
	  WITH(head_with_a_body_is_refused_and_ends_the_connection), WITH(a_handler_sees_method_target_body_and_peer),
	  WITH(head_gets_the_fields_and_no_body), WITH(http_1_0_without_host_is_served_and_closed),
	  WITH(a_connection_carries_many_requests_also_pipelined), WITH(a_page_is_sent_as_it_is_and_304_has_no_body),
	  WITH(the_address_of_a_link_local_peer_is_asked_of_nobody),
	  WITH(more_connections_than_one_address_may_have_are_closed),
	  WITH(more_connections_than_in_all_allowed_are_closed), WITH(idle_and_drip_feeding_peers_are_closed_in_time),
	  WITH(the_idle_time_begins_anew_with_each_answer), WITH(a_peer_that_does_not_read_its_answer_is_closed),
	  WITH(a_peer_that_sends_without_reading_is_not_read_without_end),
	  WITH(an_answer_to_a_peer_that_went_away_is_dropped),
	  WITH(a_peer_that_resets_while_it_is_answered_does_no_harm),
	  WITH(stopping_closes_idle_connections_and_finishes_the_others), WITH(a_request_may_be_answered_after_the_end))
