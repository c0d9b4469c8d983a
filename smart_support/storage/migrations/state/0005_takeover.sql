-- Which process runs a thread's turn: one that lost it to another must not write over what the other notes.
ALTER TABLE sessions ADD COLUMN turn_holder TEXT;

-- Where an operation stands in its document.
ALTER TABLE operations ADD COLUMN place INTEGER NOT NULL DEFAULT 0;
