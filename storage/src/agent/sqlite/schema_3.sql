-- Contact addresses. A task may be to send an invitation to the queue of one.
ALTER TABLE tasks ADD COLUMN address BLOB;
-- An invitation that was accepted is the new connection's, and not here any more.
ALTER TABLE invitations DROP COLUMN is_accepted;
-- Or to ask what a short link leads to.
ALTER TABLE tasks ADD COLUMN link BLOB;
ALTER TABLE tasks ADD COLUMN sender_id BLOB;
