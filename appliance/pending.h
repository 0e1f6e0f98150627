/*
 * appliance/pending - transactions and certificates that are asked about, and requests that an operator approved
 *
 * A request that waits is asked about again and again, by a CertPoll or by the same request (RFC 8894 4.4).  What was
 * approved is issued at once; when that fails, again at the device's next question.
 *
 * Threads:  the authority's loop.
 */
#ifndef APPLIANCE_PENDING_H
#define APPLIANCE_PENDING_H

#include "appliance/state.h"

/* code 0: issued, and serial is the certificate's. */
typedef void (*app_pending_fn)(int code, const struct err *e, struct bytes serial, void *arg);

/*
 * MSG_TRANSACTION: answers STATUS_ISSUED with the certificate, STATUS_PENDING, STATUS_REFUSED when an operator denied
 * it, STATUS_NONE, or STATUS_RETRY.
 */
void app_pending_transaction(struct app_front *front, uint64_t id, const struct msg_transaction *m);

/*
 * MSG_GET_CERT: answers STATUS_ISSUED with the certificate of a device, whatever became of it, STATUS_REFUSED
 * (badCertId), or STATUS_RETRY.
 */
void app_pending_certificate(struct app_front *front, uint64_t id, const struct msg_get_cert *m);

/* Issues the certificate of request number, which is approved.  fn may be NULL, is called once, perhaps at once. */
void app_pending_issue(struct app_authority *a, int64_t number, app_pending_fn fn, void *arg);

#endif
