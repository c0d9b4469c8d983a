-- Writes that a policy rule auto-approved, by the time they finished.
WITH
-- include scope
SELECT date_trunc($width, happened_at) AS bucket, count(*) AS writes
FROM scope
WHERE happened_at < $until AND type = 'tool_result' AND policy IS NOT NULL
GROUP BY GROUPING SETS ((), (bucket))
