-- Completed turns, tokens in and out, and their price by model; the price is null where none is known.
WITH
-- include scope
SELECT
    coalesce(model, 'unknown') AS model,
    count(*) AS turns,
    coalesce(sum(input_tokens), 0)::BIGINT AS input,
    coalesce(sum(output_tokens), 0)::BIGINT AS output,
    sum(cost_usd) AS cost_usd
FROM scope
WHERE happened_at < $until AND type = 'message_complete'
GROUP BY ALL
ORDER BY turns DESC, model
