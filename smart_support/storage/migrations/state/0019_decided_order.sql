-- The latest decision first, page by page.
DROP INDEX approvals_decided_by_people;
CREATE INDEX approvals_decided_by_people ON approvals (decided_at, approval_id) WHERE need <> 'run';
