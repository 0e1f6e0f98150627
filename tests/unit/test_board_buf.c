/*
 * What every codec relies on: a buffer stays within its limit, a view never reads behind its bytes, a failure sticks.
 */
#include "tests/lib/test.h"

#include <stdlib.h>

#include "board/base/buf.h"
#include "board/base/clock.h"
#include "board/base/err.h"
#include "board/base/list.h"

TEST(a_buffer_refuses_one_byte_over_its_limit)
{
	AUTO_BUF b;

	buf_init(&b, 4);
	buf_put_u32(&b, 0x01020304);
	CHECK_INT(buf_status(&b), 0);
	buf_put_u8(&b, 5);
	CHECK_INT(buf_status(&b), ERR_LIMIT);
	CHECK_BYTES(buf_bytes(&b), "\1\2\3\4", 4);
}

TEST(a_failure_sticks_until_the_buffer_is_cleared)
{
	AUTO_BUF b;

	buf_init(&b, 3);
	buf_put_u32(&b, 1);
	buf_put_u8(&b, 1);
	CHECK_INT(buf_status(&b), ERR_LIMIT);
	CHECK_INT(buf_bytes(&b).len, 0);
	CHECK(buf_put_room(&b, 1) == NULL);
	buf_clear(&b);
	buf_put_u8(&b, 7);
	CHECK_INT(buf_status(&b), 0);
	CHECK_BYTES(buf_bytes(&b), "\7", 1);
}

TEST(a_length_that_would_wrap_is_refused)
{
	AUTO_BUF b;

	buf_init(&b, SIZE_MAX);
	buf_put_u8(&b, 1);
	CHECK(buf_put_room(&b, SIZE_MAX) == NULL);
	CHECK_INT(buf_status(&b), ERR_LIMIT);
}

TEST(a_failed_buffer_hands_nothing_over)
{
	struct buf b;
	size_t len = 99;

	buf_init(&b, 2);
	buf_put_u8(&b, 1);
	buf_put_u32(&b, 1);
	CHECK(buf_take(&b, &len) == NULL);
	CHECK_INT(len, 0);
	CHECK_INT(b.len, 0);
	buf_fini(&b);
}

TEST(a_view_gives_zero_and_sticks_when_too_little_is_left)
{
	struct view v = view_of((struct bytes){(const uint8_t *)"\1\2\3", 3});

	CHECK_INT(view_u32(&v), 0);
	CHECK(v.bad);
	CHECK_INT(view_u8(&v), 0);
	CHECK_INT(view_end(&v), ERR_FORMAT);
}

TEST(a_view_refuses_a_length_longer_than_what_is_left)
{
	struct view v = view_of((struct bytes){(const uint8_t *)"\xff\xff\xff\xff!", 5});

	CHECK_INT(view_bytes(&v).len, 0);
	CHECK_INT(view_end(&v), ERR_FORMAT);
}

TEST(bytes_left_over_are_an_error)
{
	struct view v = view_of((struct bytes){(const uint8_t *)"\1\2", 2});

	CHECK_INT(view_u8(&v), 1);
	CHECK_INT(view_end(&v), ERR_FORMAT);
}

TEST(text_that_does_not_fit_or_holds_a_nul_is_an_error)
{
	char out[4] = "xyz";
	struct view v = view_of((struct bytes){(const uint8_t *)"\0\0\0\4abcd", 8});

	view_text(&v, out, sizeof(out));
	CHECK_INT(view_end(&v), ERR_FORMAT);
	CHECK_TEXT(out, "");
	v = view_of((struct bytes){(const uint8_t *)"\0\0\0\3a\0c", 7});
	view_text(&v, out, sizeof(out));
	CHECK_INT(view_end(&v), ERR_FORMAT);
	v = view_of((struct bytes){(const uint8_t *)"\0\0\0\3abc", 7});
	view_text(&v, out, sizeof(out));
	CHECK_INT(view_end(&v), 0);
	CHECK_TEXT(out, "abc");
}

static void
put_all(struct buf *b)
{
	buf_put_u8(b, 0xfe);
	buf_put_u16(b, 0xfedc);
	buf_put_u32(b, 0xfedcba98);
	buf_put_u64(b, 0xfedcba9876543210);
	buf_put_text(b, "text");
	buf_put_text(b, NULL);
	buf_put_bytes(b, (struct bytes){(const uint8_t *)"\0\1", 2});
	buf_put_raw(b, "raw", 3);
}

static int
get_all(struct bytes in)
{
	struct view v = view_of(in);
	char text[8];

	(void)view_u8(&v);
	(void)view_u16(&v);
	(void)view_u32(&v);
	(void)view_u64(&v);
	view_text(&v, text, sizeof(text));
	view_text(&v, text, sizeof(text));
	(void)view_bytes(&v);
	(void)view_raw(&v, 3);
	return view_end(&v);
}

TEST(what_was_written_is_read_back)
{
	AUTO_BUF b;
	struct view v;
	struct bytes got;
	char text[8];

	buf_init(&b, 1000);
	put_all(&b);
	v = view_of(buf_bytes(&b));
	CHECK_INT(view_u8(&v), 0xfe);
	CHECK_INT(view_u16(&v), 0xfedc);
	CHECK_INT(view_u32(&v), 0xfedcba98);
	CHECK(view_u64(&v) == 0xfedcba9876543210);
	view_text(&v, text, sizeof(text));
	CHECK_TEXT(text, "text");
	CHECK_INT(view_bytes(&v).len, 0);
	got = view_bytes(&v);
	CHECK_BYTES(got, "\0\1", 2);
	got = view_raw(&v, 3);
	CHECK_BYTES(got, "raw", 3);
	CHECK_INT(view_end(&v), 0);
}

TEST(every_truncation_is_an_error)
{
	AUTO_BUF b;

	buf_init(&b, 1000);
	put_all(&b);
	CHECK_INT(get_all(buf_bytes(&b)), 0);
	for (size_t n = 0; n < b.len; n++) {
		/* An exact copy, so that the address sanitizer sees a read behind the end. */
		uint8_t *copy = malloc(n + 1);

		memcpy(copy, b.data, n);
		copy = realloc(copy, n > 0 ? n : 1);
		CHECK_INT(get_all((struct bytes){copy, n}), ERR_FORMAT);
		free(copy);
	}
}

TEST(a_buffer_grows_over_many_writes)
{
	AUTO_BUF b;
	AUTO(char) taken = NULL;
	size_t len;

	buf_init(&b, 100000);
	for (int i = 0; i < 100000; i++)
		buf_put_u8(&b, (uint8_t)i);
	CHECK_INT(buf_status(&b), 0);
	taken = (char *)buf_take(&b, &len);
	CHECK_INT(len, 100000);
	for (int i = 0; i < 100000; i++)
		CHECK((uint8_t)taken[i] == (uint8_t)i);
	CHECK_INT(b.len, 0);
	CHECK_INT(buf_status(&b), 0);
}

TEST(formatted_text_of_any_length_arrives)
{
	AUTO_BUF b;

	buf_init(&b, 5000);
	buf_printf(&b, "%d-%s.", 42, "x");
	CHECK_BYTES(buf_bytes(&b), "42-x.", 5);
	buf_clear(&b);
	buf_printf(&b, "%5000d", 7);
	CHECK_INT(buf_status(&b), 0);
	CHECK_INT(b.len, 5000);
	CHECK_INT(b.data[4999], '7');
	buf_printf(&b, "x");
	CHECK_INT(buf_status(&b), ERR_LIMIT);
}

TEST(bytes_are_compared_copied_and_shown)
{
	struct bytes abc = bytes_of_text("abc");
	struct bytes copy = bytes_dup(abc);
	char hex[7];

	CHECK(bytes_equal(abc, copy));
	CHECK(!bytes_equal(abc, bytes_of_text("abd")));
	CHECK(!bytes_equal(abc, bytes_of_text("ab")));
	CHECK(bytes_equal((struct bytes){NULL, 0}, bytes_of_text("")));
	CHECK(bytes_dup(bytes_of_text("")).data == NULL);
	CHECK_TEXT(bytes_hex(copy, hex, sizeof(hex)), "616263");
	CHECK_TEXT(bytes_hex(copy, hex, 6), "6162");
	CHECK_TEXT(bytes_hex(copy, hex, 1), "");
	free((void *)(uintptr_t)copy.data);
}

TEST(the_first_failure_wins)
{
	struct err e = {0};

	CHECK_INT(err_set(NULL, ERR_IO, 5, "nobody asks"), ERR_IO);
	CHECK_INT(err_set(&e, ERR_IO, 5, "first %d", 1), ERR_IO);
	CHECK_INT(err_set(&e, ERR_TOKEN, 6, "second"), ERR_TOKEN);
	CHECK_INT(err_set_ossl(&e, ERR_CRYPTO, "third"), ERR_CRYPTO);
	CHECK_INT(e.code, ERR_IO);
	CHECK_INT(e.detail, 5);
	CHECK_TEXT(e.text, "first 1");
}

TEST(every_code_has_a_class_and_a_name)
{
	CHECK_INT(err_class(0), ERR_CLASS_NONE);
	CHECK_INT(err_class(ERR_FORMAT), ERR_CLASS_PEER);
	CHECK_INT(err_class(ERR_BUSY), ERR_CLASS_RETRY);
	CHECK_INT(err_class(ERR_TOKEN), ERR_CLASS_DEVICE);
	CHECK_INT(err_class(-1000), ERR_CLASS_SELF);
	CHECK_INT(err_class(1), ERR_CLASS_SELF);
	CHECK_TEXT(err_name(ERR_TIMEOUT), "no answer in time");
	CHECK_TEXT(err_name(-1000), "unknown error");
}

TEST(the_clock_stands_where_a_test_puts_it)
{
	char text[21];
	int64_t before;

	clock_set_fake(1795348800, 5000);
	CHECK_INT(clock_wall(), 1795348800);
	CHECK(clock_wall_ms() == 1795348800000);
	CHECK_INT(clock_mono_ms(), 5000);
	CHECK_INT(clock_mono_us(), 5000000);
	CHECK_TEXT(clock_text(clock_wall(), text, sizeof(text)), "2026-11-22T12:00:00Z");
	CHECK_TEXT(clock_text(0, text, sizeof(text)), "1970-01-01T00:00:00Z");
	CHECK_TEXT(clock_text(0, text, 20), "");
	clock_set_fake(-1, -1);
	CHECK(clock_wall() > 1700000000);
	before = clock_mono_us();
	CHECK(clock_mono_us() >= before);
}

TEST(a_list_keeps_order_and_lets_its_current_member_go)
{
	struct list head, member[3], *pos, *tmp;
	int seen = 0;

	list_init(&head);
	CHECK(list_empty(&head));
	for (int i = 0; i < 3; i++)
		list_append(&head, &member[i]);
	list_each (pos, tmp, &head) {
		CHECK(pos == &member[seen++]);
		list_remove(pos);
		list_remove(pos);
	}
	CHECK_INT(seen, 3);
	CHECK(list_empty(&head));
}

TEST_MAIN(RUN(a_buffer_refuses_one_byte_over_its_limit), RUN(a_failure_sticks_until_the_buffer_is_cleared),
	  RUN(a_length_that_would_wrap_is_refused), RUN(a_failed_buffer_hands_nothing_over),
	  RUN(a_view_gives_zero_and_sticks_when_too_little_is_left),
	  RUN(a_view_refuses_a_length_longer_than_what_is_left), RUN(bytes_left_over_are_an_error),
	  RUN(text_that_does_not_fit_or_holds_a_nul_is_an_error), RUN(what_was_written_is_read_back),
	  RUN(every_truncation_is_an_error), RUN(a_buffer_grows_over_many_writes),
	  RUN(formatted_text_of_any_length_arrives), RUN(bytes_are_compared_copied_and_shown),
	  RUN(the_first_failure_wins), RUN(every_code_has_a_class_and_a_name),
	  RUN(the_clock_stands_where_a_test_puts_it), RUN(a_list_keeps_order_and_lets_its_current_member_go))
