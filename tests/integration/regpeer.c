/*
 * tests/integration/regpeer - a stand-in for a certificate registration point, which says what the test wants said
 *
 * regpeer CERTIFICATE KEY CLIENT-ROOT MODE LOG: a TLS server on a free port of 127.0.0.1 that wants a client
 * certificate below the root.  Prints its port.  The file MODE says how it judges: "Success", the name of another
 * reason, or "hang".  LOG gets a line for each request: its path and the client's subject.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_MAX = 65536, ANSWER_MAX = 1024, MODE_MAX = 64, HANG_S = 30 };

static const char *mode_file;
static const char *log_file;

static void
fail(const char *what)
{
	fprintf(stderr, "regpeer: %s\n", what);
	exit(1);
}

static void
read_mode(char mode[MODE_MAX])
{
	FILE *f = fopen(mode_file, "r");

	if (f == NULL || fgets(mode, MODE_MAX, f) == NULL)
		snprintf(mode, MODE_MAX, "Success");
	if (f != NULL)
		fclose(f);
	mode[strcspn(mode, "\n")] = '\0';
}

/* Reads one request, headers and body; false at the end. */
static bool
read_request(SSL *ssl, char *request)
{
	size_t len = 0;

	for (;;) {
		int n = SSL_read(ssl, request + len, (int)(REQUEST_MAX - 1 - len));
		const char *body, *field;

		if (n <= 0)
			return false;
		len += (size_t)n;
		request[len] = '\0';
		body = strstr(request, "\r\n\r\n");
		field = strcasestr(request, "\r\nContent-Length:");
		if (body != NULL && (field == NULL || field > body ||
				     len >= (size_t)(body + 4 - request) + strtoul(field + 17, NULL, 10)))
			return true;
		if (len == REQUEST_MAX - 1)
			return false;
	}
}

static void
note(SSL *ssl, const char *request)
{
	X509 *client = SSL_get0_peer_certificate(ssl);
	FILE *f = fopen(log_file, "a");
	char subject[256] = "";

	if (client != NULL)
		X509_NAME_oneline(X509_get_subject_name(client), subject, sizeof(subject));
	if (f != NULL) {
		fprintf(f, "%.*s %s\n", (int)strcspn(request, "\r"), request, subject);
		fclose(f);
	}
}

static void
answer(SSL *ssl, const char *request, const char *mode)
{
	char text[ANSWER_MAX];
	char json[ANSWER_MAX / 2];

	snprintf(json, sizeof(json), "{\"code\":\"%s\",\"errorDescription\":\"as the test said\"}", mode);
	if (strstr(request, "/Certificate/Notify ") != NULL)
		snprintf(text, sizeof(text), "HTTP/1.1 204 No Content\r\n\r\n");
	else if (strstr(request, "/Certificate/VerifyRequest ") != NULL)
		snprintf(text, sizeof(text),
			 "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
			 strlen(json), json);
	else
		snprintf(text, sizeof(text), "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
	SSL_write(ssl, text, (int)strlen(text));
}

/* In a process of its own. */
static void
serve(SSL *ssl)
{
	static char request[REQUEST_MAX];
	char mode[MODE_MAX];

	while (SSL_accept(ssl) == 1 && read_request(ssl, request)) {
		note(ssl, request);
		read_mode(mode);
		if (strcmp(mode, "hang") == 0)
			sleep(HANG_S);
		else
			answer(ssl, request, mode);
	}
}

static int
listen_somewhere(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, 64) != 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) != 0)
		fail("listening");
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	return fd;
}

int
main(int argc, char **argv)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	int listener;

	if (argc != 6)
		fail("CERTIFICATE KEY CLIENT-ROOT MODE LOG");
	if (SSL_CTX_use_certificate_chain_file(context, argv[1]) != 1 ||
	    SSL_CTX_use_PrivateKey_file(context, argv[2], SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_load_verify_locations(context, argv[3], NULL) != 1)
		fail("its certificate, key or root");
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_session_id_context(context, (const unsigned char *)"regpeer", 7);
	mode_file = argv[4];
	log_file = argv[5];
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	listener = listen_somewhere();
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		SSL *ssl = SSL_new(context);

		SSL_set_fd(ssl, fd);
		if (fd >= 0 && fork() == 0) {
			serve(ssl);
			_exit(0);
		}
		SSL_free(ssl);
		close(fd);
	}
}
