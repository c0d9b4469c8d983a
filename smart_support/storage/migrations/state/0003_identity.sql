-- Who has logged in, and whose conversation a thread is.

CREATE TABLE logins (
    token_hash TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    expires_at REAL NOT NULL          -- seconds since 1970
);

ALTER TABLE sessions ADD COLUMN owner TEXT;   -- who said its first message
