/*
 * What chancery-load reads of answers, how it counts, and in which order it sends.
 */
#include <stdio.h>
#include <string.h>

#include "tests/lib/test.h"
#include "tests/load/mix.h"
#include "tests/load/tally.h"

/* A CertRep as far as the timed part looks: pkiStatus, and failInfo unless it is negative. */
static size_t
certrep(char *out, int status, int fail_info)
{
	static const char oid[] = "\x60\x86\x48\x01\x86\xf8\x45\x01\x09";
	size_t len = (size_t)sprintf(out, "head%s\x03\x31\x03\x13\x01%d", oid, status);

	if (fail_info >= 0)
		len += (size_t)sprintf(out + len, "%s\x04\x31\x03\x13\x01%d", oid, fail_info);
	return len;
}

/* Reads an answer that arrives octet by octet; it must be whole with its last one. */
static void
read_whole(const char *text, size_t len, bool ended, struct answer *ret_answer)
{
	uint8_t data[4096];

	CHECK(len <= sizeof(data));
	for (size_t n = 0; n < len; n++) {
		memcpy(data, text, len);
		CHECK_INT(answer_read(data, n, false, ret_answer), 0);
	}
	memcpy(data, text, len);
	CHECK_INT(answer_read(data, len, ended, ret_answer), 1);
}

TEST(an_answer_ends_where_its_length_says)
{
	static const char text[] = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nX: y\r\n\r\nhello";
	struct answer answer;
	uint8_t more[100];

	read_whole(text, strlen(text), false, &answer);
	CHECK_INT(answer.status, 200);
	CHECK(!answer.closes);
	CHECK_INT(answer.retry_after_s, -1);
	memcpy(more, text, sizeof(text));
	CHECK_INT(answer_read(more, strlen(text) - 1, true, &answer), ERR_FORMAT);
}

TEST(chunks_are_put_together)
{
	static const char text[] = "HTTP/1.1 503 Later\r\nTransfer-Encoding: chunked\r\nRetry-After: 7\r\n"
				   "Connection: close\r\n\r\n3\r\nabc\r\na;x=y\r\n0123456789\r\n0\r\n\r\n";
	uint8_t data[sizeof(text)];
	struct answer answer;

	read_whole(text, strlen(text), false, &answer);
	memcpy(data, text, sizeof(text));
	CHECK_INT(answer_read(data, strlen(text), false, &answer), 1);
	CHECK_BYTES(answer.body, "abc0123456789", 13);
	CHECK_INT(answer.status, 503);
	CHECK_INT(answer.retry_after_s, 7);
	CHECK(answer.closes);
}

TEST(without_a_length_the_end_of_the_connection_is_the_end)
{
	static const char text[] = "HTTP/1.0 200 OK\r\n\r\nhello";
	struct answer answer;
	uint8_t data[sizeof(text)];

	memcpy(data, text, sizeof(text));
	CHECK_INT(answer_read(data, strlen(text), false, &answer), 0);
	CHECK_INT(answer_read(data, strlen(text), true, &answer), 1);
	CHECK(answer.closes);
	CHECK_INT((long)answer.body.len, 5);
}

TEST(what_is_no_http_is_refused)
{
	static const char *const texts[] = {
		"SSH-2.0-x\r\n\r\n",
		"HTTP/2 200\r\n\r\n",
		"HTTP/1.1\r\n\r\n",
		"\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
	};
	struct answer answer;
	uint8_t data[200];

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		memcpy(data, texts[i], strlen(texts[i]) + 1);
		CHECK_INT(answer_read(data, strlen(texts[i]), false, &answer), ERR_FORMAT);
	}
}

static enum verdict
verdict_of(enum job_want want, int http, int pki_status, int fail_info)
{
	char text[1000];
	char body[200];
	uint8_t data[1000];
	size_t len = certrep(body, pki_status, fail_info);
	int head = snprintf(text, sizeof(text), "HTTP/1.1 %d x\r\nContent-Length: %zu\r\n\r\n", http, len);
	const struct job job = {.want = want};
	struct answer answer;

	memcpy(data, text, (size_t)head);
	memcpy(data + head, body, len);
	CHECK_INT(answer_read(data, (size_t)head + len, false, &answer), 1);
	return answer_judge(&job, &answer);
}

TEST(each_answer_is_right_or_one_kind_of_wrong)
{
	CHECK_INT(verdict_of(WANT_SUCCESS, 200, 0, -1), VERDICT_OK);
	CHECK_INT(verdict_of(WANT_SUCCESS, 200, 2, 2), VERDICT_REFUSED);
	CHECK_INT(verdict_of(WANT_SUCCESS, 200, 3, -1), VERDICT_PENDING);
	CHECK_INT(verdict_of(WANT_SUCCESS, 200, 7, -1), VERDICT_NO_CERTREP);
	CHECK_INT(verdict_of(WANT_SUCCESS, 503, 0, -1), VERDICT_LATER);
	CHECK_INT(verdict_of(WANT_SUCCESS, 500, 0, -1), VERDICT_HTTP);
	CHECK_INT(verdict_of(WANT_SUCCESS, 400, 0, -1), VERDICT_HTTP);
	CHECK_INT(verdict_of(WANT_PENDING, 200, 3, -1), VERDICT_OK);
	CHECK_INT(verdict_of(WANT_PENDING, 200, 0, -1), VERDICT_ACCEPTED);
	CHECK_INT(verdict_of(WANT_UNKNOWN, 200, 2, 4), VERDICT_OK);
	CHECK_INT(verdict_of(WANT_UNKNOWN, 200, 2, 2), VERDICT_REFUSED);
	CHECK_INT(verdict_of(WANT_REFUSAL, 400, 0, -1), VERDICT_OK);
	CHECK_INT(verdict_of(WANT_REFUSAL, 200, 2, 1), VERDICT_OK);
	CHECK_INT(verdict_of(WANT_REFUSAL, 200, 0, -1), VERDICT_ACCEPTED);
	CHECK_INT(verdict_of(WANT_OK, 200, 0, -1), VERDICT_OK);
	CHECK_INT(verdict_of(WANT_OK, 404, 0, -1), VERDICT_HTTP);
}

TEST(every_request_is_counted_once_and_percentiles_were_measured)
{
	const struct job job = {.kind = JOB_ENROLL};
	struct tally tally = {.retries = 0};
	struct tally_percentiles p;
	struct tally_kind sum;

	p = tally_percentiles(&tally.kinds[JOB_ENROLL]);
	CHECK(p.p50 == 0 && p.max == 0);
	for (int i = 1000; i > 0; i--)
		tally_note(&tally, &job, VERDICT_OK, -1, i);
	tally_note(&tally, &job, VERDICT_LATER, -1, 5000);
	tally_note(&tally, &job, VERDICT_REFUSED, 2, 5000);
	tally_note(&tally, &job, VERDICT_REFUSED, 77, 5000);
	tally_note(&tally, &job, VERDICT_TIMEOUT, -1, 5000);
	p = tally_percentiles(&tally.kinds[JOB_ENROLL]);
	CHECK(p.p50 == 500 && p.p90 == 900 && p.p99 == 990 && p.p999 == 999 && p.max == 1000);
	sum = tally_sum(&tally);
	CHECK_INT((long)sum.sent, 1004);
	CHECK_INT((long)sum.ok, 1000);
	CHECK_INT((long)sum.later, 1);
	CHECK_INT((long)sum.failed, 3);
	CHECK_INT((long)tally.fail_info[2], 1);
	CHECK_INT((long)tally.fail_info[TALLY_FAIL_INFOS], 1);
	tally_fini(&tally);
}

TEST(kinds_alternate_by_their_weights)
{
	static const char *const wrong[] = {"",          "enroll",      "enroll=",
					    "enroll=-1", "enroll=1x",   "walk=1",
					    "get=0",     "get=1000001", "get=99999999999999999999"};
	size_t given[JOB_KINDS] = {0};
	struct mix mix;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		CHECK_INT(mix_parse(wrong[i], &mix, NULL), ERR_FORMAT);
	CHECK_INT(mix_parse("enroll=1,enroll=80,renew=15,slow=5,get=0", &mix, NULL), 0);
	CHECK_INT(mix.total, 100);
	for (size_t i = 0; i < 1000; i++) {
		given[mix_next(&mix, given)]++;
		/* No kind is ever more than one ahead of its share. */
		CHECK(given[JOB_RENEW] <= i * 15 / 100 + 2 && given[JOB_SLOW] <= i * 5 / 100 + 2);
	}
	CHECK_INT((long)given[JOB_ENROLL], 800);
	CHECK_INT((long)given[JOB_RENEW], 150);
	CHECK_INT((long)given[JOB_SLOW], 50);
	CHECK_INT((long)given[JOB_GET], 0);
}

TEST_MAIN(RUN(an_answer_ends_where_its_length_says), RUN(chunks_are_put_together),
	  RUN(without_a_length_the_end_of_the_connection_is_the_end), RUN(what_is_no_http_is_refused),
	  RUN(each_answer_is_right_or_one_kind_of_wrong),
	  RUN(every_request_is_counted_once_and_percentiles_were_measured), RUN(kinds_alternate_by_their_weights))
