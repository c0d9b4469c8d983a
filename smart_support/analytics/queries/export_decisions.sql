-- Approvals that were decided in the range, or expired, each with what was requested.
WITH
-- include scope,
decision AS (SELECT * FROM scope WHERE type = 'decision' AND happened_at < $until),
request AS (
    SELECT
        approval_id,
        min(happened_at) AS requested_at,
        any_value(agent) AS agent,
        any_value(tool) AS tool,
        any_value(payload) AS payload
    FROM events
    WHERE type = 'interrupt' AND approval_id IN (SELECT approval_id FROM decision)
    GROUP BY approval_id
)
SELECT
    decision.happened_at AS decided_at,
    requested_at,
    date_diff('microsecond', requested_at, decision.happened_at) / 1e6 AS seconds_to_decide,
    decision.outcome AS outcome,
    decision.decided_by AS decided_by,
    decision.payload ->> '$.reason' AS reason,
    request.agent AS agent,
    request.tool AS tool,
    request.payload ->> '$.summary' AS summary,
    request.payload ->> '$.args' AS args,
    decision.payload ->> '$.args' AS edited_args,
    decision.customer_id AS customer_id,
    decision.thread_id AS thread_id,
    decision.approval_id AS approval_id
FROM decision LEFT JOIN request ON request.approval_id = decision.approval_id
ORDER BY decided_at
