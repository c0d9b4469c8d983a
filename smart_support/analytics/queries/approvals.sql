-- Approvals asked for in the range, by what has become of them since; the parts add up to `requested`.
-- The median is over those that a human decided.
WITH asked AS (
    SELECT approval_id, min(happened_at) AS requested_at
    FROM events
    WHERE happened_at >= $since AND happened_at < $until AND type = 'interrupt'
    GROUP BY approval_id
),
decided AS (
    SELECT approval_id, any_value(outcome) AS outcome, min(happened_at) AS decided_at
    FROM events
    WHERE happened_at >= $since AND type = 'decision'
    GROUP BY approval_id
)
SELECT
    count(*) AS requested,
    count(*) FILTER (outcome = 'approved') AS approved,
    count(*) FILTER (outcome = 'rejected') AS rejected,
    count(*) FILTER (outcome = 'edited') AS edited,
    count(*) FILTER (outcome = 'expired') AS expired,
    count(*) FILTER (outcome IS NULL) AS pending,
    median(date_diff('microsecond', requested_at, decided_at) / 1e6) FILTER (outcome <> 'expired')
        AS median_seconds_to_decide
FROM asked
LEFT JOIN decided USING (approval_id)
