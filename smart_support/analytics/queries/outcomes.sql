-- Conversations that started in the range, by what has become of them since: resolved by the agents alone,
-- resolved with an approval, escalated to a human, rejected, or abandoned. What is still open has no outcome yet.
-- [effort] Turns that it took: of conversations that started in the range and were resolved, how many turns
-- ended in them, the median and the 95th percentile.
-- [reopened] Of the conversations that started in the range, were resolved, and whose customer is known: those
-- whose customer came back with another conversation within 7 days of the last word. Any of these days may lie
-- behind the range.
WITH
-- include scope,
-- include judged,
known AS MATERIALIZED (
    SELECT customer_id, started_at, last_at, turns, outcome, date_trunc($width, started_at) AS bucket
    FROM judged
),
resolved AS MATERIALIZED (
    SELECT * FROM known WHERE started_at < $until AND outcome IN ('resolved', 'resolved_with_approval')
),
back AS (
    -- An index of the later ones by customer beats sorting both sides, as a join by the nearest one would.
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
LEFT JOIN back ON back.bucket IS NOT DISTINCT FROM counted.bucket
