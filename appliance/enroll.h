/*
 * appliance/enroll - the requests of devices, from the front's message to the decision
 *
 * What the front merely claims is checked again here: the request's own signature, and that the outer signer's key is
 * the request's.  Every message is answered exactly once; why a request was refused stands in the log and the audit
 * trail, never in the answer.
 *
 * Threads:  the authority's loop.
 */
#ifndef APPLIANCE_ENROLL_H
#define APPLIANCE_ENROLL_H

#include "appliance/link.h"
#include "appliance/store.h"
#include "board/base/bucket.h"

/*
 * Audit records of refused requests: so many at once, and so many per second in the long run, some tens of megabytes a
 * day; more are only logged and counted, so that nobody can fill the disk with them.
 */
enum { APP_REFUSE_BURST = 100, APP_REFUSE_RATE = 1 };

struct app_enrolling {
	size_t lookups;        /* MSG_TRANSACTION, and requests on their way to wait, under way */
	size_t refusals;       /* audit records of refusals under way */
	struct bucket records; /* of refusals, that may be written */
	uint64_t skipped;      /* refusals since the last one that was written */
	uint64_t refused;      /* since the start */
};

/* A transactionID as the store keeps it: text as it is, anything else by its hash.  It is compared, never decoded. */
void app_enroll_transaction_text(struct bytes id, char out[APP_TRANSACTION_MAX]);

/* MSG_ENROLL: answers with the decision. */
void app_enroll_request(struct app_front *front, uint64_t id, const struct msg_enroll *m);

#endif
