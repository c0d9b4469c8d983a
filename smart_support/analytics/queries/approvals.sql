-- Approvals requested in the range, by their current outcome; the outcomes add up to `requested`. Seconds to
-- decide cover human decisions only. `by_policy`: writes that a policy rule auto-approved; they are not among
-- the others.
-- [leads] Human decisions by lead, for approvals requested in the range. Expiries and withdrawals are not
-- decisions.
-- `hasty` decisions were made within 3 seconds of the request. That is hardly enough to read an approval, so a
-- large share suggests that approvals are not checked.
-- [approval_tools] Approvals requested in the range by tool, and their current outcome.
WITH
-- include rows,
timed AS (
    SELECT
        *,
        date_trunc($width, requested_at) AS bucket,
        date_diff('microsecond', requested_at, decided_at) / 1e6 AS seconds
    FROM request
    WHERE requested_at < $until
)
SELECT
    grouping(tool) = 0 AS of_tool,
    grouping(decided_by) = 0 AS of_lead,
    bucket,
    coalesce(tool, '') AS tool,
    decided_by,
    count(*) AS requested,
    count(*) FILTER (outcome = 'approved') AS approved,
    count(*) FILTER (outcome = 'rejected') AS rejected,
    count(*) FILTER (outcome = 'edited') AS edited,
    count(*) FILTER (outcome = 'expired') AS expired,
    count(*) FILTER (outcome = 'responded') AS responded,
    count(*) FILTER (outcome = 'withdrawn') AS withdrawn,
    count(*) FILTER (outcome IS NULL) AS pending,
    count(*) FILTER (outcome NOT IN ('expired', 'withdrawn')) AS decided,
    count(*) FILTER (outcome NOT IN ('expired', 'withdrawn') AND seconds < 3) AS hasty,
    quantile_cont(seconds, [0.5, 0.95]) FILTER (outcome NOT IN ('expired', 'withdrawn')) AS seconds
FROM timed
GROUP BY GROUPING SETS ((), (tool), (decided_by), (bucket))
ORDER BY requested DESC, tool, decided_by
