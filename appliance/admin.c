#include "appliance/admin.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "appliance/binding.h"
#include "appliance/state.h"
#include "board/base/clock.h"
#include "board/base/log.h"
#include "board/base/x509.h"
#include "board/config_check.h"

enum { MINUTE_S = 60, HASH_DIGITS = 64 };

/* One MSG_ADMIN under way. */
struct visit {
	struct app_reply reply;
	struct app_authority *authority;
	int wants;
	char peer[64];
	char actor[64];
	char account[64];
	char params[2048]; /* of NDESGenerateChallenge */
	struct app_binding binding;
	struct bytes certificate; /* owned */
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
deny(struct visit *visit, const char *cause)
{
	log_event(ADMIN_REFUSED, log_text(visit->peer), log_text(visit->actor), cause);
	answer_status(visit, ADMIN_DENIED);
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

static void
give_challenge(struct visit *visit)
{
	struct app_authority *a = visit->authority;
	struct app_store_request *request = &visit->request;
	struct err e = {0};

	if (visit->wants == ADMIN_LOOK) {
		answer_status(visit, ADMIN_GRANTED);
		return;
	}
	if (app_binding_params(&visit->binding, visit->params, &e) != 0) {
		log_event(ADMIN_REFUSED, log_text(visit->peer), log_text(visit->actor), log_text(e.text));
		answer_status(visit, ADMIN_MALFORMED);
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
	snprintf(request->account, sizeof(request->account), "%s", visit->account);
	snprintf(request->actor, sizeof(request->actor), "%s", visit->actor);
	app_challenge_hash(a->challenge_key, secret_bytes(visit->challenge), request->challenge_hash);
	submit(visit, on_challenge);
}

/* ---- who asks --------------------------------------------------------------------------------------------------- */

/* Is one of the fingerprints that of the certificate?  Colons between digits do not count. */
static bool
is_listed(const char *fingerprints, struct bytes certificate)
{
	uint8_t hash[32];
	char hex[HASH_DIGITS + 1];
	const char *word;
	size_t len;

	x509_sha256(certificate, hash);
	bytes_hex((struct bytes){hash, sizeof(hash)}, hex, sizeof(hex));
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
		deny(visit, cause);
	else if (code != 0)
		answer_status(visit, ADMIN_RETRY);
	else
		give_challenge(visit);
}

/* The account of who has the certificate (appliance/account.h). */
static void
name_account(struct visit *visit)
{
	uint8_t hash[32];
	char hex[17];

	x509_sha256(visit->certificate, hash);
	snprintf(visit->account, sizeof(visit->account), "certificate %s",
		 bytes_hex((struct bytes){hash, 8}, hex, sizeof(hex)));
}

/* Goes on in on_record() when the certificate deserves a look at the store; else answers. */
static void
identify(struct visit *visit, const struct config *conf)
{
	struct app_store_request *request = &visit->request;
	struct x509 cert;
	struct bytes serial;

	if (visit->certificate.len == 0 || x509_parse(visit->certificate, &cert, NULL) != 0) {
		deny(visit, "no client certificate");
		return;
	}
	serial = cert.tbs.serial;
	if (serial.len == APP_SERIAL_SIZE + 1 && serial.data[0] == 0)
		serial = (struct bytes){serial.data + 1, APP_SERIAL_SIZE};
	snprintf(visit->actor, sizeof(visit->actor), "certificate %s", log_hex(serial));
	if (!is_listed(conf->admin_certificates, visit->certificate)) {
		deny(visit, "the certificate is not in admin.certificates");
		return;
	}
	if (serial.len != APP_SERIAL_SIZE) {
		deny(visit, "this CA did not issue the certificate");
		return;
	}
	name_account(visit);
	request->op = APP_STORE_SHOW;
	memcpy(request->serial, serial.data, APP_SERIAL_SIZE);
	submit(visit, on_record);
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
	else
		identify(visit, a->conf);
}
