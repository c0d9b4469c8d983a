-- Calls that a policy rule auto-approved, for the ceilings of that rule.
CREATE TABLE policy_runs (
    rule         TEXT NOT NULL,                -- a digest of the rule's tool and condition
    thread_id    TEXT NOT NULL,
    tool_call_id TEXT NOT NULL,
    amount       DOUBLE PRECISION NOT NULL,    -- of the field whose sum is limited, or 0
    at           TEXT NOT NULL,
    PRIMARY KEY (rule, thread_id, tool_call_id)
);
CREATE INDEX policy_runs_by_time ON policy_runs (rule, at);

-- Repeated escalations of one conversation and kind are counted on one open escalation.
ALTER TABLE escalations ADD COLUMN kind TEXT;   -- as in the event: asked, policy, limit, budget, failures, unknown_outcome
ALTER TABLE escalations ADD COLUMN times INTEGER NOT NULL DEFAULT 1;
ALTER TABLE escalations ADD COLUMN last_at TEXT;                         -- the time of the last one, if there was more than one
