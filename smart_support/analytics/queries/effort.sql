-- Turns that it took: of conversations that started in the range and were resolved, how many turns ended in
-- them, the median and the 95th percentile.
WITH
-- include scope,
-- include judged,
resolved AS (
    SELECT thread_id FROM judged
    WHERE started_at < $until AND outcome IN ('resolved', 'resolved_with_approval')
),
counted AS (
    SELECT thread_id, count(*) AS turns
    FROM scope
    SEMI JOIN resolved USING (thread_id)
    WHERE type IN ('message_complete', 'interrupt', 'error')
    GROUP BY thread_id
)
SELECT quantile_cont(turns, [0.5, 0.95]) AS turns FROM counted
