-- For how long a server that blocked a queue of ours takes no new contact address.
CREATE TABLE notices (
    server BLOB NOT NULL,
    queue BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    ttl INTEGER,
    PRIMARY KEY (server, queue)
) STRICT, WITHOUT ROWID;
