#include "tests/lib/office.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "appliance/command.h"
#include "board/base/clock.h"
#include "tests/lib/certs.h"
#include "tests/lib/test.h"

/* A caller of the control socket, as the chancery command is. */
struct caller {
	struct ipc *ipc;
	bool done;
	bool closed;
	int status;
	struct buf out;
	struct buf error;
};

static void
on_output(struct ipc *ipc, struct ipc_message *message, void *arg)
{
	struct caller *caller = arg;
	struct msg_output m;

	CHECK_INT(message->type, MSG_OUTPUT);
	CHECK_INT(msg_output_get(message->body, &m), 0);
	CHECK(!caller->done);
	buf_put_raw(m.is_error ? &caller->error : &caller->out, m.text.data, m.text.len);
	caller->done = m.done;
	caller->status = m.exit_status;
}

static void
on_hung_up(struct ipc *ipc, void *arg)
{
	struct caller *caller = arg;

	caller->closed = true;
}

/* A listening socket in the office's folder. */
static void
listen_control(struct office *o)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	o->authority.operator_uid = geteuid();
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/control", o->folder);
	(void)unlink(address.sun_path);
	CHECK_INT(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	CHECK_INT(listen(fd, 64), 0);
	CHECK_INT(app_control_listen(&o->authority, fd), 0);
}

static void
open_control(struct office *o)
{
	office_open(o, true);
	listen_control(o);
}

static void
call(struct office *o, struct caller *caller)
{
	struct ipc_handlers handlers = {on_output, on_hung_up, caller};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memset(caller, 0, sizeof(*caller));
	buf_init(&caller->out, 1 << 24);
	buf_init(&caller->error, 65536);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/control", o->folder);
	CHECK_INT(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	CHECK_INT(ipc_new(o->loop, fd, ROLE_CONSOLE, ROLE_AUTHORITY, &handlers, &caller->ipc), 0);
}

static void
hang_up(struct caller *caller)
{
	ipc_free(caller->ipc);
	buf_fini(&caller->out);
	buf_fini(&caller->error);
}

static void
send_words(struct caller *caller, const char *line)
{
	struct msg_command m = {0};
	char copy[1024];
	char *rest = copy;
	char *word;

	snprintf(copy, sizeof(copy), "%s", line);
	while ((word = strsep(&rest, " ")) != NULL)
		m.words.item[m.words.count++] = bytes_of_text(word);
	CHECK_INT(msg_command_send(caller->ipc, 7, &m), 0);
}

/* Runs a command line; the answer's text in out, the message for standard error in error.  Returns the exit status. */
static int
run(struct office *o, const char *line, char *out, size_t size, char *error, size_t error_size)
{
	struct caller caller;
	int status;

	call(o, &caller);
	send_words(&caller, line);
	OFFICE_UNTIL(o, caller.done);
	buf_put_u8(&caller.out, 0);
	buf_put_u8(&caller.error, 0);
	snprintf(out, size, "%s", (const char *)caller.out.data);
	snprintf(error, error_size, "%s", (const char *)caller.error.data);
	status = caller.status;
	hang_up(&caller);
	return status;
}

static char out[1 << 20];
static char error[65536];

static int
chancery(struct office *o, const char *line)
{
	return run(o, line, out, sizeof(out), error, sizeof(error));
}

TEST(serves_nobody_but_root)
{
	struct office o;
	struct caller caller;

	open_control(&o);
	o.authority.operator_uid = geteuid() + 1;
	call(&o, &caller);
	OFFICE_UNTIL(&o, caller.done);
	CHECK_INT(caller.status, APP_EXIT_FAILED);
	CHECK(strstr((const char *)caller.error.data, "root") != NULL);
	/* A command that follows all the same is not run. */
	send_words(&caller, "challenge create");
	for (int i = 0; i < 20; i++)
		loop_run_once(o.loop, 5);
	CHECK_INT(caller.out.len, 0);
	CHECK_INT(office_counts(&o).challenges_open, 0);
	hang_up(&caller);
	office_close(&o);
}

TEST(says_what_is_allowed_when_it_is_used_wrongly)
{
	static const struct {
		const char *line;
		const char *says;
	} wrong[] = {
		{"", "help"},
		{"nonsense", "help"},
		{"certificate", "goes on"},
		{"certificate burn", "goes on"},
		{"request approve \r1", "control character"},
		{"certificate show", "SERIAL"},
		{"certificate show 12", "32 hexadecimal digits"},
		{"certificate show zz23456789abcdef0123456789abcdef", "32 hexadecimal digits"},
		{"certificate show 0123456789abcdef0123456789abcdef extra", "Usage"},
		{"certificate show 0123456789abcdef0123456789abcdef --pem=1", "Unknown option"},
		{"certificate revoke 0123456789abcdef0123456789abcdef --reason boredom", "keyCompromise"},
		{"certificate list --usage king", "ra-sign"},
		{"certificate list --limit", "value is missing"},
		{"certificate list --limit 0", "from 1 to"},
		{"certificate list --limit 12x", "from 1 to"},
		{"certificate list --limit 99999999999999999999", "from 1 to"},
		{"certificate list --wrong 1", "Unknown option"},
		{"challenge create --count 10001", "from 1 to 10000"},
		{"challenge create --minutes -5", "from 1 to 525600"},
	};
	struct office o;

	open_control(&o);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		CHECK_INT(chancery(&o, wrong[i].line), APP_EXIT_USAGE);
		if (strstr(error, wrong[i].says) == NULL)
			fail_msg("%s: %s", wrong[i].line, error);
	}
	CHECK_INT(office_counts(&o).challenges_open, 0);
	office_close(&o);
}

TEST(finds_no_certificate_that_is_not_there)
{
	struct office o;

	open_control(&o);
	CHECK_INT(chancery(&o, "certificate show 0123456789abcdef0123456789abcdef"), APP_EXIT_FAILED);
	CHECK(strstr(error, "no certificate") != NULL);
	CHECK_INT(chancery(&o, "certificate revoke 0123456789abcdef0123456789abcdef"), APP_EXIT_FAILED);
	CHECK(strstr(error, "no certificate") != NULL);
	office_close(&o);
}

TEST(makes_challenges_that_devices_can_use_up_to_the_limit)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	char challenge[65];
	int lines = 0;

	open_control(&o);
	o.conf.challenge_max_open = 100;
	CHECK_INT(chancery(&o, "challenge create"), APP_EXIT_OK);
	CHECK_INT(strlen(out), o.conf.challenge_length + 1);
	snprintf(challenge, sizeof(challenge), "%.*s", o.conf.challenge_length, out);
	office_enroll(&o, "t", key, challenge);
	CHECK_INT(o.front.last.status, STATUS_ISSUED);

	CHECK_INT(chancery(&o, "challenge create --count 100"), APP_EXIT_OK);
	for (const char *s = out; *s != '\0'; s++)
		lines += *s == '\n';
	CHECK_INT(lines, 100);
	CHECK_INT(office_counts(&o).challenges_open, 100);
	CHECK_INT(chancery(&o, "challenge create"), APP_EXIT_FAILED);
	CHECK_TEXT(out, "");
	CHECK(strstr(error, "max_open") != NULL);
	CHECK_INT(chancery(&o, "challenge list"), APP_EXIT_OK);
	CHECK(strstr(out, "100 of at most 100") != NULL);
	EVP_PKEY_free(key);
	office_close(&o);
}

/* Enrolls count devices with a static challenge. */
static void
enroll_many(struct office *o, int count)
{
	EVP_PKEY *key = certs_ec("P-256");
	char name[32];

	if (o->authority.static_challenge == NULL)
		CHECK_INT(secret_new("all", 3, &o->authority.static_challenge), 0);
	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "device-%d", i);
		office_enroll(o, name, key, "all");
		CHECK_INT(o->front.last.status, STATUS_ISSUED);
	}
	EVP_PKEY_free(key);
}

static int
count_lines(const char *text)
{
	int lines = 0;

	for (const char *s = text; *s != '\0'; s++)
		lines += *s == '\n';
	return lines;
}

TEST(binds_challenges_and_lists_what_to)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	char challenge[65];

	open_control(&o);
	CHECK_INT(chancery(&o, "challenge create --subject dev1"), APP_EXIT_USAGE);
	CHECK(strstr(error, "--subject: name") != NULL);
	CHECK_INT(chancery(&o, "challenge create --san dev1.example"), APP_EXIT_USAGE);
	CHECK(strstr(error, "--san: san: \"dev1.example\" is none of") != NULL);
	CHECK_INT(chancery(&o, "challenge create --key 00"), APP_EXIT_USAGE);
	CHECK_INT(chancery(&o, "challenge create --subject="), APP_EXIT_USAGE);
	CHECK_INT(office_counts(&o).challenges_open, 0);

	CHECK_INT(chancery(&o, "challenge create"), APP_EXIT_OK);
	CHECK_INT(chancery(&o, "challenge list"), APP_EXIT_OK);
	CHECK(strstr(out, "NUMBER") == NULL);
	CHECK_INT(chancery(&o, "challenge create --count 70 --subject CN=t,O=Example --san "
			       "DNS:a.example,DNS:b.example,email:somebody@c.example,URI:urn:x --key "
			       "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f --template device"),
		  APP_EXIT_OK);
	CHECK_INT(count_lines(out), 70);
	snprintf(challenge, sizeof(challenge), "%.*s", o.conf.challenge_length, out);
	CHECK_INT(chancery(&o, "challenge list --limit 60"), APP_EXIT_OK);
	CHECK(strstr(out, "Open          71 of at most") != NULL);
	CHECK(strstr(out, "\n      2  ") != NULL);
	CHECK(strstr(out, "    Subject   CN=t, O=Example\n") != NULL);
	CHECK(strstr(out, "    Key       000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n") != NULL);
	CHECK(strstr(out, "    Template  device\n") != NULL);
	CHECK(strstr(out, "    SAN       DNS:a.example, ") != NULL);
	CHECK(strstr(out, "\n      1  ") == NULL);
	CHECK(strstr(out, "--offset 60") != NULL);
	CHECK(strstr(out, challenge) == NULL);
	for (char *rest = out, *line; (line = strsep(&rest, "\n")) != NULL;)
		CHECK(strlen(line) < 80);
	CHECK_INT(chancery(&o, "challenge list --all --limit 1"), APP_EXIT_OK);
	CHECK(strstr(out, "\n      1  ") != NULL && strstr(out, "root") != NULL);

	office_enroll(&o, "t", key, challenge);
	CHECK_INT(o.front.last.status, STATUS_REFUSED);
	CHECK_INT(o.front.last.fail_info, SCEP_BAD_REQUEST);
	CHECK_INT(office_counts(&o).challenges_open, 71);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(makes_no_challenge_for_a_template_that_no_request_gets)
{
	struct office o;

	open_control(&o);
	CHECK_INT(chancery(&o, "challenge create --template WebSever"), APP_EXIT_USAGE);
	CHECK(strstr(error, "--template: there is no template WebSever; see \"chancery template list\".") != NULL);
	CHECK_INT(office_counts(&o).challenges_open, 0);
	CHECK_INT(chancery(&o, "challenge create --template WebServer"), APP_EXIT_USAGE);
	CHECK(strstr(error,
		     "--template: no request gets the template WebServer: neither ndes.* nor a profile names it") !=
	      NULL);
	snprintf(o.conf.ndes_encryption_template, sizeof(o.conf.ndes_encryption_template), "WebServer");
	office_reload(&o);
	CHECK_INT(chancery(&o, "challenge create --template WebServer"), APP_EXIT_OK);
	office_close(&o);
}

TEST(revokes_challenges_by_number_or_all)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	char challenge[65];

	open_control(&o);
	CHECK_INT(chancery(&o, "challenge create --count 3"), APP_EXIT_OK);
	snprintf(challenge, sizeof(challenge), "%.*s", o.conf.challenge_length, out);
	CHECK_INT(chancery(&o, "challenge revoke"), APP_EXIT_USAGE);
	CHECK_INT(chancery(&o, "challenge revoke 1 --all"), APP_EXIT_USAGE);
	CHECK_INT(chancery(&o, "challenge revoke -1"), APP_EXIT_USAGE);
	CHECK_INT(chancery(&o, "challenge revoke 1x"), APP_EXIT_USAGE);
	CHECK_INT(chancery(&o, "challenge revoke 4"), APP_EXIT_FAILED);
	CHECK(strstr(error, "number 4") != NULL);
	CHECK_INT(office_counts(&o).challenges_open, 3);
	CHECK_INT(chancery(&o, "challenge revoke 2"), APP_EXIT_OK);
	CHECK_INT(chancery(&o, "challenge revoke 2"), APP_EXIT_FAILED);
	CHECK_INT(chancery(&o, "challenge revoke --all"), APP_EXIT_OK);
	CHECK_TEXT(out, "Revoked: all 2 that were open.\n");
	office_enroll(&o, "t", key, challenge);
	CHECK_INT(o.front.last.status, STATUS_REFUSED);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(says_who_else_has_to_approve)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");

	open_control(&o);
	snprintf(o.conf.challenge_missing, sizeof(o.conf.challenge_missing), "pending");
	o.conf.template_approvals = 2;
	office_reload(&o);
	office_enroll(&o, "t", key, NULL);
	o.conf.template_approvals = 1;
	office_reload(&o);
	office_enroll(&o, "u", key, NULL);
	CHECK_INT(chancery(&o, "request list"), APP_EXIT_OK);
	CHECK(strstr(out, "pending   0 of 2") != NULL && strstr(out, "pending   0 of 1") != NULL);
	for (char *rest = out, *line; (line = strsep(&rest, "\n")) != NULL;)
		CHECK(strlen(line) < 80);
	CHECK_INT(chancery(&o, "request approve 1"), APP_EXIT_FAILED);
	CHECK(strstr(error, "this request needs 2 named operators: chancery --operator NAME request approve 1") !=
	      NULL);
	CHECK_INT(chancery(&o, "request show 1"), APP_EXIT_OK);
	CHECK(strstr(out, "Approved      0 of 2 approvals\n") != NULL);
	CHECK_INT(chancery(&o, "request approve 2"), APP_EXIT_OK);
	CHECK(strstr(out, "Approved and issued") != NULL);
	CHECK_INT(chancery(&o, "request deny 1"), APP_EXIT_OK);
	EVP_PKEY_free(key);
	office_close(&o);
}

/* Enrolls a device whose common name stands last in a long subject, as most clients write it. */
static void
enroll_long_name(struct office *o)
{
	EVP_PKEY *key = certs_ec("P-256");
	struct bytes csr = office_csr_of(key, "C=DE,O=A Company With A Rather Long Name,CN=gate-7.site.example", "all");
	int before = o->front.answers;

	office_ask(o, "long", csr, key);
	OFFICE_UNTIL(o, o->front.answers > before);
	CHECK_INT(o->front.last.status, STATUS_ISSUED);
	free((void *)csr.data);
	EVP_PKEY_free(key);
}

TEST(lists_certificates_in_pages_that_fit_a_terminal)
{
	struct office o;

	open_control(&o);
	enroll_many(&o, 24);
	enroll_long_name(&o);
	CHECK_INT(chancery(&o, "certificate list"), APP_EXIT_OK);
	/* head, 20 lines, the hint that there are more */
	CHECK_INT(count_lines(out), 22);
	CHECK(strstr(out, "--offset 20") != NULL);
	CHECK(strstr(out, "CN=device-23") != NULL);
	/* What tells devices apart is seen. */
	CHECK(strstr(out, "CN=gate-7.site.example") != NULL);
	for (char *rest = out, *line; (line = strsep(&rest, "\n")) != NULL;)
		CHECK(strlen(line) < 80);
	CHECK_INT(chancery(&o, "certificate list --usage device --limit 1000"), APP_EXIT_OK);
	CHECK_INT(count_lines(out), 26);
	CHECK_INT(chancery(&o, "certificate list --usage ra-sign"), APP_EXIT_OK);
	CHECK_INT(count_lines(out), 2);
	for (char *rest = out, *line; (line = strsep(&rest, "\n")) != NULL;)
		CHECK(strlen(line) < 80);
	CHECK_INT(chancery(&o, "certificate list --match device-7"), APP_EXIT_OK);
	CHECK_INT(count_lines(out), 2);
	CHECK_INT(chancery(&o, "certificate list --usage device --offset 20"), APP_EXIT_OK);
	CHECK_INT(count_lines(out), 6);
	office_close(&o);
}

TEST(lists_more_than_one_page_completely)
{
	struct office o;

	open_control(&o);
	enroll_many(&o, 450);
	CHECK_INT(chancery(&o, "certificate list --usage device --limit 1000"), APP_EXIT_OK);
	CHECK_INT(count_lines(out), 451);
	CHECK_INT(chancery(&o, "certificate list --usage device --limit=400"), APP_EXIT_OK);
	CHECK_INT(count_lines(out), 402);
	CHECK_INT(chancery(&o, "audit list --limit 700"), APP_EXIT_OK);
	CHECK_INT(count_lines(out), 700);
	office_close(&o);
}

/* The last certificate's serial as "AA:BB:…" for the command line. */
static void
last_serial(const struct office *o, char *text)
{
	struct x509 cert;

	CHECK_INT(x509_parse(o->front.last.certificate, &cert, NULL), 0);
	CHECK_INT(cert.tbs.serial.len, APP_SERIAL_SIZE);
	for (size_t i = 0; i < cert.tbs.serial.len; i++)
		sprintf(text + 3 * i, i + 1 < cert.tbs.serial.len ? "%02X:" : "%02X", cert.tbs.serial.data[i]);
}

TEST(shows_revokes_and_publishes)
{
	struct office o;
	char serial[64], line[160];

	open_control(&o);
	enroll_many(&o, 1);
	last_serial(&o, serial);
	snprintf(line, sizeof(line), "certificate show %s", serial);
	CHECK_INT(chancery(&o, line), APP_EXIT_OK);
	CHECK(strstr(out, "CN=device-0") != NULL);
	CHECK(strstr(out, "valid") != NULL);
	CHECK(strstr(out, "X509v3 Key Usage") != NULL);
	snprintf(line, sizeof(line), "certificate show %s --pem", serial);
	CHECK_INT(chancery(&o, line), APP_EXIT_OK);
	CHECK(strncmp(out, "-----BEGIN CERTIFICATE-----", 27) == 0);

	snprintf(line, sizeof(line), "certificate revoke %s --reason keyCompromise", serial);
	CHECK_INT(chancery(&o, line), APP_EXIT_OK);
	CHECK(strstr(out, "CRL 2") != NULL);
	CHECK_INT(o.authority.publish[0].entries, 1);
	CHECK_INT(chancery(&o, line), APP_EXIT_FAILED);
	CHECK(strstr(error, "revoked already") != NULL);
	snprintf(line, sizeof(line), "certificate show %s", serial);
	CHECK_INT(chancery(&o, line), APP_EXIT_OK);
	CHECK(strstr(out, "keyCompromise") != NULL);
	CHECK_INT(chancery(&o, "crl show"), APP_EXIT_OK);
	CHECK(strstr(out, "Entries       1\n") != NULL);
	CHECK_INT(chancery(&o, "crl make"), APP_EXIT_OK);
	CHECK(strstr(out, "CRL 3 with 1 entries") != NULL);
	CHECK_INT(chancery(&o, "audit list"), APP_EXIT_OK);
	CHECK(strstr(out, "operator uid=") != NULL);
	CHECK_INT(chancery(&o, "audit verify"), APP_EXIT_OK);
	CHECK(strstr(out, "holds") != NULL);
	office_close(&o);
}

TEST(shows_names_of_devices_without_steering_the_terminal)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");
	struct bytes csr = office_csr(key, "caf\xc3\xa9", "all", NULL);
	char serial[64], line[160];

	open_control(&o);
	CHECK_INT(secret_new("all", 3, &o.authority.static_challenge), 0);
	office_ask(&o, "t", csr, key);
	OFFICE_UNTIL(&o, o.front.answers == 1);
	CHECK_INT(o.front.last.status, STATUS_ISSUED);
	last_serial(&o, serial);
	snprintf(line, sizeof(line), "certificate show %s", serial);
	CHECK_INT(chancery(&o, line), APP_EXIT_OK);
	CHECK(strstr(out, "CN = caf\\C3\\A9") != NULL);
	for (const char *s = out; *s != '\0'; s++)
		CHECK(*s == '\n' || (*s >= 0x20 && *s < 0x7f));
	CHECK_INT(chancery(&o, "certificate list"), APP_EXIT_OK);
	for (const char *s = out; *s != '\0'; s++)
		CHECK(*s == '\n' || (*s >= 0x20 && *s < 0x7f));
	free((void *)csr.data);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(revokes_while_the_token_is_away_and_says_so)
{
	struct office o;
	char serial[64], line[160];

	open_control(&o);
	enroll_many(&o, 1);
	last_serial(&o, serial);
	office_drop_signer(&o);
	snprintf(line, sizeof(line), "certificate revoke %s", serial);
	CHECK_INT(chancery(&o, line), APP_EXIT_OK);
	CHECK(strstr(out, "follows by itself") != NULL);
	CHECK_INT(chancery(&o, "status"), APP_EXIT_FAILED);
	CHECK(strstr(out, "DEGRADED") != NULL);
	office_connect_signer(&o);
	OFFICE_UNTIL(&o, o.authority.publish[0].entries == 1);
	CHECK_INT(chancery(&o, "status"), APP_EXIT_OK);
	CHECK(strstr(out, "OPERATIONAL") != NULL);
	office_close(&o);
}

TEST(replaces_an_ra_certificate_that_is_revoked_and_refuses_to_revoke_the_ca)
{
	struct office o;
	struct x509 cert;
	char line[160], hex[64];
	int identities;

	open_control(&o);
	identities = o.front.identities;
	CHECK_INT(x509_parse(o.authority.internal.ra[APP_RA_SIGN].certificates[0].der, &cert, NULL), 0);
	snprintf(line, sizeof(line), "certificate revoke %s", bytes_hex(cert.tbs.serial, hex, sizeof(hex)));
	CHECK_INT(chancery(&o, line), APP_EXIT_OK);
	OFFICE_UNTIL(&o, o.front.identities > identities);

	CHECK_INT(chancery(&o, "certificate list --usage ca"), APP_EXIT_OK);
	CHECK_INT(count_lines(out), 2);
	snprintf(line, sizeof(line), "certificate revoke %.32s", strchr(out, '\n') + 1);
	CHECK_INT(chancery(&o, line), APP_EXIT_FAILED);
	CHECK(strstr(error, "CA above") != NULL);
	office_close(&o);
}

TEST(says_so_when_there_is_no_pem_or_too_much)
{
	struct office o;
	struct bytes big = {calloc(1, 800 * 1000), 800 * 1000};
	EVP_PKEY *key = certs_ec("P-256");
	struct bytes csr = office_csr(key, "lost", "all", NULL);
	char line[100];
	int asked;

	open_control(&o);
	CHECK_INT(secret_new("all", 3, &o.authority.static_challenge), 0);
	o.mood = OFFICE_SILENT;
	asked = o.asked;
	office_ask(&o, "lost", csr, key);
	OFFICE_UNTIL(&o, o.asked > asked);
	office_stop(&o);
	office_open_again(&o, true);
	listen_control(&o);
	/* What a crash left has a serial number and no certificate. */
	CHECK_INT(chancery(&o, "certificate list --match lost"), APP_EXIT_OK);
	snprintf(line, sizeof(line), "certificate show --pem %.32s", strchr(out, '\n') + 1);
	CHECK_INT(chancery(&o, line), APP_EXIT_FAILED);
	CHECK_TEXT(out, "");
	CHECK(strstr(error, "no certificate") != NULL);

	OFFICE_UNTIL(&o, o.authority.publish[0].number == 2 && o.authority.publish[0].job == NULL);
	free((void *)o.authority.publish[0].crl.data);
	o.authority.publish[0].crl = big;
	CHECK_INT(chancery(&o, "crl show --pem"), APP_EXIT_FAILED);
	CHECK_TEXT(out, "");
	CHECK(strstr(error, "/crl") != NULL);
	free((void *)csr.data);
	EVP_PKEY_free(key);
	office_close(&o);
}

TEST(tells_in_the_status_that_clock_or_disk_keep_it_from_issuing)
{
	struct office o;

	open_control(&o);
	CHECK_INT(chancery(&o, "status"), APP_EXIT_OK);
	o.authority.failing_ms = clock_mono_ms();
	CHECK_INT(chancery(&o, "status"), APP_EXIT_FAILED);
	CHECK(strstr(out, "the store failed to write") != NULL);
	o.authority.failing_ms = 0;
	clock_set_fake(86400, -1);
	CHECK_INT(chancery(&o, "status"), APP_EXIT_FAILED);
	clock_set_fake(-1, -1);
	CHECK(strstr(out, "the clock stands before") != NULL);
	office_close(&o);
}

TEST(tells_in_the_status_of_ocsp_and_of_certificates_that_have_ended)
{
	struct office o;
	struct app_ra *ra = o.authority.internal.ra;
	int64_t until;

	open_control(&o);
	CHECK_INT(chancery(&o, "status"), APP_EXIT_OK);
	CHECK(strstr(out, " OCSP         off: the token has no key for it") != NULL);
	CHECK(strstr(out, " Delta CRL    off") != NULL);
	CHECK(strstr(out, " Requests     0 wait for an operator") != NULL);
	o.authority.internal.ocsp_off = false;
	CHECK_INT(chancery(&o, "status"), APP_EXIT_OK);
	CHECK(strstr(out, " OCSP         no certificate yet") != NULL);
	ra[APP_RA_OCSP].count = 1;
	ra[APP_RA_OCSP].not_after = clock_wall() + 86400;
	CHECK_INT(chancery(&o, "status"), APP_EXIT_OK);
	CHECK(strstr(out, " OCSP         ends 2") != NULL && strstr(out, "; 0 signed\n") != NULL);
	ra[APP_RA_OCSP].not_after = clock_wall();
	CHECK_INT(chancery(&o, "status"), APP_EXIT_FAILED);
	CHECK(strstr(out, "the OCSP responder's certificate has ended") != NULL);
	ra[APP_RA_OCSP].count = 0;
	until = ra[APP_RA_SIGN].not_after;
	ra[APP_RA_SIGN].not_after = clock_wall();
	CHECK_INT(chancery(&o, "status"), APP_EXIT_FAILED);
	CHECK(strstr(out, "an RA certificate has ended") != NULL);
	ra[APP_RA_SIGN].not_after = until;
	CHECK_INT(chancery(&o, "status"), APP_EXIT_OK);
	office_close(&o);
}

TEST(helps_and_shows_the_ca)
{
	struct office o;

	open_control(&o);
	CHECK_INT(chancery(&o, "help"), APP_EXIT_OK);
	CHECK(strstr(out, "challenge create [--count N] [--minutes M]") != NULL);
	CHECK_INT(chancery(&o, "ca show"), APP_EXIT_OK);
	CHECK(strstr(out, "SHA-256") != NULL);
	CHECK_INT(chancery(&o, "status"), APP_EXIT_OK);
	CHECK(count_lines(out) <= 24);
	for (char *rest = out, *line; (line = strsep(&rest, "\n")) != NULL;)
		CHECK(strlen(line) < 80);
	office_close(&o);
}

/* Checking the trail of a large store takes minutes; its end must be heard. */
TEST(lets_a_command_that_works_take_its_time)
{
	struct office o;
	struct caller caller;
	struct app_session *session;

	open_control(&o);
	o.mood = OFFICE_SILENT;
	call(&o, &caller);
	send_words(&caller, "crl make");
	OFFICE_UNTIL(&o, o.authority.publish[0].job != NULL);
	session = list_entry(o.authority.control.sessions.next, struct app_session, link);
	loop_timer_set(session->timer, 0);
	for (int i = 0; i < 10; i++)
		loop_run_once(o.loop, 10);
	CHECK(!caller.closed);
	office_drop_signer(&o);
	OFFICE_UNTIL(&o, caller.done || caller.closed);
	CHECK(caller.done);
	CHECK_INT(caller.status, APP_EXIT_FAILED);
	hang_up(&caller);
	office_close(&o);
}

TEST(survives_callers_that_hang_up_and_turns_away_too_many)
{
	struct office o;
	struct caller many[APP_SESSION_MAX + 2];
	int closed = 0;

	open_control(&o);
	o.conf.challenge_max_open = 100000;
	for (int i = 0; i < 5; i++) {
		call(&o, &many[0]);
		send_words(&many[0], i % 2 == 0 ? "challenge create --count 1000" : "status");
		loop_run_once(o.loop, 1);
		loop_run_once(o.loop, 1);
		hang_up(&many[0]);
	}
	OFFICE_UNTIL(&o, o.authority.control.count == 0);
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		call(&o, &many[i]);
	OFFICE_UNTIL(&o, (closed = many[APP_SESSION_MAX].closed + many[APP_SESSION_MAX + 1].closed) == 2);
	CHECK_INT(o.authority.control.count, APP_SESSION_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		hang_up(&many[i]);
	OFFICE_UNTIL(&o, o.authority.control.count == 0);
	CHECK_INT(chancery(&o, "challenge list"), APP_EXIT_OK);
	office_close(&o);
}

TEST_MAIN(RUN(serves_nobody_but_root), RUN(says_what_is_allowed_when_it_is_used_wrongly),
	  RUN(finds_no_certificate_that_is_not_there), RUN(makes_challenges_that_devices_can_use_up_to_the_limit),
	  RUN(binds_challenges_and_lists_what_to), RUN(revokes_challenges_by_number_or_all),
	  RUN(says_who_else_has_to_approve), RUN(makes_no_challenge_for_a_template_that_no_request_gets),
	  RUN(lists_certificates_in_pages_that_fit_a_terminal), RUN(lists_more_than_one_page_completely),
	  RUN(shows_revokes_and_publishes), RUN(shows_names_of_devices_without_steering_the_terminal),
	  RUN(revokes_while_the_token_is_away_and_says_so),
	  RUN(replaces_an_ra_certificate_that_is_revoked_and_refuses_to_revoke_the_ca), RUN(helps_and_shows_the_ca),
	  RUN(says_so_when_there_is_no_pem_or_too_much),
	  RUN(tells_in_the_status_that_clock_or_disk_keep_it_from_issuing),
	  RUN(tells_in_the_status_of_ocsp_and_of_certificates_that_have_ended),
	  RUN(lets_a_command_that_works_take_its_time), RUN(survives_callers_that_hang_up_and_turns_away_too_many))
