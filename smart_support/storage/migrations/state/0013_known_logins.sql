-- From where each user has logged in before, so that strangers who guess don't lock them out.
CREATE TABLE known_logins (
    mark       TEXT PRIMARY KEY,      -- a hash of the user, their password's hash, and the device or network
    expires_at REAL NOT NULL          -- seconds since 1970
);
