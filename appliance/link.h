/*
 * appliance/link - the authority's channels to the signer and to the front's loops
 *
 * Channels come and go: a crashed role is started again and gets a new channel.  Whatever waits for an answer of the
 * signer is told ERR_CLOSED, and whatever was asked by a front that is gone finishes without an answer.
 *
 * Threads:  the authority's loop.
 */
#ifndef APPLIANCE_LINK_H
#define APPLIANCE_LINK_H

#include "board/base/list.h"
#include "board/msg.h"

struct app_authority;
struct app_issuer;

/* One loop of the front. */
struct app_front {
	struct list link;
	struct app_authority *authority;
	struct ipc *ipc;
	struct list replies; /* struct app_reply that wait */
};

struct app_links {
	struct list fronts;
	struct ipc *signer; /* NULL while there is none */
	int64_t began_ms;   /* when the authority began, by the monotonic clock */
};

/* The address of an answer that is still to be given; survives the front that asked. */
struct app_reply {
	struct list link;
	struct app_front *front; /* NULL when it is gone */
	uint64_t id;
};

/* Prepares the member of a. */
void app_link_init(struct app_authority *a);

/* A channel to the signer, replacing the old one; takes fd.  Fails with ERR_NOMEM. */
MUST_CHECK int app_link_signer(struct app_authority *a, int fd);

/*
 * A channel to loop number index of the front, replacing the old one of that number; takes fd.  Fails with ERR_NOMEM.
 */
MUST_CHECK int app_link_front(struct app_authority *a, unsigned index, int fd);

/* Closes all channels. */
void app_link_fini(struct app_authority *a);

/* Notes that message id of front is to be answered through reply, which is the caller's. */
void app_reply_open(struct app_reply *reply, struct app_front *front, uint64_t id);

/* Answers, once; an answer to a front that is gone is dropped. */
void app_reply_send(struct app_reply *reply, const struct msg_decision *decision);

/* The shorthand for an answer without certificate: STATUS_NONE, or STATUS_REFUSED with fail_info and text. */
void app_reply_status(struct app_reply *reply, int status, int fail_info, const char *text);

/* The shorthand for STATUS_RETRY, with the ERR_* that is in the way. */
void app_reply_retry(struct app_reply *reply, int code);

/*
 * Reads the signer's answer to MSG_SIGN: the signature, borrowed from message, made by issuer's algorithm.  Fails with
 * the code given, with the signer's own, or with ERR_FORMAT or ERR_ALG; e has the signer's text.
 */
MUST_CHECK int app_link_signature(const struct app_issuer *issuer, int code, const struct ipc_message *message,
				  struct bytes *ret_signature, struct err *e);

/* True while no signer has come yet but none can be missed: the roles start side by side. */
bool app_link_settling(const struct app_authority *a);

/* Milliseconds that an answer of the signer may take: its own deadline and a little, within scep.timeout_ms. */
int app_link_timeout(const struct app_authority *a);

#endif
