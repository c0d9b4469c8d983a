-- Logins, and the owners of conversations.

CREATE TABLE logins (
    token_hash TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    expires_at REAL NOT NULL          -- seconds since 1970
);

ALTER TABLE sessions ADD COLUMN owner TEXT;   -- the user who sent its first message
