/*
 * net/policyjson - the JSON that policy modules and registration points exchange
 *
 * The bodies follow the public messages of Intune's third-party CA API (facts, microsoft.md 4.2), since those of the
 * Configuration Manager are not public (3.12); appliance/doc/registration-point.yaml describes ours.  Whatever is read
 * here comes from outside: at most NET_POLICYJSON_MAX octets, NET_POLICYJSON_DEPTH levels, no name twice, every text
 * within its size and free of control characters.
 *
 * Threads:  any; nothing is shared.
 */
#ifndef NET_POLICYJSON_H
#define NET_POLICYJSON_H

#include "board/base/buf.h"
#include "board/msg.h"

enum { NET_POLICYJSON_MAX = 256 * 1024, NET_POLICYJSON_DEPTH = 8 };

/* What our side calls itself in callerInfo. */
#define NET_POLICYJSON_CALLER "Chancery"

/* ---- asking (the courier) ---- */

/* {"request": …} of VerifyRequest or validateRequest, appended to out. */
void net_policyjson_put_verify(const struct msg_policy_verify *m, bool for_intune, struct buf *out);

/* {"notification": …} of Notify; for Intune that of successNotification or failureNotification. */
void net_policyjson_put_notify(const struct msg_policy_notify *m, bool for_intune, struct buf *out);

/* {"request": …} of GenerateChallenge. */
void net_policyjson_put_generate(const struct msg_policy_generate *m, struct buf *out);

/*
 * Reads {"code", "errorDescription", "challenge"} into reason, text and challenge of ret_result (ret_result->challenge
 * points into store).  Fails with ERR_FORMAT or ERR_LIMIT; e says what is wrong.
 */
MUST_CHECK int
net_policyjson_get_result(struct bytes body, struct msg_policy_result *ret_result, struct buf *store, struct err *e);

/*
 * The text at a path of names ("value.0.uri" goes through a list) in a JSON document, for Intune's token and discovery
 * answers, into out.  Fails with ERR_FORMAT, ERR_UNKNOWN when it is not there, ERR_LIMIT when it does not fit.
 */
MUST_CHECK int net_policyjson_get_text(struct bytes body, const char *path, char *out, size_t size, struct err *e);

/* ---- being asked (a registration point) ---- */

/*
 * Reads the body of VerifyRequest, Notify or GenerateChallenge (action REGISTRATION_*) into m, whose bytes point into
 * store.  Names that are not known are passed over.  Fails with ERR_FORMAT or ERR_LIMIT, and e names the member.
 */
MUST_CHECK int
net_policyjson_get_request(struct bytes body, int action, struct msg_registration *m, struct buf *store, struct err *e);

/* {"code", "errorDescription"}, and with a challenge {"challenge", "expires"}, appended to out. */
void net_policyjson_put_answer(const struct msg_registration_answer *m, struct buf *out);

#endif
