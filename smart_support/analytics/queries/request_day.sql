-- Included by other files: the whole days of the range that have ended, with the figures of each.
request_day AS NOT MATERIALIZED (SELECT * FROM request_days WHERE day >= $first_day AND day < $last_day)
