/* appliance/generation, rollover, announce: two CAs of one name in one authority. */
#include <openssl/cms.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "tests/lib/certs.h"
#include "tests/lib/office.h"
#include "tests/lib/test.h"

#include "appliance/announce.h"
#include "board/base/clock.h"

static int answered;
static int answer;

static void
on_answer(int code, const struct err *e, void *arg)
{
	answered++;
	answer = code;
}

/* Gives the office a second generation with this key, and waits until it is the next one. */
static struct bytes
add_next(struct office *o, EVP_PKEY *key)
{
	struct bytes der = certs_ca(key);
	struct msg_ca_chain m = {
		.generation = 1, .certificates = {.item = {der}, .count = 1}, .announcement = bytes_of_text("next")};

	CHECK_INT(app_generation_take(&o->authority, &m, NULL), 0);
	OFFICE_UNTIL(o, app_generation_next(&o->authority) == 1);
	return der;
}

static int
change(struct office *o, enum app_store_op op, int64_t at)
{
	int before = answered;

	app_rollover_change(&o->authority, op, at, "test", on_answer, NULL);
	OFFICE_UNTIL(o, answered > before);
	return answer;
}

TEST(urls_have_the_number_of_the_generation)
{
	static const struct {
		const char *url;
		unsigned generation;
		const char *want;
	} rows[] = {
		{"", 0, ""},
		{"", 3, ""},
		{"http://a/crl", 0, "http://a/crl"},
		{"http://a/crl", 1, "http://a/crl/2"},
		{"http://a/%g.crl", 0, "http://a/1.crl"},
		{"http://a/%g.crl", 15, "http://a/16.crl"},
	};
	char out[40];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CHECK_INT(app_generation_url(rows[i].url, rows[i].generation, out, sizeof(out)), 0);
		CHECK_TEXT(out, rows[i].want);
	}
	CHECK_INT(app_generation_url("http://a/crl", 0, out, 12), ERR_LIMIT);
	CHECK_INT(app_generation_url("http://a/crl", 1, out, 14), ERR_LIMIT);
	CHECK_INT(app_generation_url("http://a/crl", 1, out, 15), 0);
}

TEST(an_announcement_is_a_cms_message_of_the_ca)
{
	EVP_PKEY *keys[] = {certs_ec("P-256"), certs_ec("P-384"), certs_rsa()};
	struct bytes next = bytes_of_text("\x30\x03\x02\x01\x07");

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		struct bytes der = certs_ca(keys[i]);
		const uint8_t *p = der.data;
		X509_STORE *roots = X509_STORE_new();
		X509 *ca = d2i_X509(NULL, &p, (long)der.len);
		BIO *inner = BIO_new(BIO_s_mem());
		struct app_issuer issuer;
		struct bytes signature;
		CMS_ContentInfo *cms;
		char *content;
		AUTO_BUF inside;
		AUTO_BUF attributes;
		AUTO_BUF message;

		buf_init(&inside, 4096);
		buf_init(&attributes, 4096);
		buf_init(&message, 8192);
		CHECK_INT(app_issuer_init(der, &issuer, NULL), 0);
		CHECK_INT(app_announce_content(&next, 1, &inside), 0);
		CHECK_INT(app_announce_attributes(&issuer, buf_bytes(&inside), clock_wall(), &attributes), 0);
		signature = certs_sign(keys[i], issuer.digest == DIGEST_SHA384 ? EVP_sha384() : EVP_sha256(),
				       buf_bytes(&attributes));
		CHECK_INT(app_announce_join(&issuer, buf_bytes(&inside), buf_bytes(&attributes), signature, &message),
			  0);
		p = message.data;
		cms = d2i_CMS_ContentInfo(NULL, &p, (long)message.len);
		CHECK(cms != NULL && p == message.data + message.len);
		CHECK_INT(X509_STORE_add_cert(roots, ca), 1);
		CHECK_INT(X509_STORE_set_purpose(roots, X509_PURPOSE_ANY), 1);
		CHECK_INT(CMS_verify(cms, NULL, roots, NULL, inner, CMS_BINARY), 1);
		CHECK_INT(BIO_get_mem_data(inner, &content), (long)inside.len);
		CHECK(memcmp(content, inside.data, inside.len) == 0);
		CMS_ContentInfo_free(cms);
		BIO_free(inner);
		X509_STORE_free(roots);
		X509_free(ca);
		free((void *)signature.data);
		free((void *)der.data);
	}
	EVP_PKEY_free(keys[0]);
	EVP_PKEY_free(keys[1]);
}

TEST(nothing_is_changed_without_a_next_ca)
{
	struct office o;

	office_open(&o, true);
	CHECK_INT(change(&o, APP_STORE_ROLLOVER, 0), ERR_STAGE);
	CHECK_INT(change(&o, APP_STORE_ROLLOVER_AT, clock_wall() + 1000), ERR_STAGE);
	CHECK_INT(change(&o, APP_STORE_ROLLOVER_CANCEL, 0), ERR_STAGE);
	CHECK_INT(o.authority.current, 0);
	office_close(&o);
}

TEST(there_is_no_cut_over_to_a_key_that_the_token_lacks)
{
	EVP_PKEY *key = certs_ec("P-256");
	struct bytes der;
	struct office o;

	office_open(&o, true);
	der = add_next(&o, key);
	/* The stand-in has the first generation's key for all. */
	CHECK_INT(change(&o, APP_STORE_ROLLOVER, 0), ERR_STAGE);
	CHECK_INT(o.authority.current, 0);
	office_drop_signer(&o);
	OFFICE_UNTIL(&o, o.authority.links.signer == NULL);
	CHECK_INT(change(&o, APP_STORE_ROLLOVER, 0), ERR_CLOSED);
	CHECK_INT(change(&o, APP_STORE_ROLLOVER_AT, clock_wall() + 100LL * 365 * 86400),
		  ERR_STAGE); /* it has ended then */
	CHECK_INT(change(&o, APP_STORE_ROLLOVER_CANCEL, 0), 0);
	CHECK_INT(app_generation_next(&o.authority), CA_GENERATIONS);
	office_close(&o);
	free((void *)der.data);
	EVP_PKEY_free(key);
}

TEST(after_the_cut_over_the_new_one_issues_and_the_old_one_makes_its_crl)
{
	EVP_PKEY *old = NULL;
	struct msg_identity identity;
	struct bytes der;
	struct office o;

	office_open(&o, true);
	old = o.ca_key;
	CHECK(app_internal_identity(&o.authority, &identity));
	CHECK_INT(identity.announcement.len, 0);
	/* One key in two certificates, as the stand-in signs with one: what matters here is who is asked for what. */
	der = add_next(&o, old);
	CHECK(app_internal_identity(&o.authority, &identity));
	CHECK(bytes_equal(identity.announcement, bytes_of_text("next")));
	CHECK_INT(identity.issuers.count, 1);
	CHECK_INT(change(&o, APP_STORE_ROLLOVER, 0), 0);
	CHECK_INT(o.authority.current, 1);
	CHECK(bytes_equal(o.authority.issuer.der, der));
	OFFICE_UNTIL(&o, o.authority.publish[1].number == 1 && o.authority.internal.ra[APP_RA_DECRYPT].count == 2 &&
				 o.authority.internal.ra[APP_RA_SIGN].count == 2);
	CHECK_INT(o.authority.internal.ra[APP_RA_DECRYPT].certificates[0].generation, 1);
	CHECK_INT(o.authority.internal.ra[APP_RA_DECRYPT].certificates[1].generation, 0);
	CHECK(app_internal_identity(&o.authority, &identity));
	CHECK(bytes_equal(identity.chain.item[0], der));
	CHECK_INT(identity.announcement.len, 0);
	CHECK_INT(identity.issuers.count, 2);
	CHECK_INT(identity.ra_signers.count, 2);
	CHECK_INT(identity.ra_decrypt.count, 2);
	CHECK(app_generation_is_live(&o.authority, 0) && app_generation_is_live(&o.authority, 1));
	CHECK_INT(change(&o, APP_STORE_ROLLOVER, 0), ERR_STAGE);

	/* Without the current one's certificate nothing starts. */
	office_stop(&o);
	{
		struct err e = {0};
		struct app_authority *a = &o.authority;
		struct msg_ca_chain first = {.certificates = {.item = {o.ca_der}, .count = 1}};

		CHECK_INT(loop_new(&o.loop), 0);
		app_state_init(a, o.loop);
		CHECK_INT(app_state_configure(a, &o.conf, &e), 0);
		CHECK_INT(app_generation_take(a, &first, &e), 0);
		CHECK_INT(app_state_open(a, &e), ERR_STAGE);
		CHECK(strstr(e.text, "CA generation 2") != NULL);
		app_state_fini(a);
		loop_free(o.loop);
		o.loop = NULL;
	}
	office_close(&o);
	free((void *)der.data);
}

TEST_MAIN(RUN(urls_have_the_number_of_the_generation), RUN(an_announcement_is_a_cms_message_of_the_ca),
	  RUN(nothing_is_changed_without_a_next_ca), RUN(there_is_no_cut_over_to_a_key_that_the_token_lacks),
	  RUN(after_the_cut_over_the_new_one_issues_and_the_old_one_makes_its_crl))
