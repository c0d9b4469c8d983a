-- Included by other files: `counts`, the events of the range by their values, in whole hours from the summaries and
-- the rest one by one. `events` says how many a row stands for.
counts AS NOT MATERIALIZED (
    SELECT hour AS happened_at, * EXCLUDE (hour)
    FROM hours
    WHERE hour >= $first_hour AND hour < $last_hour
    UNION ALL BY NAME
    SELECT
        happened_at, type, first_seq = 1 AND caller IS NULL AS begins, caller, tool, status, error_class,
        policy IS NOT NULL AS by_policy, kind, model, input_tokens IS NOT NULL AS has_usage, 1 AS events,
        input_tokens, output_tokens, cost_usd
    FROM events
    WHERE happened_at >= $since AND happened_at < $until AND (happened_at < $first_hour OR happened_at >= $last_hour)
)
