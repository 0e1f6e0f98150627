#include <stdio.h>
#include <string.h>

#include "appliance/command.h"
#include "board/base/clock.h"
#include "board/base/log.h"
#include "board/config_check.h"

enum { MINUTE_S = 60, DIGITS = 2 * APP_FINGERPRINT_SIZE };

/* Options in the order of the table in command.c. */
enum { GROUPS, CERTIFICATE, DISABLE, ENABLE };

/* ---- what all have in common ------------------------------------------------------------------------------------- */

/* A command on one account under way: session->own. */
struct work {
	struct app_operator who;
	enum app_store_op op;
	const char *what; /* becomes of the account */
};

static void
end_work(struct app_session *session)
{
	struct work *work = session->own;

	session->own = NULL;
	secret_wipe(work, sizeof(*work));
	free(work);
}

static void
on_changed(struct app_store_request *request, void *arg)
{
	struct app_session *session = arg;
	struct work *work = session->own;
	struct err e = request->e;
	int code = request->code;

	app_state_note(session->authority, code);
	app_store_request_fini(request);
	if (code == 0) {
		log_event(OPERATOR_CHANGED, work->who.name, log_text(work->what), session->actor);
		app_session_print(session, "The account %s is %s.\n", work->who.name, work->what);
	}
	end_work(session);
	if (code == 0)
		app_session_end(session, APP_EXIT_OK);
	else if (code == ERR_EXISTS || code == ERR_UNKNOWN)
		app_session_fail(session, APP_EXIT_FAILED, "Not done: %s.", e.text);
	else
		app_session_fail(session, APP_EXIT_FAILED, "The store failed: %s.", err_name(code));
}

static void
ask(struct app_session *session, enum app_store_op op, app_store_done_fn done)
{
	struct work *work = session->own;

	memset(&session->request, 0, sizeof(session->request));
	session->request.op = op;
	session->request.now = clock_wall();
	session->request.operators.who = &work->who;
	session->request.operators.password = secret_bytes(session->password);
	snprintf(session->request.actor, sizeof(session->request.actor), "%s", session->actor);
	session->request.done = done;
	session->request.arg = session;
	if (!session->authority->closing && app_store_submit(session->authority->store, &session->request) == 0)
		return;
	end_work(session);
	app_session_fail(session, APP_EXIT_FAILED, "The store is busy; try again.");
}

static void
on_hashed(struct app_store_request *request, void *arg)
{
	struct app_session *session = arg;
	const struct work *work = session->own;

	if (request->code == 0) {
		ask(session, work->op, on_changed);
		return;
	}
	end_work(session);
	app_session_fail(session, APP_EXIT_FAILED, "The password cannot be hashed: %s.", err_name(request->code));
}

/* Begins work on the account that the argument names; NULL when it has been refused. */
static struct work *
begin_work(struct app_session *session, enum app_store_op op, const char *what)
{
	struct work *work;

	if (!app_account_good_name(session->argument, APP_ACCOUNT_NAME_MAX + 1)) {
		app_session_fail(
			session, APP_EXIT_USAGE,
			"NAME: a lower-case letter, then letters, digits, \".\", \"_\" or \"-\", at most %d in all",
			APP_ACCOUNT_SIZE - 1);
		return NULL;
	}
	work = calloc(1, sizeof(*work));
	if (work == NULL) {
		app_session_fail(session, APP_EXIT_FAILED, "Out of memory.");
		return NULL;
	}
	work->op = op;
	work->what = what;
	memcpy(work->who.name, session->argument, strlen(session->argument) + 1);
	session->own = work;
	return work;
}

static void
refuse_work(struct app_session *session, const char *option, const char *why)
{
	end_work(session);
	app_session_fail(session, APP_EXIT_USAGE, "%s: %s", option, why);
}

static bool
take_groups(struct app_session *session, struct work *work)
{
	struct app_account account;
	struct err e = {0};
	size_t used = 0;

	if (app_account_set(work->who.name, session->given[GROUPS] ? session->text[GROUPS] : "", &account, &e) != 0) {
		refuse_work(session, session->given[GROUPS] ? "--groups" : "NAME", e.text);
		return false;
	}
	for (size_t i = 0; i < account.group_count; i++) {
		const char *group = account.groups[i];

		used += (size_t)snprintf(work->who.groups + used, sizeof(work->who.groups) - used, "%s%s",
					 i > 0 ? " " : "", group);
		if (!app_account_known_group(group, strlen(group)))
			app_session_print(
				session, "Note: the group %s has no rights but those that templates give it.\n", group);
	}
	work->who.changes |= session->given[GROUPS] ? APP_OPERATOR_GROUPS : 0;
	return true;
}

/* A fingerprint in hexadecimal digits, colons or not, or "none". */
static bool
take_certificate(struct app_session *session, struct work *work)
{
	const char *text = session->text[CERTIFICATE];
	size_t digits = 0;

	if (!session->given[CERTIFICATE])
		return true;
	work->who.changes |= APP_OPERATOR_CERTIFICATE;
	if (strcmp(text, "none") == 0)
		return true;
	for (; *text != '\0'; text++) {
		int value = bytes_hex_digit(*text);

		if (*text == ':')
			continue;
		if (value < 0 || digits == DIGITS)
			break;
		work->who.certificate[digits / 2] = (uint8_t)(work->who.certificate[digits / 2] << 4 | (uint8_t)value);
		digits++;
	}
	work->who.has_certificate = true;
	if (*text == '\0' && digits == DIGITS)
		return true;
	refuse_work(session, "--certificate",
		    "the SHA-256 fingerprint of a client certificate, 64 hexadecimal digits; or none");
	return false;
}

static bool
take_password(struct app_session *session)
{
	struct err e = {0};

	if (session->password == NULL)
		(void)err_set(&e, ERR_FORMAT, 0, "no new password came with the command");
	else if (app_credential_check_new(secret_bytes(session->password), &e) == 0)
		return true;
	refuse_work(session, "New password", e.text);
	return false;
}

/* ---- the commands ------------------------------------------------------------------------------------------------ */

void
app_command_operator_add(struct app_session *session)
{
	struct work *work = begin_work(session, APP_STORE_ACCOUNT_ADD, "added");

	if (work != NULL && take_groups(session, work) && take_certificate(session, work) && take_password(session))
		ask(session, APP_STORE_ACCOUNT_HASH, on_hashed);
}

void
app_command_operator_password(struct app_session *session)
{
	struct work *work;

	if (strcmp(session->argument, session->account.name) != 0 &&
	    !app_account_in(&session->account, APP_GROUP_ADMINISTRATORS)) {
		log_event(OPERATOR_DENIED, session->actor, session->command->words);
		app_session_fail(session, APP_EXIT_FAILED,
				 "%s is not allowed to: another's password needs the group " APP_GROUP_ADMINISTRATORS
				 ".",
				 session->account.name);
		return;
	}
	work = begin_work(session, APP_STORE_ACCOUNT_PASSWORD, "given a new password");
	if (work != NULL && take_password(session))
		ask(session, APP_STORE_ACCOUNT_HASH, on_hashed);
}

void
app_command_operator_change(struct app_session *session)
{
	struct work *work = begin_work(session, APP_STORE_ACCOUNT_CHANGE, "changed");

	if (work == NULL || !take_groups(session, work) || !take_certificate(session, work))
		return;
	if (session->given[DISABLE] && session->given[ENABLE]) {
		refuse_work(session, "--disable", "contradicts --enable");
		return;
	}
	work->who.disabled = session->given[DISABLE];
	work->who.changes |= session->given[DISABLE] || session->given[ENABLE] ? APP_OPERATOR_DISABLED : 0;
	if (work->who.changes == 0)
		refuse_work(session, "operator change", "say what: --groups, --certificate, --disable or --enable");
	else
		ask(session, work->op, on_changed);
}

void
app_command_operator_unlock(struct app_session *session)
{
	struct work *work = begin_work(session, APP_STORE_ACCOUNT_CHANGE, "unlocked");

	if (work == NULL)
		return;
	work->who.changes = APP_OPERATOR_UNLOCK;
	ask(session, work->op, on_changed);
}

void
app_command_operator_remove(struct app_session *session)
{
	if (begin_work(session, APP_STORE_ACCOUNT_REMOVE, "removed") != NULL)
		ask(session, APP_STORE_ACCOUNT_REMOVE, on_changed);
}

/* ---- the list ---------------------------------------------------------------------------------------------------- */

static void
print_operator(struct app_session *session, const struct app_operator *who, int64_t now)
{
	const struct config *conf = session->authority->conf;
	const struct app_lockout lockout = {.failures = conf->operator_lockout_failures,
					    .decay_s = (int64_t)conf->operator_lockout_decay_minutes * MINUTE_S};
	const char *state = "active";
	char since[24], hex[DIGITS + 1];

	if (who->disabled)
		state = "disabled";
	else if (app_operator_failures(who, now, &lockout) >= lockout.failures)
		state = "locked";
	app_session_print(session, "%-20s %-8s  %.10s  %s\n", who->name, state,
			  clock_text(who->created, since, sizeof(since)), who->groups);
	if (who->has_certificate)
		app_session_print(
			session, "  %s\n",
			bytes_hex((struct bytes){who->certificate, sizeof(who->certificate)}, hex, sizeof(hex)));
}

static void
on_listed(struct app_store_request *request, void *arg)
{
	struct app_session *session = arg;
	int code = request->code;

	if (code == 0)
		app_session_print(session, "%-20s %-8s  %-10s  %s\n", "NAME", "STATE", "SINCE",
				  "GROUPS, and CERTIFICATE below");
	for (size_t i = 0; i < request->operators.count; i++)
		print_operator(session, &request->operators.list[i], request->now);
	app_store_request_fini(request);
	if (code == 0)
		app_session_end(session, APP_EXIT_OK);
	else
		app_session_fail(session, APP_EXIT_FAILED, "The store cannot be read: %s.", err_name(code));
}

void
app_command_operator_list(struct app_session *session)
{
	memset(&session->request, 0, sizeof(session->request));
	session->request.op = APP_STORE_ACCOUNT_ALL;
	session->request.now = clock_wall();
	app_session_ask(session, on_listed);
}
