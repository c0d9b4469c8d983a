-- Conversations that started in the range, by their current outcome: resolved by the agents alone, resolved with
-- an approval, escalated to a human, rejected (a person refused an action, and no other action was carried out),
-- or abandoned. Only the first two count as resolved. Open conversations have no outcome yet.
-- [effort] Turns to resolution: the median and the 95th percentile of the number of turns in resolved
-- conversations that started in the range.
-- [reopened] Of the resolved conversations that started in the range and have a known customer: those whose
-- customer started another conversation within 7 days of the last event, even after the range.
WITH
-- include rows,
-- include judged
-- Few rows, which totals.py adds up.
SELECT
    date_trunc($width, started_at) AS bucket,
    CASE WHEN last_at <= $ended_before THEN outcome_at_end ELSE outcome END AS outcome,
    turns,
    count(*) AS conversations,
    count(first_customer_id) AS of_known_customers,
    count(*) FILTER (reopened) AS reopened
FROM judged
WHERE started_at < $until
GROUP BY ALL
