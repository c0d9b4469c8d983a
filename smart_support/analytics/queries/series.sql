-- Counts by hour or day ($width) in UTC, without gaps: from $starts_at, or from the first event in the range if it
-- is null, to $ends_at. An approval has one interrupt event, so those are counted. Outcomes of conversations and
-- approvals count at the time when they started.
WITH
-- include counts,
typed AS (
    -- Aggregates first, so that few rows are left.
    SELECT date_trunc($width, happened_at) AS bucket, type, begins, caller IS NOT NULL AS of_caller, sum(events) AS events
    FROM counts
    GROUP BY ALL
),
counted AS (
    SELECT
        bucket,
        sum(events) FILTER (begins) AS conversations,
        sum(events) FILTER (type IN ('message_complete', 'interrupt', 'error') AND NOT of_caller) AS turns,
        sum(events) FILTER (type = 'interrupt') AS approvals,
        sum(events) FILTER (type = 'escalation') AS escalations
    FROM typed
    GROUP BY bucket
),
bucket_grid AS (
    SELECT unnest(generate_series(
        date_trunc($width, coalesce($starts_at, (SELECT min(bucket) FROM counted))),
        $ends_at::TIMESTAMP,
        ('1 ' || $width)::INTERVAL
    )) AS bucket
)
SELECT
    bucket,
    coalesce(conversations, 0)::BIGINT AS conversations,
    coalesce(turns, 0)::BIGINT AS turns,
    coalesce(approvals, 0)::BIGINT AS approvals,
    coalesce(escalations, 0)::BIGINT AS escalations
FROM bucket_grid
LEFT JOIN counted USING (bucket)
ORDER BY bucket
