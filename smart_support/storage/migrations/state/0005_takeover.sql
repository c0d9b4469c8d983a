-- The process that runs a thread's turn: another process that lost the turn must not overwrite its data.
ALTER TABLE sessions ADD COLUMN turn_holder TEXT;

-- The position of an operation in its document.
ALTER TABLE operations ADD COLUMN place INTEGER NOT NULL DEFAULT 0;
