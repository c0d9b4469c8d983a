-- Included by other files after a CTE `scope` with the events. One row per conversation.
--
-- status   waiting   an approval is pending
--          ended     no event for the lifetime of a session ($ended_before)
--          active    otherwise
-- outcome, the first that applies
--          escalated                it was escalated to a human, or a person answered in it
--          null                     it is waiting
--          resolved_with_approval   an approved or edited action was executed: the tool returned `ok` after the
--                                   decision or, for a graph that reports no results, the turn completed
--          rejected                 the last turn completed (see resolved), a write was rejected, and none was
--                                   executed: neither with an approval nor by a policy rule. Lookups don't
--                                   count, nor do writes that failed, expired or were withdrawn. A write that
--                                   a person answered instead (`responded`) counts as executed here
--          resolved                 the last turn completed with a whole answer, no question to the customer is open, the last
--                                   approval did not just expire, and a tool returned `ok` or, once the
--                                   conversation has ended, the customer got an answer
--          abandoned                it ended in another way: with an error, an expired approval, a question to
--                                   the customer, half an answer, a refusal of the model, or no answer
--          null                     it is active, and nothing was done yet
approval AS (
    SELECT
        thread_id,
        approval_id,
        any_value(tool) FILTER (type = 'interrupt') AS tool,
        bool_or(type = 'decision') AS decided,
        max(seq) FILTER (outcome IN ('approved', 'edited')) AS approved_seq
    FROM scope
    WHERE type IN ('interrupt', 'decision')
    GROUP BY thread_id, approval_id
),
approvals AS (
    SELECT
        approval.thread_id,
        bool_or(NOT decided) AS waiting,
        bool_or(result.status = 'ok') AS executed,
        min(approved_seq) FILTER (result.seq IS NULL) AS unreported_seq
    FROM approval
    LEFT JOIN (SELECT thread_id, tool, seq, status FROM scope WHERE type = 'tool_result') AS result
        ON result.thread_id = approval.thread_id
        AND result.tool = approval.tool
        AND result.seq > approval.approved_seq
    GROUP BY approval.thread_id
),
conversation AS (
    SELECT
        thread_id,
        min(happened_at) FILTER (first_seq = 1 AND caller IS NULL) AS started_at,
        any_value(customer_id) AS customer_id,
        count(*) FILTER (type IN ('message_complete', 'interrupt', 'error')) AS turns,
        max(happened_at) AS last_at,
        bool_or(type IN ('escalation', 'takeover') OR coalesce(role = 'colleague', false)) AS escalated,
        bool_or(status = 'ok') AS succeeded,
        bool_or(outcome = 'rejected') AS rejected,
        bool_or(outcome = 'responded' OR (status = 'ok' AND policy IS NOT NULL)) AS helped_otherwise,
        max(CASE WHEN role = 'customer' THEN seq ELSE 0 END) AS customer_seq,
        max(CASE WHEN role = 'agent' THEN seq ELSE 0 END) AS agent_seq,
        max(CASE WHEN type = 'message_complete' THEN seq ELSE 0 END) AS completed_seq,
        -- A completed turn with a code: its answer was cut off, filtered or refused.
        max(CASE WHEN type = 'message_complete' AND code IS NOT NULL THEN seq ELSE 0 END) AS incomplete_seq,
        max(CASE WHEN type IN ('error', 'interrupt') THEN seq ELSE 0 END) AS interrupted_seq,
        max(CASE WHEN type = 'clarification' OR outcome = 'expired' THEN seq ELSE 0 END) AS open_seq
    FROM scope
    GROUP BY thread_id
    HAVING started_at IS NOT NULL
),
facts AS (
    SELECT
        conversation.*,
        coalesce(waiting, false) AS waiting,
        coalesce(executed OR completed_seq > unreported_seq, false) AS executed,
        last_at <= $ended_before AS is_over,
        completed_seq > greatest(customer_seq, interrupted_seq) AND open_seq <= customer_seq AS completed,
        incomplete_seq > 0 AND incomplete_seq = completed_seq AS incomplete
    FROM conversation
    LEFT JOIN approvals USING (thread_id)
),
conversation_outcome AS (
    SELECT
        thread_id,
        started_at,
        last_at,
        customer_id,
        turns,
        CASE WHEN waiting THEN 'waiting' WHEN is_over THEN 'ended' ELSE 'active' END AS status,
        CASE
            WHEN escalated THEN 'escalated'
            WHEN waiting THEN NULL
            WHEN executed THEN 'resolved_with_approval'
            WHEN completed AND rejected AND NOT coalesce(helped_otherwise, false) THEN 'rejected'
            WHEN completed AND NOT incomplete AND (succeeded OR (is_over AND agent_seq > customer_seq)) THEN 'resolved'
            WHEN is_over THEN 'abandoned'
        END AS outcome
    FROM facts
)
