-- Conversations that started in the range, by what has become of them since: resolved by the agents alone,
-- resolved with an approval, escalated to a human, or abandoned. What is still open has no outcome yet.
-- [effort] Turns that it took: of conversations that started in the range and were resolved, how many turns
-- ended in them, the median and the 95th percentile.
-- [reopened] Of the conversations that started in the range, were resolved, and whose customer is known: those
-- whose customer came back with another conversation within 7 days of the last word. Any of these days may lie
-- behind the range.
WITH
-- include scope,
-- include judged,
known AS MATERIALIZED (SELECT thread_id, customer_id, started_at, last_at, turns, outcome FROM judged),
resolved AS MATERIALIZED (
    SELECT * FROM known WHERE started_at < $until AND outcome IN ('resolved', 'resolved_with_approval')
),
back AS (
    -- The first conversation of the same customer after each.
    SELECT count(*) AS reopened
    FROM resolved
    ASOF JOIN known AS later
        ON resolved.customer_id = later.customer_id AND resolved.last_at < later.started_at
    WHERE later.started_at <= resolved.last_at + INTERVAL 7 DAY
)
SELECT
    count(*) AS conversations,
    count(*) FILTER (outcome = 'resolved') AS resolved,
    count(*) FILTER (outcome = 'resolved_with_approval') AS resolved_with_approval,
    count(*) FILTER (outcome = 'escalated') AS escalated,
    count(*) FILTER (outcome = 'abandoned') AS abandoned,
    (SELECT quantile_cont(turns, [0.5, 0.95]) FROM resolved) AS turns,
    (SELECT count(*) FROM resolved WHERE customer_id IS NOT NULL) AS of_known_customers,
    (SELECT reopened FROM back) AS reopened
FROM known
WHERE started_at < $until
