/*
 * bench_load - prepared requests against a running appliance, and what they took
 *
 *	bench_load enroll FILE ADDRESS PORT CONNECTIONS FIRST COUNT
 *		sends COUNT messages of FILE, each once, from number FIRST on
 *	bench_load get TARGET ADDRESS PORT SECONDS
 *		fetches TARGET again and again on one connection
 *
 * Prints one JSON object: {"done", "ok", "seconds", "per_s", "p50_ms", "p99_ms"}.  FILE is what bench_prepare.c wrote.
 * Connections are kept open (HTTP/1.1); each sends its next request when it has the answer to its last.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "board/base/buf.h"
#include "board/base/oid.h"

enum { ANSWER_MAX = 65536, CONNECTIONS_MAX = 4096, RUN_LIMIT_S = 600 };

struct work {
	const char *address;
	const char *port;
	struct bytes file; /* messages, or empty for "get" */
	const char *target;
	size_t *offset; /* of each message in file */
	size_t next;
	size_t end;
	double stop_at; /* for "get"; 0: when the messages are through */
	size_t done;
	size_t good;
	double *latency;
	size_t latency_room;
};

struct connection {
	int fd;
	double begin;
	struct buf out;
	size_t sent;
	uint8_t answer[ANSWER_MAX];
	size_t got;
	bool busy;
};

static double
now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
die(const char *what)
{
	(void)fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int
dial(const struct work *w)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(w->port, NULL, 10))};
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || inet_pton(AF_INET, w->address, &to.sin_addr) != 1 ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		die("connect");
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return fd;
}

/* Finds where each message begins: u32 length, bytes. */
static size_t
index_messages(struct work *w)
{
	struct view v = view_of(w->file);
	size_t count = 0;
	size_t room = 0;

	while (v.left > 0) {
		if (count == room) {
			room = room == 0 ? 4096 : room * 2;
			w->offset = realloc(w->offset, room * sizeof(*w->offset));
			if (w->offset == NULL)
				die("memory");
		}
		w->offset[count++] = (size_t)(v.next - w->file.data);
		(void)view_bytes(&v);
	}
	return count;
}

/* Puts the next request into the connection; false when there is none. */
static bool
load_request(struct work *w, struct connection *c)
{
	struct view v;
	struct bytes message;

	buf_clear(&c->out);
	c->sent = 0;
	c->got = 0;
	c->busy = false;
	if (w->target != NULL) {
		if (now() >= w->stop_at)
			return false;
		buf_printf(&c->out, "GET %s HTTP/1.1\r\nHost: bench\r\n\r\n", w->target);
	} else {
		if (w->next == w->end)
			return false;
		v = view_of((struct bytes){w->file.data + w->offset[w->next], w->file.len - w->offset[w->next]});
		w->next++;
		message = view_bytes(&v);
		buf_printf(&c->out,
			   "POST /scep?operation=PKIOperation HTTP/1.1\r\nHost: bench\r\n"
			   "Content-Type: application/x-pki-message\r\nContent-Length: %zu\r\n\r\n",
			   message.len);
		buf_put_raw(&c->out, message.data, message.len);
	}
	c->begin = now();
	c->busy = true;
	return true;
}

/* Length of the whole answer once its head is there; 0 before. */
static size_t
answer_size(struct connection *c)
{
	const char *length;
	char *end;

	c->answer[c->got < ANSWER_MAX ? c->got : ANSWER_MAX - 1] = '\0';
	end = strstr((char *)c->answer, "\r\n\r\n");
	if (end == NULL)
		return 0;
	length = strcasestr((char *)c->answer, "\r\nContent-Length:");
	if (length == NULL || length > end)
		return 0;
	return (size_t)(end + 4 - (char *)c->answer) + strtoul(length + 17, NULL, 10);
}

/* pkiStatus SUCCESS: the attribute's OID, then SET { PrintableString "0" }. */
static bool
is_success(const struct work *w, const struct connection *c)
{
	static const uint8_t zero[] = {0x31, 0x03, 0x13, 0x01, '0'};
	struct bytes oid = OID_SCEP_PKI_STATUS;
	const uint8_t *at;

	if (strncmp((const char *)c->answer, "HTTP/1.1 200", 12) != 0)
		return false;
	if (w->target != NULL)
		return true;
	at = memmem(c->answer, c->got, oid.data, oid.len);
	return at != NULL && memcmp(at + oid.len, zero, sizeof(zero)) == 0;
}

static void
note(struct work *w, struct connection *c)
{
	if (w->done == w->latency_room) {
		w->latency_room = w->latency_room == 0 ? 65536 : w->latency_room * 2;
		w->latency = realloc(w->latency, w->latency_room * sizeof(*w->latency));
		if (w->latency == NULL)
			die("memory");
	}
	w->latency[w->done++] = now() - c->begin;
	if (is_success(w, c))
		w->good++;
}

static void
push(struct connection *c)
{
	ssize_t n;

	while (c->sent < c->out.len) {
		n = send(c->fd, c->out.data + c->sent, c->out.len - c->sent, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			die("send");
		c->sent += (size_t)n;
	}
}

/*
 * Reads what is there; after a whole answer the next request goes out.  False when the connection has nothing more to
 * do.
 */
static bool
pull(struct work *w, struct connection *c)
{
	size_t size;
	ssize_t n = recv(c->fd, c->answer + c->got, ANSWER_MAX - 1 - c->got, 0);

	if (n < 0 && errno == EAGAIN)
		return true;
	if (n <= 0)
		die("the server closed a connection");
	c->got += (size_t)n;
	size = answer_size(c);
	if (size == 0 || c->got < size)
		return true;
	note(w, c);
	if (!load_request(w, c))
		return false;
	push(c);
	return true;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
percentile(const struct work *w, double share)
{
	return w->done == 0 ? 0 : w->latency[(size_t)((double)(w->done - 1) * share)] * 1e3;
}

static void
run(struct work *w, size_t connections)
{
	struct connection *all = calloc(connections, sizeof(*all));
	struct epoll_event events[256];
	double begin = now();
	size_t open = 0;
	int poll = epoll_create1(0);

	if (all == NULL || poll < 0)
		die("start");
	for (size_t i = 0; i < connections; i++) {
		struct epoll_event e = {.events = EPOLLIN, .data.ptr = &all[i]};

		buf_init(&all[i].out, 1024 * 1024);
		if (!load_request(w, &all[i]))
			break;
		all[i].fd = dial(w);
		if (epoll_ctl(poll, EPOLL_CTL_ADD, all[i].fd, &e) != 0)
			die("epoll");
		push(&all[i]);
		open++;
	}
	while (open > 0) {
		int n = epoll_wait(poll, events, 256, 1000);

		if (now() - begin > RUN_LIMIT_S)
			die("the run took too long");
		for (int i = 0; i < n; i++)
			if (!pull(w, events[i].data.ptr))
				open--;
	}
	begin = now() - begin;
	qsort(w->latency, w->done, sizeof(*w->latency), compare);
	printf("{\"done\": %zu, \"ok\": %zu, \"seconds\": %.3f, \"per_s\": %.1f, \"p50_ms\": %.3f, \"p99_ms\": %.3f}\n",
	       w->done, w->good, begin, (double)w->good / begin, percentile(w, 0.5), percentile(w, 0.99));
}

static struct bytes
map_file(const char *path)
{
	struct stat st;
	void *data;
	int fd = open(path, O_RDONLY);

	if (fd < 0 || fstat(fd, &st) != 0)
		die(path);
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (data == MAP_FAILED)
		die(path);
	return (struct bytes){data, (size_t)st.st_size};
}

int
main(int argc, char **argv)
{
	struct work w = {0};
	size_t connections = 1;
	size_t count;

	if (argc == 8 && strcmp(argv[1], "enroll") == 0) {
		w.file = map_file(argv[2]);
		count = index_messages(&w);
		connections = strtoul(argv[5], NULL, 10);
		w.next = strtoul(argv[6], NULL, 10);
		w.end = w.next + strtoul(argv[7], NULL, 10);
		if (connections == 0 || connections > CONNECTIONS_MAX || w.end > count) {
			(void)fprintf(stderr, "load: %s holds %zu messages\n", argv[2], count);
			return 2;
		}
	} else if (argc == 6 && strcmp(argv[1], "get") == 0) {
		w.target = argv[2];
		w.stop_at = now() + strtod(argv[5], NULL);
	} else {
		(void)fputs("usage: load enroll FILE ADDRESS PORT CONNECTIONS FIRST COUNT | load get TARGET ADDRESS "
			    "PORT SECONDS\n",
			    stderr);
		return 2;
	}
	w.address = argv[3];
	w.port = argv[4];
	run(&w, connections);
	return w.good == w.done ? 0 : 1;
}
