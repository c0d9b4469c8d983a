-- Results of tools that were errors, by their class: `transient` (a time-out, 429 or 5xx that stayed so),
-- `validation` (arguments or a rule of the tool said no), `auth` (our credentials were refused), `unknown`.
WITH
-- include scope
SELECT coalesce(error_class, 'unknown') AS error_class, count(*) AS errors
FROM scope
WHERE happened_at < $until AND type = 'tool_result' AND status = 'error'
GROUP BY ALL
ORDER BY errors DESC, error_class
