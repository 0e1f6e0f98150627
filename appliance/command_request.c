/*
 * The commands about requests that wait for an operator.
 */
#include <errno.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "appliance/command.h"
#include "appliance/held.h"
#include "appliance/pending.h"
#include "board/base/clock.h"
#include "board/base/log.h"
#include "board/base/x509.h"

/* Why a look-up or decision failed. */
static void
fail_request(struct app_session *session, int code, const struct err *e)
{
	char plain[ERR_TEXT_SIZE];

	if (code == ERR_UNKNOWN)
		app_session_fail(session, APP_EXIT_FAILED,
				 "No request %.20s waits; \"chancery request list\" shows all.", session->argument);
	else if (code == ERR_STAGE || code == ERR_DENIED || code == ERR_EXISTS)
		app_session_fail(session, APP_EXIT_FAILED, "Nothing changed: %s.",
				 app_command_plain(e->text, plain, sizeof(plain)));
	else
		app_session_fail(session, APP_EXIT_FAILED, "The store failed: %s.", err_name(code));
}

/* Begins a request about the number in the argument; false when that is none, which is answered. */
static bool
for_number(struct app_session *session, enum app_store_op op)
{
	struct app_store_request *request = &session->request;
	char *end = NULL;

	memset(request, 0, sizeof(*request));
	request->op = op;
	request->now = clock_wall();
	snprintf(request->actor, sizeof(request->actor), "%s", session->actor);
	errno = 0;
	request->number = strtoll(session->argument, &end, 10);
	if (errno == 0 && *end == '\0' && request->number > 0)
		return true;
	app_session_fail(session, APP_EXIT_USAGE, "ID: a number, as \"chancery request list\" shows it");
	return false;
}

static void
on_list(struct app_store_request *request, void *arg)
{
	struct app_session *session = arg;
	int64_t now = clock_wall();
	char left[32], subject[32], approvals[16];

	if (request->code != 0) {
		app_store_request_fini(request);
		app_session_fail(session, APP_EXIT_FAILED, "The store cannot be read: %s.", err_name(request->code));
		return;
	}
	app_session_print(session, "%6s  %-8s  %-6s  %-10s  %-8s  %s\n", "ID", "STATE", "OK", "SINCE", "ENDS IN",
			  "SUBJECT");
	for (size_t i = 0; i < request->held_count; i++) {
		const struct app_held *held = &request->held[i];
		char since[24];

		snprintf(approvals, sizeof(approvals), "%d of %d", held->approvals, held->approvals_needed);
		app_session_print(session, "%6lld  %-8s  %-6s  %.10s  %-8s  %s\n", (long long)held->number,
				  app_held_state_name(held->state), approvals,
				  clock_text(held->created, since, sizeof(since)),
				  app_command_span(held->expires - now, left, sizeof(left)),
				  app_command_plain(held->subject, subject, sizeof(subject)));
	}
	app_store_request_fini(request);
	app_session_end(session, APP_EXIT_OK);
}

void
app_command_request_list(struct app_session *session)
{
	memset(&session->request, 0, sizeof(session->request));
	session->request.op = APP_STORE_HELD;
	session->request.now = clock_wall();
	app_session_ask(session, on_list);
}

/* subjectAltName as OpenSSL reads it, a name each line. */
static void
print_san(struct app_session *session, struct bytes san)
{
	const uint8_t *p = san.data;
	GENERAL_NAMES *names = san.len > 0 ? d2i_GENERAL_NAMES(NULL, &p, (long)san.len) : NULL;
	char text[256], plain[256];

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		BIO *out = BIO_new(BIO_s_mem());
		int len = 0;

		if (out != NULL && GENERAL_NAME_print(out, sk_GENERAL_NAME_value(names, i)) == 1)
			len = BIO_read(out, text, sizeof(text) - 1);
		text[len > 0 ? len : 0] = '\0';
		app_session_print(session, "%-13s %s\n", i == 0 ? "Other names" : "",
				  app_command_plain(text, plain, sizeof(plain)));
		BIO_free(out);
	}
	GENERAL_NAMES_free(names);
}

/* "1 of 2 approvals (alice)" */
static void
print_approvals(struct app_session *session, const struct app_held *held)
{
	char plain[256];

	app_session_print(session, "Approved      %d of %d approval%s", held->approvals, held->approvals_needed,
			  held->approvals_needed == 1 ? "" : "s");
	if (held->approvers[0] != '\0')
		app_session_print(session, " (%s)", app_command_plain(held->approvers, plain, sizeof(plain)));
	app_session_print(session, "\n");
}

static void
print_held(struct app_session *session, const struct app_held *held)
{
	char when[24], plain[256], hex[65];
	uint8_t hash[32];

	x509_sha256(held->spki, hash);
	app_session_print(session, "Request       %lld\n", (long long)held->number);
	app_session_print(session, "State         %s", app_held_state_name(held->state));
	if (held->operator[0] != '\0')
		app_session_print(session, " by %s", app_command_plain(held->operator, plain, sizeof(plain)));
	if (held->reason[0] != '\0')
		app_session_print(session, ": %s", app_command_plain(held->reason, plain, sizeof(plain)));
	app_session_print(session, "\n");
	print_approvals(session, held);
	if (held->template_name[0] != '\0')
		app_session_print(session, "Template      %s\n", held->template_name);
	app_session_print(session, "Subject       %s\n", app_command_plain(held->subject, plain, sizeof(plain)));
	print_san(session, held->san);
	app_session_print(session, "Key           SHA-256 %s\n",
			  bytes_hex((struct bytes){hash, sizeof(hash)}, hex, sizeof(hex)));
	app_session_print(session, "Challenge     %s\n", held->has_challenge ? "good, held for this request" : "none");
	app_session_print(session, "From          %s\n", app_command_plain(held->peer, plain, sizeof(plain)));
	app_session_print(session, "Transaction   %s\n", app_command_plain(held->transaction_id, plain, sizeof(plain)));
	app_session_print(session, "Since         %s\n", clock_text(held->created, when, sizeof(when)));
	app_session_print(session, "Forgotten     %s\n", clock_text(held->expires, when, sizeof(when)));
}

static void
on_show(struct app_store_request *request, void *arg)
{
	struct app_session *session = arg;
	struct err e = request->e;
	int code = request->code;

	if (code == 0)
		print_held(session, &request->held[0]);
	app_store_request_fini(request);
	if (code == 0)
		app_session_end(session, APP_EXIT_OK);
	else
		fail_request(session, code, &e);
}

void
app_command_request_show(struct app_session *session)
{
	if (for_number(session, APP_STORE_HELD))
		app_session_ask(session, on_show);
}

static void
on_issued(int code, const struct err *e, struct bytes serial, void *arg)
{
	struct app_session *session = arg;
	char hex[2 * APP_SERIAL_SIZE + 1];

	if (code == 0)
		app_session_print(session, "Approved and issued, serial %s; the device gets it when it asks.\n",
				  bytes_hex(serial, hex, sizeof(hex)));
	else
		app_session_print(session, "Approved; it cannot be issued now (%s), and is when the device asks.\n",
				  err_name(code));
	app_session_end(session, APP_EXIT_OK);
}

static void
waits_for_more(struct app_session *session, const struct app_held *held)
{
	int missing = held->approvals_needed - held->approvals;
	char plain[256];

	log_event(REQUEST_APPROVAL, (long long)held->number, log_text(held->subject), session->actor, held->approvals,
		  held->approvals_needed);
	app_session_print(session, "Approved by %s; %d more %s needed.\n",
			  app_command_plain(held->approvers, plain, sizeof(plain)), missing,
			  missing == 1 ? "is" : "are");
}

static void
on_approved(struct app_store_request *request, void *arg)
{
	struct app_session *session = arg;
	struct err e = request->e;
	int64_t number = request->number;
	int code = request->code;
	bool complete = code == 0 && request->held[0].state == APP_HELD_APPROVED;

	if (complete)
		log_event(REQUEST_APPROVED, (long long)number, log_text(request->held[0].subject), session->actor);
	else if (code == 0)
		waits_for_more(session, &request->held[0]);
	app_store_request_fini(request);
	if (complete)
		app_pending_issue(session->authority, number, on_issued, session);
	else if (code == 0)
		app_session_end(session, APP_EXIT_OK);
	else
		fail_request(session, code, &e);
}

/* Who approves needs the right to enroll on the template of the request, which is looked up first. */
static void
on_to_approve(struct app_store_request *request, void *arg)
{
	struct app_session *session = arg;
	struct app_account root;
	struct err e = request->e;
	int code = request->code;

	if (code == 0 && app_templates_permit(session->authority, &session->account, request->held[0].template_name,
					      APP_RIGHT_ENROLL, &e) != 0) {
		app_store_request_fini(request);
		log_event(OPERATOR_DENIED, session->actor, session->command->words);
		app_session_fail(session, APP_EXIT_FAILED, "%s is not allowed to: %s.", session->account.name, e.text);
		return;
	}
	app_store_request_fini(request);
	if (code != 0) {
		fail_request(session, code, &e);
		return;
	}
	(void)for_number(session, APP_STORE_APPROVE);
	/* Whoever is root is nobody in particular. */
	app_account_root(&root);
	if (strcmp(session->account.name, root.name) != 0)
		snprintf(session->request.account, sizeof(session->request.account), "%s", session->account.name);
	app_session_ask(session, on_approved);
}

void
app_command_request_approve(struct app_session *session)
{
	if (for_number(session, APP_STORE_HELD))
		app_session_ask(session, on_to_approve);
}

static void
on_denied(struct app_store_request *request, void *arg)
{
	struct app_session *session = arg;
	struct err e = request->e;
	int code = request->code;

	if (code == 0)
		log_event(REQUEST_DENIED, (long long)request->number, log_text(request->held[0].subject),
			  session->actor, log_text(request->text));
	app_store_request_fini(request);
	if (code != 0) {
		fail_request(session, code, &e);
		return;
	}
	app_session_print(session, "Denied; the device is told when it asks.\n");
	app_session_end(session, APP_EXIT_OK);
}

void
app_command_request_deny(struct app_session *session)
{
	if (!for_number(session, APP_STORE_DENY))
		return;
	snprintf(session->request.text, sizeof(session->request.text), "%s", session->text[0]);
	app_session_ask(session, on_denied);
}
