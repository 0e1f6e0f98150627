/*
 * The commands about certificate profiles of the registration point, and challenges for one.
 */
#include <stdio.h>
#include <string.h>

#include "appliance/certprofile.h"
#include "appliance/command.h"
#include "appliance/registration_check.h"
#include "appliance/store_registration.h"
#include "board/base/clock.h"
#include "board/base/log.h"

/* Options of "challenge create", in the order of the table of commands; those from PROFILE on are ours. */
enum { COUNT, MINUTES, TEMPLATE, SUBJECT, SAN, KEY, PROFILE, DEVICE, USER, VARIABLE };

/* What a command about profiles keeps while the store works. */
struct job {
	struct app_registration_record record;
	struct app_certprofile profile;
	struct buf text;
};

static struct job *
job_new(struct app_session *session)
{
	struct job *job = calloc(1, sizeof(*job));

	if (job == NULL) {
		app_session_fail(session, APP_EXIT_FAILED, "Not possible now.");
		return NULL;
	}
	buf_init(&job->text, APP_TEMPLATE_FILE_MAX);
	session->own = job;
	return job;
}

static void
job_free(struct app_session *session)
{
	struct job *job = session->own;

	session->own = NULL;
	app_store_request_fini(&session->request);
	if (job == NULL)
		return;
	buf_fini(&job->text);
	app_registration_record_fini(&job->record);
	free(job);
}

static void
fail(struct app_session *session, int exit_status, const char *text)
{
	char plain[ERR_TEXT_SIZE];

	app_command_plain(text, plain, sizeof(plain));
	job_free(session);
	app_session_fail(session, exit_status, "%s", plain);
}

static void
submit(struct app_session *session, enum app_store_op op, const char *name, app_store_done_fn done)
{
	struct job *job = session->own;
	struct app_store_request *request = &session->request;
	int code;

	memset(request, 0, sizeof(*request));
	snprintf(job->record.terms.profile, sizeof(job->record.terms.profile), "%s", name);
	request->op = op;
	request->done = done;
	request->arg = session;
	request->registration = &job->record;
	request->der = buf_bytes(&job->text);
	snprintf(request->actor, sizeof(request->actor), "%s", session->actor);
	code = session->authority->closing ? ERR_CLOSED : app_store_submit(session->authority->store, request);
	if (code != 0)
		fail(session, APP_EXIT_FAILED, "Not possible now.");
}

/* ---- looking ----------------------------------------------------------------------------------------------------- */

static void
print_line(struct app_session *session, const struct app_certprofile *profile)
{
	char name[APP_CERTPROFILE_NAME], text[64];

	app_session_print(session, "%-24s  %-16s  %5d  %s\n", app_command_plain(profile->name, name, sizeof(name)),
			  profile->template_name, profile->validity_days,
			  app_command_plain(profile->description, text, sizeof(text)));
}

/* Each text in the answer as a value; what this program does not understand is named. */
static void
on_profiles(struct app_store_request *request, void *arg)
{
	struct app_session *session = arg;
	struct job *job = session->own;
	bool is_one = job->record.terms.profile[0] != '\0';
	const char *text = (const char *)request->out.data;
	const char *end = text + request->out.len;
	struct err e = {0};

	if (request->code != 0) {
		fail(session, APP_EXIT_FAILED,
		     request->code == ERR_UNKNOWN
			     ? "There is no such certificate profile; \"chancery certificate-profile list\" shows all."
			     : "The store cannot be read.");
		return;
	}
	if (!is_one)
		app_session_print(session, "%-24s  %-16s  %5s  %s\n", "NAME", "TEMPLATE", "DAYS", "DESCRIPTION");
	for (; text < end; text += strlen(text) + 1) {
		if (app_certprofile_parse(text, "stored", &job->profile, &e) != 0)
			app_session_print(session, "%s\n", e.text);
		else if (is_one)
			app_certprofile_print(&job->profile, &session->out);
		else
			print_line(session, &job->profile);
	}
	job_free(session);
	app_session_end(session, APP_EXIT_OK);
}

void
app_command_certprofile_list(struct app_session *session)
{
	if (job_new(session) != NULL)
		submit(session, APP_STORE_CERTPROFILE, "", on_profiles);
}

void
app_command_certprofile_show(struct app_session *session)
{
	if (session->argument[0] == '\0')
		app_session_fail(session, APP_EXIT_USAGE, "The name of a certificate profile is wanted.");
	else if (job_new(session) != NULL)
		submit(session, APP_STORE_CERTPROFILE, session->argument, on_profiles);
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

/* The profile of the file that came with the command; what is wrong with it is answered. */
static struct job *
read_file(struct app_session *session)
{
	struct job *job = job_new(session);
	struct err e = {0};

	if (job == NULL)
		return NULL;
	buf_put_raw(&job->text, session->file.data, session->file.len);
	buf_put_u8(&job->text, '\0');
	if (buf_status(&job->text) != 0)
		err_set(&e, ERR_LIMIT, 0, "The file has more than %d bytes.", APP_TEMPLATE_FILE_MAX - 1);
	else if (strlen((const char *)job->text.data) != session->file.len)
		err_set(&e, ERR_CONFIG, 0, "The file has NUL bytes; it must be text.");
	else if (app_certprofile_parse((const char *)job->text.data, session->argument, &job->profile, &e) == 0)
		return job;
	fail(session, APP_EXIT_FAILED, e.text);
	return NULL;
}

/* Does its template exist here, and agree?  Of a template that comes later nothing can be said yet. */
static int
check_template(struct app_session *session, const struct app_certprofile *profile, struct err *e)
{
	const struct app_template_entry *entry = app_templates_find(session->authority, profile->template_name);
	struct err why = {0};

	if (entry == NULL)
		return err_set(e, ERR_CONFIG, 0, "%.100s: template: there is no template %s here", session->argument,
			       profile->template_name);
	if (app_certprofile_fits(profile, &entry->template, &why) != 0)
		return err_set(e, ERR_CONFIG, 0, "%.100s: %s", session->argument, why.text);
	return 0;
}

void
app_command_certprofile_check(struct app_session *session)
{
	struct job *job = read_file(session);
	struct err e = {0};

	if (job == NULL)
		return;
	if (check_template(session, &job->profile, &e) != 0) {
		fail(session, APP_EXIT_FAILED, e.text);
		return;
	}
	app_certprofile_print(&job->profile, &session->out);
	job_free(session);
	app_session_end(session, APP_EXIT_OK);
}

static void
on_changed(struct app_store_request *request, void *arg)
{
	struct app_session *session = arg;
	struct job *job = session->own;
	char name[APP_CERTPROFILE_NAME];
	bool imported = request->op == APP_STORE_CERTPROFILE_PUT;

	if (request->code == ERR_UNKNOWN || request->code == ERR_LIMIT) {
		fail(session, APP_EXIT_FAILED, request->e.text);
		return;
	}
	if (request->code != 0) {
		fail(session, APP_EXIT_FAILED, "The store failed.");
		return;
	}
	if (imported)
		log_event(CERTPROFILE_IMPORTED, log_text(job->record.terms.profile), session->actor);
	else
		log_event(CERTPROFILE_REMOVED, log_text(job->record.terms.profile), session->actor);
	app_command_plain(job->record.terms.profile, name, sizeof(name));
	app_session_print(session, imported ? "Imported %s.\n" : "Removed %s; its challenges are refused.\n", name);
	job_free(session);
	app_session_end(session, APP_EXIT_OK);
}

void
app_command_certprofile_import(struct app_session *session)
{
	struct job *job = read_file(session);
	struct err e = {0};

	if (job == NULL)
		return;
	if (check_template(session, &job->profile, &e) != 0) {
		fail(session, APP_EXIT_FAILED, e.text);
		return;
	}
	buf_clear(&job->text);
	app_certprofile_print(&job->profile, &job->text);
	buf_put_u8(&job->text, '\0');
	submit(session, APP_STORE_CERTPROFILE_PUT, job->profile.name, on_changed);
}

void
app_command_certprofile_remove(struct app_session *session)
{
	if (job_new(session) != NULL)
		submit(session, APP_STORE_CERTPROFILE_REMOVE, session->argument, on_changed);
}

/* ---- challenges -------------------------------------------------------------------------------------------------- */

static void
on_minted(const struct app_registration_minted *minted, void *arg)
{
	struct app_session *session = arg;
	char plain[ERR_TEXT_SIZE];

	if (minted->code != 0) {
		app_session_fail(session, APP_EXIT_FAILED, "%s", app_command_plain(minted->text, plain, sizeof(plain)));
		return;
	}
	buf_put_raw(&session->out, minted->challenge.data, minted->challenge.len);
	buf_put_u8(&session->out, '\n');
	app_session_end(session, APP_EXIT_OK);
}

/* "NAME=VALUE;NAME=VALUE"; false when there are too many. */
static bool
split_variables(char *text, struct app_registration_ask *ask)
{
	char *word;

	while ((word = strsep(&text, ";")) != NULL) {
		if (*word == '\0')
			continue;
		if (ask->variable_count == ARRAY_SIZE(ask->variables))
			return false;
		ask->variables[ask->variable_count++] = bytes_of_text(word);
	}
	return true;
}

void
app_command_certprofile_challenge(struct app_session *session)
{
	struct app_registration_ask ask = {
		.profile = session->text[PROFILE],
		.device = session->text[DEVICE],
		.user = session->text[USER],
		.account = &session->account,
		.actor = session->actor,
		.minutes = session->given[MINUTES] ? session->number[MINUTES] : 0,
	};
	bool others = session->given[COUNT] || session->given[TEMPLATE] || session->given[SUBJECT] ||
		      session->given[SAN] || session->given[KEY];

	if (others || !session->given[PROFILE] || !session->given[DEVICE])
		app_session_fail(session, APP_EXIT_USAGE,
				 "A challenge for a certificate profile takes --profile and --device, and of the "
				 "others --user, --variable and --minutes alone.");
	else if (!split_variables(session->text[VARIABLE], &ask))
		app_session_fail(session, APP_EXIT_USAGE, "--variable: there are more than %zu.",
				 ARRAY_SIZE(ask.variables));
	else if (app_registration_generate(session->authority, &ask, on_minted, session) != 0)
		app_session_fail(session, APP_EXIT_FAILED, "Not possible now.");
}
