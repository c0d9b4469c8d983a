-- The demo bank. Money is integer cents in the account's currency; times are RFC 3339 text in UTC.
-- data/fintech/<table>.json holds the rows that a new file starts with.

CREATE TABLE customers (
    customer_id          TEXT PRIMARY KEY,
    name                 TEXT NOT NULL,
    email                TEXT NOT NULL UNIQUE,
    country              TEXT NOT NULL,
    status               TEXT NOT NULL CHECK (status IN ('active', 'frozen')),
    frozen_reason        TEXT,
    transfer_limit_cents INTEGER NOT NULL CHECK (transfer_limit_cents > 0),
    daily_limit_cents    INTEGER NOT NULL CHECK (daily_limit_cents >= transfer_limit_cents),
    created_at           TEXT NOT NULL
) STRICT;

-- An account's balance is the sum of its transactions, and never below zero.
CREATE TABLE accounts (
    account_id    TEXT PRIMARY KEY,
    customer_id   TEXT NOT NULL REFERENCES customers,
    kind          TEXT NOT NULL CHECK (kind IN ('checking', 'savings')),
    currency      TEXT NOT NULL CHECK (length(currency) = 3),
    balance_cents INTEGER NOT NULL CHECK (balance_cents >= 0),
    opened_at     TEXT NOT NULL,
    UNIQUE (customer_id, kind)
) STRICT;

CREATE TABLE cards (
    card_id      TEXT PRIMARY KEY,
    account_id   TEXT NOT NULL REFERENCES accounts,
    brand        TEXT NOT NULL,
    last4        TEXT NOT NULL CHECK (length(last4) = 4),
    status       TEXT NOT NULL CHECK (status IN ('active', 'blocked')),
    blocked_at   TEXT,
    block_reason TEXT
) STRICT;

CREATE INDEX cards_by_last4 ON cards (last4);

CREATE TABLE payees (
    payee_id    TEXT PRIMARY KEY,
    customer_id TEXT NOT NULL REFERENCES customers,
    name        TEXT NOT NULL,
    iban        TEXT NOT NULL,
    currency    TEXT NOT NULL CHECK (length(currency) = 3),
    saved_at    TEXT NOT NULL
) STRICT;

CREATE TABLE transfers (
    transfer_id     TEXT PRIMARY KEY,
    customer_id     TEXT NOT NULL REFERENCES customers,
    from_account_id TEXT NOT NULL REFERENCES accounts,
    to_account_id   TEXT REFERENCES accounts,
    payee_id        TEXT REFERENCES payees,
    amount_cents    INTEGER NOT NULL CHECK (amount_cents > 0),
    currency        TEXT NOT NULL CHECK (length(currency) = 3),
    made_at         TEXT NOT NULL,
    CHECK ((to_account_id IS NULL) <> (payee_id IS NULL)),
    CHECK (to_account_id IS NULL OR to_account_id <> from_account_id)
) STRICT;

CREATE INDEX transfers_by_customer ON transfers (customer_id, made_at);

-- Money in is above zero, money out below.
CREATE TABLE transactions (
    transaction_id TEXT PRIMARY KEY,
    account_id     TEXT NOT NULL REFERENCES accounts,
    kind           TEXT NOT NULL CHECK (kind IN ('opening', 'salary', 'card', 'transfer')),
    amount_cents   INTEGER NOT NULL CHECK (amount_cents <> 0),
    currency       TEXT NOT NULL CHECK (length(currency) = 3),
    counterparty   TEXT NOT NULL,
    card_id        TEXT REFERENCES cards,
    transfer_id    TEXT REFERENCES transfers,
    booked_at      TEXT NOT NULL
) STRICT;

CREATE INDEX transactions_by_account ON transactions (account_id, booked_at);

CREATE TABLE disputes (
    dispute_id     TEXT PRIMARY KEY,
    transaction_id TEXT NOT NULL UNIQUE REFERENCES transactions,
    status         TEXT NOT NULL CHECK (status IN ('open', 'won', 'lost')),
    reason         TEXT NOT NULL,
    opened_at      TEXT NOT NULL
) STRICT;

-- The result of each idempotency key, written in the same transaction as the change.
CREATE TABLE write_journal (
    idempotency_key TEXT PRIMARY KEY,
    call            TEXT NOT NULL,
    result          TEXT NOT NULL,
    applied_at      TEXT NOT NULL
) STRICT;
