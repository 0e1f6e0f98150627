-- Accounts of operators.

CREATE TABLE account (
	name        TEXT    NOT NULL PRIMARY KEY,
	member_of   TEXT    NOT NULL,            -- groups, a blank between them
	certificate BLOB UNIQUE,                 -- SHA-256 of a client certificate that is this operator's too; NULL: none
	created     INTEGER NOT NULL,
	disabled    INTEGER NOT NULL DEFAULT 0,
	failed      INTEGER NOT NULL DEFAULT 0,  -- wrong passwords, as they were at the last one
	failed_at   INTEGER NOT NULL DEFAULT 0,
	n           INTEGER NOT NULL,            -- scrypt's parameters, as they were when the password was set
	r           INTEGER NOT NULL,
	p           INTEGER NOT NULL,
	salt        BLOB    NOT NULL,
	hash        BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

-- Every log-in that is refused is counted here, so that each costs one commit, whether there is such an account or not.
CREATE TABLE refused_login (
	id    INTEGER PRIMARY KEY CHECK (id = 1),
	count INTEGER NOT NULL,
	last  INTEGER NOT NULL
) STRICT;

INSERT INTO refused_login (id, count, last) VALUES (1, 0, 0);
