-- Approvals asked for in the range, by what has become of them since; the parts add up to `requested`. Seconds
-- to decide are those of the ones that a human decided. `by_policy`: writes that a rule let run without asking,
-- which are none of the others.
WITH
-- include scope,
-- include waited
SELECT
    count(*) AS requested,
    count(*) FILTER (outcome = 'approved') AS approved,
    count(*) FILTER (outcome = 'rejected') AS rejected,
    count(*) FILTER (outcome = 'edited') AS edited,
    count(*) FILTER (outcome = 'expired') AS expired,
    count(*) FILTER (outcome IS NULL) AS pending,
    median(seconds) FILTER (outcome <> 'expired') AS median_seconds_to_decide,
    quantile_cont(seconds, 0.95) FILTER (outcome <> 'expired') AS p95_seconds_to_decide,
    (
        SELECT count(*) FROM scope WHERE happened_at < $until AND type = 'tool_result' AND policy IS NOT NULL
    ) AS by_policy
FROM waited
