-- Times are RFC 3339 text in UTC with a fixed width, so that the text sorts by time.

CREATE TABLE sessions (
    thread_id      TEXT PRIMARY KEY,
    customer_id    TEXT,
    created_at     TEXT NOT NULL,
    last_active_at TEXT NOT NULL,
    last_message_at TEXT NOT NULL,             -- of the customer
    last_seq       BIGINT NOT NULL DEFAULT 0,  -- highest number used when no turn ran
    reserved_seq   BIGINT NOT NULL DEFAULT 0,  -- no number above this was ever sent
    turn_id        TEXT,                       -- the running turn, or one that a crash interrupted
    turn_channel   TEXT,
    turn_started_at TEXT
);
CREATE INDEX sessions_running ON sessions (turn_id) WHERE turn_id IS NOT NULL;

CREATE TABLE approvals (
    approval_id   TEXT PRIMARY KEY,
    thread_id     TEXT NOT NULL,
    interrupt_id  TEXT NOT NULL,
    part          INTEGER NOT NULL DEFAULT 0,  -- its index in an interrupt with several approvals
    tool_call_id  TEXT,
    customer_id   TEXT,
    agent         TEXT NOT NULL,
    action        TEXT NOT NULL,
    args          TEXT NOT NULL,               -- JSON; after an edit the edited ones
    requested_args TEXT NOT NULL,              -- JSON; as the agent requested
    tool_version  TEXT,
    digest        TEXT NOT NULL,               -- identifies exactly what is approved
    summary       TEXT NOT NULL,
    effect        TEXT,                        -- JSON; what the call changes, computed on a copy
    changed       TEXT,                        -- JSON; differences since an earlier approval
    risk          TEXT NOT NULL,
    status        TEXT NOT NULL,               -- pending, approved, rejected, edited, expired
    execution     TEXT,                        -- not_started, done, failed, outcome_unknown
    requested_at  TEXT NOT NULL,
    expires_at    TEXT NOT NULL,
    decided_at    TEXT,
    decided_by    TEXT,
    decided_via   TEXT,                        -- the interface: rest, socket, gradio, console, system
    reason        TEXT,
    event_id      TEXT,                        -- of the decision event
    resumed       INTEGER NOT NULL DEFAULT 0,  -- the turn has continued with the decision
    UNIQUE (thread_id, interrupt_id, part)
);
CREATE INDEX approvals_by_status ON approvals (status, expires_at);
CREATE INDEX approvals_by_thread ON approvals (thread_id, requested_at);

-- The intent before and the result after every write: one row for each (thread, tool call).
CREATE TABLE action_ledger (
    thread_id       TEXT NOT NULL,
    tool_call_id    TEXT NOT NULL,
    approval_id     TEXT,
    tool            TEXT NOT NULL,
    digest          TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    intent_at       TEXT NOT NULL,
    result_at       TEXT,
    status          TEXT NOT NULL,             -- begun, done, failed, outcome_unknown
    result          TEXT,                      -- JSON
    PRIMARY KEY (thread_id, tool_call_id)
);
CREATE INDEX action_ledger_open ON action_ledger (status) WHERE status = 'begun';

-- Append-only; each row's hash covers the row before it.
CREATE TABLE audit (
    number      INTEGER PRIMARY KEY,
    at          TEXT NOT NULL,
    kind        TEXT NOT NULL,                 -- requested, decided, expired, execution_begun, execution_ended
    actor       TEXT NOT NULL,
    via         TEXT NOT NULL,
    thread_id   TEXT,
    approval_id TEXT,
    event_id    TEXT,                          -- the event that belongs to this row
    digest      TEXT,
    detail      TEXT NOT NULL,                 -- JSON
    hash        TEXT NOT NULL
);
CREATE INDEX audit_by_approval ON audit (approval_id);
