/*
 * appliance/regserve - what the registration points of this unit answer
 *
 * Threads:  the authority's loop.
 */
#ifndef APPLIANCE_REGSERVE_H
#define APPLIANCE_REGSERVE_H

#include "appliance/link.h"

/*
 * MSG_REGISTRATION: answers it.  404 where there is no point; the page that is the sign of health for who only looks;
 * calls are answered 503 so far: whoever asks must not take silence for consent, and nobody is judged yet.
 */
void app_regserve_request(struct app_front *front, uint64_t id, const struct msg_registration *m);

#endif
