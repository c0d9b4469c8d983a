matching AS MATERIALIZED (
    SELECT thread_id
    FROM events
    WHERE happened_at >= $since
    GROUP BY thread_id
    HAVING
        ($agent IS NULL OR bool_or(agent = $agent))
        AND ($tool IS NULL OR bool_or(tool = $tool))
        AND ($channel IS NULL OR bool_or(channel = $channel))
)
