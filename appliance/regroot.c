#include "appliance/regroot.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "appliance/ownname.h"
#include "appliance/state.h"
#include "board/base/clock.h"
#include "board/base/file.h"
#include "board/base/log.h"

enum { TBS_LIMIT = 16384, NAME_LIMIT = 4096, DAY_S = 86400, ROOT_DAYS = 20 * 365, BACKDATE_S = 3600, OPEN_MAX = 16 };

CLEANUP(EVP_PKEY, EVP_PKEY_free)

/* One certificate on its way: of the root (fn) or of a TLS server (reply). */
struct making {
	struct app_authority *authority;
	struct app_reply reply;
	app_regroot_fn fn;
	void *arg;
	enum app_usage usage;
	struct bytes spki; /* the root's, owned */
	struct bytes algorithm;
	uint8_t serial[APP_SERIAL_SIZE];
	int64_t not_before;
	int64_t not_after;
	char subject[256];
	char actor[64];
	struct buf tbs;
	struct buf cert;
	struct app_store_request request;
};

static struct making *
making_new(struct app_authority *a, enum app_usage usage, const char *actor)
{
	struct making *m = a->points.open < OPEN_MAX && !a->stopping ? calloc(1, sizeof(*m)) : NULL;

	if (m == NULL)
		return NULL;
	m->authority = a;
	m->usage = usage;
	list_init(&m->reply.link);
	buf_init(&m->tbs, TBS_LIMIT);
	buf_init(&m->cert, TBS_LIMIT);
	snprintf(m->actor, sizeof(m->actor), "%s", actor);
	a->points.open++;
	return m;
}

static void
making_free(struct making *m)
{
	m->authority->points.open--;
	free((void *)m->spki.data);
	buf_fini(&m->tbs);
	buf_fini(&m->cert);
	free(m);
}

/* Tells whoever waits, and ends. */
static void
finish(struct making *m, int code, const struct err *e)
{
	const char *text = e->text[0] != '\0' ? e->text : err_name(code);
	struct msg_decision decision = {.status = STATUS_ISSUED, .certificate = buf_bytes(&m->cert)};

	if (code == 0)
		log_event(INTERNAL_ISSUED, app_usage_name(m->usage),
			  log_hex((struct bytes){m->serial, APP_SERIAL_SIZE}), log_text(m->subject));
	else
		log_event(INTERNAL_FAILED, app_usage_name(m->usage), err_name(code), log_text(text), "-");
	if (m->fn != NULL)
		m->fn(code, text, m->arg);
	else if (code == 0)
		app_reply_send(&m->reply, &decision);
	else if (err_class(code) == ERR_CLASS_PEER)
		app_reply_status(&m->reply, STATUS_REFUSED, SCEP_BAD_REQUEST, "");
	else
		app_reply_retry(&m->reply, code);
	making_free(m);
}

/* ---- signed and stored ------------------------------------------------------------------------------------------- */

static void
on_stored(struct app_store_request *request, void *arg)
{
	struct making *m = arg;
	struct err e = request->e;
	int code = request->code;

	app_state_note(m->authority, code);
	app_store_request_fini(request);
	if (code == 0 && m->usage == APP_USAGE_REGISTRATION_ROOT)
		code = app_regpoints_set_root(m->authority, buf_bytes(&m->cert), &e);
	finish(m, code, &e);
}

static int
put(struct making *m)
{
	struct app_store_request *request = &m->request;

	request->op = APP_STORE_CA_PUT;
	request->done = on_stored;
	request->arg = m;
	request->usage = (int)m->usage;
	request->not_before = m->not_before;
	request->not_after = m->not_after;
	request->der = buf_bytes(&m->cert);
	memcpy(request->serial, m->serial, APP_SERIAL_SIZE);
	snprintf(request->subject, sizeof(request->subject), "%s", m->subject);
	snprintf(request->actor, sizeof(request->actor), "%s", m->actor);
	return app_store_submit(m->authority->store, request);
}

/* The token may have got another key since the root was made: what it signs must verify with this one. */
static int
join(struct making *m, struct bytes signature, struct err *e)
{
	AUTO(EVP_PKEY) key = NULL;
	int code = x509_spki_key(m->spki, &key, e);

	if (code == 0)
		code = x509_verify(key, m->algorithm, buf_bytes(&m->tbs), signature, e);
	if (code != 0)
		return err_set(e, code, 0, "the token's registration key is not that of the root");
	code = app_cert_join(buf_bytes(&m->tbs), m->algorithm, signature, &m->cert);
	return code != 0 ? code : buf_status(&m->cert);
}

static void
on_signed(int code, const struct ipc_message *message, void *arg)
{
	struct making *m = arg;
	struct app_issuer issuer = {.algorithm = m->algorithm};
	struct bytes signature;
	struct err e = {0};

	code = app_link_signature(&issuer, code, message, &signature, &e);
	if (code == 0)
		code = join(m, signature, &e);
	if (code == 0)
		code = put(m);
	if (code != 0)
		finish(m, code, &e);
}

static int
sign(struct making *m, enum digest digest)
{
	struct app_authority *a = m->authority;
	struct msg_sign sign = {.key_class = KEY_REGISTRATION, .digest = (uint8_t)digest, .data = buf_bytes(&m->tbs)};

	if (a->links.signer == NULL)
		return ERR_CLOSED;
	return msg_sign_call(a->links.signer, &sign, app_link_timeout(a), on_signed, m);
}

/* ---- the root ---------------------------------------------------------------------------------------------------- */

static int
build_root(struct making *m, enum digest *ret_digest, struct err *e)
{
	AUTO_BUF name;
	int code;

	buf_init(&name, NAME_LIMIT);
	m->not_before = clock_wall() - BACKDATE_S;
	m->not_after = m->not_before + (int64_t)ROOT_DAYS * DAY_S;
	code = app_signature_algorithm(m->spki, ret_digest, &m->algorithm);
	if (code == 0)
		code = app_serial_new(m->serial);
	if (code == 0)
		code = app_ownname_like(m->authority->issuer.cert.tbs.subject, " registration point", &name, e);
	if (code == 0)
		code = app_cert_build_point_root(buf_bytes(&name), m->spki, m->serial, m->not_before, m->not_after,
						 m->algorithm, &m->tbs);
	if (code == 0)
		code = buf_status(&m->tbs);
	if (code == 0)
		x509_name_text(buf_bytes(&name), m->subject, sizeof(m->subject));
	return code;
}

static int
take_key(struct making *m, int code, const struct ipc_message *message, struct err *e)
{
	struct msg_spki spki;

	if (code != 0)
		return err_set(e, code, 0, "the signer did not answer");
	if (message->type != MSG_SPKI || msg_spki_get(message->body, &spki) != 0)
		return err_set(e, ERR_FORMAT, 0, "the signer's answer is malformed");
	if (spki.code == ERR_UNKNOWN)
		return err_set(e, ERR_UNKNOWN, 0,
			       "the token has no key for it; \"chancery provision\" makes one when it is run again");
	if (spki.code != 0)
		return err_set(e, (int)spki.code, spki.detail, "signer: %s", spki.text);
	m->spki = bytes_dup(spki.spki);
	return m->spki.data != NULL ? 0 : ERR_NOMEM;
}

static void
on_key(int code, const struct ipc_message *message, void *arg)
{
	struct making *m = arg;
	struct app_authority *a = m->authority;
	enum digest digest;
	struct err e = {0};

	code = take_key(m, code, message, &e);
	if (code == 0 && a->points.root.len > 0 && bytes_equal(a->points.issuer.cert.tbs.spki, m->spki)) {
		m->fn(0, "", m->arg);
		making_free(m);
		return;
	}
	if (code == 0)
		code = build_root(m, &digest, &e);
	if (code == 0)
		code = sign(m, digest);
	if (code != 0)
		finish(m, code, &e);
}

int
app_regroot_make(struct app_authority *a, const char *actor, app_regroot_fn fn, void *arg)
{
	struct msg_public_key ask = {.key_class = KEY_REGISTRATION};
	struct making *m;
	int code;

	if (a->links.signer == NULL)
		return ERR_CLOSED;
	m = making_new(a, APP_USAGE_REGISTRATION_ROOT, actor);
	if (m == NULL)
		return ERR_BUSY;
	m->fn = fn;
	m->arg = arg;
	code = msg_public_key_call(a->links.signer, &ask, app_link_timeout(a), on_key, m);
	if (code != 0)
		making_free(m);
	return code;
}

int
app_regroot_export(const struct app_authority *a, char *path, size_t size, struct err *e)
{
	AUTO_BUF pem;

	buf_init(&pem, TBS_LIMIT);
	if (a->points.root.len == 0)
		return err_set(e, ERR_UNKNOWN, 0, "there is no root: no registration point was installed");
	snprintf(path, size, "%s/registration/root.pem", a->conf->paths_state);
	x509_pem_put(&pem, "CERTIFICATE", a->points.root);
	return file_replace(path, 0644, buf_bytes(&pem), e);
}

/* ---- TLS servers ------------------------------------------------------------------------------------------------- */

/* The key comes from the request, the names from the configuration; the request may ask for fewer, never for others. */
static int
build_server(struct making *m, const struct app_csr *csr, struct err *e)
{
	struct app_authority *a = m->authority;
	const struct app_issuer *issuer = &a->points.issuer;
	const struct app_profile *profile = a->profiles[APP_USAGE_REGISTRATION];
	struct app_subject subject = {.spki = csr->spki};
	AUTO_BUF asked;
	AUTO_BUF name;
	AUTO_BUF san;
	int code = app_profile_check(profile, csr, false, e);

	buf_init(&asked, NAME_LIMIT);
	buf_init(&name, NAME_LIMIT);
	buf_init(&san, NAME_LIMIT);
	if (code == 0)
		code = app_cert_subject(profile, csr, &asked, &subject, e);
	if (code == 0)
		code = app_ownname_tls(a->conf->front_tls_names, &name, &san, e);
	if (code == 0 && subject.san.len > 0 && !app_ownname_subset(subject.san, buf_bytes(&san)))
		code = err_set(e, ERR_DENIED, 0, "the front asks for names outside front.tls_names");
	if (code == 0)
		code = app_profile_validity(profile, clock_wall(), issuer->cert.tbs.not_before,
					    issuer->cert.tbs.not_after, &subject.not_before, &subject.not_after, e);
	if (code == 0)
		code = app_serial_new(subject.serial);
	if (code != 0)
		return code;
	subject.name = buf_bytes(&name);
	subject.san = buf_bytes(&san);
	memcpy(m->serial, subject.serial, APP_SERIAL_SIZE);
	m->not_before = subject.not_before;
	m->not_after = subject.not_after;
	x509_name_text(subject.name, m->subject, sizeof(m->subject));
	code = app_cert_build(issuer, profile, &subject, &m->tbs);
	if (code == 0)
		code = buf_status(&m->tbs);
	return code != 0 ? code : app_cert_lint(issuer, buf_bytes(&m->tbs), e);
}

static int
start_server(struct making *m, struct bytes request, struct err *e)
{
	const struct app_issuer *issuer = &m->authority->points.issuer;
	struct app_csr csr;
	int code = app_csr_parse(request, &csr, e);

	if (code != 0)
		return code;
	m->spki = bytes_dup(issuer->cert.tbs.spki);
	m->algorithm = issuer->algorithm;
	code = m->spki.data != NULL ? build_server(m, &csr, e) : ERR_NOMEM;
	app_csr_fini(&csr);
	return code != 0 ? code : sign(m, issuer->digest);
}

void
app_regroot_tls(struct app_front *front, uint64_t id, const struct msg_tls_request *ask)
{
	struct app_authority *a = front->authority;
	struct making *m = making_new(a, APP_USAGE_REGISTRATION, "system");
	struct app_reply reply;
	struct err e = {0};
	int code = 0;

	if (m == NULL) {
		app_reply_open(&reply, front, id);
		app_reply_retry(&reply, ERR_BUSY);
		return;
	}
	app_reply_open(&m->reply, front, id);
	if (a->points.count == 0 || a->points.root.len == 0)
		code = err_set(&e, ERR_DENIED, 0, "no registration point is installed");
	else if (!bucket_take(&a->internal.tls, APP_TLS_BURST, APP_TLS_REFILL_MS))
		code = err_set(&e, ERR_BUSY, 0, "the front asks too often");
	if (code == 0)
		code = start_server(m, ask->csr, &e);
	if (code != 0)
		finish(m, code, &e);
}
