-- Imported API descriptions, the review of each operation, and credentials.

CREATE TABLE import_jobs (
    job_id      TEXT PRIMARY KEY,
    kind        TEXT NOT NULL,                 -- openapi, mcp
    source      TEXT NOT NULL,                 -- the address or the file name
    api         TEXT NOT NULL,                 -- its name among the imported APIs; the same after a re-import
    title       TEXT NOT NULL,
    status      TEXT NOT NULL,                 -- loading, review, failed, live, replaced, removed
    progress    TEXT NOT NULL,                 -- JSON: step, done, total
    error       TEXT,
    document    BLOB,                          -- the loaded document, JSON
    base_url    TEXT,                          -- as the reviewer entered it; otherwise the document's first server
    variables   TEXT NOT NULL DEFAULT '{}',    -- JSON; the variables of that server
    created_by  TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    approved_by TEXT,
    approved_at TEXT
);
CREATE INDEX import_jobs_by_status ON import_jobs (status, created_at);

CREATE TABLE operations (
    job_id         TEXT NOT NULL,
    key            TEXT NOT NULL,              -- the tool's first name; the same after a re-import
    fingerprint    TEXT NOT NULL,              -- of everything that determines what a call does
    change         TEXT NOT NULL,              -- compared with the live version: new, same, changed, gone
    enabled        INTEGER NOT NULL,
    access         TEXT NOT NULL,
    needs_approval INTEGER NOT NULL,
    idempotent     INTEGER NOT NULL,
    agent          TEXT NOT NULL,
    tool_name      TEXT NOT NULL,
    description    TEXT NOT NULL,
    risk           TEXT NOT NULL,
    proposal       TEXT NOT NULL,              -- JSON; what the rules propose, with reasons
    PRIMARY KEY (job_id, key)
);

CREATE TABLE api_credentials (
    api    TEXT NOT NULL,
    scheme TEXT NOT NULL,
    sealed BLOB NOT NULL,                      -- encrypted; the key is in another file
    PRIMARY KEY (api, scheme)
);
