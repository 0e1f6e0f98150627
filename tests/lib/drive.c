#include "tests/lib/drive.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_MAX = 4 << 20, PIECE = 65536 };

static int passed;
static int failed;

double
drive_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* ---- checks ----------------------------------------------------------------------------------------------------- */

static void PRINTF_LIKE(2, 0) say(bool ok, const char *fmt, va_list args)
{
	if (ok)
		passed++;
	else
		failed++;
	printf(ok ? "ok: " : "NOT ok: ");
	vprintf(fmt, args);
	printf("\n");
	fflush(stdout);
}

bool
drive_check(bool ok, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(ok, fmt, args);
	va_end(args);
	return ok;
}

bool
drive_check_int(long expected, long seen, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(expected == seen, fmt, args);
	va_end(args);
	if (expected != seen)
		drive_note("expected %ld, seen %ld", expected, seen);
	return expected == seen;
}

void
drive_note(const char *fmt, ...)
{
	va_list args;

	printf("    ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
}

int
drive_finish(void)
{
	printf("%d passed, %d failed\n", passed, failed);
	return failed == 0 && passed > 0 ? 0 : 1;
}

/* ---- connections ------------------------------------------------------------------------------------------------ */

void
drive_close(struct drive *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
	buf_fini(&d->in);
	d->used = 0;
}

static int
address_set(const char *text, int port, struct sockaddr_in *ret_address)
{
	*ret_address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	return inet_pton(AF_INET, text, &ret_address->sin_addr) == 1 ? 0 : -1;
}

int
drive_dial(struct drive *d)
{
	struct timeval wait = {.tv_sec = DRIVE_WAIT_MS / 1000};
	struct sockaddr_in to, from;
	int one = 1;

	drive_close(d);
	buf_init(&d->in, ANSWER_MAX);
	d->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (d->fd < 0 || address_set(d->address, d->port, &to) != 0 ||
	    setsockopt(d->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) != 0 ||
	    setsockopt(d->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0)
		return -1;
	if (d->receive_size > 0 &&
	    setsockopt(d->fd, SOL_SOCKET, SO_RCVBUF, &d->receive_size, sizeof(d->receive_size)) != 0)
		return -1;
	if (d->from != NULL &&
	    (address_set(d->from, 0, &from) != 0 || bind(d->fd, (struct sockaddr *)&from, sizeof(from)) != 0))
		return -1;
	return connect(d->fd, (struct sockaddr *)&to, sizeof(to)) == 0 ? 0 : -1;
}

int
drive_send(struct drive *d, struct bytes data)
{
	ssize_t n;

	while (data.len > 0) {
		n = send(d->fd, data.data, data.len, MSG_NOSIGNAL);
		if (n < 0)
			return -1;
		data.data += n;
		data.len -= (size_t)n;
	}
	return 0;
}

/* One piece more.  1; 0 at the end of the connection; -1 at the deadline. */
static int
receive_more(struct drive *d, double until_ms)
{
	struct pollfd ready = {.fd = d->fd, .events = POLLIN};
	double left = until_ms - drive_now_ms();
	uint8_t piece[PIECE];
	ssize_t n;

	if (left <= 0 || poll(&ready, 1, (int)left + 1) <= 0)
		return -1;
	n = recv(d->fd, piece, sizeof(piece), 0);
	if (n <= 0)
		return 0;
	buf_put_raw(&d->in, piece, (size_t)n);
	return 1;
}

long
drive_wait_closed(struct drive *d, int wait_ms)
{
	double begin = drive_now_ms();
	int rc;

	do {
		rc = receive_more(d, begin + wait_ms);
		buf_clear(&d->in);
		d->used = 0;
	} while (rc == 1);
	return rc == 0 ? (long)(drive_now_ms() - begin) : -1;
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */

/* Value of a header field in the head of an answer; "" when absent. */
static void
field_of(const char *head, const char *name, char *out, size_t size)
{
	const char *line = head;
	size_t len = strlen(name);

	out[0] = '\0';
	while ((line = strstr(line, "\r\n")) != NULL) {
		line += 2;
		if (strncasecmp(line, name, len) != 0 || line[len] != ':')
			continue;
		line += len + 1;
		line += strspn(line, " ");
		snprintf(out, size, "%.*s", (int)strcspn(line, "\r\n"), line);
		return;
	}
}

/* Waits until the head is there; its length with the empty line, or as receive_more(). */
static long
head_receive(struct drive *d, double until_ms)
{
	const uint8_t *end = NULL;
	int rc;

	for (;;) {
		if (d->in.len > d->used)
			end = memmem(d->in.data + d->used, d->in.len - d->used, "\r\n\r\n", 4);
		if (end != NULL)
			return (long)(end + 4 - (d->in.data + d->used));
		rc = receive_more(d, until_ms);
		if (rc <= 0)
			return rc;
	}
}

static void
head_read(const char *head, struct drive_answer *answer, long *ret_length)
{
	char text[80];

	answer->status = atoi(head + strcspn(head, " "));
	field_of(head, "Content-Type", answer->type, sizeof(answer->type));
	field_of(head, "Allow", answer->allow, sizeof(answer->allow));
	field_of(head, "Connection", text, sizeof(text));
	answer->closes = strcasecmp(text, "close") == 0;
	field_of(head, "Content-Length", text, sizeof(text));
	*ret_length = text[0] != '\0' ? atol(text) : -1;
}

void
drive_receive(struct drive *d, struct drive_answer *ret_answer)
{
	double until_ms = drive_now_ms() + (d->wait_ms > 0 ? d->wait_ms : DRIVE_WAIT_MS);
	struct drive_answer answer = {.status = DRIVE_CLOSED};
	bool continued = false;
	char head[4096];
	long len, body = 0;
	int rc = 1;

	do {
		if (answer.status == 100)
			continued = true;
		len = head_receive(d, until_ms);
		if (len <= 0) {
			*ret_answer = (struct drive_answer){.status = (int)len};
			return;
		}
		snprintf(head, sizeof(head), "%.*s", (int)len, (const char *)d->in.data + d->used);
		head_read(head, &answer, &body);
		d->used += (size_t)len;
	} while (answer.status == 100);
	answer.continued = continued;
	if (d->is_head || answer.status == 304)
		body = 0;
	d->is_head = false;
	while (rc == 1 && (body < 0 || d->in.len - d->used < (size_t)body))
		rc = receive_more(d, until_ms);
	if (body < 0 && rc == 0) /* until the end of the connection */
		body = (long)(d->in.len - d->used);
	else if (rc <= 0)
		answer.status = rc;
	if (answer.status > 0) {
		answer.body = (struct bytes){d->in.data + d->used, (size_t)body};
		d->used += (size_t)body;
	}
	*ret_answer = answer;
}

void
drive_ask(struct drive *d, struct bytes request, struct drive_answer *ret_answer)
{
	bool was_open = d->fd >= 0;
	bool is_head = d->is_head;

	if (was_open && d->used == d->in.len) {
		buf_clear(&d->in);
		d->used = 0;
	}
	*ret_answer = (struct drive_answer){.status = DRIVE_CLOSED};
	/* What was sent may be refused before all of it was read. */
	if (was_open || drive_dial(d) == 0) {
		if (drive_send(d, request) == 0 || !was_open)
			drive_receive(d, ret_answer);
	}
	if (ret_answer->status == DRIVE_CLOSED)
		drive_close(d);
	if (ret_answer->status == DRIVE_CLOSED && was_open) {
		d->is_head = is_head;
		drive_ask(d, request, ret_answer);
	}
	if (ret_answer->status == DRIVE_TIMEOUT)
		drive_close(d);
}

void
drive_get(struct drive *d, const char *target, struct drive_answer *ret_answer)
{
	AUTO_BUF request = {0};

	buf_init(&request, ANSWER_MAX);
	buf_printf(&request, "GET %s HTTP/1.1\r\nHost: test\r\n\r\n", target);
	drive_ask(d, buf_bytes(&request), ret_answer);
}

void
drive_post(struct drive *d, const char *target, struct bytes body, struct drive_answer *ret_answer)
{
	AUTO_BUF request = {0};

	buf_init(&request, ANSWER_MAX);
	buf_printf(&request,
		   "POST %s HTTP/1.1\r\nHost: test\r\nContent-Type: application/x-pki-message\r\n"
		   "Content-Length: %zu\r\n\r\n",
		   target, body.len);
	buf_put_raw(&request, body.data, body.len);
	drive_ask(d, buf_bytes(&request), ret_answer);
}
