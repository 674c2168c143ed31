-- When counting began: at most one row.
CREATE TABLE statistics (
    id INTEGER PRIMARY KEY CHECK (id = 0),
    since INTEGER NOT NULL
) STRICT;

-- What was done at servers, numbers of 8 bytes, one after the other.
CREATE TABLE server_counters (
    user INTEGER NOT NULL,
    server BLOB NOT NULL,
    counters BLOB NOT NULL,
    PRIMARY KEY (user, server)
) STRICT, WITHOUT ROWID;
