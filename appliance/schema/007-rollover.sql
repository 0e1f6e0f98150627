-- More than one CA certificate: roll-over.  The CA's generations are counted from 0 on; people see them from 1 on.

CREATE TABLE issuer (
	generation  INTEGER PRIMARY KEY,
	state       TEXT    NOT NULL,           -- next, current, previous, cancelled
	since       INTEGER NOT NULL DEFAULT 0, -- of the state
	rollover_at INTEGER NOT NULL DEFAULT 0  -- when the next one becomes the current one; 0: when somebody says so
) STRICT;

CREATE UNIQUE INDEX issuer_one ON issuer (state) WHERE state IN ('next', 'current');

INSERT INTO issuer (generation, state) VALUES (0, 'current');

ALTER TABLE certificate ADD issuer INTEGER NOT NULL DEFAULT 0;
ALTER TABLE intent ADD issuer INTEGER NOT NULL DEFAULT 0;

DROP INDEX certificate_revoked;
CREATE INDEX certificate_revoked ON certificate (issuer, not_after, serial, revoked, reason, invalidity) WHERE revoked <> 0;

-- Each generation has CRLs with numbers of their own.
CREATE TABLE crl_of_issuer (
	issuer      INTEGER NOT NULL,
	number      INTEGER NOT NULL,
	this_update INTEGER NOT NULL,
	next_update INTEGER NOT NULL,
	base        INTEGER NOT NULL DEFAULT 0, -- delta CRL: number of the full CRL that it adds to; 0: a full one
	changes     INTEGER NOT NULL DEFAULT 0, -- full CRL: the last id of revocation that it knows for sure
	der         BLOB    NOT NULL,
	UNIQUE (issuer, number)
) STRICT;

INSERT INTO crl_of_issuer (issuer, number, this_update, next_update, base, changes, der)
	SELECT 0, number, this_update, next_update, base, changes, der FROM crl;
DROP TABLE crl;
ALTER TABLE crl_of_issuer RENAME TO crl;
