-- Escalations to a human by reason: the customer or an agent `asked`, a `policy` rule, the `limit` of writes per
-- hour, an exhausted model `budget`, repeated `failures`, or a write with an `unknown_outcome`.
WITH
-- include counts
SELECT coalesce(kind, 'asked') AS kind, sum(events)::BIGINT AS escalations
FROM counts
WHERE type = 'escalation'
GROUP BY ALL
ORDER BY escalations DESC, kind
