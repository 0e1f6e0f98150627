#include "tests/lib/tlspeer.h"

#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/test.h"

enum { LOOK_MS = 20 };

static void
pause_ms(int ms)
{
	struct timespec rest = {ms / 1000, ms % 1000 * 1000000L};

	nanosleep(&rest, NULL);
}

/* Is there something to read?  False when the test is over. */
static bool
wait_readable(struct tlspeer *peer, int fd)
{
	struct pollfd look = {.fd = fd, .events = POLLIN};

	while (!peer->stopping)
		if (poll(&look, 1, LOOK_MS) > 0)
			return true;
	return false;
}

static bool
is_whole(const char *request)
{
	const char *end = strstr(request, "\r\n\r\n");
	const char *length = strcasestr(request, "\r\nContent-Length:");

	if (end == NULL)
		return false;
	return length == NULL || strlen(end + 4) >= strtoul(length + 17, NULL, 10);
}

/* One request, which the test sees when it is whole: before its answer. */
static bool
read_request(struct tlspeer *peer, SSL *ssl, int fd)
{
	char request[sizeof(peer->request)] = "";
	size_t len = 0;

	while (len < sizeof(request) - 1 && !is_whole(request)) {
		int got;

		if (SSL_pending(ssl) == 0 && !wait_readable(peer, fd))
			return false;
		got = SSL_read(ssl, request + len, (int)(sizeof(request) - 1 - len));
		if (got <= 0)
			return false;
		len += (size_t)got;
	}
	memcpy(peer->request, request, sizeof(request));
	return true;
}

static void
note_client(struct tlspeer *peer, SSL *ssl)
{
	X509 *client = SSL_get1_peer_certificate(ssl);

	if (client != NULL)
		X509_NAME_oneline(X509_get_subject_name(client), peer->client, sizeof(peer->client));
	X509_free(client);
}

static void
serve(struct tlspeer *peer, int fd)
{
	SSL *ssl = SSL_new(peer->context);

	SSL_set_fd(ssl, fd);
	if (SSL_accept(ssl) == 1) {
		note_client(peer, ssl);
		do {
			size_t len;

			if (!read_request(peer, ssl, fd))
				break;
			if (peer->reply != NULL)
				peer->answer = peer->reply(peer->request);
			len = peer->answer_len != 0 ? peer->answer_len : strlen(peer->answer);
			for (int waited = 0; waited < peer->delay_ms && !peer->stopping; waited += LOOK_MS)
				pause_ms(LOOK_MS);
			if (len > 0 && SSL_write(ssl, peer->answer, (int)len) <= 0)
				break;
			peer->requests++;
		} while (peer->keep && !peer->stopping);
		SSL_shutdown(ssl);
	}
	SSL_free(ssl);
	close(fd);
}

static void *
run(void *arg)
{
	struct tlspeer *peer = arg;

	while (wait_readable(peer, peer->listener)) {
		int fd = accept(peer->listener, NULL, NULL);

		if (fd < 0)
			continue;
		peer->connections++;
		serve(peer, fd);
	}
	return NULL;
}

static X509 *
certificate_of(struct bytes der)
{
	const unsigned char *next = der.data;
	X509 *certificate = d2i_X509(NULL, &next, (long)der.len);

	assert_non_null(certificate);
	return certificate;
}

void
tlspeer_start(struct tlspeer *peer)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof(address);
	X509 *own = certificate_of(peer->certificate);

	peer->context = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate(peer->context, own), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(peer->context, peer->key), 1);
	X509_free(own);
	if (peer->client_root.len > 0) {
		X509 *root = certificate_of(peer->client_root);

		X509_STORE_add_cert(SSL_CTX_get_cert_store(peer->context), root);
		SSL_CTX_set_verify(peer->context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
		X509_free(root);
	}
	peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(peer->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(peer->listener, 16), 0);
	assert_int_equal(getsockname(peer->listener, (struct sockaddr *)&address, &size), 0);
	peer->port = ntohs(address.sin_port);
	assert_int_equal(pthread_create(&peer->thread, NULL, run, peer), 0);
}

void
tlspeer_stop(struct tlspeer *peer)
{
	peer->stopping = true;
	pthread_join(peer->thread, NULL);
	close(peer->listener);
	SSL_CTX_free(peer->context);
}
