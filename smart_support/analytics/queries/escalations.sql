-- Escalations to a human by reason: the customer or an agent `asked`, a `policy` rule, the `limit` of writes per
-- hour, an exhausted model `budget`, repeated `failures`, or a write with an `unknown_outcome`.
WITH
-- include scope
SELECT coalesce(kind, 'asked') AS kind, count(*) AS escalations
FROM scope
WHERE happened_at < $until AND type = 'escalation'
GROUP BY ALL
ORDER BY escalations DESC, kind
