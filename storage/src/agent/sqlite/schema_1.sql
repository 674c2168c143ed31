-- Ids are as bytes, times in milliseconds since 1970, keys as PKCS #8 or raw bytes, flags 0 or 1, stages as words.

CREATE TABLE users (
    id INTEGER PRIMARY KEY,
    is_deleted INTEGER NOT NULL
) STRICT;

CREATE TABLE connections (
    id BLOB PRIMARY KEY,
    user INTEGER NOT NULL REFERENCES users (id),
    progress TEXT NOT NULL,
    version INTEGER NOT NULL,
    pq_support INTEGER NOT NULL,
    last INTEGER NOT NULL,
    sent INTEGER NOT NULL,
    sent_hash BLOB NOT NULL,
    received INTEGER NOT NULL,
    received_hash BLOB NOT NULL,
    sync TEXT NOT NULL,
    deleted_at INTEGER,
    delete_after_delivery INTEGER NOT NULL,
    skipped INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX connections_of_user ON connections (user);

-- Keys of an invitation, or a ratchet.
CREATE TABLE agreements (
    connection BLOB PRIMARY KEY REFERENCES connections (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    secret BLOB NOT NULL
) STRICT;

-- Chains are numbered by age.
CREATE TABLE skipped_keys (
    connection BLOB NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    chain INTEGER NOT NULL,
    number INTEGER NOT NULL,
    header BLOB NOT NULL,
    key BLOB NOT NULL,
    iv BLOB NOT NULL,
    PRIMARY KEY (connection, chain, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX skipped_keys_of_header ON skipped_keys (connection, header, number);

-- The first in order have a place.
CREATE TABLE receive_queues (
    connection BLOB NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    place INTEGER,
    server BLOB NOT NULL,
    recipient_id BLOB NOT NULL,
    sender_id BLOB NOT NULL,
    key BLOB NOT NULL,
    server_secret BLOB NOT NULL,
    e2e_key BLOB NOT NULL,
    e2e_secret BLOB,
    stage TEXT NOT NULL,
    mode TEXT,
    version INTEGER NOT NULL,
    link_id BLOB,
    link_key BLOB,
    link_fixed BLOB,
    link_root BLOB,
    replaces INTEGER,
    switch TEXT,
    last_told_server_id BLOB,
    last_told INTEGER,
    PRIMARY KEY (connection, number)
) STRICT;

CREATE TABLE send_queues (
    connection BLOB NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    place INTEGER,
    server BLOB NOT NULL,
    sender_id BLOB NOT NULL,
    key BLOB NOT NULL,
    e2e_key BLOB NOT NULL,
    e2e_secret BLOB NOT NULL,
    stage TEXT NOT NULL,
    mode TEXT,
    version INTEGER NOT NULL,
    replaces INTEGER,
    switch TEXT,
    PRIMARY KEY (connection, number)
) STRICT;

CREATE TABLE tasks (
    connection BLOB NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    place INTEGER NOT NULL,
    kind TEXT NOT NULL,
    queue INTEGER,
    sender_key BLOB,
    info BLOB,
    keys BLOB,
    server BLOB,
    recipient_id BLOB,
    key BLOB,
    attempts INTEGER,
    origin TEXT NOT NULL,
    correlation TEXT,
    PRIMARY KEY (connection, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE confirmations (
    id BLOB PRIMARY KEY,
    connection BLOB NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    sender_key BLOB,
    e2e_key BLOB NOT NULL,
    ratchet BLOB NOT NULL,
    hash BLOB NOT NULL,
    queues BLOB NOT NULL,
    version INTEGER NOT NULL,
    info BLOB NOT NULL
) STRICT;
CREATE INDEX confirmations_of_connection ON confirmations (connection);

CREATE TABLE invitations (
    id BLOB PRIMARY KEY,
    connection BLOB NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    request BLOB NOT NULL,
    info BLOB NOT NULL,
    received_at INTEGER NOT NULL,
    is_accepted INTEGER NOT NULL
) STRICT;
CREATE INDEX invitations_of_connection ON invitations (connection);

CREATE TABLE incoming (
    connection BLOB NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    id INTEGER NOT NULL,
    queue INTEGER NOT NULL,
    server_id BLOB NOT NULL,
    server_time INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    sender_id INTEGER NOT NULL,
    hash BLOB NOT NULL,
    integrity TEXT NOT NULL,
    pq INTEGER NOT NULL,
    notification INTEGER NOT NULL,
    body BLOB,
    repeats INTEGER NOT NULL,
    PRIMARY KEY (connection, id)
) STRICT;

-- The body is a plaintext for the ratchet's key, or a whole envelope, or gone when it was delivered.
CREATE TABLE outgoing (
    connection BLOB NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    id INTEGER NOT NULL,
    sender_id INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    notification INTEGER NOT NULL,
    hash BLOB NOT NULL,
    receipt TEXT NOT NULL,
    kind TEXT NOT NULL,
    body BLOB,
    key BLOB,
    padded_len INTEGER,
    version INTEGER,
    confirmation BLOB,
    PRIMARY KEY (connection, id)
) STRICT;
CREATE INDEX outgoing_of_sender_id ON outgoing (connection, sender_id, id);

CREATE TABLE deliveries (
    connection BLOB NOT NULL,
    queue INTEGER NOT NULL,
    message INTEGER NOT NULL,
    PRIMARY KEY (connection, queue, message),
    FOREIGN KEY (connection, queue) REFERENCES send_queues (connection, number) ON DELETE CASCADE,
    FOREIGN KEY (connection, message) REFERENCES outgoing (connection, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_of_message ON deliveries (connection, message);
