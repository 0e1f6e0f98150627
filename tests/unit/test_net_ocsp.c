#include "net/ocsp.h"

#include <string.h>

#include <openssl/ocsp.h>
#include <openssl/x509.h>

#include "board/base/clock.h"
#include "net/ocspkeep.h"
#include "tests/lib/certs.h"
#include "tests/lib/test.h"

enum { NOW = 1800000000, DAY = 86400 };

/* What OpenSSL sends for this many certificates; the caller frees. */
static struct bytes
request(const EVP_MD *md, int count, bool nonce)
{
	struct bytes der = certs_ca(certs_rsa());
	const unsigned char *p = der.data;
	X509 *ca = d2i_X509(NULL, &p, (long)der.len);
	OCSP_REQUEST *r = OCSP_REQUEST_new();
	unsigned char *out = NULL;
	int len;

	for (int i = 0; i < count; i++)
		assert_non_null(OCSP_request_add0_id(r, OCSP_cert_to_id(md, ca, ca)));
	if (nonce)
		CHECK_INT(OCSP_request_add1_nonce(r, NULL, -1), 1);
	len = i2d_OCSP_REQUEST(r, &out);
	CHECK(len > 0);
	OCSP_REQUEST_free(r);
	X509_free(ca);
	free((void *)der.data);
	return (struct bytes){out, (size_t)len};
}

static int
parse(struct bytes der, struct net_ocsp_id *id)
{
	int code = net_ocsp_parse(der, id);

	OPENSSL_free((void *)der.data);
	return code;
}

TEST(what_is_no_request_is_refused_wherever_it_is_cut)
{
	struct bytes good = request(EVP_sha1(), 1, true);
	uint8_t copy[512];
	struct net_ocsp_id id;

	CHECK(good.len < sizeof(copy));
	CHECK_INT(net_ocsp_parse(good, &id), 0);
	for (size_t len = 0; len < good.len; len++)
		CHECK_INT(net_ocsp_parse((struct bytes){good.data, len}, &id), ERR_FORMAT);
	memcpy(copy, good.data, good.len);
	for (size_t i = 0; i < good.len * 8; i++) {
		copy[i / 8] ^= (uint8_t)(1u << i % 8);
		if (net_ocsp_parse((struct bytes){copy, good.len}, &id) == 0)
			CHECK(id.name_hash.len == 20 && id.key_hash.len == 20 && id.serial.len <= 20);
		copy[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	copy[good.len] = 0;
	CHECK_INT(net_ocsp_parse((struct bytes){copy, good.len + 1}, &id), ERR_FORMAT);
	OPENSSL_free((void *)good.data);
}

TEST(one_certificate_by_sha1_or_sha256_is_what_is_served)
{
	struct net_ocsp_id id;

	CHECK_INT(parse(request(EVP_sha1(), 0, false), &id), ERR_FORMAT);
	CHECK_INT(parse(request(EVP_sha1(), 2, false), &id), ERR_ALG);
	CHECK_INT(parse(request(EVP_sha512(), 1, false), &id), ERR_ALG);
	CHECK_INT(parse(request(EVP_sha256(), 1, true), &id), 0);
	CHECK_INT(id.digest, DIGEST_SHA256);
	CHECK_INT(parse(request(EVP_sha1(), 1, false), &id), 0);
	CHECK_INT(id.digest, DIGEST_SHA1);
}

TEST(an_error_is_what_openssl_reads)
{
	uint8_t octets[NET_OCSP_ERROR_SIZE];
	struct bytes der = net_ocsp_error(NET_OCSP_UNAUTHORIZED, octets);
	const unsigned char *p = der.data;
	OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &p, (long)der.len);

	assert_non_null(response);
	CHECK_INT(OCSP_response_status(response), OCSP_RESPONSE_STATUS_UNAUTHORIZED);
	OCSP_RESPONSE_free(response);
}

/* ---- what is kept ------------------------------------------------------------------------------------------------ */

/* A loop's keep and an authority that answers everything with the number of its answers. */
struct rig {
	struct loop *loop;
	struct ipc *front;
	struct ipc *authority;
	struct net_ocspkeep *keep;
	struct config conf;
	int asked;
	bool refuses;
	int told;
	int status;
	uint8_t octet; /* of the answer that came last */
};

static void
on_ask(struct ipc *ipc, struct ipc_message *message, void *arg)
{
	struct rig *rig = arg;
	uint8_t octet = (uint8_t)++rig->asked;
	struct msg_ocsp_answer m = {.response = {&octet, 1}, .this_update = clock_wall()};

	m.next_update = m.this_update + DAY;
	m.status = rig->refuses ? NET_OCSP_TRY_LATER : NET_OCSP_SUCCESSFUL;
	CHECK_INT(message->type, MSG_OCSP_ASK);
	CHECK_INT(msg_ocsp_answer_send(ipc, message->id, &m), 0);
}

static void
on_late(struct ipc *ipc, struct ipc_message *message, void *arg)
{
	fail();
}

static void
on_closed(struct ipc *ipc, void *arg)
{
}

static void
rig_open(struct rig *rig)
{
	struct ipc_handlers front = {on_late, on_closed, rig};
	struct ipc_handlers authority = {on_ask, on_closed, rig};
	int fds[2];

	memset(rig, 0, sizeof(*rig));
	config_default(&rig->conf);
	rig->conf.front_ocsp_answers = 16;
	clock_set_fake(NOW, 1000);
	CHECK_INT(loop_new(&rig->loop), 0);
	CHECK_INT(ipc_pair(fds, NULL), 0);
	CHECK_INT(ipc_new(rig->loop, fds[0], ROLE_FRONT, ROLE_AUTHORITY, &front, &rig->front), 0);
	CHECK_INT(ipc_new(rig->loop, fds[1], ROLE_AUTHORITY, ROLE_FRONT, &authority, &rig->authority), 0);
	CHECK_INT(net_ocspkeep_new(&rig->conf, &rig->keep), 0);
	net_ocspkeep_set_authority(rig->keep, rig->front);
}

static void
rig_close(struct rig *rig)
{
	net_ocspkeep_set_authority(rig->keep, NULL);
	ipc_free(rig->front);
	ipc_free(rig->authority);
	net_ocspkeep_free(rig->keep);
	loop_free(rig->loop);
	clock_set_fake(-1, -1);
}

static void
on_told(struct net_page *page, int status, void *arg)
{
	struct rig *rig = arg;

	rig->told++;
	rig->status = status;
	rig->octet = page == NULL ? 0 : page->body.data[0];
}

static struct net_ocsp_id
id_of(const uint8_t *serial)
{
	static const uint8_t zeros[20];

	return (struct net_ocsp_id){DIGEST_SHA1, {zeros, 20}, {zeros, 20}, {serial, 1}};
}

/* Asks about the certificate with this serial number and waits for the answer; the number of it, 0 for none. */
static int
get(struct rig *rig, uint8_t serial)
{
	struct net_ocsp_id id = id_of(&serial);
	int before = rig->told;

	net_ocspkeep_get(rig->keep, &id, on_told, rig);
	for (int i = 0; i < 1000 && rig->told == before; i++)
		loop_run_once(rig->loop, 10);
	CHECK_INT(rig->told, before + 1);
	return rig->octet;
}

static void
settle(struct rig *rig, int asked)
{
	for (int i = 0; i < 1000 && rig->asked < asked; i++)
		loop_run_once(rig->loop, 10);
	loop_run_once(rig->loop, 10);
	loop_run_once(rig->loop, 10);
	CHECK_INT(rig->asked, asked);
}

TEST(an_answer_is_kept_and_asked_for_again_after_half_of_its_life)
{
	struct rig rig;

	rig_open(&rig);
	CHECK_INT(get(&rig, 1), 1);
	CHECK_INT(get(&rig, 1), 1);
	clock_set_fake(NOW + DAY / 2, 2000);
	CHECK_INT(get(&rig, 1), 1); /* while the next is on its way */
	settle(&rig, 2);
	CHECK_INT(get(&rig, 1), 2);
	CHECK_INT(rig.asked, 2);
	rig_close(&rig);
}

TEST(answers_go_on_to_their_end_while_no_others_are_to_be_had)
{
	struct rig rig;

	rig_open(&rig);
	CHECK_INT(get(&rig, 1), 1);
	rig.refuses = true;
	clock_set_fake(NOW + DAY - 1, 2000);
	CHECK_INT(get(&rig, 1), 1);
	settle(&rig, 2);
	CHECK_INT(get(&rig, 1), 1);
	net_ocspkeep_set_authority(rig.keep, NULL);
	CHECK_INT(get(&rig, 1), 1);
	clock_set_fake(NOW + DAY, 3000);
	CHECK_INT(get(&rig, 1), 0);
	CHECK_INT(rig.status, NET_OCSP_TRY_LATER);
	CHECK_INT(get(&rig, 2), 0);
	CHECK_INT(net_ocspkeep_count(rig.keep), 0);
	rig_close(&rig);
}

TEST(what_changed_is_forgotten_also_while_it_is_asked_for)
{
	const uint8_t serial = 1;
	struct net_ocsp_id id = id_of(&serial);
	struct rig rig;

	rig_open(&rig);
	CHECK_INT(get(&rig, 1), 1);
	CHECK_INT(get(&rig, 2), 2);
	net_ocspkeep_forget(rig.keep, (struct bytes){&serial, 1});
	CHECK_INT(get(&rig, 1), 3);
	CHECK_INT(get(&rig, 2), 2);
	net_ocspkeep_forget(rig.keep, (struct bytes){&serial, 1});
	net_ocspkeep_get(rig.keep, &id, on_told, &rig);
	net_ocspkeep_forget(rig.keep, (struct bytes){&serial, 1});
	settle(&rig, 4);
	CHECK_INT(rig.status, NET_OCSP_TRY_LATER);
	CHECK_INT(get(&rig, 1), 5);
	rig_close(&rig);
}

TEST(those_not_asked_for_longest_make_room)
{
	struct rig rig;

	rig_open(&rig);
	for (uint8_t i = 1; i <= 16; i++)
		CHECK_INT(get(&rig, i), i);
	CHECK_INT(get(&rig, 1), 1);
	CHECK_INT(get(&rig, 17), 17);
	CHECK_INT(net_ocspkeep_count(rig.keep), 16);
	CHECK_INT(get(&rig, 1), 1);
	CHECK_INT(get(&rig, 2), 18);
	rig_close(&rig);
}

TEST_MAIN(RUN(what_is_no_request_is_refused_wherever_it_is_cut),
	  RUN(one_certificate_by_sha1_or_sha256_is_what_is_served), RUN(an_error_is_what_openssl_reads),
	  RUN(an_answer_is_kept_and_asked_for_again_after_half_of_its_life),
	  RUN(answers_go_on_to_their_end_while_no_others_are_to_be_had),
	  RUN(what_changed_is_forgotten_also_while_it_is_asked_for), RUN(those_not_asked_for_longest_make_room))
