#include <time.h>

#include "board/base/der.h"
#include "tests/lib/test.h"

#define LITERAL(s) ((struct bytes){(const uint8_t *)(s), sizeof(s) - 1})

static int
read_one(struct bytes v, struct der *ret_element)
{
	struct view view = view_of(v);

	return der_next(&view, ret_element);
}

TEST(what_is_not_der_is_refused)
{
	static const struct {
		const char *why;
		struct bytes v;
	} bad[] = {
		{"nothing", {NULL, 0}},
		{"no length", {(const uint8_t *)"\x04", 1}},
		{"indefinite", {(const uint8_t *)"\x30\x80\x00\x00", 4}},
		{"indefinite primitive", {(const uint8_t *)"\x04\x80\x00\x00", 4}},
		{"long form for 5", {(const uint8_t *)"\x04\x81\x05hello", 8}},
		{"leading zero", {(const uint8_t *)"\x04\x82\x00\x05hello", 9}},
		{"length of length missing", {(const uint8_t *)"\x04\x82\x01", 3}},
		{"five length octets", {(const uint8_t *)"\x04\x85\x01\x00\x00\x00\x00", 7}},
		{"127 length octets", {(const uint8_t *)"\x04\xff\x01\x00\x00\x00\x00", 7}},
		{"reserved 0x80 long", {(const uint8_t *)"\x04\x84\xff\xff\xff\xff", 6}},
		{"content missing", {(const uint8_t *)"\x04\x05hell", 6}},
		{"high tag number", {(const uint8_t *)"\x1f\x81\x01\x00", 4}},
		{"end of contents", {(const uint8_t *)"\x00\x00", 2}},
		{"constructed OCTET STRING", {(const uint8_t *)"\x24\x00", 2}},
		{"primitive SEQUENCE", {(const uint8_t *)"\x10\x00", 2}},
	};
	struct der element = {.tag = 0x77};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (read_one(bad[i].v, &element) != ERR_FORMAT)
			fail_msg("accepted: %s", bad[i].why);
	}
	CHECK_INT(element.tag, 0x77);
}

TEST(a_failed_read_leaves_the_view_where_it_was)
{
	struct view v = view_of(LITERAL("\x04\x02hi\x04\x05x"));
	struct der element;

	CHECK_INT(der_expect(&v, DER_INTEGER, &element), ERR_FORMAT);
	CHECK_INT(der_expect(&v, DER_OCTET_STRING, &element), 0);
	CHECK_BYTES(element.content, "hi", 2);
	CHECK_INT(element.whole.len, 4);
	CHECK(der_peek(&v, DER_OCTET_STRING));
	CHECK_INT(der_next(&v, &element), ERR_FORMAT);
	CHECK_INT(v.left, 3);
	CHECK_BYTES(element.content, "hi", 2);
}

TEST(whole_wants_exactly_one_element)
{
	struct view v;

	CHECK_INT(der_whole(LITERAL("\x30\x00"), DER_SEQUENCE, &v), 0);
	CHECK_INT(v.left, 0);
	CHECK_INT(der_whole(LITERAL("\x30\x00\x00"), DER_SEQUENCE, &v), ERR_FORMAT);
	CHECK_INT(der_whole(LITERAL("\x31\x00"), DER_SEQUENCE, &v), ERR_FORMAT);
	CHECK_INT(der_whole(LITERAL(""), DER_SEQUENCE, &v), ERR_FORMAT);
}

/* Lengths around every boundary survive writing and reading, and no prefix of them reads. */
TEST(lengths_are_written_minimally_and_read_back)
{
	static const size_t lengths[] = {0, 1, 127, 128, 129, 255, 256, 257, 65535, 65536};
	AUTO_BUF content = {0};
	struct der element;
	size_t i, cut, mark;

	buf_init(&content, 100000);
	memset(buf_put_room(&content, 65536), 'x', 65536);
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		AUTO_BUF one = {0}, two = {0};

		buf_init(&one, 100000);
		buf_init(&two, 100000);
		der_put(&one, DER_SEQUENCE, (struct bytes){content.data, lengths[i]});
		mark = der_open(&two, DER_SEQUENCE);
		buf_put_raw(&two, content.data, lengths[i]);
		der_close(&two, mark);
		CHECK_INT(buf_status(&one), 0);
		CHECK(bytes_equal(buf_bytes(&one), buf_bytes(&two)));
		CHECK_INT(read_one(buf_bytes(&one), &element), 0);
		CHECK_INT(element.content.len, lengths[i]);
		CHECK_INT(element.whole.len, one.len);
		for (cut = 0; cut < one.len && cut < 300; cut++)
			CHECK_INT(read_one((struct bytes){one.data, cut}, &element), ERR_FORMAT);
	}
}

TEST(a_full_buffer_stays_failed_through_open_and_close)
{
	AUTO_BUF b = {0};
	size_t outer, inner;

	buf_init(&b, 8);
	outer = der_open(&b, DER_SEQUENCE);
	inner = der_open(&b, DER_SEQUENCE);
	der_put(&b, DER_OCTET_STRING, LITERAL("hello, world"));
	der_close(&b, inner);
	der_close(&b, outer);
	CHECK_INT(buf_status(&b), ERR_LIMIT);
}

static int
time_of(uint8_t tag, const char *text, int64_t *ret_time)
{
	struct der element = {.tag = tag, .content = bytes_of_text(text)};

	return der_time(&element, ret_time);
}

TEST(impossible_dates_are_refused)
{
	static const char *const utc[] = {
		"250101000000",  "2501010000Z",    "250101000000+0100", "250001000000Z",
		"251301000000Z", "250100000000Z",  "250132000000Z",     "250229000000Z",
		"250431000000Z", "250101240000Z",  "250101006000Z",     "250101000060Z",
		"2501010000 0Z", "25010100000-1Z", "250101000000z",     "",
		"2501010000000", "x50101000000Z",  "25010100000\0Z",    "20250101000000Z",
	};
	static const char *const general[] = {
		"20250229000000Z", "19000229000000Z", "20250101000000.5Z",
		"202501010000Z",   "20250101000000",  "250101000000Z",
		"2025010100000Z",  "-0250101000000Z", "",
	};
	int64_t t = 7;
	size_t i;

	for (i = 0; i < sizeof(utc) / sizeof(utc[0]); i++) {
		if (time_of(DER_UTC_TIME, utc[i], &t) != ERR_FORMAT)
			fail_msg("accepted %s", utc[i]);
	}
	for (i = 0; i < sizeof(general) / sizeof(general[0]); i++) {
		if (time_of(DER_GENERALIZED_TIME, general[i], &t) != ERR_FORMAT)
			fail_msg("accepted %s", general[i]);
	}
	CHECK_INT(time_of(DER_INTEGER, "250101000000Z", &t), ERR_FORMAT);
	CHECK_INT(t, 7);
}

TEST(dates_mean_what_they_say)
{
	int64_t t;

	CHECK_INT(time_of(DER_UTC_TIME, "700101000000Z", &t), 0);
	CHECK(t == 0);
	CHECK_INT(time_of(DER_UTC_TIME, "500101000000Z", &t), 0);
	CHECK(t == -631152000);
	CHECK_INT(time_of(DER_UTC_TIME, "491231235959Z", &t), 0);
	CHECK(t == 2524607999);
	CHECK_INT(time_of(DER_GENERALIZED_TIME, "20000229123456Z", &t), 0);
	CHECK(t == 951827696);
	CHECK_INT(time_of(DER_GENERALIZED_TIME, "99991231235959Z", &t), 0);
	CHECK(t == 253402300799);
	CHECK_INT(time_of(DER_GENERALIZED_TIME, "00000101000000Z", &t), 0);
	CHECK(t == -62167219200);
}

TEST(dates_are_written_as_rfc_5280_wants_and_read_back)
{
	static const int64_t times[] = {-62167219200, -631152001, -631152000, -1,         0,           951827696,
					1735689599,   2524607999, 2524608000, 4107542399, 253402300799};
	struct der element;
	char text[40];
	int64_t t;
	size_t i;
	struct tm tm;

	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		AUTO_BUF b = {0};
		time_t wall = (time_t)times[i];

		buf_init(&b, 64);
		der_put_time(&b, times[i]);
		CHECK_INT(read_one(buf_bytes(&b), &element), 0);
		CHECK_INT(der_time(&element, &t), 0);
		CHECK(t == times[i]);
		gmtime_r(&wall, &tm);
		snprintf(text, sizeof(text), "%04d%02d%02d%02d%02d%02dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
			 tm.tm_hour, tm.tm_min, tm.tm_sec);
		if (element.tag == DER_UTC_TIME)
			CHECK_BYTES(element.content, text + 2, 13);
		else
			CHECK_BYTES(element.content, text, 15);
		CHECK((element.tag == DER_UTC_TIME) == (tm.tm_year >= 50 && tm.tm_year < 150));
	}
}

TEST(every_day_of_a_century_is_written_and_read)
{
	struct der element;
	int64_t day, t;

	for (day = -7306; day < 40000; day++) {
		AUTO_BUF b = {0};

		buf_init(&b, 64);
		der_put_time(&b, day * 86400 + 86399);
		CHECK_INT(read_one(buf_bytes(&b), &element), 0);
		CHECK_INT(der_time(&element, &t), 0);
		CHECK(t == day * 86400 + 86399);
	}
}

TEST(years_without_four_digits_are_not_written)
{
	AUTO_BUF b = {0};

	buf_init(&b, 64);
	der_put_time(&b, 253402300800);
	CHECK_INT(buf_status(&b), ERR_LIMIT);
}

TEST(small_integers)
{
	static const struct {
		struct bytes v;
		int code;
		int value;
	} list[] = {
		{{(const uint8_t *)"", 0}, ERR_FORMAT, 0},
		{{(const uint8_t *)"\x80", 1}, ERR_FORMAT, 0},
		{{(const uint8_t *)"\xff\xff", 2}, ERR_FORMAT, 0},
		{{(const uint8_t *)"\x00\x7f", 2}, ERR_FORMAT, 0},
		{{(const uint8_t *)"\x00\x80\x00\x00\x00", 5}, ERR_FORMAT, 0},
		{{(const uint8_t *)"\x00", 1}, 0, 0},
		{{(const uint8_t *)"\x7f", 1}, 0, 127},
		{{(const uint8_t *)"\x00\x80", 2}, 0, 128},
		{{(const uint8_t *)"\x7f\xff\xff\xff", 4}, 0, 2147483647},
	};
	size_t i;
	int value;

	for (i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		struct der element = {.tag = DER_INTEGER, .content = list[i].v};

		value = -5;
		CHECK_INT(der_small_int(&element, &value), list[i].code);
		CHECK_INT(value, list[i].code == 0 ? list[i].value : -5);
	}
}

TEST(integers_get_exactly_the_zeros_that_der_wants)
{
	AUTO_BUF b = {0};

	buf_init(&b, 256);
	der_put_unsigned(&b, LITERAL(""));
	der_put_unsigned(&b, LITERAL("\x00\x00"));
	der_put_unsigned(&b, LITERAL("\x00\x7f"));
	der_put_unsigned(&b, LITERAL("\x80"));
	der_put_int(&b, 0);
	der_put_int(&b, 256);
	der_put_int(&b, 0xffffffff);
	CHECK_BYTES(buf_bytes(&b),
		    "\x02\x01\x00\x02\x01\x00\x02\x01\x7f\x02\x02\x00\x80\x02\x01\x00\x02\x02\x01\x00\x02\x05\x00\xff"
		    "\xff\xff\xff",
		    27);
}

TEST(other_types_are_written)
{
	AUTO_BUF b = {0};

	buf_init(&b, 256);
	der_put_true(&b);
	der_put_oid(&b, LITERAL("\x55\x04\x03"));
	der_put_bits(&b, LITERAL("\xaa"));
	der_put_raw(&b, LITERAL("\x05\x00"));
	der_put_raw(&b, (struct bytes){NULL, 0});
	CHECK_BYTES(buf_bytes(&b), "\x01\x01\xff\x06\x03\x55\x04\x03\x03\x02\x00\xaa\x05\x00", 14);
}

TEST_MAIN(RUN(what_is_not_der_is_refused), RUN(a_failed_read_leaves_the_view_where_it_was),
	  RUN(whole_wants_exactly_one_element), RUN(lengths_are_written_minimally_and_read_back),
	  RUN(a_full_buffer_stays_failed_through_open_and_close), RUN(impossible_dates_are_refused),
	  RUN(dates_mean_what_they_say), RUN(dates_are_written_as_rfc_5280_wants_and_read_back),
	  RUN(every_day_of_a_century_is_written_and_read), RUN(years_without_four_digits_are_not_written),
	  RUN(small_integers), RUN(integers_get_exactly_the_zeros_that_der_wants), RUN(other_types_are_written))
