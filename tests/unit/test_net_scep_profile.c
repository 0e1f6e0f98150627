/* What a SCEP profile changes in messages: capabilities, floors, Microsoft's attributes; and the inside of queries. */
#include <stdlib.h>

#include <openssl/rsa.h>

#include "board/base/oid.h"
#include "net/scep.h"
#include "tests/lib/certs.h"
#include "tests/lib/scepmsg.h"
#include "tests/lib/test.h"

/* Made once: keys are slow. */
static struct {
	struct scepmsg_client client;
	EVP_PKEY *ca_key;
	X509 *ca, *ra_sign, *issued;
	struct bytes ra_sign_der, issued_der;
	struct scepmsg_request message;
	struct net_scep_request *request;
} f;

static int
fixture_begin(void **state)
{
	const struct net_scep_policy policy = {.sha1 = false};
	const struct scepmsg_options options = {0};
	const struct scepmsg_csr csr = {.subject = "CN=device", .challenge = "secret"};

	f.ca_key = certs_ec("P-256");
	if (scepmsg_client_new(2048, &f.client) != 0)
		return -1;
	f.ca = scepmsg_self_signed(f.ca_key);
	f.ra_sign = scepmsg_issue(certs_rsa(), "RA signing", f.ca, f.ca_key);
	f.issued = scepmsg_issue(f.client.key, "device", f.ca, f.ca_key);
	f.ra_sign_der = scepmsg_cert_der(f.ra_sign);
	f.issued_der = scepmsg_cert_der(f.issued);
	if (scepmsg_enroll(&f.client, &csr, &options, f.ra_sign, &f.message) != 0)
		return -1;
	return net_scep_parse(f.message.der, &policy, &f.request, NULL);
}

static int
fixture_end(void **state)
{
	net_scep_request_free(f.request);
	scepmsg_request_fini(&f.message);
	scepmsg_client_fini(&f.client);
	EVP_PKEY_free(f.ca_key);
	X509_free(f.ca);
	X509_free(f.ra_sign);
	X509_free(f.issued);
	free((void *)f.ra_sign_der.data);
	free((void *)f.issued_der.data);
	return 0;
}

/* Gives what the client makes of an answer. */
static void
converse(const struct net_scep_answer *what, struct scepmsg_reply *ret_reply)
{
	struct net_scep_reply *reply;
	struct bytes signature;
	struct err e = {0};
	AUTO_BUF out;

	buf_init(&out, 100000);
	CHECK_INT(net_scep_reply_new(f.request, what, &reply, &e), 0);
	signature = certs_sign(certs_rsa(), EVP_sha256(), net_scep_reply_tbs(reply));
	CHECK_INT(net_scep_reply_finish(reply, signature, &out, &e), 0);
	if (scepmsg_reply_parse(buf_bytes(&out), &f.client, &f.message, f.ra_sign, ret_reply, &e) != 0)
		fail_msg("the client refuses the reply: %s", e.text);
	free((void *)signature.data);
	net_scep_reply_free(reply);
}

TEST(capabilities_are_what_is_served)
{
	struct config_profile profile = {.sha1 = false};
	AUTO_BUF out;

	buf_init(&out, 1000);
	net_scep_capabilities(&profile, false, &out);
	CHECK(bytes_equal(buf_bytes(&out), bytes_of_text("AES\nPOSTPKIOperation\nSHA-256\nSHA-512\nSCEPStandard\n")));
	buf_clear(&out);
	profile = (struct config_profile){.sha1 = true, .des3 = true, .renewal = true, .caps_blank_line = true};
	net_scep_capabilities(&profile, false, &out);
	CHECK(bytes_equal(
		buf_bytes(&out),
		bytes_of_text("AES\nDES3\nPOSTPKIOperation\nRenewal\nSHA-1\nSHA-256\nSHA-512\nSCEPStandard\n\n")));
	buf_clear(&out);
	profile = (struct config_profile){.sha1 = false};
	net_scep_capabilities(&profile, true, &out);
	CHECK(bytes_equal(buf_bytes(&out),
			  bytes_of_text("AES\nGetNextCACert\nPOSTPKIOperation\nSHA-256\nSHA-512\nSCEPStandard\n")));
}

TEST(a_profile_adds_lines_to_the_capabilities)
{
	struct config_profile profile = {.des_requests = true, .caps_extra = " SHA-384   Example.com-Name "};
	AUTO_BUF out;

	buf_init(&out, 1000);
	net_scep_capabilities(&profile, false, &out);
	CHECK(bytes_equal(buf_bytes(&out), bytes_of_text("AES\nPOSTPKIOperation\nSHA-256\nSHA-512\nSCEPStandard\n"
							 "SHA-384\nExample.com-Name\n")));
}

TEST(a_profile_lets_in_what_it_says)
{
	struct config_profile profile = {.sha1 = true, .des_requests = true};
	struct net_scep_policy policy = net_scep_policy_of(&profile);

	CHECK(policy.sha1 && policy.des_requests && !policy.des3 && !policy.renewal);
	profile = (struct config_profile){.des3 = true, .renewal = true};
	policy = net_scep_policy_of(&profile);
	CHECK(!policy.sha1 && !policy.des_requests && policy.des3 && policy.renewal);
}

/* As NDES writes it, and as Windows shows it to whoever looks for the number. */
TEST(microsoft_is_told_the_reason_of_a_failure_in_signed_decimal)
{
	static const char *const of_fail[] = {
		[SCEP_BAD_ALG] = "-2146893816",     [SCEP_BAD_MESSAGE_CHECK] = "-2146893819",
		[SCEP_BAD_REQUEST] = "-2147024809", [SCEP_BAD_TIME] = "-2146762495",
		[SCEP_BAD_CERT_ID] = "-2147023728",
	};
	struct net_scep_answer what = {.status = STATUS_REFUSED, .ra_sign = f.ra_sign_der, .microsoft = true};
	struct scepmsg_reply reply;

	for (int fail = SCEP_BAD_ALG; fail <= SCEP_BAD_CERT_ID; fail++) {
		what.fail_info = (enum scep_fail)fail;
		converse(&what, &reply);
		CHECK_INT(reply.fail_info, fail);
		CHECK_TEXT(reply.error, of_fail[fail]);
		CHECK_TEXT(reply.message, "");
		scepmsg_reply_fini(&reply);
	}
	what.hresult = HRESULT_CHALLENGE;
	what.text = "every attribute that there is";
	converse(&what, &reply);
	CHECK_TEXT(reply.error, "-2146762480");
	CHECK_TEXT(reply.text, what.text);
	scepmsg_reply_fini(&reply);
}

TEST(microsoft_is_told_that_a_certificate_was_issued_and_nobody_else_is)
{
	struct net_scep_answer what = {
		.status = STATUS_ISSUED, .certificate = f.issued_der, .ra_sign = f.ra_sign_der, .microsoft = true};
	struct scepmsg_reply reply;

	converse(&what, &reply);
	CHECK_TEXT(reply.message, "Issued");
	CHECK_TEXT(reply.error, "");
	scepmsg_reply_fini(&reply);
	what.status = STATUS_PENDING;
	converse(&what, &reply);
	CHECK_TEXT(reply.message, "");
	scepmsg_reply_fini(&reply);
	what.microsoft = false;
	what.hresult = HRESULT_CHALLENGE;
	for (what.status = STATUS_ISSUED; what.status <= STATUS_PENDING; what.status++) {
		converse(&what, &reply);
		CHECK_TEXT(reply.message, "");
		CHECK_TEXT(reply.error, "");
		scepmsg_reply_fini(&reply);
	}
}

/* The last was found by tests/fuzz/fuzz_cms. */
TEST(what_queries_have_inside_is_read_strictly)
{
	static const struct bytes bad[] = {
		OID_BYTES(""),
		OID_BYTES("\x30\x02\x30\x00"),
		OID_BYTES("\x30\x05\x31\x00\x02\x01\x01"),
		OID_BYTES("\x30\x06\x30\x00\x02\x01\x01\x00"),
		OID_BYTES("\x30\x05\x30\x00\x02\x01\x01\x00"),
		OID_BYTES("\x30\x04\x30\x00\x02\x00"),
	};
	struct bytes issuer, serial;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK_INT(net_scep_issuer_serial(bad[i], &issuer, &serial), ERR_FORMAT);
	CHECK_INT(net_scep_issuer_serial(OID_BYTES("\x30\x05\x30\x00\x02\x01\x07"), &issuer, &serial), 0);
	CHECK_BYTES(issuer, "\x30\x00", 2);
	CHECK_BYTES(serial, "\x07", 1);
}

int
main(void)
{
	const struct CMUnitTest list[] = {
		RUN(capabilities_are_what_is_served),
		RUN(a_profile_adds_lines_to_the_capabilities),
		RUN(a_profile_lets_in_what_it_says),
		RUN(microsoft_is_told_the_reason_of_a_failure_in_signed_decimal),
		RUN(microsoft_is_told_that_a_certificate_was_issued_and_nobody_else_is),
		RUN(what_queries_have_inside_is_read_strictly),
	};

	return test_finish((int)ARRAY_SIZE(list), cmocka_run_group_tests(list, fixture_begin, fixture_end));
}
