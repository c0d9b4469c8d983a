-- Hours of work saved by tool calls: the number of successful results, multiplied by the minutes in the setting
-- `MINUTES_SAVED` for the tool, or for `*` if the tool is not listed. The minutes are your estimate, not a
-- measurement.
WITH
-- include scope,
estimate AS (SELECT unnest($tools::VARCHAR[]) AS tool, unnest($minutes::DOUBLE[]) AS minutes)
SELECT
    date_trunc($width, happened_at) AS bucket,
    coalesce(sum(coalesce(minutes, $default_minutes)), 0)::DOUBLE / 60 AS hours
FROM scope
LEFT JOIN estimate USING (tool)
WHERE happened_at < $until AND type = 'tool_result' AND status = 'ok'
GROUP BY GROUPING SETS ((), (bucket))
