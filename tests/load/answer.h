/*
 * tests/load/answer - HTTP answers as they arrive, and whether one is what a job has to get
 *
 * It reads only as much as the timed part needs: where the answer ends, the HTTP status, pkiStatus and failInfo.
 * Signatures and certificates are looked at afterwards (verify.h).
 *
 * Threads:  the main thread.
 */
#ifndef TESTS_LOAD_ANSWER_H
#define TESTS_LOAD_ANSWER_H

#include "tests/load/job.h"

enum { ANSWER_MAX = 4 << 20 };

/* What became of a request. */
enum verdict {
	VERDICT_OK,
	VERDICT_LATER,      /* HTTP 503 */
	VERDICT_CONNECT,    /* the connection could not be opened */
	VERDICT_CLOSED,     /* closed or reset before the whole answer */
	VERDICT_TIMEOUT,    /* no whole answer in time */
	VERDICT_HTTP,       /* another HTTP status */
	VERDICT_NO_CERTREP, /* HTTP 200, but no CertRep with a pkiStatus, or no HTTP at all */
	VERDICT_REFUSED,    /* a CertRep with FAILURE that should be none */
	VERDICT_PENDING,    /* PENDING that should be none */
	VERDICT_ACCEPTED,   /* what should have been refused was not */
	VERDICT_COUNT,
};

struct answer {
	int status;        /* HTTP */
	bool closes;       /* no further request on this connection */
	int retry_after_s; /* -1: none */
	struct bytes body; /* within the octets that were given */
	int pki_status;    /* -1: none */
	int fail_info;     /* -1: none */
};

/*
 * Reads the octets that have come; with ended the peer will send no more.  1 when the answer is whole, 0 when more is
 * needed, ERR_FORMAT when it never will be.  A chunked body is put together in place.
 */
MUST_CHECK int answer_read(uint8_t *data, size_t len, bool ended, struct answer *ret_answer);

/* Whether a whole answer is what the job wants. */
enum verdict answer_judge(const struct job *job, const struct answer *answer);

#endif
