#include "appliance/admin.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "appliance/binding.h"
#include "appliance/permit.h"
#include "appliance/state.h"
#include "board/base/clock.h"
#include "board/base/log.h"
#include "board/base/x509.h"
#include "board/config_check.h"

enum { MINUTE_S = 60, HASH_DIGITS = 64, NAME_DIGITS = 16 };

/* One MSG_ADMIN under way. */
struct visit {
	struct app_reply reply;
	struct app_authority *authority;
	int wants;
	char peer[64];
	struct app_account account; /* who asks; nobody at first */
	char actor[64];             /* the same for log and audit trail */
	char params[2048];          /* of NDESGenerateChallenge */
	struct app_binding binding;
	struct bytes certificate;  /* owned */
	struct app_operator owner; /* of the certificate */
	struct app_login login;
	struct secret *challenge; /* until the store has it */
	struct app_store_request request;
};

static void
answer(struct visit *visit, const struct msg_admin_answer *m)
{
	struct app_front *front = visit->reply.front;
	int status;

	list_remove(&visit->reply.link);
	if (front != NULL) {
		status = msg_admin_answer_send(front->ipc, visit->reply.id, m);
		if (status != 0)
			log_event(FAILURE, "answering the front", err_name(status), 0U,
				  log_text("the answer was dropped"));
	}
	secret_free(visit->challenge);
	app_binding_fini(&visit->binding);
	free((void *)visit->certificate.data);
	free(visit);
}

static void
answer_status(struct visit *visit, int status)
{
	answer(visit, &(struct msg_admin_answer){.status = (uint8_t)status});
}

static void
refuse(struct visit *visit, int status, const char *cause)
{
	log_event(ADMIN_REFUSED, log_text(visit->peer), log_text(visit->actor), cause);
	answer_status(visit, status);
}

/* ---- the challenge ---------------------------------------------------------------------------------------------- */

static bool
is_allowed_now(struct app_admin *admin)
{
	int64_t now = clock_mono_ms();
	int64_t fresh = (now - admin->tokens_ms) / APP_ADMIN_REFILL_MS;

	if (fresh > 0) {
		admin->tokens = fresh < APP_ADMIN_BURST - admin->tokens ? admin->tokens + fresh : APP_ADMIN_BURST;
		admin->tokens_ms = now;
	}
	if (admin->tokens <= 0)
		return false;
	admin->tokens--;
	return true;
}

static void
on_challenge(struct app_store_request *request, void *arg)
{
	struct visit *visit = arg;
	const struct config *conf = visit->authority->conf;
	struct msg_admin_answer m = {.status = ADMIN_RETRY};
	int code = request->code;

	visit->authority->admin.visits--;
	if (code == 0) {
		m.status = ADMIN_GRANTED;
		m.challenge = secret_bytes(visit->challenge);
		m.minutes = (uint32_t)((request->expires - request->now) / MINUTE_S);
		log_event(CHALLENGES_ASKED, log_text(visit->actor), 1LL);
	} else if (code == ERR_LIMIT) {
		m.status = ADMIN_FULL;
		m.limit = (uint32_t)conf->challenge_max_open;
		log_event(ADMIN_REFUSED, log_text(visit->peer), log_text(visit->actor),
			  "challenge.max_open is reached");
	}
	app_store_request_fini(request);
	answer(visit, &m);
}

/* Queues the request of the visit; a store that is busy is one that may be asked again. */
static void
submit(struct visit *visit, app_store_done_fn done)
{
	visit->request.done = done;
	visit->request.arg = visit;
	visit->request.now = clock_wall();
	if (app_store_submit(visit->authority->store, &visit->request) != 0)
		answer_status(visit, ADMIN_RETRY);
	else
		visit->authority->admin.visits++;
}

/* Who hands out a challenge may enroll, and a program that does so by itself may autoenroll, on what it is good for. */
static int
check_template(const struct visit *visit, struct err *e)
{
	const char *bound = visit->binding.template_name;
	int status = app_templates_check_bound(visit->authority, bound, e);

	if (status == 0)
		status = app_templates_permit(visit->authority, &visit->account, bound, APP_RIGHT_ENROLL, e);
	if (status == 0 && visit->wants == ADMIN_GENERATE)
		status = app_templates_permit(visit->authority, &visit->account, bound, APP_RIGHT_AUTOENROLL, e);
	return status;
}

static void
give_challenge(struct visit *visit)
{
	struct app_authority *a = visit->authority;
	struct app_store_request *request = &visit->request;
	struct err e = {0};
	int status;

	if (visit->wants == ADMIN_LOOK) {
		answer_status(visit, ADMIN_GRANTED);
		return;
	}
	if (app_binding_params(&visit->binding, visit->params, &e) != 0) {
		log_event(ADMIN_REFUSED, log_text(visit->peer), log_text(visit->actor), log_text(e.text));
		answer_status(visit, ADMIN_MALFORMED);
		return;
	}
	status = check_template(visit, &e);
	if (status == ERR_UNKNOWN) {
		log_event(ADMIN_REFUSED, log_text(visit->peer), log_text(visit->actor), log_text(e.text));
		answer_status(visit, ADMIN_MALFORMED);
		return;
	}
	if (status != 0) {
		refuse(visit, ADMIN_DENIED, log_text(e.text));
		return;
	}
	if (!is_allowed_now(&a->admin)) {
		answer_status(visit, ADMIN_RETRY);
		return;
	}
	/* One for all devices cannot be bound to one of them. */
	if (a->static_challenge != NULL && !app_binding_is_any(&visit->binding)) {
		log_event(CHALLENGES_ASKED, log_text(visit->actor), 1LL);
		answer(visit, &(struct msg_admin_answer){.status = ADMIN_STATIC,
							 .challenge = secret_bytes(a->static_challenge)});
		return;
	}
	if (app_challenge_new(a->conf->challenge_length, &visit->challenge) != 0) {
		answer_status(visit, ADMIN_RETRY);
		return;
	}
	memset(request, 0, sizeof(*request));
	request->op = APP_STORE_CHALLENGE;
	request->expires = clock_wall() + (int64_t)a->conf->challenge_lifetime_minutes * MINUTE_S;
	request->max_open = a->conf->challenge_max_open;
	request->binding = &visit->binding;
	snprintf(request->account, sizeof(request->account), "%s", visit->account.name);
	snprintf(request->actor, sizeof(request->actor), "%s", visit->actor);
	app_challenge_hash(a->challenge_key, secret_bytes(visit->challenge), request->challenge_hash);
	submit(visit, on_challenge);
}

/* ---- who asks --------------------------------------------------------------------------------------------------- */

/* Is this one of the fingerprints?  Colons between digits do not count. */
static bool
is_listed(const char *fingerprints, const char hex[HASH_DIGITS + 1])
{
	const char *word;
	size_t len;

	while ((word = config_check_word(&fingerprints, &len)) != NULL) {
		size_t same = 0;

		for (size_t i = 0; i < len && same < HASH_DIGITS; i++) {
			if (word[i] == ':')
				continue;
			if (tolower((unsigned char)word[i]) != hex[same])
				break;
			same++;
		}
		if (same == HASH_DIGITS)
			return true;
	}
	return false;
}

/* NULL when this account may have what the visit wants; else why not, for the log. */
static const char *
objection(const struct app_account *account, const struct visit *visit)
{
	return app_permit_challenge(account) ? NULL : "the account is not in ra-operators or administrators";
}

/* It is known who asks. */
static void
admit(struct visit *visit)
{
	const char *why = objection(&visit->account, visit);

	if (why != NULL)
		refuse(visit, ADMIN_DENIED, why);
	else
		give_challenge(visit);
}

static void
name_actor(struct visit *visit)
{
	snprintf(visit->actor, sizeof(visit->actor), "operator %.*s", APP_ACCOUNT_NAME_MAX, visit->account.name);
}

/* ---- who asks: by password --------------------------------------------------------------------------------------- */

/* The log has it already, and says why. */
static void
on_login(struct app_login *login, enum app_login_verdict verdict, void *arg)
{
	struct visit *visit = arg;

	visit->authority->admin.visits--;
	if (verdict != APP_LOGIN_ACCEPTED) {
		answer_status(visit, verdict == APP_LOGIN_REFUSED ? ADMIN_LOGIN : ADMIN_RETRY);
		return;
	}
	visit->account = login->account;
	name_actor(visit);
	admit(visit);
}

static void
identify_by_password(struct visit *visit, const struct msg_admin *m)
{
	struct app_login *login = &visit->login;

	if (secret_new(m->password.data, m->password.len, &login->password) != 0) {
		answer_status(visit, ADMIN_RETRY);
		return;
	}
	memcpy(login->name, m->operator, sizeof(login->name));
	memcpy(login->peer, m->peer, sizeof(login->peer));
	/* Nothing else is the control socket, which has its own bounds. */
	if (login->peer[0] == '\0')
		snprintf(login->peer, sizeof(login->peer), "unknown");
	login->done = on_login;
	login->arg = visit;
	visit->authority->admin.visits++;
	app_login_start(visit->authority, login);
}

/* ---- who asks: by certificate ------------------------------------------------------------------------------------ */

static void
on_record(struct app_store_request *request, void *arg)
{
	struct visit *visit = arg;
	const struct app_record *record = request->records;
	int64_t now = clock_wall();
	const char *cause = NULL;
	int code = request->code;

	visit->authority->admin.visits--;
	if (code == 0 && !bytes_equal(record->der, visit->certificate))
		code = ERR_UNKNOWN;
	if (code == ERR_UNKNOWN)
		cause = "this CA did not issue the certificate";
	else if (code == 0 && record->revoked != 0)
		cause = "the certificate is revoked";
	else if (code == 0 && (now < record->not_before || now > record->not_after))
		cause = "the certificate is not valid now";
	app_store_request_fini(request);
	if (cause != NULL)
		refuse(visit, ADMIN_LOGIN, cause);
	else if (code != 0)
		answer_status(visit, ADMIN_RETRY);
	else
		admit(visit);
}

/* The account is known; is the certificate in force? */
static void
check_certificate(struct visit *visit)
{
	struct app_store_request *request = &visit->request;
	struct x509 cert;
	struct bytes serial;

	if (x509_parse(visit->certificate, &cert, NULL) != 0) {
		refuse(visit, ADMIN_LOGIN, "the certificate cannot be read");
		return;
	}
	serial = cert.tbs.serial;
	if (serial.len == APP_SERIAL_SIZE + 1 && serial.data[0] == 0)
		serial = (struct bytes){serial.data + 1, APP_SERIAL_SIZE};
	if (serial.len != APP_SERIAL_SIZE) {
		refuse(visit, ADMIN_LOGIN, "this CA did not issue the certificate");
		return;
	}
	memset(request, 0, sizeof(*request));
	request->op = APP_STORE_SHOW;
	memcpy(request->serial, serial.data, APP_SERIAL_SIZE);
	submit(visit, on_record);
}

static void
on_owner(struct app_store_request *request, void *arg)
{
	struct visit *visit = arg;
	int code = request->code;

	visit->authority->admin.visits--;
	app_store_request_fini(request);
	if (code == 0 && visit->owner.disabled) {
		refuse(visit, ADMIN_LOGIN, "the certificate's account is disabled");
		return;
	}
	if (code == 0)
		code = app_account_set(visit->owner.name, visit->owner.groups, &visit->account, NULL);
	if (code == ERR_UNKNOWN) {
		refuse(visit, ADMIN_LOGIN, "the certificate belongs to no account and is not in admin.certificates");
		return;
	}
	if (code != 0) {
		answer_status(visit, ADMIN_RETRY);
		return;
	}
	name_actor(visit);
	check_certificate(visit);
}

/* Whose certificate it is; then whether it is in force. */
static void
identify_by_certificate(struct visit *visit, const struct config *conf)
{
	struct app_operator *owner = &visit->owner;
	char hex[HASH_DIGITS + 1];

	if (visit->certificate.len == 0) {
		refuse(visit, ADMIN_LOGIN, "no client certificate and no password");
		return;
	}
	x509_sha256(visit->certificate, owner->certificate);
	bytes_hex((struct bytes){owner->certificate, sizeof(owner->certificate)}, hex, sizeof(hex));
	snprintf(visit->actor, sizeof(visit->actor), "certificate %.*s", NAME_DIGITS, hex);
	if (is_listed(conf->admin_certificates, hex)) {
		app_account_root(&visit->account);
		memcpy(visit->account.name, visit->actor, sizeof(visit->account.name));
		check_certificate(visit);
		return;
	}
	visit->request.op = APP_STORE_ACCOUNT_OF;
	visit->request.operators.who = owner;
	submit(visit, on_owner);
}

void
app_admin_request(struct app_front *front, uint64_t id, const struct msg_admin *m)
{
	struct app_authority *a = front->authority;
	struct visit *visit = calloc(1, sizeof(*visit));

	if (visit == NULL)
		return; /* the front's call has a deadline */
	app_reply_open(&visit->reply, front, id);
	visit->authority = a;
	visit->wants = m->wants;
	snprintf(visit->peer, sizeof(visit->peer), "%s", m->peer);
	snprintf(visit->actor, sizeof(visit->actor), "nobody");
	snprintf(visit->params, sizeof(visit->params), "%s", m->params);
	visit->binding.key_usage = m->key_usage;
	visit->certificate = bytes_dup(m->certificate);
	if (a->stopping || (m->certificate.len > 0 && visit->certificate.data == NULL))
		answer_status(visit, ADMIN_RETRY);
	else if (m->operator[0] != '\0')
		identify_by_password(visit, m);
	else
		identify_by_certificate(visit, a->conf);
}
