-- Hours of work that calls of tools stood for: results that were ok, times the minutes that the setting
-- `MINUTES_SAVED` names for the tool, or for `*` where it does not name it. The minutes are an assumption of
-- yours, not a measurement.
WITH
-- include scope,
named AS (SELECT unnest($tools::VARCHAR[]) AS tool, unnest($minutes::DOUBLE[]) AS minutes)
SELECT
    date_trunc($width, happened_at) AS bucket,
    coalesce(sum(coalesce(minutes, $otherwise)), 0)::DOUBLE / 60 AS hours
FROM scope
LEFT JOIN named USING (tool)
WHERE happened_at < $until AND type = 'tool_result' AND status = 'ok'
GROUP BY GROUPING SETS ((), (bucket))
