-- Completed turns, input and output tokens, and cost by model; the cost is null if the model has no price. Turns
-- that ended with an approval request count for tokens and cost; turns that ended with an error don't.
WITH
-- include counts,
used AS (
    SELECT *, coalesce(model, 'unknown') AS by_model, date_trunc($width, happened_at) AS bucket
    FROM counts
    WHERE type = 'message_complete' OR (type = 'interrupt' AND has_usage)
)
SELECT
    by_model AS model,
    bucket,
    coalesce(sum(events) FILTER (type = 'message_complete'), 0)::BIGINT AS turns,
    coalesce(sum(input_tokens), 0)::BIGINT AS input,
    coalesce(sum(output_tokens), 0)::BIGINT AS output,
    sum(cost_usd) AS cost_usd
FROM used
GROUP BY GROUPING SETS ((by_model), (bucket))
ORDER BY turns DESC, model
