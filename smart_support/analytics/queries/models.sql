-- Completed turns, tokens in and out, and their price by model; the price is null where none is set. Turns that
-- ended waiting for an approval count for their tokens and price; turns that ended in an error do not.
WITH
-- include scope,
told AS (
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
FROM told
GROUP BY GROUPING SETS ((by_model), (bucket))
ORDER BY turns DESC, model
