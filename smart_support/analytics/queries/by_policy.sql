-- Writes that a rule of the policy let run without asking anybody, as they ended in the range.
WITH
-- include scope
SELECT count(*) AS writes
FROM scope
WHERE happened_at < $until AND type = 'tool_result' AND policy IS NOT NULL
