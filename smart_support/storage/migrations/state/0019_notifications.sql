-- The outbox of notifications. It holds no words: a message is made from the approval, the escalation or the audit
-- row when it is sent.

CREATE TABLE notifications (
    notification_id TEXT PRIMARY KEY,             -- the same in each attempt: receivers know doubles by it
    target          TEXT NOT NULL,
    recipient       TEXT NOT NULL,                -- an e-mail address, or empty
    event           TEXT NOT NULL,
    subject         TEXT NOT NULL,                -- the id of an approval or an escalation, or the number of an audit row
    thread_id       TEXT,
    status          TEXT NOT NULL,                -- waiting, delivered, failed, skipped
    attempts        INTEGER NOT NULL DEFAULT 0,   -- since it was recorded, or sent again by hand
    error           TEXT,
    digest          TEXT,                         -- the message that it is a part of, with others
    reference       TEXT,                         -- names a message that can be updated, in the words of the receiver
    recorded_at     TEXT NOT NULL,
    due_at          TEXT NOT NULL,                -- when to try next
    tried_at        TEXT,
    delivered_at    TEXT
);
CREATE INDEX notifications_waiting ON notifications (target, recipient, due_at) WHERE status = 'waiting';
CREATE INDEX notifications_failed ON notifications (recorded_at) WHERE status = 'failed';
CREATE INDEX notifications_by_subject ON notifications (subject, target);
CREATE INDEX notifications_by_thread ON notifications (thread_id);

-- Up to which row of the audit trail notifications are recorded.
CREATE TABLE notification_progress (
    name         TEXT PRIMARY KEY,
    audit_number BIGINT NOT NULL
);

-- Whether notifications are recorded for it; those from before need none.
ALTER TABLE escalations ADD COLUMN announced INTEGER NOT NULL DEFAULT 1;
CREATE INDEX escalations_unannounced ON escalations (requested_at) WHERE announced = 0;

-- Links to decide that have been used.
CREATE TABLE used_links (
    link_id     TEXT PRIMARY KEY,
    approval_id TEXT NOT NULL,
    used_by     TEXT NOT NULL,
    used_at     TEXT NOT NULL
);
