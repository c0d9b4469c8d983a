-- The events of the range by hour or day, and by their values. The figures below add them up: see counts.py.
-- [tools] Requested tool calls, whether executed or not, and failed results. A model may call a tool with an empty
-- name.
-- [tool_errors] Failed tool results by error class: `transient` (a timeout, 429 or 5xx after all retries),
-- `validation` (the tool refused the arguments or the action), `auth` (our credentials were refused), `unknown`.
-- [escalations] Escalations to a human by reason: the customer or an agent `asked`, a `policy` rule, the `limit` of
-- writes per hour, an exhausted model `budget`, repeated `failures`, or a write with an `unknown_outcome`.
-- [by_policy] Writes that a policy rule auto-approved, by the time they finished.
-- [callers] Calls of API clients by client, their requests for approval, and failed results. They are no
-- conversations.
-- [models] Completed turns, input and output tokens, and cost by model; the cost is null if the model has no price.
-- Turns that ended with an approval request count for tokens and cost; turns that ended with an error don't.
-- [saved] Hours of work saved by tool calls: the number of successful results, multiplied by the minutes in the
-- setting `MINUTES_SAVED` for the tool, or for `*` if the tool is not listed. The minutes are your estimate, not a
-- measurement.
-- [series] Counts by hour or day ($width) in UTC, without gaps: from $starts_at, or from the first event in the
-- range if it is null, to $ends_at. An approval has one interrupt event, so those are counted. Outcomes of
-- conversations and approvals count at the time when they started.
WITH
-- include counts
SELECT
    date_trunc($width, happened_at) AS bucket,
    type,
    begins,
    caller,
    tool,
    status,
    error_class,
    by_policy,
    kind,
    model,
    has_usage,
    sum(events)::BIGINT AS events,
    sum(input_tokens)::BIGINT AS input,
    sum(output_tokens)::BIGINT AS output,
    sum(cost_usd) AS cost_usd
FROM counts
GROUP BY ALL
