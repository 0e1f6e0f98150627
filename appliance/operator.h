/*
 * appliance/operator - a row of the store's table account, what the store is asked about it, what a log-in came to
 *
 * Threads:  any; plain values.
 * Owner:    struct app_operator_request says for each member.
 */
#ifndef APPLIANCE_OPERATOR_H
#define APPLIANCE_OPERATOR_H

#include "appliance/account.h"
#include "appliance/credential.h"

enum { APP_FINGERPRINT_SIZE = 32 };

/* What APP_STORE_ACCOUNT_CHANGE changes; bits. */
enum {
	APP_OPERATOR_GROUPS = 1,
	APP_OPERATOR_CERTIFICATE = 2,
	APP_OPERATOR_DISABLED = 4,
	APP_OPERATOR_UNLOCK = 8, /* forgets the wrong passwords */
};

struct app_operator {
	char name[APP_ACCOUNT_SIZE];
	char groups[APP_GROUPS_TEXT]; /* a blank between them */
	bool has_certificate;
	uint8_t certificate[APP_FINGERPRINT_SIZE]; /* SHA-256 of its DER: its holder is this operator too */
	bool disabled;
	int64_t created;
	int64_t failed; /* wrong passwords, as they were at the last one */
	int64_t failed_at;
	struct app_credential credential;
	unsigned changes; /* APP_OPERATOR_* */
};

/* How many wrong passwords lock an account, and how long it takes until one of them is forgotten. */
struct app_lockout {
	int64_t failures;
	int64_t decay_s;
};

/* What a log-in came to; for the log, while who tries is told good or not. */
enum app_login_cause {
	APP_LOGIN_GOOD,
	APP_LOGIN_WRONG_PASSWORD,
	APP_LOGIN_NO_ACCOUNT,
	APP_LOGIN_LOCKED,
	APP_LOGIN_DISABLED,
};

/*
 * What can be asked of the store about accounts, as part of enum app_store_op.  "in" names the members of struct
 * app_operator_request that are read (of who those in brackets), "→" those that answer.  Changes read now and actor.
 *
 * ADD       in: who (all but changes); ERR_EXISTS: the name, or the certificate (e says which)
 * REMOVE    in: who (name); ERR_UNKNOWN
 * PASSWORD  in: who (name credential); unlocks too; ERR_UNKNOWN
 * CHANGE    in: who (name changes, and what they name); ERR_UNKNOWN, ERR_EXISTS: the certificate
 * FAILED    in: who (name) cause lockout → failures; counts a log-in that was refused
 *
 * LOGIN     in: who (name) password lockout, now → who, cause; ERR_DENIED unless that is APP_LOGIN_GOOD
 * HASH      in: password → who (credential)
 * OF        in: who (certificate) → who; ERR_UNKNOWN
 * ALL       → list, by name
 *
 * Answers have no credential but that of HASH.
 */
#define APP_STORE_ACCOUNT_CHANGES                                                                                      \
	APP_STORE_ACCOUNT_ADD, APP_STORE_ACCOUNT_REMOVE, APP_STORE_ACCOUNT_PASSWORD, APP_STORE_ACCOUNT_CHANGE,         \
		APP_STORE_ACCOUNT_FAILED
#define APP_STORE_ACCOUNT_LOOKUPS                                                                                      \
	APP_STORE_ACCOUNT_LOGIN, APP_STORE_ACCOUNT_HASH, APP_STORE_ACCOUNT_OF, APP_STORE_ACCOUNT_ALL

struct app_operator_request {
	struct app_operator *who; /* borrowed until done */
	struct bytes password;    /* borrowed until done */
	struct app_lockout lockout;
	enum app_login_cause cause;
	int64_t failures;
	struct app_operator *list; /* owned by the request */
	size_t count;
};

/* Wrong passwords that are not forgotten yet. */
int64_t app_operator_failures(const struct app_operator *who, int64_t now, const struct app_lockout *lockout);

/* "wrong password", "locked", … */
const char *app_login_cause_text(enum app_login_cause cause);

#endif
