-- What language models have used, summed for each share that a budget is set on.

CREATE TABLE model_use (
    share    TEXT PRIMARY KEY,             -- a conversation's thread, or `day~2026-11-27` (UTC)
    tokens   BIGINT NOT NULL,
    cost_usd DOUBLE PRECISION NOT NULL
);
