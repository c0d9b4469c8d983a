-- Requested tool calls, whether executed or not, and failed results. A model may call a tool with an empty name.
WITH
-- include scope
SELECT
    coalesce(tool, '') AS tool,
    count(*) FILTER (type = 'tool_call') AS calls,
    count(*) FILTER (status = 'error') AS errors
FROM scope
WHERE happened_at < $until AND type IN ('tool_call', 'tool_result')
GROUP BY ALL
ORDER BY calls DESC, tool
