/* hsm/tbs_registration: what the registration point's key refuses to sign. */
#include "board/base/der.h"
#include "board/base/oid.h"
#include "hsm/sign.h"
#include "hsm/tbs.h"
#include "hsm/tbs_registration.h"
#include "tests/lib/certs.h"
#include "tests/lib/tbs.h"
#include "tests/lib/test.h"

enum { DAY = 24 * 3600, YEARS_20 = 20 * 365 };

/* 2026-11-22T12:00:00Z: nothing here looks at a real clock. */
static const int64_t now = 1795348800;

#define IS_CA       OID_BYTES("\x30\x06\x01\x01\xff\x02\x01\x00")
#define IS_NO_CA    OID_BYTES("\x30\x00")
#define SIGNS       OID_BYTES("\x03\x02\x01\x06")
#define SERVES      OID_BYTES("\x03\x02\x07\x80")
#define SERVER_AUTH OID_BYTES("\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01")
#define CLIENT_TOO                                                                                                     \
	OID_BYTES("\x30\x14\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01"                                                   \
		  "\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02")
#define ANY_PURPOSE OID_BYTES("\x30\x06\x06\x04\x55\x1d\x25\x00")
#define NAMES       OID_BYTES("\x30\x07\x82\x05point")

/* What a certificate says, each extension by its value; empty: it is not there. */
struct wish {
	struct tbs_plan plan;
	struct bytes constraints;
	struct bytes usage;
	struct bytes purposes;
	struct bytes names;
	struct bytes issuer_key; /* keyIdentifier */
	struct bytes odd;        /* OID of another extension */
};

static struct {
	struct bytes root_name;
	struct bytes server_name;
	struct bytes ca_name;
	struct bytes spki; /* the registration point's */
	struct bytes server_spki;
	struct bytes ca_spki;
	struct bytes algorithm;
	uint8_t key_id[20];
	struct hsm_limits limits;
	struct wish root;
	struct wish server;
} t;

static struct bytes
new_spki(void)
{
	EVP_PKEY *key = certs_ec("P-256");
	struct bytes spki = certs_spki(key);

	EVP_PKEY_free(key);
	return spki;
}

static void
setup(void)
{
	t.root_name = certs_name("Registration point root");
	t.server_name = certs_name("point.example");
	t.ca_name = certs_name("Device CA");
	t.spki = new_spki();
	t.server_spki = new_spki();
	t.ca_spki = new_spki();
	t.algorithm = hsm_sign_algorithm(KEY_ALG_P256, DIGEST_SHA256);
	CHECK_INT(x509_key_id(t.spki, t.key_id), 0);
	t.limits = (struct hsm_limits){.has_ca = true, .ca_spki = t.spki, .other_spkis = {t.ca_spki}};
	t.limits.ca.tbs.subject = t.ca_name;
	t.root = (struct wish){.plan = tbs_plan(t.algorithm, t.root_name, t.root_name, t.spki, now),
			       .constraints = IS_CA,
			       .usage = SIGNS};
	t.root.plan.not_after = now + YEARS_20 * (int64_t)DAY;
	t.server = (struct wish){.plan = tbs_plan(t.algorithm, t.root_name, t.server_name, t.server_spki, now),
				 .constraints = IS_NO_CA,
				 .usage = SERVES,
				 .purposes = SERVER_AUTH,
				 .names = NAMES,
				 .issuer_key = {t.key_id, sizeof(t.key_id)}};
}

static void
teardown(void)
{
	free((void *)t.root_name.data);
	free((void *)t.server_name.data);
	free((void *)t.ca_name.data);
	free((void *)t.spki.data);
	free((void *)t.server_spki.data);
	free((void *)t.ca_spki.data);
}

static void
put(struct buf *out, struct bytes oid, struct bytes value)
{
	size_t mark;

	if (value.len == 0)
		return;
	mark = der_open(out, DER_SEQUENCE);
	der_put_oid(out, oid);
	der_put(out, DER_OCTET_STRING, value);
	der_close(out, mark);
}

static void
build(const struct wish *wish, struct buf *out)
{
	struct tbs_plan plan = wish->plan;
	AUTO_BUF more;

	buf_init(&more, 4096);
	put(&more, OID_BASIC_CONSTRAINTS, wish->constraints);
	put(&more, OID_KEY_USAGE, wish->usage);
	put(&more, OID_EXT_KEY_USAGE, wish->purposes);
	put(&more, OID_SUBJECT_ALT_NAME, wish->names);
	if (wish->odd.len > 0)
		put(&more, wish->odd, IS_NO_CA);
	plan.bare = true;
	plan.more = buf_bytes(&more);
	plan.authority_key_id = wish->issuer_key;
	tbs_put(out, &plan);
}

static int
check(struct bytes data)
{
	struct err e = {0};
	int code =
		hsm_tbs_check(&t.limits, KEY_REGISTRATION, ROLE_AUTHORITY, DIGEST_SHA256, t.algorithm, data, now, &e);

	CHECK_INT(e.code, code);
	CHECK((code == 0) == (e.text[0] == '\0'));
	return code;
}

static int
check_wish(const struct wish *wish)
{
	AUTO_BUF tbs;

	buf_init(&tbs, 4096);
	build(wish, &tbs);
	return check(buf_bytes(&tbs));
}

/* Departs from the honest wish in one thing. */
#define REFUSED(honest, change)                                                                                        \
	do {                                                                                                           \
		struct wish wish = (honest);                                                                           \
		wish.change;                                                                                           \
		CHECK_INT(check_wish(&wish), ERR_DENIED);                                                              \
	} while (0)

static void
refuse_in_both(const struct wish *honest)
{
	REFUSED(*honest, plan.version = 0);
	REFUSED(*honest, plan.algorithm = hsm_sign_algorithm(KEY_ALG_P256, DIGEST_SHA384));
	REFUSED(*honest, plan.serial = OID_BYTES("\x00"));
	REFUSED(*honest, plan.serial = OID_BYTES("\x80"));
	REFUSED(*honest, plan.serial = OID_BYTES("\x01 21 octets long here"));
	REFUSED(*honest, plan.not_before = now + 301);
	REFUSED(*honest, plan.not_before = now - 8 * DAY - 1);
	REFUSED(*honest, plan.not_after = honest->plan.not_before);
	REFUSED(*honest, plan.issuer = t.ca_name);
	REFUSED(*honest, plan.spki = t.ca_spki);
	REFUSED(*honest, plan.twice = true);
	REFUSED(*honest, odd = OID_BYTES("\x55\x1d\x1e"));
	REFUSED(*honest, constraints = (struct bytes){0});
	REFUSED(*honest, usage = (struct bytes){0});
}

TEST(dishonest_roots_are_refused)
{
	refuse_in_both(&t.root);
	REFUSED(t.root, plan.spki = t.server_spki);
	REFUSED(t.root, constraints = OID_BYTES("\x30\x03\x01\x01\xff"));
	REFUSED(t.root, constraints = OID_BYTES("\x30\x06\x01\x01\xff\x02\x01\x01"));
	REFUSED(t.root, constraints = IS_NO_CA);
	REFUSED(t.root, usage = OID_BYTES("\x03\x02\x01\x86"));
	REFUSED(t.root, usage = SERVES);
	REFUSED(t.root, purposes = SERVER_AUTH);
	REFUSED(t.root, plan.not_after = now + (HSM_TBS_REGISTRATION_ROOT_DAYS + 1) * (int64_t)DAY);
}

TEST(dishonest_servers_are_refused)
{
	refuse_in_both(&t.server);
	REFUSED(t.server, plan.spki = t.spki);
	REFUSED(t.server, plan.spki = OID_BYTES("\x30\x00"));
	REFUSED(t.server, constraints = IS_CA);
	REFUSED(t.server, usage = SIGNS);
	REFUSED(t.server, usage = OID_BYTES("\x03\x02\x01\x82"));
	REFUSED(t.server, purposes = (struct bytes){0});
	REFUSED(t.server, purposes = CLIENT_TOO);
	REFUSED(t.server, purposes = ANY_PURPOSE);
	REFUSED(t.server, names = (struct bytes){0});
	REFUSED(t.server, names = IS_NO_CA);
	REFUSED(t.server, issuer_key = (struct bytes){0});
	REFUSED(t.server, issuer_key = OID_BYTES("key identifier of XX"));
	REFUSED(t.server, plan.not_after = t.server.plan.not_before + 90 * DAY + 1);
}

TEST(honest_ones_are_signed)
{
	struct wish longest = t.server;

	CHECK_INT(check_wish(&t.root), 0);
	CHECK_INT(check_wish(&t.server), 0);
	longest.plan.not_after = longest.plan.not_before + 90 * DAY;
	CHECK_INT(check_wish(&longest), 0);
}

TEST(nobody_else_and_no_sha1)
{
	for (int from = 0; from < ROLE_COUNT; from++)
		CHECK_INT(hsm_tbs_allowed(KEY_REGISTRATION, (enum role)from, DIGEST_SHA256, NULL),
			  from == ROLE_AUTHORITY ? 0 : ERR_DENIED);
	CHECK_INT(hsm_tbs_allowed(KEY_REGISTRATION, ROLE_AUTHORITY, DIGEST_SHA1, NULL), ERR_ALG);
}

TEST(broken_der_is_refused)
{
	struct bytes whole;
	AUTO_BUF tbs;

	buf_init(&tbs, 4096);
	build(&t.server, &tbs);
	whole = buf_bytes(&tbs);
	for (size_t len = 0; len < whole.len; len++)
		CHECK_INT(check((struct bytes){whole.data, len}), ERR_FORMAT);
	buf_put_u8(&tbs, 0);
	CHECK_INT(check(buf_bytes(&tbs)), ERR_FORMAT);
}

/* Whatever one bit is changed to: no CA below the root, and nothing that lasts. */
TEST(mutations_of_a_server_do_not_escape)
{
	struct bytes whole;
	AUTO_BUF tbs;

	buf_init(&tbs, 4096);
	build(&t.server, &tbs);
	whole = buf_bytes(&tbs);
	for (size_t i = 0; i < whole.len * 8; i++) {
		struct x509_tbs parsed;

		tbs.data[i / 8] ^= (uint8_t)(1u << (i % 8));
		if (hsm_tbs_check(&t.limits, KEY_REGISTRATION, ROLE_AUTHORITY, DIGEST_SHA256, t.algorithm, whole, now,
				  NULL) == 0) {
			CHECK_INT(x509_tbs_parse(whole, &parsed, NULL), 0);
			CHECK(!bytes_equal(parsed.issuer, parsed.subject));
			CHECK(!bytes_equal(parsed.spki, t.spki));
			CHECK(parsed.not_after <= now + 91 * (int64_t)DAY);
		}
		tbs.data[i / 8] ^= (uint8_t)(1u << (i % 8));
	}
}

int
main(void)
{
	const struct CMUnitTest list[] = {
		RUN(dishonest_roots_are_refused), RUN(dishonest_servers_are_refused),
		RUN(honest_ones_are_signed),      RUN(nobody_else_and_no_sha1),
		RUN(broken_der_is_refused),       RUN(mutations_of_a_server_do_not_escape),
	};
	int failed;

	setup();
	failed = cmocka_run_group_tests(list, NULL, NULL);
	teardown();
	return test_finish((int)ARRAY_SIZE(list), failed);
}
