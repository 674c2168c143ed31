-- What waits for the app is found without reading what was remembered.
CREATE INDEX incoming_waiting ON incoming (connection, id) WHERE body IS NOT NULL;
