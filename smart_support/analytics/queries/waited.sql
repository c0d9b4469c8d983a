-- Included by others, after a CTE `scope`. One row an approval asked for in the range: what has become of it
-- since, and how many seconds after it was asked for.
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
