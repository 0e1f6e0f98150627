#include "tests/load/report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const fail_infos[TALLY_FAIL_INFOS + 1] = {
	"badAlg", "badMessageCheck", "badRequest", "badTime", "badCertId", "other",
};

bool
report_is_good(const struct report *report)
{
	struct tally_kind sum = tally_sum(report->tally);

	return sum.ok == sum.sent && report->verified.wrong == 0 && report->tally->idle_opened == report->idle &&
	       report->tally->idle_closed == 0;
}

static double
per_second(const struct tally *tally, enum job_kind kind)
{
	double seconds = kind == JOB_SLOW ? tally->seconds_all : tally->seconds;

	return seconds > 0 ? (double)tally->kinds[kind].ok / seconds : 0;
}

/* Right answers a second, but those to slow clients: these take as long as we want them to. */
static double
rate(const struct tally *tally)
{
	double sum = 0;

	for (size_t kind = 0; kind < JOB_KINDS; kind++)
		if (kind != JOB_SLOW)
			sum += per_second(tally, (enum job_kind)kind);
	return sum;
}

static void
print_kinds(const struct report *report)
{
	printf("%-10s %8s %8s %7s %7s %9s %8s %8s %8s %8s %8s\n", "", "sent", "ok", "later", "failed", "ok per s",
	       "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms");
	for (size_t i = 0; i < JOB_KINDS; i++) {
		struct tally_kind *kind = &report->tally->kinds[i];
		struct tally_percentiles ms = tally_percentiles(kind);

		if (kind->sent > 0)
			printf("%-10s %8zu %8zu %7zu %7zu %9.1f %8.2f %8.2f %8.2f %8.2f %8.2f\n",
			       job_kind_name((enum job_kind)i), kind->sent, kind->ok, kind->later, kind->failed,
			       per_second(report->tally, (enum job_kind)i), ms.p50, ms.p90, ms.p99, ms.p999, ms.max);
	}
}

static void
print_errors(const struct report *report)
{
	const struct tally *tally = report->tally;

	printf("HTTP      ");
	for (size_t i = 0; i < TALLY_HTTP_MAX; i++)
		if (tally->http[i] > 0)
			printf(" %zu: %zu", i, tally->http[i]);
	printf("\nErrors    ");
	for (size_t v = VERDICT_OK + 1; v < VERDICT_COUNT; v++)
		if (tally->verdicts[v] > 0)
			printf(" %s: %zu", tally_verdict_name((enum verdict)v), tally->verdicts[v]);
	for (size_t i = 0; i <= TALLY_FAIL_INFOS; i++)
		if (tally->fail_info[i] > 0)
			printf(" (%s: %zu)", fail_infos[i], tally->fail_info[i]);
	printf("%s\n", tally_sum(tally).sent == tally->verdicts[VERDICT_OK] ? " none" : "");
}

void
report_print(const struct report *report)
{
	const struct tally *tally = report->tally;
	const struct prepared *p = report->prepared;
	struct tally_kind sum = tally_sum(tally);

	printf("%s, %zu connections, %zu device keys (%s)\n", report->url, report->connections, p->client_count,
	       report->key);
	print_kinds(report);
	printf("In all     %zu sent, %zu as they should be, %zu told to come later, %zu failed; %.1f right answers a "
	       "second\n",
	       sum.sent, sum.ok, sum.later, sum.failed, rate(tally));
	printf("Time       %.2f s to prepare, %.3f s measured, %.3f s with slow clients\n", report->prepare_seconds,
	       tally->seconds, tally->seconds_all);
	print_errors(report);
	printf("Attempts   %zu after Retry-After, %zu on a new connection as the old one had been closed\n",
	       tally->retries, tally->reconnects);
	if (report->idle > 0)
		printf("Idle       %zu of %zu connections opened, %zu of them closed by the server\n",
		       tally->idle_opened, report->idle, tally->idle_closed);
	if (tally->kinds[JOB_POLL].sent > 0)
		printf("Polls      for %s\n",
		       p->waiting_count > 0 ? "requests that wait" : "what nobody requested, as no request waits here");
	printf("Verified   %zu of the CertReps afterwards, %zu wrong%s%s\n",
	       report->verified.good + report->verified.wrong, report->verified.wrong,
	       report->verified.wrong > 0 ? ": " : "", report->verified.first.text);
}

static void
json_text(FILE *f, const char *text)
{
	(void)fputc('"', f);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			(void)fputc('\\', f);
		(void)fputc((unsigned char)*text < ' ' ? ' ' : *text, f);
	}
	(void)fputc('"', f);
}

static void
json_kinds(FILE *f, const struct tally *tally)
{
	const char *separator = "";

	(void)fprintf(f, "\"kinds\": {");
	for (size_t i = 0; i < JOB_KINDS; i++) {
		struct tally_kind kind = tally->kinds[i];
		struct tally_percentiles ms = tally_percentiles(&kind);

		if (kind.sent == 0)
			continue;
		(void)fprintf(f,
			      "%s\"%s\": {\"sent\": %zu, \"ok\": %zu, \"later\": %zu, \"failed\": %zu, \"ok_per_s\": "
			      "%.3f, \"p50_ms\": %.4f, \"p90_ms\": %.4f, \"p99_ms\": %.4f, \"p99_9_ms\": %.4f, "
			      "\"max_ms\": %.4f}",
			      separator, job_kind_name((enum job_kind)i), kind.sent, kind.ok, kind.later, kind.failed,
			      per_second(tally, (enum job_kind)i), ms.p50, ms.p90, ms.p99, ms.p999, ms.max);
		separator = ", ";
	}
	(void)fprintf(f, "}, ");
}

static void
json_errors(FILE *f, const struct tally *tally)
{
	const char *separator = "";

	(void)fprintf(f, "\"http\": {");
	for (size_t i = 0; i < TALLY_HTTP_MAX; i++) {
		if (tally->http[i] == 0)
			continue;
		(void)fprintf(f, "%s\"%zu\": %zu", separator, i, tally->http[i]);
		separator = ", ";
	}
	(void)fprintf(f, "}, \"errors\": {");
	for (size_t v = VERDICT_OK + 1; v < VERDICT_COUNT; v++)
		(void)fprintf(f, "%s\"%s\": %zu", v > VERDICT_OK + 1 ? ", " : "", tally_verdict_name((enum verdict)v),
			      tally->verdicts[v]);
	(void)fprintf(f, "}, \"refused\": {");
	for (size_t i = 0; i <= TALLY_FAIL_INFOS; i++)
		(void)fprintf(f, "%s\"%s\": %zu", i > 0 ? ", " : "", fail_infos[i], tally->fail_info[i]);
	(void)fprintf(f, "}, ");
}

int
report_json(const struct report *report, const char *path, struct err *e)
{
	const struct tally *tally = report->tally;
	struct tally_kind sum = tally_sum(tally);
	FILE *f = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
	bool good;

	if (f == NULL)
		return err_set(e, ERR_IO, (uint32_t)errno, "%s: %s", path, strerror(errno));
	(void)fprintf(f, "{\"url\": ");
	json_text(f, report->url);
	(void)fprintf(f,
		      ", \"connections\": %zu, \"keys\": %zu, \"key\": \"%s\", \"prepare_seconds\": %.3f, \"seconds\": "
		      "%.4f, \"seconds_with_slow\": %.4f, \"sent\": %zu, \"ok\": %zu, \"later\": %zu, \"failed\": %zu, "
		      "\"ok_per_s\": %.3f, \"retries\": %zu, \"reconnects\": %zu, ",
		      report->connections, report->prepared->client_count, report->key, report->prepare_seconds,
		      tally->seconds, tally->seconds_all, sum.sent, sum.ok, sum.later, sum.failed, rate(tally),
		      tally->retries, tally->reconnects);
	json_kinds(f, tally);
	json_errors(f, tally);
	(void)fprintf(f, "\"idle\": {\"wanted\": %zu, \"opened\": %zu, \"closed\": %zu}, ", report->idle,
		      tally->idle_opened, tally->idle_closed);
	(void)fprintf(f, "\"polls\": \"%s\", ", report->prepared->waiting_count > 0 ? "waiting" : "unknown");
	(void)fprintf(f, "\"verified\": {\"good\": %zu, \"wrong\": %zu, \"first\": ", report->verified.good,
		      report->verified.wrong);
	json_text(f, report->verified.first.text);
	(void)fprintf(f, "}}\n");
	good = ferror(f) == 0;
	good = (f == stdout ? fflush(f) : fclose(f)) == 0 && good;
	return good ? 0 : err_set(e, ERR_IO, (uint32_t)errno, "%s: %s", path, strerror(errno));
}
