-- Conversations that started in the range, by their current outcome: resolved by the agents alone, resolved with
-- an approval, escalated to a human, rejected (a person refused an action, and no other action was carried out),
-- or abandoned. Only the first two count as resolved. Open conversations have no outcome yet.
-- [effort] Turns to resolution: the median and the 95th percentile of the number of turns in resolved
-- conversations that started in the range.
-- [reopened] Of the resolved conversations that started in the range and have a known customer: those whose
-- customer started another conversation within 7 days of the last event, even after the range.
WITH
-- include rows,
known AS MATERIALIZED (
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
resolved AS NOT MATERIALIZED (SELECT * FROM known WHERE outcome IN ('resolved', 'resolved_with_approval')),
-- include reopened,
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
    GROUP BY GROUPING SETS ((), (bucket))
),
effort AS (
    SELECT
        bucket,
        quantile_cont(turns, [0.5, 0.95]) AS turns,
        count(first_customer_id) AS of_known_customers
    FROM resolved
    GROUP BY GROUPING SETS ((), (bucket))
)
SELECT counted.*, turns, coalesce(of_known_customers, 0) AS of_known_customers, coalesce(back.reopened, 0) AS reopened
FROM counted
LEFT JOIN effort ON effort.bucket IS NOT DISTINCT FROM counted.bucket
LEFT JOIN back ON back.bucket IS NOT DISTINCT FROM counted.bucket
