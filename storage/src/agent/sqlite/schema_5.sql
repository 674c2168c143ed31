-- The highest number of a queue that was removed.
ALTER TABLE connections ADD COLUMN queues INTEGER NOT NULL DEFAULT 0;
