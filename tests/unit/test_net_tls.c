#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "board/base/clock.h"
#include "board/base/ipc.h"
#include "board/msg.h"
#include "net/http.h"
#include "net/tls.h"
#include "net/tlskeep.h"
#include "tests/lib/certs.h"
#include "tests/lib/scepmsg.h"
#include "tests/lib/test.h"

enum { PATIENCE_MS = 4000 };

static struct {
	EVP_PKEY *key, *ca_key;
	X509 *cert, *ca, *root;
	struct bytes der, ca_der, root_der;
	SSL_CTX *context;
} made;

static int
make(void **state)
{
	struct bytes root;
	struct err e = {0};

	made.key = certs_ec("P-256");
	made.ca_key = certs_ec("P-256");
	root = certs_ca(made.ca_key);
	made.root = scepmsg_cert(root);
	free((void *)(uintptr_t)root.data);
	made.ca = scepmsg_issue(made.ca_key, "Sub CA", made.root, made.ca_key);
	made.cert = scepmsg_issue(made.key, "localhost", made.ca, made.ca_key);
	made.der = scepmsg_cert_der(made.cert);
	made.ca_der = scepmsg_cert_der(made.ca);
	made.root_der = scepmsg_cert_der(made.root);
	return net_tls_context(made.key, made.der, (struct bytes[]){made.ca_der, made.root_der}, 2, &made.context, &e);
}

static int
unmake(void **state)
{
	SSL_CTX_free(made.context);
	EVP_PKEY_free(made.key);
	EVP_PKEY_free(made.ca_key);
	X509_free(made.cert);
	X509_free(made.ca);
	X509_free(made.root);
	free((void *)(uintptr_t)made.der.data);
	free((void *)(uintptr_t)made.ca_der.data);
	free((void *)(uintptr_t)made.root_der.data);
	return 0;
}

/* ---- the request ------------------------------------------------------------------------------------------------ */

/* CN and subjectAltName of the request for names, as OpenSSL prints them. */
static void
request_text(const char *names, char *cn, size_t cn_size, char *san, size_t san_size)
{
	STACK_OF(X509_EXTENSION) * extensions;
	EVP_PKEY *key = NULL;
	const unsigned char *next;
	BIO *out = BIO_new(BIO_s_mem());
	X509_REQ *csr;
	AUTO_BUF der;
	int len;

	buf_init(&der, 4096);
	CHECK_INT(net_tls_request(names, &der, &key, NULL), 0);
	next = der.data;
	csr = d2i_X509_REQ(NULL, &next, (long)der.len);
	CHECK(csr != NULL && X509_REQ_verify(csr, key) == 1);
	if (X509_NAME_get_text_by_NID(X509_REQ_get_subject_name(csr), NID_commonName, cn, (int)cn_size) < 0)
		cn[0] = '\0';
	extensions = X509_REQ_get_extensions(csr);
	CHECK_INT(sk_X509_EXTENSION_num(extensions), 1);
	X509V3_EXT_print(out, sk_X509_EXTENSION_value(extensions, 0), 0, 0);
	len = BIO_read(out, san, (int)san_size - 1);
	san[len > 0 ? len : 0] = '\0';
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	BIO_free(out);
	X509_REQ_free(csr);
	EVP_PKEY_free(key);
}

TEST(a_request_without_names_is_refused)
{
	EVP_PKEY *key = NULL;
	char text[300];
	AUTO_BUF der;

	buf_init(&der, 4096);
	CHECK_INT(net_tls_request("", &der, &key, NULL), ERR_CONFIG);
	CHECK_INT(net_tls_request("   ", &der, &key, NULL), ERR_CONFIG);
	snprintf(text, sizeof(text), "%0254d", 0);
	CHECK_INT(net_tls_request(text, &der, &key, NULL), ERR_CONFIG);
	CHECK(key == NULL);
}

TEST(a_request_names_the_first_and_lists_all)
{
	char cn[100];
	char san[300];
	char names[100];

	request_text(" scep.example 192.0.2.1  2001:db8::1 ", cn, sizeof(cn), san, sizeof(san));
	CHECK_TEXT(cn, "scep.example");
	CHECK_TEXT(san, "DNS:scep.example, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1");
	snprintf(names, sizeof(names), "%065d", 0);
	request_text(names, cn, sizeof(cn), san, sizeof(san));
	CHECK_TEXT(cn, ""); /* longer than a CN may be */
	CHECK_INT(strlen(san), 4 + 65);
}

/* ---- the context ------------------------------------------------------------------------------------------------ */

TEST(a_context_needs_the_certificate_of_its_key)
{
	SSL_CTX *context = NULL;

	CHECK_INT(net_tls_context(made.key, made.ca_der, NULL, 0, &context, NULL), ERR_VERIFY);
	CHECK_INT(net_tls_context(made.key, bytes_of_text("nonsense"), NULL, 0, &context, NULL), ERR_FORMAT);
	CHECK_INT(net_tls_context(made.key, made.der, (struct bytes[]){{NULL, 0}}, 1, &context, NULL), ERR_FORMAT);
	CHECK(context == NULL);
}

/* A handshake in memory; the client is set up by prepare.  True when both sides are content. */
static bool
handshake(void (*prepare)(SSL *client), SSL **ret_client)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *client;
	SSL *server = SSL_new(made.context);
	BIO *a;
	BIO *b;
	int done_client = 0;
	int done_server = 0;

	SSL_CTX_set_security_level(context, 0);
	client = SSL_new(context);
	SSL_CTX_free(context);
	BIO_new_bio_pair(&a, 0, &b, 0);
	SSL_set_bio(client, a, a);
	SSL_set_bio(server, b, b);
	if (prepare != NULL)
		prepare(client);
	for (int i = 0; i < 10 && (done_client != 1 || done_server != 1); i++) {
		done_client = SSL_connect(client);
		done_server = SSL_accept(server);
	}
	ERR_clear_error();
	SSL_free(server);
	if (ret_client != NULL)
		*ret_client = client;
	else
		SSL_free(client);
	return done_client == 1 && done_server == 1;
}

static void
only_tls_1_1(SSL *client)
{
	SSL_set_min_proto_version(client, TLS1_VERSION);
	SSL_set_max_proto_version(client, TLS1_1_VERSION);
}

static void
only_tls_1_2(SSL *client)
{
	SSL_set_max_proto_version(client, TLS1_2_VERSION);
}

static void
only_cbc(SSL *client)
{
	SSL_set_max_proto_version(client, TLS1_2_VERSION);
	SSL_set_cipher_list(client, "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA");
}

TEST(old_versions_and_ciphers_are_refused)
{
	CHECK(!handshake(only_tls_1_1, NULL));
	CHECK(!handshake(only_cbc, NULL));
}

TEST(both_versions_work_and_the_chain_has_no_root)
{
	SSL *client;

	CHECK(handshake(only_tls_1_2, NULL));
	CHECK(handshake(NULL, &client));
	CHECK_TEXT(SSL_get_version(client), "TLSv1.3");
	CHECK_INT(sk_X509_num(SSL_get_peer_cert_chain(client)), 2);
	CHECK_INT(X509_cmp(sk_X509_value(SSL_get_peer_cert_chain(client), 1), made.ca), 0);
	SSL_free(client);
}

/* ---- HTTPS ------------------------------------------------------------------------------------------------------ */

static void
on_request(struct net_http_request *request, void *arg)
{
	CHECK_INT(request->kind, NET_HTTP_TLS);
	net_http_answer_text(request, 200, "over TLS");
}

TEST(https_serves_and_closes_who_does_not_finish_the_handshake)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	SSL_CTX *client_context = SSL_CTX_new(TLS_client_method());
	SSL *client = SSL_new(client_context);
	static const char ask[] = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
	socklen_t size = sizeof(address);
	struct net_limit *limit;
	struct net_http *http;
	struct config conf;
	struct loop *loop;
	int64_t end = clock_mono_ms() + PATIENCE_MS;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int good = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[1000] = "";
	size_t len = 0;
	size_t n;
	bool is_asked = false;

	CHECK_INT(bind(listener, (struct sockaddr *)&address, size), 0);
	CHECK_INT(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	config_default(&conf);
	conf.front_idle_s = 1;
	CHECK_INT(loop_new(&loop), 0);
	CHECK_INT(net_limit_new(10, 10, &limit), 0);
	CHECK_INT(net_http_new(loop, &conf, limit, on_request, NULL, &http), 0);
	net_http_set_tls(http, TLS_FRONT, made.context);
	CHECK_INT(net_http_listen(http, listener, NET_HTTP_TLS, NULL), 0);
	CHECK_INT(connect(silent, (struct sockaddr *)&address, size), 0);
	CHECK_INT(connect(good, (struct sockaddr *)&address, size), 0);
	fcntl(good, F_SETFL, O_NONBLOCK);
	SSL_set_fd(client, good);
	SSL_set_connect_state(client);
	while (clock_mono_ms() < end && !(SSL_get_shutdown(client) & SSL_RECEIVED_SHUTDOWN)) {
		if (!is_asked)
			is_asked = SSL_write_ex(client, ask, sizeof(ask) - 1, &n) == 1;
		else if (SSL_read_ex(client, text + len, sizeof(text) - len - 1, &n) == 1)
			len += n;
		ERR_clear_error();
		loop_run_once(loop, 5);
	}
	CHECK(strstr(text, "\r\n\r\nover TLS\n") != NULL);
	while (net_limit_total(limit) > 0 && clock_mono_ms() < end)
		loop_run_once(loop, 20);
	CHECK_INT(net_limit_total(limit), 0);
	SSL_free(client);
	SSL_CTX_free(client_context);
	net_http_free(http);
	loop_run_once(loop, 0);
	loop_free(loop);
	net_limit_free(limit);
	close(good);
	close(silent);
}

/* ---- keeping it current; the authority is a stand-in ------------------------------------------------------------- */

static struct {
	struct loop *loop;
	struct net_tlskeep *keep;
	struct net_identity *identity;
	struct ipc *front, *authority;
	unsigned asked;
	unsigned contexts;
	unsigned refuse; /* so many requests */
	long life_s;
} k;

static void
on_ask(struct ipc *ipc, struct ipc_message *message, void *arg)
{
	struct msg_decision decision = {.status = STATUS_RETRY};
	struct msg_tls_request ask;
	const unsigned char *next;
	X509_REQ *csr;
	X509 *cert;

	k.asked++;
	CHECK_INT(message->type, MSG_TLS_REQUEST);
	CHECK_INT(msg_tls_request_get(message->body, &ask), 0);
	next = ask.csr.data;
	csr = d2i_X509_REQ(NULL, &next, (long)ask.csr.len);
	CHECK(csr != NULL);
	cert = scepmsg_issue(X509_REQ_get0_pubkey(csr), "localhost", made.ca, made.ca_key);
	if (k.life_s != 0) {
		X509_gmtime_adj(X509_getm_notAfter(cert), k.life_s);
		X509_sign(cert, made.ca_key, EVP_sha256());
	}
	if (k.refuse > 0) {
		k.refuse--;
	} else {
		decision.status = STATUS_ISSUED;
		decision.certificate = scepmsg_cert_der(cert);
	}
	CHECK_INT(msg_decision_send(ipc, message->id, &decision), 0);
	free((void *)(uintptr_t)decision.certificate.data);
	X509_free(cert);
	X509_REQ_free(csr);
}

static void
on_context(int use, SSL_CTX *context, void *arg)
{
	CHECK(SSL_CTX_check_private_key(context) == 1);
	k.contexts++;
}

static void
on_front_message(struct ipc *ipc, struct ipc_message *message, void *arg)
{
}

static void
join(void)
{
	struct ipc_handlers front = {.on_message = on_front_message};
	struct ipc_handlers authority = {.on_message = on_ask};
	int fds[2];

	CHECK_INT(ipc_pair(fds, NULL), 0);
	CHECK_INT(ipc_new(k.loop, fds[0], ROLE_FRONT, ROLE_AUTHORITY, &front, &k.front), 0);
	CHECK_INT(ipc_new(k.loop, fds[1], ROLE_AUTHORITY, ROLE_FRONT, &authority, &k.authority), 0);
	net_tlskeep_set_authority(k.keep, k.front);
}

static void
part(void)
{
	net_tlskeep_set_authority(k.keep, NULL);
	ipc_free(TAKE(k.front));
	ipc_free(TAKE(k.authority));
}

static int
set_up(void **state)
{
	struct msg_identity message = {.ra_sign = made.ca_der, .chain.count = 2, .ra_decrypt = {{made.ca_der}, 1}};
	struct config conf;

	message.chain.item[0] = made.ca_der;
	message.chain.item[1] = made.root_der;
	memset(&k, 0, sizeof(k));
	config_default(&conf);
	if (loop_new(&k.loop) != 0 || net_identity_new(&message, &k.identity, NULL) != 0)
		return -1;
	return net_tlskeep_new(k.loop, &conf, TLS_FRONT, on_context, NULL, &k.keep);
}

static int
tear_down(void **state)
{
	part();
	net_tlskeep_free(k.keep);
	net_identity_free(k.identity);
	loop_run_once(k.loop, 0);
	loop_free(k.loop);
	return 0;
}

static void
await_contexts(unsigned count)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;

	while (k.contexts < count && clock_mono_ms() < end)
		loop_run_once(k.loop, 20);
	for (int i = 0; i < 5; i++)
		loop_run_once(k.loop, 1);
	CHECK_INT(k.contexts, count);
}

TEST(a_certificate_is_asked_for_when_authority_and_identity_are_there)
{
	join();
	await_contexts(0);
	CHECK_INT(k.asked, 0);
	net_tlskeep_set_identity(k.keep, k.identity);
	await_contexts(1);
	net_tlskeep_set_identity(k.keep, k.identity); /* the same CA: nothing to do */
	part();
	join();
	await_contexts(1);
	CHECK_INT(k.asked, 1);
}

TEST(other_names_make_another_certificate)
{
	struct config conf;

	net_tlskeep_set_identity(k.keep, k.identity);
	join();
	await_contexts(1);
	config_default(&conf);
	net_tlskeep_configure(k.keep, &conf);
	await_contexts(1);
	strcpy(conf.front_tls_names, "other.example");
	net_tlskeep_configure(k.keep, &conf);
	strcpy(conf.front_tls_names, "third.example"); /* while the second is on its way */
	net_tlskeep_configure(k.keep, &conf);
	await_contexts(3);
}

TEST(it_is_renewed_after_two_thirds_of_its_life)
{
	int64_t start_ms = clock_mono_ms();

	k.life_s = 3;
	net_tlskeep_set_identity(k.keep, k.identity);
	join();
	await_contexts(1);
	await_contexts(2);
	CHECK(clock_mono_ms() - start_ms > 1000 && clock_mono_ms() - start_ms < 3000);
}

TEST(after_a_refusal_it_is_asked_for_again)
{
	k.refuse = 1;
	net_tlskeep_set_identity(k.keep, k.identity);
	join();
	await_contexts(1);
	CHECK_INT(k.asked, 2);
}

TEST(an_authority_that_goes_away_is_asked_when_it_is_back)
{
	net_tlskeep_set_identity(k.keep, k.identity);
	join();
	part(); /* the question is on its way */
	await_contexts(0);
	join();
	await_contexts(1);
}

#define KEEP(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest list[] = {
		RUN(a_request_without_names_is_refused),
		RUN(a_request_names_the_first_and_lists_all),
		RUN(a_context_needs_the_certificate_of_its_key),
		RUN(old_versions_and_ciphers_are_refused),
		RUN(both_versions_work_and_the_chain_has_no_root),
		RUN(https_serves_and_closes_who_does_not_finish_the_handshake),
		KEEP(a_certificate_is_asked_for_when_authority_and_identity_are_there),
		KEEP(other_names_make_another_certificate),
		KEEP(it_is_renewed_after_two_thirds_of_its_life),
		KEEP(after_a_refusal_it_is_asked_for_again),
		KEEP(an_authority_that_goes_away_is_asked_when_it_is_back),
	};

	return test_finish((int)ARRAY_SIZE(list), cmocka_run_group_tests(list, make, unmake));
}
