-- What the model took and gave, and its price; null where no turn in the range has a known price.
WITH
-- include scope
SELECT
    coalesce(sum(input_tokens), 0)::BIGINT AS input,
    coalesce(sum(output_tokens), 0)::BIGINT AS output,
    sum(cost_usd) AS cost_usd
FROM scope
WHERE happened_at < $until AND type = 'message_complete'
