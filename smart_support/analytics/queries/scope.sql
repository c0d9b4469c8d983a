scope AS NOT MATERIALIZED (SELECT * FROM events WHERE happened_at >= $since)
