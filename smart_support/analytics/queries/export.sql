-- Every event of the range, whole, as recorded: in the order of time but for neighbours of one moment.
-- Sorting would hold the whole range in memory.
WITH
-- include scope
SELECT * FROM scope WHERE happened_at < $until
