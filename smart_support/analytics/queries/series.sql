-- Counts by hour or day ($width) in UTC, without gaps: from $starts_at, or where that is null from the first
-- event in the range, to $ends_at. An approval is told by one interrupt, so those are counted.
WITH
-- include scope,
counted AS (
    SELECT
        time_bucket($width::INTERVAL, happened_at) AS bucket,
        count(*) FILTER (first_seq = 1) AS conversations,
        count(*) FILTER (type IN ('message_complete', 'interrupt', 'error')) AS turns,
        count(*) FILTER (type = 'interrupt') AS approvals,
        count(*) FILTER (type = 'escalation') AS escalations
    FROM scope
    WHERE happened_at < $until
    GROUP BY bucket
),
grid AS (
    SELECT unnest(generate_series(
        time_bucket($width::INTERVAL, coalesce($starts_at, (SELECT min(bucket) FROM counted))),
        $ends_at::TIMESTAMP,
        $width::INTERVAL
    )) AS bucket
)
SELECT
    bucket,
    coalesce(conversations, 0) AS conversations,
    coalesce(turns, 0) AS turns,
    coalesce(approvals, 0) AS approvals,
    coalesce(escalations, 0) AS escalations
FROM grid
LEFT JOIN counted USING (bucket)
ORDER BY bucket
