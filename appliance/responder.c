#include "appliance/responder.h"

#include <string.h>

#include "appliance/state.h"
#include "board/base/clock.h"
#include "board/base/log.h"

enum { DATA_LIMIT = 4096, ANSWER_LIMIT = 16384, HOUR_S = 3600 };

/* A question under way. */
struct question {
	struct app_authority *authority;
	struct app_reply reply;
	struct app_ocsp ocsp;
	unsigned generation; /* of the CA that issued it */
	uint8_t hashes[2 * APP_OCSP_HASH_MAX];
	uint64_t changes; /* app_responder.changes when the store was asked */
	struct bytes algorithm;
	struct app_store_request request;
	struct buf data;
};

/* Sends the answer, to a front that is still there, and frees the question. */
static void
answer(struct question *q, const struct msg_ocsp_answer *m)
{
	struct app_front *front = q->reply.front;
	int status = 0;

	list_remove(&q->reply.link);
	if (front != NULL)
		status = msg_ocsp_answer_send(front->ipc, q->reply.id, m);
	if (status != 0)
		log_event(FAILURE, "answering the front", err_name(status), 0U, log_text("OCSP"));
	q->authority->responder.count--;
	app_store_request_fini(&q->request);
	buf_fini(&q->data);
	free(q);
}

static void
answer_status(struct question *q, int status)
{
	struct msg_ocsp_answer m = {.status = (uint8_t)status};

	answer(q, &m);
}

static void
fail(struct question *q, int code, const struct err *e)
{
	log_event(OCSP_FAILED, err_name(code), log_text(e->text));
	answer_status(q, APP_OCSP_TRY_LATER);
}

static void
on_signed(int code, const struct ipc_message *message, void *arg)
{
	struct question *q = arg;
	const struct app_ra_certificate *own =
		app_internal_newest(&q->authority->internal.ra[APP_RA_OCSP], q->generation);
	struct msg_ocsp_answer m = {.this_update = q->ocsp.this_update, .next_update = q->ocsp.next_update};
	struct msg_signature s = {0};
	struct err e = {0};
	AUTO_BUF out;

	buf_init(&out, ANSWER_LIMIT);
	if (code == 0 && (message->type != MSG_SIGNATURE || msg_signature_get(message->body, &s) != 0))
		code = ERR_FORMAT;
	if (code == 0 && s.code != 0)
		code = err_set(&e, (int)s.code, s.detail, "signer: %s", s.text);
	if (code == 0 && (own == NULL || !bytes_equal(s.algorithm, q->algorithm)))
		code = ERR_ALG;
	if (code == 0)
		code = app_ocsp_join(buf_bytes(&q->data), s.algorithm, s.signature, own->der, &out);
	if (code != 0) {
		fail(q, code, &e);
		return;
	}
	/* What was looked up may not hold any more. */
	if (q->changes != q->authority->responder.changes) {
		answer_status(q, APP_OCSP_TRY_LATER);
		return;
	}
	q->authority->responder.signed_count++;
	q->authority->responder.signed_last = clock_wall();
	m.response = buf_bytes(&out);
	answer(q, &m);
}

/* Fills in the times and the responder, and has it signed. */
static int
sign(struct question *q, struct err *e)
{
	struct app_authority *a = q->authority;
	const struct app_ra_certificate *own = app_internal_newest(&a->internal.ra[APP_RA_OCSP], q->generation);
	struct msg_sign m = {.key_class = KEY_OCSP};
	enum digest digest = DIGEST_SHA256;
	int64_t now = clock_wall();
	struct x509 cert;
	int status;

	if (own == NULL || a->links.signer == NULL)
		return err_set(e, ERR_CLOSED, 0, "there is no %s", own == NULL ? "OCSP certificate" : "signer");
	status = x509_parse(own->der, &cert, e);
	if (status == 0)
		status = x509_key_id(cert.tbs.spki, q->ocsp.responder);
	if (status == 0)
		status = app_signature_algorithm(cert.tbs.spki, &digest, &q->algorithm);
	if (status != 0)
		return status;
	q->ocsp.this_update = now;
	q->ocsp.next_update = now + (int64_t)a->conf->ca_ocsp_hours * HOUR_S;
	if (q->ocsp.next_update > own->not_after)
		q->ocsp.next_update = own->not_after;
	status = app_ocsp_build(&q->ocsp, &q->data);
	m.digest = (uint8_t)digest;
	m.data = buf_bytes(&q->data);
	if (status == 0)
		status = msg_sign_call(a->links.signer, &m, app_link_timeout(a), on_signed, q);
	return status;
}

static void
on_found(struct app_store_request *request, void *arg)
{
	struct question *q = arg;
	const struct app_record *record = request->records;
	struct err e = request->e;
	int status = request->code;

	if (status == ERR_UNKNOWN ||
	    (status == 0 && (request->record_count == 0 || app_usage_is_foreign(record->usage) ||
			     record->issuer != q->generation || record->not_after < clock_wall()))) {
		answer_status(q, APP_OCSP_UNAUTHORIZED);
		return;
	}
	if (status == 0) {
		q->ocsp.revoked = record->revoked;
		q->ocsp.reason = record->reason;
		status = sign(q, &e);
	}
	if (status != 0)
		fail(q, status, &e);
}

/* Do the hashes of the question name this generation of the CA?  Keeps them, as the answer has to repeat them. */
static bool
is_issuer(struct question *q, unsigned g, const struct msg_ocsp_ask *m)
{
	const struct app_authority *a = q->authority;

	q->generation = g;
	return app_generation_is_live(a, g) &&
	       app_ocsp_issuer(&a->generations[g].issuer.cert, (enum digest)m->digest, &q->ocsp.name_hash,
			       &q->ocsp.key_hash, q->hashes) == 0 &&
	       bytes_equal(q->ocsp.name_hash, m->name_hash) && bytes_equal(q->ocsp.key_hash, m->key_hash);
}

/* Is the certificate asked for one that this CA could have issued?  Keeps what the answer has to repeat. */
static bool
is_ours(struct question *q, const struct msg_ocsp_ask *m)
{
	unsigned g = CA_GENERATIONS;

	while (g > 0 && !is_issuer(q, g - 1, m))
		g--;
	if (g == 0 || m->serial.len != APP_SERIAL_SIZE)
		return false;
	q->ocsp.digest = (enum digest)m->digest;
	memcpy(q->ocsp.serial, m->serial.data, APP_SERIAL_SIZE);
	return true;
}

void
app_responder_ask(struct app_front *front, uint64_t id, const struct msg_ocsp_ask *m)
{
	struct app_authority *a = front->authority;
	struct msg_ocsp_answer later = {.status = APP_OCSP_TRY_LATER};
	struct question *q = NULL;

	if (a->responder.count < APP_RESPONDER_LIMIT && !a->stopping)
		q = calloc(1, sizeof(*q));
	if (q == NULL) {
		if (msg_ocsp_answer_send(front->ipc, id, &later) != 0)
			log_event(FAILURE, "answering the front", err_name(ERR_BUSY), 0U, log_text("OCSP"));
		return;
	}
	q->authority = a;
	a->responder.count++;
	buf_init(&q->data, DATA_LIMIT);
	app_reply_open(&q->reply, front, id);
	if (!is_ours(q, m)) {
		answer_status(q, APP_OCSP_UNAUTHORIZED);
		return;
	}
	q->changes = a->responder.changes;
	q->request.op = APP_STORE_SHOW;
	q->request.done = on_found;
	q->request.arg = q;
	memcpy(q->request.serial, q->ocsp.serial, APP_SERIAL_SIZE);
	if (app_store_submit(a->store, &q->request) != 0)
		answer_status(q, APP_OCSP_TRY_LATER);
}

void
app_responder_forget(struct app_authority *a, const uint8_t serial[APP_SERIAL_SIZE])
{
	struct msg_ocsp_forget m = {.serial = {serial, APP_SERIAL_SIZE}};
	struct list *pos, *tmp;

	a->responder.changes++;
	list_each (pos, tmp, &a->links.fronts) {
		struct app_front *front = list_entry(pos, struct app_front, link);

		if (msg_ocsp_forget_send(front->ipc, 0, &m) != 0)
			log_event(FAILURE, "telling the front of a revocation", err_name(ERR_BUSY), 0U, log_text(""));
	}
}
