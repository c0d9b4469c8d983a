-- Hours of work saved by tool calls: the number of successful results, multiplied by the minutes in the setting
-- `MINUTES_SAVED` for the tool, or for `*` if the tool is not listed. The minutes are your estimate, not a
-- measurement.
WITH
-- include counts,
estimate AS (SELECT unnest($tools::VARCHAR[]) AS tool, unnest($minutes::DOUBLE[]) AS minutes)
SELECT
    date_trunc($width, happened_at) AS bucket,
    coalesce(sum(events * coalesce(minutes, $default_minutes)), 0)::DOUBLE / 60 AS hours
FROM counts
LEFT JOIN estimate USING (tool)
WHERE type = 'tool_result' AND status = 'ok'
GROUP BY GROUPING SETS ((), (bucket))
