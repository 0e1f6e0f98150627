/* board/base/bucket: how many at once, and how many in the long run. */
#include "board/base/bucket.h"
#include "board/base/clock.h"
#include "tests/lib/test.h"

enum { WALL = 1000000, BURST = 3, REFILL_MS = 100 };

static int
take(struct bucket *bucket, int times)
{
	int had = 0;

	while (times-- > 0)
		had += bucket_take(bucket, BURST, REFILL_MS);
	return had;
}

TEST(after_the_burst_there_is_no_more)
{
	struct bucket bucket = {0};

	clock_set_fake(WALL, 5);
	CHECK_INT(take(&bucket, 10), BURST);
	clock_set_fake(WALL, 104);
	CHECK_INT(take(&bucket, 1), 0);
}

TEST(one_comes_back_each_interval_however_often_it_is_asked)
{
	struct bucket bucket = {0};
	int had;

	clock_set_fake(WALL, 1000);
	had = take(&bucket, 10);
	for (int64_t now = 1000; now <= 2000; now += 7) {
		clock_set_fake(WALL, now);
		had += take(&bucket, 1);
	}
	CHECK_INT(had, BURST + 9);
}

TEST(it_is_never_more_than_full)
{
	struct bucket bucket = {0};

	clock_set_fake(WALL, 1000);
	CHECK_INT(take(&bucket, 2), 2);
	clock_set_fake(WALL, INT64_C(1) << 50);
	CHECK_INT(take(&bucket, 10), BURST);
}

TEST_MAIN(RUN(after_the_burst_there_is_no_more), RUN(one_comes_back_each_interval_however_often_it_is_asked),
	  RUN(it_is_never_more_than_full))
