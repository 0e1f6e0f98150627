#include "appliance/link.h"

#include <stdio.h>
#include <stdlib.h>

#include "appliance/pending.h"
#include "appliance/regserve.h"
#include "appliance/state.h"
#include "board/base/clock.h"
#include "board/base/log.h"

/* What a signer's answer may take longer than the signer's own deadline: both loops and the socket. */
enum { SIGNER_GRACE_MS = 500 };

/* A signer that needs longer than this for its first channel is worth a warning. */
enum { SETTLE_MS = 10 * 1000 };

void
app_link_init(struct app_authority *a)
{
	list_init(&a->links.fronts);
	a->links.began_ms = clock_mono_ms();
}

static void
on_signer_message(struct ipc *ipc, struct ipc_message *message, void *arg)
{
	/* Only answers come from the signer; one that nobody waits for any more is of no use. */
	log_event(SIGNER_LATE, (unsigned)message->type);
}

static void
on_signer_closed(struct ipc *ipc, void *arg)
{
	struct app_authority *a = arg;

	if (a->links.signer == ipc)
		a->links.signer = NULL;
	log_event(LINK_CLOSED, ipc_role_name(ROLE_SIGNER), 0U);
	ipc_free(ipc);
}

int
app_link_signer(struct app_authority *a, int fd)
{
	struct ipc_handlers handlers = {on_signer_message, on_signer_closed, a};
	struct ipc *old = a->links.signer;
	struct ipc *fresh;
	int status = ipc_new(a->loop, fd, ROLE_AUTHORITY, ROLE_SIGNER, &handlers, &fresh);

	if (status != 0)
		return status;
	a->links.signer = fresh;
	ipc_free(old);
	if (a->store != NULL) {
		a->internal.retry_ms = 0;
		app_internal_check(a);
		app_publish_wake(a);
	}
	return 0;
}

static void
front_free(struct app_front *front)
{
	struct list *pos, *tmp;

	list_each (pos, tmp, &front->replies) {
		struct app_reply *reply = list_entry(pos, struct app_reply, link);

		reply->front = NULL;
		list_remove(&reply->link);
	}
	list_remove(&front->link);
	ipc_free(front->ipc);
	free(front);
}

static void
on_front_closed(struct ipc *ipc, void *arg)
{
	log_event(LINK_CLOSED, ipc_role_name(ROLE_FRONT), ipc_index(ipc));
	front_free(arg);
}

/* Decodes and hands on one request of a front; ERR_FORMAT for what is no request. */
static int
dispatch(struct app_front *front, const struct ipc_message *message)
{
	struct msg_transaction transaction;
	struct msg_enroll enroll;
	struct msg_ocsp_ask ocsp;
	struct msg_get_cert get;
	struct msg_tls_request tls;
	struct msg_admin admin;
	struct msg_registration registration;

	switch (message->type) {
	case MSG_TRANSACTION:
		if (msg_transaction_get(message->body, &transaction) != 0)
			return ERR_FORMAT;
		app_pending_transaction(front, message->id, &transaction);
		return 0;
	case MSG_ENROLL:
		if (msg_enroll_get(message->body, &enroll) != 0)
			return ERR_FORMAT;
		app_enroll_request(front, message->id, &enroll);
		return 0;
	case MSG_OCSP_ASK:
		if (msg_ocsp_ask_get(message->body, &ocsp) != 0)
			return ERR_FORMAT;
		app_responder_ask(front, message->id, &ocsp);
		return 0;
	case MSG_GET_CERT:
		if (msg_get_cert_get(message->body, &get) != 0)
			return ERR_FORMAT;
		app_pending_certificate(front, message->id, &get);
		return 0;
	case MSG_TLS_REQUEST:
		if (msg_tls_request_get(message->body, &tls) != 0)
			return ERR_FORMAT;
		app_internal_tls(front, message->id, &tls);
		return 0;
	case MSG_ADMIN:
		if (msg_admin_get(message->body, &admin) != 0)
			return ERR_FORMAT;
		app_admin_request(front, message->id, &admin);
		return 0;
	case MSG_REGISTRATION:
		if (msg_registration_get(message->body, &registration) != 0)
			return ERR_FORMAT;
		app_regserve_request(front, message->id, &registration);
		return 0;
	default:
		return ERR_FORMAT;
	}
}

static void
on_front_message(struct ipc *ipc, struct ipc_message *message, void *arg)
{
	struct app_front *front = arg;

	if (dispatch(front, message) == 0)
		return;
	/* Our own front never sends this; what does is not our front any more. */
	log_event(IPC_REFUSED, ipc_role_name(ROLE_FRONT), ipc_role_name(ROLE_AUTHORITY), (unsigned)message->type,
		  "malformed");
	front_free(front);
}

static struct app_front *
front_find(struct app_authority *a, unsigned index)
{
	struct list *pos, *tmp;

	list_each (pos, tmp, &a->links.fronts) {
		struct app_front *front = list_entry(pos, struct app_front, link);

		if (ipc_index(front->ipc) == index)
			return front;
	}
	return NULL;
}

int
app_link_front(struct app_authority *a, unsigned index, int fd)
{
	struct app_front *front = calloc(1, sizeof(*front));
	struct app_front *old = front_find(a, index);
	struct ipc_handlers handlers = {on_front_message, on_front_closed, front};
	int status;

	if (front == NULL)
		return ERR_NOMEM;
	front->authority = a;
	list_init(&front->link);
	list_init(&front->replies);
	status = ipc_new(a->loop, fd, ROLE_AUTHORITY, ROLE_FRONT, &handlers, &front->ipc);
	if (status != 0) {
		free(front);
		return status;
	}
	ipc_set_index(front->ipc, index);
	if (old != NULL)
		front_free(old);
	list_append(&a->links.fronts, &front->link);
	app_publish_greet(front);
	return 0;
}

void
app_link_fini(struct app_authority *a)
{
	struct list *pos, *tmp;

	list_each (pos, tmp, &a->links.fronts)
		front_free(list_entry(pos, struct app_front, link));
	ipc_free(TAKE(a->links.signer));
}

void
app_reply_open(struct app_reply *reply, struct app_front *front, uint64_t id)
{
	reply->front = front;
	reply->id = id;
	list_init(&reply->link);
	list_append(&front->replies, &reply->link);
}

void
app_reply_send(struct app_reply *reply, const struct msg_decision *decision)
{
	struct app_front *front = reply->front;
	int status;

	reply->front = NULL;
	list_remove(&reply->link);
	if (front == NULL)
		return;
	status = msg_decision_send(front->ipc, reply->id, decision);
	if (status != 0)
		log_event(FAILURE, "answering the front", err_name(status), 0U, log_text("the answer was dropped"));
}

void
app_reply_status(struct app_reply *reply, int status, int fail_info, const char *text)
{
	struct msg_decision decision = {.status = (uint8_t)status, .fail_info = (uint8_t)fail_info};

	snprintf(decision.text, sizeof(decision.text), "%s", text == NULL ? "" : text);
	app_reply_send(reply, &decision);
}

void
app_reply_retry(struct app_reply *reply, int code)
{
	struct msg_decision decision = {.status = STATUS_RETRY, .code = code};

	app_reply_send(reply, &decision);
}

int
app_link_signature(const struct app_issuer *issuer, int code, const struct ipc_message *message,
		   struct bytes *ret_signature, struct err *e)
{
	struct msg_signature m;

	if (code != 0)
		return err_set(e, code, 0, "the signer did not answer");
	if (message->type != MSG_SIGNATURE || msg_signature_get(message->body, &m) != 0)
		return err_set(e, ERR_FORMAT, 0, "the signer's answer is malformed");
	if (m.code != 0)
		return err_set(e, (int)m.code, m.detail, "signer: %s", m.text);
	if (m.signature.len == 0)
		return err_set(e, ERR_FORMAT, 0, "the signer's answer has no signature");
	if (!bytes_equal(m.algorithm, issuer->algorithm))
		return err_set(e, ERR_ALG, 0, "the signer used another algorithm than the CA's");
	*ret_signature = m.signature;
	return 0;
}

bool
app_link_settling(const struct app_authority *a)
{
	return a->links.signer == NULL && clock_mono_ms() - a->links.began_ms < SETTLE_MS;
}

int
app_link_timeout(const struct app_authority *a)
{
	int own = a->conf->signer_deadline_ms + SIGNER_GRACE_MS;

	return own < a->conf->scep_timeout_ms ? own : a->conf->scep_timeout_ms;
}
