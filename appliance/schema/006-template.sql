-- Certificate templates that were imported, and permissions on any template.

CREATE TABLE template (
	name        TEXT    NOT NULL PRIMARY KEY,
	text        TEXT,             -- chancery-template(5); NULL: built in, or the group "template" of chancery.conf
	permissions TEXT,             -- NULL: those of the text
	changed     INTEGER NOT NULL,
	actor       TEXT    NOT NULL  -- who did
) STRICT, WITHOUT ROWID;

ALTER TABLE request ADD template TEXT NOT NULL DEFAULT ''; -- that the certificate shall be of; empty: older than this
