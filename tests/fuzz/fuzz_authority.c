/*
 * The authority against a broken front: each request that is a message is answered once, and whatever is asked of the
 * signer is inside the signer's limits.  Input: frames (pipework.h).  Type PROVED is an ENROLL whose request and signer
 * are made here and signed by the device's key: body is SEQUENCE { Name, attributes… }, as for fuzz_csr.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "board/base/clock.h"
#include "board/base/der.h"
#include "board/base/oid.h"
#include "hsm/sign.h"
#include "hsm/tbs.h"
#include "tests/fuzz/ground.h"
#include "tests/fuzz/pipework.h"
#include "tests/lib/certs.h"
#include "tests/lib/office.h"

enum { PROVED = 0xf0, FRAMES_MAX = 32, TURNS = 5000, OUT_MAX = 65536 };

static struct {
	struct office office;
	struct hsm_limits limits;
	struct ipc *front, *signer;
	bool closed;         /* the authority hung up on the front */
	unsigned asked[256]; /* by id: requests that wait for an answer */
	unsigned waiting;    /* all of them */
	unsigned signatures;
} w;

/* ---- the signer, which holds the authority to its limits --------------------------------------------------------- */

static void
sign(struct ipc *ipc, uint64_t id, const struct msg_sign *m)
{
	struct msg_signature answer = {.algorithm = w.office.authority.issuer.algorithm};
	EVP_PKEY *key = m->key_class == KEY_CA || m->key_class == KEY_CRL ? w.office.ca_key : certs_rsa();
	struct err e = {0};

	if (hsm_tbs_check(&w.limits, (enum key_class)m->key_class, ROLE_AUTHORITY, (enum digest)m->digest,
			  answer.algorithm, m->data, clock_wall(), &e) != 0) {
		fprintf(stderr, "%s\n", e.text);
		HOLDS(!"what the authority wants signed is inside the limits");
	}
	w.signatures++;
	answer.signature = certs_sign(key, EVP_sha256(), m->data);
	HOLDS(msg_signature_send(ipc, id, &answer) == 0);
	free((void *)answer.signature.data);
}

static void
on_signer_message(struct ipc *ipc, struct ipc_message *message, void *arg)
{
	struct msg_token_state state = {.usable = 1, .workers = 1};
	struct msg_spki spki = {.code = ERR_UNKNOWN};
	struct msg_public_key ask;
	struct msg_sign m;

	if (message->type == MSG_SIGN && msg_sign_get(message->body, &m) == 0)
		sign(ipc, message->id, &m);
	if (message->type == MSG_TOKEN_STATUS)
		HOLDS(msg_token_state_send(ipc, message->id, &state) == 0);
	if (message->type == MSG_PUBLIC_KEY && msg_public_key_get(message->body, &ask) == 0) {
		if (ask.key_class != KEY_OCSP) {
			spki.code = 0;
			spki.spki = certs_spki(ask.key_class == KEY_CA || ask.key_class == KEY_CRL ? w.office.ca_key
												   : certs_rsa());
		}
		HOLDS(msg_spki_send(ipc, message->id, &spki) == 0);
		free((void *)spki.spki.data);
	}
}

static void
connect_signer(void)
{
	const struct ipc_handlers handlers = {.on_message = on_signer_message};
	int fds[2];

	office_drop_signer(&w.office);
	HOLDS(ipc_pair(fds, NULL) == 0);
	HOLDS(ipc_new(w.office.loop, fds[0], ROLE_SIGNER, ROLE_AUTHORITY, &handlers, &w.signer) == 0);
	HOLDS(app_link_signer(&w.office.authority, fds[1]) == 0);
}

/* ---- the front --------------------------------------------------------------------------------------------------- */

static void
on_front_message(struct ipc *ipc, struct ipc_message *message, void *arg)
{
	if (message->type != MSG_DECISION && message->type != MSG_ADMIN_ANSWER && message->type != MSG_OCSP_ANSWER)
		return;
	HOLDS(message->id < 256 && w.asked[message->id] > 0);
	w.asked[message->id]--;
	w.waiting--;
}

static void
on_front_closed(struct ipc *ipc, void *arg)
{
	w.closed = true;
}

static void
connect_front(void)
{
	const struct ipc_handlers handlers = {.on_message = on_front_message, .on_closed = on_front_closed};
	int fds[2];

	ipc_free(TAKE(w.front));
	memset(w.asked, 0, sizeof(w.asked));
	w.waiting = 0;
	w.closed = false;
	HOLDS(ipc_pair(fds, NULL) == 0);
	HOLDS(ipc_new(w.office.loop, fds[0], ROLE_FRONT, ROLE_AUTHORITY, &handlers, &w.front) == 0);
	HOLDS(app_link_front(&w.office.authority, 0, fds[1]) == 0);
}

static void
ask(uint8_t type, uint8_t id, struct bytes body)
{
	if (ipc_send(w.front, type, id, body, -1) != 0)
		return;
	w.asked[id]++;
	w.waiting++;
}

/* An ENROLL that the device's key vouches for. */
static void
ask_proved(uint8_t id, struct bytes body)
{
	struct msg_enroll m = {.message_type = 19, .signer = ground_self_signed(0), .peer = "192.0.2.1"};
	struct der name;
	struct view v;
	static unsigned number;
	char transaction[20];
	AUTO_BUF out = {0};

	if (der_whole(body, DER_SEQUENCE, &v) != 0 || der_next(&v, &name) != 0)
		return;
	m.csr = certs_request(ground_rsa(0), EVP_sha256(), name.whole, (struct bytes){v.next, v.left});
	/* Each is a new one, every fourth asked twice: an answered transaction is not looked into again. */
	snprintf(transaction, sizeof(transaction), "t%u", id % 4 == 0 ? number : ++number);
	m.transaction_id = bytes_of_text(transaction);
	buf_init(&out, 2 * OUT_MAX);
	msg_enroll_put(&out, &m);
	ask(MSG_ENROLL, id, buf_bytes(&out));
	free((void *)m.csr.data);
}

static void
remove_folder(void)
{
	office_close(&w.office);
}

static void
begin(void)
{
	if (w.office.open)
		return;
	clock_set_fake(-1, -1); /* the store's threads and the office's CA live in real time */
	office_open(&w.office, true);
	HOLDS(secret_new("secret", 6, &w.office.authority.static_challenge) == 0);
	HOLDS(hsm_limits_init(w.office.ca_der, certs_spki(w.office.ca_key), w.office.conf.ca_max_validity_days,
			      &w.limits, NULL) == 0);
	office_drop_front(&w.office);
	connect_signer();
	atexit(remove_folder);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes input = {data, size}, body;
	uint8_t type, id;
	int turn;

	begin();
	connect_front();
	for (int i = 0; i < FRAMES_MAX && pipework_next(&input, &type, &id, &body); i++) {
		if (type == PROVED)
			ask_proved(id, body);
		else
			ask(type, id, body);
	}
	for (turn = 0; turn < TURNS && w.waiting > 0 && !w.closed; turn++)
		loop_run_once(w.office.loop, 2);
	HOLDS(w.waiting == 0 || w.closed);
	return 0;
}

/* ---- seeds ------------------------------------------------------------------------------------------------------- */

static void
put_proved(struct buf *out, uint8_t id, const char *subject, const char *challenge)
{
	AUTO_BUF body;
	size_t mark;

	buf_init(&body, 8192);
	mark = der_open(&body, DER_SEQUENCE);
	HOLDS(app_name_parse(subject, &body, NULL) == 0);
	certs_attribute(&body, OID_CHALLENGE_PASSWORD, DER_UTF8_STRING, bytes_of_text(challenge));
	der_close(&body, mark);
	pipework_put(out, PROVED, id, buf_bytes(&body));
}

void
fuzz_seeds(void)
{
	static const uint8_t hash[32];
	struct msg_transaction transaction = {.transaction_id = bytes_of_text("a"), .key_hash = {hash, sizeof(hash)}};
	struct msg_get_cert get = {.serial = bytes_of_text("sixteen octets.."), .peer = "192.0.2.1"};
	struct msg_admin admin = {.wants = ADMIN_CHALLENGE, .certificate = ground_issued(0), .peer = "192.0.2.1"};
	struct msg_ocsp_ask ocsp = {.name_hash = {hash, 20}, .key_hash = {hash, 20}, .serial = get.serial};
	struct msg_tls_request tls = {.csr = bytes_of_text("no request")};
	struct msg_enroll enroll = {.message_type = 17, .csr = bytes_of_text("0"), .signer = ground_issued(0)};
	AUTO_BUF out, body;

	buf_init(&out, OUT_MAX);
	buf_init(&body, OUT_MAX);
	put_proved(&out, 1, "CN=device", "secret");
	put_proved(&out, 2, "CN=other,O=Example", "wrong");
	ground_seed("proved", buf_bytes(&out));
	buf_clear(&out);
#define SEED(name, NAME, m)                                                                                            \
	do {                                                                                                           \
		buf_clear(&body);                                                                                      \
		msg_##name##_put(&body, (m));                                                                          \
		pipework_put(&out, MSG_##NAME, 3, buf_bytes(&body));                                                   \
	} while (0)
	SEED(transaction, TRANSACTION, &transaction);
	SEED(get_cert, GET_CERT, &get);
	SEED(admin, ADMIN, &admin);
	SEED(ocsp_ask, OCSP_ASK, &ocsp);
	SEED(tls_request, TLS_REQUEST, &tls);
	SEED(enroll, ENROLL, &enroll);
	ground_seed("all", buf_bytes(&out));
}
