-- The latest decisions are looked for whenever a console opens, and must not be looked for among all.

CREATE INDEX approvals_by_decision ON approvals (decided_at);
