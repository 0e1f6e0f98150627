-- The first schema of the store.  Times are seconds since 1970.  A migration runs in one transaction; the program sets
-- application_id and user_version around it.  Nothing is ever deleted from certificate and audit.

CREATE TABLE certificate (
	id               INTEGER PRIMARY KEY, -- order of issue, without gaps
	serial           BLOB    NOT NULL UNIQUE,
	usage            TEXT    NOT NULL,
	not_before       INTEGER NOT NULL,
	not_after        INTEGER NOT NULL,
	issued           INTEGER NOT NULL,
	revoked          INTEGER NOT NULL DEFAULT 0, -- 0: not revoked
	reason           INTEGER NOT NULL DEFAULT -1,
	transaction_hash BLOB,                -- 16 bytes of the hash of transaction and key; NULL: has none
	subject          TEXT    NOT NULL,
	template         TEXT    NOT NULL,
	peer             TEXT    NOT NULL,
	der              BLOB                 -- NULL: an intent that a crash left behind; last, so that searches skip it
) STRICT;

-- Keys of the first two are random, so each costs one page per certificate in a large store; the third only grows.
CREATE INDEX certificate_transaction ON certificate (transaction_hash) WHERE transaction_hash IS NOT NULL;
CREATE INDEX certificate_valid ON certificate (not_after) WHERE revoked = 0;
-- The rest cost nothing for the certificate of a device that is not revoked.
CREATE INDEX certificate_revoked ON certificate (not_after, serial, revoked, reason) WHERE revoked <> 0;
CREATE INDEX certificate_own ON certificate (usage, not_after) WHERE usage <> 'device';
CREATE INDEX certificate_unresolved ON certificate (usage) WHERE der IS NULL;

CREATE TABLE challenge (
	hash    BLOB    NOT NULL PRIMARY KEY, -- keyed hash; the challenge itself is nowhere
	created INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	used    INTEGER NOT NULL DEFAULT 0,   -- when; 0: not yet
	serial  BLOB                          -- of the certificate that it was used for
) STRICT, WITHOUT ROWID;

CREATE INDEX challenge_expires ON challenge (expires);

-- What is about to be signed.  A row is here from before the signature until the certificate is stored.
CREATE TABLE intent (
	serial           BLOB    NOT NULL PRIMARY KEY,
	usage            TEXT    NOT NULL,
	tbs_hash         BLOB    NOT NULL,
	transaction_hash BLOB,
	challenge        BLOB REFERENCES challenge (hash), -- held by this intent
	created          INTEGER NOT NULL,
	not_after        INTEGER NOT NULL,
	subject          TEXT    NOT NULL,
	template         TEXT    NOT NULL,
	peer             TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX intent_transaction ON intent (transaction_hash) WHERE transaction_hash IS NOT NULL;
CREATE INDEX intent_challenge ON intent (challenge) WHERE challenge IS NOT NULL;

CREATE TABLE crl (
	number      INTEGER PRIMARY KEY,
	this_update INTEGER NOT NULL,
	next_update INTEGER NOT NULL,
	der         BLOB    NOT NULL
) STRICT;

-- hash = SHA-256(hash of the record before, canonical bytes of this one); see appliance/audit.h.
CREATE TABLE audit (
	seq     INTEGER PRIMARY KEY, -- 1, 2, 3, without gaps
	time    INTEGER NOT NULL,
	event   TEXT    NOT NULL,
	actor   TEXT    NOT NULL,
	serial  BLOB,
	subject TEXT    NOT NULL,
	detail  TEXT    NOT NULL,
	hash    BLOB    NOT NULL
) STRICT;
