/*
 * appliance/audit - the form of an audit record: its canonical bytes, its place in the hash chain, its line of text
 *
 * The store writes a record in the transaction of the change that it describes (facts, appliance.md 3.4):
 *
 *	hash[i] = SHA-256(hash[i - 1] || seq time event actor serial subject detail)
 *
 * integers as 8 bytes, the rest preceded by their length, hash[0] = 32 zero bytes.  A record that is changed, removed
 * or inserted breaks the chain behind it.  What the chain alone cannot show is that its end was cut off; a store that
 * is open remembers its end.  Records hold no secret: of a challenge they have the first 8 digits of its keyed hash.
 *
 * Threads:  any; a chain belongs to one.
 */
#ifndef APPLIANCE_AUDIT_H
#define APPLIANCE_AUDIT_H

#include "board/base/buf.h"
#include "board/base/err.h"

enum { APP_AUDIT_HASH_SIZE = 32 };

/* What happened.  The names in audit.c are stored, so they never change. */
enum app_audit_event {
	APP_AUDIT_STORE_OPENED,
	APP_AUDIT_INTENT, /* a serial and a challenge were reserved: a signature will follow */
	APP_AUDIT_ISSUE,
	APP_AUDIT_ABANDON,
	APP_AUDIT_REFUSE,
	APP_AUDIT_CHALLENGE_CREATED,
	APP_AUDIT_REVOKE,
	APP_AUDIT_CRL,
	APP_AUDIT_INTENT_UNRESOLVED,
	APP_AUDIT_CA_IMPORTED,
	APP_AUDIT_REQUEST_HELD,
	APP_AUDIT_REQUEST_APPROVED,
	APP_AUDIT_REQUEST_DENIED,
	APP_AUDIT_ACCOUNT_ADDED,
	APP_AUDIT_ACCOUNT_REMOVED,
	APP_AUDIT_ACCOUNT_PASSWORD,
	APP_AUDIT_ACCOUNT_CHANGED,
	APP_AUDIT_ACCOUNT_LOCKED,
	APP_AUDIT_RELEASE,
	APP_AUDIT_CA_PREPARED, /* the next generation of the CA is there */
	APP_AUDIT_ROLLOVER_PLANNED,
	APP_AUDIT_ROLLOVER_CANCELLED,
	APP_AUDIT_ROLLOVER, /* it issues from now on */
	APP_AUDIT_CHALLENGE_REVOKED,
	APP_AUDIT_TEMPLATE_IMPORTED,
	APP_AUDIT_TEMPLATE_REMOVED,
	APP_AUDIT_TEMPLATE_PERMISSIONS,
	APP_AUDIT_POLICY_INSTALLED,
	APP_AUDIT_POLICY_REMOVED,
	APP_AUDIT_POLICY_CERTIFICATE,
	APP_AUDIT_CERTPROFILE_IMPORTED,
	APP_AUDIT_CERTPROFILE_REMOVED,
	APP_AUDIT_REGISTRATION_VERIFIED, /* a registration point allowed a request, and so on */
	APP_AUDIT_REGISTRATION_REFUSED,
	APP_AUDIT_REGISTRATION_ISSUED,
	APP_AUDIT_REGISTRATION_FAILED,
	APP_AUDIT_POINT_INSTALLED, /* a registration point */
	APP_AUDIT_POINT_REMOVED,
	APP_AUDIT_POINT_TRUSTS, /* an NDES server's root */
	APP_AUDIT_POINT_DISTRUSTS,
};

/* A record, borrowed from wherever it comes. */
struct app_audit_record {
	int64_t seq; /* 1, 2, 3, without gaps */
	int64_t time;
	const char *event;
	const char *actor;
	struct bytes serial; /* empty: about no certificate */
	const char *subject;
	const char *detail;
};

/* Room for canonical bytes and a digest, used again for each record. */
struct app_audit_chain;

/* Fails with ERR_NOMEM or ERR_CRYPTO. */
MUST_CHECK int app_audit_chain_new(struct app_audit_chain **ret_chain, struct err *e);

/* NULL is fine. */
void app_audit_chain_free(struct app_audit_chain *chain);

/*
 * The hash of record behind a record with hash before; both may be the same array.  Fails with ERR_NOMEM, ERR_CRYPTO.
 */
MUST_CHECK int
app_audit_chain_next(struct app_audit_chain *chain, const uint8_t before[APP_AUDIT_HASH_SIZE],
		     const struct app_audit_record *record, uint8_t ret_hash[APP_AUDIT_HASH_SIZE], struct err *e);

/* "issue", "revoke", … */
const char *app_audit_event_name(enum app_audit_event event);

/* Appends " key=value" to a detail; text is quoted and escaped, bytes are hexadecimal.  Empty values are left out. */
void app_audit_put_text(struct buf *detail, const char *key, const char *value);
void app_audit_put_bytes(struct buf *detail, const char *key, struct bytes value); /* as app_audit_put_text() */

/* Appends the record as one line: seq=… time=… event=… actor="…" serial=… subject="…" DETAIL hash=… */
void app_audit_line(struct buf *out, const struct app_audit_record *record, struct bytes hash);

CLEANUP_STRUCT(app_audit_chain, app_audit_chain_free)

#endif
