-- Conversations that started in the range, by their current outcome: resolved by the agents alone, resolved with
-- an approval, escalated to a human, rejected (a person refused an action, and no other action was carried out),
-- or abandoned. Only the first two count as resolved. Open conversations have no outcome yet.
-- [effort] Turns to resolution: the median and the 95th percentile of the number of turns in resolved
-- conversations that started in the range.
-- [reopened] Of the resolved conversations that started in the range and have a known customer: those whose
-- customer started another conversation within 7 days of the last event, even after the range.
WITH
-- include rows,
known AS NOT MATERIALIZED (
    SELECT
        first_customer_id,
        last_at,
        turns,
        reopened,
        CASE WHEN last_at <= $ended_before THEN outcome_at_end ELSE outcome END AS outcome,
        date_trunc($width, started_at) AS bucket
    FROM conversation
    WHERE started_at < $until
),
-- Few rows: all that follows is about these.
counted AS MATERIALIZED (
    SELECT
        bucket,
        outcome,
        turns,
        outcome IN ('resolved', 'resolved_with_approval') AS is_resolved,
        count(*) AS conversations,
        count(first_customer_id) AS of_known_customers,
        count(*) FILTER (reopened) AS reopened
    FROM known
    GROUP BY bucket, outcome, turns
),
total AS (
    SELECT
        bucket,
        coalesce(sum(conversations), 0)::BIGINT AS conversations,
        coalesce(sum(conversations) FILTER (outcome = 'resolved'), 0)::BIGINT AS resolved,
        coalesce(sum(conversations) FILTER (outcome = 'resolved_with_approval'), 0)::BIGINT AS resolved_with_approval,
        coalesce(sum(conversations) FILTER (outcome = 'escalated'), 0)::BIGINT AS escalated,
        coalesce(sum(conversations) FILTER (outcome = 'rejected'), 0)::BIGINT AS rejected,
        coalesce(sum(conversations) FILTER (outcome = 'abandoned'), 0)::BIGINT AS abandoned,
        coalesce(sum(of_known_customers) FILTER (is_resolved), 0)::BIGINT AS of_known_customers
    FROM counted
    GROUP BY GROUPING SETS ((), (bucket))
),
-- include reopened,
-- The percentiles of how many turns they took, interpolated, from the number of conversations with each number.
ranked AS (
    SELECT *, sum(conversations) OVER (PARTITION BY share, bucket ORDER BY turns) AS so_far,
        (sum(conversations) OVER (PARTITION BY share, bucket) - 1) * share AS place
    FROM (
        SELECT bucket, turns, sum(conversations) AS conversations
        FROM counted
        WHERE is_resolved
        GROUP BY GROUPING SETS ((turns), (bucket, turns))
    ), (SELECT unnest([0.5, 0.95]::DOUBLE[]) AS share)
),
percentile AS (
    SELECT
        bucket,
        share,
        min(turns) FILTER (so_far > floor(place)) AS below,
        min(turns) FILTER (so_far > ceil(place)) AS above,
        any_value(place) - floor(any_value(place)) AS part
    FROM ranked
    GROUP BY bucket, share
),
effort AS (SELECT bucket, list(below + (above - below) * part ORDER BY share) AS turns FROM percentile GROUP BY bucket)
SELECT total.*, turns, coalesce(back.reopened, 0) AS reopened
FROM total
LEFT JOIN effort ON effort.bucket IS NOT DISTINCT FROM total.bucket
LEFT JOIN back ON back.bucket IS NOT DISTINCT FROM total.bucket
