-- The demo software company. Money is integer cents in the subscription's currency; times are RFC 3339
-- text in UTC. data/saas/<table>.json holds the rows that a new file starts with.

CREATE TABLE customers (
    customer_id      TEXT PRIMARY KEY,
    name             TEXT NOT NULL,
    email            TEXT NOT NULL UNIQUE,
    country          TEXT NOT NULL,
    status           TEXT NOT NULL CHECK (status IN ('active', 'suspended')),
    suspended_reason TEXT,
    created_at       TEXT NOT NULL
) STRICT;

CREATE TABLE plans (
    plan       TEXT PRIMARY KEY,
    rank       INTEGER NOT NULL UNIQUE,
    seat_cents INTEGER NOT NULL CHECK (seat_cents > 0),
    includes   TEXT NOT NULL
) STRICT;

CREATE TABLE subscriptions (
    subscription_id  TEXT PRIMARY KEY,
    customer_id      TEXT NOT NULL UNIQUE REFERENCES customers,
    plan             TEXT NOT NULL REFERENCES plans,
    status           TEXT NOT NULL CHECK (status IN
        ('trialing', 'active', 'past_due', 'ending', 'cancelled')),
    currency         TEXT NOT NULL CHECK (length(currency) = 3),
    seats            INTEGER NOT NULL CHECK (seats > 0),
    monthly_cents    INTEGER NOT NULL CHECK (monthly_cents > 0),
    started_at       TEXT NOT NULL,
    renews_at        TEXT,
    trial_ends_at    TEXT,
    trial_days_added INTEGER NOT NULL DEFAULT 0 CHECK (trial_days_added BETWEEN 0 AND 14),
    contract_ends_at TEXT,
    ends_at          TEXT,
    cancel_reason    TEXT
) STRICT;

CREATE TABLE invoices (
    invoice_id      TEXT PRIMARY KEY,
    subscription_id TEXT NOT NULL REFERENCES subscriptions,
    status          TEXT NOT NULL CHECK (status IN ('paid', 'open')),
    amount_cents    INTEGER NOT NULL CHECK (amount_cents > 0),
    currency        TEXT NOT NULL CHECK (length(currency) = 3),
    description     TEXT NOT NULL,
    issued_at       TEXT NOT NULL
) STRICT;

CREATE INDEX invoices_by_subscription ON invoices (subscription_id, issued_at);

-- The result of each idempotency key, written in the same transaction as the change.
CREATE TABLE write_journal (
    idempotency_key TEXT PRIMARY KEY,
    call            TEXT NOT NULL,
    result          TEXT NOT NULL,
    applied_at      TEXT NOT NULL
) STRICT;
