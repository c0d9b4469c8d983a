-- Seconds until a person decided, the median and the 95th percentile: in total, by tool, by lead, by time.
WITH
-- include rows,
-- include request_day,
-- include timed
SELECT
    grouping(tool) = 0 AS of_tool,
    grouping(decided_by) = 0 AS of_lead,
    NULL::TIMESTAMP AS bucket,
    tool,
    decided_by,
    quantile_cont(seconds, [0.5, 0.95]) AS seconds
FROM timed
WHERE seconds IS NOT NULL
GROUP BY GROUPING SETS ((), (tool), (decided_by))
UNION ALL
SELECT false, false, day, NULL, NULL, seconds FROM request_day
UNION ALL
SELECT false, false, bucket, NULL, NULL, quantile_cont(seconds, [0.5, 0.95])
FROM timed
WHERE seconds IS NOT NULL AND (
    requested_at < $first_day
    OR requested_at >= (SELECT coalesce(max(day) + INTERVAL 1 DAY, $first_day::TIMESTAMP) FROM request_day)
)
GROUP BY bucket
