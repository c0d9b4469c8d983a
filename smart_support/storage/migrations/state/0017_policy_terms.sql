-- What the policy says of an approval besides how many people it needs.

ALTER TABLE approvals ADD COLUMN approvers TEXT;         -- JSON; the groups of which somebody must approve
ALTER TABLE approvals ADD COLUMN expires_after INTEGER;  -- seconds that the rule gives; null for the usual time
ALTER TABLE approvals ADD COLUMN on_expiry TEXT;         -- reject, escalate

-- For the ceiling per caller and customer.
ALTER TABLE policy_runs ADD COLUMN caller TEXT;
ALTER TABLE policy_runs ADD COLUMN customer_id TEXT;
CREATE INDEX policy_runs_by_caller ON policy_runs (rule, caller, at) WHERE caller IS NOT NULL;
