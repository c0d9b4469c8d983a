-- The search reads texts of one table: messages, and the ids of conversations and customers. Each has a number, by
-- which the search index (storage/events/search_index.py) names it.

CREATE TABLE texts (
    number      BIGINT NOT NULL,      -- in the order in which they came; an erased number is never used again
    thread_id   VARCHAR NOT NULL,
    thread_key  UBIGINT NOT NULL,
    kind        VARCHAR NOT NULL,     -- message, thread: its id, customer: an id, one row for each of the thread
    happened_at TIMESTAMP NOT NULL,   -- of the message; else the start of the conversation
    text        VARCHAR               -- in lower case; messages and customers without accents
);
CREATE TABLE numbered_texts (
    next_number BIGINT NOT NULL,
    numbering  UUID NOT NULL         -- another one as soon as the numbers are given again
);
INSERT INTO texts BY NAME
    SELECT rowid AS number, thread_id, md5_number_lower(thread_id) AS thread_key, 'message' AS kind,
        said_at AS happened_at, text
    FROM messages;
INSERT INTO texts BY NAME
    SELECT
        (SELECT coalesce(max(number), -1) + 1 FROM texts) + row_number() OVER () - 1 AS number,
        md5_number_lower(thread_id) AS thread_key,
        *
    FROM (
        SELECT 'thread' AS kind, thread_id, coalesce(started_at, first_at) AS happened_at, lower(thread_id) AS text
        FROM conversations
        UNION ALL
        SELECT 'customer', thread_id, coalesce(started_at, first_at), unnest(string_split(customer_ids, chr(1)))
        FROM conversations
        WHERE customer_ids <> ''
    );
INSERT INTO numbered_texts SELECT coalesce(max(number), -1) + 1, uuid() FROM texts;
DROP TABLE messages;

-- A number for each thread, made from its id: it takes a tenth of the time to find the threads of other rows by it.
ALTER TABLE conversations ADD COLUMN thread_key UBIGINT;
UPDATE conversations SET thread_key = md5_number_lower(thread_id);
ALTER TABLE requests ADD COLUMN thread_key UBIGINT;
UPDATE requests SET thread_key = md5_number_lower(thread_id);
