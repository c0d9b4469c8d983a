-- Turns in which each agent spoke or called a tool; a turn that two took part in counts for both.
SELECT agent, count(DISTINCT turn_id) AS turns
FROM events
WHERE happened_at >= $since AND happened_at < $until AND type IN ('message', 'tool_call') AND agent IS NOT NULL
GROUP BY agent
ORDER BY turns DESC, agent
