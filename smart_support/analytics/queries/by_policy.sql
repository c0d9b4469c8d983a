-- Writes that a rule of the policy let run without asking anybody, as they ended in the range.
WITH
-- include scope
SELECT date_trunc($width, happened_at) AS bucket, count(*) AS writes
FROM scope
WHERE happened_at < $until AND type = 'tool_result' AND policy IS NOT NULL
GROUP BY GROUPING SETS ((), (bucket))
