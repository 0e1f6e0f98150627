-- Registration points of this unit, and whom each trusts.  Their root and TLS certificates are in the table certificate.

CREATE TABLE registration_point (
	name        TEXT    NOT NULL PRIMARY KEY,
	application TEXT    NOT NULL UNIQUE COLLATE NOCASE, -- its path begins with
	created     INTEGER NOT NULL,
	actor       TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE registration_trust (
	point      TEXT    NOT NULL,
	url        TEXT    NOT NULL, -- of the NDES that asks
	root       BLOB    NOT NULL, -- its client certificate is below it
	thumbprint BLOB,             -- SHA-256 of that certificate; NULL: any below the root
	created    INTEGER NOT NULL,
	actor      TEXT    NOT NULL,
	PRIMARY KEY (point, url)
) STRICT, WITHOUT ROWID;
