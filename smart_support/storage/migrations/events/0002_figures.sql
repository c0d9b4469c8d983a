-- Columns for analytics: why a call failed, which rule auto-approved a write, why a human was called.
ALTER TABLE events ADD COLUMN error_class VARCHAR;   -- tool_result: transient, validation, auth, unknown
ALTER TABLE events ADD COLUMN policy VARCHAR;        -- tool_result: the rule that auto-approved the write
ALTER TABLE events ADD COLUMN kind VARCHAR;          -- escalation: asked, policy, limit, failures, unknown_outcome
