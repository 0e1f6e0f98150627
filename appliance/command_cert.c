#include <openssl/bio.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "appliance/command.h"
#include "board/base/clock.h"
#include "board/base/log.h"

#define CA_ABOVE "That is the CA's own certificate: only the CA above it can revoke it."

/* PEM_MAX: octets whose PEM fits into one answer. */
enum { PAGE = 200, PEM_MAX = 700 * 1000 };

static const int reasons[] = {
	APP_REASON_UNSPECIFIED,         APP_REASON_KEY_COMPROMISE, APP_REASON_CA_COMPROMISE,
	APP_REASON_AFFILIATION_CHANGED, APP_REASON_SUPERSEDED,     APP_REASON_CESSATION_OF_OPERATION,
	APP_REASON_PRIVILEGE_WITHDRAWN,
};

static const char *
state_of(const struct app_record *record, int64_t now)
{
	if (record->revoked != 0)
		return record->reason == APP_REASON_HOLD ? "on hold" : "revoked";
	if (record->not_after < now)
		return "expired";
	return record->not_before > now ? "not yet" : "valid";
}

static const char *
reason_text(int reason)
{
	const char *name = app_reason_name(reason);

	return name == NULL ? "no reason" : name;
}

static void list_page(struct app_session *session);

/* The part of a subject that fits a column: from the common name on when the whole does not. */
static const char *
subject_part(const char *subject, size_t columns)
{
	const char *name = strlen(subject) > columns ? strstr(subject, ", CN=") : NULL;

	return name == NULL ? subject : name + strlen(", ");
}

/* One line of at most 79 columns. */
static void
print_row(struct app_session *session, const struct app_record *record, int64_t now)
{
	char serial[2 * APP_SERIAL_SIZE + 1], end[24], subject[25];
	const char *part = subject_part(record->subject, sizeof(subject) - 1);

	app_session_print(session, "%s  %.10s  %-7s  %s\n",
			  bytes_hex((struct bytes){record->serial, APP_SERIAL_SIZE}, serial, sizeof(serial)),
			  clock_text(record->not_after, end, sizeof(end)), state_of(record, now),
			  app_command_plain(part, subject, sizeof(subject)));
}

static void
list_end(struct app_session *session, bool more, int64_t offset)
{
	if (more)
		app_session_print(session, "(more: --offset %lld)\n", (long long)offset);
	app_session_end(session, APP_EXIT_OK);
}

static void
on_list(struct app_store_request *request, void *arg)
{
	struct app_session *session = arg;
	int64_t now = clock_wall();
	int64_t count = (int64_t)request->record_count;
	int64_t page = request->limit;

	if (request->code != 0) {
		app_store_request_fini(request);
		app_session_fail(session, APP_EXIT_FAILED, "The store cannot be read: %s.", err_name(request->code));
		return;
	}
	/* One more than the page was asked for, to know whether there are more. */
	for (int64_t i = 0; i < count && i < page - 1; i++)
		print_row(session, &request->records[i], now);
	app_store_request_fini(request);
	session->number[1] += count < page ? count : page - 1;
	session->number[0] -= count < page ? count : page - 1;
	if (count < page || session->number[0] <= 0)
		list_end(session, count == page, session->number[1]);
	else
		app_session_page(session, list_page);
}

/* Asks for the next page: number[0] are still wanted, from number[1] on. */
static void
list_page(struct app_session *session)
{
	struct app_store_request *request = &session->request;
	int usage = session->given[2] ? app_usage_parse(session->text[2]) : -1;

	memset(request, 0, sizeof(*request));
	request->op = APP_STORE_LIST;
	request->usage = usage;
	request->limit = (session->number[0] < PAGE ? session->number[0] : PAGE) + 1;
	request->offset = session->number[1];
	request->now = clock_wall();
	snprintf(request->text, sizeof(request->text), "%s", session->text[3]);
	app_session_ask(session, on_list);
}

void
app_command_certificate_list(struct app_session *session)
{
	if (session->given[2] && app_usage_parse(session->text[2]) < 0) {
		app_session_fail(session, APP_EXIT_USAGE, "--usage: one of %s, %s, %s, %s, %s, %s, %s",
				 app_usage_name(APP_USAGE_DEVICE), app_usage_name(APP_USAGE_RA_SIGN),
				 app_usage_name(APP_USAGE_RA_DECRYPT), app_usage_name(APP_USAGE_TLS),
				 app_usage_name(APP_USAGE_OCSP), app_usage_name(APP_USAGE_POLICY),
				 app_usage_name(APP_USAGE_CA));
		return;
	}
	app_session_print(session, "%-32s  %-10s  %-7s  %s\n", "SERIAL", "END", "STATE", "SUBJECT");
	list_page(session);
}

void
app_command_print_pem(struct app_session *session, const char *label, struct bytes der)
{
	AUTO_BUF pem;

	buf_init(&pem, der.len * 2 + 256);
	x509_pem_put(&pem, label, der);
	buf_put_raw(&session->out, pem.data, pem.len);
}

void
app_command_print_fingerprint(struct app_session *session, struct bytes der)
{
	uint8_t hash[32];

	x509_sha256(der, hash);
	for (size_t i = 0; i < sizeof(hash); i++)
		app_session_print(session, "%s%02X", i == 0 ? "" : i == 16 ? ":\n              " : ":", hash[i]);
	app_session_print(session, "\n");
}

/* Names come from devices: what is neither printable ASCII nor a line's end could steer the operator's terminal. */
static bool
is_plain(char c)
{
	return (c >= 0x20 && c < 0x7f) || c == '\n';
}

/* Every field as OpenSSL reads it. */
void
app_command_print_fields(struct app_session *session, struct bytes der)
{
	const uint8_t *p = der.data;
	X509 *cert = d2i_X509(NULL, &p, (long)der.len);
	BIO *out = BIO_new(BIO_s_mem());
	char *text;
	long len;

	if (cert != NULL && out != NULL && X509_print_ex(out, cert, XN_FLAG_ONELINE, X509_FLAG_NO_SIGDUMP) == 1) {
		len = BIO_get_mem_data(out, &text);
		for (long i = 0; i < len; i++)
			buf_put_u8(&session->out, is_plain(text[i]) ? (uint8_t)text[i] : '?');
	}
	BIO_free(out);
	X509_free(cert);
}

static void
print_record(struct app_session *session, const struct app_record *record)
{
	char hex[2 * APP_SERIAL_SIZE + 1], when[24], plain[256];
	int64_t now = clock_wall();

	app_session_print(session, "Serial        %s\n",
			  bytes_hex((struct bytes){record->serial, APP_SERIAL_SIZE}, hex, sizeof(hex)));
	app_session_print(session, "Subject       %s\n", app_command_plain(record->subject, plain, sizeof(plain)));
	app_session_print(session, "State         %s", state_of(record, now));
	if (record->revoked != 0)
		app_session_print(session, " since %s (%s)", clock_text(record->revoked, when, sizeof(when)),
				  reason_text(record->reason));
	if (record->invalidity != 0)
		app_session_print(session, ", not to be trusted since %s",
				  clock_text(record->invalidity, when, sizeof(when)));
	app_session_print(session, "\nValid from    %s\n", clock_text(record->not_before, when, sizeof(when)));
	app_session_print(session, "Valid to      %s\n", clock_text(record->not_after, when, sizeof(when)));
	app_session_print(session, "Issued        %s", clock_text(record->issued, when, sizeof(when)));
	if (record->peer[0] != '\0')
		app_session_print(session, " to %s", app_command_plain(record->peer, plain, sizeof(plain)));
	app_session_print(session, "\nUsage         %s, template %s\n", app_usage_name(record->usage),
			  app_command_plain(record->template_name, plain, sizeof(plain)));
	if (record->der.len == 0) {
		app_session_print(session, "Certificate   none: a crash came before it was stored, so it is revoked\n");
		return;
	}
	app_session_print(session, "SHA-256       ");
	app_command_print_fingerprint(session, record->der);
	app_command_print_fields(session, record->der);
}

/* Why a look-up or change of one certificate failed. */
static void
fail_serial(struct app_session *session, int code)
{
	if (code == ERR_UNKNOWN)
		app_session_fail(session, APP_EXIT_FAILED, "There is no certificate with serial %.80s.",
				 session->argument);
	else if (code == ERR_EXISTS)
		app_session_fail(session, APP_EXIT_FAILED, "That certificate is revoked already.");
	else if (code == ERR_STAGE)
		app_session_fail(session, APP_EXIT_FAILED, "That certificate is not on hold.");
	else
		app_session_fail(session, APP_EXIT_FAILED, "The store failed: %s.", err_name(code));
}

static void
on_show(struct app_store_request *request, void *arg)
{
	struct app_session *session = arg;
	int code = request->code;

	if (code == 0 && request->record_count == 0)
		code = ERR_UNKNOWN;
	if (code != 0) {
		app_store_request_fini(request);
		fail_serial(session, code);
		return;
	}
	if (session->given[0] && request->records[0].der.len == 0) {
		app_store_request_fini(request);
		app_session_fail(session, APP_EXIT_FAILED,
				 "There is no certificate: a crash came before it was stored, so it is revoked.");
		return;
	}
	if (session->given[0])
		app_command_print_pem(session, "CERTIFICATE", request->records[0].der);
	else
		print_record(session, &request->records[0]);
	app_store_request_fini(request);
	app_session_end(session, APP_EXIT_OK);
}

/* Begins a request about the certificate in the argument; false when that is no serial, which is answered. */
static bool
for_serial(struct app_session *session, enum app_store_op op)
{
	struct app_store_request *request = &session->request;

	memset(request, 0, sizeof(*request));
	request->op = op;
	request->now = clock_wall();
	if (app_command_serial(session->argument, request->serial) == 0)
		return true;
	app_session_fail(session, APP_EXIT_USAGE,
			 "SERIAL: 32 hexadecimal digits, as \"chancery certificate list\" shows "
			 "them");
	return false;
}

void
app_command_certificate_show(struct app_session *session)
{
	if (for_serial(session, APP_STORE_SHOW))
		app_session_ask(session, on_show);
}

/* What the three commands that change a certificate's state say of themselves. */
struct change {
	enum app_store_op op;
	const char *done;
};

static const struct change revoking = {APP_STORE_REVOKE, "Revoked"};
static const struct change holding = {APP_STORE_REVOKE, "On hold"};
static const struct change releasing = {APP_STORE_RELEASE, "Released"};

static void
on_change_published(int code, const struct err *e, void *arg)
{
	struct app_session *session = arg;
	const struct change *change = session->own;

	session->own = NULL;
	if (code == 0)
		app_session_print(session, "%s; CRL %lld says so.\n", change->done,
				  (long long)session->authority->publish[session->request.issuer].last);
	else
		app_session_print(session, "%s; no CRL can be made now (%s), it follows by itself.\n", change->done,
				  err_name(code));
	app_session_end(session, APP_EXIT_OK);
}

static void
log_change(const struct app_session *session, const struct app_store_request *request)
{
	struct bytes serial = {request->serial, APP_SERIAL_SIZE};

	if (request->op == APP_STORE_RELEASE)
		log_event(RELEASED, log_hex(serial), session->actor);
	else
		log_event(REVOKED, log_hex(serial), reason_text(request->reason), session->actor);
}

static void
on_changed(struct app_store_request *request, void *arg)
{
	struct app_session *session = arg;
	struct app_authority *a = session->authority;
	int code = request->code;

	app_store_request_fini(request);
	if (code != 0) {
		session->own = NULL;
		fail_serial(session, code);
		return;
	}
	log_change(session, request);
	app_responder_forget(a, request->serial);
	session->wait.fn = on_change_published;
	session->wait.arg = session;
	/* It may have been one of our own. */
	app_internal_check(a);
	app_publish_revoked(a, request->issuer, &session->wait);
}

/* What is changed was looked up first: the CA itself cannot be put on its own list. */
static void
on_change_found(struct app_store_request *request, void *arg)
{
	struct app_session *session = arg;
	const struct change *change = session->own;
	int usage = request->record_count > 0 ? (int)request->records[0].usage : APP_USAGE_DEVICE;
	unsigned issuer = request->record_count > 0 ? request->records[0].issuer : 0;
	int reason = session->given[0] ? app_reason_parse(session->text[0]) : APP_REASON_UNSPECIFIED;
	int code = request->code;

	app_store_request_fini(request);
	if (code != 0 || app_usage_is_foreign((enum app_usage)usage))
		session->own = NULL;
	if (code != 0) {
		fail_serial(session, code);
		return;
	}
	if (app_usage_is_foreign((enum app_usage)usage)) {
		app_session_fail(session, APP_EXIT_FAILED, "%s",
				 usage == APP_USAGE_CA ? CA_ABOVE
						       : "That certificate is not signed with the CA's key, so no "
							 "list of this CA can have it.");
		return;
	}
	if (!for_serial(session, change->op))
		return;
	session->request.issuer = issuer;
	session->request.reason = change == &holding ? APP_REASON_HOLD : reason;
	session->request.invalidity = session->number[1];
	snprintf(session->request.actor, sizeof(session->request.actor), "%s", session->actor);
	app_session_ask(session, on_changed);
}

static void
change_state(struct app_session *session, const struct change *change)
{
	if (!for_serial(session, APP_STORE_SHOW))
		return;
	session->own = (void *)(uintptr_t)change;
	app_session_ask(session, on_change_found);
}

void
app_command_certificate_hold(struct app_session *session)
{
	change_state(session, &holding);
}

void
app_command_certificate_release(struct app_session *session)
{
	change_state(session, &releasing);
}

/* "2026-11-22" or "2026-11-22T12:00:00Z", not in the future. */
static int
date_parse(const char *text, int64_t *ret_wall_s)
{
	static const char *const forms[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"};
	int64_t wall_s;

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct tm tm = {0};
		const char *end = strptime(text, forms[i], &tm);

		if (end == NULL || *end != '\0')
			continue;
		wall_s = (int64_t)timegm(&tm);
		if (wall_s <= 0 || wall_s > clock_wall())
			return ERR_FORMAT;
		*ret_wall_s = wall_s;
		return 0;
	}
	return ERR_FORMAT;
}

static bool
is_reason(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i] == app_reason_parse(name))
			return true;
	return false;
}

void
app_command_certificate_revoke(struct app_session *session)
{
	char allowed[256] = "";

	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		snprintf(allowed + strlen(allowed), sizeof(allowed) - strlen(allowed), "%s%s", i == 0 ? "" : ", ",
			 app_reason_name(reasons[i]));
	if (session->given[0] && !is_reason(session->text[0])) {
		app_session_fail(session, APP_EXIT_USAGE, "--reason: one of %s", allowed);
		return;
	}
	if (session->given[1] && date_parse(session->text[1], &session->number[1]) != 0) {
		app_session_fail(session, APP_EXIT_USAGE,
				 "--invalidity-date: a day such as 2026-11-22, or 2026-11-22T12:00:00Z, not in the "
				 "future");
		return;
	}
	change_state(session, &revoking);
}

static void
print_crl(struct app_session *session, const struct app_delta *crl, bool pem)
{
	char when[24];

	if (pem) {
		app_command_print_pem(session, "X509 CRL", crl->crl);
		app_session_end(session, APP_EXIT_OK);
		return;
	}
	app_session_print(session, "CRL number    %lld\n", (long long)crl->number);
	if (crl->base != 0)
		app_session_print(session, "Adds to       %lld\n", (long long)crl->base);
	app_session_print(session, "Entries       %lld\n", (long long)crl->entries);
	app_session_print(session, "This update   %s\n", clock_text(crl->this_update, when, sizeof(when)));
	app_session_print(session, "Next update   %s\n", clock_text(crl->next_update, when, sizeof(when)));
	app_session_print(session, "Size          %zu bytes\n", crl->crl.len);
	app_session_end(session, APP_EXIT_OK);
}

/* The one that --generation asks for, from 1 on, else the current one. */
static unsigned
crl_generation(const struct app_session *session)
{
	return session->given[2] ? (unsigned)session->number[2] - 1 : session->authority->current;
}

void
app_command_crl_show(struct app_session *session)
{
	const struct app_publish *p = &session->authority->publish[crl_generation(session)];
	struct app_delta shown = {p->crl, p->number, 0, p->this_update, p->next_update, p->entries};

	if (session->given[1])
		shown = p->delta;
	if (shown.crl.len == 0)
		app_session_fail(session, APP_EXIT_FAILED, "There is no such CRL yet; \"chancery status\" says why.");
	else if (session->given[0] && shown.crl.len > PEM_MAX)
		app_session_fail(session, APP_EXIT_FAILED, "The CRL has %zu bytes; fetch it by HTTP, path /%s.",
				 shown.crl.len, session->given[1] ? "delta.crl" : "crl");
	else
		print_crl(session, &shown, session->given[0]);
}

static void
on_crl_made(int code, const struct err *e, void *arg)
{
	struct app_session *session = arg;
	const struct app_publish *p = &session->authority->publish[session->authority->current];

	if (code != 0) {
		app_session_fail(session, APP_EXIT_FAILED, "No CRL was made: %s (%s). It is tried again by itself.",
				 err_name(code), e->text);
		return;
	}
	app_session_print(session, "CRL %lld with %lld entries is published.\n", (long long)p->number,
			  (long long)p->entries);
	app_session_end(session, APP_EXIT_OK);
}

void
app_command_crl_make(struct app_session *session)
{
	session->wait.fn = on_crl_made;
	session->wait.arg = session;
	app_publish_make(session->authority, &session->wait);
}
