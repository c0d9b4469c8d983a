-- Calls of API clients by client, their requests for approval, and failed results. They are no conversations.
WITH
-- include counts
SELECT
    caller,
    coalesce(sum(events) FILTER (type = 'tool_call'), 0)::BIGINT AS calls,
    coalesce(sum(events) FILTER (type = 'interrupt'), 0)::BIGINT AS approvals,
    coalesce(sum(events) FILTER (type = 'tool_result' AND status = 'error'), 0)::BIGINT AS errors
FROM counts
WHERE caller IS NOT NULL
GROUP BY ALL
ORDER BY calls DESC, caller
