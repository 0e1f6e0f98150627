/*
 * net/pkiop between a device (tests/lib/scepmsg) and stand-ins for the authority and the signer: they speak the real
 * messages over real channels, hold the keys in memory, and misbehave on demand.
 */
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdlib.h>

#include "board/base/clock.h"
#include "board/base/ipc.h"
#include "board/msg.h"
#include "net/pkiop.h"
#include "tests/lib/certs.h"
#include "tests/lib/scepmsg.h"
#include "tests/lib/test.h"

enum { PATIENCE_MS = 4000, ANSWERS_MAX = 8, BITS = 2048 };

/* What a stand-in does instead of its work. */
enum mood { WORKS, SILENT, BUSY, TOKEN_AWAY, GONE, RETRIES, PENDS, REFUSES, TALKS_NONSENSE };

static struct {
	struct loop *loop;
	struct config conf;
	struct config_profile profile;
	bool microsoft;
	struct net_pkiop_set *set;
	struct net_identity *identity;
	struct ipc *authority; /* front's ends */
	struct ipc *signer;
	struct ipc *to_front[2]; /* the stand-ins' ends: authority, signer */
	enum mood on_lookup;
	enum mood on_enroll;
	enum mood on_unwrap;
	enum mood on_sign;
	unsigned lookups, enrolls, unwraps, signs;
	uint8_t known_id[64]; /* the transaction that the authority knows, and its certificate */
	size_t known_id_len;
	struct bytes known;
	bool csr_was_good;
	struct net_pkiop_answer answers[ANSWERS_MAX];
	struct bytes bodies[ANSWERS_MAX];
	unsigned answered;
} w;

/* Made once: keys are slow. */
static struct {
	EVP_PKEY *ca_key, *sign_key, *decrypt_key;
	X509 *ca, *ra_sign, *ra_decrypt;
	struct scepmsg_client client;
} keys;

/* ---- the stand-ins ---------------------------------------------------------------------------------------------- */

static void
authority_decides(struct ipc *ipc, uint64_t id, int status, int fail_info, struct bytes certificate)
{
	struct msg_decision decision = {
		.status = (uint8_t)status, .fail_info = (uint8_t)fail_info, .certificate = certificate};

	CHECK_INT(msg_decision_send(ipc, id, &decision), 0);
}

static void
authority_waits(struct ipc *ipc, uint64_t id, int code)
{
	struct msg_decision decision = {.status = STATUS_RETRY, .code = code};

	CHECK_INT(msg_decision_send(ipc, id, &decision), 0);
}

/* True when the mood is the whole answer. */
static bool
authority_moody(struct ipc *ipc, uint64_t id, enum mood mood)
{
	struct bytes none = {NULL, 0};

	switch (mood) {
	case WORKS:
		return false;
	case RETRIES:
		authority_decides(ipc, id, STATUS_RETRY, 0, none);
		break;
	case TOKEN_AWAY:
		authority_waits(ipc, id, ERR_TOKEN);
		break;
	case PENDS:
		authority_decides(ipc, id, STATUS_PENDING, 0, none);
		break;
	case REFUSES:
		authority_decides(ipc, id, STATUS_REFUSED, SCEP_BAD_REQUEST, none);
		break;
	case TALKS_NONSENSE:
		authority_decides(ipc, id, 77, 0, none);
		break;
	case GONE:
		ipc_free(TAKE(w.to_front[0]));
		break;
	default:
		break;
	}
	return true;
}

static void
authority_issues(struct ipc *ipc, uint64_t id, const struct msg_enroll *ask)
{
	const unsigned char *next = ask->csr.data;
	X509_REQ *csr = d2i_X509_REQ(NULL, &next, (long)ask->csr.len);
	X509 *cert;

	w.csr_was_good = csr != NULL && X509_REQ_verify(csr, X509_REQ_get0_pubkey(csr)) == 1;
	if (!w.csr_was_good) {
		authority_decides(ipc, id, STATUS_REFUSED, SCEP_BAD_MESSAGE_CHECK, (struct bytes){NULL, 0});
		X509_REQ_free(csr);
		return;
	}
	cert = scepmsg_issue(X509_REQ_get0_pubkey(csr), "device", keys.ca, keys.ca_key);
	free((void *)(uintptr_t)w.known.data);
	w.known = scepmsg_cert_der(cert);
	memcpy(w.known_id, ask->transaction_id.data, ask->transaction_id.len);
	w.known_id_len = ask->transaction_id.len;
	authority_decides(ipc, id, STATUS_ISSUED, 0, w.known);
	X509_free(cert);
	X509_REQ_free(csr);
}

static void
authority_hears(struct ipc *ipc, struct ipc_message *message, void *arg)
{
	struct msg_transaction lookup;
	struct msg_enroll enroll;

	if (message->type == MSG_TRANSACTION) {
		w.lookups++;
		CHECK_INT(msg_transaction_get(message->body, &lookup), 0);
		CHECK_INT(lookup.key_hash.len, 32);
		if (authority_moody(ipc, message->id, w.on_lookup))
			return;
		if (bytes_equal(lookup.transaction_id, (struct bytes){w.known_id, w.known_id_len}))
			authority_decides(ipc, message->id, STATUS_ISSUED, 0, w.known);
		else
			authority_decides(ipc, message->id, STATUS_NONE, 0, (struct bytes){NULL, 0});
		return;
	}
	w.enrolls++;
	CHECK_INT(message->type, MSG_ENROLL);
	CHECK_INT(msg_enroll_get(message->body, &enroll), 0);
	CHECK_TEXT(enroll.peer, "192.0.2.9");
	CHECK_TEXT(enroll.profile, w.profile.name);
	CHECK(enroll.signer.len > 100);
	if (!authority_moody(ipc, message->id, w.on_enroll))
		authority_issues(ipc, message->id, &enroll);
}

static bool
signer_moody(struct ipc *ipc, uint64_t id, bool is_unwrap, enum mood mood)
{
	struct msg_unwrapped unwrapped = {.code = mood == BUSY ? ERR_BUSY : ERR_TOKEN};
	struct msg_signature signature = {.code = unwrapped.code};

	if (mood == WORKS)
		return false;
	if (mood == GONE)
		ipc_free(TAKE(w.to_front[1]));
	else if (mood == TALKS_NONSENSE) /* the answer to the other question */
		CHECK_INT(is_unwrap ? msg_signature_send(ipc, id, &signature) : msg_unwrapped_send(ipc, id, &unwrapped),
			  0);
	else if (mood != SILENT)
		CHECK_INT(is_unwrap ? msg_unwrapped_send(ipc, id, &unwrapped) : msg_signature_send(ipc, id, &signature),
			  0);
	return true;
}

static void
signer_unwraps(struct ipc *ipc, struct ipc_message *message)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(keys.decrypt_key, NULL);
	struct msg_unwrapped answer = {.code = 0};
	struct msg_unwrap ask;
	uint8_t key[512] = {0x5a, 0x11}; /* what takes the place of a key that is wrong */
	size_t len = sizeof(key);

	CHECK_INT(msg_unwrap_get(message->body, &ask), 0);
	CHECK_INT(EVP_PKEY_decrypt_init(context), 1);
	if (EVP_PKEY_decrypt(context, key, &len, ask.ciphertext.data, ask.ciphertext.len) != 1 || len != ask.key_size)
		len = ask.key_size;
	answer.key = (struct bytes){key, len};
	CHECK_INT(msg_unwrapped_send(ipc, message->id, &answer), 0);
	EVP_PKEY_CTX_free(context);
}

static void
signer_signs(struct ipc *ipc, struct ipc_message *message)
{
	static const EVP_MD *(*const digests[])(void) = {EVP_sha1, EVP_sha256, EVP_sha384, EVP_sha512};
	struct msg_signature answer = {.code = 0};
	struct msg_sign ask;

	CHECK_INT(msg_sign_get(message->body, &ask), 0);
	CHECK_INT(ask.key_class, KEY_RA_SIGN);
	CHECK_INT(ask.data.data[0], 0x31);
	answer.signature = certs_sign(keys.sign_key, digests[ask.digest](), ask.data);
	CHECK_INT(msg_signature_send(ipc, message->id, &answer), 0);
	free((void *)(uintptr_t)answer.signature.data);
}

static void
signer_hears(struct ipc *ipc, struct ipc_message *message, void *arg)
{
	if (message->type == MSG_UNWRAP) {
		w.unwraps++;
		if (!signer_moody(ipc, message->id, true, w.on_unwrap))
			signer_unwraps(ipc, message);
		return;
	}
	w.signs++;
	CHECK_INT(message->type, MSG_SIGN);
	if (!signer_moody(ipc, message->id, false, w.on_sign))
		signer_signs(ipc, message);
}

/* ---- front's side ----------------------------------------------------------------------------------------------- */

static void
on_front_message(struct ipc *ipc, struct ipc_message *message, void *arg)
{
}

static void
on_front_closed(struct ipc *ipc, void *arg)
{
	struct ipc **channel = ipc == w.signer ? &w.signer : &w.authority;
	struct ipc *old = TAKE(*channel);

	net_pkiop_set_peers(w.set, w.authority, w.signer);
	ipc_free(old);
}

static int
connect_to(enum role role, ipc_message_fn fn, struct ipc **ret_front, struct ipc **ret_other)
{
	struct ipc_handlers front = {.on_message = on_front_message, .on_closed = on_front_closed};
	struct ipc_handlers other = {.on_message = fn};
	int fds[2];

	if (ipc_pair(fds, NULL) != 0 || ipc_new(w.loop, fds[0], ROLE_FRONT, role, &front, ret_front) != 0)
		return -1;
	return ipc_new(w.loop, fds[1], role, ROLE_FRONT, &other, ret_other);
}

static int
set_up(void **state)
{
	struct bytes ca = scepmsg_cert_der(keys.ca);
	struct bytes ra_sign = scepmsg_cert_der(keys.ra_sign);
	struct bytes ra_decrypt = scepmsg_cert_der(keys.ra_decrypt);
	struct msg_identity message = {.chain = {{ca}, 1}, .ra_sign = ra_sign, .ra_decrypt = {{ra_decrypt}, 1}};
	int rc;

	memset(&w, 0, sizeof(w));
	config_default(&w.conf);
	if (config_profile_find(&w.conf, bytes_of_text(""), &w.profile) != 0)
		return -1;
	if (loop_new(&w.loop) != 0 || net_pkiop_set_new(&w.conf, &w.set) != 0)
		return -1;
	rc = net_identity_new(&message, &w.identity, NULL);
	free((void *)(uintptr_t)ca.data);
	free((void *)(uintptr_t)ra_sign.data);
	free((void *)(uintptr_t)ra_decrypt.data);
	if (rc != 0 || connect_to(ROLE_AUTHORITY, authority_hears, &w.authority, &w.to_front[0]) != 0 ||
	    connect_to(ROLE_SIGNER, signer_hears, &w.signer, &w.to_front[1]) != 0)
		return -1;
	net_pkiop_set_identity(w.set, w.identity);
	net_pkiop_set_peers(w.set, w.authority, w.signer);
	return 0;
}

static int
tear_down(void **state)
{
	struct ipc *authority = TAKE(w.authority);
	struct ipc *signer = TAKE(w.signer);

	net_pkiop_set_peers(w.set, NULL, NULL);
	ipc_free(authority);
	ipc_free(signer);
	ipc_free(w.to_front[0]);
	ipc_free(w.to_front[1]);
	net_pkiop_set_free(w.set);
	net_identity_free(w.identity);
	for (int i = 0; i < ANSWERS_MAX; i++)
		free((void *)(uintptr_t)w.bodies[i].data);
	free((void *)(uintptr_t)w.known.data);
	loop_run_once(w.loop, 0);
	loop_free(w.loop);
	return 0;
}

static int
make_keys(void **state)
{
	struct bytes der;

	keys.ca_key = scepmsg_rsa(BITS, 0);
	keys.sign_key = scepmsg_rsa(BITS, 0);
	keys.decrypt_key = scepmsg_rsa(BITS, 0);
	der = certs_ca(keys.ca_key);
	keys.ca = scepmsg_cert(der);
	free((void *)(uintptr_t)der.data);
	keys.ra_sign = scepmsg_issue(keys.sign_key, "RA sign", keys.ca, keys.ca_key);
	keys.ra_decrypt = scepmsg_issue(keys.decrypt_key, "RA decrypt", keys.ca, keys.ca_key);
	if (keys.ca == NULL || keys.ra_sign == NULL || keys.ra_decrypt == NULL)
		return -1;
	return scepmsg_client_new(BITS, &keys.client);
}

static int
free_keys(void **state)
{
	EVP_PKEY_free(keys.ca_key);
	EVP_PKEY_free(keys.sign_key);
	EVP_PKEY_free(keys.decrypt_key);
	X509_free(keys.ca);
	X509_free(keys.ra_sign);
	X509_free(keys.ra_decrypt);
	scepmsg_client_fini(&keys.client);
	return 0;
}

static void
on_answer(const struct net_pkiop_answer *answer, void *arg)
{
	CHECK(w.answered < ANSWERS_MAX);
	w.answers[w.answered] = *answer;
	w.bodies[w.answered] = bytes_dup(answer->body);
	w.answered++;
}

static void
start_in(struct net_pkiop_set *set, struct bytes message)
{
	struct net_pkiop_ask ask = {
		.message = message, .peer = "192.0.2.9", .profile = &w.profile, .microsoft = w.microsoft};

	net_pkiop_start(set, &ask, on_answer, NULL);
}

static void
start(struct bytes message)
{
	start_in(w.set, message);
}

static void
await(unsigned count)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;

	while (w.answered < count && clock_mono_ms() < end)
		loop_run_once(w.loop, 20);
	for (int i = 0; i < 5; i++) /* would there be one too many? */
		loop_run_once(w.loop, 1);
	CHECK_INT(w.answered, count);
	CHECK_INT(net_pkiop_count(w.set), 0);
}

static struct scepmsg_request
request_with(const struct scepmsg_options *options, X509 *recipient)
{
	struct scepmsg_csr csr = {.subject = "CN=device", .challenge = "secret"};
	struct scepmsg_request request;

	CHECK_INT(scepmsg_enroll(&keys.client, &csr, options, recipient, &request), 0);
	return request;
}

static struct scepmsg_request
good_request(void)
{
	struct scepmsg_options options = {0};

	return request_with(&options, keys.ra_decrypt);
}

/* The status of CertRep number n, which must be right in every other way; -1 with HTTP other than 200. */
static int
pki_status(unsigned n, const struct scepmsg_request *request, int *ret_fail_info)
{
	struct scepmsg_reply reply;
	struct err e = {0};
	int status;

	if (w.answers[n].status != 200)
		return -1;
	if (scepmsg_reply_parse(w.bodies[n], &keys.client, request, keys.ra_sign, &reply, &e) != 0)
		fail_msg("%s", e.text);
	status = reply.pki_status;
	CHECK_INT(reply.has_content, status == 0);
	*ret_fail_info = reply.fail_info;
	scepmsg_reply_fini(&reply);
	return status;
}

static void
expect_failure(const struct scepmsg_request *request, int fail_info)
{
	int got = -1;

	start(request->der);
	await(1);
	CHECK_INT(pki_status(0, request, &got), 2);
	CHECK_INT(got, fail_info);
}

static void
expect_retry(int lowest_s, int highest_s)
{
	struct scepmsg_request request = good_request();

	start(request.der);
	await(1);
	CHECK_INT(w.answers[0].status, 503);
	CHECK(w.answers[0].retry_after_s >= lowest_s && w.answers[0].retry_after_s <= highest_s);
	scepmsg_request_fini(&request);
}

/* ---- refused ---------------------------------------------------------------------------------------------------- */

TEST(what_is_no_scep_gets_400_and_disturbs_nobody)
{
	start(bytes_of_text("hello"));
	start(bytes_of_text(""));
	start(bytes_of_text("\x30\x80"));
	await(3);
	for (int i = 0; i < 3; i++)
		CHECK_INT(w.answers[i].status, 400);
	CHECK_INT(w.lookups + w.enrolls + w.unwraps + w.signs, 0);
}

TEST(a_truncated_message_gets_400)
{
	struct scepmsg_request request = good_request();

	for (size_t len = 0; len < request.der.len; len += 97) {
		w.answered = 0;
		start((struct bytes){request.der.data, len});
		CHECK_INT(w.answered, 1);
		CHECK_INT(w.answers[0].status, 400);
	}
	CHECK_INT(w.lookups, 0);
	scepmsg_request_fini(&request);
}

TEST(a_broken_signature_gets_bad_message_check_before_any_look_up)
{
	struct scepmsg_options options = {.broken_signature = true};
	struct scepmsg_request request = request_with(&options, keys.ra_decrypt);

	expect_failure(&request, SCEP_BAD_MESSAGE_CHECK);
	CHECK_INT(w.lookups + w.unwraps + w.enrolls, 0);
	scepmsg_request_fini(&request);
}

TEST(an_unknown_recipient_takes_the_same_way_as_a_wrong_key)
{
	struct scepmsg_options options = {0};
	struct scepmsg_request request = request_with(&options, keys.ra_sign);

	expect_failure(&request, SCEP_BAD_MESSAGE_CHECK);
	CHECK_INT(w.lookups, 1);
	CHECK_INT(w.unwraps, 1);
	CHECK_INT(w.enrolls, 1);
	CHECK(!w.csr_was_good);
	CHECK_INT(w.signs, 1);
	scepmsg_request_fini(&request);
}

TEST(content_that_is_no_request_takes_the_same_way_too)
{
	struct scepmsg_options options = {0};
	struct scepmsg_request request;

	CHECK_INT(scepmsg_build(&keys.client, bytes_of_text("no request"), &options, keys.ra_decrypt, &request), 0);
	expect_failure(&request, SCEP_BAD_MESSAGE_CHECK);
	CHECK_INT(w.lookups + w.unwraps + w.enrolls + w.signs, 4);
	CHECK(!w.csr_was_good);
	scepmsg_request_fini(&request);
}

TEST(a_csr_of_silly_length_is_refused_before_it_is_decrypted)
{
	static uint8_t silly[70000];
	struct scepmsg_options options = {0};
	struct scepmsg_request request;

	CHECK_INT(
		scepmsg_build(&keys.client, (struct bytes){silly, sizeof(silly)}, &options, keys.ra_decrypt, &request),
		0);
	expect_failure(&request, SCEP_BAD_REQUEST);
	CHECK_INT(w.unwraps, 0);
	scepmsg_request_fini(&request);
}

TEST(message_types_that_are_not_served_get_bad_request)
{
	static const char *const types[] = {"3", "18", "0"};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		struct scepmsg_options options = {.message_type = types[i]};
		struct scepmsg_request request = request_with(&options, keys.ra_decrypt);

		w.answered = 0;
		free((void *)(uintptr_t)TAKE(w.bodies[0].data));
		expect_failure(&request, SCEP_BAD_REQUEST);
		CHECK_INT(w.unwraps, 0);
		scepmsg_request_fini(&request);
	}
}

TEST(a_poll_is_answered_without_the_token)
{
	struct scepmsg_options options = {.message_type = "20"};
	struct scepmsg_request request = request_with(&options, keys.ra_decrypt);

	w.answered = 0;
	expect_failure(&request, SCEP_BAD_CERT_ID);
	CHECK_INT(w.lookups, 1);
	CHECK_INT(w.unwraps, 0);
	CHECK_INT(w.enrolls, 0);
	scepmsg_request_fini(&request);
}

TEST(queries_that_are_none_look_like_what_does_not_decrypt)
{
	static const char *const types[] = {"21", "22"};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		struct scepmsg_options options = {.message_type = types[i]};
		struct scepmsg_request request = request_with(&options, keys.ra_decrypt);

		w.answered = 0;
		free((void *)(uintptr_t)TAKE(w.bodies[0].data));
		expect_failure(&request, SCEP_BAD_MESSAGE_CHECK);
		CHECK_INT(w.lookups, 0);
		CHECK_INT(w.enrolls, 0);
		scepmsg_request_fini(&request);
	}
}

TEST(what_the_authority_refuses_is_refused)
{
	struct scepmsg_request request = good_request();

	w.on_enroll = REFUSES;
	expect_failure(&request, SCEP_BAD_REQUEST);
	scepmsg_request_fini(&request);
}

/* ---- granted ---------------------------------------------------------------------------------------------------- */

TEST(a_good_request_gets_its_certificate)
{
	struct scepmsg_request request = good_request();
	int fail_info;

	start(request.der);
	await(1);
	CHECK_INT(pki_status(0, &request, &fail_info), 0);
	CHECK(w.csr_was_good);
	CHECK_INT(w.lookups + w.unwraps + w.enrolls + w.signs, 4);
	scepmsg_request_fini(&request);
}

TEST(the_same_transaction_is_answered_without_unwrapping)
{
	struct scepmsg_request request = good_request();
	int fail_info;

	start(request.der);
	await(1);
	start(request.der);
	await(2);
	CHECK_INT(pki_status(1, &request, &fail_info), 0);
	CHECK_INT(w.unwraps, 1);
	CHECK_INT(w.enrolls, 1);
	CHECK_INT(w.signs, 2);
	scepmsg_request_fini(&request);
}

TEST(a_request_that_waits_for_an_operator_gets_pending)
{
	struct scepmsg_request request = good_request();
	int fail_info;

	w.on_enroll = PENDS;
	start(request.der);
	await(1);
	CHECK_INT(pki_status(0, &request, &fail_info), 3);
	scepmsg_request_fini(&request);
}

TEST(several_requests_at_a_time_are_not_mixed_up)
{
	struct scepmsg_request requests[ANSWERS_MAX];
	int fail_info;

	for (int i = 0; i < ANSWERS_MAX; i++)
		requests[i] = good_request();
	for (int i = 0; i < ANSWERS_MAX; i++)
		start(requests[i].der);
	CHECK_INT(net_pkiop_count(w.set), ANSWERS_MAX);
	await(ANSWERS_MAX);
	for (int i = 0; i < ANSWERS_MAX; i++) {
		CHECK_INT(pki_status((unsigned)i, &requests[i], &fail_info), 0);
		scepmsg_request_fini(&requests[i]);
	}
}

/* ---- try again -------------------------------------------------------------------------------------------------- */

TEST(a_busy_signer_makes_it_a_short_retry)
{
	w.on_unwrap = BUSY;
	expect_retry(1, 3);
	CHECK_INT(w.enrolls, 0);
}

TEST(a_missing_token_makes_it_a_long_retry)
{
	w.on_unwrap = TOKEN_AWAY;
	expect_retry(10, 10);
}

TEST(a_token_lost_before_the_reply_is_signed_makes_it_a_retry)
{
	w.on_sign = TOKEN_AWAY;
	expect_retry(10, 10);
	CHECK_INT(w.enrolls, 1);
}

TEST(an_authority_that_cannot_decide_now_makes_it_a_retry)
{
	w.on_enroll = RETRIES;
	expect_retry(1, 3);
}

TEST(the_authority_says_how_long_to_wait_by_what_is_in_the_way)
{
	w.on_enroll = TOKEN_AWAY;
	expect_retry(10, 10);
}

TEST(an_answer_that_never_comes_makes_it_a_retry_at_the_deadline)
{
	int64_t start_ms = clock_mono_ms();

	w.conf.scep_timeout_ms = 300;
	net_pkiop_configure(w.set, &w.conf);
	w.on_sign = SILENT;
	expect_retry(1, 10);
	CHECK(clock_mono_ms() - start_ms >= 300);
}

TEST(the_death_of_the_signer_in_the_middle_makes_it_a_retry)
{
	w.on_unwrap = GONE;
	expect_retry(1, 10);
	CHECK(w.signer == NULL);
}

TEST(the_death_of_the_authority_in_the_middle_makes_it_a_retry)
{
	w.on_enroll = GONE;
	expect_retry(1, 10);
}

TEST(after_a_lost_reply_the_same_message_gets_the_same_certificate)
{
	struct scepmsg_request request = good_request();
	int fail_info;

	w.on_sign = GONE;
	start(request.der);
	await(1);
	CHECK_INT(w.answers[0].status, 503);
	w.on_sign = WORKS;
	CHECK_INT(connect_to(ROLE_SIGNER, signer_hears, &w.signer, &w.to_front[1]), 0);
	net_pkiop_set_peers(w.set, w.authority, w.signer);
	start(request.der);
	await(2);
	CHECK_INT(pki_status(1, &request, &fail_info), 0);
	CHECK_INT(w.enrolls, 1);
	scepmsg_request_fini(&request);
}

/* ---- profiles --------------------------------------------------------------------------------------------------- */

static struct scepmsg_reply
reply_to(const struct scepmsg_request *request)
{
	struct scepmsg_reply reply;
	struct err e = {0};
	unsigned n = w.answered;

	start(request->der);
	await(n + 1);
	CHECK_INT(w.answers[n].status, 200);
	if (scepmsg_reply_parse(w.bodies[n], &keys.client, request, keys.ra_sign, &reply, &e) != 0)
		fail_msg("%s", e.text);
	return reply;
}

/* With it the transaction is the same one, at whatever URL it is asked for. */
TEST(a_profile_decides_what_is_in_the_answer_and_not_which_certificate)
{
	struct scepmsg_request request = good_request();
	struct scepmsg_reply plain = reply_to(&request);
	struct scepmsg_reply other;

	CHECK_INT(sk_X509_num(plain.outer), 1);
	CHECK_INT(sk_X509_num(plain.inner), 1);
	CHECK_TEXT(plain.message, "");
	snprintf(w.profile.name, sizeof(w.profile.name), "routers");
	w.profile.certrep_ca = true;
	w.microsoft = true;
	other = reply_to(&request);
	CHECK_INT(sk_X509_num(other.outer), 2);
	CHECK_INT(sk_X509_num(other.inner), 2);
	CHECK_TEXT(other.message, "Issued");
	CHECK_INT(X509_cmp(plain.issued, other.issued), 0);
	CHECK_INT(w.enrolls, 1);
	scepmsg_reply_fini(&plain);
	scepmsg_reply_fini(&other);
	scepmsg_request_fini(&request);
}

TEST(the_authority_is_told_the_profile)
{
	struct scepmsg_request request = good_request();
	int fail_info;

	snprintf(w.profile.name, sizeof(w.profile.name), "abcdefghijabcdefghijabcdefghij-9");
	start(request.der);
	await(1);
	CHECK_INT(pki_status(0, &request, &fail_info), 0);
	CHECK_INT(w.enrolls, 1);
	scepmsg_request_fini(&request);
}

TEST(each_profile_has_a_floor_of_its_own)
{
	struct scepmsg_options weak = {.digest = EVP_sha1(), .cipher = EVP_des_ede3_cbc()};
	struct scepmsg_request request = request_with(&weak, keys.ra_decrypt);
	struct scepmsg_reply reply = reply_to(&request);

	CHECK_INT(reply.fail_info, SCEP_BAD_ALG);
	scepmsg_reply_fini(&reply);
	w.profile.sha1 = true;
	reply = reply_to(&request);
	CHECK_INT(reply.fail_info, SCEP_BAD_ALG);
	scepmsg_reply_fini(&reply);
	CHECK_INT(w.unwraps, 0);
	w.profile.des3 = true;
	reply = reply_to(&request);
	CHECK_INT(reply.pki_status, 0);
	scepmsg_reply_fini(&reply);
	scepmsg_request_fini(&request);
}

TEST(without_channels_or_identity_it_is_a_retry_at_once)
{
	struct net_pkiop_set *fresh;
	struct scepmsg_request request = good_request();

	CHECK_INT(net_pkiop_set_new(&w.conf, &fresh), 0);
	start_in(fresh, request.der);
	CHECK_INT(w.answered, 1);
	net_pkiop_set_identity(fresh, w.identity);
	start_in(fresh, request.der);
	CHECK_INT(w.answered, 2);
	CHECK(w.answers[0].status == 503 && w.answers[1].status == 503);
	net_pkiop_set_free(fresh);
	scepmsg_request_fini(&request);
}

TEST(nonsense_from_other_roles_makes_it_a_retry)
{
	w.on_unwrap = TALKS_NONSENSE;
	expect_retry(1, 10);
	w.answered = 0;
	w.on_unwrap = WORKS;
	w.on_enroll = TALKS_NONSENSE;
	expect_retry(1, 10);
	w.answered = 0;
	w.on_enroll = WORKS;
	w.on_sign = TALKS_NONSENSE;
	expect_retry(1, 10);
}

TEST(more_than_may_be_in_flight_are_told_to_retry)
{
	struct scepmsg_request request = good_request();

	w.conf.front_requests_in_flight = 2;
	net_pkiop_configure(w.set, &w.conf);
	for (int i = 0; i < 4; i++)
		start(request.der);
	CHECK_INT(w.answered, 2);
	CHECK(w.answers[0].status == 503 && w.answers[1].status == 503);
	await(4);
	CHECK(w.answers[2].status == 200 && w.answers[3].status == 200);
	scepmsg_request_fini(&request);
}

#define WITH(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest list[] = {
		WITH(what_is_no_scep_gets_400_and_disturbs_nobody),
		WITH(a_truncated_message_gets_400),
		WITH(a_broken_signature_gets_bad_message_check_before_any_look_up),
		WITH(an_unknown_recipient_takes_the_same_way_as_a_wrong_key),
		WITH(content_that_is_no_request_takes_the_same_way_too),
		WITH(a_csr_of_silly_length_is_refused_before_it_is_decrypted),
		WITH(message_types_that_are_not_served_get_bad_request),
		WITH(a_poll_is_answered_without_the_token),
		WITH(queries_that_are_none_look_like_what_does_not_decrypt),
		WITH(what_the_authority_refuses_is_refused),
		WITH(a_good_request_gets_its_certificate),
		WITH(the_same_transaction_is_answered_without_unwrapping),
		WITH(a_request_that_waits_for_an_operator_gets_pending),
		WITH(several_requests_at_a_time_are_not_mixed_up),
		WITH(a_busy_signer_makes_it_a_short_retry),
		WITH(a_missing_token_makes_it_a_long_retry),
		WITH(a_token_lost_before_the_reply_is_signed_makes_it_a_retry),
		WITH(an_authority_that_cannot_decide_now_makes_it_a_retry),
		WITH(the_authority_says_how_long_to_wait_by_what_is_in_the_way),
		WITH(an_answer_that_never_comes_makes_it_a_retry_at_the_deadline),
		WITH(the_death_of_the_signer_in_the_middle_makes_it_a_retry),
		WITH(the_death_of_the_authority_in_the_middle_makes_it_a_retry),
		WITH(after_a_lost_reply_the_same_message_gets_the_same_certificate),
		WITH(a_profile_decides_what_is_in_the_answer_and_not_which_certificate),
		WITH(the_authority_is_told_the_profile),
		WITH(each_profile_has_a_floor_of_its_own),
		WITH(without_channels_or_identity_it_is_a_retry_at_once),
		WITH(nonsense_from_other_roles_makes_it_a_retry),
		WITH(more_than_may_be_in_flight_are_told_to_retry),
	};

	return test_finish((int)ARRAY_SIZE(list), cmocka_run_group_tests(list, make_keys, free_keys));
}
