-- Lists of approvals by their expiry.
CREATE INDEX approvals_by_expiry ON approvals (expires_at, approval_id);
CREATE INDEX approvals_by_status_and_expiry ON approvals (status, expires_at, approval_id);
