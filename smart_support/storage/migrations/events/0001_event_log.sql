-- One row for each event, ordered by time. A streamed message covers first_seq..seq.
-- No index: DuckDB's zone maps serve rows in time order, and a unique index costs more than it saves.
CREATE TABLE events (
    event_id       UUID NOT NULL,
    thread_id      VARCHAR NOT NULL,
    turn_id        UUID,
    first_seq      BIGINT NOT NULL,
    seq            BIGINT NOT NULL,
    happened_at    TIMESTAMP NOT NULL,   -- UTC
    type           VARCHAR NOT NULL,
    channel        VARCHAR,              -- interface of the turn: socket, rest, gradio, console, system
    customer_id    VARCHAR,
    agent          VARCHAR,
    role           VARCHAR,              -- message: customer or agent
    tool           VARCHAR,              -- tool_call, tool_result; the action of an interrupt
    tool_call_id   VARCHAR,
    status         VARCHAR,              -- tool_result: ok, error, rejected, expired, skipped
    approval_id    VARCHAR,              -- interrupt, decision
    outcome        VARCHAR,              -- decision: approved, rejected, edited, expired
    decided_by     VARCHAR,
    model          VARCHAR,
    input_tokens   BIGINT,               -- message_complete
    output_tokens  BIGINT,
    cost_usd       DOUBLE,
    duration_ms    DOUBLE,               -- message_complete: the turn; tool_result: the call
    first_token_ms DOUBLE,               -- message_complete
    code           VARCHAR,              -- error
    payload        JSON NOT NULL         -- all fields of the event
);
