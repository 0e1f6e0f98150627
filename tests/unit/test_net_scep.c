/* SCEP messages against an independent client (tests/lib/scepmsg), every mistake that it can make, and mutations. */
#include <stdlib.h>

#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/pkcs7.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>

#include "board/base/oid.h"
#include "net/cms.h"
#include "net/scep.h"
#include "tests/lib/certs.h"
#include "tests/lib/scepmsg.h"
#include "tests/lib/test.h"

CLEANUP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
CLEANUP(X509, X509_free)

static const struct net_scep_policy strict = {.sha1 = false};
static const struct net_scep_policy lax = {.sha1 = true, .des3 = true, .renewal = true};
static const struct net_scep_policy legacy_client = {.des_requests = true};

/* Keys are slow to make, so all tests share these. */
static struct {
	struct scepmsg_client client;
	EVP_PKEY *ca_key, *ra_key; /* the RA's for decryption, RSA */
	EVP_PKEY *ec_key;
	X509 *ca, *ra_sign, *ra_sign_ec, *ra_decrypt, *issued;
	struct bytes ca_der, ra_sign_der, ra_sign_ec_der, ra_decrypt_der, issued_der;
	struct bytes csr;
} f;

static int
fixture_begin(void **state)
{
	const struct scepmsg_csr csr = {
		.subject = "CN=device,O=test", .challenge = "secret", .san = "DNS:device.example"};

	(void)state;
	f.ca_key = certs_ec("P-256");
	f.ec_key = certs_ec("P-256");
	f.ra_key = scepmsg_rsa(2048, 0);
	if (scepmsg_client_new(2048, &f.client) != 0)
		return -1;
	f.ca = scepmsg_self_signed(f.ca_key);
	f.ra_sign = scepmsg_issue(certs_rsa(), "RA signing", f.ca, f.ca_key);
	f.ra_sign_ec = scepmsg_issue(f.ec_key, "RA signing EC", f.ca, f.ca_key);
	f.ra_decrypt = scepmsg_issue(f.ra_key, "RA decryption", f.ca, f.ca_key);
	f.issued = scepmsg_issue(f.client.key, "device", f.ca, f.ca_key);
	f.ca_der = scepmsg_cert_der(f.ca);
	f.ra_sign_der = scepmsg_cert_der(f.ra_sign);
	f.ra_sign_ec_der = scepmsg_cert_der(f.ra_sign_ec);
	f.ra_decrypt_der = scepmsg_cert_der(f.ra_decrypt);
	f.issued_der = scepmsg_cert_der(f.issued);
	f.csr = scepmsg_csr_build(f.client.key, &csr);
	return f.csr.len > 0 && f.issued_der.len > 0 ? 0 : -1;
}

static int
fixture_end(void **state)
{
	(void)state;
	scepmsg_client_fini(&f.client);
	EVP_PKEY_free(f.ca_key);
	EVP_PKEY_free(f.ra_key);
	EVP_PKEY_free(f.ec_key);
	X509_free(f.ca);
	X509_free(f.ra_sign);
	X509_free(f.ra_sign_ec);
	X509_free(f.ra_decrypt);
	X509_free(f.issued);
	free((void *)f.ca_der.data);
	free((void *)f.ra_sign_der.data);
	free((void *)f.ra_sign_ec_der.data);
	free((void *)f.ra_decrypt_der.data);
	free((void *)f.issued_der.data);
	free((void *)f.csr.data);
	return 0;
}

static struct scepmsg_request
build_by(const struct scepmsg_client *client, const struct scepmsg_options *options)
{
	struct scepmsg_request message;

	ERR_clear_error();
	if (scepmsg_build(client, f.csr, options, f.ra_decrypt, &message) != 0)
		fail_msg("the client cannot build this: %s", ERR_error_string(ERR_peek_last_error(), NULL));
	return message;
}

static struct scepmsg_request
build(const struct scepmsg_options *options)
{
	return build_by(&f.client, options);
}

static struct net_scep_request *
parse(struct bytes der, const struct net_scep_policy *policy)
{
	struct net_scep_request *request = NULL;
	struct err e = {0};

	if (net_scep_parse(der, policy, &request, &e) != 0)
		fail_msg("not parsed: %s", e.text);
	return request;
}

/* What is wrong with a message of the client: NET_SCEP_GOOD, SCEP_*, or ERR_FORMAT when it is no SCEP message. */
static int
judge_by(const struct scepmsg_client *client, const struct scepmsg_options *options,
	 const struct net_scep_policy *policy)
{
	struct scepmsg_request message = build_by(client, options);
	struct net_scep_request *request = NULL;
	struct err e = {0};
	int result = net_scep_parse(message.der, policy, &request, &e);

	if (result == 0) {
		result = request->fail_info;
		CHECK((request->cause[0] == '\0') == (result == NET_SCEP_GOOD));
	} else {
		CHECK(e.text[0] != '\0');
		CHECK(request == NULL);
	}
	net_scep_request_free(request);
	scepmsg_request_fini(&message);
	return result;
}

static int
judge(const struct scepmsg_options *options, const struct net_scep_policy *policy)
{
	return judge_by(&f.client, options, policy);
}

static const EVP_MD *
md_of(enum digest digest)
{
	static const EVP_MD *(*const all[])(void) = {EVP_sha1, EVP_sha256, EVP_sha384, EVP_sha512};

	return all[digest]();
}

/* What the signer does with MSG_UNWRAP. */
static struct bytes
unwrap(const struct net_scep_recipient *r, uint8_t out[512])
{
	AUTO(EVP_PKEY_CTX) ctx = EVP_PKEY_CTX_new(f.ra_key, NULL);
	size_t len = 512;

	CHECK(EVP_PKEY_decrypt_init(ctx) > 0);
	if (r->padding == UNWRAP_OAEP) {
		CHECK(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) > 0);
		CHECK(EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md_of(r->digest)) > 0);
		CHECK(EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md_of(r->mgf_digest)) > 0);
		if (r->label.len > 0) {
			void *label = OPENSSL_memdup(r->label.data, r->label.len);

			CHECK(EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, label, (int)r->label.len) > 0);
		}
	}
	CHECK(EVP_PKEY_decrypt(ctx, out, &len, r->wrapped.data, r->wrapped.len) > 0);
	return (struct bytes){out, len};
}

/* Follows a good request to its PKCS#10 request. */
static void
check_opens(const struct net_scep_request *request)
{
	const struct net_scep_recipient *recipient = NULL;
	uint8_t key[512];
	struct bytes content_key;
	size_t cert = 9;
	AUTO_BUF plain;

	buf_init(&plain, 10000);
	CHECK_INT(net_scep_recipient(request, &f.ra_decrypt_der, 1, &recipient, &cert, NULL), 0);
	CHECK_INT(cert, 0);
	content_key = unwrap(recipient, key);
	CHECK_INT(content_key.len, request->key_size);
	CHECK_INT(net_scep_open(request, content_key, &plain, NULL), 0);
	CHECK_BYTES(buf_bytes(&plain), f.csr.data, f.csr.len);
}

static void
check_served(const struct scepmsg_options *options, const struct net_scep_policy *policy)
{
	struct scepmsg_request message = build(options);
	struct net_scep_request *request = parse(message.der, policy);

	if (request->fail_info != NET_SCEP_GOOD)
		fail_msg("refused: %s", request->cause);
	CHECK(bytes_equal(request->transaction_id, bytes_of_text(message.transaction_id)));
	CHECK_BYTES(request->sender_nonce, message.nonce, message.nonce_len);
	check_opens(request);
	net_scep_request_free(request);
	scepmsg_request_fini(&message);
}

TEST(what_is_no_scep_message_is_an_http_error)
{
	static const struct bytes garbage = {(const uint8_t *)"\r\n", 2};
	static const char *const texts[] = {"", "0", "MIIB", "<html>", "\x30\x80", "\x30\x84\xff\xff\xff\xff"};
	struct net_scep_request *request = NULL;
	struct err e = {0};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(texts); i++)
		CHECK_INT(net_scep_parse(bytes_of_text(texts[i]), &lax, &request, NULL), ERR_FORMAT);
	CHECK_INT(net_scep_parse(f.csr, &lax, &request, NULL), ERR_FORMAT);
	CHECK_INT(judge(&(struct scepmsg_options){.no_attributes = true}, &lax), ERR_FORMAT);
	CHECK_INT(judge(&(struct scepmsg_options){.before = garbage}, &lax), ERR_FORMAT);
	CHECK_INT(judge(&(struct scepmsg_options){.after = garbage}, &lax), ERR_FORMAT);
	CHECK_INT(net_scep_parse((struct bytes){f.ca_der.data, f.ca_der.len / 2}, &lax, &request, &e), ERR_FORMAT);
	CHECK(strstr(e.text, "cut short") != NULL);
	CHECK(request == NULL);
}

TEST(each_mistake_gets_its_fail_info)
{
	char long_id[258];
	const struct {
		struct scepmsg_options options;
		int result;
	} cases[] = {
		{{.broken_signature = true}, SCEP_BAD_MESSAGE_CHECK},
		{{.broken_content = true}, SCEP_BAD_MESSAGE_CHECK},
		{{.no_cert = true}, SCEP_BAD_MESSAGE_CHECK},
		{{.no_cert = true, .extra = f.ca}, SCEP_BAD_MESSAGE_CHECK},
		{{.digest = EVP_md5()}, SCEP_BAD_ALG},
		{{.digest = EVP_sha1()}, SCEP_BAD_ALG},
		{{.digest = EVP_sha224()}, SCEP_BAD_ALG},
		{{.cipher = EVP_des_ede3_cbc()}, SCEP_BAD_ALG},
		{{.cipher = EVP_aes_256_cfb()}, SCEP_BAD_ALG},
		{{.cipher = EVP_camellia_128_cbc()}, SCEP_BAD_ALG},
		{{.omit = SCEPMSG_MESSAGE_TYPE}, SCEP_BAD_REQUEST},
		{{.omit = SCEPMSG_TRANSACTION_ID}, SCEP_BAD_REQUEST},
		{{.repeat = SCEPMSG_MESSAGE_TYPE}, SCEP_BAD_REQUEST},
		{{.repeat = SCEPMSG_TRANSACTION_ID}, SCEP_BAD_REQUEST},
		{{.repeat = SCEPMSG_SENDER_NONCE}, SCEP_BAD_REQUEST},
		{{.message_type = ""}, SCEP_BAD_REQUEST},
		{{.message_type = "19 "}, SCEP_BAD_REQUEST},
		{{.message_type = "-19"}, SCEP_BAD_REQUEST},
		{{.message_type = "PKCSReq"}, SCEP_BAD_REQUEST},
		{{.message_type = "256"}, SCEP_BAD_REQUEST},
		{{.message_type = "4294967315"}, SCEP_BAD_REQUEST},
		{{.transaction_id = ""}, SCEP_BAD_REQUEST},
		{{.transaction_id = "a\nb"}, SCEP_BAD_REQUEST},
		{{.transaction_id = "\xc3\xa4", .string_type = V_ASN1_UTF8STRING}, SCEP_BAD_REQUEST},
		{{.transaction_id = long_id}, SCEP_BAD_REQUEST},
		{{.nonce_len = NET_SCEP_NONCE_MAX + 1}, SCEP_BAD_REQUEST},
		{{.no_content = true}, SCEP_BAD_REQUEST},
		{{.plain_content = true}, SCEP_BAD_REQUEST},
		{{.oaep = EVP_md5()}, SCEP_BAD_ALG},
	};
	size_t i;
	int result;

	memset(long_id, 'x', sizeof(long_id) - 1);
	long_id[NET_SCEP_ID_MAX + 1] = '\0';
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		result = judge(&cases[i].options, &strict);
		if (result != cases[i].result)
			fail_msg("case %zu gives %d, not %d", i, result, cases[i].result);
	}
}

TEST(what_clients_do_differently_is_served)
{
	char long_id[NET_SCEP_ID_MAX + 1];
	const struct scepmsg_options cases[] = {
		{.message_type = NULL},
		{.indefinite = true},
		{.cipher = EVP_aes_192_cbc()},
		{.cipher = EVP_aes_256_cbc(), .digest = EVP_sha512()},
		{.digest = EVP_sha384()},
		{.omit = SCEPMSG_SENDER_NONCE},
		{.nonce_len = 1},
		{.nonce_len = 8},
		{.nonce_len = NET_SCEP_NONCE_MAX},
		{.string_type = V_ASN1_UTF8STRING},
		{.string_type = V_ASN1_IA5STRING},
		{.string_type = V_ASN1_OCTET_STRING},
		{.transaction_id = "0"},
		{.transaction_id = "aB/+=-_@ *"},
		{.transaction_id = long_id},
		{.extra = f.ca},
		{.signer_key_id = true},
		{.by_key_id = true},
		{.by_key_id = true, .indefinite = true, .cipher = EVP_aes_256_cbc()},
		{.more_for = f.client.cert},
		{.more_for = f.client.cert, .by_key_id = true},
		{.pss = true},
		{.pss = true, .digest = EVP_sha512()},
		{.oaep = EVP_sha1()},
		{.oaep = EVP_sha256()},
		{.oaep = EVP_sha256(), .oaep_mgf = EVP_sha1()},
		{.oaep = EVP_sha1(), .oaep_mgf = EVP_sha512()},
		{.oaep = EVP_sha512(), .oaep_label = "label"},
	};
	size_t i;

	memset(long_id, 'x', sizeof(long_id) - 1);
	long_id[NET_SCEP_ID_MAX] = '\0';
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		check_served(&cases[i], &strict);
}

TEST(a_request_tells_who_asks_and_how)
{
	struct scepmsg_request message =
		build(&(struct scepmsg_options){.cipher = EVP_aes_256_cbc(), .digest = EVP_sha512()});
	struct net_scep_request *request = parse(message.der, &strict);
	struct bytes cert = scepmsg_cert_der(f.client.cert), spki = certs_spki(f.client.key);

	CHECK_INT(request->message_type, NET_SCEP_PKCS_REQ);
	CHECK_INT(request->digest, DIGEST_SHA512);
	CHECK_INT(request->cipher, NET_CMS_AES256_CBC);
	CHECK_INT(request->key_size, 32);
	CHECK_INT(request->recipient_count, 1);
	CHECK_INT(request->recipients[0].padding, UNWRAP_PKCS1);
	CHECK(bytes_equal(request->signer, cert));
	CHECK(bytes_equal(request->cert.tbs.spki, spki));
	CHECK_INT(net_cms_verify(f.client.key, &request->how, request->attributes, request->signature, NULL), 0);
	CHECK_INT(EVP_PKEY_eq(request->key, f.client.key), 1);
	free((void *)cert.data);
	free((void *)spki.data);
	net_scep_request_free(request);
	scepmsg_request_fini(&message);
}

TEST(sha1_and_triple_des_only_when_the_policy_allows)
{
	const struct net_scep_policy sha1 = {.sha1 = true}, des3 = {.des3 = true};

	check_served(&(struct scepmsg_options){.digest = EVP_sha1(), .cipher = EVP_des_ede3_cbc()}, &lax);
	check_served(&(struct scepmsg_options){.digest = EVP_sha1()}, &sha1);
	check_served(&(struct scepmsg_options){.cipher = EVP_des_ede3_cbc()}, &des3);
	CHECK_INT(judge(&(struct scepmsg_options){.cipher = EVP_des_ede3_cbc()}, &sha1), SCEP_BAD_ALG);
	CHECK_INT(judge(&(struct scepmsg_options){.digest = EVP_sha1()}, &des3), SCEP_BAD_ALG);
}

TEST(md5_and_single_des_are_refused)
{
	OSSL_PROVIDER *standard = OSSL_PROVIDER_load(NULL, "default"), *legacy = OSSL_PROVIDER_load(NULL, "legacy");

	CHECK_INT(judge(&(struct scepmsg_options){.digest = EVP_md5()}, &lax), SCEP_BAD_ALG);
	if (legacy == NULL)
		print_message("no legacy provider, so no client with single DES\n");
	else
		CHECK_INT(judge(&(struct scepmsg_options){.cipher = EVP_des_cbc()}, &lax), SCEP_BAD_ALG);
	OSSL_PROVIDER_unload(legacy);
	OSSL_PROVIDER_unload(standard);
}

TEST(of_all_message_types_only_requests_are_served)
{
	const struct net_scep_policy renewing = {.renewal = true};
	char text[8];
	int type, result;

	for (type = 0; type < 256; type++) {
		snprintf(text, sizeof(text), "%d", type);
		result = judge(&(struct scepmsg_options){.message_type = text}, &strict);
		if (result !=
		    (type >= NET_SCEP_PKCS_REQ && type <= NET_SCEP_GET_CRL ? NET_SCEP_GOOD : SCEP_BAD_REQUEST))
			fail_msg("messageType %d gives %d", type, result);
	}
	CHECK_INT(judge(&(struct scepmsg_options){.message_type = "17"}, &renewing), NET_SCEP_GOOD);
}

/* The reply is enveloped to the requester's key, and weak keys are not worth a certificate. */
TEST(the_requesters_key_must_be_sound_rsa)
{
	struct scepmsg_client client;

	CHECK_INT(scepmsg_client_of(certs_ec("P-256"), &client), 0);
	CHECK_INT(judge_by(&client, &(struct scepmsg_options){0}, &lax), SCEP_BAD_ALG);
	scepmsg_client_fini(&client);
	CHECK_INT(scepmsg_client_new(1024, &client), 0);
	CHECK_INT(judge_by(&client, &(struct scepmsg_options){0}, &lax), SCEP_BAD_ALG);
	scepmsg_client_fini(&client);
	CHECK_INT(scepmsg_client_of(scepmsg_rsa(2048, 3), &client), 0);
	CHECK_INT(judge_by(&client, &(struct scepmsg_options){0}, &lax), NET_SCEP_GOOD);
	scepmsg_client_fini(&client);
}

/* RFC 8894 2.3: nothing vouches for that certificate, so nothing of it is checked. */
TEST(an_expired_signer_certificate_is_fine)
{
	struct scepmsg_client client = {f.client.key, scepmsg_self_signed_at(f.client.key, -7200, -3600)};

	CHECK_INT(judge_by(&client, &(struct scepmsg_options){0}, &strict), NET_SCEP_GOOD);
	X509_free(client.cert);
	client.cert = scepmsg_issue(f.client.key, "another issuer", f.ca, f.ca_key);
	CHECK_INT(judge_by(&client, &(struct scepmsg_options){0}, &strict), NET_SCEP_GOOD);
	X509_free(client.cert);
}

/* A certificate of the same key and serial number as ra_decrypt, with another issuer's name: as if re-encoded (C29). */
static struct bytes
renamed_recipient(const char *issuer)
{
	X509 *cert = X509_dup(f.ra_decrypt);
	X509_NAME *name = X509_NAME_new();
	struct bytes der;

	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)issuer, -1, -1, 0);
	X509_set_issuer_name(cert, name);
	X509_sign(cert, f.ca_key, EVP_sha256());
	der = scepmsg_cert_der(cert);
	X509_NAME_free(name);
	X509_free(cert);
	return der;
}

TEST(the_recipient_is_found_among_our_certificates)
{
	struct scepmsg_request message = build(&(struct scepmsg_options){0});
	struct scepmsg_request two = build(&(struct scepmsg_options){.more_for = f.client.cert});
	struct net_scep_request *request = parse(message.der, &strict), *second = parse(two.der, &strict);
	struct bytes renamed = renamed_recipient("re-encoded"), again = renamed_recipient("other");
	const struct bytes others[] = {f.ca_der, f.ra_sign_der}, all[] = {f.ca_der, renamed, f.ra_decrypt_der},
			   by_serial[] = {f.ca_der, renamed}, ambiguous[] = {again, renamed};
	const struct net_scep_recipient *recipient = NULL;
	struct err e = {0};
	size_t cert = 9;

	CHECK_INT(net_scep_recipient(request, NULL, 0, &recipient, &cert, NULL), ERR_UNKNOWN);
	CHECK_INT(net_scep_recipient(request, others, 2, &recipient, &cert, &e), ERR_UNKNOWN);
	CHECK(e.text[0] != '\0' && recipient == NULL && cert == 9);
	CHECK_INT(net_scep_recipient(request, ambiguous, 2, &recipient, &cert, NULL), ERR_UNKNOWN);
	CHECK_INT(net_scep_recipient(request, by_serial, 2, &recipient, &cert, NULL), 0);
	CHECK_INT(cert, 1);
	CHECK_INT(net_scep_recipient(request, all, 3, &recipient, &cert, NULL), 0);
	CHECK_INT(cert, 2);
	CHECK_INT(net_scep_recipient(second, all, 3, &recipient, &cert, NULL), 0);
	CHECK_INT(second->recipient_count, 2);
	check_opens(second);
	free((void *)renamed.data);
	free((void *)again.data);
	net_scep_request_free(request);
	net_scep_request_free(second);
	scepmsg_request_fini(&message);
	scepmsg_request_fini(&two);
}

TEST(every_way_not_to_decrypt_looks_the_same)
{
	struct scepmsg_request message = build(&(struct scepmsg_options){0});
	struct net_scep_request *request = parse(message.der, &strict);
	uint8_t key[33] = {0};
	struct err e, first = {0};
	int failed = 0, rc;
	size_t i;
	AUTO_BUF out;

	buf_init(&out, 10000);
	for (i = 0; i < 600; i++) {
		e = (struct err){0};
		key[0] = (uint8_t)i;
		key[1] = (uint8_t)(i >> 8);
		buf_clear(&out);
		rc = net_scep_open(request, (struct bytes){key, i < 33 ? i : 16}, &out, &e);
		if (rc == 0)
			continue; /* one in 256 random blocks ends as if padded */
		failed++;
		CHECK_INT(rc, ERR_VERIFY);
		CHECK_INT(out.len, 0);
		if (first.text[0] == '\0')
			first = e;
		CHECK_TEXT(e.text, first.text);
	}
	CHECK(failed > 560);
	request->content.len--;
	CHECK_INT(net_scep_open(request, (struct bytes){key, 16}, &out, NULL), ERR_VERIFY);
	net_scep_request_free(request);
	scepmsg_request_fini(&message);
}

/* What a flipped bit may leave intact is only what is outside the signature and what nobody relies on. */
static void
check_mutant(struct bytes der, const struct net_scep_request *good)
{
	struct net_scep_request *request = NULL;
	int rc = net_scep_parse(der, &lax, &request, NULL);

	if (rc != 0) {
		CHECK_INT(rc, ERR_FORMAT);
		CHECK(request == NULL);
	} else if (request->fail_info == NET_SCEP_GOOD) {
		CHECK(bytes_equal(request->content, good->content));
		CHECK(bytes_equal(request->transaction_id, good->transaction_id));
		CHECK(bytes_equal(request->cert.tbs.spki, good->cert.tbs.spki));
		CHECK_INT(request->message_type, good->message_type);
	}
	net_scep_request_free(request);
}

static void
check_mutations(const struct scepmsg_options *options)
{
	struct scepmsg_request message = build(options);
	struct net_scep_request *good = parse(message.der, &lax), *request = NULL;
	uint8_t *copy;
	size_t i, len = message.der.len;

	CHECK_INT(good->fail_info, NET_SCEP_GOOD);
	for (i = 0; i < len; i++) {
		/* In memory of just this size, so that a sanitizer sees a read behind it. */
		copy = malloc(len);
		memcpy(copy, message.der.data, i);
		CHECK_INT(net_scep_parse((struct bytes){copy, i}, &lax, &request, NULL), ERR_FORMAT);
		memcpy(copy, message.der.data, len);
		copy[i] ^= (uint8_t)(1 << (i % 8));
		check_mutant((struct bytes){copy, len}, good);
		copy[i] = message.der.data[i] == 0xff ? 0 : 0xff;
		check_mutant((struct bytes){copy, len}, good);
		free(copy);
	}
	net_scep_request_free(good);
	scepmsg_request_fini(&message);
}

TEST(cut_or_flipped_messages_do_no_harm)
{
	check_mutations(&(struct scepmsg_options){0});
}

TEST(cut_or_flipped_ber_does_no_harm)
{
	check_mutations(&(struct scepmsg_options){.indefinite = true, .by_key_id = true, .oaep = EVP_sha256()});
}

/* Envelopes that a client signed, so that mutations reach what is behind the signature. */
TEST(flipped_envelopes_do_no_harm)
{
	struct scepmsg_request message = build(&(struct scepmsg_options){.oaep = EVP_sha256()}), mutant;
	struct net_scep_request *good = parse(message.der, &lax), *request;
	struct bytes saved = f.csr;
	uint8_t envelope[4096];
	size_t i, len, overhead;

	/* The envelope ends with the encrypted content; find where it begins in the message. */
	len = 0;
	for (i = 0; i + good->content.len <= message.der.len; i++) {
		if (memcmp(message.der.data + i, good->content.data, good->content.len) == 0)
			len = i;
	}
	overhead = len < 480 ? len : 480;
	CHECK(overhead > 0 && overhead + good->content.len < sizeof(envelope));
	for (i = 0; i < 480; i++) {
		/* ContentInfo with the OID of EnvelopedData begins here. */
		if (memcmp(message.der.data + len - i, "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03", 11) == 0)
			overhead = i + 4;
	}
	memcpy(envelope, message.der.data + len - overhead, overhead + good->content.len);
	f.csr = (struct bytes){envelope, overhead + good->content.len};
	for (i = 0; i < overhead; i += 3) {
		envelope[i] ^= (uint8_t)(1 << (i % 8));
		mutant = build(&(struct scepmsg_options){.plain_content = true});
		request = parse(mutant.der, &lax);
		CHECK(request->fail_info == NET_SCEP_GOOD || request->fail_info == SCEP_BAD_REQUEST ||
		      request->fail_info == SCEP_BAD_ALG);
		envelope[i] ^= (uint8_t)(1 << (i % 8));
		net_scep_request_free(request);
		scepmsg_request_fini(&mutant);
	}
	f.csr = saved;
	net_scep_request_free(good);
	scepmsg_request_fini(&message);
}

/* What the signer does with MSG_SIGN. */
static struct bytes
sign(EVP_PKEY *key, const struct net_scep_reply *reply)
{
	return certs_sign(key, md_of(net_scep_reply_digest(reply)), net_scep_reply_tbs(reply));
}

/* Answers request; the message is finished and independent of the request then. */
static void
answer(const struct net_scep_request *request, const struct net_scep_answer *what, EVP_PKEY *key, struct buf *out)
{
	struct net_scep_reply *reply = NULL;
	struct err e = {0};
	struct bytes signature;

	if (net_scep_reply_new(request, what, &reply, &e) != 0)
		fail_msg("no reply: %s", e.text);
	signature = sign(key, reply);
	CHECK_INT(net_scep_reply_finish(reply, signature, out, NULL), 0);
	free((void *)signature.data);
	net_scep_reply_free(reply);
}

/* Our encoding is DER: OpenSSL writes the same octets again (with one certificate in each set). */
static void
check_is_der(struct bytes message)
{
	const unsigned char *p = message.data;
	CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)message.len);
	unsigned char *again = NULL;
	int len = i2d_CMS_ContentInfo(cms, &again);

	CHECK(len > 0);
	CHECK_BYTES(message, again, (size_t)len);
	OPENSSL_free(again);
	CMS_ContentInfo_free(cms);
}

/* Sends a message made by options, answers it, and gives what the client makes of that. */
static void
converse_by(const struct net_scep_policy *policy, const struct scepmsg_options *options,
	    const struct net_scep_answer *what, struct scepmsg_reply *ret_reply)
{
	struct scepmsg_request message = build(options);
	struct net_scep_request *request = parse(message.der, policy);
	bool is_ec = what->ra_sign.data == f.ra_sign_ec_der.data;
	struct err e = {0};
	AUTO_BUF out;

	buf_init(&out, 100000);
	answer(request, what, is_ec ? f.ec_key : certs_rsa(), &out);
	if (what->extra_count == 0)
		check_is_der(buf_bytes(&out));
	if (scepmsg_reply_parse(buf_bytes(&out), &f.client, &message, is_ec ? f.ra_sign_ec : f.ra_sign, ret_reply,
				&e) != 0)
		fail_msg("the client refuses the reply: %s", e.text);
	CHECK(ret_reply->has_sender_nonce);
	net_scep_request_free(request);
	scepmsg_request_fini(&message);
}

static void
converse(const struct scepmsg_options *options, const struct net_scep_answer *what, struct scepmsg_reply *ret_reply)
{
	converse_by(&lax, options, what, ret_reply);
}

/* Decision 006: read where the policy allows it, never written. */
TEST(a_request_in_single_des_is_answered_in_aes)
{
	struct net_scep_answer what = {.status = STATUS_ISSUED, .certificate = f.issued_der, .ra_sign = f.ra_sign_der};
	OSSL_PROVIDER *standard = OSSL_PROVIDER_load(NULL, "default"), *legacy = OSSL_PROVIDER_load(NULL, "legacy");
	struct scepmsg_options options = {.cipher = EVP_des_cbc()};
	struct scepmsg_reply reply;

	CHECK(legacy != NULL);
	check_served(&options, &legacy_client);
	converse_by(&legacy_client, &options, &what, &reply);
	CHECK_INT(X509_cmp(reply.issued, f.issued), 0);
	CHECK_INT(reply.cipher, NID_aes_128_cbc);
	scepmsg_reply_fini(&reply);
	OSSL_PROVIDER_unload(legacy);
	OSSL_PROVIDER_unload(standard);
}

TEST(an_issued_certificate_reaches_the_client)
{
	const struct {
		struct scepmsg_options options;
		int digest, cipher, transport;
	} cases[] = {
		{{0}, NID_sha256, NID_aes_128_cbc, NID_rsaEncryption},
		{{.indefinite = true}, NID_sha256, NID_aes_128_cbc, NID_rsaEncryption},
		{{.cipher = EVP_aes_256_cbc(), .digest = EVP_sha512()}, NID_sha512, NID_aes_256_cbc, NID_rsaEncryption},
		{{.cipher = EVP_aes_192_cbc(), .digest = EVP_sha384()}, NID_sha384, NID_aes_192_cbc, NID_rsaEncryption},
		{{.cipher = EVP_des_ede3_cbc(), .digest = EVP_sha1()}, NID_sha1, NID_des_ede3_cbc, NID_rsaEncryption},
		{{.oaep = EVP_sha1()}, NID_sha256, NID_aes_128_cbc, NID_rsaesOaep},
		{{.oaep = EVP_sha256()}, NID_sha256, NID_aes_128_cbc, NID_rsaesOaep},
		{{.oaep = EVP_sha512(), .oaep_mgf = EVP_sha1(), .oaep_label = "label"},
		 NID_sha256,
		 NID_aes_128_cbc,
		 NID_rsaesOaep},
		{{.nonce_len = 8}, NID_sha256, NID_aes_128_cbc, NID_rsaEncryption},
		{{.omit = SCEPMSG_SENDER_NONCE}, NID_sha256, NID_aes_128_cbc, NID_rsaEncryption},
	};
	struct net_scep_answer what = {.status = STATUS_ISSUED, .certificate = f.issued_der};
	struct scepmsg_reply reply;
	size_t i;

	for (i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
		what.ra_sign = i % 2 != 0 ? f.ra_sign_ec_der : f.ra_sign_der;
		converse(&cases[i / 2].options, &what, &reply);
		CHECK_INT(reply.pki_status, 0);
		CHECK_INT(reply.fail_info, -1);
		CHECK_INT(X509_cmp(reply.issued, f.issued), 0);
		CHECK_INT(sk_X509_num(reply.inner), 1);
		CHECK_INT(sk_X509_num(reply.outer), 1);
		CHECK_INT(reply.digest, cases[i / 2].digest);
		CHECK_INT(reply.cipher, cases[i / 2].cipher);
		CHECK_INT(reply.transport, cases[i / 2].transport);
		CHECK(reply.transport_has_parameters);
		CHECK(i % 2 != 0 || reply.signature == NID_rsaEncryption);
		scepmsg_reply_fini(&reply);
	}
}

/* C28: on request; the issued certificate stays the first. */
TEST(ca_certificates_go_along_when_asked_for)
{
	const struct net_scep_answer what = {.status = STATUS_ISSUED,
					     .certificate = f.issued_der,
					     .ra_sign = f.ra_sign_der,
					     .extra = &f.ca_der,
					     .extra_count = 1};
	struct scepmsg_reply reply;

	converse(&(struct scepmsg_options){0}, &what, &reply);
	CHECK_INT(X509_cmp(reply.issued, f.issued), 0);
	CHECK_INT(sk_X509_num(reply.inner), 2);
	CHECK_INT(X509_cmp(sk_X509_value(reply.inner, 1), f.ca), 0);
	CHECK_INT(sk_X509_num(reply.outer), 2);
	scepmsg_reply_fini(&reply);
}

TEST(refusal_and_pending_have_no_content)
{
	struct net_scep_answer what = {.status = STATUS_PENDING, .ra_sign = f.ra_sign_der};
	struct scepmsg_reply reply;
	int fail;

	converse(&(struct scepmsg_options){0}, &what, &reply);
	CHECK_INT(reply.pki_status, 3);
	CHECK(!reply.has_content);
	scepmsg_reply_fini(&reply);
	what.status = STATUS_REFUSED;
	what.text = "challenge is wrong \xc3\xa4";
	for (fail = SCEP_BAD_ALG; fail <= SCEP_BAD_CERT_ID; fail++) {
		what.fail_info = (enum scep_fail)fail;
		converse(&(struct scepmsg_options){0}, &what, &reply);
		CHECK_INT(reply.pki_status, 2);
		CHECK_INT(reply.fail_info, fail);
		CHECK_TEXT(reply.text, what.text);
		scepmsg_reply_fini(&reply);
	}
	what.text = NULL;
	converse(&(struct scepmsg_options){0}, &what, &reply);
	CHECK_TEXT(reply.text, "");
	scepmsg_reply_fini(&reply);
}

/* Whether a client that verifies as certmonger does takes a refusal; decision 021. */
static bool
verifies_as_pkcs7(bool empty_content)
{
	struct net_scep_answer what = {
		.status = STATUS_REFUSED, .ra_sign = f.ra_sign_der, .empty_content = empty_content};
	struct scepmsg_request message = build(&(struct scepmsg_options){0});
	struct net_scep_request *request = parse(message.der, &lax);
	const unsigned char *p;
	PKCS7 *p7;
	bool good;
	AUTO_BUF out;

	buf_init(&out, 100000);
	answer(request, &what, certs_rsa(), &out);
	check_is_der(buf_bytes(&out));
	p = out.data;
	p7 = d2i_PKCS7(NULL, &p, (long)out.len);
	CHECK(p7 != NULL);
	good = PKCS7_verify(p7, NULL, NULL, NULL, NULL, PKCS7_NOVERIFY | PKCS7_BINARY) == 1;
	PKCS7_free(p7);
	net_scep_request_free(request);
	scepmsg_request_fini(&message);
	return good;
}

TEST(content_of_no_octets_is_for_clients_that_take_none_for_a_detached_signature)
{
	struct net_scep_answer what = {.status = STATUS_PENDING, .ra_sign = f.ra_sign_der, .empty_content = true};
	struct scepmsg_reply reply;

	CHECK(!verifies_as_pkcs7(false));
	CHECK(verifies_as_pkcs7(true));
	converse(&(struct scepmsg_options){0}, &what, &reply);
	CHECK_INT(reply.pki_status, 3);
	scepmsg_reply_fini(&reply);
}

/* What cannot be read is refused with what can be: a digest and no envelope. */
TEST(bad_requests_get_a_signed_refusal)
{
	const struct scepmsg_options cases[] = {
		{.digest = EVP_md5()},    {.cipher = EVP_aes_256_cfb()},    {.broken_signature = true},
		{.no_cert = true},        {.message_type = "99"},           {.no_content = true},
		{.broken_content = true}, {.omit = SCEPMSG_MESSAGE_TYPE},   {.oaep = EVP_md5()},
		{.plain_content = true},  {.omit = SCEPMSG_TRANSACTION_ID}, {.repeat = SCEPMSG_MESSAGE_TYPE},
	};
	const struct net_scep_answer what = {
		.status = STATUS_REFUSED, .fail_info = SCEP_BAD_ALG, .ra_sign = f.ra_sign_ec_der};
	struct scepmsg_reply reply;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		converse(&cases[i], &what, &reply);
		CHECK_INT(reply.pki_status, 2);
		CHECK_INT(reply.digest, NID_sha256);
		scepmsg_reply_fini(&reply);
	}
}

TEST(a_reply_that_cannot_be_made_is_an_error)
{
	struct scepmsg_request message = build(&(struct scepmsg_options){.no_cert = true});
	struct net_scep_request *request = parse(message.der, &strict);
	struct net_scep_answer what = {.status = STATUS_ISSUED, .certificate = f.issued_der, .ra_sign = f.ra_sign_der};
	struct net_scep_reply *reply = NULL;

	CHECK_INT(net_scep_reply_new(request, &what, &reply, NULL), ERR_ALG);
	what.status = STATUS_RETRY;
	CHECK_INT(net_scep_reply_new(request, &what, &reply, NULL), ERR_INTERNAL);
	what.status = STATUS_REFUSED;
	what.ra_sign = f.csr;
	CHECK_INT(net_scep_reply_new(request, &what, &reply, NULL), ERR_FORMAT);
	CHECK(reply == NULL);
	net_scep_request_free(request);
	scepmsg_request_fini(&message);
}

TEST(every_reply_has_a_nonce_and_a_content_key_of_its_own)
{
	const struct net_scep_answer what = {
		.status = STATUS_ISSUED, .certificate = f.issued_der, .ra_sign = f.ra_sign_ec_der};
	struct scepmsg_request message = build(&(struct scepmsg_options){0});
	struct net_scep_request *request = parse(message.der, &strict);
	struct net_scep_reply *one = NULL, *two = NULL;

	CHECK_INT(net_scep_reply_new(request, &what, &one, NULL), 0);
	CHECK_INT(net_scep_reply_new(request, &what, &two, NULL), 0);
	CHECK(!bytes_equal(net_scep_reply_tbs(one), net_scep_reply_tbs(two)));
	CHECK_INT(net_scep_reply_tbs(one).data[0], 0x31);
	net_scep_reply_free(one);
	net_scep_reply_free(two);
	net_scep_request_free(request);
	scepmsg_request_fini(&message);
}

TEST(certificates_only_keep_their_order)
{
	const struct bytes certs[] = {f.ra_sign_der, f.ca_der, f.ra_decrypt_der, f.ra_sign_ec_der};
	X509 *const want[] = {f.ra_sign, f.ca, f.ra_decrypt, f.ra_sign_ec};
	const unsigned char *p;
	STACK_OF(X509) * list;
	PKCS7 *p7;
	AUTO_BUF out;
	int i;

	buf_init(&out, 100000);
	CHECK_INT(net_scep_certs_only(certs, ARRAY_SIZE(certs), &out), 0);
	p = out.data;
	p7 = d2i_PKCS7(NULL, &p, (long)out.len);
	CHECK(p7 != NULL && p == out.data + out.len && PKCS7_type_is_signed(p7));
	list = p7->d.sign->cert;
	CHECK_INT(sk_X509_num(list), ARRAY_SIZE(want));
	for (i = 0; i < sk_X509_num(list); i++)
		CHECK_INT(X509_cmp(sk_X509_value(list, i), want[i]), 0);
	PKCS7_free(p7);
	buf_clear(&out);
	out.limit = 10;
	CHECK_INT(net_scep_certs_only(certs, ARRAY_SIZE(certs), &out), ERR_LIMIT);
}

int
main(void)
{
	const struct CMUnitTest list[] = {
		RUN(what_is_no_scep_message_is_an_http_error),
		RUN(each_mistake_gets_its_fail_info),
		RUN(what_clients_do_differently_is_served),
		RUN(a_request_tells_who_asks_and_how),
		RUN(sha1_and_triple_des_only_when_the_policy_allows),
		RUN(md5_and_single_des_are_refused),
		RUN(of_all_message_types_only_requests_are_served),
		RUN(the_requesters_key_must_be_sound_rsa),
		RUN(an_expired_signer_certificate_is_fine),
		RUN(the_recipient_is_found_among_our_certificates),
		RUN(every_way_not_to_decrypt_looks_the_same),
		RUN(cut_or_flipped_messages_do_no_harm),
		RUN(cut_or_flipped_ber_does_no_harm),
		RUN(flipped_envelopes_do_no_harm),
		RUN(a_request_in_single_des_is_answered_in_aes),
		RUN(an_issued_certificate_reaches_the_client),
		RUN(ca_certificates_go_along_when_asked_for),
		RUN(refusal_and_pending_have_no_content),
		RUN(content_of_no_octets_is_for_clients_that_take_none_for_a_detached_signature),
		RUN(bad_requests_get_a_signed_refusal),
		RUN(a_reply_that_cannot_be_made_is_an_error),
		RUN(every_reply_has_a_nonce_and_a_content_key_of_its_own),
		RUN(certificates_only_keep_their_order),
	};

	return test_finish((int)ARRAY_SIZE(list), cmocka_run_group_tests(list, fixture_begin, fixture_end));
}
