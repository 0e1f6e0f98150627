-- Holds that can be released, invalidity dates, and what has changed since a CRL, for delta CRLs.

ALTER TABLE certificate ADD invalidity INTEGER NOT NULL DEFAULT 0; -- when its key was lost (RFC 5280 5.3.2); 0: not said

DROP INDEX certificate_revoked;
CREATE INDEX certificate_revoked ON certificate (not_after, serial, revoked, reason, invalidity) WHERE revoked <> 0;

-- A row for each revocation, hold and release.  Those that every CRL to come knows are deleted, but for the last: ids
-- must not be given twice.
CREATE TABLE revocation (
	id     INTEGER PRIMARY KEY,
	serial BLOB    NOT NULL
) STRICT;

ALTER TABLE crl ADD base INTEGER NOT NULL DEFAULT 0;    -- delta CRL: number of the full CRL that it adds to; 0: a full one
ALTER TABLE crl ADD changes INTEGER NOT NULL DEFAULT 0; -- full CRL: the last id of revocation that it knows for sure
