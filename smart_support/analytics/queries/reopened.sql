back AS (
    SELECT bucket, sum(reopened)::BIGINT AS reopened
    FROM counted
    WHERE is_resolved
    GROUP BY GROUPING SETS ((), (bucket))
)
