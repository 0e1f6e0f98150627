/*
 * appliance/responder - the state of a certificate for OCSP: asked by a front, looked up, signed on demand
 *
 * Nothing is signed ahead of the first question, and nothing is kept here: the fronts keep answers and ask again after
 * half of their life (decisions/015-ocsp-on-demand.md).  A certificate whose state changes is told to them, so that the
 * next question is answered anew.
 *
 * Threads:  the authority's loop.
 */
#ifndef APPLIANCE_RESPONDER_H
#define APPLIANCE_RESPONDER_H

#include "appliance/link.h"
#include "appliance/ocsp.h"

enum { APP_RESPONDER_LIMIT = 512 }; /* questions under way; more are told to try later */

struct app_responder {
	size_t count;
	uint64_t changes; /* of any certificate's state, since the start */
	uint64_t signed_count;
	int64_t signed_last; /* wall clock; 0: none yet */
};

/* MSG_OCSP_ASK: answers with MSG_OCSP_ANSWER.  Serial numbers that are not ours, or have ended, are "unauthorized". */
void app_responder_ask(struct app_front *front, uint64_t id, const struct msg_ocsp_ask *m);

/* The state of this certificate has changed in the store. */
void app_responder_forget(struct app_authority *a, const uint8_t serial[APP_SERIAL_SIZE]);

#endif
