-- Tables that only PostgreSQL has, beside the tables of the state.

-- The event log. Positions are assigned under a lock, so that a reader that goes on from one misses no event.
CREATE TABLE events (
    position  BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE,
    thread_id TEXT NOT NULL,
    seq       BIGINT NOT NULL,
    event_id  TEXT NOT NULL,
    row       TEXT NOT NULL,              -- JSON: the columns of the DuckDB table
    PRIMARY KEY (thread_id, seq)
);

-- Erased threads, so that every process erases them from its copy of the log.
CREATE TABLE erasures (
    position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    threads  TEXT NOT NULL                -- JSON
);

-- The times of hits of what has a limited rate.
CREATE TABLE rate_hits (
    key  TEXT NOT NULL,
    at   DOUBLE PRECISION NOT NULL        -- seconds since 1970, by the database's clock
);
CREATE INDEX rate_hits_by_key ON rate_hits (key, at);
