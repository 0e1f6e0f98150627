#include "appliance/login.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "appliance/state.h"
#include "board/base/clock.h"
#include "board/base/log.h"

enum { MINUTE_S = 60, IPV6_SITE = 8 };

static void next(struct app_authority *a);

static const char *
place_of(const struct app_login *login)
{
	return login->peer[0] != '\0' ? login->peer : "console";
}

/* ---- how often --------------------------------------------------------------------------------------------------- */

/* What addresses of one peer have in common; IPv6 gives each a /64 to choose from. */
static void
peer_key(const char *peer, uint8_t key[16])
{
	uint8_t address[16] = {0};

	memset(key, 0, 16);
	if (inet_pton(AF_INET6, peer, address) == 1)
		memcpy(key, address, IPV6_SITE);
	else if (inet_pton(AF_INET, peer, key + 12) == 1)
		key[10] = key[11] = 0xff;
}

/* The peer's place, or that of the one who was not seen for longest. */
static struct app_login_peer *
find_peer(struct app_logins *logins, const char *peer)
{
	struct app_login_peer *oldest = logins->peers;
	uint8_t key[16];

	peer_key(peer, key);
	for (struct app_login_peer *p = logins->peers; p < logins->peers + APP_LOGIN_PEERS; p++) {
		if (p->used_ms != 0 && memcmp(p->key, key, sizeof(key)) == 0)
			return p;
		if (p->used_ms < oldest->used_ms)
			oldest = p;
	}
	memset(oldest, 0, sizeof(*oldest));
	memcpy(oldest->key, key, sizeof(key));
	return oldest;
}

static bool
is_allowed_now(struct app_logins *logins, const struct app_login *login)
{
	struct app_login_peer *peer;

	if (login->peer[0] == '\0')
		return bucket_take(&logins->console, APP_LOGIN_CONSOLE_BURST, APP_LOGIN_CONSOLE_REFILL_MS);
	if (logins->waiting_count >= APP_LOGIN_WAITING)
		return false;
	/* The peer's own first: who asks too often must not take the others' share. */
	peer = find_peer(logins, login->peer);
	peer->used_ms = clock_mono_ms() + 1;
	return bucket_take(&peer->bucket, APP_LOGIN_PEER_BURST, APP_LOGIN_PEER_REFILL_MS) &&
	       bucket_take(&logins->network, APP_LOGIN_BURST, APP_LOGIN_REFILL_MS);
}

/* ---- one log-in -------------------------------------------------------------------------------------------------- */

static void
finish(struct app_login *login, enum app_login_verdict verdict)
{
	struct app_authority *a = login->authority;

	app_store_request_fini(&login->request);
	secret_wipe(&login->who, sizeof(login->who));
	secret_free(TAKE(login->password));
	a->logins.running = NULL;
	login->done(login, verdict, login->arg);
	next(a);
}

/* What the store says about a failure that could not be counted: it did not happen, so it is not answered either. */
static void
on_failure_counted(struct app_store_request *request, void *arg)
{
	struct app_login *login = arg;
	const struct app_operator_request *asked = &request->operators;

	app_state_note(login->authority, request->code);
	if (request->code != 0) {
		finish(login, APP_LOGIN_LATER);
		return;
	}
	log_event(OPERATOR_LOGIN_FAILED, asked->cause == APP_LOGIN_NO_ACCOUNT ? "-" : login->name,
		  log_text(place_of(login)), app_login_cause_text(asked->cause));
	if (asked->cause == APP_LOGIN_WRONG_PASSWORD && asked->failures >= asked->lockout.failures)
		log_event(OPERATOR_LOCKED, login->name, (long long)asked->failures,
			  (long long)(asked->lockout.decay_s / MINUTE_S));
	finish(login, APP_LOGIN_REFUSED);
}

static void
submit(struct app_login *login, enum app_store_op op, app_store_done_fn done)
{
	login->request.op = op;
	login->request.done = done;
	if (app_store_submit(login->authority->store, &login->request) != 0)
		finish(login, APP_LOGIN_LATER);
}

static void
on_verified(struct app_store_request *request, void *arg)
{
	struct app_login *login = arg;
	struct err e = {0};

	if (request->code == ERR_DENIED) {
		submit(login, APP_STORE_ACCOUNT_FAILED, on_failure_counted);
		return;
	}
	if (request->code == 0)
		request->code = app_account_set(login->who.name, login->who.groups, &login->account, &e);
	if (request->code != 0) {
		log_event(FAILURE, "logging in", err_name(request->code), request->e.detail,
			  log_text(e.code != 0 ? e.text : request->e.text));
		finish(login, APP_LOGIN_LATER);
		return;
	}
	log_event(OPERATOR_LOGIN, login->name, log_text(place_of(login)));
	finish(login, APP_LOGIN_ACCEPTED);
}

static void
verify(struct app_login *login)
{
	const struct config *conf = login->authority->conf;
	struct app_store_request *request = &login->request;

	memset(request, 0, sizeof(*request));
	snprintf(login->who.name, sizeof(login->who.name), "%s", login->name);
	request->arg = login;
	request->now = clock_wall();
	request->operators.who = &login->who;
	request->operators.password = secret_bytes(login->password);
	request->operators.lockout.failures = conf->operator_lockout_failures;
	request->operators.lockout.decay_s = (int64_t)conf->operator_lockout_decay_minutes * MINUTE_S;
	if (login->peer[0] != '\0')
		snprintf(request->peer, sizeof(request->peer), "%s", login->peer);
	else
		snprintf(request->actor, sizeof(request->actor), "console");
	submit(login, APP_STORE_ACCOUNT_LOGIN, on_verified);
}

static void
next(struct app_authority *a)
{
	struct app_login *login;

	if (a->logins.running != NULL || list_empty(&a->logins.waiting))
		return;
	login = list_entry(a->logins.waiting.next, struct app_login, link);
	list_remove(&login->link);
	a->logins.waiting_count--;
	a->logins.running = login;
	verify(login);
}

void
app_login_init(struct app_authority *a)
{
	list_init(&a->logins.waiting);
}

void
app_login_start(struct app_authority *a, struct app_login *login)
{
	struct list *first = &a->logins.waiting;

	login->authority = a;
	list_init(&login->link);
	if (!is_allowed_now(&a->logins, login)) {
		log_event(OPERATOR_LOGIN_LATER, log_text(place_of(login)));
		secret_free(TAKE(login->password));
		login->done(login, APP_LOGIN_LATER, login->arg);
		return;
	}
	/* Appending to a member puts it before that member. */
	list_append(login->peer[0] == '\0' ? first->next : first, &login->link);
	a->logins.waiting_count++;
	next(a);
}
