-- Turns in which an agent sent a message or called a tool. A turn with two agents counts for both.
WITH
-- include rows
SELECT agent, count(*) AS turns
FROM turn_agent
-- A turn that began before the range and ends after it counts if it has such an event in between.
WHERE first_at < $until AND (first_at >= $since OR last_at < $until OR (turn_id, agent) IN (
    SELECT (turn_id, agent)
    FROM events
    WHERE happened_at >= $since AND happened_at < $until AND type IN ('message', 'tool_call') AND agent IS NOT NULL
        AND caller IS NULL
))
GROUP BY agent
ORDER BY turns DESC, agent
