#include "appliance/command.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "appliance/permit.h"
#include "board/base/log.h"

static void help(struct app_session *session);

#define NUMBER(name_, value_, low_, high_, standard_)                                                                  \
	{                                                                                                              \
		.name = (name_), .kind = APP_OPTION_NUMBER, .value = (value_), .low = (low_), .high = (high_),         \
		.standard = (standard_)                                                                                \
	}
#define TEXT_OPTION(name_, value_)                                                                                     \
	{                                                                                                              \
		.name = (name_), .kind = APP_OPTION_TEXT, .value = (value_)                                            \
	}
#define FLAG(name_)                                                                                                    \
	{                                                                                                              \
		.name = (name_), .kind = APP_OPTION_FLAG                                                               \
	}

/* The order of options is that of app_session's number[], text[] and given[]. */
static const struct app_command commands[] = {
	{"status",
	 NULL,
	 {{0}},
	 "the state of the appliance on one screen; exit status 1 when degraded",
	 app_command_status},
	{"challenge create",
	 NULL,
	 {NUMBER("count", "N", 1, 10000, 1), NUMBER("minutes", "M", 1, 525600, 0), TEXT_OPTION("template", "T"),
	  TEXT_OPTION("subject", "NAME"), TEXT_OPTION("san", "NAMES"), TEXT_OPTION("key", "SHA256"),
	  TEXT_OPTION("profile", "P"), TEXT_OPTION("device", "ID"), TEXT_OPTION("user", "ID"),
	  TEXT_OPTION("variable", "NAME=VALUE;...")},
	 "makes one-time challenges, good for what the options say alone, and prints them, a line each; with a "
	 "certificate profile P for one device",
	 app_command_challenge_create},
	{"challenge list",
	 NULL,
	 {FLAG("all"), NUMBER("limit", "N", 1, 500, 50), NUMBER("offset", "N", 0, INT64_MAX, 0)},
	 "how many are open, and who made those that are bound (or all) for what",
	 app_command_challenge_list},
	{"challenge revoke",
	 "[NUMBER]",
	 {FLAG("all")},
	 "revokes one challenge, or all that are open; NUMBER is from the list",
	 app_command_challenge_revoke},
	{"request list", NULL, {{0}}, "requests that wait for an operator, and those denied", app_command_request_list},
	{"request show", "ID", {{0}}, "one request with its names and key", app_command_request_show},
	{"request approve", "ID", {{0}}, "approves a request and issues its certificate", app_command_request_approve},
	{"request deny",
	 "ID",
	 {TEXT_OPTION("reason", "TEXT")},
	 "denies a request; TEXT is for log and audit",
	 app_command_request_deny},
	{"certificate list",
	 NULL,
	 {NUMBER("limit", "N", 1, 1000000, 20), NUMBER("offset", "N", 0, INT64_MAX, 0), TEXT_OPTION("usage", "U"),
	  TEXT_OPTION("match", "TEXT")},
	 "certificates, newest first; TEXT is a part of the subject",
	 app_command_certificate_list},
	{"certificate show",
	 "SERIAL",
	 {FLAG("pem")},
	 "one certificate with all its fields, or as PEM",
	 app_command_certificate_show},
	{"certificate revoke",
	 "SERIAL",
	 {TEXT_OPTION("reason", "R"), TEXT_OPTION("invalidity-date", "DATE")},
	 "revokes for good, and publishes a new CRL; not to be trusted since DATE",
	 app_command_certificate_revoke},
	{"certificate hold",
	 "SERIAL",
	 {{0}},
	 "revokes until it is released, and publishes a new CRL",
	 app_command_certificate_hold},
	{"certificate release",
	 "SERIAL",
	 {{0}},
	 "ends a hold, and publishes a new CRL",
	 app_command_certificate_release},
	{"crl show",
	 NULL,
	 {FLAG("pem"), FLAG("delta"), NUMBER("generation", "N", 1, CA_GENERATIONS, 1)},
	 "number, dates and size of the full or delta CRL, or the CRL as PEM; of the current CA, or that number",
	 app_command_crl_show},
	{"crl make", NULL, {{0}}, "makes and publishes a CRL now", app_command_crl_make},
	{"ca show",
	 NULL,
	 {FLAG("pem"), NUMBER("generation", "N", 1, CA_GENERATIONS, 1)},
	 "all CA generations, and the certificate of the current one or that number, or its chain as PEM",
	 app_command_ca_show},
	{"ca rollover ready",
	 NULL,
	 {{0}},
	 "may a next CA be prepared, and which number has it",
	 app_command_ca_rollover_ready},
	{"ca rollover at",
	 "DATE",
	 {{0}},
	 "the next CA issues from DATE on (2027-01-31T12:00:00Z); \"never\" takes the date away",
	 app_command_ca_rollover_at},
	{"ca rollover now",
	 NULL,
	 {FLAG("confirm")},
	 "the next CA issues from now on; there is no way back",
	 app_command_ca_rollover_now},
	{"ca rollover cancel", NULL, {{0}}, "gives the next CA up", app_command_ca_rollover_cancel},
	{"certificate-profile list",
	 NULL,
	 {{0}},
	 "certificate profiles of the registration point",
	 app_command_certprofile_list},
	{"certificate-profile show",
	 "NAME",
	 {FLAG("file")},
	 "one certificate profile, as the file that certificate-profile import reads",
	 app_command_certprofile_show},
	{"certificate-profile check",
	 "FILE",
	 {{0}},
	 "what is in the file of a certificate profile, or wrong with it",
	 app_command_certprofile_check},
	{"certificate-profile import",
	 "FILE",
	 {{0}},
	 "makes the certificate profile of a file new, or anew",
	 app_command_certprofile_import},
	{"certificate-profile remove",
	 "NAME",
	 {{0}},
	 "removes a certificate profile; its challenges and renewals are refused then",
	 app_command_certprofile_remove},
	{"template list", NULL, {{0}}, "certificate templates, and what NDES' rule chooses", app_command_template_list},
	{"template show",
	 "NAME",
	 {FLAG("file")},
	 "one template, or the file that template import reads",
	 app_command_template_show},
	{"template check",
	 "FILE",
	 {{0}},
	 "what is in a file of templates, or wrong with it",
	 app_command_template_check},
	{"template import", "FILE", {{0}}, "makes the templates of a file new, or anew", app_command_template_import},
	{"template remove", "NAME", {{0}}, "removes a template that was imported", app_command_template_remove},
	{"template permit",
	 "NAME",
	 {TEXT_OPTION("group", "G"), TEXT_OPTION("account", "A"), TEXT_OPTION("rights", "\"R ...\"")},
	 "gives rights: read, enroll, autoenroll, full-control, or none",
	 app_command_template_permit},
	{"policy-module install",
	 "NAME",
	 {TEXT_OPTION("kind", "K"), TEXT_OPTION("url", "URL"), TEXT_OPTION("root", "FILE"),
	  NUMBER("deadline-ms", "N", 100, 60000, 5000), TEXT_OPTION("unavailable", "retry|refuse"),
	  TEXT_OPTION("tenant", "T"), TEXT_OPTION("client", "C"), TEXT_OPTION("directory", "URL")},
	 "who is asked about requests; K is registration-point or intune, which needs --secret-file FILE too",
	 app_command_policy_install},
	{"policy-module list", NULL, {{0}}, "the policy modules, and what names them", app_command_policy_list},
	{"policy-module test", "NAME", {{0}}, "asks whether its server is there", app_command_policy_test},
	{"policy-module status", NULL, {{0}}, "how they did since the start", app_command_policy_status},
	{"policy-module request",
	 NULL,
	 {{0}},
	 "a request for a certificate of the policy key from another CA, as PEM",
	 app_command_policy_request},
	{"policy-module certificate",
	 "[FILE]",
	 {FLAG("own")},
	 "uses the certificate in FILE for the policy key, or that of the own CA again",
	 app_command_policy_certificate},
	{"policy-module uninstall", "NAME", {{0}}, "removes one that nothing names", app_command_policy_uninstall},
	{"registration-point install",
	 "NAME",
	 {TEXT_OPTION("application", "APPLICATION")},
	 "makes a registration point at /APPLICATION, and the root of all of them before the first",
	 app_command_point_install},
	{"registration-point list", NULL, {{0}}, "registration points, and whom each trusts", app_command_point_list},
	{"registration-point trust",
	 "NAME",
	 {TEXT_OPTION("ndes", "URL"), TEXT_OPTION("root", "FILE"), TEXT_OPTION("thumbprint", "SHA256")},
	 "lets the NDES server at URL ask, with a client certificate below the root in FILE",
	 app_command_point_trust},
	{"registration-point untrust",
	 "NAME",
	 {TEXT_OPTION("ndes", "URL")},
	 "no longer lets the NDES server at URL ask",
	 app_command_point_untrust},
	{"registration-point export-root",
	 NULL,
	 {{0}},
	 "the root of this unit's registration points as PEM, for policy-module install",
	 app_command_point_export},
	{"registration-point remove", "NAME", {{0}}, "removes a registration point", app_command_point_remove},
	{"operator add",
	 "NAME",
	 {TEXT_OPTION("groups", "\"G ...\""), TEXT_OPTION("certificate", "SHA256"),
	  TEXT_OPTION("password-file", "FILE")},
	 "makes an account; asks for its password, or reads it from FILE",
	 app_command_operator_add},
	{"operator list", NULL, {{0}}, "all accounts with their groups and state", app_command_operator_list},
	{"operator password",
	 "NAME",
	 {TEXT_OPTION("password-file", "FILE")},
	 "gives an account a new password; everybody may change his own",
	 app_command_operator_password},
	{"operator change",
	 "NAME",
	 {TEXT_OPTION("groups", "\"G ...\""), TEXT_OPTION("certificate", "SHA256"), FLAG("disable"), FLAG("enable")},
	 "changes an account; SHA256 may be \"none\"",
	 app_command_operator_change},
	{"operator unlock", "NAME", {{0}}, "forgets an account's wrong passwords", app_command_operator_unlock},
	{"operator remove", "NAME", {{0}}, "removes an account", app_command_operator_remove},
	{"audit list", NULL, {NUMBER("limit", "N", 1, 100000, 20)}, "the newest audit records", app_command_audit_list},
	{"audit verify", NULL, {{0}}, "checks the chain of all audit records", app_command_audit_verify},
	{"help", NULL, {{0}}, "this list", help},
};

/* "certificate list [--limit N] …" */
static void
put_usage(struct buf *b, const struct app_command *command)
{
	buf_printf(b, "chancery %s", command->words);
	if (command->argument != NULL)
		buf_printf(b, " %s", command->argument);
	for (size_t i = 0; i < APP_OPTION_MAX && command->options[i].name != NULL; i++) {
		const struct app_option *option = &command->options[i];

		buf_printf(b, " [--%s%s%s]", option->name, option->value == NULL ? "" : " ",
			   option->value == NULL ? "" : option->value);
	}
}

static void
help(struct app_session *session)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		app_session_print(session, "  ");
		put_usage(&session->out, &commands[i]);
		app_session_print(session, "\n      %s\n", commands[i].help);
	}
	app_session_print(session,
			  "  chancery provision --file FILE\n      makes token, keys and CA from a ceremony "
			  "file; before the first start\n"
			  "  chancery ca rollover prepare --file FILE\n      makes key and certificate of the next CA\n"
			  "  chancery import-chain [--next] FILE\n      continues these for a subordinate CA\n");
	app_session_end(session, APP_EXIT_OK);
}

static void
fail_usage(struct app_session *session, const char *why, const char *word)
{
	char plain[128];
	AUTO_BUF usage;

	buf_init(&usage, 1024);
	put_usage(&usage, session->command);
	buf_put_u8(&usage, '\0');
	app_session_fail(session, APP_EXIT_USAGE, "%s%s%s\nUsage: %s", why, *word == '\0' ? "" : ": ",
			 app_command_plain(word, plain, sizeof(plain)),
			 buf_status(&usage) == 0 ? (const char *)usage.data : session->command->words);
}

static void
fail_unknown(struct app_session *session, const char *first)
{
	char plain[64];
	bool related = false;

	for (size_t i = 0; i < ARRAY_SIZE(commands) && !related; i++)
		related = strncmp(commands[i].words, first, strlen(first)) == 0 && *first != '\0';
	if (!related) {
		app_session_fail(session, APP_EXIT_USAGE, "\"%s\" is no command. \"chancery help\" lists all.",
				 app_command_plain(first, plain, sizeof(plain)));
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strncmp(commands[i].words, first, strlen(first)) != 0)
			continue;
		app_session_print(session, "  ");
		put_usage(&session->out, &commands[i]);
		app_session_print(session, "\n");
	}
	app_session_fail(session, APP_EXIT_USAGE, "\"%s\" goes on in one of these ways.",
			 app_command_plain(first, plain, sizeof(plain)));
}

/* How many of words the command's own words take; 0 when it is not this command. */
static size_t
match(const struct app_command *command, char words[][256], size_t count)
{
	const char *rest = command->words;

	for (size_t used = 0; used < count; used++) {
		size_t len = strlen(words[used]);

		if (strncmp(rest, words[used], len) != 0 || (rest[len] != ' ' && rest[len] != '\0') || len == 0)
			return 0;
		if (rest[len] == '\0')
			return used + 1;
		rest += len + 1;
	}
	return 0;
}

static int
take_number(struct app_session *session, size_t i, const char *value)
{
	const struct app_option *option = &session->command->options[i];
	char *end;

	errno = 0;
	session->number[i] = strtoll(value, &end, 10);
	if (errno == 0 && end != value && *end == '\0' && session->number[i] >= option->low &&
	    session->number[i] <= option->high)
		return 0;
	app_session_fail(session, APP_EXIT_USAGE, "--%s: a number from %lld to %lld", option->name,
			 (long long)option->low, (long long)option->high);
	return ERR_FORMAT;
}

/* The number of the option with this name; APP_OPTION_MAX when the command has none. */
static size_t
find_option(const struct app_command *command, const char *name, size_t len)
{
	size_t i = 0;

	while (i < APP_OPTION_MAX && command->options[i].name != NULL) {
		const char *known = command->options[i].name;

		if (strlen(known) == len && memcmp(known, name, len) == 0)
			return i;
		i++;
	}
	return APP_OPTION_MAX;
}

/* Takes the option in word; next is the word behind it, and *ret_used tells that it was the value. */
static int
take_option(struct app_session *session, const char *word, const char *next, bool *ret_used)
{
	size_t len = strcspn(word + 2, "=");
	bool joined = word[2 + len] == '=';
	const char *value = joined ? word + 3 + len : next;
	size_t i = find_option(session->command, word + 2, len);
	enum app_option_kind kind = i < APP_OPTION_MAX ? session->command->options[i].kind : APP_OPTION_NONE;

	*ret_used = false;
	if (i == APP_OPTION_MAX || (kind == APP_OPTION_FLAG && joined)) {
		fail_usage(session, "Unknown option", word);
		return ERR_FORMAT;
	}
	session->given[i] = true;
	if (kind == APP_OPTION_FLAG)
		return 0;
	if (value == NULL || strlen(value) >= sizeof(session->text[i])) {
		fail_usage(session, value == NULL ? "A value is missing" : "A value is too long", word);
		return ERR_FORMAT;
	}
	*ret_used = !joined;
	if (kind == APP_OPTION_NUMBER)
		return take_number(session, i, value);
	snprintf(session->text[i], sizeof(session->text[i]), "%s", value);
	return 0;
}

/* Reads argument and options behind the command's own words; answers what is wrong with them. */
static int
take_rest(struct app_session *session, char words[][256], size_t first, size_t count)
{
	const struct app_command *command = session->command;

	for (size_t i = 0; i < APP_OPTION_MAX; i++)
		session->number[i] = command->options[i].standard;
	for (size_t i = first; i < count; i++) {
		bool used = false;

		if (strncmp(words[i], "--", 2) == 0) {
			if (take_option(session, words[i], i + 1 < count ? words[i + 1] : NULL, &used) != 0)
				return ERR_FORMAT;
			i += used;
			continue;
		}
		if (command->argument == NULL || session->argument[0] != '\0') {
			fail_usage(session, "Too much", words[i]);
			return ERR_FORMAT;
		}
		snprintf(session->argument, sizeof(session->argument), "%s", words[i]);
	}
	if (command->argument == NULL || session->argument[0] != '\0' || command->argument[0] == '[')
		return 0;
	fail_usage(session, "Something is missing", command->argument);
	return ERR_FORMAT;
}

/* Words that a person could have meant: one with a control character would steer the terminal that it is shown on. */
static const char *
take_words(const struct msg_list *list, char words[][256])
{
	for (size_t i = 0; i < list->count; i++) {
		struct bytes word = list->item[i];

		if (word.len >= sizeof(words[i]))
			return "A word of the command is too long.";
		for (size_t k = 0; k < word.len; k++)
			if (word.data[k] < ' ' || word.data[k] == 0x7f)
				return "A word of the command has a control character.";
		memcpy(words[i], word.data, word.len);
		words[i][word.len] = '\0';
	}
	return NULL;
}

void
app_command_run(struct app_session *session, const struct msg_list *list)
{
	char words[MSG_LIST_MAX][256];
	const char *wrong = take_words(list, words);
	struct err e = {0};
	size_t used = 0;

	if (wrong != NULL) {
		app_session_fail(session, APP_EXIT_USAGE, "%s", wrong);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands) && used == 0; i++) {
		used = match(&commands[i], words, list->count);
		session->command = &commands[i];
	}
	if (used == 0) {
		fail_unknown(session, list->count > 0 ? words[0] : "");
		return;
	}
	if (app_permit_command(&session->account, session->command->words, &e) != 0) {
		log_event(OPERATOR_DENIED, session->actor, session->command->words);
		app_session_fail(session, APP_EXIT_FAILED, "%s is not allowed to: %s.", session->account.name, e.text);
		return;
	}
	if (take_rest(session, words, used, list->count) == 0)
		session->command->run(session);
}

int
app_command_serial(const char *text, uint8_t ret_serial[APP_SERIAL_SIZE])
{
	uint8_t serial[APP_SERIAL_SIZE] = {0};
	size_t digits = 0;

	for (const char *s = text; *s != '\0'; s++) {
		if (*s == ':' || *s == ' ')
			continue;
		if (!isxdigit((unsigned char)*s) || digits == 2 * sizeof(serial))
			return ERR_FORMAT;
		serial[digits / 2] = (uint8_t)(serial[digits / 2] << 4 |
					       (*s <= '9' ? *s - '0' : (tolower((unsigned char)*s) - 'a' + 10)));
		digits++;
	}
	if (digits != 2 * sizeof(serial))
		return ERR_FORMAT;
	memcpy(ret_serial, serial, sizeof(serial));
	return 0;
}

char *
app_command_plain(const char *text, char *out, size_t size)
{
	size_t i;

	for (i = 0; i + 1 < size && text[i] != '\0'; i++)
		out[i] = text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?';
	out[i] = '\0';
	return out;
}

char *
app_command_span(int64_t seconds, char *out, size_t size)
{
	const char *sign = seconds < 0 ? "-" : "";
	long long s = seconds < 0 ? -seconds : seconds;

	if (s >= 2 * 86400)
		snprintf(out, size, "%s%lldd", sign, s / 86400);
	else if (s >= 3600)
		snprintf(out, size, "%s%lldh %lldm", sign, s / 3600, s % 3600 / 60);
	else if (s >= 60)
		snprintf(out, size, "%s%lldm", sign, s / 60);
	else
		snprintf(out, size, "%s%llds", sign, s);
	return out;
}
