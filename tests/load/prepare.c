#include "tests/load/prepare.h"

#include <stdio.h>
#include <string.h>

#include <openssl/pkcs7.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "tests/load/challenges.h"
#include "tests/load/keys.h"
#include "tests/load/parallel.h"
#include "tests/load/verify.h"
#include "tests/load/wire.h"

enum { AHEAD_CONNECTIONS = 8, DEVICES_MAX = 64, WAITING_MAX = 64 };

struct making {
	struct prepared *p;
	const struct prepare_options *options;
	const size_t *number; /* of each job among those of its kind */
};

/* ---- requests before the run ---- */

/* Sends these jobs and keeps their answers; what was not as wanted is in the tally. */
static int
ahead(const struct prepare_options *options, struct job *jobs, size_t count, struct tally *ret_tally, struct err *e)
{
	const struct wire_plan plan = {
		.target = options->target,
		.jobs = jobs,
		.count = count,
		.connections = count < AHEAD_CONNECTIONS ? count : AHEAD_CONNECTIONS,
		.timeout_ms = options->timeout_ms,
		.honour_retry_after = true,
	};

	for (size_t i = 0; i < count; i++)
		jobs[i].keep = true;
	return wire_run(&plan, ret_tally, e);
}

/* The first outcome that is none of the good ones, for an error text. */
static const char *
first_fault(const struct tally *tally)
{
	for (size_t v = VERDICT_OK + 1; v < VERDICT_COUNT; v++)
		if (tally->verdicts[v] > 0)
			return tally_verdict_name((enum verdict)v);
	return "ok";
}

/* ---- certificates of the CA ---- */

static void
cert_sort(struct prepared *p, X509 *cert)
{
	X509 **place = &p->ca;

	if (X509_check_ca(cert) == 0)
		place = (X509_get_key_usage(cert) & KU_KEY_ENCIPHERMENT) != 0 ? &p->ra_decrypt : &p->ra_sign;
	if (*place == NULL && X509_up_ref(cert) == 1)
		*place = cert;
}

/* With chains the CA that we want is the RA's issuer. */
static void
ca_choose(struct prepared *p, STACK_OF(X509) * certs)
{
	for (int i = 0; p->ra_decrypt != NULL && i < sk_X509_num(certs); i++) {
		X509 *cert = sk_X509_value(certs, i);

		if (X509_check_issued(cert, p->ra_decrypt) != X509_V_OK || X509_up_ref(cert) != 1)
			continue;
		X509_free(p->ca);
		p->ca = cert;
	}
}

static int
certs_take(struct prepared *p, struct bytes body)
{
	const unsigned char *at = body.data;
	PKCS7 *p7 = d2i_PKCS7(NULL, &at, (long)body.len);
	STACK_OF(X509) *certs = NULL;
	X509 *alone = NULL;

	at = body.data;
	if (p7 == NULL)
		alone = d2i_X509(NULL, &at, (long)body.len);
	else if (PKCS7_type_is_signed(p7))
		certs = p7->d.sign->cert;
	if (alone != NULL)
		cert_sort(p, alone);
	for (int i = 0; i < sk_X509_num(certs); i++)
		cert_sort(p, sk_X509_value(certs, i));
	ca_choose(p, certs);
	PKCS7_free(p7);
	X509_free(alone);
	/* A CA without an RA does the RA's work, and an RA may have one key for both. */
	if (p->ra_decrypt == NULL && p->ca != NULL && X509_up_ref(p->ca) == 1)
		p->ra_decrypt = p->ca;
	if (p->ra_sign == NULL && p->ra_decrypt != NULL && X509_up_ref(p->ra_decrypt) == 1)
		p->ra_sign = p->ra_decrypt;
	return p->ca != NULL && p->ra_decrypt != NULL && p->ra_sign != NULL ? 0 : ERR_FORMAT;
}

static int
certs_fetch(const struct prepare_options *options, struct prepared *p, struct err *e)
{
	char path[TARGET_PATH_SIZE + 40];
	struct job job = {.message = {NULL, 0}};
	struct tally tally = {.retries = 0};
	int status;

	(void)snprintf(path, sizeof(path), "%s?operation=GetCACert", options->target->path);
	status = message_get(&p->maker, path, &job);
	if (status == 0)
		status = ahead(options, &job, 1, &tally, e);
	if (status == 0 && tally.verdicts[VERDICT_OK] != 1)
		status = err_set(e, ERR_CLOSED, 0, "GetCACert: %s", first_fault(&tally));
	if (status == 0 && certs_take(p, job.answer) != 0)
		status = err_set(e, ERR_FORMAT, 0, "GetCACert: no CA certificate in the answer");
	tally_fini(&tally);
	job_fini(&job);
	p->maker.ca = p->ca;
	p->maker.ra_decrypt = p->ra_decrypt;
	return status;
}

/* ---- devices that renew, requests that wait ---- */

static const char *
challenge_next(struct prepared *p, const struct prepare_options *options)
{
	if (p->challenge_count == 0)
		return NULL;
	return options->shared_file != NULL ? p->challenges[0] : p->challenges[p->challenge_next++];
}

/* Enrolls one device for each of p->devices. */
static int
devices_enroll(const struct prepare_options *options, struct prepared *p, struct err *e)
{
	struct job *jobs = calloc(p->device_count, sizeof(*jobs));
	struct tally tally = {.retries = 0};
	X509 *cert = NULL;
	int status = 0;

	if (jobs == NULL)
		return err_set(e, ERR_NOMEM, 0, "devices");
	for (size_t i = 0; i < p->device_count && status == 0; i++) {
		p->devices[i].number = options->count + i;
		status = message_enroll(&p->maker, &p->clients[i % p->client_count], p->devices[i].number,
					challenge_next(p, options), &jobs[i]);
	}
	if (status == 0)
		status = ahead(options, jobs, p->device_count, &tally, e);
	if (status == 0 && tally.verdicts[VERDICT_OK] != p->device_count)
		status = err_set(e, ERR_DENIED, 0, "enrolling devices to be renewed: %s", first_fault(&tally));
	for (size_t i = 0; i < p->device_count && status == 0; i++) {
		status = verify_answer(p, &jobs[i], &cert, e);
		if (status == 0 && EVP_PKEY_up_ref(jobs[i].key) == 1)
			p->devices[i].client = (struct scepmsg_client){jobs[i].key, cert};
	}
	for (size_t i = 0; i < p->device_count; i++)
		job_fini(&jobs[i]);
	free(jobs);
	tally_fini(&tally);
	return status;
}

/*
 * Sends requests without a challenge.  Where they are refused and do not wait for an operator, polls ask for what
 * nobody requested.
 */
static int
waiting_send(const struct prepare_options *options, struct prepared *p, size_t count, struct err *e)
{
	struct job *jobs = calloc(count, sizeof(*jobs));
	struct tally tally = {.retries = 0};
	int status = 0;

	if (jobs == NULL)
		return err_set(e, ERR_NOMEM, 0, "requests that wait");
	p->waiting = calloc(count, sizeof(*p->waiting));
	if (p->waiting == NULL)
		status = err_set(e, ERR_NOMEM, 0, "requests that wait");
	for (size_t i = 0; i < count && status == 0; i++) {
		status = message_enroll(&p->maker, &p->clients[i % p->client_count],
					options->count + p->device_count + i, NULL, &jobs[i]);
		jobs[i].want = WANT_PENDING;
	}
	if (status == 0)
		status = ahead(options, jobs, count, &tally, e);
	for (size_t i = 0; i < count && status == 0; i++) {
		struct device *d = &p->waiting[p->waiting_count];

		if (jobs[i].answer.len == 0)
			continue;
		d->client = *jobs[i].client;
		d->number = options->count + p->device_count + i;
		(void)snprintf(d->transaction_id, sizeof(d->transaction_id), "%s", jobs[i].request.transaction_id);
		p->waiting_count++;
	}
	for (size_t i = 0; i < count; i++)
		job_fini(&jobs[i]);
	free(jobs);
	tally_fini(&tally);
	return status;
}

/* ---- the messages ---- */

static size_t
at_most(size_t n, size_t limit)
{
	return n < limit ? n : limit;
}

static int
make_renewal(const struct making *m, size_t number, struct job *job)
{
	struct prepared *p = m->p;
	const struct device *device = &p->devices[number % p->device_count];
	EVP_PKEY *key;
	int status;

	if (m->options->key != PREPARE_P256)
		return message_renew(&p->maker, &device->client, device->number,
				     p->clients[(number + 1) % p->client_count].key, job);
	key = keys_p256();
	status = key != NULL ? message_renew(&p->maker, &device->client, device->number, key, job) : ERR_CRYPTO;
	EVP_PKEY_free(key);
	return status;
}

static int
make_poll(const struct making *m, size_t number, struct job *job)
{
	struct prepared *p = m->p;
	const struct device *device = &p->waiting[p->waiting_count > 0 ? number % p->waiting_count : 0];

	if (p->waiting_count == 0)
		return message_poll(&p->maker, &p->clients[number % p->client_count], number, NULL, job);
	return message_poll(&p->maker, &device->client, device->number, device->transaction_id, job);
}

/* Enrollments and slow ones share the challenges: number counts both. */
static int
make_enrollment(const struct making *m, size_t i, struct job *job)
{
	struct prepared *p = m->p;
	enum job_kind kind = job->kind;
	const char *challenge = NULL;
	int status;

	if (p->challenge_count > 0)
		challenge = p->challenges[m->options->shared_file != NULL ? 0 : p->challenge_next + m->number[i]];
	status = message_enroll(&p->maker, &p->clients[i % p->client_count], i, challenge, job);
	job->kind = kind;
	return status;
}

static int
make_job(void *arg, size_t i)
{
	const struct making *m = arg;
	struct prepared *p = m->p;
	struct job *job = &p->jobs[i];
	bool keep = job->keep;
	int status;

	switch (job->kind) {
	case JOB_RENEW:
		status = make_renewal(m, m->number[i], job);
		break;
	case JOB_POLL:
		status = make_poll(m, m->number[i], job);
		break;
	case JOB_GET:
		status = message_get(&p->maker, p->maker.get, job);
		break;
	case JOB_MALFORMED:
		status = message_malformed(&p->maker, &p->clients[i % p->client_count], m->number[i], job);
		break;
	default:
		status = make_enrollment(m, i, job);
		break;
	}
	job->keep = keep;
	return status;
}

/* Which kind each job is, its number among those, and whether its answer is kept. */
static size_t *
jobs_plan(const struct prepare_options *options, struct prepared *p, size_t given[JOB_KINDS])
{
	size_t *number = calloc(options->count, sizeof(*number));
	size_t enrollments = 0;
	size_t certreps = 0;
	size_t stride;

	if (number == NULL)
		return NULL;
	for (size_t i = 0; i < options->count; i++) {
		enum job_kind kind = mix_next(&options->mix, given);
		bool enrolls = kind == JOB_ENROLL || kind == JOB_SLOW;

		p->jobs[i].kind = kind;
		number[i] = enrolls ? enrollments++ : given[kind];
		given[kind]++;
		certreps += kind != JOB_GET && kind != JOB_MALFORMED;
	}
	stride = options->verify > 0 ? (certreps + options->verify - 1) / options->verify : 0;
	certreps = 0;
	for (size_t i = 0; i < options->count; i++)
		if (p->jobs[i].kind != JOB_GET && p->jobs[i].kind != JOB_MALFORMED)
			p->jobs[i].keep = stride > 0 && certreps++ % stride == 0;
	return number;
}

static int
challenges_get(const struct prepare_options *options, struct prepared *p, size_t count, struct err *e)
{
	int status = 0;

	if (count == 0)
		return 0;
	if (options->shared_file != NULL)
		status = challenges_read(options->shared_file, count = 1, &p->challenges, e);
	else if (options->challenges_file != NULL)
		status = challenges_read(options->challenges_file, count, &p->challenges, e);
	else if (options->challenges_command != NULL)
		status = challenges_run(options->challenges_command, count, &p->challenges, e);
	else
		count = 0;
	p->challenge_count = status == 0 ? count : 0;
	return status;
}

static int
keys_prepare(const struct prepare_options *options, struct prepared *p, struct err *e)
{
	static const int bits[] = {
		[PREPARE_RSA2048] = 2048, [PREPARE_RSA3072] = 3072, [PREPARE_RSA4096] = 4096, [PREPARE_P256] = 2048};
	int status = keys_get(options->pool, bits[options->key], options->keys_file, &p->clients, e);

	p->client_count = status == 0 ? options->pool : 0;
	return status;
}

static int
jobs_make(const struct prepare_options *options, struct prepared *p, const size_t given[JOB_KINDS],
	  const size_t *number, struct err *e)
{
	struct making m = {p, options, number};
	size_t waiting = at_most(given[JOB_POLL], at_most(options->connections, WAITING_MAX));
	int status;

	p->device_count = at_most(at_most(given[JOB_RENEW], p->client_count), DEVICES_MAX);
	status = challenges_get(options, p, given[JOB_ENROLL] + given[JOB_SLOW] + p->device_count, e);
	if (status == 0 && p->device_count > 0) {
		p->devices = calloc(p->device_count, sizeof(*p->devices));
		status = p->devices != NULL ? devices_enroll(options, p, e) : err_set(e, ERR_NOMEM, 0, "devices");
	}
	if (status == 0 && waiting > 0)
		status = waiting_send(options, p, waiting, e);
	if (status != 0)
		return status;
	status = parallel_run(make_job, &m, p->job_count);
	return status == 0 ? 0 : err_set(e, status, 0, "a message cannot be made");
}

static bool
needs_certs(const size_t given[JOB_KINDS])
{
	for (size_t kind = 0; kind < JOB_KINDS; kind++)
		if (kind != JOB_GET && given[kind] > 0)
			return true;
	return false;
}

static int
prepare_all(const struct prepare_options *options, struct prepared *p, struct err *e)
{
	size_t given[JOB_KINDS] = {0};
	size_t *number;
	int status = 0;

	p->jobs = calloc(options->count, sizeof(*p->jobs));
	number = p->jobs != NULL ? jobs_plan(options, p, given) : NULL;
	if (number == NULL)
		return err_set(e, ERR_NOMEM, 0, "%zu requests", options->count);
	p->job_count = options->count;
	if (needs_certs(given)) {
		status = certs_fetch(options, p, e);
		if (status == 0)
			status = keys_prepare(options, p, e);
	}
	if (status == 0)
		status = jobs_make(options, p, given, number, e);
	free(number);
	return status;
}

int
prepare(const struct prepare_options *options, struct prepared *ret_prepared, struct err *e)
{
	struct prepared *p = ret_prepared;
	int status;

	*p = (struct prepared){.maker = {.target = options->target, .subject = options->subject}};
	if (options->get != NULL)
		(void)snprintf(p->get, sizeof(p->get), "%s", options->get);
	else
		(void)snprintf(p->get, sizeof(p->get), "%s?operation=GetCACaps", options->target->path);
	p->maker.get = p->get;
	if (RAND_bytes((unsigned char *)&p->maker.run, sizeof(p->maker.run)) != 1)
		return err_set_ossl(e, ERR_CRYPTO, "random octets");
	status = prepare_all(options, p, e);
	if (status != 0)
		prepare_fini(p);
	return status;
}

void
prepare_fini(struct prepared *p)
{
	for (size_t i = 0; p->jobs != NULL && i < p->job_count; i++)
		job_fini(&p->jobs[i]);
	for (size_t i = 0; p->devices != NULL && i < p->device_count; i++)
		scepmsg_client_fini(&p->devices[i].client);
	for (size_t i = 0; p->clients != NULL && i < p->client_count; i++)
		scepmsg_client_fini(&p->clients[i]);
	challenges_free(p->challenges, p->challenge_count);
	free(p->jobs);
	free(p->devices);
	free(p->waiting);
	free(p->clients);
	X509_free(p->ca);
	X509_free(p->ra_sign);
	X509_free(p->ra_decrypt);
	*p = (struct prepared){.job_count = 0};
}
