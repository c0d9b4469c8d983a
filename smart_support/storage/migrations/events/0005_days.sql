-- The percentiles of days that have ended: they can't be added up from those of hours. See storage/events/summaries.py.

CREATE TABLE turn_days (
    day         TIMESTAMP NOT NULL,
    turn        DOUBLE[],             -- milliseconds of completed turns: the 50th, 95th and 99th percentile
    first_token DOUBLE[]
);
CREATE TABLE request_days (
    day     TIMESTAMP NOT NULL,       -- on which the approval was requested
    seconds DOUBLE[]                  -- until a person decided: the 50th and 95th percentile
);
INSERT INTO turn_days BY NAME
    SELECT
        date_trunc('day', happened_at) AS day,
        quantile_cont(duration_ms, [0.5, 0.95, 0.99]) AS turn,
        quantile_cont(first_token_ms, [0.5, 0.95, 0.99]) AS first_token
    FROM turns
    WHERE happened_at < (SELECT date_trunc('day', max(last_at)) FROM conversations) AND caller IS NULL
    GROUP BY ALL
    ORDER BY day;
INSERT INTO request_days BY NAME
    SELECT
        date_trunc('day', requested_at) AS day,
        quantile_cont(date_diff('microsecond', requested_at, decided_at) / 1e6, [0.5, 0.95])
            FILTER (outcome NOT IN ('expired', 'withdrawn')) AS seconds
    FROM requests
    WHERE requested_at < (SELECT date_trunc('day', max(last_at)) FROM conversations)
    GROUP BY ALL
    ORDER BY day;
