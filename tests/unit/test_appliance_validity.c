/* appliance/validity: what a request may ask for as its end, and what is no such wish. */
#include "appliance/validity.h"

#include "board/base/der.h"
#include "board/base/clock.h"
#include "board/base/oid.h"
#include "board/base/x509.h"
#include "tests/lib/certs.h"
#include "tests/lib/office.h"
#include "tests/lib/sql.h"
#include "tests/lib/test.h"

enum { DAY = 86400 };

/* 2026-11-22T12:00:00Z */
static const int64_t now = 1795348800;

/* A string as BMPString, which is what Windows writes, or byte for byte in another type. */
static void
put_string(struct buf *b, uint8_t tag, const char *text)
{
	size_t mark = der_open(b, tag);

	for (; *text != '\0'; text++) {
		if (tag == DER_BMP_STRING)
			buf_put_u8(b, 0);
		buf_put_u8(b, (uint8_t)*text);
	}
	der_close(b, mark);
}

static void
put_pair(struct buf *b, uint8_t tag, const char *name, const char *value)
{
	size_t mark = der_open(b, DER_SEQUENCE);

	put_string(b, tag, name);
	put_string(b, tag, value);
	der_close(b, mark);
}

/* What a request with up to two pairs asks for; NULL names leave a pair out. */
static int
ask(const char *name1, const char *value1, const char *name2, const char *value2, int64_t *end, struct err *e)
{
	const char *const texts[] = {name1, value1, name2, value2};
	struct app_csr csr = {.pair_count = 0};
	struct buf b[2];
	int code;

	for (size_t i = 0; i < 2; i++) {
		buf_init(&b[i], 1000);
		if (texts[2 * i] == NULL)
			continue;
		put_pair(&b[i], DER_BMP_STRING, texts[2 * i], texts[2 * i + 1]);
		csr.pairs[csr.pair_count++] = buf_bytes(&b[i]);
	}
	code = app_validity_requested(&csr, now, end, e);
	buf_fini(&b[0]);
	buf_fini(&b[1]);
	return code;
}

TEST(what_cannot_be_understood_is_refused_by_name)
{
	static const struct {
		const char *text[4];
		const char *said;
	} cases[] = {
		{{"ValidityPeriod", "Days"}, "only one of"},
		{{"ValidityPeriodUnits", "3"}, "only one of"},
		{{"ValidityPeriod", "Fortnights", "ValidityPeriodUnits", "3"}, "ValidityPeriod is none of"},
		{{"ValidityPeriod", "Days", "ValidityPeriodUnits", "-3"}, "ValidityPeriodUnits"},
		{{"ValidityPeriod", "Days", "ValidityPeriodUnits", "0"}, "ValidityPeriodUnits"},
		{{"ValidityPeriod", "Days", "ValidityPeriodUnits", "3 "}, "ValidityPeriodUnits"},
		{{"ValidityPeriod", "Days", "ValidityPeriodUnits", ""}, "ValidityPeriodUnits"},
		{{"ValidityPeriod", "Years", "ValidityPeriodUnits", "100000"}, "ValidityPeriodUnits"},
		{{"ValidityPeriod", "Years", "ValidityPeriodUnits", "99999999999999999999"}, "ValidityPeriodUnits"},
		{{"ValidityPeriod", "Days", "VALIDITYPERIOD", "Days"}, "twice"},
		{{"ExpirationDate", "tomorrow"}, "ExpirationDate"},
		{{"ExpirationDate", "Tue, 1 Mar 2050 16:00:00 CET"}, "ExpirationDate"},
		{{"ExpirationDate", "Tue, 1 Mar 2050 16:00:00 GMT "}, "ExpirationDate"},
		{{"ExpirationDate", "Tue, 1 Mar 2022 16:00:00 GMT"}, "less than an hour"},
		{{"ExpirationDate", "Sun, 22 Nov 2026 12:59:59 GMT"}, "less than an hour"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err e = {0};
		int64_t end = 77;
		int code = ask(cases[i].text[0], cases[i].text[1], cases[i].text[2], cases[i].text[3], &end, &e);

		if (code != ERR_DENIED || strstr(e.text, cases[i].said) == NULL)
			fail_msg("case %zu: %d \"%s\"", i, code, e.text);
		CHECK_INT(end, 77);
	}
}

TEST(periods_and_dates_are_added_up)
{
	static const struct {
		const char *text[4];
		int64_t end;
	} cases[] = {
		{{NULL}, 0},
		{{"RequesterName", "CORP\\device", "cdc", "dc1"}, 0},
		{{"ValidityPeriod", "Hours", "ValidityPeriodUnits", "2"}, 2 * 3600},
		{{"ValidityPeriod", "Days", "ValidityPeriodUnits", "30"}, 30 * DAY},
		{{"validityperiodunits", "030", "VALIDITYPERIOD", "days"}, 30 * DAY},
		{{"ValidityPeriod", "Weeks", "ValidityPeriodUnits", "4"}, 28 * DAY},
		{{"ValidityPeriod", "Months", "ValidityPeriodUnits", "3"}, 92 * DAY},
		{{"ValidityPeriod", "Months", "ValidityPeriodUnits", "14"}, 426 * DAY},
		{{"ValidityPeriod", "Years", "ValidityPeriodUnits", "2"}, 731 * DAY},
		{{"ExpirationDate", "Sun, 22 Nov 2026 13:00:00 GMT"}, 3600},
		{{"ExpirationDate", "Tue, 1 Dec 2026 12:00:00 GMT"}, 9 * DAY},
		{{"ExpirationDate", "Tuesday, 01-Dec-26 12:00:00 GMT"}, 9 * DAY},
		{{"ExpirationDate", "Tue Dec  1 12:00:00 2026"}, 9 * DAY},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err e = {0};
		int64_t end = 77;
		int code = ask(cases[i].text[0], cases[i].text[1], cases[i].text[2], cases[i].text[3], &end, &e);

		if (code != 0 || end != (cases[i].end == 0 ? 0 : now + cases[i].end))
			fail_msg("case %zu: %d, %lld \"%s\"", i, code, (long long)(end - now), e.text);
	}
}

/* As Windows sends it: the attribute twice, or one with several values. */
TEST(a_request_may_bring_its_pairs_in_any_arrangement)
{
	static const struct bytes name = {(const uint8_t *)"\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x0c\x02nm",
					  15};

	for (int together = 0; together < 2; together++) {
		struct app_csr csr;
		struct bytes request;
		int64_t end = 0;
		struct buf b;
		size_t attribute, set;

		buf_init(&b, 1000);
		attribute = der_open(&b, DER_SEQUENCE);
		der_put_oid(&b, OID_MS_NAME_VALUE_PAIR);
		set = der_open(&b, DER_SET);
		put_pair(&b, DER_UTF8_STRING, "ValidityPeriod", "Days");
		if (!together) {
			der_close(&b, set);
			der_close(&b, attribute);
			attribute = der_open(&b, DER_SEQUENCE);
			der_put_oid(&b, OID_MS_NAME_VALUE_PAIR);
			set = der_open(&b, DER_SET);
		}
		put_pair(&b, DER_BMP_STRING, "ValidityPeriodUnits", "10");
		der_close(&b, set);
		der_close(&b, attribute);
		request = certs_request(certs_rsa(), EVP_sha256(), name, buf_bytes(&b));
		CHECK_INT(app_csr_parse(request, &csr, NULL), 0);
		CHECK_INT(app_validity_requested(&csr, now, &end, NULL), 0);
		CHECK_INT(end, now + 10 * DAY);
		app_csr_fini(&csr);
		free((void *)request.data);
		buf_fini(&b);
	}
}

/* Enrolls with a request that asks for a number of days; gives how long the certificate lasts from now, or -1. */
static int64_t
granted(struct office *o, const char *transaction, const char *days)
{
	static const struct bytes name = {(const uint8_t *)"\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x0c\x02nm",
					  15};
	EVP_PKEY *key = certs_ec("P-256");
	int answers = o->front.answers;
	struct bytes request;
	struct x509 cert;
	int64_t lasts = -1;
	struct buf b;
	size_t attribute, set;

	office_challenge(o, transaction, clock_wall() + 600);
	buf_init(&b, 1000);
	certs_attribute(&b, OID_CHALLENGE_PASSWORD, DER_PRINTABLE_STRING, bytes_of_text(transaction));
	attribute = der_open(&b, DER_SEQUENCE);
	der_put_oid(&b, OID_MS_NAME_VALUE_PAIR);
	set = der_open(&b, DER_SET);
	put_pair(&b, DER_BMP_STRING, "ValidityPeriod", "Days");
	put_pair(&b, DER_BMP_STRING, "ValidityPeriodUnits", days);
	der_close(&b, set);
	der_close(&b, attribute);
	request = certs_request(key, EVP_sha256(), name, buf_bytes(&b));
	office_ask(o, transaction, request, key);
	OFFICE_UNTIL(o, o->front.answers > answers);
	if (o->front.last.status == STATUS_ISSUED) {
		CHECK_INT(x509_parse(o->front.last.certificate, &cert, NULL), 0);
		lasts = cert.tbs.not_after - clock_wall();
	}
	free((void *)request.data);
	EVP_PKEY_free(key);
	buf_fini(&b);
	return lasts;
}

/* How many records of an intent say what end the request asked for. */
static int
recorded(const struct office *o)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *stmt = NULL;
	char path[96];
	int count;

	snprintf(path, sizeof(path), "%s/store/store.db", o->folder);
	CHECK_INT(sqlite3_open(path, &db), SQLITE_OK);
	CHECK_INT(sqlite3_prepare_v2(db, "SELECT count(*) FROM audit WHERE detail LIKE '%requested_not_after=%'", -1,
				     &stmt, NULL),
		  SQLITE_OK);
	CHECK_INT(sqlite3_step(stmt), SQLITE_ROW);
	count = sqlite3_column_int(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return count;
}

TEST(the_switch_lets_a_request_shorten_its_certificate_and_never_extend_it)
{
	struct office o;
	int64_t usual;

	office_open(&o, true);
	usual = granted(&o, "off", "10");
	CHECK(usual > 11 * DAY);
	CHECK_INT(recorded(&o), 0);
	o.conf.ca_editf_attributeenddate = true;
	CHECK(granted(&o, "on", "10") <= 10 * DAY);
	CHECK(granted(&o, "long", "90000") >= usual - 60);
	CHECK_INT(recorded(&o), 2);
	CHECK_INT(granted(&o, "broken", "ten"), -1);
	CHECK_INT(o.front.last.status, STATUS_REFUSED);
	CHECK_INT(o.front.last.fail_info, SCEP_BAD_REQUEST);
	office_close(&o);
}

TEST_MAIN(RUN(what_cannot_be_understood_is_refused_by_name), RUN(periods_and_dates_are_added_up),
	  RUN(a_request_may_bring_its_pairs_in_any_arrangement),
	  RUN(the_switch_lets_a_request_shorten_its_certificate_and_never_extend_it))
