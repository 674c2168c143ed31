-- The highest number that a user ever had: none is given again.
CREATE TABLE last_user (number INTEGER NOT NULL) STRICT;
INSERT INTO last_user (number) SELECT coalesce(max(max(id), 0), 0) FROM users;

-- What is forgotten when it is old is found by its time.
CREATE INDEX incoming_of_time ON incoming (received_at) WHERE body IS NULL;
CREATE INDEX outgoing_of_time ON outgoing (created_at);
CREATE INDEX seen_of_time ON seen (at);
