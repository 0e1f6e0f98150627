-- Approvals by several operators, and what a challenge is bound to.

ALTER TABLE request ADD approvals_needed INTEGER NOT NULL DEFAULT 1; -- of different operators with a name, from 2 on
ALTER TABLE request ADD key_usage INTEGER NOT NULL DEFAULT 0;        -- that it asks for; 0: none

CREATE TABLE approval (
	request INTEGER NOT NULL REFERENCES request (id) ON DELETE CASCADE,
	account TEXT    NOT NULL,
	time    INTEGER NOT NULL,
	PRIMARY KEY (request, account)
) STRICT, WITHOUT ROWID;

-- A challenge that is used without a serial number was revoked.
ALTER TABLE challenge ADD number INTEGER NOT NULL DEFAULT 0;    -- what operators call it; 0: older than numbers
ALTER TABLE challenge ADD creator TEXT NOT NULL DEFAULT '';     -- the account that made it
ALTER TABLE challenge ADD template TEXT NOT NULL DEFAULT '';    -- it is good for this alone; empty, and NULL below: any
ALTER TABLE challenge ADD subject BLOB;                         -- Name, DER
ALTER TABLE challenge ADD san BLOB;                             -- content of the extension; an empty list: none at all
ALTER TABLE challenge ADD key_hash BLOB;                        -- SHA-256 of the SubjectPublicKeyInfo
ALTER TABLE challenge ADD key_usage INTEGER NOT NULL DEFAULT 0;

CREATE UNIQUE INDEX challenge_number ON challenge (number) WHERE number <> 0;

CREATE TABLE challenge_count (last INTEGER NOT NULL) STRICT; -- one row: the last number given, which is never given again
INSERT INTO challenge_count VALUES (0);
