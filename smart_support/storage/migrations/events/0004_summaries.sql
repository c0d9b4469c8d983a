-- What figures and lists read instead of events: see storage/events/summaries.py. All of it can be computed
-- from `events` again, and is erased with them.

-- How many rows of `events`, in their order in the file, the other tables hold.
CREATE TABLE summarized (events BIGINT NOT NULL);
INSERT INTO summarized VALUES (0);

-- One row for each thread.
CREATE TABLE conversations (
    thread_id         VARCHAR NOT NULL,
    first_at          TIMESTAMP NOT NULL,   -- of its first event
    started_at        TIMESTAMP,            -- null: no conversation, but the calls of an API client
    last_at           TIMESTAMP NOT NULL,
    customer_id       VARCHAR,              -- the last that an event names
    first_customer_id VARCHAR,
    customer_ids      VARCHAR,              -- all of them in lower case without accents, for the search
    turns             BIGINT NOT NULL,
    cost_usd          DOUBLE,
    waiting           BOOLEAN NOT NULL,
    outcome           VARCHAR,              -- while it is active
    outcome_at_end    VARCHAR,              -- once no session holds it any more
    reopened          BOOLEAN NOT NULL,
    agents            VARCHAR[] NOT NULL,   -- in the order in which they took part
    channels          VARCHAR[] NOT NULL,
    tools             VARCHAR[] NOT NULL,
    errors            VARCHAR[] NOT NULL,   -- each error class, and each with its tool
    escalations       VARCHAR[] NOT NULL,   -- the kinds
    by_policy         BOOLEAN NOT NULL,
    opening_seq       BIGINT,
    opening           VARCHAR               -- the start of the first message of the customer
);

-- One row for each end of a turn.
CREATE TABLE turns (
    happened_at    TIMESTAMP NOT NULL,
    thread_id      VARCHAR NOT NULL,
    turn_id        UUID,
    type           VARCHAR NOT NULL,        -- message_complete, interrupt, error
    caller         VARCHAR,
    duration_ms    DOUBLE,                 -- of completed turns only
    first_token_ms DOUBLE
);

-- One row for each agent that sent a message or called a tool in a turn.
CREATE TABLE turn_agents (
    thread_id VARCHAR NOT NULL,
    turn_id   UUID NOT NULL,
    agent     VARCHAR NOT NULL,
    first_at  TIMESTAMP NOT NULL,
    last_at   TIMESTAMP NOT NULL
);

-- One row for each approval.
CREATE TABLE requests (
    thread_id    VARCHAR NOT NULL,
    approval_id  VARCHAR,
    first_at     TIMESTAMP NOT NULL,
    requested_at TIMESTAMP,
    tool         VARCHAR,
    outcome      VARCHAR,
    decided_by   VARCHAR,
    decided_at   TIMESTAMP
);

-- How many events of an hour have the same values, and the sums of what they used.
CREATE TABLE hours (
    hour          TIMESTAMP NOT NULL,
    type          VARCHAR NOT NULL,
    begins        BOOLEAN NOT NULL,         -- the first event of a thread
    caller        VARCHAR,
    tool          VARCHAR,
    status        VARCHAR,
    error_class   VARCHAR,
    by_policy     BOOLEAN NOT NULL,
    kind          VARCHAR,
    model         VARCHAR,
    has_usage     BOOLEAN NOT NULL,
    events        HUGEINT NOT NULL,
    input_tokens  HUGEINT,
    output_tokens HUGEINT,
    cost_usd      DOUBLE
);

-- One row for each message: its text in lower case without accents, for the search.
CREATE TABLE messages (
    thread_id VARCHAR NOT NULL,
    said_at   TIMESTAMP NOT NULL,
    text      VARCHAR
)
