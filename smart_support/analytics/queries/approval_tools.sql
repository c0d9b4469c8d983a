-- Approvals asked for in the range by the tool they are for, and what has become of them since.
WITH
-- include scope,
-- include waited
SELECT
    coalesce(tool, '') AS tool,
    count(*) AS requested,
    count(*) FILTER (outcome = 'approved') AS approved,
    count(*) FILTER (outcome = 'edited') AS edited,
    count(*) FILTER (outcome = 'rejected') AS rejected,
    count(*) FILTER (outcome = 'expired') AS expired,
    median(seconds) FILTER (outcome <> 'expired') AS median_seconds,
    quantile_cont(seconds, 0.95) FILTER (outcome <> 'expired') AS p95_seconds
FROM waited
GROUP BY ALL
ORDER BY requested DESC, tool
