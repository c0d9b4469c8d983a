-- Conversations that started in the range, by what has become of them since.
WITH scope AS NOT MATERIALIZED (SELECT * FROM events WHERE happened_at >= $since),
-- include judged
SELECT
    count(*) AS conversations,
    count(*) FILTER (outcome = 'resolved') AS resolved,
    count(*) FILTER (outcome = 'resolved_with_approval') AS resolved_with_approval,
    count(*) FILTER (outcome = 'escalated') AS escalated,
    count(*) FILTER (outcome = 'abandoned') AS abandoned
FROM judged
WHERE started_at < $until
