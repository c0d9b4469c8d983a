-- What the inbox lists of a conversation: how it began, what was said last, and up to where a person has seen it.
-- All are NULL for conversations from before; the app fills in what was said last when it starts.

ALTER TABLE sessions ADD COLUMN opening TEXT;          -- the start of the customer's first message
ALTER TABLE sessions ADD COLUMN last_role TEXT;        -- who spoke last: customer, agent, colleague
ALTER TABLE sessions ADD COLUMN last_by TEXT;          -- the agent or the colleague
ALTER TABLE sessions ADD COLUMN last_text TEXT;        -- the start of what they said
ALTER TABLE sessions ADD COLUMN last_said_at TEXT;
ALTER TABLE sessions ADD COLUMN customer_seq BIGINT;   -- the number of the customer's last message
ALTER TABLE sessions ADD COLUMN customer_said_at TEXT; -- of the first of the customer's messages that nobody has answered
ALTER TABLE sessions ADD COLUMN seen_seq BIGINT;       -- up to this number a lead has seen the conversation, or answered it

CREATE INDEX sessions_by_activity ON sessions (last_active_at, thread_id);
CREATE INDEX sessions_by_owner_activity ON sessions (owner, last_active_at, thread_id);
CREATE INDEX sessions_by_customer ON sessions (customer_id, last_active_at) WHERE customer_id IS NOT NULL;
CREATE INDEX sessions_taken ON sessions (taken_by) WHERE taken_by IS NOT NULL;
CREATE INDEX escalations_open_by_thread ON escalations (thread_id, requested_at) WHERE handled_by IS NULL;
CREATE INDEX approvals_pending_by_thread ON approvals (thread_id, requested_at) WHERE status = 'pending';
