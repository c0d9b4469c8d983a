-- Milliseconds from the start of a turn to its completion and to its first token. Turns that ended with an approval
-- request or an error are not counted. Percentiles are interpolated.
WITH
-- include rows
SELECT
    date_trunc($width, happened_at) AS bucket,
    quantile_cont(duration_ms, [0.5, 0.95, 0.99]) AS turn,
    quantile_cont(first_token_ms, [0.5, 0.95, 0.99]) AS first_token
FROM turn -- only completed turns have times
WHERE happened_at < $until AND caller IS NULL
GROUP BY GROUPING SETS ((), (bucket))
