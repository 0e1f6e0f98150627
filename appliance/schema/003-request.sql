-- Requests that wait for an operator.  There is a row from the request to its certificate, or to expires.

CREATE TABLE request (
	id               INTEGER PRIMARY KEY AUTOINCREMENT, -- what operators call it
	transaction_hash BLOB    NOT NULL UNIQUE,
	state            TEXT    NOT NULL,                  -- pending, approved, denied
	created          INTEGER NOT NULL,
	expires          INTEGER NOT NULL,
	challenge        BLOB REFERENCES challenge (hash),  -- held by this request; NULL: has none
	transaction_id   TEXT    NOT NULL,
	key_hash         BLOB    NOT NULL,                  -- of who signed, as in transactions
	subject          TEXT    NOT NULL,
	peer             TEXT    NOT NULL,
	name             BLOB    NOT NULL,                  -- what the certificate shall say: Name, DER
	spki             BLOB    NOT NULL,
	san              BLOB,                              -- content of the extension; NULL: none
	not_after        INTEGER NOT NULL,                  -- that was asked for; 0: none
	operator         TEXT    NOT NULL DEFAULT '',       -- who decided
	reason           TEXT    NOT NULL DEFAULT ''        -- of a denial
) STRICT;

CREATE INDEX request_expires ON request (expires);
CREATE INDEX request_challenge ON request (challenge) WHERE challenge IS NOT NULL;
