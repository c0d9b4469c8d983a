-- What the figures count by: why a call failed, which writes a policy let run, why a human was called.
ALTER TABLE events ADD COLUMN error_class VARCHAR;   -- tool_result: transient, validation, auth, unknown
ALTER TABLE events ADD COLUMN policy VARCHAR;        -- tool_result: the rule that let a write run
ALTER TABLE events ADD COLUMN kind VARCHAR;          -- escalation: asked, policy, limit, failures, unknown_outcome
