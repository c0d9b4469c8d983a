-- How often a human was called, and by what: the customer or agent who `asked`, a `policy` rule, a `limit` of
-- writes an hour, a `budget` of the models that is used up, repeated `failures`, or an `unknown_outcome` of a write.
WITH
-- include scope
SELECT coalesce(kind, 'asked') AS kind, count(*) AS escalations
FROM scope
WHERE happened_at < $until AND type = 'escalation'
GROUP BY ALL
ORDER BY escalations DESC, kind
