-- Turns in which an agent sent a message or called a tool. A turn with two agents counts for both.
WITH
-- include scope
SELECT agent, count(DISTINCT turn_id) AS turns
FROM scope
WHERE happened_at < $until AND type IN ('message', 'tool_call') AND agent IS NOT NULL AND caller IS NULL
GROUP BY agent
ORDER BY turns DESC, agent
