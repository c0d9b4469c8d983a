-- Of the conversations that started in the range, were resolved, and whose customer is known: those whose
-- customer came back with another conversation within 7 days of the last word. Any day of these may lie behind
-- the range.
WITH
-- include scope,
-- include judged,
known AS (
    SELECT thread_id, arg_max(customer_id, seq) AS customer_id, min(happened_at) AS started_at
    FROM scope
    WHERE customer_id IS NOT NULL
    GROUP BY thread_id
),
resolved AS (
    SELECT judged.thread_id, judged.last_at, known.customer_id
    FROM judged
    JOIN known USING (thread_id)
    WHERE judged.started_at < $until AND outcome IN ('resolved', 'resolved_with_approval')
)
SELECT
    count(*) AS resolved,
    count(*) FILTER (EXISTS (
        SELECT 1 FROM known
        WHERE known.customer_id = resolved.customer_id
            AND known.thread_id <> resolved.thread_id
            AND known.started_at > resolved.last_at
            AND known.started_at <= resolved.last_at + INTERVAL 7 DAY
    )) AS reopened
FROM resolved
