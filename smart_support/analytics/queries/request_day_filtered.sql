-- None: the figures of a day are of all requests.
request_day AS NOT MATERIALIZED (SELECT * FROM request_days WHERE false)
