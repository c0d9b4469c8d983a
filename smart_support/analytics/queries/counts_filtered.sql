-- include matching,
counts AS NOT MATERIALIZED (
    SELECT
        happened_at, type, first_seq = 1 AND caller IS NULL AS begins, caller, tool, status, error_class,
        policy IS NOT NULL AS by_policy, kind, model, input_tokens IS NOT NULL AS has_usage, 1 AS events,
        input_tokens, output_tokens, cost_usd
    FROM events
    SEMI JOIN matching USING (thread_id)
    WHERE happened_at >= $since AND happened_at < $until
)
