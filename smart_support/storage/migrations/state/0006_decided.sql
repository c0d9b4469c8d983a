-- Each console that opens reads the latest decisions; the index avoids a scan of all approvals.

CREATE INDEX approvals_by_decision ON approvals (decided_at);
