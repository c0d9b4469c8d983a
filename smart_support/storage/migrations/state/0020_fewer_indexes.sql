-- Another index begins with the same columns (`approvals_by_status_and_expiry`). Each decision writes into every
-- index of the approvals.

DROP INDEX approvals_by_status;
