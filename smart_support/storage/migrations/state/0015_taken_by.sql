-- Who has a conversation in place of the agents; the event from which on the agents have not read it; and the
-- takeovers that are not in the event log yet, as JSON.
ALTER TABLE sessions ADD COLUMN taken_by TEXT;
ALTER TABLE sessions ADD COLUMN taken_at TEXT;
ALTER TABLE sessions ADD COLUMN unread_seq BIGINT;
ALTER TABLE sessions ADD COLUMN unrecorded_takeovers TEXT;

-- What colleagues tell each other about a conversation. Customers and agents never see it.
CREATE TABLE conversation_notes (
    note_id   TEXT PRIMARY KEY,
    thread_id TEXT NOT NULL,
    noted_by  TEXT NOT NULL,
    noted_at  TEXT NOT NULL,
    content   TEXT NOT NULL
);
CREATE INDEX conversation_notes_thread ON conversation_notes (thread_id, noted_at);
