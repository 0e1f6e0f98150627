/*
 * The commands about challenges.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "appliance/binding.h"
#include "appliance/command.h"
#include "board/base/clock.h"
#include "board/base/log.h"
#include "board/base/x509.h"

enum { BATCH = 64, MINUTE_S = 60, LINE_TEXT = 64 };

/* Options of "challenge create" and of "challenge list", in the order of the table of commands. */
enum { COUNT, MINUTES, TEMPLATE, SUBJECT, SAN, KEY, PROFILE, DEVICE, USER, VARIABLE };
enum { LIST_ALL, LIST_LIMIT, LIST_OFFSET };

/* Challenges on their way into the store, many at a time so that they share a commit. */
struct batch {
	size_t count;
	size_t waiting;
	int code; /* the first failure */
	struct app_binding binding;
	struct {
		struct secret *challenge;
		struct app_store_request request;
	} item[BATCH];
};

static void next_batch(struct app_session *session);

static void
print_secret(struct app_session *session, const struct secret *challenge)
{
	struct bytes text = secret_bytes(challenge);

	buf_put_raw(&session->out, text.data, text.len);
	buf_put_u8(&session->out, '\n');
}

/* Prints what is committed; session->number[COUNT] are still wanted. */
static void
batch_done(struct app_session *session, struct batch *batch)
{
	int code = batch->code;

	for (size_t i = 0; i < batch->count; i++) {
		if (batch->item[i].request.code == 0) {
			print_secret(session, batch->item[i].challenge);
			session->number[COUNT]--;
		}
		app_store_request_fini(&batch->item[i].request);
		secret_free(batch->item[i].challenge);
	}
	session->own = NULL;
	app_binding_fini(&batch->binding);
	free(batch);
	if (code == ERR_LIMIT)
		app_session_fail(session, APP_EXIT_FAILED, "No more: challenge.max_open allows %d open challenges.",
				 session->authority->conf->challenge_max_open);
	else if (code != 0)
		app_session_fail(session, APP_EXIT_FAILED, "The store failed: %s.", err_name(code));
	else if (session->number[COUNT] > 0)
		app_session_page(session, next_batch);
	else
		app_session_end(session, APP_EXIT_OK);
}

static void
on_challenge(struct app_store_request *request, void *arg)
{
	struct app_session *session = arg;
	struct batch *batch = session->own;

	if (request->code != 0 && batch->code == 0)
		batch->code = request->code;
	if (--batch->waiting == 0)
		batch_done(session, batch);
}

/* Reads what the options bind the challenges to; answers what is wrong with them. */
static int
read_binding(struct app_session *session, struct app_binding *binding)
{
	static const char *const words[] = {
		[TEMPLATE] = "template",
		[SUBJECT] = "subject",
		[SAN] = "san",
		[KEY] = "key",
	};
	struct err e = {0};

	for (size_t i = TEMPLATE; i < ARRAY_SIZE(words); i++) {
		if (!session->given[i] || app_binding_set(binding, words[i], session->text[i], &e) == 0)
			continue;
		app_binding_fini(binding);
		app_session_fail(session, APP_EXIT_USAGE, "--%s: %s", words[i], e.text);
		return e.code;
	}
	return 0;
}

static int
put_challenge(struct app_session *session, struct batch *batch, size_t i)
{
	const struct config *conf = session->authority->conf;
	struct app_store_request *request = &batch->item[i].request;
	int64_t minutes = session->given[MINUTES] ? session->number[MINUTES] : conf->challenge_lifetime_minutes;
	int status = app_challenge_new(conf->challenge_length, &batch->item[i].challenge);

	if (status != 0)
		return status;
	request->op = APP_STORE_CHALLENGE;
	request->done = on_challenge;
	request->arg = session;
	request->now = clock_wall();
	request->expires = request->now + minutes * MINUTE_S;
	request->max_open = conf->challenge_max_open;
	request->binding = &batch->binding;
	snprintf(request->account, sizeof(request->account), "%s", session->account.name);
	snprintf(request->actor, sizeof(request->actor), "%s", session->actor);
	app_challenge_hash(session->authority->challenge_key, secret_bytes(batch->item[i].challenge),
			   request->challenge_hash);
	return app_store_submit(session->authority->store, request);
}

static void
next_batch(struct app_session *session)
{
	struct batch *batch = calloc(1, sizeof(*batch));
	size_t want = session->number[COUNT] < BATCH ? (size_t)session->number[COUNT] : BATCH;

	if (batch == NULL || session->authority->closing) {
		free(batch);
		app_session_fail(session, APP_EXIT_FAILED, "Not possible now.");
		return;
	}
	if (read_binding(session, &batch->binding) != 0) {
		free(batch);
		return;
	}
	session->own = batch;
	/* One more than are asked, so that the batch does not end while it is filled. */
	batch->waiting = 1;
	for (size_t i = 0; i < want; i++) {
		int status = put_challenge(session, batch, i);

		batch->count++;
		if (status != 0) {
			batch->item[i].request.code = status;
			batch->code = batch->code == 0 ? status : batch->code;
			break;
		}
		batch->waiting++;
	}
	if (--batch->waiting == 0)
		batch_done(session, batch);
}

void
app_command_challenge_create(struct app_session *session)
{
	struct app_binding binding = {.key_usage = 0};
	struct err e = {0};
	int status;

	if (session->given[PROFILE] || session->given[DEVICE] || session->given[USER] || session->given[VARIABLE]) {
		app_command_certprofile_challenge(session);
		return;
	}
	if (read_binding(session, &binding) != 0)
		return;
	status = app_templates_check_bound(session->authority, binding.template_name, &e);
	if (status == 0)
		status = app_templates_permit(session->authority, &session->account, binding.template_name,
					      APP_RIGHT_ENROLL, &e);
	app_binding_fini(&binding);
	if (status == ERR_UNKNOWN) {
		app_session_fail(session, APP_EXIT_USAGE, "--template: %s; see \"chancery template list\".", e.text);
		return;
	}
	if (status != 0) {
		log_event(OPERATOR_DENIED, session->actor, session->command->words);
		app_session_fail(session, APP_EXIT_FAILED, "%s is not allowed to: %s.", session->account.name, e.text);
		return;
	}
	log_event(CHALLENGES_ASKED, session->actor, (long long)session->number[COUNT]);
	next_batch(session);
}

/* A text of what a challenge is bound to, in as many lines as it needs. */
static void
print_bound(struct app_session *session, const char *label, const char *text)
{
	char plain[APP_BINDING_TEXT_SIZE];

	app_command_plain(text, plain, sizeof(plain));
	for (size_t at = 0; plain[at] != '\0'; at += strnlen(plain + at, LINE_TEXT)) {
		app_session_print(session, "    %-9s %.*s\n", label, LINE_TEXT, plain + at);
		label = "";
	}
}

static void
print_challenge(struct app_session *session, const struct app_open_challenge *challenge, int64_t now)
{
	const struct app_binding *bound = &challenge->bound;
	char text[APP_BINDING_TEXT_SIZE], left[32];

	app_session_print(session, "%7lld  %-8s  %s", (long long)challenge->number,
			  app_command_span(challenge->expires - now, left, sizeof(left)),
			  app_command_plain(challenge->creator, text, 45));
	if (challenge->request != 0)
		app_session_print(session, "; request %lld holds it", (long long)challenge->request);
	app_session_print(session, "\n");
	print_bound(session, "Template", bound->template_name);
	if (bound->subject.len > 0)
		print_bound(session, "Subject", x509_name_text(bound->subject, text, sizeof(text)));
	if (bound->san.len > 0)
		print_bound(session, "SAN", app_binding_san_text(bound->san, text, sizeof(text)));
	if (bound->has_key)
		print_bound(session, "Key",
			    bytes_hex((struct bytes){bound->key_hash, APP_HASH_SIZE}, text, sizeof(text)));
	snprintf(text, sizeof(text), "0x%02X", bound->key_usage);
	if (bound->key_usage != 0)
		print_bound(session, "Key usage", text);
}

static void
on_challenges(struct app_store_request *request, void *arg)
{
	struct app_session *session = arg;
	int64_t now = clock_wall();
	int code = request->code;
	long long count = (long long)request->challenge_count;

	if (code == 0 && count > 0)
		app_session_print(session, "\n%7s  %-8s  %s\n", "NUMBER", "ENDS IN", "MADE BY");
	for (size_t i = 0; i < request->challenge_count; i++)
		print_challenge(session, &request->challenges[i], now);
	app_store_request_fini(request);
	if (code != 0) {
		app_session_fail(session, APP_EXIT_FAILED, "The store cannot be read: %s.", err_name(code));
		return;
	}
	if (count == session->number[LIST_LIMIT])
		app_session_print(session, "There may be more: --offset %lld\n",
				  (long long)session->number[LIST_OFFSET] + count);
	app_session_end(session, APP_EXIT_OK);
}

static void
on_challenge_counts(struct app_store_request *request, void *arg)
{
	struct app_session *session = arg;
	const struct config *conf = session->authority->conf;
	int64_t open = request->counts.challenges_open;
	int code = request->code;

	app_store_request_fini(request);
	if (code != 0) {
		app_session_fail(session, APP_EXIT_FAILED, "The store cannot be read: %s.", err_name(code));
		return;
	}
	app_session_print(session, "Open          %lld of at most %d\n", (long long)open, conf->challenge_max_open);
	app_session_print(session, "Life          %d minutes unless --minutes says otherwise\n",
			  conf->challenge_lifetime_minutes);
	app_session_print(session, "Static        %s\n",
			  session->authority->static_challenge == NULL ? "none" : "one for all devices is in force");
	memset(request, 0, sizeof(*request));
	request->op = APP_STORE_CHALLENGES;
	request->now = clock_wall();
	request->all = session->given[LIST_ALL];
	request->limit = session->number[LIST_LIMIT];
	request->offset = session->number[LIST_OFFSET];
	app_session_ask(session, on_challenges);
}

void
app_command_challenge_list(struct app_session *session)
{
	memset(&session->request, 0, sizeof(session->request));
	session->request.op = APP_STORE_COUNTS;
	session->request.now = clock_wall();
	app_session_ask(session, on_challenge_counts);
}

static void
on_revoked(struct app_store_request *request, void *arg)
{
	struct app_session *session = arg;
	bool all = request->all;
	int64_t count = all ? request->counts.challenges_open : 1;
	int64_t number = request->number;
	int code = request->code;

	app_store_request_fini(request);
	if (code == ERR_UNKNOWN)
		app_session_fail(session, APP_EXIT_FAILED,
				 "No challenge has the number %lld; \"chancery challenge list --all\" shows all.",
				 (long long)number);
	else if (code == ERR_STAGE)
		app_session_fail(session, APP_EXIT_FAILED, "Nothing changed: it is used or revoked already.");
	else if (code != 0)
		app_session_fail(session, APP_EXIT_FAILED, "The store failed: %s.", err_name(code));
	if (code != 0)
		return;
	log_event(CHALLENGES_REVOKED, session->actor, (long long)count, (long long)number);
	app_session_print(session, all ? "Revoked: all %lld that were open.\n" : "Revoked.\n", (long long)count);
	app_session_end(session, APP_EXIT_OK);
}

void
app_command_challenge_revoke(struct app_session *session)
{
	struct app_store_request *request = &session->request;
	char *end = session->argument;

	memset(request, 0, sizeof(*request));
	request->op = APP_STORE_CHALLENGE_REVOKE;
	request->now = clock_wall();
	request->all = session->given[0];
	snprintf(request->actor, sizeof(request->actor), "%s", session->actor);
	errno = 0;
	if (!request->all)
		request->number = strtoll(session->argument, &end, 10);
	if (*end != '\0' || errno != 0 || (request->number <= 0) != request->all) {
		app_session_fail(session, APP_EXIT_USAGE,
				 "A number, as \"chancery challenge list --all\" shows it, or --all.");
		return;
	}
	app_session_ask(session, on_revoked);
}
