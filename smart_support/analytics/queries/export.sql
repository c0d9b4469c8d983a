-- All events of the range as recorded, in order of time except for events at almost the same time: sorting would
-- load the whole range into memory.
WITH
-- include scope
SELECT * FROM scope WHERE happened_at < $until
