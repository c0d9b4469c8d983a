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
-- include timed
-- Few rows, which totals.py adds up.
SELECT tool, decided_by, bucket, outcome, by_person, count(*) AS requested, count(*) FILTER (seconds < 3) AS hasty
FROM timed
GROUP BY ALL
