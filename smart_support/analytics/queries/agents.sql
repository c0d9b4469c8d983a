-- Turns in which each agent spoke or called a tool; a turn that two took part in counts for both.
WITH
-- include scope
SELECT agent, count(DISTINCT turn_id) AS turns
FROM scope
WHERE happened_at < $until AND type IN ('message', 'tool_call') AND agent IS NOT NULL
GROUP BY agent
ORDER BY turns DESC, agent
