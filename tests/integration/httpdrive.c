/*
 * httpdrive - hostile and odd HTTP requests against a live appliance
 *
 *	httpdrive ADDRESS PORT SERIALS
 *
 * Every way of carrying a message that clients are known to use has to work; what is no HTTP, or too large, has to be
 * refused by a status that says so, and without waiting.  Standard input and SERIALS are those of scepdrive.c.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/device.h"

enum { CHALLENGE_SIZE = 80, TEXT_MAX = 4 << 20 };

/* One good request, which gets its one certificate again however it comes. */
struct known {
	struct scepmsg_request request;
	X509 *cert;
};

/* How base64 text is written into a URL or a body. */
struct writing {
	const char *plus; /* what stands for "+", and so on */
	const char *slash;
	const char *equals;
	const char *line_end; /* NULL: one line */
	size_t columns;
	bool all; /* every character as %XX */
};

static const struct writing escaped = {"%2B", "%2F", "%3D", NULL, 0, false};

/* ---- helpers ----------------------------------------------------------------------------------------------------- */

static void
put(struct buf *b, const char *text)
{
	buf_put_raw(b, text, strlen(text));
}

static void
base64_put(struct buf *b, struct bytes v, const struct writing *how)
{
	char *text = malloc(v.len * 4 / 3 + 8), *p;
	size_t column = 0;

	if (text == NULL)
		exit(1);
	EVP_EncodeBlock((unsigned char *)text, v.data, (int)v.len);
	for (p = text; *p != '\0'; p++) {
		if (how->all)
			buf_printf(b, "%%%02x", (unsigned)*p);
		else if (*p == '+')
			put(b, how->plus);
		else if (*p == '/')
			put(b, how->slash);
		else if (*p == '=')
			put(b, how->equals);
		else
			buf_put_u8(b, (uint8_t)*p);
		if (how->line_end != NULL && (++column % how->columns == 0 || p[1] == '\0'))
			put(b, how->line_end);
	}
	free(text);
}

/* The answer to a request that was written by hand, on a connection of its own. */
static void
ask_alone(struct device_world *w, struct bytes request, struct drive_answer *ret_answer)
{
	drive_close(&w->http);
	drive_ask(&w->http, request, ret_answer);
}

static void
check_status(struct device_world *w, int expected, const char *request, const char *what)
{
	struct drive_answer answer;

	ask_alone(w, bytes_of_text(request), &answer);
	drive_check_int(expected, answer.status, "%s: %d", what, expected);
}

static void
check_known(struct device_world *w, struct bytes raw, const struct known *known, const char *what)
{
	struct device_answer answer;
	struct drive_answer http;

	ask_alone(w, raw, &http);
	device_take(w, &w->clients[0], &known->request, &http, &answer);
	if (!drive_check(device_is(&answer, 0, -1) && X509_cmp(answer.reply.issued, known->cert) == 0, "%s", what))
		device_note(&answer);
	device_answer_fini(&answer);
}

/* ---- messages in URLs and bodies --------------------------------------------------------------------------------- */

static void
known_make(struct device_world *w, struct known *ret_known)
{
	char challenge[CHALLENGE_SIZE];
	struct scepmsg_csr csr = {.subject = "CN=known", .challenge = challenge};
	struct scepmsg_options options = {0};
	struct device_answer answer;

	device_challenge(challenge, sizeof(challenge));
	if (scepmsg_enroll(&w->clients[0], &csr, &options, w->ra_decrypt, &ret_known->request) != 0)
		exit(1);
	device_post(w, &w->clients[0], &ret_known->request, &answer);
	if (!drive_check(device_is(&answer, 0, -1), "a good request gets its certificate")) {
		device_note(&answer);
		exit(drive_finish());
	}
	ret_known->cert = X509_dup(answer.reply.issued);
	device_answer_fini(&answer);
}

static void
by_get(struct device_world *w, const struct known *known)
{
	static const struct {
		const char *what;
		struct writing how;
		const char *version;
	} rows[] = {
		{"GET, all escaped", {"%2B", "%2F", "%3D", NULL, 0, false}, "1.1"},
		{"GET, escaped in small letters", {"%2b", "%2f", "%3d", NULL, 0, false}, "1.1"},
		{"GET, nothing escaped", {"+", "/", "=", NULL, 0, false}, "1.1"},
		{"GET, only the padding escaped (macOS)", {"+", "/", "%3D", NULL, 0, false}, "1.1"},
		{"GET, blanks for plus signs", {"%20", "/", "%3D", NULL, 0, false}, "1.1"},
		{"GET, base64url with padding", {"-", "_", "=", NULL, 0, false}, "1.1"},
		{"GET, base64url without padding", {"-", "_", "", NULL, 0, false}, "1.1"},
		{"GET, base64 without padding", {"+", "/", "", NULL, 0, false}, "1.1"},
		{"GET, lines of 64 ended by %0A, HTTP/1.0 without Host (sscep)",
		 {"%2B", "/", "%3D", "%0A", 64, false},
		 "1.0"},
		{"GET, lines of 76 ended by %0D%0A", {"%2B", "%2F", "%3D", "%0D%0A", 76, false}, "1.1"},
		{"GET, escaped twice", {"%252B", "%252F", "%253D", NULL, 0, false}, "1.1"},
		{"GET, every character escaped", {"", "", "", NULL, 0, true}, "1.1"},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO_BUF b = {0};

		buf_init(&b, TEXT_MAX);
		put(&b, "GET /scep?operation=PKIOperation&message=");
		base64_put(&b, known->request.der, &rows[i].how);
		buf_printf(&b, " HTTP/%s\r\n%s\r\n", rows[i].version,
			   strcmp(rows[i].version, "1.0") == 0 ? "" : "Host: t\r\n");
		check_known(w, buf_bytes(&b), known, rows[i].what);
	}
}

static void
by_place(struct device_world *w, const struct known *known)
{
	static const struct {
		const char *what;
		const char *before;
		const char *after;
	} rows[] = {
		{"a path with a slash at its end", "/scep/?operation=PKIOperation&message=", ""},
		{"pkiclient.exe behind the path (Cisco)", "/scep/pkiclient.exe?operation=PKIOperation&message=", ""},
		{"/cgi-bin/pkiclient.exe", "/cgi-bin/pkiclient.exe?operation=PKIOperation&message=", ""},
		{"NDES' path", "/certsrv/mscep/mscep.dll?operation=PKIOperation&message=", ""},
		{"NDES' path and pkiclient.exe",
		 "/certsrv/mscep/mscep.dll/pkiclient.exe?operation=PKIOperation&message=", ""},
		{"message before operation", "/scep?message=", "&operation=PKIOperation"},
		{"further parameters", "/scep?x=1&operation=PKIOperation&message=", "&ca=&y"},
		{"a whole URL in the request line", "http://test/scep?operation=PKIOperation&message=", ""},
		{"the operation in small letters", "/scep?operation=pkioperation&message=", ""},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO_BUF b = {0};

		buf_init(&b, TEXT_MAX);
		buf_printf(&b, "GET %s", rows[i].before);
		base64_put(&b, known->request.der, &escaped);
		buf_printf(&b, "%s HTTP/1.1\r\nHost: t\r\n\r\n", rows[i].after);
		check_known(w, buf_bytes(&b), known, rows[i].what);
	}
}

static void
post_known(struct device_world *w, const struct known *known, const char *head, struct bytes body, const char *what)
{
	AUTO_BUF b = {0};

	buf_init(&b, TEXT_MAX);
	buf_printf(&b, "POST %s\r\nContent-Length: %zu\r\n\r\n", head, body.len);
	buf_put_raw(&b, body.data, body.len);
	check_known(w, buf_bytes(&b), known, what);
}

static void
by_post(struct device_world *w, const struct known *known)
{
	static const struct {
		const char *what;
		struct writing how;
	} texts[] = {
		{"POST of base64 in one line", {"+", "/", "=", NULL, 0, false}},
		{"POST of base64 in lines of 64", {"+", "/", "=", "\n", 64, false}},
		{"POST of base64 in lines ended by CR LF", {"+", "/", "=", "\r\n", 76, false}},
		{"POST of base64 that is escaped", {"%2B", "%2F", "%3D", NULL, 0, false}},
	};
	static const char op[] = "/scep?operation=PKIOperation HTTP/1.1\r\nHost: t";
	struct bytes der = known->request.der;
	size_t i;

	post_known(w, known, op, der, "POST without a Content-Type");
	post_known(w, known, "/scep?operation=PKIOperation HTTP/1.0", der, "POST by HTTP/1.0 without Host");
	post_known(w, known, "/scep HTTP/1.1\r\nHost: t", der, "POST without an operation");
	post_known(w, known,
		   "/scep?operation=PKIOperation HTTP/1.1\r\nHost: t\r\nContent-Type: application/octet-stream", der,
		   "POST as application/octet-stream");
	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		AUTO_BUF b = {0};

		buf_init(&b, TEXT_MAX);
		base64_put(&b, der, &texts[i].how);
		post_known(w, known, op, buf_bytes(&b), texts[i].what);
	}
}

static void
by_chunks(struct device_world *w, const struct known *known)
{
	enum { CHUNK = 700 };
	struct bytes der = known->request.der;
	AUTO_BUF b = {0};
	size_t at, n;

	buf_init(&b, TEXT_MAX);
	put(&b, "POST /scep?operation=PKIOperation HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (at = 0; at < der.len; at += n) {
		n = der.len - at < CHUNK ? der.len - at : CHUNK;
		buf_printf(&b, "%zx\r\n", n);
		buf_put_raw(&b, der.data + at, n);
		put(&b, "\r\n");
	}
	put(&b, "0\r\n\r\n");
	check_known(w, buf_bytes(&b), known, "POST in chunks");
}

/* RFC 9110 10.1.1: curl asks first when the body is long. */
static void
by_expectation(struct device_world *w, const struct known *known)
{
	struct device_answer answer = {.is_reply = false};
	struct pollfd ready = {.events = POLLIN};
	struct drive_answer http = {0};
	char head[200];

	drive_close(&w->http);
	snprintf(head, sizeof(head),
		 "POST " DEVICE_TARGET " HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: %zu\r\n\r\n",
		 known->request.der.len);
	if (drive_dial(&w->http) == 0 && drive_send(&w->http, bytes_of_text(head)) == 0) {
		ready.fd = w->http.fd;
		if (poll(&ready, 1, DRIVE_WAIT_MS) == 1 && drive_send(&w->http, known->request.der) == 0)
			drive_receive(&w->http, &http);
	}
	device_take(w, &w->clients[0], &known->request, &http, &answer);
	drive_check(device_is(&answer, 0, -1) && http.continued, "POST that expects 100 (Continue)");
	device_answer_fini(&answer);
}

/* ---- what is no message ------------------------------------------------------------------------------------------ */

#define GET_OP "GET /scep?operation=PKIOperation"
#define REST   " HTTP/1.1\r\nHost: t\r\n\r\n"

static void
no_messages(struct device_world *w)
{
	check_status(w, 400, GET_OP REST, "PKIOperation by GET without a message");
	check_status(w, 400, GET_OP "&message=" REST, "PKIOperation with an empty message");
	check_status(w, 400, GET_OP "&message=!!!!" REST, "a message that is no base64");
	check_status(w, 400, GET_OP "&message=MIIB%" REST, "a message that ends in a percent sign");
	check_status(w, 400, GET_OP "&message=MIIB%4" REST, "a message that ends within an escape");
	check_status(w, 400, GET_OP "&message=MIIB%zz" REST, "a message with an escape that is none");
	check_status(w, 400, GET_OP "&message=MII%00" REST, "a message with NUL");
	check_status(w, 400, GET_OP "&message=MAAA" REST, "a message that is no CMS");
	check_status(w, 400, GET_OP "&message=MIIB=MIIB" REST, "a message with padding within");
	check_status(w, 400, "GET /scep?operation=Unknown" REST, "an unknown operation");
	check_status(w, 400, "POST /scep?operation=Unknown HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n",
		     "an unknown operation by POST");
	check_status(w, 400, "POST /scep?operation=PKIOperation HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n",
		     "POST without a body");
	check_status(w, 404, "GET /scep?operation=GetNextCACert" REST, "GetNextCACert, as there is none");
	check_status(w, 200, "GET /scep?operation=GetCACaps&message=x" REST, "GetCACaps with a message");
	check_status(w, 200, "GET /scep?operation=GetCACert&message=%zz" REST, "GetCACert with a message");
	check_status(w, 200, "GET /scep" REST, "a person's browser");
}

static void
paths(struct device_world *w)
{
	check_status(w, 404, "GET /" REST, "no path");
	check_status(w, 404, "GET /../../etc/passwd" REST, "a path upwards");
	check_status(w, 404, "GET /%2e%2e/etc/passwd" REST, "a path upwards in escapes");
	check_status(w, 404, "GET /scepter" REST, "a path that only begins like ours");
	check_status(w, 404, "GET /crl.pem" REST, "a path that only begins like the CRL's");
	check_status(w, 404, "GET //scep" REST, "two slashes");
	check_status(w, 404, "GET /\\scep" REST, "a backslash");
	check_status(w, 404, "GET *" REST, "an asterisk");
	check_status(w, 404, "GET /scep%00?operation=GetCACaps" REST, "NUL in an escape");
	check_status(w, 404, "GET /control" REST, "a path that is not there");
}

static void
methods(struct device_world *w)
{
	static const char *const words[] = {"PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"};
	struct drive_answer answer;
	char text[100];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(words); i++) {
		snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n", words[i],
			 strcmp(words[i], "CONNECT") == 0 ? "test:443" : "/scep");
		ask_alone(w, bytes_of_text(text), &answer);
		drive_check(answer.status == 405 && strstr(answer.allow, "POST") != NULL, "%s: 405 with Allow",
			    words[i]);
		if (answer.status != 405)
			drive_note("seen: %d", answer.status);
	}
	ask_alone(w, bytes_of_text("POST /crl HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n"), &answer);
	drive_check(answer.status == 405 && strcmp(answer.allow, "GET, HEAD") == 0, "POST to the CRL: 405");
	w->http.is_head = true;
	ask_alone(w, bytes_of_text("HEAD /scep?operation=GetCACert HTTP/1.1\r\nHost: t\r\n\r\n"), &answer);
	drive_check_int(200, answer.status, "HEAD of GetCACert: 200");
	drive_get(&w->http, "/health", &answer);
	drive_check_int(200, answer.status, "and the connection goes on without a body in between");
	w->http.is_head = true;
	ask_alone(w, bytes_of_text("HEAD /scep?operation=PKIOperation HTTP/1.1\r\nHost: t\r\n\r\n"), &answer);
	drive_check_int(405, answer.status, "HEAD of PKIOperation: 405");
	check_status(w, 405, "BREW /scep HTTP/1.1\r\nHost: t\r\n\r\n", "a method that does not exist");
}

/* ---- what is no HTTP --------------------------------------------------------------------------------------------- */

/* Refused: 4xx, or the connection is closed; never 5xx, never a good answer, never a wait. */
static void
check_refused(struct device_world *w, struct bytes raw, const char *what)
{
	struct drive_answer answer;

	ask_alone(w, raw, &answer);
	drive_check((answer.status >= 400 && answer.status < 500) || answer.status == DRIVE_CLOSED, "%s: refused (%d)",
		    what, answer.status);
}

static void
check_refused_text(struct device_world *w, const char *raw, const char *what)
{
	check_refused(w, bytes_of_text(raw), what);
}

#define POST_OP "POST /scep?operation=PKIOperation HTTP/1.1\r\nHost: t\r\n"

static void
no_http(struct device_world *w)
{
	static const uint8_t client_hello[] = {0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3, '\n', '\n'};
	static const uint8_t zeros[64] = {[62] = '\r', [63] = '\n'};

	check_refused(w, (struct bytes){client_hello, sizeof(client_hello)}, "TLS on the plain port");
	check_refused(w, (struct bytes){zeros, sizeof(zeros)}, "NULs");
	check_refused_text(w, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2");
	check_refused_text(w, "GET /scep\r\n\r\n", "HTTP/0.9");
	check_refused_text(w, "GET /scep HTTP/9.9\r\nHost: t\r\n\r\n", "HTTP/9.9");
	check_refused_text(w, "GET /scep HTTP/1.1x\r\nHost: t\r\n\r\n", "HTTP/1.1x");
	check_refused_text(w, "GET\r\n\r\n", "a method alone");
	check_refused_text(w, "GET /sc ep HTTP/1.1\r\nHost: t\r\n\r\n", "a blank in the URL");
	check_refused_text(w, "GET /scep HTTP/1.1\r\nno colon\r\n\r\n", "a header line without a colon");
	check_refused_text(w, "GET /scep HTTP/1.1\r\n folded\r\n\r\n", "a header that begins with a blank");
	check_refused_text(w, POST_OP "Content-Length: -1\r\n\r\nx", "Content-Length: -1");
	check_refused_text(w, POST_OP "Content-Length: x\r\n\r\nx", "Content-Length: x");
	check_refused_text(w, POST_OP "Content-Length: 1x\r\n\r\nx", "Content-Length: 1x");
	check_refused_text(w, POST_OP "\r\n", "POST without a length");
	check_refused_text(w, POST_OP "Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n", "Transfer-Encoding: gzip");
	check_refused_text(w, POST_OP "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", "a chunk of length xyz");
	check_refused_text(w, POST_OP "Transfer-Encoding: chunked\r\n\r\n-1\r\n", "a chunk of length -1");
	check_refused_text(w, POST_OP "Transfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n",
			   "a chunk of 2^63-1 octets");
	check_refused_text(w, POST_OP "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
			   "a chunk of 2^64-1 octets");
}

/*
 * Lengths that two readers could take differently (RFC 9112 6.3): behind a proxy, the rest of one peer's request would
 * become the beginning of the next one's.  The message is good, so that only its frame can be the cause.
 */
static void
ambiguous(struct device_world *w, const struct known *known)
{
	static const struct {
		const char *what;
		const char *fields; /* $ is its length */
		bool is_chunked;
	} rows[] = {
		{"two different Content-Lengths", "Content-Length: $\r\nContent-Length: 5", false},
		{"two different Content-Lengths, the right one last", "Content-Length: 5\r\nContent-Length: $", false},
		{"Content-Length with a sign", "Content-Length: +$", false},
		{"Content-Length with a list", "Content-Length: $, 5", false},
		{"Content-Length and Transfer-Encoding", "Content-Length: $\r\nTransfer-Encoding: chunked", true},
		{"Content-Length and an unknown Transfer-Encoding", "Content-Length: $\r\nTransfer-Encoding: gzip",
		 false},
		{"Content-Length and an empty Transfer-Encoding", "Content-Length: $\r\nTransfer-Encoding:", false},
		{"a blank before the colon", "Content-Length : $", false},
		{"chunked, twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\nX: $", true},
		{"chunked within gzip", "Transfer-Encoding: gzip, chunked\r\nX: $", true},
		{"chunked by HTTP/1.1 with a blank before the colon", "Transfer-Encoding : chunked\r\nX: $", true},
	};
	struct bytes der = known->request.der;
	const char *field;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO_BUF b = {0};

		buf_init(&b, TEXT_MAX);
		put(&b, POST_OP);
		field = strchr(rows[i].fields, '$');
		buf_printf(&b, "%.*s%zu%s", (int)(field - rows[i].fields), rows[i].fields, der.len, field + 1);
		put(&b, "\r\n\r\n");
		if (rows[i].is_chunked)
			buf_printf(&b, "%zx\r\n", der.len);
		buf_put_raw(&b, der.data, der.len);
		put(&b, rows[i].is_chunked ? "\r\n0\r\n\r\n" : "");
		check_refused(w, buf_bytes(&b), rows[i].what);
	}
}

/* ---- too much ---------------------------------------------------------------------------------------------------- */

static struct bytes
repeated(struct buf *b, const char *before, char c, size_t count, const char *after)
{
	uint8_t *room;

	buf_clear(b);
	put(b, before);
	room = buf_put_room(b, count);
	if (room == NULL)
		exit(1);
	memset(room, c, count);
	put(b, after);
	return buf_bytes(b);
}

static void
too_much(struct device_world *w)
{
	struct drive_answer answer;
	AUTO_BUF b = {0};

	buf_init(&b, TEXT_MAX);
	ask_alone(w, repeated(&b, POST_OP "Content-Length: 1048576\r\n\r\n", '0', 1048576, ""), &answer);
	drive_check_int(400, answer.status, "a body of a mebibyte of zeros: 400");
	ask_alone(w,
		  repeated(&b, POST_OP "Transfer-Encoding: chunked\r\n\r\n110000\r\n", '0', 0x110000, "\r\n0\r\n\r\n"),
		  &answer);
	drive_check_int(413, answer.status, "a chunk longer than a body may be: 413");
	ask_alone(w, repeated(&b, GET_OP "&message=", 'M', 65535, REST), &answer);
	drive_check_int(414, answer.status, "a URL of more than 65,534 octets: 414");
	ask_alone(w, repeated(&b, GET_OP "&message=", 'M', 60000, REST), &answer);
	drive_check_int(400, answer.status, "a URL of 60,000 octets is read: 400");
	ask_alone(w, repeated(&b, "GET /scep?operation=GetCACaps HTTP/1.1\r\nX: ", 'x', 65000, "\r\n\r\n"), &answer);
	drive_check_int(200, answer.status, "a header field of 65,000 octets: 200");
	check_refused(w, repeated(&b, "GET /scep?operation=GetCACaps HTTP/1.1\r\nX: ", 'x', 65532, "\r\n\r\n"),
		      "a header field of 65,535 octets");
	check_refused(w, repeated(&b, "GET /", 'x', 200000, REST), "a request line of 200,000 octets");
	check_refused(w, repeated(&b, "", 'x', 200000, ""), "200,000 octets without a line end");
}

/* Nothing of it may be kept: the script looks at the memory that the front ever had. */
static void
huge_body(struct device_world *w)
{
	enum { PIECES = 64, PIECE = 1 << 20 };
	struct drive_answer answer = {.status = DRIVE_CLOSED};
	uint8_t *piece = calloc(1, PIECE);
	char head[200];
	int i;

	snprintf(head, sizeof(head), POST_OP "Content-Length: %d\r\n\r\n", PIECES * PIECE);
	drive_close(&w->http);
	if (piece == NULL || drive_dial(&w->http) != 0 || drive_send(&w->http, bytes_of_text(head)) != 0)
		exit(1);
	for (i = 0; i < PIECES && drive_send(&w->http, (struct bytes){piece, PIECE}) == 0; i++)
		;
	drive_receive(&w->http, &answer);
	drive_check(answer.status == 413 || (answer.status == DRIVE_CLOSED && i < PIECES),
		    "a body of 64 MiB: 413, or the connection is closed");
	drive_close(&w->http);
	free(piece);
}

static void
many_headers(struct device_world *w)
{
	struct drive_answer answer;
	AUTO_BUF b = {0};
	int i;

	buf_init(&b, TEXT_MAX);
	put(&b, "GET /scep?operation=GetCACaps HTTP/1.1\r\n");
	for (i = 0; i < 12000; i++)
		put(&b, "a: b\r\n");
	put(&b, "\r\n");
	ask_alone(w, buf_bytes(&b), &answer);
	drive_check_int(200, answer.status, "12,000 header fields: 200");
}

/* ---- several requests on a connection ---------------------------------------------------------------------------- */

static void
pipeline(struct device_world *w, const struct known *known)
{
	static const int expected[] = {200, 404, 405, 400, 200, 200};
	struct drive_answer answer;
	AUTO_BUF b = {0};
	size_t i, right = 0;

	buf_init(&b, TEXT_MAX);
	put(&b, "GET /scep?operation=GetCACaps HTTP/1.1\r\nHost: t\r\n\r\n");
	put(&b, "GET /nothing HTTP/1.1\r\nHost: t\r\n\r\n");
	put(&b, "POST /crl HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc");
	put(&b, GET_OP "&message=AAAA" REST);
	buf_printf(&b, POST_OP "Content-Length: %zu\r\n\r\n", known->request.der.len);
	buf_put_raw(&b, known->request.der.data, known->request.der.len);
	put(&b, "GET /health HTTP/1.1\r\nHost: t\r\n\r\n");
	drive_close(&w->http);
	if (drive_dial(&w->http) != 0 || drive_send(&w->http, buf_bytes(&b)) != 0)
		drive_check(false, "requests can be sent");
	for (i = 0; i < ARRAY_SIZE(expected); i++) {
		drive_receive(&w->http, &answer);
		right += answer.status == expected[i];
		if (answer.status != expected[i])
			drive_note("answer %zu: %d, expected %d", i, answer.status, expected[i]);
	}
	drive_check_int((long)ARRAY_SIZE(expected), (long)right,
			"six requests sent at once are answered in their order");
	drive_check(strcmp(answer.type, "text/plain") == 0 && answer.body.len > 0,
		    "and the last one gets its own answer");
	drive_close(&w->http);
}

static void
many_at_once(struct device_world *w)
{
	enum { COUNT = 2000 };
	struct drive_answer answer = {.status = 200};
	AUTO_BUF b = {0};
	int i, right = 0;

	buf_init(&b, TEXT_MAX);
	for (i = 0; i < COUNT; i++)
		put(&b, "GET /scep?operation=GetCACaps HTTP/1.1\r\n\r\n");
	drive_close(&w->http);
	if (drive_dial(&w->http) != 0 || drive_send(&w->http, buf_bytes(&b)) != 0)
		drive_check(false, "requests can be sent");
	for (i = 0; i < COUNT && answer.status == 200; i++) {
		drive_receive(&w->http, &answer);
		right += answer.status == 200;
	}
	drive_check_int(COUNT, right, "%d requests sent at once are all answered", COUNT);
	drive_close(&w->http);
}

/* A peer that goes away while its request is worked on. */
static void
gone_early(struct device_world *w, const struct known *known)
{
	struct drive_answer answer;
	char head[200];
	int i, failed = 0;

	snprintf(head, sizeof(head), POST_OP "Content-Length: %zu\r\n\r\n", known->request.der.len);
	for (i = 0; i < 200; i++) {
		if (drive_dial(&w->http) != 0 || drive_send(&w->http, bytes_of_text(head)) != 0 ||
		    drive_send(&w->http,
			       (struct bytes){known->request.der.data, i % 4 == 0 ? 100 : known->request.der.len}) != 0)
			failed++;
		drive_close(&w->http);
	}
	drive_get(&w->http, "/health", &answer);
	drive_check(failed == 0 && answer.status == 200, "200 peers that do not wait for their answer");
}

int
main(int argc, char **argv)
{
	struct known known;
	struct device_world w;

	if (argc != 4) {
		fputs("usage: httpdrive ADDRESS PORT SERIALS <CHALLENGES\n", stderr);
		return 2;
	}
	if (device_world_init(argv[1], argv[2], argv[3], &w) != 0)
		return drive_finish();
	known_make(&w, &known);
	by_get(&w, &known);
	by_place(&w, &known);
	by_post(&w, &known);
	by_chunks(&w, &known);
	by_expectation(&w, &known);
	no_messages(&w);
	paths(&w);
	methods(&w);
	no_http(&w);
	ambiguous(&w, &known);
	too_much(&w);
	huge_body(&w);
	many_headers(&w);
	pipeline(&w, &known);
	many_at_once(&w);
	gone_early(&w, &known);
	X509_free(known.cert);
	scepmsg_request_fini(&known.request);
	device_world_fini(&w);
	return drive_finish();
}
