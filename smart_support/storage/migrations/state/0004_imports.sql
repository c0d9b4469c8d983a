-- API descriptions that were imported, what a reviewer decided about each operation, and credentials.

CREATE TABLE import_jobs (
    job_id      TEXT PRIMARY KEY,
    kind        TEXT NOT NULL,                 -- openapi, mcp
    source      TEXT NOT NULL,                 -- the address, or the name of what was given
    api         TEXT NOT NULL,                 -- what it is called among the imported ones; the same over re-imports
    title       TEXT NOT NULL,
    status      TEXT NOT NULL,                 -- loading, review, failed, live, replaced, removed
    progress    TEXT NOT NULL,                 -- JSON: step, done, total
    error       TEXT,
    document    BLOB,                          -- as it was loaded, JSON
    base_url    TEXT,                          -- as the reviewer entered it; else the document's first server
    variables   TEXT NOT NULL DEFAULT '{}',    -- JSON; of that server
    created_by  TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    approved_by TEXT,
    approved_at TEXT
);
CREATE INDEX import_jobs_by_status ON import_jobs (status, created_at);

CREATE TABLE operations (
    job_id         TEXT NOT NULL,
    key            TEXT NOT NULL,              -- the tool's first name; stable over re-imports
    fingerprint    TEXT NOT NULL,              -- of all that decides what a call does
    change         TEXT NOT NULL,              -- against what is live: new, same, changed, gone
    enabled        INTEGER NOT NULL,
    access         TEXT NOT NULL,
    needs_approval INTEGER NOT NULL,
    idempotent     INTEGER NOT NULL,
    agent          TEXT NOT NULL,
    tool_name      TEXT NOT NULL,
    description    TEXT NOT NULL,
    risk           TEXT NOT NULL,
    proposal       TEXT NOT NULL,              -- JSON; what the rules said, with their reasons
    PRIMARY KEY (job_id, key)
);

CREATE TABLE api_credentials (
    api    TEXT NOT NULL,
    scheme TEXT NOT NULL,
    sealed BLOB NOT NULL,                      -- encrypted; the key is in a file beside this one
    PRIMARY KEY (api, scheme)
);
