-- Calls asked for, whatever became of them, and results that were errors. A model may call a tool by no name.
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
