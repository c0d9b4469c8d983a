-- What only processes that share a database need beside the state's own tables.

-- The event log. Positions are given out under a lock, so that whoever reads on from one misses none.
CREATE TABLE events (
    position  BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE,
    thread_id TEXT NOT NULL,
    seq       BIGINT NOT NULL,
    event_id  TEXT NOT NULL,
    row       TEXT NOT NULL,              -- JSON: the event log's columns, as its embedded table has them
    PRIMARY KEY (thread_id, seq)
);

-- Which threads were erased, so that every process' copy of the log forgets them too.
CREATE TABLE erasures (
    position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    threads  TEXT NOT NULL                -- JSON
);

-- The moments at which something was done whose rate is limited.
CREATE TABLE rate_hits (
    key  TEXT NOT NULL,
    at   DOUBLE PRECISION NOT NULL        -- seconds since 1970, by the database's clock
);
CREATE INDEX rate_hits_by_key ON rate_hits (key, at);
