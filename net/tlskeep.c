#include "net/tlskeep.h"

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <string.h>

#include "board/base/clock.h"
#include "board/base/log.h"
#include "board/base/x509.h"
#include "net/tls.h"

enum {
	ANSWER_MS = 15000,
	RETRY_MIN_MS = 500,
	RETRY_MAX_MS = 60000,
	LIFE_MIN_S = 3, /* however short a certificate's life is, it is not renewed all the time */
};

struct net_tlskeep {
	struct loop *loop;
	struct loop_timer *timer; /* when to ask next */
	int use;
	net_tlskeep_fn fn;
	void *arg;
	char names[sizeof(((struct config *)NULL)->front_tls_names)];
	int hours;
	struct ipc *authority;
	struct net_identity *identity;
	EVP_PKEY *key; /* of the request that is on its way */
	bool is_due;   /* wanted, and not asked yet */
	bool is_asking;
	bool is_stale; /* what is on its way is out of date already */
	int64_t retry_ms;
};

static void ask(struct net_tlskeep *keep);

static void
on_timer(void *arg)
{
	ask(arg);
}

static void
retry(struct net_tlskeep *keep, const struct err *e)
{
	log_event(TLS_CERTIFICATE_DELAYED, log_text(err_name(e->code)), log_text(e->text), (long long)keep->retry_ms);
	keep->is_due = true;
	loop_timer_set(keep->timer, keep->retry_ms);
	keep->retry_ms = keep->retry_ms * 2 < RETRY_MAX_MS ? keep->retry_ms * 2 : RETRY_MAX_MS;
}

static int
take_certificate(struct net_tlskeep *keep, struct bytes der, struct err *e)
{
	const struct msg_list *chain = &keep->identity->is.chain;
	/* A registration point's certificate is right below its root, which its peers have. */
	size_t above = keep->use == TLS_FRONT ? chain->count : 0;
	SSL_CTX *context = NULL;
	struct x509 cert;
	char until[24];
	int64_t life_s;
	int rc;

	rc = x509_parse(der, &cert, e);
	if (rc == 0)
		rc = net_tls_context(keep->key, der, chain->item, above, &context, e);
	if (rc != 0)
		return rc;
	life_s = cert.tbs.not_after - clock_wall();
	loop_timer_set(keep->timer, (life_s < LIFE_MIN_S ? LIFE_MIN_S : life_s) * 1000 / 3 * 2);
	keep->retry_ms = RETRY_MIN_MS;
	log_event(TLS_CERTIFICATE, log_text(keep->names), clock_text(cert.tbs.not_after, until, sizeof(until)));
	keep->fn(keep->use, context, keep->arg);
	SSL_CTX_free(context);
	return 0;
}

static int
take_answer(struct net_tlskeep *keep, int code, const struct ipc_message *message, struct err *e)
{
	struct msg_decision decision;

	if (code != 0)
		return err_set(e, code, 0, "ask the authority for a TLS certificate");
	if (message->type != MSG_DECISION || msg_decision_get(message->body, &decision) != 0)
		return err_set(e, ERR_FORMAT, 0, "the authority's answer is no decision");
	if (decision.status != STATUS_ISSUED)
		return err_set(e, decision.status == STATUS_RETRY ? ERR_BUSY : ERR_DENIED, 0,
			       "the authority gave no TLS certificate: %s", decision.text);
	return take_certificate(keep, decision.certificate, e);
}

static void
on_answer(int code, const struct ipc_message *message, void *arg)
{
	struct net_tlskeep *keep = arg;
	struct err e = {0};

	keep->is_asking = false;
	if (take_answer(keep, code, message, &e) != 0)
		retry(keep, &e);
	EVP_PKEY_free(TAKE(keep->key));
	if (keep->is_stale)
		ask(keep);
}

static int
send_request(struct net_tlskeep *keep, struct err *e)
{
	struct msg_tls_request request = {.use = (uint8_t)keep->use};
	AUTO_BUF csr;
	int rc;

	buf_init(&csr, 4096);
	rc = net_tls_request(keep->names, &csr, &keep->key, e);
	if (rc != 0)
		return rc;
	request.csr = buf_bytes(&csr);
	rc = msg_tls_request_call(keep->authority, &request, ANSWER_MS, on_answer, keep);
	if (rc == 0)
		return 0;
	EVP_PKEY_free(TAKE(keep->key));
	return err_set(e, rc, 0, "ask the authority for a TLS certificate");
}

/* Asks now, or after what is being asked. */
static void
ask(struct net_tlskeep *keep)
{
	struct err e = {0};

	keep->is_due = true;
	if (keep->authority == NULL || keep->identity == NULL)
		return; /* asked when it comes */
	keep->is_stale = keep->is_asking;
	if (keep->is_asking)
		return;
	keep->is_due = false;
	loop_timer_set(keep->timer, -1);
	keep->is_asking = true;
	if (send_request(keep, &e) != 0) {
		keep->is_asking = false;
		retry(keep, &e);
	}
}

int
net_tlskeep_new(struct loop *loop, const struct config *conf, int use, net_tlskeep_fn fn, void *arg,
		struct net_tlskeep **ret_keep)
{
	AUTO_STRUCT(net_tlskeep) keep = calloc(1, sizeof(*keep));
	int rc;

	if (keep == NULL)
		return ERR_NOMEM;
	keep->loop = loop;
	keep->use = use;
	keep->fn = fn;
	keep->arg = arg;
	keep->retry_ms = RETRY_MIN_MS;
	rc = loop_timer_new(loop, on_timer, keep, &keep->timer);
	if (rc != 0)
		return rc;
	net_tlskeep_configure(keep, conf);
	*ret_keep = TAKE(keep);
	return 0;
}

void
net_tlskeep_configure(struct net_tlskeep *keep, const struct config *conf)
{
	if (strcmp(keep->names, conf->front_tls_names) == 0 && keep->hours == conf->front_tls_hours)
		return;
	memcpy(keep->names, conf->front_tls_names, sizeof(keep->names));
	keep->hours = conf->front_tls_hours;
	ask(keep);
}

void
net_tlskeep_set_authority(struct net_tlskeep *keep, struct ipc *authority)
{
	keep->authority = authority;
	if (!keep->is_due)
		return;
	/* Somebody came back, so what failed before may work now, if not at once then soon. */
	keep->retry_ms = RETRY_MIN_MS;
	ask(keep);
}

void
net_tlskeep_set_identity(struct net_tlskeep *keep, struct net_identity *identity)
{
	struct net_identity *old = keep->identity;
	bool is_new = old == NULL || !bytes_equal(old->is.chain.item[0], identity->is.chain.item[0]);

	keep->identity = net_identity_ref(identity);
	net_identity_free(old);
	if (is_new || keep->is_due)
		ask(keep);
}

void
net_tlskeep_free(struct net_tlskeep *keep)
{
	if (keep == NULL)
		return;
	BUG_ON(keep->is_asking);
	loop_timer_free(keep->timer);
	net_identity_free(keep->identity);
	EVP_PKEY_free(keep->key);
	free(keep);
}
