-- Turns in which an agent sent a message or called a tool. A turn with two agents counts for both.
WITH
-- include rows
SELECT agent, count(*) AS turns FROM turn_agent WHERE first_at < $until GROUP BY agent ORDER BY turns DESC, agent
