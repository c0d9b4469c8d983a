-- The search index of approvals, for SQLite: every three characters of a row's words (FTS5, trigram tokenizer).
-- Triggers keep it, so that every change of an approval reaches it, erasure too. `number` is the order of requests;
-- a column of its own, because SQLite may renumber the rows of a table that has none.

CREATE TABLE approval_words (
    number      INTEGER PRIMARY KEY,
    approval_id TEXT NOT NULL UNIQUE,
    words       TEXT NOT NULL
);
INSERT INTO approval_words (approval_id, words)
    SELECT approval_id, COALESCE(summary, '') || ' ' || COALESCE(action, '') || ' ' || COALESCE(args, '') || ' ' || COALESCE(thread_id, '') || ' ' || COALESCE(agent, '') || ' ' || COALESCE(customer_id, '') || ' ' || COALESCE(reason, '') FROM approvals ORDER BY approval_id;
CREATE VIRTUAL TABLE approval_search USING fts5 (
    words, content='approval_words', content_rowid='number', tokenize='trigram'
);
INSERT INTO approval_search (approval_search) VALUES ('rebuild');

CREATE TRIGGER approval_requested AFTER INSERT ON approvals BEGIN
    INSERT INTO approval_words (approval_id, words) VALUES (new.approval_id, COALESCE(new.summary, '') || ' ' || COALESCE(new.action, '') || ' ' || COALESCE(new.args, '') || ' ' || COALESCE(new.thread_id, '') || ' ' || COALESCE(new.agent, '') || ' ' || COALESCE(new.customer_id, '') || ' ' || COALESCE(new.reason, ''));
END;
CREATE TRIGGER approval_changed
AFTER UPDATE OF summary, action, args, thread_id, agent, customer_id, reason ON approvals BEGIN
    UPDATE approval_words SET words = COALESCE(new.summary, '') || ' ' || COALESCE(new.action, '') || ' ' || COALESCE(new.args, '') || ' ' || COALESCE(new.thread_id, '') || ' ' || COALESCE(new.agent, '') || ' ' || COALESCE(new.customer_id, '') || ' ' || COALESCE(new.reason, '')
    WHERE approval_id = new.approval_id AND words <> COALESCE(new.summary, '') || ' ' || COALESCE(new.action, '') || ' ' || COALESCE(new.args, '') || ' ' || COALESCE(new.thread_id, '') || ' ' || COALESCE(new.agent, '') || ' ' || COALESCE(new.customer_id, '') || ' ' || COALESCE(new.reason, '');
END;
CREATE TRIGGER words_added AFTER INSERT ON approval_words BEGIN
    INSERT INTO approval_search (rowid, words) VALUES (new.number, new.words);
END;
CREATE TRIGGER words_changed AFTER UPDATE ON approval_words BEGIN
    INSERT INTO approval_search (approval_search, rowid, words) VALUES ('delete', old.number, old.words);
    INSERT INTO approval_search (rowid, words) VALUES (new.number, new.words);
END;
