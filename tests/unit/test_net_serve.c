/*
 * One loop of the front as devices see it: every path, before and after the authority has spoken, and while the others
 * are away.  The authority and the signer are bare ends of channels.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "board/base/clock.h"
#include "board/base/ipc.h"
#include "board/msg.h"
#include "net/serve.h"
#include "tests/lib/certs.h"
#include "tests/lib/scepmsg.h"
#include "tests/lib/test.h"

enum { PATIENCE_MS = 4000, ANSWER_MAX = 1 << 16 };

static struct {
	struct loop *loop;
	struct net_limit *limit;
	struct net_serve *serve;
	struct config conf;
	struct sockaddr_in address;
	struct ipc *authority; /* their ends */
	struct ipc *signer;
	unsigned identities;
	unsigned stopped;
	char out[ANSWER_MAX];
} w;

static struct bytes root, sub, ra_sign, ra_decrypt;

static void
on_identity(void *arg)
{
	w.identities++;
}

static void
on_tls(int use, struct ssl_ctx_st *context, void *arg)
{
}

static void
on_stopped(void *arg)
{
	w.stopped++;
}

static void
on_message(struct ipc *ipc, struct ipc_message *message, void *arg)
{
}

static struct ipc *
join(enum role role)
{
	struct ipc_handlers handlers = {.on_message = on_message};
	struct ipc *other;
	int fds[2];

	CHECK_INT(ipc_pair(fds, NULL), 0);
	CHECK_INT(ipc_new(w.loop, fds[1], role, ROLE_FRONT, &handlers, &other), 0);
	net_serve_peer(w.serve, role, fds[0]);
	return other;
}

/* Lets what was sent arrive. */
static void
settle(void)
{
	for (int i = 0; i < 10; i++)
		loop_run_once(w.loop, 2);
}

static void
speak(void)
{
	struct msg_identity identity = {.chain = {{sub, root}, 2}, .ra_sign = ra_sign, .ra_decrypt = {{ra_decrypt}, 1}};
	struct msg_crl crl = {
		.crl = bytes_of_text("CRL"), .this_update = 784111777, .next_update = clock_wall() + 1000};

	w.authority = join(ROLE_AUTHORITY);
	w.signer = join(ROLE_SIGNER);
	CHECK_INT(msg_identity_send(w.authority, 0, &identity), 0);
	CHECK_INT(msg_crl_send(w.authority, 0, &crl), 0);
	settle();
	CHECK_INT(w.identities, 1);
}

static int
set_up(void **state)
{
	struct net_serve_events events = {.on_identity = on_identity, .on_tls = on_tls, .on_stopped = on_stopped};
	socklen_t size = sizeof(w.address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memset(&w, 0, sizeof(w));
	config_default(&w.conf);
	w.address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (bind(fd, (struct sockaddr *)&w.address, size) != 0 ||
	    getsockname(fd, (struct sockaddr *)&w.address, &size) != 0 || loop_new(&w.loop) != 0 ||
	    net_limit_new(100, 100, &w.limit) != 0 ||
	    net_serve_new(w.loop, 1, &w.conf, w.limit, &events, &w.serve) != 0)
		return -1;
	net_serve_listen(w.serve, LISTEN_HTTP, fd);
	net_serve_start(w.serve);
	return 0;
}

static int
tear_down(void **state)
{
	net_serve_free(w.serve);
	ipc_free(w.authority);
	ipc_free(w.signer);
	loop_run_once(w.loop, 0);
	loop_free(w.loop);
	CHECK_INT(net_limit_total(w.limit), 0);
	net_limit_free(w.limit);
	return 0;
}

/* Status of the answer, all of which is in w.out. */
static int
ask_with(const char *method, const char *target, const char *field)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[400];
	size_t len = 0;
	ssize_t n = -1;
	int status = -1;

	snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n", method, target, field);
	CHECK_INT(connect(fd, (struct sockaddr *)&w.address, sizeof(w.address)), 0);
	CHECK(send(fd, text, strlen(text), 0) > 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (n != 0 && clock_mono_ms() < end) {
		n = recv(fd, w.out + len, sizeof(w.out) - len - 1, 0);
		len += n > 0 ? (size_t)n : 0;
		if (n < 0)
			loop_run_once(w.loop, 5);
	}
	close(fd);
	w.out[len] = '\0';
	CHECK(sscanf(w.out, "HTTP/1.1 %d ", &status) == 1);
	return status;
}

static int
ask(const char *method, const char *target)
{
	return ask_with(method, target, "");
}

static bool
has(const char *text)
{
	return strstr(w.out, text) != NULL;
}

TEST(before_the_authority_spoke_only_capabilities_are_served)
{
	CHECK_INT(ask("GET", "/scep?operation=GetCACaps"), 200);
	CHECK_INT(ask("GET", "/scep?operation=GetCACert"), 503);
	CHECK(has("\r\nRetry-After: 3\r\n"));
	CHECK_INT(ask("GET", "/crl"), 503);
	CHECK_INT(ask("GET", "/ca"), 503);
	CHECK_INT(ask("GET", "/health"), 503);
}

TEST(what_is_not_there_or_not_allowed_is_said)
{
	speak();
	CHECK_INT(ask("GET", "/"), 404);
	CHECK_INT(ask("GET", "/scepx?operation=GetCACaps"), 404);
	CHECK_INT(ask("GET", "/scep?operation=GetNextCACert"), 404);
	CHECK_INT(ask("GET", "/scep?operation=Nothing"), 400);
	CHECK(!has("\r\nContent-Length: 0\r\n"));
	CHECK_INT(ask("POST", "/crl"), 405);
	CHECK(has("\r\nAllow: GET, HEAD\r\n"));
	CHECK_INT(ask("HEAD", "/scep?operation=PKIOperation&message=MIIB"), 405);
	CHECK_INT(ask("GET", "/scep?operation=PKIOperation"), 400);
	CHECK_INT(ask("GET", "/scep?operation=PKIOperation&message=!!"), 400);
	CHECK_INT(ask("POST", "/scep"), 400);
}

TEST(every_path_that_clients_have_built_in_is_served)
{
	static const char *const paths[] = {"/scep",
					    "/scep/",
					    "/SCEP/pkiclient.exe",
					    "/cgi-bin/pkiclient.exe",
					    "/certsrv/mscep",
					    "/certsrv/mscep/",
					    "/CERTSRV/MSCEP/PKICLIENT.EXE",
					    "/certsrv/mscep/mscep.dll",
					    "/certsrv/mscep/mscep.dll/pkiclient.exe",
					    "/CertSrv/mscep/mscep.dll/"};
	char target[200];

	speak();
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		snprintf(target, sizeof(target), "%s?operation=GetCACaps&message=0", paths[i]);
		CHECK_INT(ask("GET", target), 200);
		CHECK(has("\r\nContent-Type: text/plain\r\n"));
		CHECK(has("POSTPKIOperation"));
		snprintf(target, sizeof(target), "%s?operation=GetCACert&message=any%%20CA", paths[i]);
		CHECK_INT(ask("GET", target), 200);
		CHECK(has("\r\nContent-Type: application/x-x509-ca-ra-cert\r\n"));
		CHECK_INT(ask("GET", paths[i]), 200);
		CHECK(has("\r\nContent-Type: text/html; charset=utf-8\r\n"));
		CHECK(has("<h2>What to type into a device</h2>") && has("(RFC 8894)"));
	}
}

TEST(what_clients_do_not_append_is_nowhere)
{
	static const char *const paths[] = {"/scep/profile",
					    "/scep/profile/pkiclient.exe",
					    "/scep/pkiclient.exe/more",
					    "/scep//",
					    "/certsrv/mscep/other.dll",
					    "/certsrv/mscep_admin",
					    "/certsrv/mscep_admin/",
					    "/certsrv/mscep_admin/mscep.dll",
					    "/certsrv"};
	char target[200];

	speak();
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		snprintf(target, sizeof(target), "%s?operation=GetCACaps", paths[i]);
		CHECK_INT(ask("GET", target), 404);
		CHECK(!has(paths[i]));
	}
}

TEST(a_page_for_people_is_kept_and_guessed_by_nobody)
{
	CHECK_INT(ask("GET", "/scep"), 200);
	CHECK(has("\r\nContent-Security-Policy: default-src 'none'; style-src 'sha256-"));
	CHECK(has("\r\nX-Content-Type-Options: nosniff\r\n"));
	CHECK(has("\r\nCache-Control: no-store\r\n"));
	CHECK(has("<code>http://a/scep</code>"));
	CHECK_INT(ask("HEAD", "/certsrv/mscep/"), 200);
	CHECK(!has("<html"));
}

/* How long the answer to GetCACert is. */
static size_t
cacert_length(void)
{
	CHECK_INT(ask("HEAD", "/scep?operation=GetCACert"), 200);
	return strtoul(strstr(w.out, "Content-Length: ") + 16, NULL, 10);
}

TEST(the_settings_decide_what_getcacert_holds_and_count_at_once)
{
	size_t with_root;

	speak();
	with_root = cacert_length();
	w.conf.scep_getcacert_root = false;
	net_serve_configure(w.serve, &w.conf);
	CHECK_INT(with_root - cacert_length(), root.len);
	w.conf.scep_getcacert_chain = false;
	net_serve_configure(w.serve, &w.conf);
	CHECK_INT(cacert_length(), sub.len);
	CHECK(has("\r\nContent-Type: application/x-x509-ca-cert\r\n"));
	w.conf.scep_caps_blank_line = true;
	net_serve_configure(w.serve, &w.conf);
	CHECK_INT(ask("GET", "/scep?operation=GetCACaps"), 200);
	CHECK(has("\n\n"));
}

/* ---- profiles --------------------------------------------------------------------------------------------------- */

static void
configure(const char *text)
{
	struct err e = {0};

	if (config_parse(text, "F", &w.conf, &e) != 0)
		fail_msg("%s", e.text);
	net_serve_configure(w.serve, &w.conf);
}

static const char two[] = "profiles = ( { name = \"routers\"; getcacert_root = false; caps_extra = \"X-1\"; },"
			  "{ name = \"legacy\"; preset = \"scepclient\"; getcacert_chain = false; } );";

TEST(a_profile_has_its_url_in_every_form_and_case)
{
	static const char *const paths[] = {"/scep/routers", "/scep/routers/", "/scep/routers/pkiclient.exe",
					    "/SCEP/Routers/PKIClient.EXE", "http://b/scep/routers"};
	char target[200];

	speak();
	configure(two);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		snprintf(target, sizeof(target), "%s?operation=GetCACaps&message=0", paths[i]);
		CHECK_INT(ask("GET", target), 200);
		CHECK(has("SCEPStandard\nX-1\n"));
		CHECK_INT(ask("GET", paths[i]), 200);
		CHECK(has("<code>http://a/scep/routers</code>"));
	}
	CHECK_INT(ask("POST", "/scep/routers"), 400);
}

TEST(what_is_nearly_the_url_of_a_profile_is_nowhere)
{
	static const char *const paths[] = {"/scep/router",
					    "/scep/routersx",
					    "/scep/routers//",
					    "/scep//routers",
					    "/scep/./routers",
					    "/scep/x/../routers",
					    "/scep/routers/..",
					    "/scep/rout%65rs",
					    "/scep/routers%2f",
					    "/scep%2frouters",
					    "/scep/routers%00",
					    "/scep/routers;a",
					    "/scep/routers/pkiclient.exe/",
					    "/scep/routers/legacy",
					    "/scep/r%",
					    "/scep/../scep/routers",
					    "/cgi-bin/routers",
					    "/certsrv/mscep/routers",
					    "/routers"};
	char target[200];

	speak();
	configure(two);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		snprintf(target, sizeof(target), "%s?operation=GetCACaps", paths[i]);
		if (ask("GET", target) != 404)
			fail_msg("%s: %.40s", target, w.out);
	}
}

TEST(every_truncation_of_a_profiles_url_is_nowhere_or_the_settings_own)
{
	char target[100] = "/scep/routers";

	speak();
	configure(two);
	for (size_t len = strlen(target) - 1; len > 1; len--) {
		target[len] = '\0';
		CHECK_INT(ask("GET", target), len == strlen("/scep") || len == strlen("/scep/") ? 200 : 404);
		CHECK(!has("routers"));
	}
}

/* How long the answer of this profile to GetCACert is. */
static size_t
cacert_length_of(const char *name)
{
	char target[100];

	snprintf(target, sizeof(target), "/scep/%s?operation=GetCACert", name);
	CHECK_INT(ask("HEAD", target), 200);
	return strtoul(strstr(w.out, "Content-Length: ") + 16, NULL, 10);
}

TEST(each_profile_has_its_own_getcacert_and_capabilities)
{
	speak();
	configure(two);
	CHECK_INT(cacert_length() - cacert_length_of("routers"), root.len);
	CHECK_INT(cacert_length_of("legacy"), sub.len);
	CHECK(has("\r\nContent-Type: application/x-x509-ca-cert\r\n"));
	CHECK_INT(ask("GET", "/scep/legacy?operation=GetCACaps"), 200);
	CHECK(has("\nSHA-1\n") && !has("X-1"));
	CHECK_INT(ask("GET", "/scep?operation=GetCACaps"), 200);
	CHECK(!has("\nSHA-1\n") && !has("X-1"));
}

TEST(profiles_come_and_go_at_a_reload)
{
	speak();
	CHECK_INT(ask("GET", "/scep/routers"), 404);
	configure(two);
	CHECK_INT(ask("GET", "/scep/routers"), 200);
	configure("");
	CHECK_INT(ask("GET", "/scep/routers"), 404);
}

TEST(a_crl_that_is_known_already_is_not_sent_again)
{
	char field[200];
	char *tag;

	speak();
	CHECK_INT(ask("GET", "/crl"), 200);
	CHECK(has("\r\nContent-Type: application/pkix-crl\r\n") && has("\r\n\r\nCRL"));
	CHECK(has("\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
	CHECK(has("\r\nCache-Control: max-age=1000\r\n") || has("\r\nCache-Control: max-age=999\r\n"));
	w.conf.ca_crl_cache_minutes = 10;
	net_serve_configure(w.serve, &w.conf);
	CHECK_INT(ask("GET", "/crl"), 200);
	CHECK(has("\r\nCache-Control: max-age=600\r\n"));
	w.conf.ca_crl_cache_minutes = 0;
	net_serve_configure(w.serve, &w.conf);
	CHECK_INT(ask("GET", "/crl"), 200);
	CHECK(has("\r\nCache-Control: max-age=0\r\n"));
	tag = strstr(w.out, "ETag: ") + 6;
	snprintf(field, sizeof(field), "If-None-Match: %.*s\r\n", (int)strcspn(tag, "\r"), tag);
	CHECK_INT(ask_with("GET", "/crl", field), 304);
	CHECK_INT(ask_with("GET", "/crl", "If-None-Match: \"other\"\r\n"), 200);
	CHECK_INT(ask_with("GET", "/crl", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"), 304);
	CHECK_INT(ask_with("GET", "/crl", "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n"), 200);
	CHECK_INT(ask("GET", "/ca"), 200);
	CHECK(has("\r\nContent-Type: application/pkix-cert\r\n"));
}

TEST(what_was_said_is_served_while_the_others_are_away)
{
	speak();
	CHECK_INT(ask("GET", "/health"), 200);
	ipc_free(TAKE(w.signer));
	settle();
	CHECK_INT(ask("GET", "/health"), 503);
	CHECK(has("the signer is away"));
	w.signer = join(ROLE_SIGNER);
	CHECK_INT(ask("GET", "/health"), 200);
	ipc_free(TAKE(w.authority));
	settle();
	CHECK_INT(ask("GET", "/health"), 503);
	CHECK_INT(ask("GET", "/scep?operation=GetCACert"), 200);
	CHECK_INT(ask("GET", "/crl"), 200);
	CHECK_INT(ask("GET", "/ca"), 200);
}

TEST(a_broken_identity_leaves_the_old_one_in_use)
{
	struct msg_identity identity = {.chain = {{sub}, 1}};

	speak();
	CHECK_INT(msg_identity_send(w.authority, 0, &identity), 0);
	settle();
	CHECK_INT(ask("GET", "/ca"), 200);
	CHECK_INT(w.identities, 1);
}

TEST(it_stops_when_nothing_is_in_progress)
{
	speak();
	CHECK_INT(ask("GET", "/health"), 200);
	net_serve_stop(w.serve);
	for (int i = 0; i < 100 && w.stopped == 0; i++)
		loop_run_once(w.loop, 20);
	CHECK_INT(w.stopped, 1);
}

static int
make(void **state)
{
	EVP_PKEY *key = certs_ec("P-256");
	X509 *ca;
	X509 *cert;

	root = certs_ca(key);
	ca = scepmsg_cert(root);
	cert = scepmsg_issue(key, "Sub CA", ca, key);
	sub = scepmsg_cert_der(cert);
	X509_free(cert);
	cert = scepmsg_issue(key, "RA sign", ca, key);
	ra_sign = scepmsg_cert_der(cert);
	X509_free(cert);
	cert = scepmsg_issue(key, "RA decrypt", ca, key);
	ra_decrypt = scepmsg_cert_der(cert);
	X509_free(cert);
	X509_free(ca);
	EVP_PKEY_free(key);
	return 0;
}

static int
unmake(void **state)
{
	free((void *)(uintptr_t)root.data);
	free((void *)(uintptr_t)sub.data);
	free((void *)(uintptr_t)ra_sign.data);
	free((void *)(uintptr_t)ra_decrypt.data);
	return 0;
}

#define WITH(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest list[] = {
		WITH(before_the_authority_spoke_only_capabilities_are_served),
		WITH(what_is_not_there_or_not_allowed_is_said),
		WITH(every_path_that_clients_have_built_in_is_served),
		WITH(what_clients_do_not_append_is_nowhere),
		WITH(a_page_for_people_is_kept_and_guessed_by_nobody),
		WITH(the_settings_decide_what_getcacert_holds_and_count_at_once),
		WITH(a_profile_has_its_url_in_every_form_and_case),
		WITH(what_is_nearly_the_url_of_a_profile_is_nowhere),
		WITH(every_truncation_of_a_profiles_url_is_nowhere_or_the_settings_own),
		WITH(each_profile_has_its_own_getcacert_and_capabilities),
		WITH(profiles_come_and_go_at_a_reload),
		WITH(a_crl_that_is_known_already_is_not_sent_again),
		WITH(what_was_said_is_served_while_the_others_are_away),
		WITH(a_broken_identity_leaves_the_old_one_in_use),
		WITH(it_stops_when_nothing_is_in_progress),
	};

	return test_finish((int)ARRAY_SIZE(list), cmocka_run_group_tests(list, make, unmake));
}
