"""Summaries of events: a row per conversation, turn and approval, and counts per hour.

Figures and lists read these tables instead of `events`, so that their cost grows with what they show. The
tables are in the event file and change in its transactions, so a backup, a copy or a kill has all or nothing.

New events are summarized together, not each: before a query that needs it, and once there are many.
`summarized` counts them. Nothing but an erasure deletes events, so those after the first `summarized` ones,
in the order of the file, are new. The rows of a conversation are computed again from all its events, and the
counts of an hour are added up. So the tables hold the same whenever and however often this is done.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import duckdb

# Events of one transaction. A greater number takes less time in sum, and others wait longer.
EVENTS_AT_ONCE = 100_000
TABLES = ("conversations", "turns", "turn_agents", "requests", "hours", "texts", "turn_days", "request_days")
# Of these columns no value is long.
_COLUMNS = """
    thread_id, turn_id, first_seq, seq, happened_at, type, channel, customer_id, caller, agent, role, tool,
    status, approval_id, outcome, decided_by, model, input_tokens, output_tokens, cost_usd, duration_ms,
    first_token_ms, code, error_class, policy, kind"""
# See the migration 0005_search.
_KEY = "md5_number_lower(thread_id)"
_NEW_EVENTS = f"""
    CREATE OR REPLACE TEMP TABLE new_events AS
    SELECT {_COLUMNS} FROM events WHERE rowid >= $first AND rowid < $end
"""
# Most threads were active a short time ago, and their rows are near the end of the table. Those whose first
# event is new have no row. So few are looked for in all of it.
_KNOWN = """
    CREATE OR REPLACE TEMP TABLE continued AS
    SELECT thread_id, min(first_seq) > 1 AS is_older FROM new_events GROUP BY thread_id;
    CREATE OR REPLACE TEMP TABLE known AS
    SELECT thread_id, first_at, customer_ids, opening_seq, opening FROM conversations
    WHERE last_at >= $recent AND thread_id IN (SELECT thread_id FROM continued);
    DELETE FROM continued WHERE NOT is_older OR thread_id IN (SELECT thread_id FROM known)
"""
_ALSO_KNOWN = """
    INSERT INTO known
    SELECT thread_id, first_at, customer_ids, opening_seq, opening FROM conversations
    WHERE last_at < $recent AND thread_id IN (SELECT thread_id FROM continued)
"""
# All events of the threads of new events.
_THREAD_EVENTS = f"""
    CREATE OR REPLACE TEMP TABLE earlier_events AS
    SELECT {_COLUMNS} FROM events
    WHERE happened_at >= $since AND rowid < $first AND thread_id IN (SELECT thread_id FROM known);
    CREATE OR REPLACE TEMP VIEW thread_events AS
    SELECT * FROM new_events UNION ALL SELECT * FROM earlier_events
"""
# status   waiting   an approval is pending
#          ended     no event for the lifetime of a session
#          active    otherwise
# outcome, the first that applies
#          escalated                it was escalated to a human, or a person answered in it
#          null                     it is waiting
#          resolved_with_approval   an approved or edited action was executed: the tool returned `ok` after
#                                   the decision or, for a graph that reports no results, the turn completed
#          rejected                 the last turn completed (see resolved), a write was rejected, and none was
#                                   executed: neither with an approval nor by a policy rule. Lookups don't
#                                   count, nor do writes that failed, expired or were withdrawn. A write that
#                                   a person answered instead (`responded`) counts as executed here
#          resolved                 the last turn completed with a whole answer, no question to the customer
#                                   is open, the last approval did not just expire, and a tool returned `ok`
#                                   or, once the conversation has ended, the customer got an answer
#          abandoned                it ended in another way: with an error, an expired approval, a question to
#                                   the customer, half an answer, a refusal of the model, or no answer
#          null                     it is active, and nothing was done yet
_CONVERSATIONS = f"""
    CREATE OR REPLACE TEMP TABLE new_conversations AS
    WITH approval AS (
        SELECT
            thread_id,
            approval_id,
            any_value(tool) FILTER (type = 'interrupt') AS tool,
            bool_or(type = 'decision') AS decided,
            max(seq) FILTER (outcome IN ('approved', 'edited')) AS approved_seq
        FROM thread_events
        WHERE type IN ('interrupt', 'decision')
        GROUP BY thread_id, approval_id
    ),
    result AS (
        SELECT thread_id, tool, max(seq) AS last_seq, max(seq) FILTER (status = 'ok') AS ok_seq
        FROM thread_events
        WHERE type = 'tool_result'
        GROUP BY thread_id, tool
    ),
    approvals AS (
        SELECT
            approval.thread_id,
            bool_or(NOT decided) AS waiting,
            bool_or(ok_seq > approved_seq) AS executed,
            min(approved_seq) FILTER (coalesce(last_seq <= approved_seq, true)) AS unreported_seq
        FROM approval
        LEFT JOIN result ON result.thread_id = approval.thread_id AND result.tool = approval.tool
        GROUP BY approval.thread_id
    ),
    -- Which agents, in the order in which they took part.
    speaker AS (
        SELECT thread_id, list(agent ORDER BY first_event) AS agents
        FROM (
            SELECT thread_id, agent, min(seq) AS first_event
            FROM thread_events WHERE agent IS NOT NULL GROUP BY thread_id, agent
        )
        GROUP BY thread_id
    ),
    failed AS (
        SELECT
            thread_id,
            list_sort(list_distinct(list_concat(
                list(coalesce(error_class, 'unknown')),
                list(concat(coalesce(error_class, 'unknown'), ' ', tool))
            ))) AS errors
        FROM thread_events WHERE type = 'tool_result' AND status = 'error' GROUP BY thread_id
    ),
    escalation AS (
        SELECT thread_id, list_sort(list_distinct(list(coalesce(kind, 'asked')))) AS escalations
        FROM thread_events WHERE type = 'escalation' GROUP BY thread_id
    ),
    facts AS (
        SELECT
            thread_id,
            min(happened_at) AS first_at,
            min(happened_at) FILTER (first_seq = 1 AND caller IS NULL) AS started_at,
            max(happened_at) AS last_at,
            arg_max(customer_id, seq) AS customer_id,
            arg_min(customer_id, seq) AS first_customer_id,
            list_sort(list_distinct(list(customer_id))) AS customer_ids,
            count(*) FILTER (type IN ('message_complete', 'interrupt', 'error')) AS turns,
            sum(cost_usd) AS cost_usd,
            bool_or(type IN ('escalation', 'takeover') OR coalesce(role = 'colleague', false)) AS escalated,
            bool_or(status = 'ok') AS succeeded,
            bool_or(outcome = 'rejected') AS rejected,
            bool_or(outcome = 'responded' OR (status = 'ok' AND policy IS NOT NULL)) AS helped_otherwise,
            max(CASE WHEN role = 'customer' THEN seq ELSE 0 END) AS customer_seq,
            max(CASE WHEN role = 'agent' THEN seq ELSE 0 END) AS agent_seq,
            max(CASE WHEN type = 'message_complete' THEN seq ELSE 0 END) AS completed_seq,
            -- A completed turn with a code: its answer was cut off, filtered or refused.
            max(CASE WHEN type = 'message_complete' AND code IS NOT NULL THEN seq ELSE 0 END)
                AS incomplete_seq,
            max(CASE WHEN type IN ('error', 'interrupt') THEN seq ELSE 0 END) AS interrupted_seq,
            max(CASE WHEN type = 'clarification' OR outcome = 'expired' THEN seq ELSE 0 END) AS open_seq,
            list_sort(list_distinct(list(channel))) AS channels,
            list_sort(list_distinct(list(tool))) AS tools,
            bool_or(type = 'tool_result' AND policy IS NOT NULL) AS by_policy
        FROM thread_events
        GROUP BY thread_id
    ),
    judged AS (
        SELECT
            *,
            coalesce(waiting, false) AS is_waiting,
            coalesce(executed OR completed_seq > unreported_seq, false) AS is_executed,
            completed_seq > greatest(customer_seq, interrupted_seq) AND open_seq <= customer_seq AS completed,
            incomplete_seq > 0 AND incomplete_seq = completed_seq AS incomplete,
            CASE
                WHEN escalated THEN 'escalated'
                WHEN is_waiting THEN NULL
                WHEN is_executed THEN 'resolved_with_approval'
                WHEN completed AND rejected AND NOT coalesce(helped_otherwise, false) THEN 'rejected'
                WHEN completed AND NOT incomplete AND succeeded THEN 'resolved'
            END AS outcome
        FROM facts
        LEFT JOIN approvals USING (thread_id)
    )
    SELECT
        thread_id,
        {_KEY} AS thread_key,
        judged.first_at,
        started_at,
        last_at,
        customer_id,
        first_customer_id,
        strip_accents(lower(array_to_string(judged.customer_ids, chr(1)))) AS customer_ids,
        turns,
        cost_usd,
        is_waiting AS waiting,
        outcome,
        CASE
            WHEN outcome IS NOT NULL OR is_waiting THEN outcome
            WHEN completed AND NOT incomplete AND agent_seq > customer_seq THEN 'resolved'
            ELSE 'abandoned'
        END AS outcome_at_end,
        false AS reopened,
        coalesce(agents, []) AS agents,
        coalesce(channels, []) AS channels,
        coalesce(tools, []) AS tools,
        coalesce(errors, []) AS errors,
        coalesce(escalations, []) AS escalations,
        coalesce(by_policy, false) AS by_policy,
        least(known.opening_seq, opened.opening_seq) AS opening_seq,
        CASE WHEN coalesce(known.opening_seq <= opened.opening_seq, opened.opening_seq IS NULL)
            THEN known.opening ELSE opened.opening END AS opening
    FROM judged
    LEFT JOIN speaker USING (thread_id)
    LEFT JOIN failed USING (thread_id)
    LEFT JOIN escalation USING (thread_id)
    LEFT JOIN known USING (thread_id)
    LEFT JOIN opened USING (thread_id)
"""
_OPENED = """
    CREATE OR REPLACE TEMP TABLE opened AS
    SELECT thread_id, min(seq) AS opening_seq, left(arg_min(payload, seq) ->> '$.content', 200) AS opening
    FROM events
    WHERE rowid >= $first AND rowid < $end AND role = 'customer'
    GROUP BY thread_id
"""
# The ids of customers are separated by a character that is in none of them.
_TEXTS = f"""
    INSERT INTO texts BY NAME
    SELECT
        (SELECT next_number FROM numbered_texts) + row_number() OVER () - 1 AS number,
        {_KEY} AS thread_key,
        *
    FROM (
        SELECT
            thread_id,
            'message' AS kind,
            happened_at,
            strip_accents(lower(payload ->> '$.content')) AS text
        FROM events
        WHERE rowid >= $first AND rowid < $end AND type = 'message'
        UNION ALL
        SELECT thread_id, 'thread', coalesce(started_at, first_at), lower(thread_id)
        FROM new_conversations
        ANTI JOIN known USING (thread_id)
        UNION ALL
        SELECT thread_id, 'customer', coalesce(started_at, new.first_at), unnest(list_filter(
            list_distinct(string_split(new.customer_ids, chr(1))),
            lambda id: NOT coalesce(list_contains(string_split(known.customer_ids, chr(1)), id), false)
        ))
        FROM new_conversations AS new
        LEFT JOIN known USING (thread_id)
        WHERE new.customer_ids <> ''
    );
    UPDATE numbered_texts SET next_number = greatest(
        next_number,
        (
            SELECT coalesce(max(number), -1) + 1
            FROM texts
            WHERE number >= (SELECT next_number FROM numbered_texts)
        )
    )
"""
_TURNS = """
    INSERT INTO turns BY NAME
    SELECT
        happened_at,
        thread_id,
        turn_id,
        type,
        caller,
        CASE WHEN type = 'message_complete' THEN duration_ms END AS duration_ms,
        CASE WHEN type = 'message_complete' THEN first_token_ms END AS first_token_ms
    FROM new_events
    WHERE type IN ('message_complete', 'interrupt', 'error')
"""
_TURN_AGENTS = """
    CREATE OR REPLACE TEMP TABLE new_turns AS
    SELECT DISTINCT turn_id FROM new_events
    WHERE type IN ('message', 'tool_call') AND agent IS NOT NULL AND caller IS NULL;
    DELETE FROM turn_agents WHERE first_at >= $since AND turn_id IN (SELECT turn_id FROM new_turns);
    INSERT INTO turn_agents BY NAME
    SELECT thread_id, turn_id, agent, min(happened_at) AS first_at, max(happened_at) AS last_at
    FROM thread_events
    WHERE type IN ('message', 'tool_call') AND agent IS NOT NULL AND caller IS NULL
        AND turn_id IN (SELECT turn_id FROM new_turns)
    GROUP BY thread_id, turn_id, agent
"""
_REQUESTS = f"""
    INSERT INTO requests BY NAME
    SELECT
        thread_id,
        {_KEY} AS thread_key,
        approval_id,
        min(happened_at) AS first_at,
        min(happened_at) FILTER (type = 'interrupt') AS requested_at,
        any_value(tool) AS tool,
        any_value(outcome) AS outcome,
        any_value(decided_by) AS decided_by,
        min(happened_at) FILTER (type = 'decision') AS decided_at
    FROM thread_events
    WHERE type IN ('interrupt', 'decision')
    GROUP BY thread_id, approval_id
"""
# The counts of events that have the same values.
_COUNTED = """
    SELECT
        date_trunc('hour', happened_at) AS hour,
        type,
        first_seq = 1 AND caller IS NULL AS begins,
        caller,
        tool,
        status,
        error_class,
        policy IS NOT NULL AS by_policy,
        kind,
        model,
        input_tokens IS NOT NULL AS has_usage,
        count(*)::HUGEINT AS events,
        sum(input_tokens) AS input_tokens,
        sum(output_tokens) AS output_tokens,
        sum(cost_usd) AS cost_usd
    FROM {}
    GROUP BY ALL
"""
_HOURS = f"""
    CREATE OR REPLACE TEMP TABLE new_hours AS {_COUNTED.format("new_events")};
    INSERT INTO new_hours BY NAME
    SELECT * FROM hours
    WHERE hour >= (SELECT min(hour) FROM new_hours) AND hour IN (SELECT hour FROM new_hours);
    DELETE FROM hours
    WHERE hour >= (SELECT min(hour) FROM new_hours) AND hour IN (SELECT hour FROM new_hours);
    INSERT INTO hours BY NAME
    SELECT
        hour, type, begins, caller, tool, status, error_class, by_policy, kind, model, has_usage,
        sum(events)::HUGEINT AS events, sum(input_tokens)::HUGEINT AS input_tokens,
        sum(output_tokens)::HUGEINT AS output_tokens, sum(cost_usd) AS cost_usd
    FROM new_hours
    GROUP BY ALL
    ORDER BY hour
"""
# Which conversations of some customers, over since a time, their customer came back after within 7 days.
_REOPENED = """
    CREATE OR REPLACE TEMP TABLE changed AS
    WITH own AS (
        SELECT thread_id, first_customer_id, started_at, last_at, reopened
        FROM conversations
        SEMI JOIN whose USING (first_customer_id)
        WHERE started_at IS NOT NULL AND last_at >= $since::TIMESTAMP - INTERVAL 7 DAY
    )
    SELECT own.thread_id
    FROM own
    ASOF LEFT JOIN own AS later
        ON own.first_customer_id = later.first_customer_id AND own.last_at < later.started_at
    WHERE own.reopened <> coalesce(later.started_at <= own.last_at + INTERVAL 7 DAY, false);
    UPDATE conversations SET reopened = NOT reopened
    WHERE last_at >= $since::TIMESTAMP - INTERVAL 7 DAY AND thread_id IN (SELECT thread_id FROM changed)
"""
_WHOSE = """
    CREATE OR REPLACE TEMP TABLE whose AS
    SELECT DISTINCT first_customer_id FROM {} WHERE first_customer_id IS NOT NULL
"""


# The percentiles of the days from $day on, of those that have ended: before the day of the newest event.
_TURN_DAYS = """
    DELETE FROM turn_days WHERE day >= $day;
    INSERT INTO turn_days BY NAME
    SELECT
        date_trunc('day', happened_at) AS day,
        quantile_cont(duration_ms, [0.5, 0.95, 0.99]) AS turn,
        quantile_cont(first_token_ms, [0.5, 0.95, 0.99]) AS first_token
    FROM turns
    WHERE happened_at >= $day AND happened_at < $today AND caller IS NULL
    GROUP BY ALL
    ORDER BY day
"""
_REQUEST_DAYS = """
    DELETE FROM request_days WHERE day >= $day;
    INSERT INTO request_days BY NAME
    SELECT
        date_trunc('day', requested_at) AS day,
        quantile_cont(date_diff('microsecond', requested_at, decided_at) / 1e6, [0.5, 0.95])
            FILTER (outcome NOT IN ('expired', 'withdrawn')) AS seconds
    FROM requests
    WHERE requested_at >= $day AND requested_at < $today
    GROUP BY ALL
    ORDER BY day
"""
_ADD = f"""
    {_OPENED};
    DELETE FROM conversations WHERE first_at >= $since AND thread_id IN (SELECT thread_id FROM known);
    {_CONVERSATIONS};
    INSERT INTO conversations BY NAME SELECT * FROM new_conversations;
    {_TEXTS};
    {_TURNS};
    {_TURN_AGENTS};
    DELETE FROM requests WHERE first_at >= $since AND thread_id IN (SELECT thread_id FROM known);
    {_REQUESTS};
    {_HOURS};
    {_WHOSE.format("new_conversations")};
    {_REOPENED}
"""
_AMONG = "(SELECT unnest($threads::VARCHAR[]))"
_ERASE = f"""
    CREATE OR REPLACE TEMP TABLE changed_hours AS
    SELECT DISTINCT date_trunc('hour', happened_at) AS hour FROM events WHERE thread_id IN {_AMONG};
    {_WHOSE.format("conversations")} AND thread_id IN {_AMONG};
    DELETE FROM events WHERE thread_id IN {_AMONG};
    DELETE FROM conversations WHERE thread_id IN {_AMONG};
    DELETE FROM turns WHERE thread_id IN {_AMONG};
    DELETE FROM turn_agents WHERE thread_id IN {_AMONG};
    DELETE FROM requests WHERE thread_id IN {_AMONG};
    DELETE FROM texts WHERE thread_id IN {_AMONG};
    DELETE FROM hours WHERE hour IN (SELECT hour FROM changed_hours);
    CREATE OR REPLACE TEMP TABLE new_events AS
    SELECT * FROM events
    WHERE happened_at >= (SELECT min(hour) FROM changed_hours)
        AND date_trunc('hour', happened_at) IN (SELECT hour FROM changed_hours);
    INSERT INTO hours BY NAME {_COUNTED.format("new_events")};
    UPDATE summarized SET events = (SELECT count(*) FROM events);
    {_REOPENED}
"""
_EMPTY = (
    "; ".join(f"DELETE FROM {table}" for table in TABLES)
    + """; UPDATE summarized SET events = 0;
    UPDATE numbered_texts SET next_number = 0, numbering = uuid()
"""
)
_LONG_AGO = datetime(1970, 1, 8)
_RECENT = timedelta(hours=6)


class Summaries:
    """Keeps the tables of one file. For the writing thread.

    Attributes:
        cursor: of the writing thread.
        waiting: how many events may not be summarized yet.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, on_added: Callable[[int], None]) -> None:
        """
        Args:
            on_added: called after each transaction with the number of events that it summarized.
        """
        self._on_added = on_added
        self.reopen(cursor)

    def reopen(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Go on with another file, or with the same one opened again."""
        self.cursor = cursor
        # A compacted copy has the summaries of when it was begun, and later events.
        self.waiting = self._not_summarized()
        # The day of the newest event that is summarized; None: to be looked up.
        self._today: datetime | None = None

    def add(self, most: int | None = None) -> None:
        """Summarize new events: all of them, or some, the oldest first, until they are `most`."""
        done = 0
        while self.waiting and (most is None or done < most):
            today, self._today = self._today, None
            with transaction(self.cursor):
                # Counted, because rows of a failed transaction are not there.
                self.waiting = self._not_summarized()
                today = today or self._newest_day()
                added, today = self._add_some(today) if self.waiting else (0, today)
            self._today = today
            self.waiting -= added
            done += added
            self._on_added(added)

    def erase(self, thread_ids: Sequence[str]) -> None:
        """As `erase` of this module, in the file that is kept."""
        erase(self.cursor, thread_ids)
        self._today = None

    def rebuild(self) -> int:
        """Compute all rows again. Returns the number of events."""
        with transaction(self.cursor):
            _run(self.cursor, _EMPTY)
        self._today = None
        self.waiting = events = self._not_summarized()
        self.add()
        return events

    def _newest_day(self) -> datetime:
        newest = self._value("SELECT max(last_at) FROM conversations")
        return _day(newest) if newest else _LONG_AGO

    def _not_summarized(self) -> int:
        return int(self._value("SELECT (SELECT count(*) FROM events) - events FROM summarized"))

    def _first_new(self) -> int:
        """The row id of the first event that is not summarized."""
        first = int(self._value("SELECT coalesce(max(rowid), -1) FROM events")) + 1
        missing = self.waiting
        # Erased events leave gaps between the row ids.
        while missing:
            first -= missing
            missing = self.waiting - int(self._value(f"SELECT count(*) FROM events WHERE rowid >= {first}"))
        return first

    def _add_some(self, today: datetime) -> tuple[int, datetime]:
        """Summarize the next events. Returns their number, and the day of the newest of all."""
        first = self._first_new()
        end = first + EVENTS_AT_ONCE
        bounds: dict[str, Any] = {"first": first, "end": end}
        _run(self.cursor, _NEW_EVENTS, **bounds)
        added, new_since, newest = self._row(
            "SELECT count(*), min(happened_at), max(happened_at) FROM new_events"
        )
        recent = new_since - _RECENT
        _run(self.cursor, _KNOWN, recent=recent)
        if self._value("SELECT count(*) FROM continued"):
            _run(self.cursor, _ALSO_KNOWN, recent=recent)
        known_since = self._value("SELECT min(first_at) FROM known")
        _run(self.cursor, _THREAD_EVENTS, first=first, since=known_since)
        since = min(new_since, known_since or new_since)
        _run(self.cursor, _ADD, **bounds, since=since)
        today = self._add_days(today, new_since, since, newest)
        _run(self.cursor, "UPDATE summarized SET events = events + $added", added=added)
        return int(added), today

    def _add_days(self, before: datetime, new_since: datetime, since: datetime, newest: datetime) -> datetime:
        """Compute the days again that have new turns or changed requests, or that ended since `before`."""
        today = max(before, _day(newest))
        for script, changed in ((_TURN_DAYS, new_since), (_REQUEST_DAYS, since)):
            if (day := min(before, _day(changed))) < today:
                _run(self.cursor, script, day=day, today=today)
        return today

    def _row(self, sql: str) -> tuple[Any, ...]:
        (row,) = self.cursor.execute(sql).fetchall()
        return tuple(row)

    def _value(self, sql: str) -> Any:
        return self._row(sql)[0]


def erase(cursor: duckdb.DuckDBPyConnection, thread_ids: Sequence[str]) -> None:
    """Delete the events of threads and their rows, in the caller's transaction. All must be summarized."""
    _run(cursor, _ERASE, threads=list(thread_ids), since=_LONG_AGO)
    days = "SELECT (SELECT min(hour) FROM changed_hours), (SELECT max(happened_at) FROM events)"
    ((first, newest),) = cursor.execute(days).fetchall()
    if first:
        for script in (_TURN_DAYS, _REQUEST_DAYS):
            _run(cursor, script, day=_day(min(first, newest or first)), today=_day(newest or first))


def _day(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def text_positions(cursor: duckdb.DuckDBPyConnection, thread_ids: Sequence[str]) -> list[int]:
    """The numbers of the texts of threads, for the search index."""
    sql = f"SELECT number FROM texts WHERE thread_id IN {_AMONG}"
    return [int(number) for (number,) in cursor.execute(sql, {"threads": list(thread_ids)}).fetchall()]


def skip_positions(cursor: duckdb.DuckDBPyConnection, copy: str) -> range:
    """Let a copy of the file give no text a number that the file has given since. Returns those numbers."""
    sql = "SELECT next_number FROM {}numbered_texts"
    (first,), (end,) = cursor.execute(f"{sql.format(f'{copy}.')} UNION ALL {sql.format('')}").fetchall()
    cursor.execute(f"UPDATE {copy}.numbered_texts SET next_number = $end", {"end": end})
    return range(first, end)


@contextmanager
def transaction(cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commit what is done in the context, or nothing of it."""
    cursor.begin()
    try:
        yield
        cursor.commit()
    except BaseException:
        cursor.rollback()
        raise


def _run(cursor: duckdb.DuckDBPyConnection, script: str, **params: Any) -> None:
    """Run statements, each with those of the parameters that it names."""
    for statement in filter(str.strip, script.split(";")):
        named = {name: value for name, value in params.items() if f"${name}" in statement}
        cursor.execute(statement, named)
