-- The API client that requested a call, and what its program says of itself, as JSON.

ALTER TABLE approvals ADD COLUMN caller TEXT; -- null for an agent of ours
ALTER TABLE approvals ADD COLUMN client TEXT; -- client_name, client_version, session, reason
