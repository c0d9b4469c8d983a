-- Included by others, after a CTE `scope`: the events to judge by. One row a conversation.
--
-- status   waiting   an approval that it asked for has no decision yet
--          ended     nothing has happened for as long as a session lives ($ended_before)
--          active    otherwise
-- outcome, the first that holds
--          escalated                a human was called
--          null                     while it waits
--          resolved_with_approval   an approved or edited action was carried out: a result `ok` of that tool
--                                   came after the decision, or, from a graph that reports no results, the
--                                   turn completed
--          rejected                 its last turn completed, a write was asked for and refused, and nothing else
--                                   was done: no tool ran ok
--          resolved                 its last turn completed, no question to the customer is open, the last
--                                   approval has not just expired, and a tool ran ok or, once it has ended,
--                                   the customer got an answer
--          abandoned                it ended in any other way: an error, an expired approval or a question
--                                   to the customer was the last word, or nobody answered
--          null                     active, with nothing done yet
asked AS (
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
        asked.thread_id,
        bool_or(NOT decided) AS waiting,
        bool_or(result.status = 'ok') AS carried_out,
        min(approved_seq) FILTER (result.seq IS NULL) AS unreported_seq
    FROM asked
    LEFT JOIN (SELECT thread_id, tool, seq, status FROM scope WHERE type = 'tool_result') AS result
        ON result.thread_id = asked.thread_id
        AND result.tool = asked.tool
        AND result.seq > asked.approved_seq
    GROUP BY asked.thread_id
),
words AS (
    SELECT
        thread_id,
        min(happened_at) FILTER (first_seq = 1) AS started_at,
        any_value(customer_id) AS customer_id,
        count(*) FILTER (type IN ('message_complete', 'interrupt', 'error')) AS turns,
        max(happened_at) AS last_at,
        bool_or(type = 'escalation') AS escalated,
        bool_or(status = 'ok') AS acted,
        bool_or(outcome = 'rejected') AS refused,
        max(CASE WHEN role = 'customer' THEN seq ELSE 0 END) AS customer_seq,
        max(CASE WHEN role = 'agent' THEN seq ELSE 0 END) AS agent_seq,
        max(CASE WHEN type = 'message_complete' THEN seq ELSE 0 END) AS completed_seq,
        max(CASE WHEN type IN ('error', 'interrupt') THEN seq ELSE 0 END) AS broken_off_seq,
        max(CASE WHEN type = 'clarification' OR outcome = 'expired' THEN seq ELSE 0 END) AS open_seq
    FROM scope
    GROUP BY thread_id
    HAVING started_at IS NOT NULL
),
facts AS (
    SELECT
        words.*,
        coalesce(waiting, false) AS waiting,
        coalesce(carried_out OR completed_seq > unreported_seq, false) AS carried_out,
        last_at <= $ended_before AS over,
        completed_seq > greatest(customer_seq, broken_off_seq) AND open_seq <= customer_seq AS settled
    FROM words
    LEFT JOIN approvals USING (thread_id)
),
judged AS (
    SELECT
        thread_id,
        started_at,
        last_at,
        customer_id,
        turns,
        CASE WHEN waiting THEN 'waiting' WHEN over THEN 'ended' ELSE 'active' END AS status,
        CASE
            WHEN escalated THEN 'escalated'
            WHEN waiting THEN NULL
            WHEN carried_out THEN 'resolved_with_approval'
            WHEN settled AND refused AND NOT coalesce(acted, false) THEN 'rejected'
            WHEN settled AND (acted OR (over AND agent_seq > customer_seq)) THEN 'resolved'
            WHEN over THEN 'abandoned'
        END AS outcome
    FROM facts
)
