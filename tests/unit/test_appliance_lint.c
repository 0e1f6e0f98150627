#include "appliance/cert.h"

#include "board/base/der.h"
#include "board/base/oid.h"
#include "tests/lib/certs.h"
#include "tests/lib/test.h"

#define LITERAL(s) ((struct bytes){(const uint8_t *)(s), sizeof(s) - 1})

/* The pieces of a TBSCertificate, of which each test spoils one. */
struct pieces {
	struct bytes version;
	struct bytes serial;
	struct bytes algorithm;
	struct bytes issuer;
	struct bytes validity;
	struct bytes subject;
	struct bytes spki;
	struct bytes identifiers;
	struct bytes basic;
	struct bytes usage;
	struct bytes purposes;
	struct bytes key_id;
	struct bytes authority;
	struct bytes san;
	struct bytes more;
	struct bytes behind;
};

static struct bytes ca;
static struct app_issuer issuer;
static struct pieces good, good_ec;

#define VALIDITY(a, b) LITERAL("\x30\x1e\x17\x0d" a "\x17\x0d" b)
#define SUBJECT        LITERAL("\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01x")

/* An extension whose value is the key identifier of spki, or of the issuer. */
static struct bytes
key_id_extension(bool authority, const uint8_t *key_id)
{
	uint8_t *der = malloc(64);
	size_t len;

	if (authority) {
		memcpy(der, "\x30\x1f\x06\x03\x55\x1d\x23\x04\x18\x30\x16\x80\x14", 13);
		len = 13;
	} else {
		memcpy(der, "\x30\x1d\x06\x03\x55\x1d\x0e\x04\x16\x04\x14", 11);
		len = 11;
	}
	memcpy(der + len, key_id, 20);
	return (struct bytes){der, len + 20};
}

static void
setup(void)
{
	static EVP_PKEY *ec;
	uint8_t key_id[20];

	if (ec != NULL)
		return;
	ec = certs_ec("P-256");
	ca = certs_ca(certs_rsa());
	CHECK_INT(app_issuer_init(ca, &issuer, NULL), 0);
	good = (struct pieces){
		.version = LITERAL("\xa0\x03\x02\x01\x02"),
		.serial = LITERAL("\x02\x01\x05"),
		.algorithm = issuer.algorithm,
		.issuer = issuer.cert.tbs.subject,
		.subject = SUBJECT,
		.spki = certs_spki(certs_rsa()),
		.basic = LITERAL("\x30\x0c\x06\x03\x55\x1d\x13\x01\x01\xff\x04\x02\x30\x00"),
		.usage = LITERAL("\x30\x0e\x06\x03\x55\x1d\x0f\x01\x01\xff\x04\x04\x03\x02\x05\xa0"),
		.purposes =
			LITERAL("\x30\x13\x06\x03\x55\x1d\x25\x04\x0c\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02"),
		.san = LITERAL("\x30\x0c\x06\x03\x55\x1d\x11\x04\x05\x30\x03\x82\x01x"),
		.authority = key_id_extension(true, issuer.key_id.data),
	};
	CHECK_INT(x509_key_id(good.spki, key_id), 0);
	good.key_id = key_id_extension(false, key_id);
	good_ec = good;
	good_ec.spki = certs_spki(ec);
	CHECK_INT(x509_key_id(good_ec.spki, key_id), 0);
	good_ec.key_id = key_id_extension(false, key_id);
	good_ec.usage = LITERAL("\x30\x0e\x06\x03\x55\x1d\x0f\x01\x01\xff\x04\x04\x03\x02\x03\x88");
}

static void
put(struct buf *b, const struct pieces *p)
{
	size_t whole, validity, outer, list;

	whole = der_open(b, DER_SEQUENCE);
	der_put_raw(b, p->version);
	der_put_raw(b, p->serial);
	der_put_raw(b, p->algorithm);
	der_put_raw(b, p->issuer);
	if (p->validity.len == 0) {
		validity = der_open(b, DER_SEQUENCE);
		der_put_time(b, issuer.cert.tbs.not_before);
		der_put_time(b, issuer.cert.tbs.not_after);
		der_close(b, validity);
	}
	der_put_raw(b, p->validity);
	der_put_raw(b, p->subject);
	der_put_raw(b, p->spki);
	der_put_raw(b, p->identifiers);
	outer = der_open(b, DER_CONTEXT_CONSTRUCTED(3));
	list = der_open(b, DER_SEQUENCE);
	der_put_raw(b, p->basic);
	der_put_raw(b, p->usage);
	der_put_raw(b, p->purposes);
	der_put_raw(b, p->key_id);
	der_put_raw(b, p->authority);
	der_put_raw(b, p->san);
	der_put_raw(b, p->more);
	der_close(b, list);
	der_close(b, outer);
	der_put_raw(b, p->behind);
	der_close(b, whole);
	CHECK_INT(buf_status(b), 0);
}

/* Is it refused, and is this rule named? */
static void
check_refused(const struct pieces *p, const char *what, const char *rule)
{
	AUTO_BUF b = {0};
	struct err e = {0};

	buf_init(&b, 100000);
	put(&b, p);
	if (app_cert_lint(&issuer, buf_bytes(&b), &e) != ERR_INTERNAL)
		fail_msg("passed: %s, %s", what, rule);
	if (strstr(e.text, what) == NULL || strstr(e.text, rule) == NULL)
		fail_msg("expected \"%s\" and \"%s\": %s", what, rule, e.text);
}

static void
check_passes(const struct pieces *p)
{
	AUTO_BUF b = {0};
	struct err e = {0};

	buf_init(&b, 100000);
	put(&b, p);
	if (app_cert_lint(&issuer, buf_bytes(&b), &e) != 0)
		fail_msg("%s", e.text);
}

struct spoiled {
	size_t piece;
	struct bytes value;
	const char *what;
	const char *rule;
};

#define SPOIL(piece, value, what, rule)                                                                                \
	{                                                                                                              \
		offsetof(struct pieces, piece), value, what, rule                                                      \
	}

static void
check_list(const struct pieces *from, const struct spoiled *list, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		struct pieces p = *from;

		memcpy((char *)&p + list[i].piece, &list[i].value, sizeof(struct bytes));
		check_refused(&p, list[i].what, list[i].rule);
	}
}

TEST(what_is_right_passes)
{
	struct pieces p;

	setup();
	check_passes(&good);
	check_passes(&good_ec);
	p = good;
	p.san.len = 0;
	p.purposes.len = 0;
	check_passes(&p);
	/* a type that we do not know, from the name of a CA that somebody else certified */
	p.subject = LITERAL("\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x7f\x0c\x01x");
	check_passes(&p);
	p.subject = LITERAL("\x30\x00");
	p.san = LITERAL("\x30\x0f\x06\x03\x55\x1d\x11\x01\x01\xff\x04\x05\x30\x03\x82\x01x");
	check_passes(&p);
}

TEST(fields_that_break_a_rule_are_named)
{
	setup();
	{
		const struct spoiled list[] = {
			SPOIL(version, LITERAL(""), "version", "4.1.2.1"),
			SPOIL(version, LITERAL("\xa0\x03\x02\x01\x01"), "version", "4.1.2.1"),
			SPOIL(version, LITERAL("\xa0\x03\x02\x01\x00"), "version", "4.1.2.1"),
			SPOIL(serial, LITERAL("\x02\x01\x00"), "positive", "4.1.2.2"),
			SPOIL(serial, LITERAL("\x02\x01\x80"), "positive", "4.1.2.2"),
			SPOIL(serial, LITERAL("\x02\x00"), "20 octets", "4.1.2.2"),
			SPOIL(serial, LITERAL("\x02\x15\x01xxxxxxxxxxxxxxxxxxxx"), "20 octets", "4.1.2.2"),
			SPOIL(serial, LITERAL("\x02\x02\x00\x01"), "zero", "8.3.2"),
			SPOIL(algorithm, LITERAL("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05\x05\x00"),
			      "algorithm", "4.1.2.3"),
			SPOIL(issuer, LITERAL("\x30\x00"), "issuer", "4.1.2.4"),
			SPOIL(issuer, SUBJECT, "issuer", "4.1.2.4"),
			SPOIL(validity, LITERAL("\x30\x00"), "validity", "4.1.2.5"),
			SPOIL(validity, VALIDITY("320101000000Z", "310101000000Z"), "ends before", "4.1.2.5"),
			SPOIL(validity, VALIDITY("010101000000Z", "310101000000Z"), "beyond the CA's", "6.1.3"),
			SPOIL(validity, VALIDITY("300101000000Z", "490101000000Z"), "beyond the CA's", "6.1.3"),
			SPOIL(validity, VALIDITY("300101000000Z", "311301000000Z"), "dates", "4.1.2.5"),
			SPOIL(validity,
			      LITERAL("\x30\x20\x17\x0d"
				      "300101000000Z\x18\x0f"
				      "20310101000000Z"),
			      "UTCTime through 2049", "4.1.2.5"),
			SPOIL(identifiers, LITERAL("\x81\x02\x00\x01"), "unique identifiers", "4.1.2.8"),
			SPOIL(behind, LITERAL("\x05\x00"), "behind", "4.1"),
		};

		check_list(&good, list, sizeof(list) / sizeof(list[0]));
	}
}

TEST(subjects_that_break_a_rule_are_named)
{
	setup();
	{
		const struct spoiled list[] = {
			SPOIL(subject, LITERAL("\x30\x02\x30\x00"), "Name", "4.1.2.4"),
			SPOIL(subject, LITERAL("\x30\x02\x31\x00"), "Name", "4.1.2.4"),
			SPOIL(subject, LITERAL("\x30\x0b\x31\x09\x30\x07\x06\x03\x55\x04\x03\x0c\x00"), "upper bound",
			      "A.1"),
			SPOIL(subject,
			      LITERAL("\x30\x4c\x31\x4a\x30\x48\x06\x03\x55\x04\x03\x0c\x41"
				      "0123456789012345678901234567890123456789012345678901234567890123x"),
			      "upper bound", "A.1"),
			SPOIL(subject, LITERAL("\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01\xff"),
			      "DirectoryString", "4.1.2.4"),
			SPOIL(subject, LITERAL("\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01\x00"),
			      "DirectoryString", "4.1.2.4"),
			SPOIL(subject, LITERAL("\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x02\x01\x01"),
			      "DirectoryString", "4.1.2.4"),
			SPOIL(subject, LITERAL("\x30\x0b\x31\x09\x30\x07\x0c\x03\x55\x04\x7f\x0c\x00"), "malformed",
			      "4.1.2.4"),
			SPOIL(subject, LITERAL("\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x13\x01_"),
			      "PrintableString", "X.680 41.4"),
			SPOIL(subject, LITERAL("\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x16\x01x"),
			      "DirectoryString", "4.1.2.4"),
			SPOIL(subject, LITERAL("\x30\x00"), "subjectAltName", "4.2.1.6"),
			SPOIL(spki, LITERAL("\x30\x00"), "subjectPublicKeyInfo", "4.1.2.7"),
			SPOIL(spki, LITERAL("\x30\x0b\x30\x05\x06\x03\x2b\x65\x70\x03\x02\x00x"), "malformed",
			      "4.1.2.7"),
			SPOIL(spki, LITERAL("\x30\x0d\x30\x07\x06\x03\x2b\x65\x70\x05\x00\x03\x02\x00x"),
			      "neither RSA nor EC", "5480"),
		};
		struct pieces p = good;

		check_list(&good, list, sizeof(list) / sizeof(list[0]));
		p.subject = LITERAL("\x30\x00");
		p.san.len = 0;
		check_refused(&p, "empty subject without", "4.1.2.6");
	}
}

TEST(missing_extensions_are_named)
{
	const struct bytes none = {NULL, 0};

	setup();
	{
		const struct spoiled list[] = {
			SPOIL(basic, none, "no basicConstraints", "4.2.1.9"),
			SPOIL(usage, none, "no keyUsage", "4.2.1.3"),
			SPOIL(key_id, none, "no subjectKeyIdentifier", "4.2.1.2"),
			SPOIL(authority, none, "no authorityKeyIdentifier", "4.2.1.1"),
			SPOIL(more, good.san, "twice", "4.2"),
			SPOIL(more, LITERAL("\x30\x09\x06\x03\x55\x1d\x24\x04\x02\x30\x00"), "do not issue", "4.2"),
			SPOIL(more, LITERAL("\x05\x00"), "malformed extension", "4.2"),
			SPOIL(san, LITERAL("\x30\x0f\x06\x03\x55\x1d\x11\x01\x01\x00\x04\x05\x30\x03\x82\x01x"),
			      "malformed extension", "4.2"),
		};

		check_list(&good, list, sizeof(list) / sizeof(list[0]));
	}
}

TEST(extensions_that_break_a_rule_are_named)
{
	setup();
	{
		const struct spoiled list[] = {
			SPOIL(basic, LITERAL("\x30\x0f\x06\x03\x55\x1d\x13\x01\x01\xff\x04\x05\x30\x03\x01\x01\xff"),
			      "of a CA", "4.2.1.9"),
			SPOIL(basic, LITERAL("\x30\x0f\x06\x03\x55\x1d\x13\x01\x01\xff\x04\x05\x30\x03\x01\x01\x00"),
			      "default", "4.2.1.9"),
			SPOIL(basic, LITERAL("\x30\x09\x06\x03\x55\x1d\x13\x04\x02\x30\x00"), "not critical",
			      "4.2.1.9"),
			SPOIL(usage, LITERAL("\x30\x0b\x06\x03\x55\x1d\x0f\x04\x04\x03\x02\x05\xa0"), "not critical",
			      "4.2.1.3"),
			SPOIL(usage, LITERAL("\x30\x0e\x06\x03\x55\x1d\x0f\x01\x01\xff\x04\x04\x03\x02\x02\x84"),
			      "keyCertSign", "4.2.1.3"),
			SPOIL(usage, LITERAL("\x30\x0e\x06\x03\x55\x1d\x0f\x01\x01\xff\x04\x04\x03\x02\x01\x02"),
			      "cRLSign", "4.2.1.3"),
			SPOIL(usage, LITERAL("\x30\x0e\x06\x03\x55\x1d\x0f\x01\x01\xff\x04\x04\x03\x02\x04\xa0"),
			      "trailing zero", "11.2.2"),
			SPOIL(usage, LITERAL("\x30\x0e\x06\x03\x55\x1d\x0f\x01\x01\xff\x04\x04\x03\x02\x00\x00"),
			      "trailing zero", "11.2.2"),
			SPOIL(usage, LITERAL("\x30\x0d\x06\x03\x55\x1d\x0f\x01\x01\xff\x04\x03\x03\x01\x00"),
			      "none is set", "4.2.1.3"),
			SPOIL(usage, LITERAL("\x30\x0e\x06\x03\x55\x1d\x0f\x01\x01\xff\x04\x04\x03\x02\x03\x88"),
			      "keyAgreement", "3279"),
			SPOIL(purposes, LITERAL("\x30\x09\x06\x03\x55\x1d\x25\x04\x02\x30\x00"), "extKeyUsage",
			      "4.2.1.12"),
			SPOIL(purposes, LITERAL("\x30\x0b\x06\x03\x55\x1d\x25\x04\x04\x30\x02\x05\x00"), "OIDs",
			      "4.2.1.12"),
			SPOIL(purposes, LITERAL("\x30\x0e\x06\x03\x55\x1d\x25\x01\x01\xff\x04\x04\x30\x02\x06\x00"),
			      "critical", "4.2.1.12"),
			SPOIL(key_id, LITERAL("\x30\x0a\x06\x03\x55\x1d\x0e\x04\x03\x04\x01x"), "SHA-1", "4.2.1.2"),
			SPOIL(key_id, good_ec.key_id, "SHA-1", "4.2.1.2"),
			SPOIL(authority, LITERAL("\x30\x0c\x06\x03\x55\x1d\x23\x04\x05\x30\x03\x80\x01x"), "CA's",
			      "4.2.1.1"),
			SPOIL(authority, LITERAL("\x30\x09\x06\x03\x55\x1d\x23\x04\x02\x30\x00"), "CA's", "4.2.1.1"),
			SPOIL(san, LITERAL("\x30\x0f\x06\x03\x55\x1d\x11\x01\x01\xff\x04\x05\x30\x03\x82\x01x"),
			      "critical", "4.2.1.6"),
			SPOIL(san, LITERAL("\x30\x09\x06\x03\x55\x1d\x11\x04\x02\x30\x00"), "empty", "4.2.1.6"),
			SPOIL(san, LITERAL("\x30\x0b\x06\x03\x55\x1d\x11\x04\x04\x30\x02\x82\x00"), "empty", "4.2.1.6"),
			SPOIL(san, LITERAL("\x30\x0c\x06\x03\x55\x1d\x11\x04\x05\x30\x03\x82\x01\x00"), "IA5String",
			      "4.2.1.6"),
			SPOIL(san, LITERAL("\x30\x0c\x06\x03\x55\x1d\x11\x04\x05\x30\x03\x86\x01\xe9"), "IA5String",
			      "4.2.1.6"),
			SPOIL(san, LITERAL("\x30\x0c\x06\x03\x55\x1d\x11\x04\x05\x30\x03\x87\x01\x7f"), "iPAddress",
			      "4.2.1.6"),
			SPOIL(san, LITERAL("\x30\x0c\x06\x03\x55\x1d\x11\x04\x05\x30\x03\x88\x01\x2a"), "kind",
			      "4.2.1.6"),
			SPOIL(more, LITERAL("\x30\x09\x06\x03\x55\x1d\x1f\x04\x02\x30\x00"), "cRLDistributionPoints",
			      "4.2.1.13"),
			SPOIL(more, LITERAL("\x30\x0c\x06\x03\x55\x1d\x1f\x01\x01\xff\x04\x02\x30\x00"), "critical",
			      "4.2.1.13"),
			SPOIL(more, LITERAL("\x30\x0e\x06\x08\x2b\x06\x01\x05\x05\x07\x01\x01\x04\x02\x30\x00"),
			      "authorityInfoAccess", "4.2.2.1"),
		};
		const struct spoiled ec[] = {
			SPOIL(usage, LITERAL("\x30\x0e\x06\x03\x55\x1d\x0f\x01\x01\xff\x04\x04\x03\x02\x05\xa0"),
			      "encipherment", "5480"),
			SPOIL(usage, LITERAL("\x30\x0e\x06\x03\x55\x1d\x0f\x01\x01\xff\x04\x04\x03\x02\x04\x10"),
			      "encipherment", "5480"),
		};

		check_list(&good, list, sizeof(list) / sizeof(list[0]));
		check_list(&good_ec, ec, sizeof(ec) / sizeof(ec[0]));
	}
}

/* Whatever is cut off or changed: no harm, and no truncation passes. */
TEST(truncations_and_changes_do_no_harm)
{
	static const uint8_t change[] = {0x01, 0x80, 0x20, 0xff};
	AUTO_BUF b = {0};
	struct err e;
	size_t i, k;
	int rc;

	setup();
	buf_init(&b, 10000);
	put(&b, &good_ec);
	for (i = 0; i < b.len; i++) {
		uint8_t *cut = malloc(i + 1);

		memcpy(cut, b.data, i);
		CHECK_INT(app_cert_lint(&issuer, (struct bytes){cut, i}, NULL), ERR_INTERNAL);
		free(cut);
		for (k = 0; k < sizeof(change); k++) {
			e = (struct err){0};
			b.data[i] ^= change[k];
			rc = app_cert_lint(&issuer, buf_bytes(&b), &e);
			CHECK((rc == 0 && e.code == 0) || (rc == ERR_INTERNAL && e.text[0] != '\0'));
			b.data[i] ^= change[k];
		}
	}
}

TEST_MAIN(RUN(what_is_right_passes), RUN(fields_that_break_a_rule_are_named), RUN(subjects_that_break_a_rule_are_named),
	  RUN(missing_extensions_are_named), RUN(extensions_that_break_a_rule_are_named),
	  RUN(truncations_and_changes_do_no_harm))
