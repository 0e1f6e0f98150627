/*
 * The commands about policy modules: who is asked whether a request may be issued.
 */
#include <stdio.h>
#include <string.h>

#include "appliance/command.h"
#include "appliance/store_policy.h"
#include "board/base/clock.h"
#include "board/base/log.h"
#include "board/base/x509.h"

enum { ROOTS_LIMIT = 65536 };

/* Options of "policy-module install", in the order of the table of commands. */
enum { KIND, URL, ROOT, DEADLINE, UNAVAILABLE, TENANT, CLIENT, DIRECTORY };

#define APPLICATION     "/CMCertificateRegistration"
#define INTUNE_LOGIN    "https://login.microsoftonline.com"
#define INTUNE_SERVICES "https://graph.microsoft.com"
#define INTUNE_SCOPE    "https://api.manage.microsoft.com//.default"

/* A module on its way into the store. */
struct job {
	struct app_policy_row row;
	struct buf roots;
	struct secret *secret;
};

static void
job_free(struct job *job)
{
	if (job == NULL)
		return;
	buf_fini(&job->roots);
	secret_free(job->secret);
	free(job);
}

static void
fail(struct app_session *session, int code, const struct err *e)
{
	char plain[ERR_TEXT_SIZE];

	job_free(TAKE(session->own));
	app_session_fail(session, APP_EXIT_FAILED, "%s.",
			 e->text[0] != '\0' ? app_command_plain(e->text, plain, sizeof(plain)) : err_name(code));
}

/* ---- install ----------------------------------------------------------------------------------------------------- */

static bool
is_name(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len < sizeof(((struct msg_policy_module *)NULL)->name) &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len && name[0] != '-';
}

/* https://HOST[:PORT][/PATH], with no more in it; the path of a registration point may be left out. */
static int
take_url(const char *text, const char *path, char *out, size_t size, struct err *e)
{
	static const char scheme[] = "https://";
	const char *host = text + strlen(scheme);
	size_t len = strlen(text);

	if (strncmp(text, scheme, strlen(scheme)) != 0 || *host == '\0' || *host == '/')
		return err_set(e, ERR_CONFIG, 0, "--url: https://HOST[:PORT]%s is wanted", path);
	for (const char *s = host; *s != '\0'; s++)
		if (*s <= ' ' || *s >= 0x7f || strchr("@?#\"\\<>", *s) != NULL)
			return err_set(e, ERR_CONFIG, 0, "--url: no user, question mark or blank may be in it");
	while (len > strlen(scheme) + 1 && text[len - 1] == '/')
		len--;
	if (strchr(host, '/') != NULL && strchr(host, '/') < text + len)
		path = "";
	if (len + strlen(path) >= size)
		return err_set(e, ERR_CONFIG, 0, "--url is too long");
	snprintf(out, size, "%.*s%s", (int)len, text, path);
	return 0;
}

/* The certificates of the file that came along; session->file lives no longer than the handler runs. */
static int
take_certificates(struct app_session *session, struct buf *out, struct msg_list *ret_list, struct err *e)
{
	struct view pem = view_of(session->file);
	struct x509 certificate;
	struct bytes der;
	int code;

	while ((code = x509_pem_next(&pem, "CERTIFICATE", &der, NULL)) == 0) {
		code = x509_parse(der, &certificate, NULL);
		buf_put_raw(out, der.data, der.len);
		free((void *)(uintptr_t)der.data);
		if (code != 0)
			break;
	}
	if (code != ERR_UNKNOWN || buf_status(out) != 0 || out->len == 0)
		return err_set(e, ERR_FORMAT, 0, "the file holds no certificate in PEM, or one that is malformed");
	if (app_store_policy_split(buf_bytes(out), ret_list) != 0)
		return err_set(e, ERR_LIMIT, 0, "the file holds more than 8 certificates");
	return 0;
}

static int
take_intune(struct app_session *session, struct job *job, struct err *e)
{
	struct msg_policy_module *m = &job->row.is;
	const char *directory = session->given[DIRECTORY] ? session->text[DIRECTORY] : INTUNE_SERVICES;

	if (!session->given[TENANT] || !session->given[CLIENT] || session->password == NULL)
		return err_set(e, ERR_CONFIG, 0, "--tenant, --client and --secret-file are needed for intune");
	if (strlen(session->text[TENANT]) >= sizeof(m->tenant) || strlen(session->text[CLIENT]) >= sizeof(m->client))
		return err_set(e, ERR_CONFIG, 0, "--tenant or --client is too long");
	snprintf(m->tenant, sizeof(m->tenant), "%s", session->text[TENANT]);
	snprintf(m->client, sizeof(m->client), "%s", session->text[CLIENT]);
	snprintf(m->scope, sizeof(m->scope), "%s", INTUNE_SCOPE);
	job->secret = TAKE(session->password);
	m->secret = secret_bytes(job->secret);
	return take_url(directory, "", m->directory, sizeof(m->directory), e);
}

/* Fills the job with what the command says. */
static int
take_words(struct app_session *session, struct job *job, struct err *e)
{
	struct msg_policy_module *m = &job->row.is;
	const char *kind = session->given[KIND] ? session->text[KIND] : "registration-point";
	const char *unavailable = session->given[UNAVAILABLE] ? session->text[UNAVAILABLE] : "retry";
	const char *url = session->text[URL];
	bool is_intune;
	int code;

	m->kind = (uint8_t)app_policy_kind_parse(kind);
	is_intune = m->kind == POLICY_INTUNE;
	if (!is_name(session->argument))
		return err_set(e, ERR_CONFIG, 0, "a name is 1 to 39 small letters, digits and \"-\"");
	if (m->kind == POLICY_NONE)
		return err_set(e, ERR_CONFIG, 0, "--kind: registration-point or intune");
	if (strcmp(unavailable, "retry") != 0 && strcmp(unavailable, "refuse") != 0)
		return err_set(e, ERR_CONFIG, 0, "--unavailable: retry or refuse");
	if (!session->given[ROOT] || (!session->given[URL] && !is_intune))
		return err_set(e, ERR_CONFIG, 0, "--url and --root are needed (intune: --root)");
	if (is_intune && !session->given[URL])
		url = INTUNE_LOGIN;
	snprintf(m->name, sizeof(m->name), "%s", session->argument);
	m->deadline_ms = (uint32_t)session->number[DEADLINE];
	job->row.refuse = strcmp(unavailable, "refuse") == 0;
	code = take_url(url, is_intune ? "" : APPLICATION, m->url, sizeof(m->url), e);
	if (code == 0)
		code = take_certificates(session, &job->roots, &m->root, e);
	if (code == 0 && is_intune)
		code = take_intune(session, job, e);
	return code;
}

static void
on_installed(struct app_store_request *request, void *arg)
{
	struct app_session *session = arg;
	struct job *job = session->own;
	struct err e = request->e;
	int code = request->code;

	app_store_request_fini(request);
	if (code == 0)
		code = app_policy_use(session->authority, &job->row, &e);
	if (code != 0) {
		fail(session, code, &e);
		return;
	}
	/* It may be the first that needs a certificate. */
	app_internal_check(session->authority);
	log_event(POLICY_CHANGED, job->row.is.name, "installed", session->actor);
	app_session_print(session, "Installed %s: %s\n", job->row.is.name, job->row.is.url);
	app_session_print(session,
			  "\"chancery policy-module test %s\" asks whether it is there; requests go to it "
			  "where policy.module or a profile's policy_module names it.\n",
			  job->row.is.name);
	job_free(TAKE(session->own));
	app_session_end(session, APP_EXIT_OK);
}

/* Is there room for one more of this name? */
static bool
has_room(struct app_authority *a, const char *name)
{
	for (size_t i = 0; i < APP_POLICY_MODULES; i++)
		if (a->policy.modules[i] == NULL)
			return true;
	return app_policy_find(a, name) != NULL;
}

/* Begins a change in the store; what is wrong is answered. */
static void
submit(struct app_session *session, enum app_store_op op, app_store_done_fn done)
{
	struct app_store_request *request = &session->request;
	struct job *job = session->own;
	struct err e = {0};
	int code;

	memset(request, 0, sizeof(*request));
	request->op = op;
	request->done = done;
	request->arg = session;
	request->policy = &job->row;
	request->der = op == APP_STORE_POLICY_CHAIN ? buf_bytes(&job->roots) : (struct bytes){NULL, 0};
	snprintf(request->template_name, sizeof(request->template_name), "%s", job->row.is.name);
	snprintf(request->actor, sizeof(request->actor), "%s", session->actor);
	code = session->authority->closing ? ERR_CLOSED : app_store_submit(session->authority->store, request);
	if (code != 0)
		fail(session, code, &e);
}

static struct job *
job_new(struct app_session *session)
{
	struct job *job = calloc(1, sizeof(*job));

	if (job == NULL) {
		app_session_fail(session, APP_EXIT_FAILED, "There is no memory.");
		return NULL;
	}
	buf_init(&job->roots, ROOTS_LIMIT);
	session->own = job;
	return job;
}

void
app_command_policy_install(struct app_session *session)
{
	struct job *job = job_new(session);
	struct err e = {0};
	int code;

	if (job == NULL)
		return;
	code = take_words(session, job, &e);
	if (code == 0 && !has_room(session->authority, session->argument))
		code = err_set(&e, ERR_LIMIT, 0, "there are %d policy modules already", APP_POLICY_MODULES);
	if (code != 0)
		fail(session, code, &e);
	else
		submit(session, APP_STORE_POLICY_PUT, on_installed);
}

/* ---- the policy key's certificate -------------------------------------------------------------------------------- */

static void
on_request(int code, struct bytes der, const char *text, void *arg)
{
	struct app_session *session = arg;

	if (code != 0) {
		app_session_fail(session, APP_EXIT_FAILED, "There is no request: %s.", text);
		return;
	}
	app_command_print_pem(session, "CERTIFICATE REQUEST", der);
	app_session_end(session, APP_EXIT_OK);
}

void
app_command_policy_request(struct app_session *session)
{
	int code = app_policy_csr(session->authority, on_request, session);

	if (code != 0)
		app_session_fail(session, APP_EXIT_FAILED, "The signer cannot be asked: %s.", err_name(code));
}

static void
on_chain_stored(struct app_store_request *request, void *arg)
{
	struct app_session *session = arg;
	struct job *job = session->own;
	struct msg_list chain = {.count = 0};
	bool is_foreign = job->roots.len > 0;
	struct err e = request->e;
	int code = request->code;

	app_store_request_fini(request);
	if (code == 0)
		code = app_store_policy_split(buf_bytes(&job->roots), &chain);
	if (code == 0)
		code = app_policy_chain(session->authority, &chain, is_foreign, &e);
	if (code != 0) {
		fail(session, code, &e);
		return;
	}
	log_event(POLICY_CHANGED, "-", is_foreign ? "certificate from elsewhere" : "certificate of the own CA",
		  session->actor);
	/* Without one the own CA makes it. */
	app_internal_check(session->authority);
	job_free(TAKE(session->own));
	app_session_print(session, is_foreign ? "It is used from now on; nobody renews it but you.\n"
					      : "The own CA makes it, and renews it.\n");
	app_session_end(session, APP_EXIT_OK);
}

/* The first certificate must be for the token's key, and hold now. */
static void
on_own_key(int code, struct bytes spki, const char *text, void *arg)
{
	struct app_session *session = arg;
	struct job *job = session->own;
	int64_t now = clock_wall();
	struct x509 certificate;
	struct msg_list chain;
	struct err e = {0};

	if (code != 0)
		(void)err_set(&e, code, 0, "the policy key cannot be read: %.100s", text);
	if (code == 0)
		code = app_store_policy_split(buf_bytes(&job->roots), &chain);
	if (code == 0)
		code = x509_parse(chain.item[0], &certificate, &e);
	if (code == 0 && !bytes_equal(certificate.tbs.spki, spki))
		code = err_set(&e, ERR_CONFIG, 0, "the first certificate of the file is not for the policy key");
	if (code == 0 && (now < certificate.tbs.not_before || now >= certificate.tbs.not_after))
		code = err_set(&e, ERR_CONFIG, 0, "the certificate has ended, or not begun");
	if (code != 0)
		fail(session, code, &e);
	else
		submit(session, APP_STORE_POLICY_CHAIN, on_chain_stored);
}

void
app_command_policy_certificate(struct app_session *session)
{
	struct job *job;
	struct msg_list chain;
	struct err e = {0};
	int code;

	if (session->given[0] == (session->argument[0] != '\0')) {
		app_session_fail(session, APP_EXIT_USAGE, "FILE or --own is wanted.");
		return;
	}
	job = job_new(session);
	if (job == NULL)
		return;
	if (session->given[0]) {
		submit(session, APP_STORE_POLICY_CHAIN, on_chain_stored);
		return;
	}
	code = take_certificates(session, &job->roots, &chain, &e);
	if (code == 0)
		code = app_policy_key(session->authority, on_own_key, session);
	if (code != 0)
		fail(session, code, &e);
}

/* ---- uninstall --------------------------------------------------------------------------------------------------- */

/* The setting that names this module; NULL when none does. */
static const char *
used_by(const struct app_authority *a, const char *name, char *out, size_t size)
{
	if (strcmp(a->conf->policy_module, name) == 0)
		return "policy.module";
	for (int i = 0; i < a->conf->profile_count; i++) {
		if (strcmp(a->conf->profiles[i].policy_module, name) != 0)
			continue;
		snprintf(out, size, "profiles[%d].policy_module", i);
		return out;
	}
	return NULL;
}

static void
on_uninstalled(struct app_store_request *request, void *arg)
{
	struct app_session *session = arg;
	struct err e = request->e;
	int code = request->code;

	app_store_request_fini(request);
	if (code != 0) {
		fail(session, code, &e);
		return;
	}
	app_policy_remove(session->authority, session->argument);
	log_event(POLICY_CHANGED, session->argument, "uninstalled", session->actor);
	job_free(TAKE(session->own));
	app_session_print(session, "Uninstalled %s.\n", session->argument);
	app_session_end(session, APP_EXIT_OK);
}

static struct app_policy_module *
find(struct app_session *session)
{
	struct app_policy_module *module = app_policy_find(session->authority, session->argument);
	char plain[64];

	if (module == NULL)
		app_session_fail(session, APP_EXIT_FAILED,
				 "There is no policy module %s; \"chancery policy-module list\" shows all.",
				 app_command_plain(session->argument, plain, sizeof(plain)));
	return module;
}

void
app_command_policy_uninstall(struct app_session *session)
{
	char name[40];
	const char *setting = used_by(session->authority, session->argument, name, sizeof(name));
	struct job *job;

	if (find(session) == NULL)
		return;
	if (setting != NULL) {
		app_session_fail(session, APP_EXIT_FAILED, "%s is in use: %s of chancery.conf names it.",
				 session->argument, setting);
		return;
	}
	job = job_new(session);
	if (job == NULL)
		return;
	snprintf(job->row.is.name, sizeof(job->row.is.name), "%.39s", session->argument);
	submit(session, APP_STORE_POLICY_REMOVE, on_uninstalled);
}

/* ---- looking ----------------------------------------------------------------------------------------------------- */

void
app_command_policy_list(struct app_session *session)
{
	const struct app_authority *a = session->authority;
	char setting[40];

	for (size_t i = 0; i < APP_POLICY_MODULES; i++) {
		const struct app_policy_module *module = a->policy.modules[i];
		const struct msg_policy_module *is;
		const char *use;

		if (module == NULL)
			continue;
		is = app_policy_is(module);
		use = used_by(a, is->name, setting, sizeof(setting));
		app_session_print(session, "%-16s  %-18s  %s\n", is->name, app_policy_kind_name(is->kind), is->url);
		app_session_print(session, "%-16s  deadline %u ms, then %s; %s\n", "", is->deadline_ms,
				  app_policy_refuses(module) ? "refused" : "to be repeated",
				  use != NULL ? use : "no setting names it");
	}
	app_session_end(session, APP_EXIT_OK);
}

void
app_command_policy_print(struct app_session *session, const struct app_policy_module *module)
{
	const struct app_policy_health *health = app_policy_health(module);
	const char *state = health->last_error[0] != '\0' ? "not reached" : "ok";
	char plain[64];

	if (health->rests_until != 0)
		state = "not asked: rests";
	app_session_print(session, " %-12s %s: %s; %llu granted, %llu refused, %llu not asked\n", "Policy",
			  app_policy_name(module), state, (unsigned long long)health->granted,
			  (unsigned long long)health->refused, (unsigned long long)health->unavailable);
	if (health->last_error[0] != '\0')
		app_session_print(session, " %-12s %s\n", "",
				  app_command_plain(health->last_error, plain, sizeof(plain)));
}

/* What registration points are shown. */
static void
print_certificate(struct app_session *session)
{
	const struct app_policy *policy = &session->authority->policy;
	char when[24], span[32], name[256], plain[64];
	struct x509 certificate;

	if (policy->chain.count == 0 || x509_parse(policy->chain.item[0], &certificate, NULL) != 0) {
		if (app_policy_wants_certificate(session->authority))
			app_session_print(session, " %-12s none yet\n", "Certificate");
		return;
	}
	app_session_print(
		session, " %-12s %s\n", "Certificate",
		app_command_plain(x509_name_text(certificate.tbs.subject, name, sizeof(name)), plain, sizeof(plain)));
	app_session_print(session, " %-12s ends %.10s, in %s; %s\n", "",
			  clock_text(certificate.tbs.not_after, when, sizeof(when)),
			  app_command_span(certificate.tbs.not_after - clock_wall(), span, sizeof(span)),
			  policy->chain_is_foreign ? "made elsewhere: renew it in time" : "renewed by itself");
}

void
app_command_policy_status(struct app_session *session)
{
	const struct app_authority *a = session->authority;
	bool all_good = a->policy.courier != NULL;

	if (a->policy.courier == NULL)
		app_session_print(session, "The courier is away; nothing outside can be asked.\n");
	for (size_t i = 0; i < APP_POLICY_MODULES; i++) {
		if (a->policy.modules[i] == NULL)
			continue;
		app_command_policy_print(session, a->policy.modules[i]);
		all_good = all_good && app_policy_health(a->policy.modules[i])->last_error[0] == '\0';
	}
	print_certificate(session);
	app_session_end(session, all_good ? APP_EXIT_OK : APP_EXIT_FAILED);
}

static void
on_tested(const struct app_policy_answer *answer, void *arg)
{
	struct app_session *session = arg;
	char plain[ERR_TEXT_SIZE];

	if (answer->code != 0) {
		app_session_fail(session, APP_EXIT_FAILED, "%s cannot be asked: %s.", session->argument,
				 app_command_plain(answer->text, plain, sizeof(plain)));
		return;
	}
	app_session_print(session, "%s is there, is the one that we trust, and trusts us.\n", session->argument);
	app_session_end(session, APP_EXIT_OK);
}

void
app_command_policy_test(struct app_session *session)
{
	struct app_policy_module *module = find(session);
	int code;

	if (module == NULL)
		return;
	code = app_policy_probe(module, on_tested, session);
	if (code != 0)
		app_session_fail(session, APP_EXIT_FAILED, "%s cannot be asked: %s.", session->argument,
				 code == ERR_CLOSED ? "the courier is away" : err_name(code));
}
