-- Completed turns, input and output tokens, and cost by model; the cost is null if the model has no price. Turns
-- that ended with an approval request count for tokens and cost; turns that ended with an error don't.
WITH
-- include scope,
counted AS (
    SELECT *, coalesce(model, 'unknown') AS by_model, date_trunc($width, happened_at) AS bucket
    FROM scope
    WHERE happened_at < $until AND (type = 'message_complete' OR (type = 'interrupt' AND input_tokens IS NOT NULL))
)
SELECT
    by_model AS model,
    bucket,
    count(*) FILTER (type = 'message_complete') AS turns,
    coalesce(sum(input_tokens), 0)::BIGINT AS input,
    coalesce(sum(output_tokens), 0)::BIGINT AS output,
    sum(cost_usd) AS cost_usd
FROM counted
GROUP BY GROUPING SETS ((by_model), (bucket))
ORDER BY turns DESC, model
