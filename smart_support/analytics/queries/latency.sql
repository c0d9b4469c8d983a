-- Milliseconds from a turn's beginning to its completion, and to its first token; turns that ended waiting or
-- in an error are left out. The percentiles are interpolated.
WITH
-- include scope
SELECT
    date_trunc($width, happened_at) AS bucket,
    quantile_cont(duration_ms, [0.5, 0.95, 0.99]) AS turn,
    quantile_cont(first_token_ms, [0.5, 0.95, 0.99]) AS first_token
FROM scope
WHERE happened_at < $until AND type = 'message_complete'
GROUP BY GROUPING SETS ((), (bucket))
