/*
 * One loop of the front, over real sockets on loopback.  Way 0: octets on an HTTP connection.  Way 1 and 2: frames of a
 * broken authority or signer (pipework.h), then a request for each page; whatever they said, HTTP is answered in HTTP.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "board/base/clock.h"
#include "board/msg.h"
#include "net/serve.h"
#include "tests/fuzz/ground.h"
#include "tests/fuzz/pipework.h"
#include "tests/fuzz/scepwrap.h"

enum { TURNS = 400, IDLE_TURNS = 6, ANSWER_MAX = 1 << 18, FRAMES_MAX = 32, OUT_MAX = 65536 };

static struct {
	struct loop *loop;
	struct net_limit *limit;
	struct net_serve *serve;
	struct config conf;
	struct sockaddr_in address;
	struct ipc *authority, *signer; /* their ends */
	bool authority_closed, signer_closed;
	uint64_t last_id; /* of what the front asked last */
	char answer[ANSWER_MAX];
	size_t len;
} w;

static void
on_message(struct ipc *ipc, struct ipc_message *message, void *arg)
{
	w.last_id = message->id;
}

static void
on_closed(struct ipc *ipc, void *arg)
{
	*(bool *)arg = true;
}

static void
join(enum role role, struct ipc **end, bool *closed)
{
	const struct ipc_handlers handlers = {on_message, on_closed, closed};
	int fds[2];

	ipc_free(TAKE(*end));
	*closed = false;
	HOLDS(ipc_pair(fds, NULL) == 0);
	HOLDS(ipc_new(w.loop, fds[1], role, ROLE_FRONT, &handlers, end) == 0);
	net_serve_peer(w.serve, role, fds[0]);
}

static void
on_event(void *arg)
{
}

static void
on_tls(int use, struct ssl_ctx_st *context, void *arg)
{
}

static void
begin(void)
{
	const struct net_serve_events events = {on_event, on_tls, on_event, NULL};
	socklen_t size = sizeof(w.address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	clock_set_fake(-1, -1);
	config_default(&w.conf);
	w.conf.scep_timeout_ms = 1000;
	w.address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	HOLDS(bind(fd, (struct sockaddr *)&w.address, size) == 0);
	HOLDS(getsockname(fd, (struct sockaddr *)&w.address, &size) == 0);
	HOLDS(loop_new(&w.loop) == 0 && net_limit_new(100, 100, &w.limit) == 0);
	HOLDS(net_serve_new(w.loop, 1, &w.conf, w.limit, &events, &w.serve) == 0);
	net_serve_listen(w.serve, LISTEN_HTTP, fd);
	net_serve_start(w.serve);
}

/* A sound authority and a sound signer. */
static void
speak(void)
{
	struct msg_identity identity = {
		.chain = {{ground_ca()}, 1}, .ra_sign = ground_issued(1), .ra_decrypt = {{ground_issued(1)}, 1}};
	struct msg_crl crl = {.crl = bytes_of_text("CRL"), .this_update = 784111777, .next_update = 4000000000};

	join(ROLE_AUTHORITY, &w.authority, &w.authority_closed);
	join(ROLE_SIGNER, &w.signer, &w.signer_closed);
	HOLDS(msg_identity_send(w.authority, 0, &identity) == 0 && msg_crl_send(w.authority, 0, &crl) == 0);
	for (int i = 0; i < 4; i++)
		loop_run_once(w.loop, 0);
}

/* Every answer begins as HTTP does; 200 of a page for people forbids scripts. */
static void
check_answer(void)
{
	char *at = w.answer;
	int status;

	w.answer[w.len] = '\0';
	if (w.len == 0)
		return;
	HOLDS(strncmp(at, "HTTP/", 5) == 0 && sscanf(at + 9, "%d", &status) == 1);
	/* What evhttp refuses by itself it refuses in the version that it was asked in. */
	HOLDS(strncmp(at + 5, "1.1 ", 4) == 0 || strncmp(at + 5, "1.0 ", 4) == 0 || status == 400);
	HOLDS(status == 100 || status == 200 || status == 304 || (status >= 400 && status < 600));
	if (strstr(w.answer, "Content-Type: text/html") != NULL && strstr(w.answer, "<style>") != NULL)
		HOLDS(strstr(w.answer, "Content-Security-Policy: ") != NULL);
}

/* Sends octets on a connection of its own and takes what comes back, until it ends or nothing comes any more. */
static void
converse(struct bytes octets)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), idle = 0;
	struct linger hard = {1, 0};
	ssize_t n;

	w.len = 0;
	HOLDS(connect(fd, (struct sockaddr *)&w.address, sizeof(w.address)) == 0);
	HOLDS(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)) == 0);
	HOLDS(octets.len == 0 || send(fd, octets.data, octets.len, MSG_NOSIGNAL) > 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	for (int turn = 0; turn < TURNS && idle < IDLE_TURNS && w.len < ANSWER_MAX - 1; turn++) {
		loop_run_once(w.loop, idle > 2 ? 1 : 0);
		n = recv(fd, w.answer + w.len, ANSWER_MAX - 1 - w.len, 0);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			break;
		w.len += n > 0 ? (size_t)n : 0;
		idle = n > 0 ? 0 : idle + 1;
	}
	close(fd);
	loop_run_once(w.loop, 0);
	check_answer();
}

static void
ask_all(void)
{
	static const char *const requests[] = {
		"GET /scep?operation=GetCACert HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
		"GET /crl HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
		"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		converse(bytes_of_text(requests[i]));
		HOLDS(w.len > 0);
	}
}

static void
rave(struct ipc *ipc, struct bytes input)
{
	struct bytes body;
	uint8_t type, id;

	for (int i = 0; i < FRAMES_MAX && pipework_next(&input, &type, &id, &body); i++)
		(void)!ipc_send(ipc, type, id == 1 ? w.last_id : id, body, -1);
	for (int i = 0; i < 8; i++)
		loop_run_once(w.loop, 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes input = {data, size};
	uint8_t way = ground_take_u8(&input) % 3;

	if (w.loop == NULL)
		begin();
	if (w.authority == NULL || w.authority_closed || w.signer_closed || way != 0)
		speak();
	if (way == 0) {
		converse(input);
		return 0;
	}
	rave(way == 1 ? w.authority : w.signer, input);
	ask_all();
	speak();
	return 0;
}

static void
seed_http(void)
{
	AUTO_BUF b, message, attributes;

	buf_init(&b, OUT_MAX);
	buf_init(&message, OUT_MAX);
	buf_init(&attributes, OUT_MAX);
	ground_seed_way("caps", 0, bytes_of_text("GET /scep?operation=GetCACaps HTTP/1.1\r\nHost: a\r\n\r\n"));
	ground_seed_way("page", 0, bytes_of_text("GET /certsrv/mscep/ HTTP/1.1\r\nHost: a.example\r\n\r\n"));
	ground_seed_way("get", 0, bytes_of_text("GET /scep?operation=PKIOperation&message=MIIB%2B HTTP/1.0\r\n\r\n"));
	ground_seed_way("ocsp", 0, bytes_of_text("GET /ocsp/MEIwQDA%2BMDwwOjAJBgU HTTP/1.1\r\nHost: a\r\n\r\n"));
	ground_seed_way("head", 0, bytes_of_text("HEAD /ca HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n"));
	scepwrap_attributes(&attributes, "19", "transaction");
	scepwrap_message(&message, bytes_of_text("no envelope"), buf_bytes(&attributes));
	buf_printf(&b, "POST /scep?operation=PKIOperation HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n",
		   message.len);
	buf_put_raw(&b, message.data, message.len);
	ground_seed_way("post", 0, buf_bytes(&b));
}

void
fuzz_seeds(void)
{
	struct msg_identity identity = {
		.chain = {{ground_ca()}, 1}, .ra_sign = ground_issued(1), .ra_decrypt = {{ground_issued(1)}, 1}};
	struct msg_crl crl = {.crl = bytes_of_text("CRL"), .this_update = 1, .next_update = 4000000000};
	struct msg_unwrapped unwrapped = {.key = bytes_of_text("sixteen octets..")};
	struct msg_signature signature = {.signature = bytes_of_text("signature")};
	AUTO_BUF frames, body;

	seed_http();
	buf_init(&frames, OUT_MAX);
	buf_init(&body, OUT_MAX);
	msg_identity_put(&body, &identity);
	pipework_put(&frames, MSG_IDENTITY, 0, buf_bytes(&body));
	buf_clear(&body);
	msg_crl_put(&body, &crl);
	pipework_put(&frames, MSG_CRL, 0, buf_bytes(&body));
	ground_seed_way("authority", 1, buf_bytes(&frames));
	buf_clear(&frames);
	buf_clear(&body);
	msg_unwrapped_put(&body, &unwrapped);
	pipework_put(&frames, MSG_UNWRAPPED, 1, buf_bytes(&body));
	buf_clear(&body);
	msg_signature_put(&body, &signature);
	pipework_put(&frames, MSG_SIGNATURE, 1, buf_bytes(&body));
	ground_seed_way("signer", 2, buf_bytes(&frames));
}
