-- Requested tool calls, whether executed or not, and failed results. A model may call a tool with an empty name.
WITH
-- include counts
SELECT
    coalesce(tool, '') AS tool,
    coalesce(sum(events) FILTER (type = 'tool_call'), 0)::BIGINT AS calls,
    coalesce(sum(events) FILTER (status = 'error'), 0)::BIGINT AS errors
FROM counts
WHERE type IN ('tool_call', 'tool_result')
GROUP BY ALL
ORDER BY calls DESC, tool
