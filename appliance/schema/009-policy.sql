-- Policy modules: who is asked whether a request may be issued.

CREATE TABLE policy_module (
	name        TEXT    NOT NULL PRIMARY KEY,
	kind        TEXT    NOT NULL,           -- registration-point, intune
	url         TEXT    NOT NULL,
	roots       BLOB    NOT NULL,           -- certificates that its server may chain to, DER, one behind the other
	directory   TEXT    NOT NULL DEFAULT '', -- this and what follows up to the secret: intune
	scope       TEXT    NOT NULL DEFAULT '',
	tenant      TEXT    NOT NULL DEFAULT '',
	client      TEXT    NOT NULL DEFAULT '',
	secret      BLOB,
	deadline_ms INTEGER NOT NULL,
	unavailable TEXT    NOT NULL,           -- retry, refuse: what becomes of requests while it cannot be asked
	changed     INTEGER NOT NULL,
	actor       TEXT    NOT NULL            -- who did
) STRICT, WITHOUT ROWID;

-- The certificate of the policy key when another CA made it, and those above it; no row: our own CA makes it.
CREATE TABLE policy_chain (
	id      INTEGER PRIMARY KEY CHECK (id = 1),
	chain   BLOB    NOT NULL, -- DER, one behind the other, own certificate first
	changed INTEGER NOT NULL,
	actor   TEXT    NOT NULL
) STRICT;
