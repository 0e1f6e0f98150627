#include "tests/load/mix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WEIGHT_MAX = 1000000, TEXT_MAX = 300 };

static const char *const names[JOB_KINDS] = {"enroll", "renew", "poll", "get", "malformed", "slow"};

const char *
job_kind_name(enum job_kind kind)
{
	return names[kind];
}

void
job_fini(struct job *job)
{
	free((void *)job->message.data);
	free((void *)job->answer.data);
	EVP_PKEY_free(job->key);
	*job = (struct job){0};
}

static int
part_parse(char *part, struct mix *mix, struct err *e)
{
	char *value = strchr(part, '=');
	char *end = NULL;
	unsigned long weight;

	if (value == NULL)
		return err_set(e, ERR_FORMAT, 0, "\"%s\" is not KIND=WEIGHT", part);
	*value++ = '\0';
	weight = strtoul(value, &end, 10);
	if (*value < '0' || *value > '9' || *end != '\0' || weight > WEIGHT_MAX)
		return err_set(e, ERR_FORMAT, 0, "the weight of \"%s\" is a number up to %d", part, WEIGHT_MAX);
	for (size_t kind = 0; kind < JOB_KINDS; kind++) {
		if (strcmp(part, names[kind]) != 0)
			continue;
		mix->total += (unsigned)weight - mix->weight[kind];
		mix->weight[kind] = (unsigned)weight;
		return 0;
	}
	return err_set(e, ERR_FORMAT, 0, "no kind \"%s\": enroll, renew, poll, get, malformed, slow", part);
}

int
mix_parse(const char *text, struct mix *ret_mix, struct err *e)
{
	struct mix mix = {.total = 0};
	char copy[TEXT_MAX];
	char *save = NULL;
	char *part;
	int status;

	if (strlen(text) >= sizeof(copy))
		return err_set(e, ERR_FORMAT, 0, "too long");
	(void)snprintf(copy, sizeof(copy), "%s", text);
	for (part = strtok_r(copy, ", ", &save); part != NULL; part = strtok_r(NULL, ", ", &save)) {
		status = part_parse(part, &mix, e);
		if (status != 0)
			return status;
	}
	if (mix.total == 0)
		return err_set(e, ERR_FORMAT, 0, "nothing is to be sent");
	*ret_mix = mix;
	return 0;
}

enum job_kind
mix_next(const struct mix *mix, const size_t given[JOB_KINDS])
{
	double most = -1;
	size_t sum = 1;
	size_t next = 0;

	for (size_t kind = 0; kind < JOB_KINDS; kind++)
		sum += given[kind];
	for (size_t kind = 0; kind < JOB_KINDS; kind++) {
		double behind = (double)sum * mix->weight[kind] / mix->total - (double)given[kind];

		if (mix->weight[kind] == 0 || behind <= most)
			continue;
		most = behind;
		next = kind;
	}
	return (enum job_kind)next;
}
