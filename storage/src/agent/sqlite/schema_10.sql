-- From how many queues a connection is to receive when it is made; 0 for as many as the settings say.
ALTER TABLE connections ADD COLUMN receive_queues INTEGER NOT NULL DEFAULT 0;
