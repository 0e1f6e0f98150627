#include <openssl/rsa.h>

#include "board/base/clock.h"
#include "board/base/der.h"
#include "board/base/oid.h"
#include "tests/lib/certs.h"
#include "tests/lib/office.h"
#include "tests/lib/test.h"

#define CHALLENGE "one for all"

enum { DAY_S = 86400 };

/* A device with a certificate, and a new key. */
struct world {
	struct office o;
	EVP_PKEY *key;
	EVP_PKEY *new_key;
	uint8_t der[8192];
	struct bytes cert;
	int signatures; /* of the CA */
};

/* A renewal and what is odd about it; zero is a good RenewalReq of the device. */
struct renewal {
	const char *transaction; /* NULL: "renewal" */
	uint8_t type;            /* 0: 17 */
	struct bytes signer;     /* certificate; empty: the device's */
	EVP_PKEY *by;            /* who signs; NULL: the device's key */
	const char *signed_type; /* in the attributes; NULL: as type */
	const char *signed_id;   /* NULL: the transaction */
	bool no_signature;
	bool broken;
	bool sha1;
	const char *cn;  /* NULL: "device" */
	const char *san; /* NULL: none */
	const char *challenge;
	EVP_PKEY *key; /* to be certified; NULL: the new one */
};

static void
keep_certificate(struct world *w)
{
	CHECK_INT(w->o.front.last.status, STATUS_ISSUED);
	w->cert = (struct bytes){w->der, w->o.front.last.certificate.len};
	memcpy(w->der, w->o.front.certificate, w->cert.len);
}

static void
world_open(struct world *w, const char *san)
{
	struct bytes csr;

	memset(w, 0, sizeof(*w));
	w->key = EVP_RSA_gen(2048);
	w->new_key = certs_ec("P-256");
	office_open(&w->o, true);
	CHECK_INT(secret_new(CHALLENGE, strlen(CHALLENGE), &w->o.authority.static_challenge), 0);
	csr = office_csr(w->key, "device", CHALLENGE, san);
	office_ask(&w->o, "first", csr, w->key);
	OFFICE_UNTIL(&w->o, w->o.front.answers == 1);
	free((void *)csr.data);
	keep_certificate(w);
	w->signatures = w->o.signatures[KEY_CA];
}

static void
world_close(struct world *w)
{
	clock_set_fake(-1, -1);
	EVP_PKEY_free(w->key);
	EVP_PKEY_free(w->new_key);
	office_close(&w->o);
}

static void
put_attribute(struct buf *b, struct bytes oid, const char *text)
{
	size_t outer = der_open(b, DER_SEQUENCE), set;

	der_put_oid(b, oid);
	set = der_open(b, DER_SET);
	der_put(b, DER_PRINTABLE_STRING, bytes_of_text(text));
	der_close(b, set);
	der_close(b, outer);
}

static void
put_attributes(struct buf *b, const struct renewal *r, const char *transaction, const char *type)
{
	size_t set = der_open(b, DER_SET);

	put_attribute(b, OID_SCEP_MESSAGE_TYPE, r->signed_type != NULL ? r->signed_type : type);
	put_attribute(b, OID_SCEP_TRANSACTION_ID, r->signed_id != NULL ? r->signed_id : transaction);
	der_close(b, set);
}

static void
renew(struct world *w, const struct renewal *r)
{
	const char *transaction = r->transaction != NULL ? r->transaction : "renewal";
	struct msg_enroll m = {.message_type = r->type != 0 ? r->type : 17, .digest = DIGEST_SHA256, .peer = "::1"};
	struct bytes csr = office_csr(r->key != NULL ? r->key : w->new_key, r->cn != NULL ? r->cn : "device",
				      r->challenge, r->san);
	int before = w->o.front.answers;
	struct bytes signature;
	char type[8];
	AUTO_BUF attributes;

	buf_init(&attributes, 1000);
	snprintf(type, sizeof(type), "%u", m.message_type);
	put_attributes(&attributes, r, transaction, type);
	signature =
		certs_sign(r->by != NULL ? r->by : w->key, r->sha1 ? EVP_sha1() : EVP_sha256(), buf_bytes(&attributes));
	((uint8_t *)signature.data)[9] ^= r->broken;
	m.digest = r->sha1 ? DIGEST_SHA1 : DIGEST_SHA256;
	snprintf(m.profile, sizeof(m.profile), "%s", w->o.profile != NULL ? w->o.profile : "");
	m.transaction_id = bytes_of_text(transaction);
	m.csr = csr;
	m.signer = r->signer.len > 0 ? r->signer : w->cert;
	m.attributes = buf_bytes(&attributes);
	if (!r->no_signature)
		m.signature = signature;
	CHECK_INT(msg_enroll_send(w->o.front.ipc, 1, &m), 0);
	OFFICE_UNTIL(&w->o, w->o.front.answers > before);
	free((void *)signature.data);
	free((void *)csr.data);
}

/* Refused with this failInfo, and the CA signed nothing. */
static void
check_refused(struct world *w, int fail_info, const struct renewal *r)
{
	renew(w, r);
	CHECK_INT(w->o.front.last.status, STATUS_REFUSED);
	CHECK_INT(w->o.front.last.fail_info, fail_info);
	CHECK_INT(w->o.signatures[KEY_CA], w->signatures);
}

static void
check_issued(struct world *w, const struct renewal *r)
{
	renew(w, r);
	CHECK_INT(w->o.front.last.status, STATUS_ISSUED);
	CHECK(office_certificate_good(&w->o));
	CHECK_INT(w->o.signatures[KEY_CA], ++w->signatures);
}

static void
on_done(struct app_store_request *request, void *arg)
{
	*(bool *)arg = true;
}

static void
revoke(struct world *w)
{
	struct app_store_request request = {.op = APP_STORE_REVOKE, .done = on_done};
	struct x509 cert;
	bool done = false;

	CHECK_INT(x509_parse(w->cert, &cert, NULL), 0);
	memcpy(request.serial, cert.tbs.serial.data, APP_SERIAL_SIZE);
	request.now = clock_wall();
	request.arg = &done;
	CHECK_INT(app_store_submit(w->o.authority.store, &request), 0);
	OFFICE_UNTIL(&w->o, done);
	CHECK_INT(request.code, 0);
	app_store_request_fini(&request);
}

/* A certificate of key with the CA's name as issuer, signed by by. */
static struct bytes
made_up(struct world *w, EVP_PKEY *key, EVP_PKEY *by)
{
	const unsigned char *p = w->cert.data;
	X509 *model = d2i_X509(NULL, &p, (long)w->cert.len);
	struct bytes der;

	CHECK_INT(X509_set_pubkey(model, key), 1);
	CHECK(X509_sign(model, by, EVP_sha256()) > 0);
	der = certs_der(model);
	X509_free(model);
	return der;
}

TEST(a_signer_that_is_no_certificate_of_this_ca_is_refused)
{
	struct world w;
	struct bytes own, foreign, unknown;

	world_open(&w, NULL);
	own = certs_self_signed(w.key, EVP_sha256());
	foreign = made_up(&w, w.key, certs_rsa());
	/* Signed by the CA's key, with a serial number that the store knows, but not what was issued. */
	unknown = made_up(&w, w.key, w.o.ca_key);
	check_refused(&w, SCEP_BAD_CERT_ID, &(struct renewal){.signer = own});
	check_refused(&w, SCEP_BAD_CERT_ID, &(struct renewal){.signer = foreign});
	check_refused(&w, SCEP_BAD_CERT_ID, &(struct renewal){.signer = unknown});
	check_refused(&w, SCEP_BAD_CERT_ID, &(struct renewal){.signer = w.o.ca_der});
	check_refused(&w, SCEP_BAD_CERT_ID, &(struct renewal){.signer = foreign, .type = 19});
	/* A first request after all, and signed by another key than the request's. */
	check_refused(&w, SCEP_BAD_REQUEST, &(struct renewal){.signer = own, .type = 19});
	free((void *)own.data);
	free((void *)foreign.data);
	free((void *)unknown.data);
	world_close(&w);
}

TEST(certificates_of_the_appliance_itself_do_not_renew)
{
	struct world w;
	struct bytes ra;

	world_open(&w, NULL);
	ra = w.o.authority.internal.ra[APP_RA_SIGN].certificates[0].der;
	w.o.conf.scep_renewal_subject_match = false;
	check_refused(&w, SCEP_BAD_REQUEST, &(struct renewal){.signer = ra, .by = certs_rsa()});
	world_close(&w);
}

TEST(a_signature_for_anything_else_is_refused)
{
	struct world w;

	world_open(&w, NULL);
	check_refused(&w, SCEP_BAD_MESSAGE_CHECK, &(struct renewal){.by = certs_rsa()});
	check_refused(&w, SCEP_BAD_MESSAGE_CHECK, &(struct renewal){.by = certs_rsa(), .type = 19});
	check_refused(&w, SCEP_BAD_MESSAGE_CHECK, &(struct renewal){.broken = true});
	check_refused(&w, SCEP_BAD_MESSAGE_CHECK, &(struct renewal){.no_signature = true});
	check_refused(&w, SCEP_BAD_MESSAGE_CHECK, &(struct renewal){.sha1 = true});
	check_refused(&w, SCEP_BAD_MESSAGE_CHECK, &(struct renewal){.signed_type = "20"});
	check_refused(&w, SCEP_BAD_MESSAGE_CHECK, &(struct renewal){.signed_type = "17", .type = 19});
	check_refused(&w, SCEP_BAD_MESSAGE_CHECK, &(struct renewal){.signed_id = "another"});
	w.o.conf.scep_sha1 = true;
	check_issued(&w, &(struct renewal){.sha1 = true});
	world_close(&w);
}

TEST(a_revoked_certificate_does_not_renew)
{
	struct world w;

	world_open(&w, NULL);
	revoke(&w);
	check_refused(&w, SCEP_BAD_REQUEST, &(struct renewal){0});
	check_refused(&w, SCEP_BAD_REQUEST, &(struct renewal){.type = 19});
	world_close(&w);
}

TEST(dates_are_as_configured)
{
	struct world w;
	int64_t end;

	world_open(&w, NULL);
	end = clock_wall() + (int64_t)w.o.conf.template_validity_days * DAY_S;
	w.o.conf.scep_renewal_window_days = 30;
	clock_set_fake(end - 31 * DAY_S, -1);
	check_refused(&w, SCEP_BAD_REQUEST, &(struct renewal){0});
	clock_set_fake(end + 60, -1);
	check_refused(&w, SCEP_BAD_REQUEST, &(struct renewal){0});
	w.o.conf.scep_renewal_grace_days = 7;
	clock_set_fake(end + 7 * DAY_S + 60, -1);
	check_refused(&w, SCEP_BAD_REQUEST, &(struct renewal){0});
	clock_set_fake(end + 7 * DAY_S - 60, -1);
	check_issued(&w, &(struct renewal){0});
	clock_set_fake(end - 29 * DAY_S, -1);
	check_issued(&w, &(struct renewal){.transaction = "in the window"});
	world_close(&w);
}

TEST(a_renewal_gets_no_other_name)
{
	struct world w;
	struct x509 cert;
	struct x509_extension san;

	world_open(&w, "DNS:a.example,DNS:b.example");
	check_refused(&w, SCEP_BAD_REQUEST, &(struct renewal){.cn = "other"});
	check_refused(&w, SCEP_BAD_REQUEST, &(struct renewal){.san = "DNS:c.example"});
	check_refused(&w, SCEP_BAD_REQUEST, &(struct renewal){.san = "DNS:a.example,IP:192.0.2.1"});
	/* Without a word about it the names stay. */
	check_issued(&w, &(struct renewal){0});
	CHECK_INT(x509_parse(w.o.front.last.certificate, &cert, NULL), 0);
	CHECK_INT(x509_extension_find(&cert.tbs, OID_SUBJECT_ALT_NAME, &san), 0);
	CHECK(memmem(san.value.data, san.value.len, "b.example", 9) != NULL);
	check_issued(&w, &(struct renewal){.transaction = "fewer", .san = "DNS:b.example", .cn = "DEVICE"});
	w.o.conf.scep_renewal_subject_match = false;
	check_issued(&w, &(struct renewal){.transaction = "free", .san = "DNS:c.example", .cn = "other"});
	world_close(&w);
}

TEST(the_old_key_stays_only_when_policy_allows_it)
{
	struct world w;

	world_open(&w, NULL);
	w.o.conf.scep_renewal_same_key = false;
	check_refused(&w, SCEP_BAD_REQUEST, &(struct renewal){.key = w.key});
	w.o.conf.scep_renewal_same_key = true;
	/* Clients that make the transactionID of the key have the one of the first request. */
	check_issued(&w, &(struct renewal){.key = w.key, .transaction = "first"});
	CHECK_INT(office_counts(&w.o).issued, 2);
	world_close(&w);
}

TEST(renews_by_both_message_types_and_answers_again_with_the_same)
{
	struct world w;
	uint8_t first[8192];
	size_t len;

	world_open(&w, NULL);
	check_issued(&w, &(struct renewal){0});
	len = w.o.front.last.certificate.len;
	memcpy(first, w.o.front.certificate, len);
	renew(&w, &(struct renewal){0});
	CHECK_BYTES(w.o.front.last.certificate, first, len);
	CHECK_INT(w.o.signatures[KEY_CA], w.signatures);
	check_issued(&w, &(struct renewal){.type = 19, .transaction = "by 19"});
	/* A challenge that comes along is not looked at. */
	check_issued(&w, &(struct renewal){.challenge = "wrong", .transaction = "with a challenge"});
	CHECK_INT(office_counts(&w.o).issued, 4);
	world_close(&w);
}

/* certmonger sends the challenge of its file with each request, also when it keeps the key. */
TEST(a_used_challenge_does_not_keep_a_type_19_from_renewing)
{
	struct world w;

	world_open(&w, NULL);
	check_issued(&w, &(struct renewal){.type = 19, .key = w.key, .challenge = "used", .transaction = "a"});
	check_issued(&w, &(struct renewal){.type = 19, .key = w.new_key, .challenge = "used", .transaction = "b"});
	/* For another name it is a first request, which the challenge has to vouch for. */
	check_refused(
		&w, SCEP_BAD_REQUEST,
		&(struct renewal){.type = 19, .key = w.key, .cn = "other", .challenge = "used", .transaction = "c"});
	check_issued(&w, &(struct renewal){
				 .type = 19, .key = w.key, .cn = "other", .challenge = CHALLENGE, .transaction = "d"});
	/* And so it is after the end of the old certificate. */
	clock_set_fake(time(NULL) + 800 * 86400LL, 1000);
	check_refused(&w, SCEP_BAD_REQUEST,
		      &(struct renewal){.type = 19, .key = w.key, .challenge = "used", .transaction = "e"});
	world_close(&w);
}

TEST(switched_off_there_are_first_requests_alone)
{
	struct world w;

	world_open(&w, NULL);
	w.o.conf.scep_renewal = false;
	check_refused(&w, SCEP_BAD_REQUEST, &(struct renewal){0});
	check_refused(&w, SCEP_BAD_REQUEST, &(struct renewal){.type = 19});
	check_refused(&w, SCEP_BAD_REQUEST, &(struct renewal){.type = 19, .key = w.key});
	check_issued(&w, &(struct renewal){.type = 19, .key = w.key, .challenge = CHALLENGE});
	world_close(&w);
}

/* One that does not say so renews as the settings say. */
TEST(a_profile_may_forbid_renewal_and_allow_sha1)
{
	struct world w;
	struct config_profile strict;

	world_open(&w, NULL);
	CHECK_INT(config_profile_find(&w.o.conf, bytes_of_text(""), &strict), 0);
	snprintf(strict.name, sizeof(strict.name), "once");
	strict.renewal = false;
	w.o.conf.profiles[0] = strict;
	strict.renewal = true;
	strict.sha1 = true;
	snprintf(strict.name, sizeof(strict.name), "old");
	w.o.conf.profiles[1] = strict;
	w.o.conf.profile_count = 2;
	w.o.profile = "once";
	check_refused(&w, SCEP_BAD_REQUEST, &(struct renewal){0});
	check_refused(&w, SCEP_BAD_REQUEST, &(struct renewal){.type = 19});
	w.o.profile = NULL;
	check_refused(&w, SCEP_BAD_MESSAGE_CHECK, &(struct renewal){.sha1 = true});
	w.o.profile = "old";
	check_issued(&w, &(struct renewal){.sha1 = true});
	world_close(&w);
}

TEST_MAIN(RUN(a_signer_that_is_no_certificate_of_this_ca_is_refused),
	  RUN(certificates_of_the_appliance_itself_do_not_renew), RUN(a_signature_for_anything_else_is_refused),
	  RUN(a_revoked_certificate_does_not_renew), RUN(dates_are_as_configured), RUN(a_renewal_gets_no_other_name),
	  RUN(the_old_key_stays_only_when_policy_allows_it),
	  RUN(renews_by_both_message_types_and_answers_again_with_the_same),
	  RUN(a_used_challenge_does_not_keep_a_type_19_from_renewing), RUN(switched_off_there_are_first_requests_alone),
	  RUN(a_profile_may_forbid_renewal_and_allow_sha1))
