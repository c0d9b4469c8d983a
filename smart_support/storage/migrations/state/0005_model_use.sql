-- The use of language models, summed for each share of a budget.

CREATE TABLE model_use (
    share    TEXT PRIMARY KEY,             -- a conversation's thread, or `day~2026-11-27` (UTC)
    tokens   BIGINT NOT NULL,
    cost_usd DOUBLE PRECISION NOT NULL
);
