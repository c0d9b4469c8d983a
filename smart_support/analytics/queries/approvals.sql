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
-- include request_day,
timed AS NOT MATERIALIZED (
    SELECT
        coalesce(tool, '') AS tool,
        decided_by,
        requested_at,
        date_trunc($width, requested_at) AS bucket,
        outcome,
        outcome NOT IN ('expired', 'withdrawn') AS by_person,
        CASE WHEN by_person THEN date_diff('microsecond', requested_at, decided_at) / 1e6 END AS seconds
    FROM request
    WHERE requested_at < $until
),
-- Few rows.
counted AS (
    SELECT tool, decided_by, bucket, outcome, by_person, count(*) AS requested, count(*) FILTER (seconds < 3) AS hasty
    FROM timed
    GROUP BY ALL
),
total AS (
    SELECT
        grouping(tool) = 0 AS of_tool,
        grouping(decided_by) = 0 AS of_lead,
        bucket,
        tool,
        decided_by,
        coalesce(sum(requested), 0)::BIGINT AS requested,
        coalesce(sum(requested) FILTER (outcome = 'approved'), 0)::BIGINT AS approved,
        coalesce(sum(requested) FILTER (outcome = 'rejected'), 0)::BIGINT AS rejected,
        coalesce(sum(requested) FILTER (outcome = 'edited'), 0)::BIGINT AS edited,
        coalesce(sum(requested) FILTER (outcome = 'expired'), 0)::BIGINT AS expired,
        coalesce(sum(requested) FILTER (outcome = 'responded'), 0)::BIGINT AS responded,
        coalesce(sum(requested) FILTER (outcome = 'withdrawn'), 0)::BIGINT AS withdrawn,
        coalesce(sum(requested) FILTER (outcome IS NULL), 0)::BIGINT AS pending,
        coalesce(sum(requested) FILTER (by_person), 0)::BIGINT AS decided,
        coalesce(sum(hasty), 0)::BIGINT AS hasty
    FROM counted
    GROUP BY GROUPING SETS ((), (tool), (decided_by), (bucket))
),
taken AS (
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
)
SELECT total.*, taken.seconds
FROM total
LEFT JOIN taken
    ON taken.of_tool = total.of_tool
    AND taken.of_lead = total.of_lead
    AND taken.bucket IS NOT DISTINCT FROM total.bucket
    AND taken.tool IS NOT DISTINCT FROM total.tool
    AND taken.decided_by IS NOT DISTINCT FROM total.decided_by
ORDER BY requested DESC, total.tool, total.decided_by
