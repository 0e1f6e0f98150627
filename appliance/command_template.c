/*
 * The commands about certificate templates.
 */
#include <stdio.h>
#include <string.h>

#include "appliance/command.h"
#include "appliance/template_impl.h"
#include "board/base/log.h"

enum { NAME_COLUMN = 24, SHOWN_COLUMN = 30, TEXT_LIMIT = 32768, DAY_HOURS = 24 };

/* Options of "template show" and "template permit", in the order of the table of commands. */
enum { SHOW_FILE };
enum { PERMIT_GROUP, PERMIT_ACCOUNT, PERMIT_RIGHTS };

/* Templates on their way into the store, one after the other; text is that of the one that is. */
struct job {
	struct app_template *templates;
	size_t count;
	size_t next;
	struct buf text;
};

static void
job_free(struct job *job)
{
	if (job == NULL)
		return;
	free(job->templates);
	buf_fini(&job->text);
	free(job);
}

static struct job *
job_new(struct app_session *session)
{
	struct job *job = calloc(1, sizeof(*job));

	if (job == NULL) {
		app_session_fail(session, APP_EXIT_FAILED, "There is no memory.");
		return NULL;
	}
	buf_init(&job->text, TEXT_LIMIT);
	session->own = job;
	return job;
}

/* Ends a command with a job, whatever became of it. */
static void
job_fail(struct app_session *session, int code, const struct err *e)
{
	char plain[ERR_TEXT_SIZE];

	job_free(TAKE(session->own));
	app_session_fail(session, APP_EXIT_FAILED, "%s.",
			 e->text[0] != '\0' ? app_command_plain(e->text, plain, sizeof(plain)) : err_name(code));
}

/* ---- looking ----------------------------------------------------------------------------------------------------- */

static const char *
origin_name(enum app_template_origin origin)
{
	static const char *const names[] = {
		[APP_TEMPLATE_CONFIG] = "settings",
		[APP_TEMPLATE_BUILTIN] = "built-in",
		[APP_TEMPLATE_IMPORTED] = "imported",
	};

	return names[origin];
}

static void
validity_text(const struct app_template *template, char *out, size_t size)
{
	if (template->validity_days > 0)
		snprintf(out, size, "%dd", template->validity_days);
	else
		snprintf(out, size, "%dh", template->validity_hours);
}

/* The first letters of the key usages for which NDES' choice is this one. */
static void
chosen_text(const struct app_authority *a, const struct app_template_entry *entry, char out[APP_NDES_COUNT + 1])
{
	size_t len = 0;

	for (int i = 0; i < APP_NDES_COUNT; i++)
		if (app_templates_find(a, a->templates.ndes[i]) == entry)
			out[len++] = "SEG"[i];
	out[len] = '\0';
}

void
app_command_template_list(struct app_session *session)
{
	const struct app_authority *a = session->authority;
	char valid[16], chosen[APP_NDES_COUNT + 1], shown[SHOWN_COLUMN + 1];

	app_session_print(session, "%-*s  %-8s  %-6s  %-4s  %s\n", NAME_COLUMN, "NAME", "FROM", "VALID", "NDES", "");
	for (size_t i = 0; i < a->templates.count; i++) {
		const struct app_template_entry *entry = &a->templates.entries[i];
		const char *name = entry->template.name;

		if (!app_template_permits(&entry->template, &session->account, APP_RIGHT_READ))
			continue;
		validity_text(&entry->template, valid, sizeof(valid));
		chosen_text(a, entry, chosen);
		if (strlen(name) > NAME_COLUMN) {
			app_session_print(session, "%s\n", name);
			name = "";
		}
		app_session_print(session, "%-*s  %-8s  %-6s  %-4s  %s\n", NAME_COLUMN, name,
				  origin_name(entry->origin), valid, chosen,
				  app_command_plain(entry->template.display_name, shown, sizeof(shown)));
	}
	app_session_end(session, APP_EXIT_OK);
}

/* A field with its value as in the file. */
static void
print_field(struct app_session *session, const struct app_template *template, const char *label, const char *name)
{
	const struct app_field *field = app_template_field(name);
	AUTO_BUF words = {0};
	char plain[8 * APP_TEMPLATE_OIDS];

	buf_init(&words, sizeof(plain));
	if (field->kind == APP_FIELD_TEXT)
		buf_printf(&words, "%s", (const char *)template + field->offset);
	else
		field->give(template, &words);
	buf_put_u8(&words, '\0');
	if (buf_status(&words) == 0 && words.len > 1)
		app_session_print(session, "%-18s %s\n", label,
				  app_command_plain((const char *)words.data, plain, sizeof(plain)));
}

static void
print_times(struct app_session *session, const struct app_template *t)
{
	int64_t hours = (int64_t)t->validity_days * DAY_HOURS + t->validity_hours;
	int most = session->authority->conf->ca_max_validity_days;

	if (t->validity_days > 0)
		app_session_print(session, "%-18s %d days", "Validity", t->validity_days);
	else
		app_session_print(session, "%-18s %d hours", "Validity", t->validity_hours);
	if (hours > (int64_t)most * DAY_HOURS)
		app_session_print(session, ", cut to %d by ca.max_validity_days", most);
	if (t->renewal_days > 0)
		app_session_print(session, "\n%-18s in the last %d days", "Renewal", t->renewal_days);
	app_session_print(session, "\n");
}

static void
print_names(struct app_session *session, const struct app_template *t)
{
	app_session_print(session, "%-18s %s\n", "Subject",
			  t->from_template ? "that of the template alone" : "from the request");
	print_field(session, t, "  fixed", "subject_fixed");
	if (!t->from_template)
		print_field(session, t, "  allowed", "subject_rdns");
	print_field(session, t, "Other names", "san_types");
	print_field(session, t, "  required", "san_required");
	print_field(session, t, "  DNS below", "dns_suffixes");
	if (t->sid)
		app_session_print(session, "%-18s of a subjectAltName that the challenge is bound to\n", "SID");
}

static void
print_template(struct app_session *session, const struct app_template *t)
{
	char rights[APP_TEMPLATE_TEXT];

	app_session_print(session, "%-18s %s\n", "Template", t->name);
	print_field(session, t, "Display name", "display_name");
	app_session_print(session, "%-18s %d.%d, schema %d\n", "Version", t->major_version, t->minor_version,
			  t->schema_version);
	print_field(session, t, "OID", "oid");
	app_session_print(session, "%-18s %s%s%s\n", "Named by", t->name_extension ? "template name " : "",
			  t->information_extension ? "template information" : "",
			  t->name_extension || t->information_extension ? "" : "no extension");
	print_times(session, t);
	print_field(session, t, "Key usage", "key_usage");
	print_field(session, t, "Purposes", "extended_key_usage");
	print_field(session, t, "Policies", t->mirror_policies ? "extended_key_usage" : "application_policies");
	print_field(session, t, "Keys", "algorithms");
	if ((t->algorithms & APP_ALG_RSA) != 0)
		app_session_print(session, "%-18s %d to %d bits\n", "  RSA", t->rsa_bits_min, t->rsa_bits_max);
	print_names(session, t);
	print_field(session, t, "CRL at", "crl_url");
	print_field(session, t, "CA at", "ca_url");
	print_field(session, t, "OCSP at", "ocsp_url");
	app_session_print(session, "%-18s %s, by %d\n", "Approval",
			  app_template_needs_approval(t) ? "always" : "only of requests that wait for another reason",
			  t->approvals);
	app_session_print(session, "%-18s %s\n", "Publish", t->publish ? "yes; nothing does so yet" : "no");
	for (size_t i = 0; i < t->permission_count; i++)
		app_session_print(session, "%-18s %s %s: %s\n", i == 0 ? "Permissions" : "",
				  t->permissions[i].is_group ? "group" : "account", t->permissions[i].who,
				  app_template_rights_text(t->permissions[i].rights, rights, sizeof(rights)));
}

/* The template in the argument, with this right; what is wrong is answered.  One that is hidden is not there. */
static const struct app_template_entry *
find(struct app_session *session, enum app_right right)
{
	const struct app_template_entry *entry = app_templates_find(session->authority, session->argument);
	char plain[APP_TEMPLATE_NAME];

	if (entry != NULL && app_template_permits(&entry->template, &session->account, right))
		return entry;
	app_session_fail(session, APP_EXIT_FAILED, "There is no template %s; \"chancery template list\" shows all.",
			 app_command_plain(session->argument, plain, sizeof(plain)));
	return NULL;
}

void
app_command_template_show(struct app_session *session)
{
	const struct app_template_entry *entry = find(session, APP_RIGHT_READ);
	const char *setting;

	if (entry == NULL)
		return;
	if (session->given[SHOW_FILE]) {
		app_template_print(&entry->template, &session->out);
		app_session_end(session, APP_EXIT_OK);
		return;
	}
	setting = app_templates_used_by(session->authority, entry->template.name);
	print_template(session, &entry->template);
	app_session_print(session, "%-18s %s%s%s\n", "From", origin_name(entry->origin),
			  setting != NULL ? "; named by " : "", setting != NULL ? setting : "");
	app_session_end(session, APP_EXIT_OK);
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

/* Gathers the templates of a file that could be imported. */
static int
on_template(const struct app_template *template, unsigned line, void *arg, struct err *e)
{
	struct app_session *session = arg;
	struct job *job = session->own;
	struct app_template *more;
	struct err why = {0};

	if (app_templates_check_import(session->authority, template, &why) != 0)
		return err_set(e, ERR_CONFIG, 0, "%.100s:%u: name: %s", session->argument, line, why.text);
	more = reallocarray(job->templates, job->count + 1, sizeof(*more));
	if (more == NULL)
		return err_set(e, ERR_NOMEM, 0, "reading templates");
	job->templates = more;
	more[job->count++] = *template;
	return 0;
}

/* The file that came with the command, as a job; NULL when it is not good, which is answered. */
static struct job *
read_file(struct app_session *session)
{
	struct job *job = job_new(session);
	char *text = job != NULL ? calloc(1, session->file.len + 1) : NULL;
	struct err e = {0};
	int status = 0;

	if (job == NULL)
		return NULL;
	if (text == NULL)
		status = err_set(&e, ERR_NOMEM, 0, "reading templates");
	else if (session->file.len > APP_TEMPLATE_FILE_MAX)
		status = err_set(&e, ERR_LIMIT, 0, "the file has more than %d bytes", APP_TEMPLATE_FILE_MAX);
	else if (session->file.len > 0)
		memcpy(text, session->file.data, session->file.len);
	if (status == 0 && text != NULL && strlen(text) != session->file.len)
		status = err_set(&e, ERR_CONFIG, 0, "the file has NUL bytes; it must be text");
	if (status == 0)
		status = app_template_parse(text, session->argument, on_template, session, &e);
	free(text);
	if (status == 0)
		return job;
	job_fail(session, status, &e);
	return NULL;
}

void
app_command_template_check(struct app_session *session)
{
	struct job *job = read_file(session);

	if (job == NULL)
		return;
	for (size_t i = 0; i < job->count; i++) {
		const char *name = job->templates[i].name;
		bool is_there = app_templates_find(session->authority, name) != NULL;

		print_template(session, &job->templates[i]);
		app_session_print(session, "%-18s %s\n%s", "Import",
				  is_there ? "would replace the one of this name" : "would be new",
				  i + 1 < job->count ? "\n" : "");
	}
	job_free(TAKE(session->own));
	app_session_end(session, APP_EXIT_OK);
}

/* Begins a change of the template of this name with what job->text holds; false when the store does not take it. */
static bool
change(struct app_session *session, enum app_store_op op, const char *name, app_store_done_fn done)
{
	struct app_store_request *request = &session->request;
	struct job *job = session->own;
	struct err e = {0};
	int status;

	memset(request, 0, sizeof(*request));
	buf_put_u8(&job->text, '\0');
	request->op = op;
	request->done = done;
	request->arg = session;
	request->der = buf_bytes(&job->text);
	snprintf(request->template_name, sizeof(request->template_name), "%s", name);
	snprintf(request->actor, sizeof(request->actor), "%s", session->actor);
	if (op == APP_STORE_TEMPLATE_PERMIT)
		snprintf(request->text, sizeof(request->text), "%s %.80s: %.100s",
			 session->given[PERMIT_GROUP] ? "group" : "account",
			 session->text[session->given[PERMIT_GROUP] ? PERMIT_GROUP : PERMIT_ACCOUNT],
			 session->text[PERMIT_RIGHTS]);
	status = buf_status(&job->text);
	if (status == 0)
		status =
			session->authority->closing ? ERR_CLOSED : app_store_submit(session->authority->store, request);
	if (status != 0)
		job_fail(session, status, &e);
	return status == 0;
}

/* What is committed takes effect; a failure here is one of memory. */
static void
note(struct app_session *session, const char *name, const char *what, int status, const struct err *e)
{
	if (status != 0)
		log_event(FAILURE, "using a changed template", err_name(status), e->detail, log_text(e->text));
	else
		log_event(TEMPLATE_CHANGED, log_text(name), what, session->actor);
}

static void import_next(struct app_session *session);

static void
on_imported(struct app_store_request *request, void *arg)
{
	struct app_session *session = arg;
	struct job *job = session->own;
	const struct app_template *template = &job->templates[job->next];
	struct err e = request->e;
	int status = request->code;

	app_store_request_fini(request);
	if (status == 0) {
		status = app_templates_put(session->authority, template, &e);
		note(session, template->name, "imported", status, &e);
	}
	if (status != 0) {
		job_fail(session, status, &e);
		return;
	}
	app_session_print(session, "Imported %s.\n", template->name);
	job->next++;
	import_next(session);
}

static void
import_next(struct app_session *session)
{
	struct job *job = session->own;

	if (job->next == job->count) {
		job_free(TAKE(session->own));
		app_session_end(session, APP_EXIT_OK);
		return;
	}
	buf_clear(&job->text);
	app_template_print(&job->templates[job->next], &job->text);
	(void)!change(session, APP_STORE_TEMPLATE_PUT, job->templates[job->next].name, on_imported);
}

void
app_command_template_import(struct app_session *session)
{
	if (read_file(session) != NULL)
		import_next(session);
}

/* ---- changing ---------------------------------------------------------------------------------------------------- */

static void
on_removed(struct app_store_request *request, void *arg)
{
	struct app_session *session = arg;
	struct err e = request->e;
	int status = request->code;

	app_store_request_fini(request);
	if (status == 0) {
		status = app_templates_remove(session->authority, session->argument, &e);
		note(session, session->argument, "removed", status, &e);
	}
	if (status != 0) {
		job_fail(session, status, &e);
		return;
	}
	job_free(TAKE(session->own));
	app_session_print(session, "Removed; certificates of it stay what they are.\n");
	app_session_end(session, APP_EXIT_OK);
}

void
app_command_template_remove(struct app_session *session)
{
	const struct app_template_entry *entry = find(session, APP_RIGHT_READ);
	const char *setting;

	if (entry == NULL)
		return;
	setting = app_templates_used_by(session->authority, entry->template.name);
	if (entry->origin != APP_TEMPLATE_IMPORTED) {
		app_session_fail(session, APP_EXIT_FAILED, "%s was not imported and cannot be removed.",
				 entry->template.name);
	} else if (setting != NULL) {
		app_session_fail(session, APP_EXIT_FAILED, "%s is in use: %s of chancery.conf names it.",
				 entry->template.name, setting);
	} else if (job_new(session) != NULL) {
		(void)!change(session, APP_STORE_TEMPLATE_REMOVE, entry->template.name, on_removed);
	}
}

static void
on_permitted(struct app_store_request *request, void *arg)
{
	struct app_session *session = arg;
	struct job *job = session->own;
	struct err e = request->e;
	int status = request->code;

	app_store_request_fini(request);
	if (status == 0) {
		status = app_templates_set_permissions(session->authority, job->templates, &e);
		note(session, job->templates[0].name, "permissions", status, &e);
	}
	if (status != 0) {
		job_fail(session, status, &e);
		return;
	}
	app_template_permissions_print(job->templates, &session->out);
	job_free(TAKE(session->own));
	app_session_end(session, APP_EXIT_OK);
}

/* Reads who and which rights; answers what is wrong with them. */
static int
read_permission(struct app_session *session, unsigned *ret_rights)
{
	const char *who = session->text[session->given[PERMIT_GROUP] ? PERMIT_GROUP : PERMIT_ACCOUNT];
	struct err e = {0};

	if (session->given[PERMIT_GROUP] == session->given[PERMIT_ACCOUNT] || !session->given[PERMIT_RIGHTS])
		(void)err_set(&e, ERR_CONFIG, 0, "one of --group and --account is needed, and --rights");
	else if (!app_template_is_name(who) || strlen(who) >= APP_ACCOUNT_SIZE)
		(void)err_set(&e, ERR_CONFIG, 0, "a name is letters, digits, \"-\", \"_\" or \".\"");
	else if (strcmp(session->text[PERMIT_RIGHTS], "none") == 0)
		*ret_rights = 0;
	else if (app_template_rights_parse(session->text[PERMIT_RIGHTS], ret_rights, &e) == 0 && *ret_rights == 0)
		(void)err_set(&e, ERR_CONFIG, 0, "--rights: read, enroll, autoenroll, full-control, or none");
	if (e.code != 0)
		app_session_fail(session, APP_EXIT_USAGE, "%s.", e.text);
	return e.code;
}

void
app_command_template_permit(struct app_session *session)
{
	const struct app_template_entry *entry = find(session, APP_RIGHT_READ);
	bool is_group = session->given[PERMIT_GROUP];
	const char *who = session->text[is_group ? PERMIT_GROUP : PERMIT_ACCOUNT];
	unsigned rights = 0;
	struct err e = {0};
	struct job *job;

	if (entry == NULL || read_permission(session, &rights) != 0)
		return;
	job = job_new(session);
	if (job == NULL)
		return;
	job->templates = malloc(sizeof(*job->templates));
	if (job->templates == NULL) {
		job_fail(session, ERR_NOMEM, &e);
		return;
	}
	job->templates[0] = entry->template;
	if (app_template_permit(job->templates, is_group, who, rights) != 0) {
		err_set(&e, ERR_LIMIT, 0, "a template has at most %d permissions", APP_PERMISSIONS_MAX);
		job_fail(session, ERR_LIMIT, &e);
		return;
	}
	app_template_permissions_print(job->templates, &job->text);
	(void)!change(session, APP_STORE_TEMPLATE_PERMIT, entry->template.name, on_permitted);
}
