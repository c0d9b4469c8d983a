-- Only conversations that match the filters count as another one of the customer.
back AS (
    SELECT bucket, count(*) AS reopened
    FROM (SELECT * FROM known WHERE outcome IN ('resolved', 'resolved_with_approval')) AS resolved
    SEMI JOIN conversation AS later
        ON resolved.first_customer_id = later.first_customer_id
        AND later.started_at > resolved.last_at
        AND later.started_at <= resolved.last_at + INTERVAL 7 DAY
    GROUP BY GROUPING SETS ((), (bucket))
)
