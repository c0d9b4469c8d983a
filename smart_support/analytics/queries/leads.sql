-- Decisions by who made them, of approvals asked for in the range; the clock's expiries are nobody's.
-- `hasty` are those made within 3 seconds of the request: a card can hardly be read in that time, so a large
-- share is a sign that approvals are waved through.
WITH
-- include scope,
-- include waited
SELECT
    decided_by,
    count(*) AS decided,
    count(*) FILTER (outcome = 'approved') AS approved,
    count(*) FILTER (outcome = 'edited') AS edited,
    count(*) FILTER (outcome = 'rejected') AS rejected,
    median(seconds) AS median_seconds,
    quantile_cont(seconds, 0.95) AS p95_seconds,
    count(*) FILTER (seconds < 3) AS hasty
FROM waited
WHERE outcome <> 'expired'
GROUP BY decided_by
ORDER BY decided DESC, decided_by
