-- The second form of an audit row: its hash covers a salted hash of the detail, so that the row can be verified
-- after the detail is erased. docs/audit.md describes both forms. Existing rows have the first form.

ALTER TABLE audit ADD COLUMN form INTEGER NOT NULL DEFAULT 1;
ALTER TABLE audit ADD COLUMN fields TEXT;        -- JSON; what this step wrote to other tables, without erasable fields
ALTER TABLE audit ADD COLUMN salt TEXT;          -- hexadecimal; NULL if the detail was erased
ALTER TABLE audit ADD COLUMN detail_hash TEXT;   -- SHA-256 of salt and detail

-- The users and keys of the last start, so that the next one can record what has changed.
CREATE TABLE known_accounts (
    name       TEXT PRIMARY KEY,
    role       TEXT NOT NULL,
    is_person  INTEGER NOT NULL,                 -- 0: an API key
    credential TEXT NOT NULL                     -- a hash of the hash that the settings hold
);
