-- Conversations that started in the range, by what has become of them since: resolved by the agents alone,
-- resolved with an approval, escalated to a human, or abandoned. What is still open has no outcome yet.
WITH
-- include scope,
-- include judged
SELECT
    count(*) AS conversations,
    count(*) FILTER (outcome = 'resolved') AS resolved,
    count(*) FILTER (outcome = 'resolved_with_approval') AS resolved_with_approval,
    count(*) FILTER (outcome = 'escalated') AS escalated,
    count(*) FILTER (outcome = 'abandoned') AS abandoned
FROM judged
WHERE started_at < $until
