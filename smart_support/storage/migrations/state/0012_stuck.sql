-- The checkpoint from which a thread's graph must not be resumed, and what somebody has to check first.
ALTER TABLE sessions ADD COLUMN stuck_checkpoint TEXT;
ALTER TABLE sessions ADD COLUMN stuck_because TEXT;
