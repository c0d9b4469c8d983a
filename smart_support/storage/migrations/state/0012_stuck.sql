-- The checkpoint from which a thread's graph must never be resumed again, and what has to be found out first.
ALTER TABLE sessions ADD COLUMN stuck_checkpoint TEXT;
ALTER TABLE sessions ADD COLUMN stuck_because TEXT;
