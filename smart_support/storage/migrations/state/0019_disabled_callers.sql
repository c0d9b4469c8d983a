-- Callers whose keys people have disabled. A row is deleted when its caller is enabled again.

CREATE TABLE disabled_callers (
    name         TEXT PRIMARY KEY,
    reason       TEXT NOT NULL,
    disabled_by  TEXT NOT NULL,
    disabled_via TEXT NOT NULL,
    disabled_at  TEXT NOT NULL
);

CREATE INDEX actions_by_caller ON actions (caller, requested_at);
CREATE INDEX actions_unsettled ON actions (caller) WHERE status IN ('pending', 'running');
CREATE INDEX approvals_by_caller ON approvals (caller, requested_at) WHERE caller IS NOT NULL;
