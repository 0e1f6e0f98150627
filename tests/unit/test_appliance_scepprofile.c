/*
 * What the authority makes of the SCEP profile that the front names: challenges, approval, and a name that it does not
 * know.
 */
#include <openssl/x509v3.h>

#include "board/base/clock.h"
#include "tests/lib/certs.h"
#include "tests/lib/office.h"
#include "tests/lib/test.h"

#define CHALLENGE "0123456789ABCDEF0123456789ABCDEF"
#define FIXED     "one for all"

/* An office with a one-time challenge, a static one, and these profiles. */
static void
open_with(struct office *o, const char *profiles)
{
	char text[1000];
	struct config parsed;
	struct err e = {0};

	office_open(o, true);
	snprintf(text, sizeof(text), "challenge: { missing = \"pending\"; static_file = \"/s\"; }; profiles = ( %s );",
		 profiles);
	if (config_parse(text, "F", &parsed, &e) != 0)
		fail_msg("%s", e.text);
	memcpy(o->conf.profiles, parsed.profiles, sizeof(parsed.profiles));
	o->conf.profile_count = parsed.profile_count;
	snprintf(o->conf.challenge_missing, sizeof(o->conf.challenge_missing), "pending");
	office_challenge(o, CHALLENGE, clock_wall() + 3600);
	CHECK_INT(secret_new(FIXED, strlen(FIXED), &o->authority.static_challenge), 0);
}

/* What becomes of a first request that names this profile. */
static int
enroll(struct office *o, const char *profile, const char *transaction, const char *challenge)
{
	EVP_PKEY *key = certs_ec("P-256");

	o->profile = profile;
	office_enroll(o, transaction, key, challenge);
	EVP_PKEY_free(key);
	return o->front.last.status;
}

TEST(a_profile_that_is_not_known_is_neither_refused_nor_served)
{
	struct office o;

	open_with(&o, "{ name = \"a\"; }");
	CHECK_INT(enroll(&o, "b", "1", CHALLENGE), STATUS_RETRY);
	CHECK_INT(enroll(&o, "aa", "2", CHALLENGE), STATUS_RETRY);
	CHECK_INT(o.signatures[KEY_CA], 2); /* the RA's */
	CHECK_INT(office_counts(&o).challenges_open, 1);
	CHECK_INT(enroll(&o, "a", "3", CHALLENGE), STATUS_ISSUED);
	office_close(&o);
}

TEST(one_profile_may_take_the_static_challenge_alone)
{
	struct office o;

	open_with(&o, "{ name = \"s\"; challenge = \"static\"; challenge_missing = \"refuse\"; }");
	CHECK_INT(enroll(&o, "s", "1", CHALLENGE), STATUS_REFUSED);
	CHECK_INT(o.front.last.hresult, HRESULT_CHALLENGE);
	CHECK_INT(office_counts(&o).challenges_open, 1);
	CHECK_INT(enroll(&o, "s", "2", FIXED "x"), STATUS_REFUSED);
	CHECK_INT(enroll(&o, "s", "3", NULL), STATUS_REFUSED);
	CHECK_INT(o.front.last.hresult, HRESULT_CHALLENGE);
	CHECK_INT(enroll(&o, "s", "4", FIXED), STATUS_ISSUED);
	CHECK_INT(enroll(&o, "", "5", CHALLENGE), STATUS_ISSUED);
	office_close(&o);
}

TEST(one_profile_may_take_one_time_challenges_alone)
{
	struct office o;

	open_with(&o, "{ name = \"o\"; challenge = \"one-time\"; }");
	CHECK_INT(enroll(&o, "o", "1", FIXED), STATUS_REFUSED);
	CHECK_INT(o.front.last.hresult, HRESULT_CHALLENGE);
	CHECK_INT(enroll(&o, "o", "2", CHALLENGE), STATUS_ISSUED);
	CHECK_INT(enroll(&o, "o", "3", CHALLENGE), STATUS_REFUSED);
	CHECK_INT(enroll(&o, "", "4", FIXED), STATUS_ISSUED);
	office_close(&o);
}

TEST(what_a_profile_says_of_approval_and_missing_challenges_holds)
{
	struct office o;

	open_with(&o, "{ name = \"w\"; approval = true; }, { name = \"r\"; challenge_missing = \"refuse\"; }");
	CHECK_INT(enroll(&o, "w", "1", FIXED), STATUS_PENDING);
	CHECK_INT(enroll(&o, "r", "2", FIXED), STATUS_ISSUED);
	CHECK_INT(enroll(&o, "r", "3", NULL), STATUS_REFUSED);
	CHECK_INT(enroll(&o, "", "4", NULL), STATUS_PENDING);
	office_close(&o);
}

/* A transaction belongs to its id and key; the URL at which the device asks again changes nothing. */
TEST(a_transaction_is_the_same_for_all_profiles)
{
	struct office o;
	EVP_PKEY *key = certs_ec("P-256");

	open_with(&o, "{ name = \"w\"; approval = true; }");
	o.profile = "w";
	office_enroll(&o, "waits", key, FIXED);
	CHECK_INT(o.front.last.status, STATUS_PENDING);
	o.profile = NULL;
	office_lookup(&o, "waits", key);
	CHECK_INT(o.front.last.status, STATUS_PENDING);
	office_enroll(&o, "issued", key, FIXED);
	CHECK_INT(o.front.last.status, STATUS_ISSUED);
	o.profile = "w";
	office_lookup(&o, "issued", key);
	CHECK_INT(o.front.last.status, STATUS_ISSUED);
	EVP_PKEY_free(key);
	office_close(&o);
}

static bool
issued_for(const struct office *o, const char *oid)
{
	const unsigned char *der = o->front.certificate;
	X509 *cert = d2i_X509(NULL, &der, (long)o->front.last.certificate.len);
	EXTENDED_KEY_USAGE *purposes = X509_get_ext_d2i(cert, NID_ext_key_usage, NULL, NULL);
	char text[64] = "";

	if (sk_ASN1_OBJECT_num(purposes) == 1)
		OBJ_obj2txt(text, sizeof(text), sk_ASN1_OBJECT_value(purposes, 0), 1);
	EXTENDED_KEY_USAGE_free(purposes);
	X509_free(cert);
	return strcmp(text, oid) == 0;
}

TEST(a_profile_may_have_any_template_that_there_is)
{
	struct office o;
	struct err e = {0};

	open_with(&o, "{ name = \"web\"; template = \"WebServer\"; }");
	CHECK_INT(app_state_configure(&o.authority, &o.conf, &e), 0);
	CHECK_INT(enroll(&o, "web", "1", FIXED), STATUS_ISSUED);
	CHECK(issued_for(&o, "1.3.6.1.5.5.7.3.1"));
	CHECK_INT(enroll(&o, "", "2", FIXED), STATUS_ISSUED);
	CHECK(issued_for(&o, "1.3.6.1.5.5.7.3.2"));
	snprintf(o.conf.profiles[0].template, sizeof(o.conf.profiles[0].template), "Wbserver");
	CHECK_INT(app_state_configure(&o.authority, &o.conf, &e), ERR_CONFIG);
	CHECK(strstr(e.text, "profiles[0].template: there is no template \"Wbserver\" (profile \"web\")") != NULL);
	office_close(&o);
}

TEST(who_wants_two_approvals_wants_approval)
{
	struct office o;

	office_open(&o, true);
	office_challenge(&o, CHALLENGE, clock_wall() + 3600);
	o.conf.template_approvals = 2;
	office_reload(&o);
	CHECK_INT(enroll(&o, "", "1", CHALLENGE), STATUS_PENDING);
	office_close(&o);
}

TEST_MAIN(RUN(a_profile_may_have_any_template_that_there_is), RUN(who_wants_two_approvals_wants_approval),
	  RUN(a_profile_that_is_not_known_is_neither_refused_nor_served),
	  RUN(one_profile_may_take_the_static_challenge_alone), RUN(one_profile_may_take_one_time_challenges_alone),
	  RUN(what_a_profile_says_of_approval_and_missing_challenges_holds),
	  RUN(a_transaction_is_the_same_for_all_profiles))
