-- An overview of one thread: the number of steps, the last `seq` of each page of $page steps, tokens and cost, and
-- the positions (from 1) of errors, approvals, escalations and search results: `found` are those that contain $q.
WITH step AS (
    SELECT *, row_number() OVER (ORDER BY seq) AS place FROM events WHERE thread_id = $thread_id
)
SELECT
    count(*) AS steps,
    list(seq ORDER BY seq) FILTER (place % $page = 0) AS ends,
    min(happened_at) AS started_at,
    list(DISTINCT channel ORDER BY channel) FILTER (channel IS NOT NULL) AS channels,
    count(*) FILTER (role = 'customer') AS messages,
    {
        'input': coalesce(sum(input_tokens), 0)::BIGINT,
        'output': coalesce(sum(output_tokens), 0)::BIGINT
    } AS tokens,
    sum(cost_usd) AS cost_usd,
    list(place ORDER BY place) FILTER (type = 'error' OR status = 'error') AS failed,
    list(place ORDER BY place) FILTER (type = 'interrupt') AS approvals,
    list(place ORDER BY place) FILTER (type = 'escalation') AS escalations,
    -- First search the JSON text: it is fast and excludes most rows.
    list(place ORDER BY place) FILTER (contains(strip_accents(lower(payload)), strip_accents(lower($q_json))) AND contains(strip_accents(lower(concat_ws(
        chr(10), tool, decided_by, payload ->> '$.content', payload ->> '$.args', payload ->> '$.summary',
        payload ->> '$.reason', payload ->> '$.message', payload ->> '$.question', payload ->> '$.options'
    ))), strip_accents(lower($q)))) AS found
FROM step
