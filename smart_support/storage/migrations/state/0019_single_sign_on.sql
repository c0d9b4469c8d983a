-- People who log in with an identity provider, by its issuer and their subject there.
CREATE TABLE single_sign_on_people (
    issuer       TEXT NOT NULL,
    subject      TEXT NOT NULL,
    name         TEXT NOT NULL UNIQUE,  -- in approvals and the audit trail; never given to anybody else
    display_name TEXT NOT NULL,
    aliases      TEXT NOT NULL,         -- JSON: other names of the same person, such as the email address
    role         TEXT,                  -- as of the last login; NULL: may not log in
    groups       TEXT NOT NULL,         -- JSON
    logged_in_at TEXT NOT NULL,
    PRIMARY KEY (issuer, subject)
);

-- Logins that a browser began at the identity provider and has not ended. Each is used once.
CREATE TABLE single_sign_on_attempts (
    state_hash   TEXT PRIMARY KEY,
    browser_hash TEXT NOT NULL,
    nonce        TEXT NOT NULL,
    verifier     TEXT NOT NULL,
    next_path    TEXT NOT NULL,
    expires_at   REAL NOT NULL          -- seconds since 1970
);

-- Of a login by the identity provider: whose it is, and what ends it there.
ALTER TABLE logins ADD COLUMN issuer TEXT;
ALTER TABLE logins ADD COLUMN subject TEXT;
ALTER TABLE logins ADD COLUMN provider_session TEXT;
ALTER TABLE logins ADD COLUMN id_token TEXT;
