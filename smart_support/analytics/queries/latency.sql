-- Milliseconds from a turn's beginning to its completion; turns that ended waiting or in an error are left out.
SELECT quantile_cont(duration_ms, [0.5, 0.95, 0.99]) AS quantiles
FROM events
WHERE happened_at >= $since AND happened_at < $until AND type = 'message_complete'
