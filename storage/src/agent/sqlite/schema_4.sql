-- Keys for a new ratchet, beside the one that there is.
ALTER TABLE agreements ADD COLUMN keys BLOB;

-- SHA-256 of what came, so that nobody is told of it twice.
CREATE TABLE seen (
    connection BLOB NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    hash BLOB NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (connection, hash)
) STRICT, WITHOUT ROWID;
