/* The registration point: challenges for a profile, requests compared with them, and what became of them. */
#include <string.h>

#include "appliance/binding.h"
#include "appliance/registration_check.h"
#include "appliance/store_registration.h"
#include "board/base/clock.h"
#include "board/base/der.h"
#include "board/base/oid.h"
#include "board/base/x509.h"
#include "tests/lib/certs.h"
#include "tests/lib/office.h"
#include "tests/lib/sql.h"
#include "tests/lib/test.h"

enum { TOKEN_SIZE = 80 };

#define PROFILE                                                                                                        \
	"certificate_profile = { name = \"wifi\"; template = \"device\"; extended_key_usage = \"clientAuth\";"         \
	" subject_format = \"CN={{DeviceName}},O=Example\"; san_formats = \"Dns Upn\"; hashes = \"SHA-256\";"          \
	" key_sizes = \"2048 P-384\"; validity_days = 300; };"

/* ---- asking ------------------------------------------------------------------------------------------------------ */

struct minted {
	int calls;
	int code;
	char text[ERR_TEXT_SIZE];
	char token[TOKEN_SIZE];
	int64_t number;
};

static void
on_minted(const struct app_registration_minted *m, void *arg)
{
	struct minted *minted = arg;

	minted->calls++;
	minted->code = m->code;
	minted->number = m->number;
	snprintf(minted->text, sizeof(minted->text), "%s", m->text);
	snprintf(minted->token, sizeof(minted->token), "%.*s", (int)m->challenge.len, (const char *)m->challenge.data);
}

static struct minted
mint_as(struct office *o, const struct app_account *account, const char *profile, const char *device,
	const char *const *variables)
{
	struct app_registration_ask ask = {
		.profile = profile, .device = device, .user = "u1", .account = account, .actor = "operator test"};
	struct minted minted = {.calls = 0};

	for (; *variables != NULL; variables++)
		ask.variables[ask.variable_count++] = bytes_of_text(*variables);
	CHECK_INT(app_registration_generate(&o->authority, &ask, on_minted, &minted), 0);
	CHECK_INT(minted.calls, 0);
	OFFICE_UNTIL(o, minted.calls == 1);
	return minted;
}

static const char *const usual[] = {"DeviceName=dev,1", "DNS=dev1.example.com", "UserPrincipalName=u1@example.com",
				    NULL};

static struct minted
mint(struct office *o)
{
	struct app_account root;
	struct minted minted;

	app_account_root(&root);
	minted = mint_as(o, &root, "wifi", "d1", usual);
	if (minted.code != 0)
		fail_msg("%s", minted.text);
	return minted;
}

static void
on_put(struct app_store_request *request, void *arg)
{
	*(bool *)arg = true;
}

static int
change_profile(struct office *o, enum app_store_op op, const char *name, const char *text)
{
	struct app_registration_record record = {.state = 0};
	bool done = false;
	struct app_store_request r = {.op = op, .done = on_put, .arg = &done, .registration = &record};

	snprintf(record.terms.profile, sizeof(record.terms.profile), "%s", name);
	strcpy(r.actor, "operator test");
	r.der = (struct bytes){(const uint8_t *)text, strlen(text) + 1};
	CHECK_INT(app_store_submit(o->authority.store, &r), 0);
	OFFICE_UNTIL(o, done);
	return r.code;
}

static void
set_up(struct office *o)
{
	office_open(o, false);
	strcpy(o->conf.template_extended_key_usage, "clientAuth");
	office_reload(o);
	CHECK_INT(change_profile(o, APP_STORE_CERTPROFILE_PUT, "wifi", PROFILE), 0);
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

/* What a device asks for; the usual is what the challenge is for. */
struct wish {
	const char *subject; /* as app_name_parse() reads it */
	struct bytes name;   /* or whole */
	const char *challenge;
	const char *sans[4]; /* "DNS:x" */
	bool no_san;
	unsigned key_usage; /* 0: none is asked for */
	struct bytes purposes[3];
	const EVP_MD *md;
	EVP_PKEY *key;
	const char *days; /* ValidityPeriodUnits */
	const char *template_name;
};

static struct wish
usual_wish(const char *challenge)
{
	return (struct wish){
		.subject = "CN=dev\\,1,O=Example",
		.challenge = challenge,
		.sans = {"UPN:u1@example.com", "DNS:DEV1.example.com"},
		.key_usage = 0xa0,
		.purposes = {OID_KP_CLIENT_AUTH},
		.md = EVP_sha256(),
		.key = certs_rsa(),
		.template_name = "device",
	};
}

static void
put_extension(struct buf *out, struct bytes oid, const struct buf *value)
{
	size_t mark = der_open(out, DER_SEQUENCE);

	der_put_oid(out, oid);
	der_put(out, DER_OCTET_STRING, buf_bytes(value));
	der_close(out, mark);
}

static void
put_extensions(const struct wish *wish, struct buf *out)
{
	AUTO_BUF value = {0};
	const uint8_t bits[] = {0, (uint8_t)wish->key_usage};
	size_t mark;

	buf_init(&value, 4096);
	mark = der_open(&value, DER_SEQUENCE);
	for (size_t i = 0; wish->sans[i] != NULL; i++)
		CHECK(app_binding_put_name(&value, wish->sans[i]));
	der_close(&value, mark);
	if (!wish->no_san)
		put_extension(out, OID_SUBJECT_ALT_NAME, &value);
	buf_clear(&value);
	der_put(&value, DER_BIT_STRING, (struct bytes){bits, sizeof(bits)});
	if (wish->key_usage != 0)
		put_extension(out, OID_KEY_USAGE, &value);
	buf_clear(&value);
	mark = der_open(&value, DER_SEQUENCE);
	for (size_t i = 0; wish->purposes[i].len > 0; i++)
		der_put_oid(&value, wish->purposes[i]);
	der_close(&value, mark);
	if (wish->purposes[0].len > 0)
		put_extension(out, OID_EXT_KEY_USAGE, &value);
}

static void
put_ascii_as_bmp(struct buf *out, const char *text)
{
	AUTO_BUF wide = {0};

	buf_init(&wide, 200);
	for (; *text != '\0'; text++) {
		buf_put_u8(&wide, 0);
		buf_put_u8(&wide, (uint8_t)*text);
	}
	der_put(out, DER_BMP_STRING, buf_bytes(&wide));
}

static void
put_pair(struct buf *attributes, const char *name, const char *value)
{
	AUTO_BUF pair = {0};

	buf_init(&pair, 400);
	put_ascii_as_bmp(&pair, name);
	put_ascii_as_bmp(&pair, value);
	certs_attribute(attributes, OID_MS_NAME_VALUE_PAIR, DER_SEQUENCE, buf_bytes(&pair));
}

static struct bytes
build(const struct wish *wish)
{
	AUTO_BUF attributes = {0}, extensions = {0}, name = {0};
	struct bytes subject = wish->name;

	buf_init(&attributes, 8192);
	buf_init(&extensions, 8192);
	buf_init(&name, 4096);
	if (subject.data == NULL) {
		CHECK_INT(app_name_parse(wish->subject, &name, NULL), 0);
		subject = buf_bytes(&name);
	}
	if (wish->challenge != NULL)
		certs_attribute(&attributes, OID_CHALLENGE_PASSWORD, DER_PRINTABLE_STRING,
				bytes_of_text(wish->challenge));
	put_extensions(wish, &extensions);
	if (extensions.len > 0)
		certs_attribute(&attributes, OID_EXTENSION_REQUEST, DER_SEQUENCE, buf_bytes(&extensions));
	if (wish->days != NULL) {
		put_pair(&attributes, "ValidityPeriod", "Days");
		put_pair(&attributes, "ValidityPeriodUnits", wish->days);
	}
	return certs_request(wish->key, wish->md, subject, buf_bytes(&attributes));
}

struct verdict {
	int calls;
	int code;
	bool granted;
	char reason[64];
	char text[ERR_TEXT_SIZE];
};

static void
on_verdict(const struct app_policy_answer *answer, void *arg)
{
	struct verdict *verdict = arg;

	verdict->calls++;
	verdict->code = answer->code;
	verdict->granted = answer->granted;
	snprintf(verdict->reason, sizeof(verdict->reason), "%s", answer->reason);
	snprintf(verdict->text, sizeof(verdict->text), "%s", answer->text);
}

static struct verdict
verify_der(struct office *o, const char *transaction, struct bytes csr, struct bytes signer, const char *template_name)
{
	struct app_policy_request request = {.transaction_id = transaction,
					     .csr = csr,
					     .signer = signer,
					     .template_name = template_name,
					     .profile = "",
					     .peer = "192.0.2.1"};
	struct verdict verdict = {.calls = 0};

	CHECK_INT(app_registration_verify(&o->authority, &request, on_verdict, &verdict), 0);
	CHECK_INT(verdict.calls, 0);
	OFFICE_UNTIL(o, verdict.calls == 1);
	CHECK_INT(verdict.code, 0);
	CHECK_INT(verdict.granted, strcmp(verdict.reason, "Success") == 0);
	return verdict;
}

static struct verdict
verify(struct office *o, const char *transaction, const struct wish *wish)
{
	struct bytes csr = build(wish);
	struct verdict verdict = verify_der(o, transaction, csr, (struct bytes){NULL, 0}, wish->template_name);

	free((void *)csr.data);
	return verdict;
}

static void
check_verdict(struct verdict verdict, const char *reason, const char *field)
{
	if (strcmp(verdict.reason, reason) != 0 || strncmp(verdict.text, field, strlen(field)) != 0)
		fail_msg("%s \"%s\" instead of %s \"%s\"", verdict.reason, verdict.text, reason, field);
}

static struct verdict
notify(struct office *o, const char *transaction, const struct wish *wish, int disposition, const char *serial)
{
	struct bytes csr = build(wish);
	struct app_policy_outcome outcome = {
		.disposition = disposition, .text = "", .transaction_id = transaction, .csr = csr};
	struct verdict verdict = {.calls = 0};

	CHECK_INT(app_registration_notify(&o->authority, &outcome, bytes_of_text(serial), on_verdict, &verdict), 0);
	CHECK_INT(verdict.calls, 0);
	OFFICE_UNTIL(o, verdict.calls == 1);
	free((void *)csr.data);
	return verdict;
}

static void
sql(struct office *o, const char *statement)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/store/store.db", o->folder);
	sql_run(path, statement);
}

/* ---- tests ------------------------------------------------------------------------------------------------------- */

/* A Name with the same text in other string types, in another order, as one value instead of two. */
static const uint8_t bmp_name[] = {0x30, 0x27, 0x31, 0x13, 0x30, 0x11, 0x06, 0x03, 0x55, 0x04, 0x03, 0x1e, 0x0a, 0,
				   'd',  0,    'e',  0,    'v',  0,    ',',  0,    '1',  0x31, 0x10, 0x30, 0x0e, 0x06,
				   0x03, 0x55, 0x04, 0x0a, 0x13, 0x07, 'E',  'x',  'a',  'm',  'p',  'l',  'e'};
static const uint8_t long_form[] = {0x30, 0x81, 0x12, 0x31, 0x10, 0x30, 0x0e, 0x06, 0x03, 0x55, 0x04,
				    0x0a, 0x13, 0x07, 'E',  'x',  'a',  'm',  'p',  'l',  'e'};

TEST(a_request_that_differs_in_one_field_is_told_which)
{
	struct office o;
	struct minted minted;
	EVP_PKEY *p256 = certs_ec("P-256");
	struct wish wish;
	const struct {
		const char *subject;
		const char *reason;
	} subjects[] = {
		{"CN=dev\\,2,O=Example", "SubjectNameMismatch"},
		{"CN=DEV\\,1,O=Example", "SubjectNameMismatch"},     /* case */
		{"O=Example,CN=dev\\,1", "SubjectNameMismatch"},     /* order */
		{"CN=dev,O=1,O=Example", "SubjectNameMismatch"},     /* the comma as syntax */
		{"CN=dev\\\\\\,1,O=Example", "SubjectNameMismatch"}, /* and escaped twice */
		{"CN=dev\\,1,O=Example,OU=x", "SubjectNameMismatch"},
		{"CN=dev\\,1", "SubjectNameMismatch"},
		{"OU=dev\\,1,O=Example", "SubjectNameMismatch"},
		{"CN=dev\\,1,O=Example\\ ", "SubjectNameMismatch"},
	};

	set_up(&o);
	minted = mint(&o);
	for (size_t i = 0; i < ARRAY_SIZE(subjects); i++) {
		wish = usual_wish(minted.token);
		wish.subject = subjects[i].subject;
		check_verdict(verify(&o, "t1", &wish), subjects[i].reason, "subject: ");
	}
	wish = usual_wish(minted.token);
	wish.name = (struct bytes){(const uint8_t *)"\x30\x00", 2};
	check_verdict(verify(&o, "t1", &wish), "SubjectNameMissing", "subject: ");
	wish.name = (struct bytes){long_form, sizeof(long_form)};
	check_verdict(verify(&o, "t1", &wish), "CertificateRequestDecodingFailed", "");
	wish = usual_wish(minted.token);
	wish.no_san = true;
	check_verdict(verify(&o, "t1", &wish), "SubjectAltNameMissing", "subjectAltName: ");
	wish = usual_wish(minted.token);
	wish.sans[2] = "DNS:www.example.com";
	check_verdict(verify(&o, "t1", &wish), "SubjectAltNameMismatch", "subjectAltName: ");
	wish.sans[1] = wish.sans[2] = NULL;
	check_verdict(verify(&o, "t1", &wish), "SubjectAltNameMismatch", "subjectAltName: ");
	wish = usual_wish(minted.token);
	wish.sans[0] = "UPN:U1@example.com";
	check_verdict(verify(&o, "t1", &wish), "SubjectAltNameMismatch", "subjectAltName: ");
	wish = usual_wish(minted.token);
	wish.key_usage = 0x80;
	check_verdict(verify(&o, "t1", &wish), "KeyUsageMismatch", "keyUsage: ");
	wish = usual_wish(minted.token);
	wish.purposes[1] = (struct bytes)OID_KP_SERVER_AUTH;
	check_verdict(verify(&o, "t1", &wish), "EnhancedKeyUsageMismatch", "extendedKeyUsage: ");
	wish = usual_wish(minted.token);
	wish.key = p256;
	check_verdict(verify(&o, "t1", &wish), "KeyLengthMismatch", "key: EC of 256");
	wish = usual_wish(minted.token);
	wish.md = EVP_sha512();
	check_verdict(verify(&o, "t1", &wish), "SignatureValidationFailed", "hash: ");
	wish.md = EVP_sha1();
	check_verdict(verify(&o, "t1", &wish), "SignatureValidationFailed", "request is signed with");
	wish = usual_wish(minted.token);
	wish.template_name = "other";
	check_verdict(verify(&o, "t1", &wish), "BadCertificateRequestIdInChallenge", "template: ");
	wish = usual_wish(minted.token);
	wish.days = "400";
	check_verdict(verify(&o, "t1", &wish), "ChallengeInvalidTimestamp", "validity: ");
	/* After all that the challenge is as good as it was. */
	wish = usual_wish(minted.token);
	wish.days = "100";
	check_verdict(verify(&o, "t1", &wish), "Success", "");
	EVP_PKEY_free(p256);
	office_close(&o);
}

TEST(what_clients_do_differently_is_no_difference)
{
	struct office o;
	struct minted minted;
	struct wish wish;

	set_up(&o);
	minted = mint(&o);
	wish = usual_wish(minted.token);
	wish.name = (struct bytes){bmp_name, sizeof(bmp_name)};
	check_verdict(verify(&o, "t1", &wish), "Success", "");
	wish = usual_wish(minted.token);
	wish.purposes[0] = (struct bytes){NULL, 0};
	wish.key_usage = 0;
	check_verdict(verify(&o, "t2", &wish), "Success", "");
	office_close(&o);
}

TEST(challenges_that_are_not_good_are_told_apart)
{
	struct office o;
	struct minted minted;
	struct wish wish;
	char token[TOKEN_SIZE];

	set_up(&o);
	minted = mint(&o);
	wish = usual_wish(NULL);
	check_verdict(verify(&o, "t1", &wish), "ChallengePasswordMissing", "challenge: ");
	wish.challenge = "not one of ours";
	check_verdict(verify(&o, "t1", &wish), "ChallengeDeserializationError", "challenge: ");
	strcpy(token, minted.token);
	token[3] = token[3] == '0' ? '1' : '0';
	wish.challenge = token;
	check_verdict(verify(&o, "t1", &wish), "ChallengeDecryptionError", "challenge: ");
	office_challenge(&o, "0123456789ABCDEF", clock_wall() + 3600);
	wish.challenge = "0123456789ABCDEF";
	check_verdict(verify(&o, "t1", &wish), "ChallengeDecodingError", "challenge: ");
	wish.challenge = minted.token;
	sql(&o, "UPDATE challenge SET created = created + 4000 WHERE profile <> ''");
	check_verdict(verify(&o, "t1", &wish), "ChallengeInvalidTimestamp", "challenge: ");
	sql(&o, "UPDATE challenge SET created = created - 4000 WHERE profile <> ''");
	sql(&o, "UPDATE challenge SET expires = expires - 9000 WHERE profile <> ''");
	check_verdict(verify(&o, "t1", &wish), "ChallengeExpired", "challenge: ");
	sql(&o, "UPDATE challenge SET expires = expires + 9000, used = 1 WHERE profile <> ''");
	check_verdict(verify(&o, "t1", &wish), "ScepProfileNoLongerTargetedToTheClient", "challenge: ");
	sql(&o, "UPDATE challenge SET serial = x'01' WHERE profile <> ''");
	check_verdict(verify(&o, "t1", &wish), "BadCertificateRequestIdInChallenge", "challenge: ");
	sql(&o, "UPDATE challenge SET serial = NULL, used = 0 WHERE profile <> ''");
	CHECK_INT(change_profile(&o, APP_STORE_CERTPROFILE_REMOVE, "wifi", ""), 0);
	check_verdict(verify(&o, "t1", &wish), "ScepProfileNoLongerTargetedToTheClient", "profile: ");
	CHECK_INT(change_profile(&o, APP_STORE_CERTPROFILE_REMOVE, "wifi", ""), ERR_UNKNOWN);
	office_close(&o);
}

TEST(a_broken_request_is_refused_at_every_length)
{
	struct office o;
	struct minted minted;
	struct wish wish;
	struct bytes csr;

	set_up(&o);
	minted = mint(&o);
	wish = usual_wish(minted.token);
	csr = build(&wish);
	for (size_t len = 0; len < csr.len; len += 7)
		CHECK(!verify_der(&o, "t", (struct bytes){csr.data, len}, (struct bytes){NULL, 0}, "device").granted);
	free((void *)csr.data);
	office_close(&o);
}

TEST(the_first_notify_uses_the_challenge_up_and_the_other_request_is_told)
{
	struct office o;
	struct minted minted;
	EVP_PKEY *p384 = certs_ec("P-384");
	struct wish one, two;

	set_up(&o);
	minted = mint(&o);
	one = usual_wish(minted.token);
	two = usual_wish(minted.token);
	two.key = p384;
	check_verdict(verify(&o, "t1", &one), "Success", "");
	check_verdict(verify(&o, "t2", &two), "Success", "");
	CHECK_INT(office_counts(&o).challenges_open, 1);
	check_verdict(notify(&o, "t2", &two, DISPOSITION_SUCCESS, "\x01\x02"), "Success", "");
	CHECK_INT(office_counts(&o).challenges_open, 0);
	check_verdict(notify(&o, "t1", &one, DISPOSITION_SUCCESS, "\x01\x03"), "BadCertificateRequestIdInChallenge",
		      "the challenge");
	/* Again is fine; another certificate, or that it failed after all, is not. */
	check_verdict(notify(&o, "t2", &two, DISPOSITION_SUCCESS, "\x01\x02"), "Success", "");
	check_verdict(notify(&o, "t2", &two, DISPOSITION_FAILURE, ""), "Success", "");
	check_verdict(notify(&o, "t2", &two, DISPOSITION_SUCCESS, "\x05"), "BadCertificateRequestIdInChallenge", "");
	check_verdict(verify(&o, "t2", &two), "BadCertificateRequestIdInChallenge", "challenge: it was used");
	check_verdict(verify(&o, "t3", &one), "BadCertificateRequestIdInChallenge", "challenge: it was used");
	EVP_PKEY_free(p384);
	office_close(&o);
}

TEST(after_a_failure_or_without_notify_the_device_may_try_again)
{
	struct office o;
	struct minted minted;
	struct wish wish;

	set_up(&o);
	minted = mint(&o);
	wish = usual_wish(minted.token);
	check_verdict(notify(&o, "t1", &wish, DISPOSITION_SUCCESS, "\x01"), "Unknown", "nothing is known");
	check_verdict(verify(&o, "t1", &wish), "Success", "");
	check_verdict(verify(&o, "t1", &wish), "Success", "");
	check_verdict(notify(&o, "t1", &wish, DISPOSITION_PENDING, ""), "Success", "");
	check_verdict(notify(&o, "t1", &wish, DISPOSITION_FAILURE, ""), "Success", "");
	check_verdict(verify(&o, "t1", &wish), "Success", "");
	/* A request that was allowed may wait for an operator for longer than its challenge lives. */
	sql(&o, "UPDATE challenge SET expires = expires - 9000 WHERE profile <> ''");
	check_verdict(verify(&o, "t1", &wish), "Success", "");
	check_verdict(verify(&o, "t9", &wish), "ChallengeExpired", "");
	check_verdict(notify(&o, "t1", &wish, DISPOSITION_SUCCESS, "\x01"), "Success", "");
	office_close(&o);
}

TEST(a_challenge_that_was_revoked_meanwhile_is_told_at_the_end)
{
	struct office o;
	struct minted minted;
	struct wish wish;

	set_up(&o);
	minted = mint(&o);
	wish = usual_wish(minted.token);
	check_verdict(verify(&o, "t1", &wish), "Success", "");
	sql(&o, "UPDATE challenge SET used = 1 WHERE profile <> ''");
	check_verdict(notify(&o, "t1", &wish, DISPOSITION_SUCCESS, "\x01"), "ScepProfileNoLongerTargetedToTheClient",
		      "");
	office_close(&o);
}

TEST(requests_of_one_challenge_are_bounded)
{
	struct office o;
	struct minted minted;
	struct wish wish;
	char transaction[16];

	set_up(&o);
	minted = mint(&o);
	wish = usual_wish(minted.token);
	for (int i = 0; i < APP_REGISTRATION_OPEN_MAX; i++) {
		snprintf(transaction, sizeof(transaction), "t%d", i);
		check_verdict(verify(&o, transaction, &wish), "Success", "");
	}
	check_verdict(verify(&o, "one more", &wish), "BadCertificateRequestIdInChallenge", "challenge: too many");
	check_verdict(verify(&o, "t3", &wish), "Success", "");
	office_close(&o);
}

TEST(a_renewal_is_known_by_the_old_certificate)
{
	struct office o;
	struct minted minted;
	struct wish wish;
	struct bytes signer = certs_self_signed(certs_rsa(), EVP_sha256()), other, csr;
	struct x509 cert;
	struct app_policy_outcome outcome = {.disposition = DISPOSITION_SUCCESS, .text = "", .transaction_id = "t1"};
	struct verdict verdict = {.calls = 0};
	EVP_PKEY *p384 = certs_ec("P-384");

	set_up(&o);
	minted = mint(&o);
	wish = usual_wish(minted.token);
	csr = build(&wish);
	CHECK_INT(x509_parse(signer, &cert, NULL), 0);
	check_verdict(verify_der(&o, "r1", csr, signer, "device"), "SigningCertThumbprintMismatch", "signer: ");
	check_verdict(verify(&o, "t1", &wish), "Success", "");
	outcome.csr = csr;
	outcome.certificate = signer;
	CHECK_INT(app_registration_notify(&o.authority, &outcome, (struct bytes){NULL, 0}, on_verdict, &verdict), 0);
	OFFICE_UNTIL(&o, verdict.calls == 1);
	check_verdict(verdict, "Success", "");
	free((void *)csr.data);
	wish.challenge = NULL;
	wish.key = p384;
	csr = build(&wish);
	check_verdict(verify_der(&o, "r1", csr, signer, "device"), "Success", "");
	check_verdict(verify_der(&o, "r1", csr, bytes_of_text("x"), "device"), "CertificateRequestDecodingFailed",
		      "signer: ");
	check_verdict(verify_der(&o, "r2", csr, signer, "other"), "BadCertificateRequestIdInChallenge", "template: ");
	/* The serial number alone is not the certificate. */
	other = bytes_dup(signer);
	((uint8_t *)(uintptr_t)other.data)[other.len - 1] ^= 1;
	check_verdict(verify_der(&o, "r3", csr, other, "device"), "SigningCertThumbprintMismatch", "signer: another");
	free((void *)csr.data);
	free((void *)other.data);
	wish.subject = "CN=somebody else";
	csr = build(&wish);
	check_verdict(verify_der(&o, "r4", csr, signer, "device"), "SubjectNameMismatch", "subject: ");
	CHECK_INT(change_profile(&o, APP_STORE_CERTPROFILE_REMOVE, "wifi", ""), 0);
	check_verdict(verify_der(&o, "r4", csr, signer, "device"), "ScepProfileNoLongerTargetedToTheClient",
		      "profile: ");
	free((void *)csr.data);
	free((void *)signer.data);
	EVP_PKEY_free(p384);
	office_close(&o);
}

TEST(who_asks_is_told_what_is_missing)
{
	static const struct {
		const char *profile;
		const char *device;
		const char *variables[4];
		int code;
		const char *text;
	} list[] = {
		{"wifi", "d1", {"DNS=a.example", "UserPrincipalName=u@x"}, ERR_FORMAT, "subject: variable DeviceName"},
		{"wifi", "d1", {"DeviceName=a", "DNS=a.example"}, ERR_FORMAT, "subjectAltName: variable UserPrincipal"},
		{"wifi",
		 "d1",
		 {"DeviceName=a", "DNS=not a host", "UserPrincipalName=u@x"},
		 ERR_FORMAT,
		 "subjectAltName: DNS"},
		{"wifi", "d1", {"DeviceName=a\n", NULL}, ERR_FORMAT, "variable DeviceName: must be UTF-8"},
		{"wifi", "d1", {"DeviceName=a", "DeviceName=b"}, ERR_FORMAT, "variable DeviceName: is given twice"},
		{"wifi", "d1", {"DeviceId=d2"}, ERR_FORMAT, "variable DeviceId: is not that of the ask"},
		{"wifi", "", {NULL}, ERR_FORMAT, "device: "},
		{"wifi", "a b", {NULL}, ERR_FORMAT, "device: "},
		{"lan", "d1", {NULL}, ERR_UNKNOWN, "there is no such"},
		{"", "d1", {NULL}, ERR_UNKNOWN, "there is no such"},
	};
	struct app_account account;
	struct minted minted;
	struct office o;

	set_up(&o);
	app_account_root(&account);
	for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
		minted = mint_as(&o, &account, list[i].profile, list[i].device, list[i].variables);
		if (minted.code != list[i].code || strncmp(minted.text, list[i].text, strlen(list[i].text)) != 0)
			fail_msg("%zu: %d %s", i, minted.code, minted.text);
	}
	CHECK_INT(app_account_set("mallory", "nobodies", &account, NULL), 0);
	minted = mint_as(&o, &account, "wifi", "d1", usual);
	CHECK_INT(minted.code, ERR_DENIED);
	CHECK_INT(office_counts(&o).challenges_open, 0);
	o.conf.challenge_max_open = 1;
	office_reload(&o);
	mint(&o);
	app_account_root(&account);
	CHECK_INT(mint_as(&o, &account, "wifi", "d1", usual).code, ERR_LIMIT);
	office_close(&o);
}

TEST(a_profile_must_agree_with_its_template)
{
	struct office o;
	struct app_account root;
	struct minted minted;

	set_up(&o);
	app_account_root(&root);
	strcpy(o.conf.template_extended_key_usage, "clientAuth serverAuth");
	office_reload(&o);
	minted = mint_as(&o, &root, "wifi", "d1", usual);
	CHECK_INT(minted.code, ERR_CONFIG);
	CHECK(strstr(minted.text, "extended_key_usage: template device gives others too") != NULL);
	office_close(&o);
}

TEST(its_challenge_is_of_no_use_where_no_registration_point_is_asked)
{
	struct app_store_request r = {.op = APP_STORE_RESERVE, .done = on_put, .has_challenge = true};
	struct app_claim claim = {.template_name = "device"};
	struct office o;
	struct minted minted;
	bool done = false;

	set_up(&o);
	minted = mint(&o);
	r.arg = &done;
	r.claim = &claim;
	strcpy(r.transaction_id, "t1");
	app_challenge_hash(o.authority.challenge_key, bytes_of_text(minted.token), r.challenge_hash);
	CHECK_INT(app_store_submit(o.authority.store, &r), 0);
	OFFICE_UNTIL(&o, done);
	CHECK_INT(r.code, ERR_DENIED);
	CHECK_INT(r.verdict, APP_CHALLENGE_REGISTRATION);
	app_store_request_fini(&r);
	office_close(&o);
}

TEST_MAIN(RUN(a_request_that_differs_in_one_field_is_told_which), RUN(what_clients_do_differently_is_no_difference),
	  RUN(challenges_that_are_not_good_are_told_apart), RUN(a_broken_request_is_refused_at_every_length),
	  RUN(the_first_notify_uses_the_challenge_up_and_the_other_request_is_told),
	  RUN(after_a_failure_or_without_notify_the_device_may_try_again),
	  RUN(a_challenge_that_was_revoked_meanwhile_is_told_at_the_end), RUN(requests_of_one_challenge_are_bounded),
	  RUN(a_renewal_is_known_by_the_old_certificate), RUN(who_asks_is_told_what_is_missing),
	  RUN(a_profile_must_agree_with_its_template),
	  RUN(its_challenge_is_of_no_use_where_no_registration_point_is_asked))
