#include "tests/lib/office.h"

#include <ftw.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <unistd.h>

#include "board/base/clock.h"
#include "tests/lib/certs.h"
#include "tests/lib/test.h"

/* ---- the stand-in signer ---- */

static EVP_PKEY *
key_of(struct office *o, int key_class)
{
	return key_class == KEY_CA || key_class == KEY_CRL ? o->ca_key : certs_rsa();
}

static void
answer_sign(struct office *o, uint64_t id, const struct msg_sign *m)
{
	struct msg_signature answer = {0};
	struct bytes signature = {NULL, 0};

	o->asked++;
	if (o->mood == OFFICE_SILENT)
		return;
	if (o->mood == OFFICE_FAILS) {
		answer.code = ERR_TOKEN;
		snprintf(answer.text, sizeof(answer.text), "removed");
	} else {
		o->signatures[m->key_class]++;
		signature = certs_sign(key_of(o, m->key_class), EVP_sha256(), m->data);
		answer.algorithm = o->authority.issuer.algorithm;
		answer.signature = signature;
	}
	if (o->mood == OFFICE_WRONG_ALGORITHM)
		answer.algorithm = (struct bytes){(const uint8_t *)"\x30\x00", 2};
	assert_int_equal(msg_signature_send(o->signer, id, &answer), 0);
	free((void *)signature.data);
}

static void
on_signer_message(struct ipc *ipc, struct ipc_message *message, void *arg)
{
	struct office *o = arg;
	struct msg_token_state state = {.usable = 1, .label = "stand-in", .workers = 1};
	struct msg_public_key ask;
	struct msg_spki spki = {0};
	struct msg_sign sign;

	if (message->type == MSG_SIGN) {
		assert_int_equal(msg_sign_get(message->body, &sign), 0);
		answer_sign(o, message->id, &sign);
	} else if (message->type == MSG_PUBLIC_KEY) {
		assert_int_equal(msg_public_key_get(message->body, &ask), 0);
		/* A token that was made before OCSP has no key for it. */
		if (ask.key_class == KEY_OCSP)
			spki.code = ERR_UNKNOWN;
		else
			spki.spki = certs_spki(key_of(o, ask.key_class));
		assert_int_equal(msg_spki_send(ipc, message->id, &spki), 0);
		free((void *)spki.spki.data);
	} else if (message->type == MSG_TOKEN_STATUS) {
		assert_int_equal(msg_token_state_send(ipc, message->id, &state), 0);
	}
}

static void
on_signer_closed(struct ipc *ipc, void *arg)
{
	struct office *o = arg;

	ipc_free(ipc);
	o->signer = NULL;
}

void
office_connect_signer(struct office *o)
{
	struct ipc_handlers handlers = {on_signer_message, on_signer_closed, o};
	int fds[2];

	office_drop_signer(o);
	assert_int_equal(ipc_pair(fds, NULL), 0);
	assert_int_equal(ipc_new(o->loop, fds[0], ROLE_SIGNER, ROLE_AUTHORITY, &handlers, &o->signer), 0);
	assert_int_equal(app_link_signer(&o->authority, fds[1]), 0);
}

void
office_drop_signer(struct office *o)
{
	ipc_free(o->signer);
	o->signer = NULL;
}

/* ---- the stand-in front ---- */

static void
take_decision(struct office_front *front, struct bytes body)
{
	assert_int_equal(msg_decision_get(body, &front->last), 0);
	assert_true(front->last.certificate.len <= sizeof(front->certificate));
	if (front->last.certificate.len > 0)
		memcpy(front->certificate, front->last.certificate.data, front->last.certificate.len);
	front->last.certificate.data = front->certificate;
	front->answers++;
	front->issued += front->last.status == STATUS_ISSUED;
	front->refused += front->last.status == STATUS_REFUSED;
	front->retries += front->last.status == STATUS_RETRY;
	front->unknown += front->last.status == STATUS_NONE;
}

static void
take_crl(struct office_front *front, const struct msg_crl *m)
{
	uint8_t *place = m->delta != 0 ? front->delta : front->crl;

	assert_true(m->crl.len <= sizeof(front->crl));
	memcpy(place, m->crl.data, m->crl.len);
	if (m->delta != 0) {
		front->delta_len = m->crl.len;
		front->deltas++;
	} else {
		front->crl_len = m->crl.len;
		front->crls++;
	}
}

static void
on_front_message(struct ipc *ipc, struct ipc_message *message, void *arg)
{
	struct office_front *front = &((struct office *)arg)->front;
	struct msg_identity identity;
	struct msg_crl crl;

	if (message->type == MSG_DECISION) {
		take_decision(front, message->body);
	} else if (message->type == MSG_IDENTITY) {
		assert_int_equal(msg_identity_get(message->body, &identity), 0);
		front->identities++;
		front->decrypt_count = identity.ra_decrypt.count;
	} else if (message->type == MSG_CRL) {
		assert_int_equal(msg_crl_get(message->body, &crl), 0);
		take_crl(front, &crl);
	}
}

static void
on_front_closed(struct ipc *ipc, void *arg)
{
	struct office *o = arg;

	ipc_free(ipc);
	o->front.ipc = NULL;
}

void
office_connect_front(struct office *o)
{
	struct ipc_handlers handlers = {on_front_message, on_front_closed, o};
	int fds[2];

	office_drop_front(o);
	assert_int_equal(ipc_pair(fds, NULL), 0);
	assert_int_equal(ipc_new(o->loop, fds[0], ROLE_FRONT, ROLE_AUTHORITY, &handlers, &o->front.ipc), 0);
	assert_int_equal(app_link_front(&o->authority, 0, fds[1]), 0);
}

void
office_drop_front(struct office *o)
{
	ipc_free(o->front.ipc);
	o->front.ipc = NULL;
}

/* ---- the office ---- */

static void
start(struct office *o, bool with_signer)
{
	struct msg_ca_chain chain = {.certificates = {.item = {o->ca_der}, .count = 1}};
	struct err e = {0};

	assert_int_equal(loop_new(&o->loop), 0);
	o->mood = OFFICE_SIGNS;
	app_state_init(&o->authority, o->loop);
	assert_int_equal(app_state_configure(&o->authority, &o->conf, &e), 0);
	assert_int_equal(app_generation_take(&o->authority, &chain, &e), 0);
	if (with_signer)
		office_connect_signer(o);
	if (app_state_open(&o->authority, &e) != 0)
		fail_msg("app_state_open: %s", e.text);
	o->open = true;
	office_connect_front(o);
	if (with_signer)
		OFFICE_UNTIL(o, o->front.identities > 0 && o->front.crls > 0);
}

void
office_open(struct office *o, bool with_signer)
{
	memset(o, 0, sizeof(*o));
	snprintf(o->folder, sizeof(o->folder), "/tmp/office.XXXXXX");
	assert_non_null(mkdtemp(o->folder));
	o->ca_key = certs_ec("P-256");
	o->ca_der = certs_ca(o->ca_key);
	config_default(&o->conf);
	snprintf(o->conf.paths_state, sizeof(o->conf.paths_state), "%s", o->folder);
	o->conf.store_cache_mib = 1;
	start(o, with_signer);
}

void
office_reload(struct office *o)
{
	CHECK_INT(app_state_configure(&o->authority, &o->conf, NULL), 0);
}

void
office_open_again(struct office *o, bool with_signer)
{
	memset(&o->front, 0, sizeof(o->front));
	memset(o->signatures, 0, sizeof(o->signatures));
	o->asked = 0;
	start(o, with_signer);
}

void
office_stop(struct office *o)
{
	if (!o->open)
		return;
	o->open = false;
	app_state_fini(&o->authority);
	office_drop_front(o);
	office_drop_signer(o);
	loop_free(o->loop);
	o->loop = NULL;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void
office_close(struct office *o)
{
	office_stop(o);
	(void)nftw(o->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	EVP_PKEY_free(o->ca_key);
	free((void *)o->ca_der.data);
}

static void
on_done(struct app_store_request *request, void *arg)
{
	*(bool *)arg = true;
}

static void
run_request(struct office *o, struct app_store_request *request)
{
	bool done = false;

	request->done = on_done;
	request->arg = &done;
	assert_int_equal(app_store_submit(o->authority.store, request), 0);
	OFFICE_UNTIL(o, done);
}

void
office_challenge(struct office *o, const char *text, int64_t expires)
{
	struct app_store_request request = {.op = APP_STORE_CHALLENGE};

	request.now = expires - 3600 < clock_wall() ? expires - 3600 : clock_wall();
	request.expires = expires;
	request.max_open = 100000;
	snprintf(request.actor, sizeof(request.actor), "test");
	app_challenge_hash(o->authority.challenge_key, bytes_of_text(text), request.challenge_hash);
	run_request(o, &request);
	assert_int_equal(request.code, 0);
	app_store_request_fini(&request);
}

struct app_store_counts
office_counts(struct office *o)
{
	struct app_store_request request = {.op = APP_STORE_COUNTS, .now = clock_wall()};
	struct app_store_counts counts;

	run_request(o, &request);
	assert_int_equal(request.code, 0);
	counts = request.counts;
	app_store_request_fini(&request);
	return counts;
}

static void
add_san(X509_REQ *csr, const char *san)
{
	STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);

	assert_non_null(extension);
	assert_true(sk_X509_EXTENSION_push(list, extension) > 0);
	assert_int_equal(X509_REQ_add_extensions(csr, list), 1);
	sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
}

/* Takes name. */
static struct bytes
make_csr(EVP_PKEY *key, X509_NAME *name, const char *challenge, const char *san)
{
	X509_REQ *csr = X509_REQ_new();
	unsigned char *der = NULL;
	int len;

	assert_int_equal(X509_REQ_set_subject_name(csr, name), 1);
	assert_int_equal(X509_REQ_set_pubkey(csr, key), 1);
	if (challenge != NULL)
		assert_int_equal(X509_REQ_add1_attr_by_NID(csr, NID_pkcs9_challengePassword, MBSTRING_UTF8,
							   (const unsigned char *)challenge, -1),
				 1);
	if (san != NULL)
		add_san(csr, san);
	assert_true(X509_REQ_sign(csr, key, EVP_sha256()) > 0);
	len = i2d_X509_REQ(csr, &der);
	assert_true(len > 0);
	X509_NAME_free(name);
	X509_REQ_free(csr);
	return (struct bytes){der, (size_t)len};
}

struct bytes
office_csr(EVP_PKEY *key, const char *cn, const char *challenge, const char *san)
{
	X509_NAME *name = X509_NAME_new();

	assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0),
			 1);
	return make_csr(key, name, challenge, san);
}

struct bytes
office_csr_of(EVP_PKEY *key, const char *subject, const char *challenge)
{
	const unsigned char *p;
	X509_NAME *name;
	AUTO_BUF der;

	buf_init(&der, 4096);
	assert_int_equal(app_name_parse(subject, &der, NULL), 0);
	p = der.data;
	name = d2i_X509_NAME(NULL, &p, (long)der.len);
	assert_non_null(name);
	return make_csr(key, name, challenge, NULL);
}

void
office_ask(struct office *o, const char *transaction, struct bytes csr, EVP_PKEY *signer)
{
	struct msg_enroll m = {.message_type = 19, .csr = csr, .peer = "192.0.2.1"};

	snprintf(m.profile, sizeof(m.profile), "%s", o->profile != NULL ? o->profile : "");
	m.transaction_id = bytes_of_text(transaction);
	m.signer = certs_self_signed(signer, EVP_sha256());
	assert_int_equal(msg_enroll_send(o->front.ipc, 1, &m), 0);
	free((void *)m.signer.data);
}

void
office_enroll(struct office *o, const char *transaction, EVP_PKEY *key, const char *challenge)
{
	struct bytes csr = office_csr(key, transaction, challenge, NULL);
	int before = o->front.answers;

	office_ask(o, transaction, csr, key);
	OFFICE_UNTIL(o, o->front.answers > before);
	assert_int_equal(o->front.answers, before + 1);
	free((void *)csr.data);
}

void
office_lookup(struct office *o, const char *transaction, EVP_PKEY *key)
{
	struct bytes spki = certs_spki(key);
	uint8_t hash[32];
	struct msg_transaction m = {.transaction_id = bytes_of_text(transaction), .key_hash = {hash, sizeof(hash)}};
	int before = o->front.answers;

	x509_sha256(spki, hash);
	assert_int_equal(msg_transaction_send(o->front.ipc, 2, &m), 0);
	OFFICE_UNTIL(o, o->front.answers > before);
	free((void *)spki.data);
}

bool
office_certificate_good(const struct office *o)
{
	const unsigned char *p = o->front.certificate;
	X509 *cert = d2i_X509(NULL, &p, (long)o->front.last.certificate.len);
	bool good = cert != NULL && X509_verify(cert, o->ca_key) == 1;

	X509_free(cert);
	return good;
}
