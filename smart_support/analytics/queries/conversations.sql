-- A page of the conversations that started in the range, newest first, after a cursor.
-- Without a filter on status or outcome, these are computed for one page of $candidates only. With such a filter
-- and no other ($all_conversations), the events are not restricted to candidates, because that only costs time.
WITH candidate AS MATERIALIZED (
    SELECT thread_id, min(happened_at) AS started_at
    FROM events
    WHERE
        happened_at >= $since AND happened_at < $until AND first_seq = 1 AND caller IS NULL
        AND ($after_at IS NULL OR happened_at < $after_at OR (happened_at = $after_at AND thread_id < $after_id))
        AND ($only IS NULL OR thread_id IN (SELECT unnest($only::VARCHAR[])))
        AND ($agent IS NULL OR thread_id IN (
            SELECT thread_id FROM events WHERE happened_at >= coalesce($counted_since, $since) AND agent = $agent
        ))
        AND ($channel IS NULL OR thread_id IN (
            SELECT thread_id FROM events WHERE happened_at >= coalesce($counted_since, $since) AND channel = $channel
        ))
        AND ($tool IS NULL AND $error_class IS NULL OR thread_id IN (
            SELECT thread_id
            FROM events
            WHERE happened_at >= coalesce($counted_since, $since)
                AND ($tool IS NULL OR tool = $tool)
                AND ($error_class IS NULL
                    OR (type = 'tool_result' AND status = 'error' AND coalesce(error_class, 'unknown') = $error_class))
        ))
        AND ($approval IS NULL AND $decided_by IS NULL OR thread_id IN (
            SELECT thread_id
            FROM events
            WHERE happened_at >= coalesce($counted_since, $since)
                AND ($decided_by IS NULL OR decided_by = $decided_by)
                AND CASE $approval
                    WHEN 'asked' THEN type = 'interrupt'
                    WHEN 'by_policy' THEN type = 'tool_result' AND policy IS NOT NULL
                    WHEN 'pending' THEN type = 'interrupt' AND approval_id NOT IN (
                        SELECT approval_id
                        FROM events
                        WHERE happened_at >= coalesce($counted_since, $since) AND type = 'decision' AND approval_id IS NOT NULL
                    )
                    ELSE type = 'decision' AND ($approval IS NULL OR outcome = $approval)
                END
        ))
        AND ($escalation IS NULL OR thread_id IN (
            SELECT thread_id
            FROM events
            WHERE happened_at >= coalesce($counted_since, $since) AND type = 'escalation' AND coalesce(kind, 'asked') = $escalation
        ))
        -- First search the JSON text: it is fast and excludes most rows.
        AND ($q IS NULL OR contains(lower(thread_id), lower($q)) OR thread_id IN (
            SELECT thread_id
            FROM events
            WHERE happened_at >= coalesce($counted_since, $since) AND (
                contains(strip_accents(lower(customer_id)), strip_accents(lower($q)))
                OR (type = 'message' AND contains(strip_accents(lower(payload)), strip_accents(lower($q_json)))
                    AND contains(strip_accents(lower(payload ->> '$.content')), strip_accents(lower($q))))
            )
        ))
        -- The events that a figure counts, in its time range, whenever the conversation started.
        AND ($figure IS NULL OR thread_id IN (
            SELECT thread_id
            FROM events
            WHERE happened_at >= $counted_since AND happened_at < $counted_until
                AND CASE $figure
                    WHEN 'agents' THEN type IN ('message', 'tool_call') AND agent = coalesce($line, agent)
                    WHEN 'tools' THEN (type = 'tool_call' OR status = 'error') AND tool = coalesce($line, tool)
                    WHEN 'tool_errors' THEN type = 'tool_result' AND status = 'error'
                        AND coalesce(error_class, 'unknown') = coalesce($line, error_class, 'unknown')
                    WHEN 'escalations' THEN type = 'escalation' AND coalesce(kind, 'asked') = coalesce($line, kind, 'asked')
                    WHEN 'by_policy' THEN type = 'tool_result' AND policy IS NOT NULL
                    WHEN 'approval_tools' THEN type = 'interrupt' AND tool = coalesce($line, tool)
                    ELSE type = 'interrupt' AND ($line IS NULL OR ($line = 'pending') <> (approval_id IN (
                        SELECT approval_id
                        FROM events
                        WHERE happened_at >= $counted_since AND type = 'decision' AND approval_id IS NOT NULL
                            AND CASE
                                WHEN $figure = 'leads' THEN decided_by = $line AND outcome NOT IN ('expired', 'withdrawn')
                                ELSE $line = 'pending' OR outcome = $line
                            END
                    )))
                END
        ))
    GROUP BY thread_id
    ORDER BY started_at DESC, thread_id DESC
    LIMIT $candidates
),
scope AS NOT MATERIALIZED (
    SELECT *
    FROM events
    WHERE
        happened_at >= $since
        AND ($all_conversations OR (
            happened_at >= (SELECT min(started_at) FROM candidate)
            AND thread_id IN (SELECT thread_id FROM candidate)
        ))
),
-- include conversation_outcomes,
page AS MATERIALIZED (
    SELECT conversation_outcome.*
    FROM conversation_outcome
    SEMI JOIN candidate USING (thread_id)
    WHERE ($status IS NULL OR status = $status) AND ($outcomes IS NULL OR list_contains($outcomes::VARCHAR[], outcome))
    ORDER BY started_at DESC, thread_id DESC
    LIMIT $rows
),
detail AS (
    SELECT
        thread_id,
        arg_max(customer_id, seq) AS customer_id,
        sum(cost_usd) AS cost_usd,
        arg_min(payload, seq) FILTER (role = 'customer') ->> '$.content' AS opening
    FROM events
    WHERE
        happened_at >= $since
        AND happened_at >= (SELECT min(started_at) FROM page)
        AND thread_id IN (SELECT thread_id FROM page)
    GROUP BY thread_id
),
speaker AS (
    SELECT thread_id, agent, min(seq) AS first_event
    FROM events
    WHERE
        happened_at >= $since
        AND happened_at >= (SELECT min(started_at) FROM page)
        AND thread_id IN (SELECT thread_id FROM page)
        AND agent IS NOT NULL
    GROUP BY thread_id, agent
),
speakers AS (
    SELECT thread_id, list(agent ORDER BY first_event) AS agents FROM speaker GROUP BY thread_id
)
SELECT
    page.thread_id,
    detail.customer_id,
    started_at,
    last_at,
    turns,
    coalesce(agents, []) AS agents,
    status,
    outcome,
    cost_usd,
    left(opening, 200) AS opening
FROM page
JOIN detail USING (thread_id)
LEFT JOIN speakers USING (thread_id)
ORDER BY started_at DESC, page.thread_id DESC
