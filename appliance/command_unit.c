#include <stdio.h>
#include <string.h>

#include "appliance/command.h"
#include "board/base/clock.h"
#include "board/base/log.h"

enum { TOKEN_MS = 2000, AUDIT_PAGE = 200 };

/* Asks the store for its numbers. */
static void
ask_counts(struct app_session *session, app_store_done_fn done)
{
	memset(&session->request, 0, sizeof(session->request));
	session->request.op = APP_STORE_COUNTS;
	session->request.now = clock_wall();
	app_session_ask(session, done);
}

/* What "chancery status" collects before it prints. */
struct status_report {
	int token_code; /* 0, or why the signer did not answer */
	struct msg_token_state token;
};

static void
print_ra(struct app_session *session, const char *label, const struct app_ra *ra, int64_t now)
{
	char when[24], span[32];

	if (ra->count == 0) {
		app_session_print(session, " %-12s none yet\n", label);
		return;
	}
	app_session_print(session, " %-12s ends %.10s, in %s%s\n", label, clock_text(ra->not_after, when, sizeof(when)),
			  app_command_span(ra->not_after - now, span, sizeof(span)),
			  ra->count > 1 ? "; older ones still accepted" : "");
}

static void
print_signer(struct app_session *session, const struct status_report *report)
{
	const struct msg_token_state *token = &report->token;
	char plain[3][48];

	if (report->token_code != 0) {
		app_session_print(session, " %-12s no answer: %s\n", "Signer", err_name(report->token_code));
		return;
	}
	app_session_print(session, " %-12s %s, token %s (%s, serial %s)\n", "Signer",
			  token->usable ? "works" : "NOT USABLE",
			  app_command_plain(token->label, plain[0], sizeof(plain[0])),
			  app_command_plain(token->model, plain[1], sizeof(plain[1])),
			  app_command_plain(token->serial, plain[2], sizeof(plain[2])));
	app_session_print(session, " %-12s %u queued, %u workers, %llu done, %llu failed\n", "", token->queued,
			  token->workers, (unsigned long long)token->jobs_done, (unsigned long long)token->jobs_failed);
	if (token->text[0] != '\0')
		app_session_print(session, " %-12s %s\n", "",
				  app_command_plain(token->text, plain[0], sizeof(plain[0])));
}

static void
print_crl(struct app_session *session, int64_t now)
{
	const struct app_publish *p = &session->authority->publish[session->authority->current];
	char age[32], left[32];

	if (p->crl.len == 0) {
		app_session_print(session, " %-12s none yet\n", "CRL");
		return;
	}
	app_session_print(session, " %-12s number %lld, %lld entries, made %s ago, ends in %s\n", "CRL",
			  (long long)p->number, (long long)p->entries,
			  app_command_span(now - p->this_update, age, sizeof(age)),
			  app_command_span(p->next_update - now, left, sizeof(left)));
}

static void
print_delta(struct app_session *session, int64_t now)
{
	const struct app_delta *delta = &session->authority->publish[session->authority->current].delta;
	char left[32];

	if (session->authority->conf->ca_delta_hours == 0)
		app_session_print(session, " %-12s off (ca.delta_hours)\n", "Delta CRL");
	else if (delta->crl.len == 0)
		app_session_print(session, " %-12s none yet\n", "Delta CRL");
	else
		app_session_print(session, " %-12s number %lld on %lld, %lld entries, ends in %s\n", "Delta CRL",
				  (long long)delta->number, (long long)delta->base, (long long)delta->entries,
				  app_command_span(delta->next_update - now, left, sizeof(left)));
}

/* The answers themselves are kept by the fronts, so what is known here is how many were signed, and when. */
static void
print_ocsp(struct app_session *session, int64_t now)
{
	const struct app_authority *a = session->authority;
	const struct app_ra *ra = &a->internal.ra[APP_RA_OCSP];
	char when[24], span[32], age[32];

	if (a->internal.ocsp_off) {
		app_session_print(session, " %-12s off: the token has no key for it\n", "OCSP");
		return;
	}
	if (ra->count == 0) {
		app_session_print(session, " %-12s no certificate yet\n", "OCSP");
		return;
	}
	app_session_print(session, " %-12s ends %.10s, in %s; %llu signed", "OCSP",
			  clock_text(ra->not_after, when, sizeof(when)),
			  app_command_span(ra->not_after - now, span, sizeof(span)),
			  (unsigned long long)a->responder.signed_count);
	if (a->responder.signed_count > 0)
		app_session_print(session, ", last %s ago",
				  app_command_span(now - a->responder.signed_last, age, sizeof(age)));
	app_session_print(session, "\n");
}

static size_t
count_fronts(const struct app_authority *a)
{
	size_t count = 0;

	for (const struct list *pos = a->links.fronts.next; pos != &a->links.fronts; pos = pos->next)
		count++;
	return count;
}

static bool
has_ended(const struct app_ra *ra, int64_t now)
{
	return ra->count > 0 && now >= ra->not_after;
}

/* Why the appliance does not do all it should; NULL when it does. */
static const char *
trouble(const struct app_authority *a, const struct status_report *report, int64_t now)
{
	const struct app_publish *publish = &a->publish[a->current];

	if (now < a->issuer.cert.tbs.not_before)
		return "the clock stands before the CA certificate's beginning";
	if (a->failing_ms != 0)
		return "the store failed to write: look at disk and log";
	if (report->token_code != 0)
		return "the signer does not answer, nothing can be issued";
	if (!report->token.usable)
		return "the token is not usable, nothing can be issued";
	if (a->internal.ca_key_wrong)
		return "the token's CA key is not that of the CA certificate";
	if (!a->internal.ready)
		return "RA certificates are not made yet";
	if (publish->crl.len == 0 || now >= publish->next_update)
		return "there is no current CRL";
	if (now >= a->issuer.cert.tbs.not_after)
		return "the CA certificate has ended";
	if (a->conf->ca_delta_hours > 0 && publish->delta.crl.len > 0 && now >= publish->delta.next_update)
		return "the delta CRL has ended";
	if (has_ended(&a->internal.ra[APP_RA_SIGN], now) || has_ended(&a->internal.ra[APP_RA_DECRYPT], now))
		return "an RA certificate has ended";
	if (has_ended(&a->internal.ra[APP_RA_OCSP], now))
		return "the OCSP responder's certificate has ended";
	if (count_fronts(a) == 0)
		return "no front is connected, no device is served";
	if (a->refused[0] != '\0')
		return a->refused;
	return NULL;
}

/* A roll-over that is to come, and CAs whose certificates have not ended. */
static void
print_generations(struct app_session *session)
{
	const struct app_authority *a = session->authority;
	unsigned next = app_generation_next(a);
	char when[24];

	if (next < CA_GENERATIONS && a->issuers.of[next].rollover_at != 0)
		app_session_print(session, " %-12s number %u, issues from %s on\n", "Next CA", next + 1,
				  clock_text(a->issuers.of[next].rollover_at, when, sizeof(when)));
	else if (next < CA_GENERATIONS)
		app_session_print(session, " %-12s number %u, announced\n", "Next CA", next + 1);
	for (unsigned g = 0; g < CA_GENERATIONS; g++) {
		if (g != a->current && app_generation_is_live(a, g))
			app_session_print(session, " %-12s number %u, CRL number %lld\n", "Previous CA", g + 1,
					  (long long)a->publish[g].number);
	}
}

static void
print_status(struct app_session *session, const struct status_report *report, const struct app_store_counts *counts)
{
	const struct app_authority *a = session->authority;
	const struct x509_tbs *ca = &a->issuer.cert.tbs;
	int64_t now = clock_wall();
	const char *why = trouble(a, report, now);
	char when[24], span[32], name[256], plain[66];

	app_session_print(session, " Chancery     %-44s %s\n", why == NULL ? "OPERATIONAL" : "DEGRADED",
			  clock_text(now, when, sizeof(when)));
	if (why != NULL)
		app_session_print(session, " %-12s %s\n", "Cause", app_command_plain(why, plain, sizeof(plain)));
	app_session_print(session, " %-12s %s\n", "Issuing CA",
			  app_command_plain(x509_name_text(ca->subject, name, sizeof(name)), plain, sizeof(plain)));
	app_session_print(session, " %-12s ends %.10s, in %s\n", "", clock_text(ca->not_after, when, sizeof(when)),
			  app_command_span(ca->not_after - now, span, sizeof(span)));
	print_generations(session);
	print_ra(session, "RA signing", &a->internal.ra[APP_RA_SIGN], now);
	print_ra(session, "RA decrypt", &a->internal.ra[APP_RA_DECRYPT], now);
	print_ocsp(session, now);
	print_signer(session, report);
	print_crl(session, now);
	print_delta(session, now);
	app_session_print(session, " %-12s %lld valid, %lld revoked; %lld certificates ever\n", "Devices",
			  (long long)counts->valid, (long long)counts->revoked, (long long)counts->issued);
	app_session_print(session, " %-12s %lld open of at most %d\n", "Challenges", (long long)counts->challenges_open,
			  a->conf->challenge_max_open);
	app_session_print(session, " %-12s %lld wait for an operator\n", "Requests",
			  (long long)counts->requests_waiting);
	app_session_print(session, " %-12s %zu now (%lld intents in the store)\n", "Under way", a->issuing.count,
			  (long long)counts->intents_open);
	app_session_print(session, " %-12s up %s: %llu issued, %llu refused, %llu failed\n", "Since start",
			  app_command_span(now - a->started, span, sizeof(span)), (unsigned long long)a->issuing.issued,
			  (unsigned long long)a->enrolling.refused, (unsigned long long)a->issuing.failed);
	app_session_print(session, " %-12s %zu loops connected\n", "Front", count_fronts(a));
	for (size_t i = 0; i < APP_POLICY_MODULES; i++)
		if (a->policy.modules[i] != NULL)
			app_command_policy_print(session, a->policy.modules[i]);
	app_session_print(session, " %-12s %lld records\n", "Audit", (long long)counts->audit_records);
	app_session_end(session, why == NULL ? APP_EXIT_OK : APP_EXIT_FAILED);
}

static void
on_status_counts(struct app_store_request *request, void *arg)
{
	struct app_session *session = arg;
	struct status_report *report = session->own;
	struct app_store_counts counts = request->counts;
	int code = request->code;

	app_store_request_fini(request);
	session->own = NULL;
	if (code == 0)
		print_status(session, report, &counts);
	else
		app_session_fail(session, APP_EXIT_FAILED, "The store cannot be read: %s.", err_name(code));
	free(report);
}

static void
on_token_state(int code, const struct ipc_message *message, void *arg)
{
	struct app_session *session = arg;
	struct status_report *report = session->own;

	report->token_code = code;
	if (code == 0 && (message->type != MSG_TOKEN_STATE || msg_token_state_get(message->body, &report->token) != 0))
		report->token_code = ERR_FORMAT;
	ask_counts(session, on_status_counts);
}

void
app_command_status(struct app_session *session)
{
	struct app_authority *a = session->authority;
	struct status_report *report = calloc(1, sizeof(*report));
	struct msg_token_status m = {0};

	if (report == NULL) {
		app_session_fail(session, APP_EXIT_FAILED, "Out of memory.");
		return;
	}
	session->own = report;
	report->token_code = ERR_CLOSED;
	if (a->links.signer == NULL ||
	    msg_token_status_call(a->links.signer, &m, TOKEN_MS, on_token_state, session) != 0)
		ask_counts(session, on_status_counts);
}

static void audit_page(struct app_session *session);

static void
on_audit(struct app_store_request *request, void *arg)
{
	struct app_session *session = arg;
	int64_t lines = 0;

	if (request->code != 0) {
		app_store_request_fini(request);
		app_session_fail(session, APP_EXIT_FAILED, "The store cannot be read: %s.", err_name(request->code));
		return;
	}
	for (size_t i = 0; i < request->out.len; i++)
		lines += request->out.data[i] == '\n';
	buf_put_raw(&session->out, request->out.data, request->out.len);
	app_store_request_fini(request);
	session->number[0] -= lines;
	session->number[1] += lines;
	if (lines < request->limit || session->number[0] <= 0)
		app_session_end(session, APP_EXIT_OK);
	else
		app_session_page(session, audit_page);
}

/* number[0] are still wanted, number[1] were printed. */
static void
audit_page(struct app_session *session)
{
	struct app_store_request *request = &session->request;

	memset(request, 0, sizeof(*request));
	request->op = APP_STORE_AUDIT;
	request->limit = session->number[0] < AUDIT_PAGE ? session->number[0] : AUDIT_PAGE;
	request->offset = session->number[1];
	app_session_ask(session, on_audit);
}

void
app_command_audit_list(struct app_session *session)
{
	session->number[1] = 0;
	audit_page(session);
}

static void
on_audit_checked(struct app_store_request *request, void *arg)
{
	struct app_session *session = arg;
	int code = request->code;
	long long count = (long long)request->counts.audit_records;

	app_store_request_fini(request);
	if (code == 0) {
		app_session_print(session, "The chain of %lld audit records holds.\n", count);
		app_session_end(session, APP_EXIT_OK);
	} else if (code == ERR_VERIFY) {
		log_event(AUDIT_BROKEN, count);
		app_session_fail(session, APP_EXIT_FAILED, "The audit trail was changed: record %lld does not fit.",
				 count);
	} else {
		app_session_fail(session, APP_EXIT_FAILED, "The store cannot be read: %s.", err_name(code));
	}
}

void
app_command_audit_verify(struct app_session *session)
{
	memset(&session->request, 0, sizeof(session->request));
	session->request.op = APP_STORE_AUDIT_CHECK;
	app_session_ask(session, on_audit_checked);
}
