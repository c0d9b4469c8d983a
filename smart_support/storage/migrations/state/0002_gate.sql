-- Policy, votes, claims and requesters of approvals; side threads; escalations.

ALTER TABLE approvals ADD COLUMN need TEXT NOT NULL DEFAULT 'ask';   -- run, ask, two_leads: what the policy requires
ALTER TABLE approvals ADD COLUMN because TEXT;                       -- the reason that its rule gives
ALTER TABLE approvals ADD COLUMN facts TEXT;                         -- JSON; the values that the rule was evaluated on
ALTER TABLE approvals ADD COLUMN votes TEXT NOT NULL DEFAULT '[]';   -- JSON; the approvals so far, where two are needed
ALTER TABLE approvals ADD COLUMN asked_by TEXT;                      -- the user whose message led to it
ALTER TABLE approvals ADD COLUMN claimed_by TEXT;
ALTER TABLE approvals ADD COLUMN claimed_until TEXT;
ALTER TABLE approvals ADD COLUMN notes INTEGER NOT NULL DEFAULT 0;   -- how many; the texts are in the audit trail

-- Writes that count against an agent's hourly limit.
CREATE TABLE agent_writes (
    thread_id    TEXT NOT NULL,
    tool_call_id TEXT NOT NULL,
    agent        TEXT NOT NULL,
    at           TEXT NOT NULL,
    PRIMARY KEY (thread_id, tool_call_id)
);
CREATE INDEX agent_writes_by_agent ON agent_writes (agent, at);

ALTER TABLE sessions ADD COLUMN spoken_by TEXT;   -- the user who sent the last message
ALTER TABLE sessions ADD COLUMN aside TEXT;       -- the side thread that answered it while an approval was pending

CREATE TABLE escalations (
    escalation_id TEXT PRIMARY KEY,
    thread_id     TEXT NOT NULL,
    reason        TEXT NOT NULL,
    status        TEXT NOT NULL,               -- sending, delivered, failed, no_webhook
    attempts      INTEGER NOT NULL DEFAULT 0,
    error         TEXT,
    requested_at  TEXT NOT NULL,
    tried_at      TEXT,
    delivered_at  TEXT,
    handled_by    TEXT,                        -- the user who handled it
    handled_at    TEXT
);
CREATE INDEX escalations_by_status ON escalations (status, requested_at);
