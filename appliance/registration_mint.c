/*
 * Challenges for a certificate profile, a device and a user, of registration_check.h.
 */
#include <stdio.h>
#include <string.h>

#include "appliance/binding.h"
#include "appliance/rdn.h"
#include "appliance/registration_check.h"
#include "appliance/state.h"
#include "appliance/store_registration.h"
#include "board/base/clock.h"
#include "board/base/der.h"
#include "board/base/log.h"
#include "board/base/secret.h"

enum { MINUTE_S = 60, NAME_SIZE = 4096, OWN_VARIABLES = 2, VARIABLES = APP_VARIABLES_MAX + OWN_VARIABLES };

/* One ask on its way. */
struct mint {
	struct app_authority *authority;
	app_registration_fn fn;
	void *arg;
	struct app_store_request request;
	struct app_registration_record record;
	struct app_certprofile profile;
	struct app_binding binding; /* borrows from the record */
	struct app_account account;
	struct bytes variables[VARIABLES]; /* owned */
	size_t variable_count;
	bool automatic;
	bool is_bad; /* e says why */
	int64_t minutes;
	struct secret *challenge;
	struct err e;
};

static void
mint_free(struct mint *mint)
{
	for (size_t i = 0; i < mint->variable_count; i++)
		free((void *)(uintptr_t)mint->variables[i].data);
	app_registration_record_fini(&mint->record);
	app_store_request_fini(&mint->request);
	secret_free(mint->challenge);
	free(mint);
}

static void
answer(struct mint *mint, int code, const char *text)
{
	struct app_registration_minted minted = {.code = code, .text = text};

	if (code == 0) {
		minted.challenge = secret_bytes(mint->challenge);
		minted.number = mint->request.number;
		minted.expires = mint->request.expires;
	}
	mint->fn(&minted, mint->arg);
	mint_free(mint);
}

/* ---- what is asked ----------------------------------------------------------------------------------------------- */

static int
add_variable(struct mint *mint, struct bytes variable)
{
	struct bytes own = {NULL, 0};

	if (variable.len > 0) {
		own = bytes_dup(variable);
		if (own.data == NULL)
			return ERR_NOMEM;
	}
	mint->variables[mint->variable_count++] = own;
	return 0;
}

/* {{DeviceId}} and {{UserId}} are those of the ask, and nothing else. */
static int
add_own(struct mint *mint, const char *name, const char *value)
{
	char text[APP_TERMS_ID + 16];
	size_t len = strlen(name);

	if (value[0] == '\0')
		return 0;
	snprintf(text, sizeof(text), "%s=%s", name, value);
	for (size_t i = 0; i < mint->variable_count; i++) {
		struct bytes v = mint->variables[i];

		if (v.len <= len || memcmp(v.data, text, len + 1) != 0)
			continue;
		if (!bytes_equal(v, bytes_of_text(text)))
			return err_set(&mint->e, ERR_FORMAT, 0, "variable %s: is not that of the ask", name);
		return 0;
	}
	return add_variable(mint, bytes_of_text(text));
}

static bool
is_id(const char *id)
{
	for (; *id > ' ' && *id <= '~'; id++)
		;
	return *id == '\0';
}

static int
check_ask(struct mint *mint, const struct app_registration_ask *ask)
{
	if (strlen(ask->profile) >= APP_CERTPROFILE_NAME || ask->profile[0] == '\0')
		return err_set(&mint->e, ERR_UNKNOWN, 0, "there is no such certificate profile");
	if (ask->device[0] == '\0' || strlen(ask->device) >= APP_TERMS_ID || !is_id(ask->device))
		return err_set(&mint->e, ERR_FORMAT, 0, "device: 1 to %d characters of ASCII without blanks",
			       APP_TERMS_ID - 1);
	if (strlen(ask->user) >= APP_TERMS_ID || !is_id(ask->user))
		return err_set(&mint->e, ERR_FORMAT, 0, "user: at most %d characters of ASCII without blanks",
			       APP_TERMS_ID - 1);
	return app_certprofile_variables(ask->variables, ask->variable_count, &mint->e);
}

/* Copies the ask.  What is wrong with it is told later: nothing is answered before the call returns. */
static int
read_ask(struct mint *mint, const struct app_registration_ask *ask)
{
	struct app_terms *terms = &mint->record.terms;
	int code = check_ask(mint, ask);

	mint->account = *ask->account;
	mint->automatic = ask->automatic;
	mint->minutes = ask->minutes;
	snprintf(mint->request.actor, sizeof(mint->request.actor), "%s", ask->actor);
	snprintf(mint->request.account, sizeof(mint->request.account), "%s", ask->account->name);
	if (code == 0) {
		snprintf(terms->profile, sizeof(terms->profile), "%s", ask->profile);
		snprintf(terms->device, sizeof(terms->device), "%s", ask->device);
		snprintf(terms->user, sizeof(terms->user), "%s", ask->user);
	}
	for (size_t i = 0; code == 0 && i < ask->variable_count; i++)
		code = add_variable(mint, ask->variables[i]);
	if (code == 0)
		code = add_own(mint, "DeviceId", ask->device);
	if (code == 0)
		code = add_own(mint, "UserId", ask->user);
	mint->is_bad = code != 0;
	return code == ERR_NOMEM ? code : 0;
}

/* ---- what it becomes --------------------------------------------------------------------------------------------- */

static const struct app_template_entry *
find_template(struct mint *mint)
{
	const struct app_template_entry *entry = app_templates_find(mint->authority, mint->profile.template_name);

	if (entry == NULL) {
		err_set(&mint->e, ERR_CONFIG, 0, "profile: there is no template %s", mint->profile.template_name);
		return NULL;
	}
	if (!app_template_permits(&entry->template, &mint->account, APP_RIGHT_ENROLL) ||
	    (mint->automatic && !app_template_permits(&entry->template, &mint->account, APP_RIGHT_AUTOENROLL))) {
		err_set(&mint->e, ERR_DENIED, 0, "%s may not enroll for template %s", mint->account.name,
			entry->template.name);
		return NULL;
	}
	return entry;
}

/* Takes over what was written. */
static int
keep(struct buf *written, struct bytes *member)
{
	struct bytes v;

	if (buf_status(written) != 0)
		return buf_status(written);
	v.data = buf_take(written, &v.len);
	*member = v;
	return 0;
}

/* Would the template let these names through?  Else the device would hear it after all its work. */
static int
check_names(const struct app_template_entry *entry, const struct app_terms *terms, struct err *e)
{
	struct view names;
	size_t count;

	if (!entry->template.from_template && app_rdn_check(terms->subject, entry->template.rdns, &count, e) != 0)
		return ERR_FORMAT;
	if (der_whole(terms->san, DER_SEQUENCE, &names) == 0 && names.left > 0 &&
	    app_profile_check_san(entry->profile, terms->san, true, e) != 0)
		return ERR_FORMAT;
	return 0;
}

static int
resolve(struct mint *mint, const struct app_template_entry *entry)
{
	const struct app_certprofile *profile = &mint->profile;
	struct app_terms *terms = &mint->record.terms;
	AUTO_BUF subject = {0};
	AUTO_BUF san = {0};
	int code = app_certprofile_fits(profile, &entry->template, &mint->e);

	buf_init(&subject, NAME_SIZE);
	buf_init(&san, NAME_SIZE);
	if (code == 0)
		code = app_certprofile_subject(profile, mint->variables, mint->variable_count, &subject, &mint->e);
	if (code == 0)
		code = app_certprofile_san(profile, mint->variables, mint->variable_count, &san, &mint->e);
	if (code == 0)
		code = keep(&subject, &terms->subject);
	if (code == 0)
		code = keep(&san, &terms->san);
	if (code == 0)
		code = check_names(entry, terms, &mint->e);
	if (code != 0)
		return code;
	snprintf(terms->template_name, sizeof(terms->template_name), "%s", entry->template.name);
	terms->key_usage = profile->key_usage;
	terms->purposes = profile->purposes;
	terms->key_sizes = profile->key_sizes;
	terms->hashes = profile->hashes;
	terms->validity_days = profile->validity_days;
	return 0;
}

/* ---- the store --------------------------------------------------------------------------------------------------- */

static void
on_challenge(struct app_store_request *request, void *arg)
{
	struct mint *mint = arg;
	const struct app_terms *terms = &mint->record.terms;

	app_state_note(mint->authority, request->code);
	if (request->code == ERR_LIMIT) {
		answer(mint, ERR_LIMIT, "challenge.max_open challenges are open already");
	} else if (request->code != 0) {
		answer(mint, request->code, "the store failed");
	} else {
		log_event(REGISTRATION_CHALLENGE, log_text(terms->profile), log_text(terms->device),
			  log_text(terms->user), (long long)request->number, request->actor);
		answer(mint, 0, "");
	}
}

static int
put_challenge(struct mint *mint)
{
	const struct config *conf = mint->authority->conf;
	const struct app_terms *terms = &mint->record.terms;
	struct app_store_request *request = &mint->request;
	int64_t minutes = mint->minutes > 0 ? mint->minutes : conf->challenge_lifetime_minutes;
	int code = app_challenge_new(conf->challenge_length, &mint->challenge);

	if (code != 0)
		return code;
	mint->binding =
		(struct app_binding){.subject = terms->subject, .san = terms->san, .key_usage = terms->key_usage};
	snprintf(mint->binding.template_name, sizeof(mint->binding.template_name), "%s", terms->template_name);
	request->op = APP_STORE_CHALLENGE;
	request->done = on_challenge;
	request->binding = &mint->binding;
	request->now = clock_wall();
	request->expires = request->now + minutes * MINUTE_S;
	request->max_open = conf->challenge_max_open;
	app_challenge_hash(mint->authority->challenge_key, secret_bytes(mint->challenge), request->challenge_hash);
	return app_store_submit(mint->authority->store, request);
}

static void
on_profile(struct app_store_request *request, void *arg)
{
	struct mint *mint = arg;
	const struct app_template_entry *entry;
	int code = request->code;

	if (mint->is_bad || code == ERR_UNKNOWN) {
		answer(mint, mint->is_bad ? mint->e.code : ERR_UNKNOWN,
		       mint->is_bad ? mint->e.text : "there is no such certificate profile");
		return;
	}
	if (code == 0)
		code = app_certprofile_parse((const char *)request->out.data, "profile", &mint->profile, &mint->e);
	app_store_request_fini(request);
	if (code == 0) {
		entry = find_template(mint);
		code = entry == NULL ? mint->e.code : resolve(mint, entry);
	}
	if (code == 0)
		code = put_challenge(mint);
	if (code != 0)
		answer(mint, code, mint->e.text[0] != '\0' ? mint->e.text : "the store cannot be asked now");
}

int
app_registration_generate(struct app_authority *a, const struct app_registration_ask *ask, app_registration_fn fn,
			  void *arg)
{
	struct mint *mint = calloc(1, sizeof(*mint));
	int code;

	if (mint == NULL)
		return ERR_NOMEM;
	mint->authority = a;
	mint->fn = fn;
	mint->arg = arg;
	mint->request.arg = mint;
	mint->request.done = on_profile;
	mint->request.op = APP_STORE_CERTPROFILE;
	mint->request.registration = &mint->record;
	code = read_ask(mint, ask);
	if (code == 0)
		code = app_store_submit(a->store, &mint->request);
	if (code != 0)
		mint_free(mint);
	return code;
}
