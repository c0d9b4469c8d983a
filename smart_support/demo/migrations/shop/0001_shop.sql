-- The demo business. Money is integer cents in the order's currency; times are RFC 3339 text in UTC.
-- data/shop/<table>.json holds the rows that a new file starts with.

CREATE TABLE customers (
    customer_id   TEXT PRIMARY KEY,
    name          TEXT NOT NULL,
    email         TEXT NOT NULL UNIQUE,
    country       TEXT NOT NULL,
    status        TEXT NOT NULL CHECK (status IN ('active', 'frozen')),
    frozen_reason TEXT,
    created_at    TEXT NOT NULL
) STRICT;

CREATE TABLE orders (
    order_id         TEXT PRIMARY KEY,
    customer_id      TEXT NOT NULL REFERENCES customers,
    status           TEXT NOT NULL CHECK (status IN
        ('pending', 'processing', 'shipped', 'delivered', 'cancelled', 'returned', 'refunded')),
    currency         TEXT NOT NULL CHECK (length(currency) = 3),
    subtotal_cents   INTEGER NOT NULL CHECK (subtotal_cents > 0),
    discount_percent INTEGER NOT NULL DEFAULT 0 CHECK (discount_percent BETWEEN 0 AND 100),
    discount_cents   INTEGER NOT NULL DEFAULT 0 CHECK (discount_cents BETWEEN 0 AND subtotal_cents),
    coupon_code      TEXT,
    shipping_cents   INTEGER NOT NULL DEFAULT 0 CHECK (shipping_cents >= 0),
    total_cents      INTEGER NOT NULL CHECK (total_cents = subtotal_cents - discount_cents + shipping_cents),
    paid_cents       INTEGER NOT NULL DEFAULT 0 CHECK (paid_cents >= 0),
    refunded_cents   INTEGER NOT NULL DEFAULT 0 CHECK (refunded_cents BETWEEN 0 AND paid_cents),
    card_brand       TEXT NOT NULL,
    card_last4       TEXT NOT NULL CHECK (length(card_last4) = 4),
    shipping_address TEXT NOT NULL,
    carrier          TEXT,
    tracking_number  TEXT,
    placed_at        TEXT NOT NULL,
    shipped_at       TEXT,
    expected_at      TEXT,
    delivered_at     TEXT,
    cancelled_at     TEXT,
    cancel_reason    TEXT
) STRICT;

CREATE INDEX orders_by_customer ON orders (customer_id, placed_at);

CREATE TABLE order_items (
    order_id         TEXT NOT NULL REFERENCES orders,
    line             INTEGER NOT NULL,
    sku              TEXT NOT NULL,
    name             TEXT NOT NULL,
    quantity         INTEGER NOT NULL CHECK (quantity > 0),
    unit_price_cents INTEGER NOT NULL CHECK (unit_price_cents > 0),
    PRIMARY KEY (order_id, line)
) STRICT;

CREATE TABLE tracking_events (
    order_id    TEXT NOT NULL REFERENCES orders,
    step        INTEGER NOT NULL,
    happened_at TEXT NOT NULL,
    place       TEXT NOT NULL,
    status      TEXT NOT NULL,
    PRIMARY KEY (order_id, step)
) STRICT;

CREATE TABLE refunds (
    refund_id    TEXT PRIMARY KEY,
    order_id     TEXT NOT NULL REFERENCES orders,
    amount_cents INTEGER NOT NULL CHECK (amount_cents > 0),
    reason       TEXT,
    created_at   TEXT NOT NULL
) STRICT;

CREATE INDEX refunds_by_order ON refunds (order_id);

CREATE TABLE coupons (
    code        TEXT PRIMARY KEY,
    percent     INTEGER NOT NULL CHECK (percent BETWEEN 1 AND 100),
    customer_id TEXT REFERENCES customers,
    valid_days  INTEGER NOT NULL CHECK (valid_days > 0),
    created_at  TEXT NOT NULL,
    expires_at  TEXT NOT NULL
) STRICT;

-- The result of each idempotency key, written in the same transaction as the change.
CREATE TABLE write_journal (
    idempotency_key TEXT PRIMARY KEY,
    call            TEXT NOT NULL,
    result          TEXT NOT NULL,
    applied_at      TEXT NOT NULL
) STRICT;
