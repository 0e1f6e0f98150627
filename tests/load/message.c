#include "tests/load/message.h"

#include <stdio.h>
#include <string.h>

#include <openssl/pkcs7.h>
#include <openssl/rand.h>

enum { MESSAGE_MAX = 1 << 20, GARBAGE = 1000 };

CLEANUP(EVP_PKEY, EVP_PKEY_free)
CLEANUP(X509_REQ, X509_REQ_free)

/* The faults that message_malformed() makes. */
enum fault { FAULT_TRUNCATED, FAULT_SIGNATURE, FAULT_GARBAGE, FAULT_NO_TYPE, FAULT_BASE64, FAULT_CONTENT, FAULTS };

void
message_subject(const struct message_maker *maker, size_t number, char out[MESSAGE_SUBJECT_SIZE])
{
	const char *mark = strchr(maker->subject, '%');
	int before = mark != NULL ? (int)(mark - maker->subject) : (int)strlen(maker->subject);

	(void)snprintf(out, MESSAGE_SUBJECT_SIZE, "%.*s%08x-%zu%s", before, maker->subject, (unsigned)maker->run,
		       number, mark != NULL ? mark + 1 : "");
}

static int
message_wrap(const struct message_maker *maker, struct bytes body, struct job *job)
{
	struct buf b;
	size_t len;

	buf_init(&b, MESSAGE_MAX);
	buf_printf(&b,
		   "POST %s?operation=PKIOperation HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-pki-message\r\n"
		   "Content-Length: %zu\r\n\r\n",
		   maker->target->path, maker->target->host, body.len);
	buf_put_raw(&b, body.data, body.len);
	if (buf_status(&b) != 0) {
		buf_fini(&b);
		return ERR_LIMIT;
	}
	job->message.data = buf_take(&b, &len);
	job->message.len = len;
	return 0;
}

struct bytes
message_body(const struct job *job)
{
	const uint8_t *end = memmem(job->message.data, job->message.len, "\r\n\r\n", 4);

	if (end == NULL)
		return (struct bytes){NULL, 0};
	return (struct bytes){end + 4, job->message.len - (size_t)(end + 4 - job->message.data)};
}

/* Signs and envelopes plain, which it frees, and makes the job's message of it. */
static int
pki_message(const struct message_maker *maker, struct bytes plain, const struct scepmsg_options *options,
	    struct job *job)
{
	int status = ERR_CRYPTO;

	if (plain.len > 0 && scepmsg_build(job->client, plain, options, maker->ra_decrypt, &job->request) == 0) {
		status = message_wrap(maker, job->request.der, job);
		scepmsg_request_fini(&job->request);
	}
	free((void *)plain.data);
	return status;
}

static void
own_key(struct job *job, EVP_PKEY *key)
{
	if (EVP_PKEY_up_ref(key) == 1)
		job->key = key;
}

int
message_enroll(const struct message_maker *maker, const struct scepmsg_client *client, size_t number,
	       const char *challenge, struct job *ret_job)
{
	struct job job = {.kind = JOB_ENROLL, .want = WANT_SUCCESS, .client = client};
	const struct scepmsg_options options = {.message_type = NULL};
	char subject[MESSAGE_SUBJECT_SIZE];
	struct scepmsg_csr csr = {.subject = subject, .challenge = challenge};
	int status;

	message_subject(maker, number, subject);
	status = pki_message(maker, scepmsg_csr_build(client->key, &csr), &options, &job);
	own_key(&job, client->key);
	*ret_job = job;
	return status;
}

int
message_renew(const struct message_maker *maker, const struct scepmsg_client *device, size_t number, EVP_PKEY *key,
	      struct job *ret_job)
{
	struct job job = {.kind = JOB_RENEW, .want = WANT_SUCCESS, .client = device};
	const struct scepmsg_options options = {.message_type = "17"};
	char subject[MESSAGE_SUBJECT_SIZE];
	struct scepmsg_csr csr = {.subject = subject, .key = key};
	int status;

	message_subject(maker, number, subject);
	status = pki_message(maker, scepmsg_csr_build(key, &csr), &options, &job);
	own_key(&job, key);
	*ret_job = job;
	return status;
}

/* RFC 8894 3.3.3: IssuerAndSubject ::= SEQUENCE { issuer Name, subject Name }. */
static struct bytes
issuer_and_subject(const struct message_maker *maker, const struct scepmsg_client *client, size_t number)
{
	char text[MESSAGE_SUBJECT_SIZE];
	struct scepmsg_csr csr = {.subject = text};
	struct bytes der;
	const unsigned char *at;
	AUTO(X509_REQ) req = NULL;
	unsigned char out[2 * MESSAGE_SUBJECT_SIZE + 1024];
	unsigned char *p = out;
	int issuer;
	int subject;

	message_subject(maker, number, text);
	der = scepmsg_csr_build(client->key, &csr);
	at = der.data;
	req = d2i_X509_REQ(NULL, &at, (long)der.len);
	free((void *)der.data);
	if (req == NULL)
		return (struct bytes){NULL, 0};
	issuer = i2d_X509_NAME(X509_get_subject_name(maker->ca), NULL);
	subject = i2d_X509_NAME(X509_REQ_get_subject_name(req), NULL);
	if (issuer <= 0 || subject <= 0 || (size_t)issuer + (size_t)subject + 8 > sizeof(out))
		return (struct bytes){NULL, 0};
	ASN1_put_object(&p, 1, issuer + subject, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
	(void)i2d_X509_NAME(X509_get_subject_name(maker->ca), &p);
	(void)i2d_X509_NAME(X509_REQ_get_subject_name(req), &p);
	return bytes_dup((struct bytes){out, (size_t)(p - out)});
}

int
message_poll(const struct message_maker *maker, const struct scepmsg_client *client, size_t number,
	     const char *transaction_id, struct job *ret_job)
{
	struct job job = {.kind = JOB_POLL, .client = client};
	const struct scepmsg_options options = {.message_type = "20", .transaction_id = transaction_id};
	int status;

	job.want = transaction_id != NULL ? WANT_PENDING : WANT_UNKNOWN;
	status = pki_message(maker, issuer_and_subject(maker, client, number), &options, &job);
	*ret_job = job;
	return status;
}

int
message_get(const struct message_maker *maker, const char *path, struct job *ret_job)
{
	struct buf b;
	size_t len;

	buf_init(&b, MESSAGE_MAX);
	buf_printf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, maker->target->host);
	if (buf_status(&b) != 0) {
		buf_fini(&b);
		return ERR_LIMIT;
	}
	*ret_job = (struct job){.kind = JOB_GET, .want = WANT_OK};
	ret_job->message.data = buf_take(&b, &len);
	ret_job->message.len = len;
	return 0;
}

static int
malformed_pki(const struct message_maker *maker, enum fault fault, size_t number, struct job *job)
{
	char subject[MESSAGE_SUBJECT_SIZE];
	struct scepmsg_csr csr = {.subject = subject};
	struct scepmsg_options options = {
		.broken_signature = fault == FAULT_SIGNATURE,
		.broken_content = fault == FAULT_CONTENT,
		.omit = fault == FAULT_NO_TYPE ? SCEPMSG_MESSAGE_TYPE : 0,
	};

	message_subject(maker, number, subject);
	return pki_message(maker, scepmsg_csr_build(job->client->key, &csr), &options, job);
}

/* The first half of a message that was good; replaces the job's own. */
static int
malformed_half(const struct message_maker *maker, struct job *job)
{
	struct bytes whole = job->message;
	struct bytes body = message_body(job);
	int status = message_wrap(maker, (struct bytes){body.data, body.len / 2}, job);

	free((void *)whole.data);
	return status;
}

int
message_malformed(const struct message_maker *maker, const struct scepmsg_client *client, size_t number,
		  struct job *ret_job)
{
	struct job job = {.kind = JOB_MALFORMED, .client = client};
	enum fault fault = (enum fault)(number % FAULTS);
	uint8_t garbage[GARBAGE];
	char path[TARGET_PATH_SIZE + 80];
	int status;

	if (fault == FAULT_GARBAGE) {
		status = RAND_bytes(garbage, sizeof(garbage)) == 1 ? 0 : ERR_CRYPTO;
		garbage[0] = 'x'; /* no SEQUENCE */
		if (status == 0)
			status = message_wrap(maker, (struct bytes){garbage, sizeof(garbage)}, &job);
	} else if (fault == FAULT_BASE64) {
		(void)snprintf(path, sizeof(path), "%s?operation=PKIOperation&message=%%00not*base64",
			       maker->target->path);
		status = message_get(maker, path, &job);
	} else {
		status = malformed_pki(maker, fault, number, &job);
		if (status == 0 && fault == FAULT_TRUNCATED)
			status = malformed_half(maker, &job);
	}
	job.kind = JOB_MALFORMED;
	job.want = WANT_REFUSAL;
	*ret_job = job;
	return status;
}
