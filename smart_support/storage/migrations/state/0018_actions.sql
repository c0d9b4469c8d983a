-- Actions: the tool calls that API clients request over REST and MCP.

ALTER TABLE sessions ADD COLUMN caller TEXT;      -- the API client whose actions a thread holds; null for a conversation

CREATE TABLE actions (
    action_id       TEXT PRIMARY KEY,             -- also the id of its tool call
    caller          TEXT NOT NULL,
    thread_id       TEXT NOT NULL,
    channel         TEXT NOT NULL,                -- rest, mcp
    tool            TEXT NOT NULL,
    access          TEXT NOT NULL,                -- read, write
    args            TEXT NOT NULL,                -- JSON
    call_digest     TEXT NOT NULL,                -- of caller, customer, tool and arguments: equal calls may join
    idempotency_key TEXT,
    duplicate_of    TEXT,                         -- an earlier equal action that this one may repeat
    client          TEXT NOT NULL,                -- JSON: client_name, client_version, session, reason
    status          TEXT NOT NULL,                -- pending, running, done, rejected, expired, failed, outcome_unknown
    is_forbidden    INTEGER NOT NULL DEFAULT 0,   -- the policy forbids it, so that nobody was asked
    planned         TEXT,                         -- JSON: the planned call, once it is planned
    part            INTEGER NOT NULL DEFAULT 0,   -- of its approval; higher where it had to be approved again
    approval_id     TEXT,
    expires_at      TEXT,                         -- of its approval
    result          TEXT,                         -- JSON
    message         TEXT,
    requested_at    TEXT NOT NULL,
    settled_at      TEXT
);
CREATE INDEX actions_by_thread ON actions (thread_id);
CREATE INDEX actions_by_call ON actions (call_digest, requested_at);
CREATE INDEX actions_by_key ON actions (caller, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX actions_running ON actions (thread_id) WHERE status = 'running';
