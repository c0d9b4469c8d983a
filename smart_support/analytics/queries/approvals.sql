-- Approvals asked for in the range, by what has become of them since; the parts add up to `requested`. Seconds
-- to decide are those of the ones that a human decided. `by_policy`: writes that a rule let run without asking,
-- which are none of the others.
-- [leads] Decisions by who made them, of approvals asked for in the range; the clock's expiries are nobody's.
-- `hasty` are those made within 3 seconds of the request: a card can hardly be read in that time, so a large
-- share is a sign that approvals are waved through.
-- [approval_tools] Approvals asked for in the range by the tool they are for, and what has become of them since.
WITH
-- include scope,
asked AS (
    SELECT approval_id, min(happened_at) AS requested_at, any_value(tool) AS tool
    FROM scope
    WHERE happened_at < $until AND type = 'interrupt'
    GROUP BY approval_id
),
decided AS (
    SELECT
        approval_id,
        any_value(outcome) AS outcome,
        any_value(decided_by) AS decided_by,
        min(happened_at) AS decided_at
    FROM scope
    WHERE type = 'decision'
    GROUP BY approval_id
),
waited AS (
    SELECT *, date_diff('microsecond', requested_at, decided_at) / 1e6 AS seconds
    FROM asked
    LEFT JOIN decided USING (approval_id)
)
SELECT
    grouping(tool) = 0 AS of_tool,
    grouping(decided_by) = 0 AS of_lead,
    coalesce(tool, '') AS tool,
    decided_by,
    count(*) AS requested,
    count(*) FILTER (outcome = 'approved') AS approved,
    count(*) FILTER (outcome = 'rejected') AS rejected,
    count(*) FILTER (outcome = 'edited') AS edited,
    count(*) FILTER (outcome = 'expired') AS expired,
    count(*) FILTER (outcome IS NULL) AS pending,
    count(*) FILTER (outcome <> 'expired') AS decided,
    count(*) FILTER (outcome <> 'expired' AND seconds < 3) AS hasty,
    quantile_cont(seconds, [0.5, 0.95]) FILTER (outcome <> 'expired') AS seconds
FROM waited
GROUP BY GROUPING SETS ((), (tool), (decided_by))
ORDER BY requested DESC, tool, decided_by
