/*
 * tests/load/verify - the answers that were kept, looked at after the clock has stopped
 *
 * Threads:  the main thread.
 */
#ifndef TESTS_LOAD_VERIFY_H
#define TESTS_LOAD_VERIFY_H

#include "tests/load/prepare.h"

struct verify_result {
	size_t good;
	size_t wrong;
	struct err first; /* of the wrong ones */
};

/*
 * Verifies signature, transactionID and nonce of each CertRep that was kept; decrypts it; and the certificate is the
 * CA's and for the key that was sent.
 */
struct verify_result verify_answers(const struct prepared *p);

/* The same for one answer, whose certificate is the caller's.  Fails with ERR_FORMAT or ERR_VERIFY. */
MUST_CHECK int verify_answer(const struct prepared *p, const struct job *job, X509 **ret_issued, struct err *e);

#endif
