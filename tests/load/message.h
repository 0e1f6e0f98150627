/*
 * tests/load/message - one request each: what is said in it, signed, enveloped and with its HTTP head
 *
 * Every function fills job->kind, want, message, request, client and key, and fails with ERR_CRYPTO, ERR_NOMEM or
 * ERR_LIMIT, after which job_fini() is enough.
 *
 * Threads:  any, with a job each; the maker is only read.
 */
#ifndef TESTS_LOAD_MESSAGE_H
#define TESTS_LOAD_MESSAGE_H

#include "tests/load/job.h"
#include "tests/load/target.h"

enum { MESSAGE_SUBJECT_SIZE = 300 };

/* What the requests of a run have in common; borrowed. */
struct message_maker {
	const struct target *target;
	X509 *ca;
	X509 *ra_decrypt;
	const char *subject; /* with "%" where the device's own part goes */
	const char *get;     /* path and query */
	uint32_t run;        /* tells the names of this run from others */
};

/* The name of the number-th device of this run, "CN=load-1a2b-7.example,O=Example", into out. */
void message_subject(const struct message_maker *maker, size_t number, char out[MESSAGE_SUBJECT_SIZE]);

/* A PKCSReq; challenge NULL: none. */
MUST_CHECK int message_enroll(const struct message_maker *maker, const struct scepmsg_client *client, size_t number,
			      const char *challenge, struct job *ret_job);

/* A RenewalReq for key, signed with the device's certificate; number is what the device was enrolled with. */
MUST_CHECK int message_renew(const struct message_maker *maker, const struct scepmsg_client *device, size_t number,
			     EVP_PKEY *key, struct job *ret_job);

/* A CertPoll for the request that had this number and transactionID; NULL: one that nobody sent. */
MUST_CHECK int message_poll(const struct message_maker *maker, const struct scepmsg_client *client, size_t number,
			    const char *transaction_id, struct job *ret_job);

/* A GET of the maker's path. */
MUST_CHECK int message_get(const struct message_maker *maker, const char *path, struct job *ret_job);

/* Something that has to be refused: numbers give different faults in turn. */
MUST_CHECK int message_malformed(const struct message_maker *maker, const struct scepmsg_client *client, size_t number,
				 struct job *ret_job);

/* The body of a request: what follows its head. */
struct bytes message_body(const struct job *job);

#endif
