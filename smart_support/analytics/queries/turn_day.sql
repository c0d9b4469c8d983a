-- Included by other files: the whole days of the range that have ended, with the figures of each.
turn_day AS NOT MATERIALIZED (SELECT * FROM turn_days WHERE day >= $first_day AND day < $last_day)
