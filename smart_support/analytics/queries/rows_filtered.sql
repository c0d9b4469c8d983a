-- include matching,
conversation AS NOT MATERIALIZED (
    SELECT * FROM conversations SEMI JOIN matching USING (thread_id) WHERE started_at >= $since
),
turn AS NOT MATERIALIZED (SELECT * FROM turns SEMI JOIN matching USING (thread_id) WHERE happened_at >= $since),
turn_agent AS NOT MATERIALIZED (
    SELECT * FROM turn_agents SEMI JOIN matching USING (thread_id) WHERE last_at >= $since
),
request AS NOT MATERIALIZED (
    SELECT * FROM requests SEMI JOIN matching USING (thread_id) WHERE requested_at >= $since
)
