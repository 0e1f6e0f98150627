/*
 * tests/load/job - one request of chancery-load, made ahead, and which answer it has to get
 *
 * Threads:  made by any thread, one each; sent by the main thread.
 * Owner:    whoever holds the array; job_fini() frees what a job owns.
 */
#ifndef TESTS_LOAD_JOB_H
#define TESTS_LOAD_JOB_H

#include <stdbool.h>

#include "board/base/buf.h"
#include "tests/lib/scepmsg.h"

/* What is sent; the order is that of the report. */
enum job_kind {
	JOB_ENROLL,    /* PKCSReq with a challenge */
	JOB_RENEW,     /* RenewalReq, signed with a certificate that was enrolled before */
	JOB_POLL,      /* CertPoll */
	JOB_GET,       /* GET of a path */
	JOB_MALFORMED, /* what has to be refused */
	JOB_SLOW,      /* an enrollment that arrives in pieces, on a connection beside the others */
	JOB_KINDS,
};

/* The right answer. */
enum job_want {
	WANT_SUCCESS, /* CertRep with a certificate */
	WANT_PENDING, /* CertRep: wait */
	WANT_UNKNOWN, /* CertRep: FAILURE badCertId, for a poll of what nobody asked */
	WANT_OK,      /* HTTP 200 */
	WANT_REFUSAL, /* HTTP 400, or CertRep with FAILURE */
};

struct job {
	enum job_kind kind;
	enum job_want want;
	struct bytes message;                /* the whole HTTP request, owned */
	struct scepmsg_request request;      /* transactionID and nonce of a SCEP message; no DER */
	const struct scepmsg_client *client; /* who signed it; borrowed */
	EVP_PKEY *key;                       /* what is to be certified, owned; NULL: nothing */
	bool keep;                           /* keep the answer */
	struct bytes answer;                 /* its body, owned; empty when none was kept */
};

/* The name of a kind, as in --mix. */
const char *job_kind_name(enum job_kind kind);

/* Frees what the job owns and empties it. */
void job_fini(struct job *job);

#endif
