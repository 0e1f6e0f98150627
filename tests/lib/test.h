/*
 * tests/lib/test - the frame of every unit test program
 *
 *	TEST(says_what_must_hold)
 *	{
 *		CHECK(1 + 1 == 2);
 *	}
 *	TEST_MAIN(says_what_must_hold, …)
 *
 * cmocka runs them; the program closes with "N passed, N failed" and ends with 0 only when nothing failed.  What cannot
 * be tested here ends with SKIP("why"), and is counted as such.
 */
#ifndef TESTS_LIB_TEST_H
#define TESTS_LIB_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TEST(name) static void name(void **state __attribute__((unused)))

#define CHECK(cond)      assert_true(cond)
#define CHECK_INT(a, b)  assert_int_equal((a), (b))
#define CHECK_TEXT(a, b) assert_string_equal((a), (b))
#define CHECK_BYTES(v, data_, len_)                                                                                    \
	do {                                                                                                           \
		assert_int_equal((v).len, (len_));                                                                     \
		assert_memory_equal((v).data, (data_), (len_));                                                        \
	} while (0)

static int test_skipped __attribute__((unused));

/* Ends the test that calls it, or that calls the function that calls it. */
#define SKIP(why)                                                                                                      \
	do {                                                                                                           \
		test_skipped++;                                                                                        \
		printf("skipped: %s\n", why);                                                                          \
		skip();                                                                                                \
	} while (0)

/* Closes the program: of count tests, failed did not hold. */
static inline int
test_finish(int count, int failed)
{
	printf("%d passed, %d failed", count - failed - test_skipped, failed);
	if (test_skipped > 0)
		printf(", %d skipped", test_skipped);
	printf("\n");
	return failed == 0 ? 0 : 1;
}

#define RUN(name) cmocka_unit_test(name)

#define TEST_MAIN(...)                                                                                                 \
	int main(void)                                                                                                 \
	{                                                                                                              \
		const struct CMUnitTest list_[] = {__VA_ARGS__};                                                       \
		return test_finish((int)(sizeof(list_) / sizeof(list_[0])),                                            \
				   cmocka_run_group_tests(list_, NULL, NULL));                                         \
	}

#endif
