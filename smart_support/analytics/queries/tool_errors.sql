-- Failed tool results by error class: `transient` (a timeout, 429 or 5xx after all retries), `validation` (the tool
-- refused the arguments or the action), `auth` (our credentials were refused), `unknown`.
WITH
-- include counts
SELECT coalesce(error_class, 'unknown') AS error_class, sum(events)::BIGINT AS errors
FROM counts
WHERE type = 'tool_result' AND status = 'error'
GROUP BY ALL
ORDER BY errors DESC, error_class
