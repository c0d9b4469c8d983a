-- Conversations that started in the range, by their current outcome: resolved by the agents alone, resolved with
-- an approval, escalated to a human, rejected (a person refused an action, and no other action was carried out),
-- or abandoned. Only the first two count as resolved. Open conversations have no outcome yet.
-- [effort] Turns to resolution: the median and the 95th percentile of the number of turns in resolved
-- conversations that started in the range.
-- [reopened] Of the resolved conversations that started in the range and have a known customer: those whose
-- customer started another conversation within 7 days of the last event, even after the range.
WITH
-- include scope,
-- include conversation_outcomes,
known AS MATERIALIZED (
    SELECT customer_id, started_at, last_at, turns, outcome, date_trunc($width, started_at) AS bucket
    FROM conversation_outcome
),
resolved AS MATERIALIZED (
    SELECT * FROM known WHERE started_at < $until AND outcome IN ('resolved', 'resolved_with_approval')
),
reopened_count AS (
    -- A semi join by customer is faster than an ASOF join, which sorts both sides.
    SELECT bucket, count(*) AS reopened
    FROM resolved
    SEMI JOIN known AS later
        ON resolved.customer_id = later.customer_id
        AND later.started_at > resolved.last_at
        AND later.started_at <= resolved.last_at + INTERVAL 7 DAY
    GROUP BY GROUPING SETS ((), (bucket))
),
counted AS (
    SELECT
        bucket,
        count(*) AS conversations,
        count(*) FILTER (outcome = 'resolved') AS resolved,
        count(*) FILTER (outcome = 'resolved_with_approval') AS resolved_with_approval,
        count(*) FILTER (outcome = 'escalated') AS escalated,
        count(*) FILTER (outcome = 'rejected') AS rejected,
        count(*) FILTER (outcome = 'abandoned') AS abandoned
    FROM known
    WHERE started_at < $until
    GROUP BY GROUPING SETS ((), (bucket))
),
effort AS (
    SELECT
        bucket,
        quantile_cont(turns, [0.5, 0.95]) AS turns,
        count(customer_id) AS of_known_customers
    FROM resolved
    GROUP BY GROUPING SETS ((), (bucket))
)
SELECT counted.*, turns, coalesce(of_known_customers, 0) AS of_known_customers, coalesce(reopened, 0) AS reopened
FROM counted
LEFT JOIN effort ON effort.bucket IS NOT DISTINCT FROM counted.bucket
LEFT JOIN reopened_count ON reopened_count.bucket IS NOT DISTINCT FROM counted.bucket
