/*
 * chancery-load - asks a SCEP server as many devices would, and says what came back
 *
 * Keys and messages are made ahead (prepare.h), so that the timed part (wire.h) only sends, and reads as much of the
 * answers as tells success from refusal; some CertReps are kept and verified when the clock has stopped (verify.h).
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/provider.h>

#include "board/version.h"
#include "tests/load/report.h"
#include "tests/load/wire.h"

enum { CONNECTIONS_MAX = 100000, COUNT_MAX = 10000000, POOL_MAX = 100000, SECONDS_MAX = 7 * 86400 };

struct options {
	const char *url;
	const char *json;
	const char *write;
	const char *key;
	const char *mix;
	const char *sources;
	struct target target;
	struct prepare_options prepare;
	struct wire_plan wire;
	bool has_count;
	bool version;
};

static const struct {
	const char *name;
	enum prepare_key key;
} keys[] = {
	{"rsa2048", PREPARE_RSA2048},
	{"rsa3072", PREPARE_RSA3072},
	{"rsa4096", PREPARE_RSA4096},
	{"p256", PREPARE_P256},
};

static const char usage[] =
	"usage: chancery-load --url http://HOST[:PORT]/PATH [OPTION...]\n"
	"  --count N              requests (default 1000); with GETs alone none: until --seconds\n"
	"  --seconds S            send nothing new after so long\n"
	"  --connections N        connections that each send their next request after an answer (default 16)\n"
	"  --mix KIND=WEIGHT,...  enroll, renew, poll, get, malformed, slow (default enroll=1)\n"
	"  --challenges FILE      one-time challenges, a line each; - is standard input\n"
	"  --challenge-command C  run as \"C N\", prints N challenges\n"
	"  --shared-challenge F   the first line of F is everybody's challenge\n"
	"  --key TYPE             rsa2048, rsa3072, rsa4096; p256 for what renewals ask for (default rsa2048)\n"
	"  --pool N               distinct device keys (default 16)\n"
	"  --keys FILE            keys are read from FILE, and those missing added\n"
	"  --get PATH             what \"get\" fetches (default: GetCACaps)\n"
	"  --subject NAME         of devices; % stands for what tells them apart\n"
	"  --idle N               further connections that ask once and stay open\n"
	"  --hold S               keep everything open so long after the last answer\n"
	"  --requests-per-connection N   close it then (default 0: keep it)\n"
	"  --honour-retry-after   after 503 come back when told to\n"
	"  --timeout-ms N         for one answer (default 30000)\n"
	"  --slow-ms N            a slow client takes so long to send its request (default 3000)\n"
	"  --source A[-B]         our addresses\n"
	"  --verify N             CertReps that are verified afterwards, spread evenly (default 200)\n"
	"  --json FILE            the results as JSON too\n"
	"  --write FILE           send nothing: write one enrollment request as DER\n"
	"  --version\n";

static double
clock_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int
number_take(const char *name, const char *text, unsigned long max, size_t *ret_number)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || n > max) {
		(void)fprintf(stderr, "chancery-load: --%s: a number up to %lu is wanted\n", name, max);
		return -1;
	}
	*ret_number = n;
	return 0;
}

static int
seconds_take(const char *name, const char *text, double *ret_seconds)
{
	char *end;
	double s = strtod(text, &end);

	if (end == text || *end != '\0' || !(s >= 0 && s <= SECONDS_MAX)) {
		(void)fprintf(stderr, "chancery-load: --%s: seconds are wanted\n", name);
		return -1;
	}
	*ret_seconds = s;
	return 0;
}

static int
key_take(const char *text, struct options *o)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (strcmp(text, keys[i].name) != 0)
			continue;
		o->key = keys[i].name;
		o->prepare.key = keys[i].key;
		return 0;
	}
	(void)fprintf(stderr, "chancery-load: --key: rsa2048, rsa3072, rsa4096 or p256\n");
	return -1;
}

enum {
	OPT_URL = 1,
	OPT_COUNT,
	OPT_SECONDS,
	OPT_CONNECTIONS,
	OPT_MIX,
	OPT_CHALLENGES,
	OPT_COMMAND,
	OPT_SHARED,
	OPT_KEY,
	OPT_POOL,
	OPT_KEYS,
	OPT_GET,
	OPT_SUBJECT,
	OPT_IDLE,
	OPT_HOLD,
	OPT_PER,
	OPT_HONOUR,
	OPT_TIMEOUT,
	OPT_SLOW,
	OPT_SOURCE,
	OPT_VERIFY,
	OPT_JSON,
	OPT_WRITE,
	OPT_VERSION,
};

static const struct option long_options[] = {
	{"url", required_argument, NULL, OPT_URL},
	{"count", required_argument, NULL, OPT_COUNT},
	{"seconds", required_argument, NULL, OPT_SECONDS},
	{"connections", required_argument, NULL, OPT_CONNECTIONS},
	{"mix", required_argument, NULL, OPT_MIX},
	{"challenges", required_argument, NULL, OPT_CHALLENGES},
	{"challenge-command", required_argument, NULL, OPT_COMMAND},
	{"shared-challenge", required_argument, NULL, OPT_SHARED},
	{"key", required_argument, NULL, OPT_KEY},
	{"pool", required_argument, NULL, OPT_POOL},
	{"keys", required_argument, NULL, OPT_KEYS},
	{"get", required_argument, NULL, OPT_GET},
	{"subject", required_argument, NULL, OPT_SUBJECT},
	{"idle", required_argument, NULL, OPT_IDLE},
	{"hold", required_argument, NULL, OPT_HOLD},
	{"requests-per-connection", required_argument, NULL, OPT_PER},
	{"honour-retry-after", no_argument, NULL, OPT_HONOUR},
	{"timeout-ms", required_argument, NULL, OPT_TIMEOUT},
	{"slow-ms", required_argument, NULL, OPT_SLOW},
	{"source", required_argument, NULL, OPT_SOURCE},
	{"verify", required_argument, NULL, OPT_VERIFY},
	{"json", required_argument, NULL, OPT_JSON},
	{"write", required_argument, NULL, OPT_WRITE},
	{"version", no_argument, NULL, OPT_VERSION},
	{NULL, 0, NULL, 0},
};

static int
number_option(int option, const char *name, const char *text, struct options *o)
{
	size_t ms;
	int status;

	switch (option) {
	case OPT_COUNT:
		o->has_count = true;
		return number_take(name, text, COUNT_MAX, &o->prepare.count);
	case OPT_CONNECTIONS:
		return number_take(name, text, CONNECTIONS_MAX, &o->wire.connections);
	case OPT_POOL:
		return number_take(name, text, POOL_MAX, &o->prepare.pool);
	case OPT_IDLE:
		return number_take(name, text, CONNECTIONS_MAX, &o->wire.idle);
	case OPT_PER:
		return number_take(name, text, COUNT_MAX, &o->wire.requests_per_connection);
	case OPT_VERIFY:
		return number_take(name, text, COUNT_MAX, &o->prepare.verify);
	default:
		status = number_take(name, text, 3600000, &ms);
		if (status == 0 && option == OPT_SLOW)
			o->wire.slow_ms = (int)ms;
		else if (status == 0)
			o->wire.timeout_ms = o->prepare.timeout_ms = (int)ms;
		return status;
	}
}

static int
option_take(int option, const char *name, const char *text, struct options *o)
{
	switch (option) {
	case OPT_URL:
		o->url = text;
		return 0;
	case OPT_SECONDS:
		return seconds_take(name, text, &o->wire.seconds);
	case OPT_HOLD:
		return seconds_take(name, text, &o->wire.hold_s);
	case OPT_MIX:
		o->mix = text;
		return 0;
	case OPT_CHALLENGES:
		o->prepare.challenges_file = text;
		return 0;
	case OPT_COMMAND:
		o->prepare.challenges_command = text;
		return 0;
	case OPT_SHARED:
		o->prepare.shared_file = text;
		return 0;
	case OPT_KEY:
		return key_take(text, o);
	case OPT_KEYS:
		o->prepare.keys_file = text;
		return 0;
	case OPT_GET:
		o->prepare.get = text;
		return 0;
	case OPT_SUBJECT:
		o->prepare.subject = text;
		return 0;
	case OPT_HONOUR:
		o->wire.honour_retry_after = true;
		return 0;
	case OPT_SOURCE:
		o->sources = text;
		return 0;
	case OPT_JSON:
		o->json = text;
		return 0;
	case OPT_WRITE:
		o->write = text;
		return 0;
	case OPT_VERSION:
		o->version = true;
		return 0;
	default:
		return number_option(option, name, text, o);
	}
}

static int
options_parse(int argc, char **argv, struct options *o)
{
	int option;
	int index = 0;

	while ((option = getopt_long(argc, argv, "", long_options, &index)) != -1) {
		if (option == '?' || option_take(option, long_options[index].name, optarg, o) != 0)
			return -1;
	}
	if (o->version)
		return 0;
	if (optind != argc || o->url == NULL || o->wire.connections == 0 || o->prepare.pool == 0) {
		(void)fputs(usage, stderr);
		return -1;
	}
	return 0;
}

static bool
has_kind(const struct mix *mix, enum job_kind kind)
{
	return mix->weight[kind] > 0;
}

/* What only shows when all options are known. */
static int
options_check(struct options *o, struct err *e)
{
	bool only_gets;
	int status = mix_parse(o->mix, &o->prepare.mix, e);

	if (status == 0)
		status = target_parse(o->url, &o->target, e);
	if (status == 0 && o->sources != NULL)
		status = target_sources(&o->target, o->sources, e);
	if (status != 0)
		return status;
	target_spread(&o->target, o->wire.connections + o->wire.idle);
	only_gets = o->prepare.mix.weight[JOB_GET] == o->prepare.mix.total;
	if (o->prepare.key == PREPARE_P256 &&
	    (has_kind(&o->prepare.mix, JOB_ENROLL) || has_kind(&o->prepare.mix, JOB_SLOW)))
		return err_set(
			e, ERR_ALG, 0,
			"--key p256 is for renewals: the answer to an enrollment is enveloped to the device's key");
	if (only_gets && !o->has_count && o->wire.seconds > 0) {
		o->prepare.count = 1;
		o->wire.again = true;
	}
	return 0;
}

static void
on_begin(void *arg)
{
	(void)arg;
	(void)fprintf(stderr, "chancery-load: sending\n");
}

static int
request_write(const struct prepared *p, const char *path, struct err *e)
{
	struct bytes body = message_body(&p->jobs[0]);
	FILE *f = fopen(path, "w");
	bool good = f != NULL && fwrite(body.data, 1, body.len, f) == body.len;

	if (f != NULL)
		good = fclose(f) == 0 && good;
	return good ? 0 : err_set(e, ERR_IO, (uint32_t)errno, "%s: %s", path, strerror(errno));
}

static int
run(struct options *o, const struct prepared *p, double prepare_seconds, bool *ret_good, struct err *e)
{
	struct tally tally = {.retries = 0};
	struct report report = {.url = o->url, .key = o->key, .connections = o->wire.connections};
	struct job idle = {.kind = JOB_GET};
	int status = message_get(&p->maker, p->maker.get, &idle);

	o->wire.jobs = p->jobs;
	o->wire.count = p->job_count;
	o->wire.idle_request = idle.message;
	o->wire.on_begin = on_begin;
	if (status == 0)
		status = wire_run(&o->wire, &tally, e);
	if (status == 0) {
		report.idle = o->wire.idle;
		report.prepared = p;
		report.prepare_seconds = prepare_seconds;
		report.tally = &tally;
		report.verified = verify_answers(p);
		report_print(&report);
		*ret_good = report_is_good(&report);
		if (o->json != NULL)
			status = report_json(&report, o->json, e);
	}
	tally_fini(&tally);
	job_fini(&idle);
	return status;
}

static int
load(struct options *o, bool *ret_good, struct err *e)
{
	struct prepared p;
	double begin = clock_now();
	int status = options_check(o, e);

	if (status != 0)
		return status;
	o->prepare.target = &o->target;
	o->prepare.connections = o->wire.connections;
	o->wire.target = &o->target;
	if (o->write != NULL) {
		o->prepare.count = 1;
		o->prepare.pool = 1;
	}
	(void)fprintf(stderr, "chancery-load: preparing %zu requests\n", o->prepare.count);
	status = prepare(&o->prepare, &p, e);
	if (status != 0)
		return status;
	if (o->write != NULL) {
		*ret_good = true;
		status = request_write(&p, o->write, e);
	} else {
		status = run(o, &p, clock_now() - begin, ret_good, e);
	}
	prepare_fini(&p);
	return status;
}

int
main(int argc, char **argv)
{
	struct options o = {
		.mix = "enroll=1",
		.key = "rsa2048",
		.prepare = {.count = 1000, .pool = 16, .subject = "CN=load-%.example,O=Example", .verify = 200},
		.wire = {.connections = 16, .timeout_ms = 30000, .slow_ms = 3000},
	};
	struct err e = {.code = 0};
	bool good = false;
	int status;

	o.prepare.timeout_ms = o.wire.timeout_ms;
	if (options_parse(argc, argv, &o) != 0)
		return 2;
	if (o.version) {
		puts("chancery-load " VERSION);
		return 0;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	/* Peers that we are compared with answer in single DES. */
	(void)OSSL_PROVIDER_load(NULL, "legacy");
	(void)OSSL_PROVIDER_load(NULL, "default");
	status = load(&o, &good, &e);
	if (status != 0) {
		(void)fprintf(stderr, "chancery-load: %s%s%s\n", e.text, e.text[0] != '\0' ? ": " : "",
			      err_name(status));
		return status == ERR_FORMAT || status == ERR_ALG ? 2 : 1;
	}
	return good ? 0 : 1;
}
