#include "tests/load/tally.h"

#include <math.h>
#include <stdlib.h>

enum { ROOM_FIRST = 4096 };

const char *
tally_verdict_name(enum verdict verdict)
{
	static const char *const names[VERDICT_COUNT] = {
		"ok",          "later",      "connect", "closed",  "timeout",
		"http_status", "no_certrep", "refused", "pending", "accepted",
	};

	return names[verdict];
}

static void
latency_note(struct tally_kind *kind, double ms)
{
	if (kind->ms_count == kind->ms_room) {
		size_t room = kind->ms_room == 0 ? ROOM_FIRST : kind->ms_room * 2;
		float *more = realloc(kind->ms, room * sizeof(*more));

		/* Percentiles of a part would be wrong ones. */
		if (more == NULL)
			abort();
		kind->ms = more;
		kind->ms_room = room;
	}
	kind->ms[kind->ms_count++] = (float)ms;
}

void
tally_note(struct tally *tally, const struct job *job, enum verdict verdict, int fail_info, double ms)
{
	struct tally_kind *kind = &tally->kinds[job->kind];

	kind->sent++;
	tally->verdicts[verdict]++;
	if (verdict == VERDICT_OK) {
		kind->ok++;
		latency_note(kind, ms);
	} else if (verdict == VERDICT_LATER) {
		kind->later++;
	} else {
		kind->failed++;
	}
	if (verdict == VERDICT_REFUSED)
		tally->fail_info[fail_info >= 0 && fail_info < TALLY_FAIL_INFOS ? fail_info : TALLY_FAIL_INFOS]++;
}

struct tally_kind
tally_sum(const struct tally *tally)
{
	struct tally_kind sum = {.sent = 0};

	for (size_t i = 0; i < JOB_KINDS; i++) {
		sum.sent += tally->kinds[i].sent;
		sum.ok += tally->kinds[i].ok;
		sum.later += tally->kinds[i].later;
		sum.failed += tally->kinds[i].failed;
	}
	return sum;
}

static int
compare(const void *a, const void *b)
{
	float x = *(const float *)a;
	float y = *(const float *)b;

	return (x > y) - (x < y);
}

static double
rank(const struct tally_kind *kind, double share)
{
	size_t n = (size_t)ceil(share * (double)kind->ms_count);

	return kind->ms_count == 0 ? 0 : (double)kind->ms[n > 0 ? n - 1 : 0];
}

struct tally_percentiles
tally_percentiles(struct tally_kind *kind)
{
	if (kind->ms_count > 0)
		qsort(kind->ms, kind->ms_count, sizeof(*kind->ms), compare);
	return (struct tally_percentiles){rank(kind, 0.5), rank(kind, 0.9), rank(kind, 0.99), rank(kind, 0.999),
					  rank(kind, 1)};
}

void
tally_fini(struct tally *tally)
{
	for (size_t i = 0; i < JOB_KINDS; i++)
		free(tally->kinds[i].ms);
	*tally = (struct tally){.retries = 0};
}
