-- Calls of API clients by client, their requests for approval, and failed results. They are no conversations.
WITH
-- include scope
SELECT
    caller,
    count(*) FILTER (type = 'tool_call') AS calls,
    count(*) FILTER (type = 'interrupt') AS approvals,
    count(*) FILTER (type = 'tool_result' AND status = 'error') AS errors
FROM scope
WHERE happened_at < $until AND caller IS NOT NULL
GROUP BY ALL
ORDER BY calls DESC, caller
