-- The API client whose action an event is of: its calls are no conversation.
ALTER TABLE events ADD COLUMN caller VARCHAR;
