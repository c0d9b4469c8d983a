-- Writes that a policy rule auto-approved, by the time they finished.
WITH
-- include counts
SELECT date_trunc($width, happened_at) AS bucket, coalesce(sum(events), 0)::BIGINT AS writes
FROM counts
WHERE type = 'tool_result' AND by_policy
GROUP BY GROUPING SETS ((), (bucket))
