-- Users whose sessions with a server are those of a service.
CREATE TABLE services (
    user INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    server BLOB NOT NULL,
    certificate BLOB NOT NULL,
    key BLOB NOT NULL,
    service_id BLOB,
    surplus_count INTEGER NOT NULL,
    surplus_hash BLOB NOT NULL,
    PRIMARY KEY (user, server)
) STRICT, WITHOUT ROWID;

-- Whether the server counts the queue among those of the service.
ALTER TABLE receive_queues ADD COLUMN is_associated INTEGER NOT NULL DEFAULT 0;
