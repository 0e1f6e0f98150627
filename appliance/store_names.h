/*
 * appliance/store_names - what the store says: what a certificate is for, why it was revoked, the words for both; a
 * certificate as it is kept; what became of a challenge
 *
 * Threads:  any.
 */
#ifndef APPLIANCE_STORE_NAMES_H
#define APPLIANCE_STORE_NAMES_H

#include <stdint.h>

#include "board/base/buf.h"
#include "board/msg.h"

enum { APP_SERIAL_SIZE = 16 };

/* What a certificate is for.  Stored as text. */
enum app_usage {
	APP_USAGE_DEVICE,
	APP_USAGE_RA_SIGN,
	APP_USAGE_RA_DECRYPT,
	APP_USAGE_TLS,
	APP_USAGE_OCSP,
	APP_USAGE_POLICY,       /* client certificate for policy modules */
	APP_USAGE_REGISTRATION, /* TLS of the registration point, below its own root */
	APP_USAGE_CA,
	APP_USAGE_REGISTRATION_ROOT,
	APP_USAGE_COUNT,
};

/* CRLReason values of RFC 5280 5.3.1 that we use; -1 when not revoked. */
enum app_reason {
	APP_REASON_NONE = -1,
	APP_REASON_UNSPECIFIED = 0,
	APP_REASON_KEY_COMPROMISE = 1,
	APP_REASON_CA_COMPROMISE = 2,
	APP_REASON_AFFILIATION_CHANGED = 3,
	APP_REASON_SUPERSEDED = 4,
	APP_REASON_CESSATION_OF_OPERATION = 5,
	APP_REASON_HOLD = 6, /* the only one that can be taken back */
	APP_REASON_PRIVILEGE_WITHDRAWN = 9,
};

/* A revoked certificate, for a CRL. */
struct app_revoked {
	uint8_t serial[APP_SERIAL_SIZE];
	int64_t revoked;
	int reason;
	int64_t invalidity; /* 0: not said */
};

/*
 * What a generation of the CA is (board/msg.h counts them).  There is one current one, and at most one next one; all
 * that were current before are previous.
 */
enum app_issuer_state {
	APP_ISSUER_NONE,
	APP_ISSUER_NEXT, /* prepared */
	APP_ISSUER_CURRENT,
	APP_ISSUER_PREVIOUS,
	APP_ISSUER_CANCELLED, /* prepared, and given up */
};

struct app_issuers {
	struct {
		enum app_issuer_state state;
		int64_t since;
		int64_t rollover_at; /* of the next one: when it becomes the current one; 0: when somebody says so */
	} of[CA_GENERATIONS];
};

/* "next", … */
const char *app_issuer_state_name(enum app_issuer_state state);

/* The first generation in this state; CA_GENERATIONS when there is none. */
unsigned app_issuers_find(const struct app_issuers *issuers, enum app_issuer_state state);

/* Why a challenge was not accepted; for log and audit, never for the wire. */
enum app_challenge_verdict {
	APP_CHALLENGE_OK,
	APP_CHALLENGE_MISSING,
	APP_CHALLENGE_NOT_KNOWN,
	APP_CHALLENGE_EXPIRED,
	APP_CHALLENGE_USED,
	APP_CHALLENGE_RESERVED, /* another request holds it right now */
	APP_CHALLENGE_REVOKED,
	APP_CHALLENGE_BOUND_TEMPLATE, /* made for another template, and so on (appliance/binding.h); still good */
	APP_CHALLENGE_BOUND_SUBJECT,
	APP_CHALLENGE_BOUND_SAN,
	APP_CHALLENGE_BOUND_KEY,
	APP_CHALLENGE_BOUND_KEY_USAGE,
	APP_CHALLENGE_REGISTRATION, /* made for a certificate profile, and no registration point judged the request */
};

/* A certificate as the store knows it.  Times are seconds since 1970. */
struct app_record {
	uint8_t serial[APP_SERIAL_SIZE];
	enum app_usage usage;
	unsigned issuer; /* generation of the CA that signed it */
	int64_t not_before;
	int64_t not_after;
	int64_t issued;
	int64_t revoked;    /* 0: not revoked */
	int reason;         /* enum app_reason */
	int64_t invalidity; /* since when the key was not to be trusted, as the operator says; 0: not said */
	char subject[256];
	char template_name[40];
	char peer[64];
	struct bytes der;
};

struct app_store_counts {
	int64_t issued; /* device certificates, ever */
	int64_t valid;
	int64_t revoked;
	int64_t challenges_open;
	int64_t intents_open;
	int64_t requests_waiting; /* for an operator */
	int64_t audit_records;
};

/* Was it signed by another key than the CA's?  Then it is on none of the CA's lists. */
bool app_usage_is_foreign(enum app_usage usage);

/* "device", "ra-sign", … and back; -1 for other words. */
const char *app_usage_name(enum app_usage usage);
int app_usage_parse(const char *name); /* see app_usage_name() */

/* "keyCompromise", … as RFC 5280 spells them, NULL for others; and back, -2 for other words. */
const char *app_reason_name(int reason);
int app_reason_parse(const char *name); /* see app_reason_name() */

#endif
