-- Only conversations that match the filters count as another one of the customer.
judged AS NOT MATERIALIZED (
    SELECT * REPLACE (EXISTS (
        SELECT 1 FROM conversation AS later
        WHERE later.first_customer_id = earlier.first_customer_id
            AND later.started_at > earlier.last_at
            AND later.started_at <= earlier.last_at + INTERVAL 7 DAY
    ) AS reopened)
    FROM conversation AS earlier
)
