#include "net/pkiop.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "board/base/clock.h"
#include "board/base/log.h"
#include "net/retry.h"
#include "net/scep.h"

enum {
	CSR_MAX = 65536, /* what is longer is no PKCS#10 request */
	REPLY_MAX = 1 << 21,
};

/* See board/base/ndes.def. */
#define NDES_INCOMPLETE    "17"
#define NDES_NOT_DECRYPTED "18"

enum state { LOOKUP, UNWRAP, DECIDE, FETCH, SIGN, STATE_COUNT };

struct net_pkiop_set {
	struct config conf;
	struct ipc *authority;
	struct ipc *signer;
	struct net_identity *identity;
	struct net_page *crl[CA_GENERATIONS];
	unsigned count;
};

struct op {
	struct net_pkiop_set *set;
	net_pkiop_fn fn;
	void *arg;
	enum state state;
	int64_t start_ms;
	int64_t deadline_ms;
	struct net_identity *identity;
	struct net_scep_request *request;
	struct net_scep_reply *reply;
	struct net_page *crl;      /* that the reply brings, or NULL */
	struct buf csr;            /* decrypted; holds the challenge */
	struct bytes serial;       /* that a GetCert asks for; in csr */
	int status;                /* STATUS_* that the reply says */
	int fail_info;             /* with STATUS_REFUSED */
	char cause[ERR_TEXT_SIZE]; /* with STATUS_REFUSED, for the log */
	const char *ndes;          /* number of NDES' event for it, or "-" */
	struct config_profile profile;
	bool microsoft;
	char peer[64];
};

/* Who is asked in a state, with what, and who takes which answer; the answer's function enters the next state. */
struct step {
	const char *name;
	int (*send)(struct op *op, int timeout_ms);
	void (*take)(struct op *op, const struct ipc_message *message);
	enum role peer;
	uint16_t answer;
};

static const struct step steps[STATE_COUNT];

static void enter(struct op *op, enum state state);

/* ---- ends ------------------------------------------------------------------------------------------------------- */

static void
finish(struct op *op, const struct net_pkiop_answer *answer)
{
	op->fn(answer, op->arg);
	op->set->count--;
	net_identity_free(op->identity);
	net_scep_request_free(op->request);
	net_scep_reply_free(op->reply);
	net_page_free(op->crl);
	buf_fini(&op->csr);
	free(op);
}

static long long
elapsed_ms(const struct op *op)
{
	return (long long)(clock_mono_ms() - op->start_ms);
}

static const char *
transaction_text(const struct op *op)
{
	return op->request != NULL ? log_bytes(op->request->transaction_id) : "-";
}

static const char *
profile_text(const struct op *op)
{
	return op->profile.name[0] != '\0' ? op->profile.name : "-";
}

/* The peer shall come again with the same message: nothing was decided, or the decision will be found by LOOKUP. */
static void
finish_retry(struct op *op, int code, const char *step, const char *text)
{
	struct net_pkiop_answer answer = {.status = 503, .retry_after_s = net_retry_seconds(code)};

	log_event(SCEP_RETRY, op->peer, transaction_text(op), step, log_text(err_name(code)), log_text(text),
		  answer.retry_after_s, elapsed_ms(op));
	finish(op, &answer);
}

/* One answer for all that is no SCEP message; the log has the cause. */
static void
finish_not_scep(struct op *op, const struct err *e)
{
	struct net_pkiop_answer answer = {.status = 400};

	log_event(SCEP_NOT_SCEP, op->peer, log_text(e->text));
	finish(op, &answer);
}

static void
finish_reply(struct op *op, struct bytes body)
{
	struct net_pkiop_answer answer = {.status = 200, .body = body};

	if (op->status == STATUS_REFUSED)
		log_event(SCEP_REFUSED, op->peer, op->request->message_type, transaction_text(op),
			  net_scep_fail_name(op->fail_info), log_text(op->cause), profile_text(op), op->ndes,
			  elapsed_ms(op));
	else
		log_event(SCEP_ANSWERED, op->peer, op->request->message_type, transaction_text(op),
			  op->status == STATUS_ISSUED ? "issued" : "pending", profile_text(op), elapsed_ms(op));
	finish(op, &answer);
}

/* ---- the reply -------------------------------------------------------------------------------------------------- */

static void
reply(struct op *op, const struct msg_decision *decision)
{
	const struct bytes ca = net_identity_ca(op->identity, decision->certificate);
	struct net_scep_answer answer = {
		.status = decision->status,
		.fail_info = (enum scep_fail)decision->fail_info,
		.text = decision->text,
		.microsoft = op->microsoft,
		.hresult = decision->hresult,
		.certificate = decision->certificate,
		.crl = op->crl != NULL ? op->crl->body : (struct bytes){NULL, 0},
		.ra_sign = net_identity_signer(op->identity, op->request),
		.extra = &ca,
		.extra_count = op->profile.certrep_ca ? 1 : 0,
		.empty_content = op->profile.certrep_empty_content,
	};
	struct err e = {0};

	op->status = decision->status;
	op->fail_info = decision->fail_info;
	if (op->cause[0] == '\0')
		snprintf(op->cause, sizeof(op->cause), "%s",
			 decision->text[0] != '\0' ? decision->text : "the authority refused");
	if (net_scep_reply_new(op->request, &answer, &op->reply, &e) != 0)
		finish_retry(op, e.code, "reply", e.text);
	else
		enter(op, SIGN);
}

static void
refuse(struct op *op, int fail_info, const char *cause)
{
	struct msg_decision decision = {.status = STATUS_REFUSED, .fail_info = (uint8_t)fail_info};

	if (cause != op->cause)
		snprintf(op->cause, sizeof(op->cause), "%s", cause);
	reply(op, &decision);
}

static void
take_decision(struct op *op, const struct ipc_message *message)
{
	struct msg_decision decision;

	if (msg_decision_get(message->body, &decision) != 0) {
		finish_retry(op, ERR_FORMAT, steps[op->state].name, "the decision is malformed");
		return;
	}
	switch (decision.status) {
	case STATUS_ISSUED:
	case STATUS_REFUSED:
	case STATUS_PENDING:
		reply(op, &decision);
		break;
	case STATUS_RETRY:
		finish_retry(op, decision.code < 0 && decision.code >= INT_MIN ? (int)decision.code : ERR_BUSY,
			     steps[op->state].name, decision.text);
		break;
	case STATUS_NONE:
		if (op->state == LOOKUP && op->request->message_type == NET_SCEP_CERT_POLL)
			refuse(op, SCEP_BAD_CERT_ID, "nothing waits for this transaction and key");
		else if (op->state == LOOKUP)
			enter(op, UNWRAP);
		else
			finish_retry(op, ERR_FORMAT, "enroll", "the authority did not decide");
		break;
	default:
		finish_retry(op, ERR_FORMAT, steps[op->state].name, "unknown status");
		break;
	}
}

/* ---- steps ------------------------------------------------------------------------------------------------------ */

static int
remaining_ms(const struct op *op)
{
	int64_t left = op->deadline_ms - clock_mono_ms();

	return left > 0 ? (int)left : 0;
}

static void on_answer(int code, const struct ipc_message *message, void *arg);

static int
send_lookup(struct op *op, int timeout_ms)
{
	uint8_t hash[32];
	struct msg_transaction ask = {
		.transaction_id = op->request->transaction_id,
		.key_hash = {hash, sizeof(hash)},
	};

	/* RFC 8894 3.2.1.1: the client chooses the id, so it is its own only together with who signs. */
	net_identity_requester_hash(op->identity, &op->request->cert, hash);
	return msg_transaction_call(op->set->authority, &ask, timeout_ms, on_answer, op);
}

/* GetCert and GetCRL: nothing is decided, so no transaction is looked up. */
static bool
is_query(const struct op *op)
{
	return op->request->message_type == NET_SCEP_GET_CERT || op->request->message_type == NET_SCEP_GET_CRL;
}

/* A recipient that is not ours is tried with our key all the same: see the head of pkiop.h. */
static int
send_unwrap(struct op *op, int timeout_ms)
{
	const struct msg_list *certs = &op->identity->is.ra_decrypt;
	const struct net_scep_recipient *to = &op->request->recipients[0];
	struct msg_unwrap ask;
	size_t which;

	if (net_scep_recipient(op->request, certs->item, certs->count, &to, &which, NULL) != 0) {
		snprintf(op->cause, sizeof(op->cause), "the message is for an unknown recipient");
		op->ndes = NDES_NOT_DECRYPTED;
	}
	ask = (struct msg_unwrap){
		.padding = (uint8_t)to->padding,
		.digest = (uint8_t)to->digest,
		.mgf_digest = (uint8_t)to->mgf_digest,
		.label = to->label,
		.key_size = (uint16_t)op->request->key_size,
		.ciphertext = to->wrapped,
	};
	return msg_unwrap_call(op->set->signer, &ask, timeout_ms, on_answer, op);
}

static void
reply_crl(struct op *op, unsigned generation)
{
	if (generation < CA_GENERATIONS && op->set->crl[generation] != NULL)
		op->crl = net_page_ref(op->set->crl[generation]);
	if (op->crl == NULL)
		finish_retry(op, ERR_CLOSED, "crl", "there is no CRL yet");
	else if (op->crl->body.len > NET_SCEP_CRL_MAX)
		refuse(op, SCEP_BAD_REQUEST, "the CRL is too large for SCEP; it is at /crl");
	else
		reply(op, &(struct msg_decision){.status = STATUS_ISSUED});
}

/* GetCRL is answered from memory; what is no query looks like what could not be decrypted. */
static void
take_query(struct op *op)
{
	unsigned generation = CA_GENERATIONS;
	struct bytes issuer;

	if (net_scep_issuer_serial(buf_bytes(&op->csr), &issuer, &op->serial) != 0)
		refuse(op, SCEP_BAD_MESSAGE_CHECK, op->cause[0] != '\0' ? op->cause : "no IssuerAndSerialNumber");
	else if ((generation = net_identity_named(op->identity, issuer, CA_GENERATIONS)) == CA_GENERATIONS)
		refuse(op, SCEP_BAD_CERT_ID, "asked about another CA");
	else if (op->request->message_type == NET_SCEP_GET_CERT ||
		 net_identity_named(op->identity, issuer, generation) < CA_GENERATIONS)
		enter(op, FETCH);
	else
		reply_crl(op, generation);
}

/* For GetCRL the certificate tells whose CRL is wanted, where the name does not; unknown ones get the newest. */
static void
take_fetched(struct op *op, const struct ipc_message *message)
{
	struct msg_decision decision;
	struct bytes issuer;
	unsigned generation;

	if (op->request->message_type != NET_SCEP_GET_CRL || msg_decision_get(message->body, &decision) != 0 ||
	    decision.status == STATUS_RETRY) {
		take_decision(op, message);
		return;
	}
	generation = net_identity_issuer(op->identity, decision.certificate);
	if (generation == CA_GENERATIONS && net_scep_issuer_serial(buf_bytes(&op->csr), &issuer, &op->serial) == 0)
		generation = net_identity_named(op->identity, issuer, CA_GENERATIONS);
	reply_crl(op, generation);
}

static void
take_unwrapped(struct op *op, const struct ipc_message *message)
{
	struct msg_unwrapped answer;
	struct err e = {0};
	uint8_t *nonsense;

	if (msg_unwrapped_get(message->body, &answer) != 0) {
		finish_retry(op, ERR_FORMAT, steps[op->state].name, "the signer's answer is malformed");
		return;
	}
	if (answer.code != 0 || answer.key.len != op->request->key_size) {
		finish_retry(op, answer.code != 0 ? (int)answer.code : ERR_FORMAT, "unwrap the content key",
			     answer.text);
		return;
	}
	if (net_scep_open(op->request, answer.key, &op->csr, &e) != 0) {
		op->ndes = NDES_NOT_DECRYPTED;
		if (op->cause[0] == '\0')
			snprintf(op->cause, sizeof(op->cause), "%s", e.text);
		/* What the authority gets instead is as long, and no request either. */
		buf_clear(&op->csr);
		nonsense = buf_put_room(&op->csr, op->request->content.len);
		if (nonsense != NULL)
			memset(nonsense, 0, op->request->content.len);
	}
	if (buf_status(&op->csr) != 0)
		finish_retry(op, buf_status(&op->csr), "decrypt", "");
	else if (is_query(op))
		take_query(op);
	else
		enter(op, DECIDE);
}

static int
send_enroll(struct op *op, int timeout_ms)
{
	struct msg_enroll ask = {
		.message_type = (uint8_t)op->request->message_type,
		.transaction_id = op->request->transaction_id,
		.csr = buf_bytes(&op->csr),
		.signer = op->request->signer,
		.attributes = op->request->attributes,
		.signature = op->request->signature,
		.digest = (uint8_t)op->request->how.digest,
		.is_pss = op->request->how.pss,
		.mgf_digest = (uint8_t)op->request->how.mgf_digest,
	};
	int rc;

	snprintf(ask.peer, sizeof(ask.peer), "%s", op->peer);
	snprintf(ask.profile, sizeof(ask.profile), "%s", op->profile.name);
	rc = msg_enroll_call(op->set->authority, &ask, timeout_ms, on_answer, op);
	buf_fini(&op->csr);
	return rc;
}

static int
send_fetch(struct op *op, int timeout_ms)
{
	struct msg_get_cert ask = {.serial = op->serial};

	snprintf(ask.peer, sizeof(ask.peer), "%s", op->peer);
	return msg_get_cert_call(op->set->authority, &ask, timeout_ms, on_answer, op);
}

static int
send_sign(struct op *op, int timeout_ms)
{
	struct msg_sign ask = {
		.key_class = KEY_RA_SIGN,
		.digest = (uint8_t)net_scep_reply_digest(op->reply),
		.data = net_scep_reply_tbs(op->reply),
	};

	return msg_sign_call(op->set->signer, &ask, timeout_ms, on_answer, op);
}

static void
take_signature(struct op *op, const struct ipc_message *message)
{
	struct msg_signature answer;
	struct err e = {0};
	AUTO_BUF out;
	int rc;

	buf_init(&out, REPLY_MAX);
	if (msg_signature_get(message->body, &answer) != 0) {
		finish_retry(op, ERR_FORMAT, steps[op->state].name, "the signer's answer is malformed");
		return;
	}
	if (answer.code != 0) {
		finish_retry(op, (int)answer.code, steps[op->state].name, answer.text);
		return;
	}
	rc = net_scep_reply_finish(op->reply, answer.signature, &out, &e);
	if (rc != 0)
		finish_retry(op, rc, "reply", e.text);
	else
		finish_reply(op, buf_bytes(&out));
}

static const struct step steps[STATE_COUNT] = {
	[LOOKUP] = {"transaction", send_lookup, take_decision, ROLE_AUTHORITY, MSG_DECISION},
	[UNWRAP] = {"unwrap", send_unwrap, take_unwrapped, ROLE_SIGNER, MSG_UNWRAPPED},
	[DECIDE] = {"enroll", send_enroll, take_decision, ROLE_AUTHORITY, MSG_DECISION},
	[FETCH] = {"certificate", send_fetch, take_fetched, ROLE_AUTHORITY, MSG_DECISION},
	[SIGN] = {"sign", send_sign, take_signature, ROLE_SIGNER, MSG_SIGNATURE},
};

static void
on_answer(int code, const struct ipc_message *message, void *arg)
{
	struct op *op = arg;
	const struct step *step = &steps[op->state];

	if (code != 0)
		finish_retry(op, code, step->name, "");
	else if (message->type != step->answer)
		finish_retry(op, ERR_FORMAT, step->name, "an answer of another type");
	else
		step->take(op, message);
}

static void
enter(struct op *op, enum state state)
{
	const struct step *step = &steps[state];
	struct ipc *peer = step->peer == ROLE_SIGNER ? op->set->signer : op->set->authority;
	int timeout_ms = remaining_ms(op);
	int rc = ERR_CLOSED;

	op->state = state;
	if (timeout_ms == 0)
		rc = ERR_TIMEOUT;
	else if (peer != NULL)
		rc = step->send(op, timeout_ms);
	if (rc != 0)
		finish_retry(op, rc, step->name, "");
}

/* ---- beginning -------------------------------------------------------------------------------------------------- */

static void
begin(struct op *op, struct bytes message)
{
	struct net_scep_policy policy = net_scep_policy_of(&op->profile);
	struct err e = {0};
	int rc = net_scep_parse(message, &policy, &op->request, &e);

	if (rc == ERR_FORMAT) {
		finish_not_scep(op, &e);
		return;
	}
	if (rc != 0) {
		finish_retry(op, rc, "parse", e.text);
		return;
	}
	if (op->request->fail_info != NET_SCEP_GOOD) {
		if (op->request->transaction_id.len == 0 || op->request->message_type < 0 ||
		    op->request->signer.len == 0)
			op->ndes = NDES_INCOMPLETE;
		refuse(op, op->request->fail_info, op->request->cause);
		return;
	}
	switch (op->request->message_type) {
	case NET_SCEP_PKCS_REQ:
	case NET_SCEP_RENEWAL_REQ:
	case NET_SCEP_GET_CERT:
	case NET_SCEP_GET_CRL:
		if (op->request->recipient_count == 0)
			refuse(op, SCEP_BAD_MESSAGE_CHECK, "the envelope has no recipient");
		else if (op->request->content.len > CSR_MAX)
			refuse(op, SCEP_BAD_REQUEST, "the content is too long for a certificate request");
		else
			enter(op, is_query(op) ? UNWRAP : LOOKUP);
		break;
	case NET_SCEP_CERT_POLL:
		/* Clients differ in what is inside, and transactionID and key say all (facts C50). */
		enter(op, LOOKUP);
		break;
	default:
		refuse(op, SCEP_BAD_REQUEST, "message type not served");
		break;
	}
}

void
net_pkiop_start(struct net_pkiop_set *set, const struct net_pkiop_ask *ask, net_pkiop_fn fn, void *arg)
{
	struct net_pkiop_answer busy = {.status = 503, .retry_after_s = net_retry_seconds(ERR_BUSY)};
	struct op *op = NULL;

	if (set->count < (unsigned)set->conf.front_requests_in_flight)
		op = calloc(1, sizeof(*op));
	if (op == NULL) {
		log_event(SCEP_RETRY, ask->peer, "-", "begin", log_text(err_name(ERR_BUSY)),
			  log_text("front.requests_in_flight"), busy.retry_after_s, 0ll);
		fn(&busy, arg);
		return;
	}
	set->count++;
	op->set = set;
	op->fn = fn;
	op->arg = arg;
	op->start_ms = clock_mono_ms();
	op->deadline_ms = op->start_ms + set->conf.scep_timeout_ms;
	buf_init(&op->csr, CSR_MAX);
	snprintf(op->peer, sizeof(op->peer), "%s", ask->peer);
	op->profile = *ask->profile;
	op->microsoft = ask->microsoft;
	op->ndes = "-";
	if (set->identity == NULL) {
		finish_retry(op, ERR_CLOSED, "begin", "the authority was not there yet");
		return;
	}
	op->identity = net_identity_ref(set->identity);
	begin(op, ask->message);
}

/* ---- the set ---------------------------------------------------------------------------------------------------- */

int
net_pkiop_set_new(const struct config *conf, struct net_pkiop_set **ret_set)
{
	struct net_pkiop_set *set = calloc(1, sizeof(*set));

	if (set == NULL)
		return ERR_NOMEM;
	set->conf = *conf;
	*ret_set = set;
	return 0;
}

void
net_pkiop_set_free(struct net_pkiop_set *set)
{
	if (set == NULL)
		return;
	BUG_ON(set->count != 0);
	net_identity_free(set->identity);
	for (unsigned g = 0; g < CA_GENERATIONS; g++)
		net_page_free(set->crl[g]);
	free(set);
}

void
net_pkiop_configure(struct net_pkiop_set *set, const struct config *conf)
{
	set->conf = *conf;
}

void
net_pkiop_set_peers(struct net_pkiop_set *set, struct ipc *authority, struct ipc *signer)
{
	set->authority = authority;
	set->signer = signer;
}

void
net_pkiop_set_crl(struct net_pkiop_set *set, unsigned generation, struct net_page *crl)
{
	struct net_page *old = set->crl[generation];

	set->crl[generation] = crl != NULL ? net_page_ref(crl) : NULL;
	net_page_free(old);
}

void
net_pkiop_set_identity(struct net_pkiop_set *set, struct net_identity *identity)
{
	struct net_identity *old = set->identity;

	set->identity = net_identity_ref(identity);
	net_identity_free(old);
}

unsigned
net_pkiop_count(const struct net_pkiop_set *set)
{
	return set->count;
}
