-- Every event of the range, whole, as recorded: in the order of time but for neighbours of one moment.
-- Sorting would hold the whole range in memory.
SELECT * FROM events WHERE happened_at >= $since AND happened_at < $until
