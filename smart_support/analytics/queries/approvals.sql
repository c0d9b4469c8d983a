-- Approvals asked for in the range, by what has become of them since; the parts add up to `requested`. Seconds
-- to decide are those of the ones that a human decided. `by_policy`: writes that a rule let run without asking,
-- which are none of the others.
-- [leads] Decisions by who made them, of approvals asked for in the range; expiries are the clock's and
-- withdrawals the customer's.
-- `hasty` are those made within 3 seconds of the request: a card can hardly be read in that time, so a large
-- share is a sign that approvals are waved through.
-- [approval_tools] Approvals asked for in the range by the tool they are for, and what has become of them since.
WITH
-- include scope,
told AS (
    SELECT
        approval_id,
        min(happened_at) FILTER (type = 'interrupt' AND happened_at < $until) AS requested_at,
        any_value(tool) AS tool,
        any_value(outcome) AS outcome,
        any_value(decided_by) AS decided_by,
        min(happened_at) FILTER (type = 'decision') AS decided_at
    FROM scope
    WHERE type IN ('interrupt', 'decision')
    GROUP BY approval_id
    HAVING requested_at IS NOT NULL
),
waited AS (
    SELECT
        *,
        date_trunc($width, requested_at) AS bucket,
        date_diff('microsecond', requested_at, decided_at) / 1e6 AS seconds
    FROM told
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
FROM waited
GROUP BY GROUPING SETS ((), (tool), (decided_by), (bucket))
ORDER BY requested DESC, tool, decided_by
