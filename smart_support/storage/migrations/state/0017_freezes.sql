-- Freezes: while one is in effect, no write of its scope begins. Rows stay when they are lifted.

CREATE TABLE freezes (
    freeze_id  TEXT PRIMARY KEY,
    scope      TEXT NOT NULL,                  -- all, agent:NAME, tool:NAME, caller:NAME
    reason     TEXT NOT NULL,
    frozen_by  TEXT NOT NULL,
    frozen_via TEXT NOT NULL,
    frozen_at  TEXT NOT NULL,
    lifted_by  TEXT,
    lifted_at  TEXT                            -- null while it is in effect
);
CREATE UNIQUE INDEX freezes_in_effect ON freezes (scope) WHERE lifted_at IS NULL;

ALTER TABLE approvals ADD COLUMN paused_at TEXT;                      -- since when its time stands still, while it is pending
ALTER TABLE approvals ADD COLUMN parked INTEGER NOT NULL DEFAULT 0;   -- approved while frozen: its turn has stopped before the call
CREATE INDEX approvals_paused ON approvals (paused_at) WHERE paused_at IS NOT NULL;
CREATE INDEX approvals_parked ON approvals (parked) WHERE parked = 1;
