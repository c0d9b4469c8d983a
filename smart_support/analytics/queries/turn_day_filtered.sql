-- None: the figures of a day are of all turns.
turn_day AS NOT MATERIALIZED (SELECT * FROM turn_days WHERE false)
