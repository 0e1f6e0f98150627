/*
 * The commands about registration points.
 */
#include <stdio.h>
#include <string.h>

#include "appliance/command.h"
#include "appliance/regroot.h"
#include "board/base/log.h"

/* Options in the order of the table of commands. */
enum { INSTALL_APPLICATION };
enum { TRUST_NDES, TRUST_ROOT, TRUST_THUMBPRINT };

/* ---- install ----------------------------------------------------------------------------------------------------- */

/* One step for whoever watches, and for the log. */
static void
say(struct app_session *session, const char *step)
{
	log_event(REGISTRATION_SETUP, log_text(session->argument), log_text(step));
	app_session_print(session, "%s: %s\n", session->argument, step);
}

static void
give_up(struct app_session *session, int code, const char *text)
{
	char plain[ERR_TEXT_SIZE];

	log_event(REGISTRATION_SETUP, log_text(session->argument), log_text(text));
	log_event(REGISTRATION_SETUP, log_text(session->argument), log_text("exit code 1"));
	app_session_fail(session, APP_EXIT_FAILED, "%s.\nexit code 1",
			 text[0] != '\0' ? app_command_plain(text, plain, sizeof(plain)) : err_name(code));
}

static const char *
application_of(const struct app_session *session)
{
	return session->given[INSTALL_APPLICATION] ? session->text[INSTALL_APPLICATION] : APP_REGPOINT_STANDARD;
}

static void
on_installed(struct app_store_request *request, void *arg)
{
	struct app_session *session = arg;
	struct err e = request->e;
	int code = request->code;

	app_store_request_fini(request);
	if (code == 0)
		code = app_regpoints_add(session->authority, session->argument, application_of(session), &e);
	if (code != 0) {
		give_up(session, code, e.text);
		return;
	}
	say(session, "installed");
	say(session, "exit code 0");
	app_session_end(session, APP_EXIT_OK);
}

/* Queues the change of what the command names; text is an application or a URL. */
static void
change(struct app_session *session, enum app_store_op op, const char *text, app_store_done_fn done)
{
	struct app_store_request *request = &session->request;
	struct app_authority *a = session->authority;
	int status = ERR_CLOSED;

	request->op = op;
	request->done = done;
	request->arg = session;
	snprintf(request->template_name, sizeof(request->template_name), "%.39s", session->argument);
	snprintf(request->text, sizeof(request->text), "%s", text);
	snprintf(request->actor, sizeof(request->actor), "%s", session->actor);
	/* A name that had to be cut is nobody's. */
	if (strlen(session->argument) >= APP_REGPOINT_NAME)
		status = ERR_UNKNOWN;
	else if (!a->closing)
		status = app_store_submit(a->store, request);
	if (status == 0)
		return;
	free(TAKE(session->own));
	if (status == ERR_UNKNOWN)
		app_session_fail(session, APP_EXIT_FAILED, "There is no such registration point.");
	else
		app_session_fail(session, APP_EXIT_FAILED, "The store is busy (%s); try again.", err_name(status));
}

static void
on_root(int code, const char *text, void *arg)
{
	struct app_session *session = arg;
	char path[sizeof(session->authority->conf->paths_state) + 32], step[sizeof(path) + 32];
	struct err e = {0};

	if (code == 0) {
		say(session, "root is there");
		code = app_regroot_export(session->authority, path, sizeof(path), &e);
		text = e.text;
	}
	if (code != 0) {
		give_up(session, code, text);
		return;
	}
	snprintf(step, sizeof(step), "root exported to %s", path);
	say(session, step);
	change(session, APP_STORE_POINT_ADD, application_of(session), on_installed);
}

void
app_command_point_install(struct app_session *session)
{
	struct app_authority *a = session->authority;
	int code;

	if (!app_regpoint_is_name(session->argument, APP_REGPOINT_NAME) ||
	    !app_regpoint_is_name(application_of(session), APP_REGPOINT_APPLICATION)) {
		app_session_fail(session, APP_EXIT_USAGE,
				 "Names have letters, digits, \"-\", \"_\" and \".\", and fewer than %d of them.",
				 APP_REGPOINT_NAME);
		return;
	}
	if (app_regpoint_find(a, session->argument) != NULL || app_regpoint_at(a, application_of(session)) != NULL) {
		app_session_fail(session, APP_EXIT_FAILED,
				 "There is a registration point of that name or application.");
		return;
	}
	say(session, "begins");
	if (a->conf->front_registration_https[0] == '\0')
		say(session, "front.registration_https is empty: set it and start chanceryd again to serve it");
	code = app_regroot_make(a, session->actor, on_root, session);
	if (code != 0)
		give_up(session, code, "The signer is away");
}

/* ---- list, export, remove ---------------------------------------------------------------------------------------- */

static void
list_trust(struct app_session *session, const struct app_regtrust *trust)
{
	char name[256], plain[256];
	struct x509 root;

	app_session_print(session, "  trusts %s\n", app_command_plain(trust->url, plain, sizeof(plain)));
	if (x509_parse(trust->root, &root, NULL) == 0)
		app_session_print(
			session, "    below %s\n",
			app_command_plain(x509_name_text(root.tbs.subject, name, sizeof(name)), plain, sizeof(plain)));
	if (trust->pinned) {
		app_session_print(session, "    with the certificate ");
		for (size_t i = 0; i < sizeof(trust->thumbprint); i++)
			app_session_print(session, "%02x", trust->thumbprint[i]);
		app_session_print(session, "\n");
	}
}

void
app_command_point_list(struct app_session *session)
{
	const struct app_regpoints *points = &session->authority->points;

	for (size_t i = 0; i < points->count; i++) {
		const struct app_regpoint *point = points->points[i];

		app_session_print(session, "%s at /%s\n", point->name, point->application);
		for (size_t k = 0; k < point->trust_count; k++)
			list_trust(session, &point->trusts[k]);
	}
	if (points->count == 0)
		app_session_print(session, "There is no registration point.\n");
	app_session_end(session, APP_EXIT_OK);
}

void
app_command_point_export(struct app_session *session)
{
	const struct app_regpoints *points = &session->authority->points;

	if (points->root.len == 0) {
		app_session_fail(session, APP_EXIT_FAILED,
				 "There is no root; \"registration-point install\" makes it.");
		return;
	}
	app_command_print_pem(session, "CERTIFICATE", points->root);
	app_session_end(session, APP_EXIT_OK);
}

/* A change failed; session is answered. */
static bool
failed(struct app_session *session, int code, const struct err *e)
{
	char plain[ERR_TEXT_SIZE];

	if (code != 0)
		app_session_fail(session, APP_EXIT_FAILED, "%s.",
				 e->text[0] != '\0' ? app_command_plain(e->text, plain, sizeof(plain))
						    : err_name(code));
	return code != 0;
}

static void
on_removed(struct app_store_request *request, void *arg)
{
	struct app_session *session = arg;
	struct err e = request->e;
	int code = request->code;

	app_store_request_fini(request);
	if (failed(session, code, &e))
		return;
	app_regpoints_remove(session->authority, session->argument);
	app_session_print(session, "Removed.\n");
	app_session_end(session, APP_EXIT_OK);
}

void
app_command_point_remove(struct app_session *session)
{
	change(session, APP_STORE_POINT_REMOVE, "", on_removed);
}

/* ---- trust ------------------------------------------------------------------------------------------------------- */

static void
on_trusted(struct app_store_request *request, void *arg)
{
	struct app_session *session = arg;
	struct bytes thumbprint = {request->tbs_hash, request->has_challenge ? APP_HASH_SIZE : 0};
	struct bytes root = request->der;
	struct err e = request->e;
	int code = request->code;

	if (code == 0)
		code = app_regpoints_trust(session->authority, session->argument, session->text[TRUST_NDES], root,
					   thumbprint, &e);
	app_store_request_fini(request);
	free(TAKE(session->own));
	if (failed(session, code, &e))
		return;
	app_session_print(session, "%s trusts %s now.\n", session->argument, request->text);
	app_session_end(session, APP_EXIT_OK);
}

/* The only certificate of the file, which must be one that may sign others. */
static int
read_root(const struct app_session *session, struct bytes *ret_root, struct err *e)
{
	struct view pem = view_of(session->file);
	struct app_issuer issuer;
	struct bytes more;
	int code = x509_pem_next(&pem, "CERTIFICATE", ret_root, e);

	if (code != 0)
		return err_set(e, code, 0, "the file has no certificate in PEM");
	if (x509_pem_next(&pem, "CERTIFICATE", &more, NULL) == 0) {
		free((void *)more.data);
		code = err_set(e, ERR_FORMAT, 0, "the file has more than one certificate; the root alone is wanted");
	}
	if (code == 0)
		code = app_issuer_init(*ret_root, &issuer, e);
	if (code == 0 && !bytes_equal(issuer.cert.tbs.issuer, issuer.cert.tbs.subject))
		code = err_set(e, ERR_FORMAT, 0, "the certificate is not self-signed: the root is wanted");
	if (code != 0)
		free((void *)ret_root->data);
	return code;
}

/* 64 hexadecimal digits in either case; colons and blanks do not count. */
static int
read_thumbprint(const char *text, uint8_t out[APP_HASH_SIZE])
{
	size_t digits = 0;

	for (; *text != '\0'; text++) {
		int digit = bytes_hex_digit(*text);

		if (*text == ':' || *text == ' ')
			continue;
		if (digit < 0 || digits == 2 * (size_t)APP_HASH_SIZE)
			return ERR_FORMAT;
		out[digits / 2] = (uint8_t)(digits % 2 == 0 ? digit << 4 : out[digits / 2] | digit);
		digits++;
	}
	return digits == 2 * (size_t)APP_HASH_SIZE ? 0 : ERR_FORMAT;
}

void
app_command_point_trust(struct app_session *session)
{
	struct app_store_request *request = &session->request;
	const struct app_regpoint *point = app_regpoint_find(session->authority, session->argument);
	struct bytes root = {NULL, 0};
	struct err e = {0};

	if (!session->given[TRUST_NDES] || !session->given[TRUST_ROOT]) {
		app_session_fail(session, APP_EXIT_USAGE, "--ndes URL and --root FILE are wanted.");
		return;
	}
	if (session->given[TRUST_THUMBPRINT] &&
	    read_thumbprint(session->text[TRUST_THUMBPRINT], request->tbs_hash) != 0) {
		app_session_fail(session, APP_EXIT_USAGE, "--thumbprint is a SHA-256 in 64 hexadecimal digits.");
		return;
	}
	if (point != NULL && point->trust_count == APP_REGPOINT_TRUSTS_MAX) {
		app_session_fail(session, APP_EXIT_FAILED, "It trusts %d NDES servers already.",
				 APP_REGPOINT_TRUSTS_MAX);
		return;
	}
	if (failed(session, read_root(session, &root, &e), &e))
		return;
	session->own = (void *)root.data;
	request->der = root;
	request->has_challenge = session->given[TRUST_THUMBPRINT];
	change(session, APP_STORE_TRUST_PUT, session->text[TRUST_NDES], on_trusted);
}

static void
on_distrusted(struct app_store_request *request, void *arg)
{
	struct app_session *session = arg;
	struct err e = request->e;
	int code = request->code;

	app_store_request_fini(request);
	if (failed(session, code, &e))
		return;
	app_regpoints_distrust(session->authority, session->argument, session->text[TRUST_NDES]);
	app_session_print(session, "It does not trust that NDES server any more.\n");
	app_session_end(session, APP_EXIT_OK);
}

void
app_command_point_untrust(struct app_session *session)
{
	if (!session->given[TRUST_NDES]) {
		app_session_fail(session, APP_EXIT_USAGE, "--ndes URL is wanted.");
		return;
	}
	change(session, APP_STORE_TRUST_REMOVE, session->text[TRUST_NDES], on_distrusted);
}
