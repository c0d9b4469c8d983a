-- include matching,
scope AS NOT MATERIALIZED (
    SELECT events.* FROM events SEMI JOIN matching USING (thread_id) WHERE happened_at >= $since
)
