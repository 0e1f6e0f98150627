-- The registration point: certificate profiles, challenges that are made for one, and what became of requests.

CREATE TABLE certificate_profile (
	name    TEXT    NOT NULL PRIMARY KEY,
	text    TEXT    NOT NULL,
	changed INTEGER NOT NULL,
	actor   TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- With a profile, subject, san, template and key_usage are set too: all that the profile said when it was made.
ALTER TABLE challenge ADD profile TEXT NOT NULL DEFAULT '';      -- certificate profile; empty: an ordinary challenge
ALTER TABLE challenge ADD device TEXT NOT NULL DEFAULT '';
ALTER TABLE challenge ADD user TEXT NOT NULL DEFAULT '';
ALTER TABLE challenge ADD purposes BLOB;                         -- extended key usage, OBJECT IDENTIFIERs in DER
ALTER TABLE challenge ADD key_sizes INTEGER NOT NULL DEFAULT 0;  -- bits
ALTER TABLE challenge ADD hashes INTEGER NOT NULL DEFAULT 0;     -- bits
ALTER TABLE challenge ADD validity INTEGER NOT NULL DEFAULT 0;   -- days

CREATE INDEX challenge_device ON challenge (device) WHERE device <> '';

-- What devices asked for with such challenges.  Rows stay until expires.
CREATE TABLE registration_request (
	id               INTEGER PRIMARY KEY AUTOINCREMENT,
	transaction_hash BLOB    NOT NULL UNIQUE,
	transaction_id   TEXT    NOT NULL,
	challenge        BLOB,                       -- its hash; NULL: a renewal
	profile          TEXT    NOT NULL,
	device           TEXT    NOT NULL,
	user             TEXT    NOT NULL,
	state            INTEGER NOT NULL,           -- 1 issued, 2 pending, 16 error, 256 denied
	reason           TEXT    NOT NULL DEFAULT '', -- why not
	text             TEXT    NOT NULL DEFAULT '',
	peer             TEXT    NOT NULL DEFAULT '',
	serial           BLOB,                       -- of its certificate, without leading zeros; NULL: none
	certificate      BLOB,                       -- SHA-256 of it; NULL: not known
	created          INTEGER NOT NULL,
	updated          INTEGER NOT NULL,
	expires          INTEGER NOT NULL,
	subject          BLOB,                       -- from here on as in the challenge, for renewals
	san              BLOB,
	template         TEXT    NOT NULL DEFAULT '',
	key_usage        INTEGER NOT NULL DEFAULT 0,
	purposes         BLOB,
	key_sizes        INTEGER NOT NULL DEFAULT 0,
	hashes           INTEGER NOT NULL DEFAULT 0,
	validity         INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX registration_request_serial ON registration_request (serial) WHERE serial IS NOT NULL;
CREATE INDEX registration_request_challenge ON registration_request (challenge) WHERE challenge IS NOT NULL;
CREATE INDEX registration_request_device ON registration_request (device);
CREATE INDEX registration_request_expires ON registration_request (expires);
