-- Milliseconds from the start of a turn to its completion and to its first token. Turns that ended with an approval
-- request or an error are not counted. Percentiles are interpolated.
WITH
-- include rows,
-- include turn_day,
timed AS NOT MATERIALIZED (
    SELECT happened_at, duration_ms, first_token_ms
    FROM turn -- only completed turns have times
    WHERE happened_at < $until AND caller IS NULL
)
SELECT
    NULL::TIMESTAMP AS bucket,
    quantile_cont(duration_ms, [0.5, 0.95, 0.99]) AS turn,
    quantile_cont(first_token_ms, [0.5, 0.95, 0.99]) AS first_token
FROM timed
UNION ALL
SELECT day, turn, first_token FROM turn_day
UNION ALL
SELECT
    date_trunc($width, happened_at),
    quantile_cont(duration_ms, [0.5, 0.95, 0.99]),
    quantile_cont(first_token_ms, [0.5, 0.95, 0.99])
FROM timed
WHERE happened_at < $first_day
    OR happened_at >= (SELECT coalesce(max(day) + INTERVAL 1 DAY, $first_day::TIMESTAMP) FROM turn_day)
GROUP BY ALL
