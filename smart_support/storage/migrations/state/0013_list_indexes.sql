-- The filters and orders of lists: each page is read from an index, not from the whole table.

CREATE INDEX approvals_by_status_and_id ON approvals (status, approval_id);
CREATE INDEX approvals_by_agent ON approvals (agent, approval_id);
CREATE INDEX approvals_by_action ON approvals (action, approval_id);
CREATE INDEX approvals_by_customer ON approvals (customer_id, approval_id);
CREATE INDEX approvals_by_risk ON approvals ((CASE risk WHEN 'high' THEN 0 WHEN 'medium' THEN 1 ELSE 2 END), approval_id);
CREATE INDEX approvals_decided_by_people ON approvals (decided_at) WHERE need <> 'run';
CREATE INDEX approvals_not_resumed ON approvals (approval_id) WHERE resumed = 0;
CREATE INDEX escalations_by_time ON escalations (requested_at);
CREATE INDEX escalations_unhandled ON escalations (requested_at) WHERE handled_by IS NULL;
CREATE INDEX sessions_by_owner ON sessions (owner, created_at);
