-- Calls that ran under a rule of the policy without asking, as far as its ceilings count them.
CREATE TABLE policy_runs (
    rule         TEXT NOT NULL,                -- which rule: a digest of its tool and condition
    thread_id    TEXT NOT NULL,
    tool_call_id TEXT NOT NULL,
    amount       DOUBLE PRECISION NOT NULL,    -- of the field whose sum is limited; 0 where none is
    at           TEXT NOT NULL,
    PRIMARY KEY (rule, thread_id, tool_call_id)
);
CREATE INDEX policy_runs_by_time ON policy_runs (rule, at);

-- What one conversation asks a human for again and again is one open escalation, counted.
ALTER TABLE escalations ADD COLUMN kind TEXT;   -- as in the event: asked, policy, limit, budget, failures, unknown_outcome
ALTER TABLE escalations ADD COLUMN times INTEGER NOT NULL DEFAULT 1;
ALTER TABLE escalations ADD COLUMN last_at TEXT;                         -- of the last time, where there was more than one
