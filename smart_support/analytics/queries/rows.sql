-- Included by other files: the rows of the summaries from the start of the range on.
conversation AS NOT MATERIALIZED (SELECT * FROM conversations WHERE started_at >= $since),
turn AS NOT MATERIALIZED (SELECT * FROM turns WHERE happened_at >= $since),
turn_agent AS NOT MATERIALIZED (SELECT * FROM turn_agents WHERE last_at >= $since),
request AS NOT MATERIALIZED (SELECT * FROM requests WHERE requested_at >= $since)
