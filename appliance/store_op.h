/*
 * appliance/store_op - what can be asked of the store, and which members of a request (appliance/store.h) each reads
 *
 * Threads:  any.
 */
#ifndef APPLIANCE_STORE_OP_H
#define APPLIANCE_STORE_OP_H

/*
 * What can be asked.  "in" names the members of the request that are read, "→" those that answer.
 *
 * RESERVE fails with ERR_EXISTS and records[0] when the transaction has a certificate in force (neither expired nor
 * revoked), ERR_BUSY when it has an intent, ERR_DENIED with verdict, or without when its key was revoked as
 * compromised or what it renews is revoked, ERR_UNKNOWN when that is not in the store, ERR_STAGE when the serial
 * number is in use.  With not_after 0, a crash before the certificate leaves its serial number on the CRL for ever,
 * else until then.
 */
enum app_store_op {
	/* in: serial usage issuer tbs_hash transaction_id key_hash challenge_hash claim subject template_name peer now,
	 * not_after, expires (the end that the request asked for, for the audit trail; 0: none), renews old_serial
	 * old_hash */
	APP_STORE_RESERVE,
	APP_STORE_ISSUE,   /* in: serial der not_before not_after now; ERR_UNKNOWN without an intent */
	APP_STORE_ABANDON, /* in: serial text (why) now; the challenge is free again; ERR_UNKNOWN */
	APP_STORE_REFUSE,  /* in: text peer transaction_id subject now; only an audit record */
	/* in: challenge_hash binding expires max_open actor account → number; ERR_LIMIT when max_open are open */
	APP_STORE_CHALLENGE,
	/* in: number, or all, actor now → counts.challenges_open: so many were open; ERR_UNKNOWN, ERR_STAGE: used */
	APP_STORE_CHALLENGE_REVOKE,
	/* in: serial reason invalidity now actor; ERR_UNKNOWN, ERR_EXISTS when revoked already; a hold may end so */
	APP_STORE_REVOKE,
	APP_STORE_RELEASE, /* in: serial now actor: ends a hold; ERR_UNKNOWN, ERR_STAGE when it is not on hold */
	/* in: issuer number (from 1) der this_update next_update base changes; ERR_EXISTS unless above its last */
	APP_STORE_CRL_PUT,
	/* in: serial der usage issuer not_before not_after subject: made elsewhere, or with another key; idempotent */
	APP_STORE_CA_PUT,
	/*
	 * A generation of the CA.  in: issuer now actor subject, ROLLOVER_AT expires (0: no date) → issuers.  PREPARE
	 * makes a generation that is not known yet the next one, and does nothing for others; the rest is about the
	 * next one: a date, giving it up, and making it the current one.  ERR_STAGE when that is another.
	 */
	APP_STORE_ISSUER_PREPARE,
	APP_STORE_ROLLOVER_AT,
	APP_STORE_ROLLOVER_CANCEL,
	APP_STORE_ROLLOVER,

	/*
	 * in: hold transaction_id key_hash challenge_hash claim subject peer now expires max_open → number, of an
	 * earlier one too; fails as RESERVE, and with ERR_DENIED when an operator denied it, ERR_LIMIT when max_open
	 * wait
	 */
	APP_STORE_HOLD,
	/*
	 * in: number actor account now → held[0] as it is then; its state tells whether that was the last approval
	 * that it needed; ERR_UNKNOWN, ERR_STAGE when it was decided already, ERR_EXISTS when the account approved
	 * already, ERR_DENIED when it may not
	 */
	APP_STORE_APPROVE,
	APP_STORE_DENY,            /* in: number actor text now → held[0]; ERR_UNKNOWN, ERR_STAGE when it is denied */
	APP_STORE_ACCOUNT_CHANGES, /* appliance/operator.h */

	/* in: template_name der (text or permissions, NUL behind) text (for the audit trail) actor; ERR_UNKNOWN */
	APP_STORE_TEMPLATE_PUT,
	APP_STORE_TEMPLATE_REMOVE,
	APP_STORE_TEMPLATE_PERMIT,

	APP_STORE_POLICY_PUT,    /* in: policy actor: a policy module, new or again */
	APP_STORE_POLICY_REMOVE, /* in: template_name (the module's) actor; ERR_UNKNOWN */
	APP_STORE_POLICY_CHAIN,  /* in: der (the policy key's certificate and those above it; empty: none) actor */
	/* in: template_name (its name) text (application) actor; ERR_EXISTS when either is taken */
	APP_STORE_POINT_ADD,
	APP_STORE_POINT_REMOVE, /* in: template_name actor: with all that it trusts; ERR_UNKNOWN */
	/* in: template_name text (URL of the NDES) der (root) has_challenge: tbs_hash is the thumbprint; actor; anew */
	APP_STORE_TRUST_PUT,
	APP_STORE_TRUST_REMOVE, /* in: template_name text (URL) actor; ERR_UNKNOWN */

	/*
	 * appliance/store_registration.h; all have registration.  in: its terms.profile, PUT: der (text, NUL behind),
	 * actor; ERR_UNKNOWN.  NOTE, what verify said: its terms, state, reason, text, transaction_id key_hash
	 * challenge_hash has_challenge peer subject, all (no audit record); ERR_LIMIT: too many with one challenge.
	 * END, what became of it: its state serial certificate reason text, transaction_id key_hash peer; ERR_UNKNOWN,
	 * and ERR_DENIED with verdict: the challenge was used for another
	 */
	APP_STORE_CERTPROFILE_PUT,
	APP_STORE_CERTPROFILE_REMOVE,
	APP_STORE_REGISTRATION_NOTE,
	APP_STORE_REGISTRATION_END,

	/* in: transaction_id key_hash now → record in force, else held_state and number; ERR_UNKNOWN */
	APP_STORE_TRANSACTION,
	APP_STORE_HELD, /* in: number, or 0 for all → held; ERR_UNKNOWN */
	/* in: all (or only those that are bound to something) limit offset now → challenges, oldest first */
	APP_STORE_CHALLENGES,
	APP_STORE_SHOW,    /* in: serial → record; ERR_UNKNOWN */
	APP_STORE_LIST,    /* in: limit offset, text (part of subject or ""), usage or -1 → records, newest first */
	APP_STORE_CURRENT, /* in: usage but DEVICE, now → records, not revoked, valid; latest not_after first */
	/* in: issuer → its last full one: der number this_update next_update changes; last; ERR_UNKNOWN */
	APP_STORE_CRL_GET,
	/*
	 * In the SCANNER's thread, calls each() for every revoked certificate of issuer with not_after > now - grace
	 * → changes.
	 */
	APP_STORE_REVOKED,
	APP_STORE_CHANGED,     /* the same for what was revoked or released after changes; released is revoked 0 */
	APP_STORE_ISSUER_END,  /* in: issuer → not_after: the latest of what it issued; 0: nothing */
	APP_STORE_COUNTS,      /* in: now → counts */
	APP_STORE_AUDIT,       /* in: limit offset → out: audit records, newest first, a line each */
	APP_STORE_AUDIT_CHECK, /* → number of records whose chain holds; ERR_VERIFY: the first bad one in number */
	/* in: registration: terms.profile, or "" for all → out: texts, each with a NUL behind; ERR_UNKNOWN */
	APP_STORE_CERTPROFILE,
	/*
	 * in: transaction_id key_hash; challenge_hash with has_challenge, else registration: serial of the old
	 * certificate → registration; ERR_UNKNOWN, ERR_STAGE: the challenge is not of a certificate profile
	 */
	APP_STORE_REGISTRATION_FIND,
	APP_STORE_ACCOUNT_LOOKUPS,
};

#endif
