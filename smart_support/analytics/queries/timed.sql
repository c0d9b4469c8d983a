-- Included by other files: the approvals requested in the range, and how long a person took.
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
)
