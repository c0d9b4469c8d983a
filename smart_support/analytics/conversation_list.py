"""The statement for a page of the list of conversations: only the conditions that are in use."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from smart_support.analytics.cursor import Cursor
from smart_support.analytics.filters import ConversationFilter, FigureSelection
from smart_support.analytics.time_range import TimeRange, naive
from smart_support.storage.events.search_index import Hits

_PAGE = """
SELECT
    thread_id, customer_id, started_at, last_at, turns, agents,
    CASE WHEN waiting THEN 'waiting' WHEN last_at <= $ended_before THEN 'ended' ELSE 'active' END AS status,
    CASE WHEN last_at <= $ended_before THEN outcome_at_end ELSE outcome END AS outcome,
    cost_usd, opening
FROM conversations
WHERE rowid IN (
    -- Few columns of many rows; the others of one page only.
    SELECT rowid
    FROM conversations
    WHERE {conditions}
    ORDER BY started_at DESC, thread_id DESC
    LIMIT $rows
)
ORDER BY started_at DESC, thread_id DESC
"""
_STATUS = {
    "waiting": "waiting",
    "ended": "NOT waiting AND last_at <= $ended_before",
    "active": "NOT waiting AND last_at > $ended_before",
}
_AFTER = "started_at <= $after_at AND (started_at < $after_at OR thread_id < $after_id)"
_OUTCOME = (
    "list_contains($outcomes::VARCHAR[], "
    "CASE WHEN last_at <= $ended_before THEN outcome_at_end ELSE outcome END)"
)
# A message counts from `$from` on.
_MESSAGE_HAS = "kind = 'message' AND happened_at >= $from AND contains(text, strip_accents(lower($q)))"
_ID_HAS = """kind <> 'message' AND happened_at >= $since
            AND contains(text, CASE kind WHEN 'customer' THEN strip_accents(lower($q)) ELSE lower($q) END)"""
_OF_TEXTS = """SELECT thread_key FROM texts
            WHERE {}"""
# Only these are compared with all of `$q`.
_OF_HITS = f"""SELECT thread_key FROM hit
            WHERE ({_MESSAGE_HAS}) OR ({_ID_HAS})"""
_HITS = """WITH hit AS MATERIALIZED (
            SELECT * FROM texts WHERE number IN (SELECT unnest($hits::BIGINT[]))
        )
        """
_OF_EVENTS = "thread_id IN (SELECT thread_id FROM events WHERE happened_at >= $from AND {})"
_OF_REQUESTS = "thread_key IN (SELECT thread_key FROM requests WHERE first_at >= $from AND {})"
_FAILED = "type = 'tool_result' AND status = 'error' AND coalesce(error_class, 'unknown') = {}"
# The events that a figure counts.
_COUNTED = {
    "tools": "(type = 'tool_call' OR status = 'error') AND tool = coalesce($line, tool)",
    "tool_errors": _FAILED.format("coalesce($line, error_class, 'unknown')"),
    "escalations": "type = 'escalation' AND coalesce(kind, 'asked') = coalesce($line, kind, 'asked')",
    "by_policy": "type = 'tool_result' AND policy IS NOT NULL",
    "agents": "type IN ('message', 'tool_call') AND agent = coalesce($line, agent)",
}
# The approvals that a figure counts.
_REQUESTED = {
    "approval_tools": "tool = coalesce($line, tool)",
    "leads": "decided_by = $line AND outcome NOT IN ('expired', 'withdrawn')",
    "approvals": "coalesce(outcome, 'pending') = coalesce($line, outcome, 'pending')",
}


# An event may be this much earlier than the first of its conversation: processes have clocks of their own.
CLOCKS_DIFFER = timedelta(days=1)


@dataclass(slots=True)
class ListStatement:
    """A statement, and its parameters by name.

    Attributes:
        conditions: on rows of `conversations`; all must hold.
    """

    params: dict[str, Any]
    conditions: list[str] = field(default_factory=list)

    def add(self, condition: str, **params: Any) -> None:
        """Add a condition, and the parameters that are in it."""
        self.conditions.append(condition)
        self.params |= params

    @property
    def sql(self) -> str:
        """The whole statement."""
        return _PAGE.format(conditions="\n    AND ".join(self.conditions))


def page_statement(
    time_range: TimeRange,
    *,
    status: str | None,
    outcomes: Sequence[str],
    agent: str | None,
    q: str | None,
    hits: Hits | None,
    about: ConversationFilter,
    only: Sequence[str] | None,
    after: Cursor | None,
    ended_before: datetime,
    limit: int,
) -> ListStatement:
    """The statement for one page, with one row more if another page follows.

    Args:
        q: normalized with NFKC.
        hits: the texts that can have `q`; None for all.
        about: conditions on events. Those on the events of a figure apply from the start of its range on.
        ended_before: a conversation without an event since then has ended.
    """
    page = ListStatement({"ended_before": ended_before, "rows": limit + 1})
    page.add("started_at >= $since AND started_at < $until", **time_range.params)
    counted = about.counted
    since = time_range.since if counted is None or counted.since is None else counted.since
    if after:
        page.add(_AFTER, after_at=after.started_at, after_id=after.thread_id)
    if only is not None:
        page.add("thread_id IN (SELECT unnest($only::VARCHAR[]))", only=list(only))
    if status:
        page.add(_STATUS[status])
    if outcomes:
        page.add(_OUTCOME, outcomes=list(outcomes))
    if q:
        _add_text(page, q, hits, naive(since))
    _add_events(page, agent, about, None if counted is None else naive(since))
    _add_approvals(page, about, naive(since))
    if counted and counted.figure:
        _add_counted(page, counted, naive(time_range.since - CLOCKS_DIFFER))
    return page


def _add_text(page: ListStatement, q: str, hits: Hits | None, since: datetime) -> None:
    """Add that a text has `q`. Each hit is compared with all of it: the index knows three characters."""
    places = [(None, None)] if hits is None else hits.unindexed
    parts = []
    for at, (first, end) in enumerate(places):
        for has in (_MESSAGE_HAS, _ID_HAS):
            bounds = {f"first{at}": first, f"end{at}": end}
            page.params |= {name: number for name, number in bounds.items() if number is not None}
            place = f"number >= $first{at} AND " if first is not None else ""
            place += f"number < $end{at} AND " if end is not None else ""
            parts.append(_OF_TEXTS.format(place + has))
    if hits is not None and hits.candidates:
        page.params["hits"] = hits.candidates
        parts.append(_OF_HITS)
    sources = "\n        UNION ALL ".join(parts)
    before = _HITS if _OF_HITS in parts else ""
    page.add(f"thread_key IN (\n        {before}{sources}\n    )", **{"q": q, "from": since})


def _add_events(
    page: ListStatement, agent: str | None, about: ConversationFilter, since: datetime | None
) -> None:
    """Add the conditions on events that a row of a conversation knows; `since`: only those from then on."""
    tool, failed = about.tool, about.error_class
    known: list[tuple[str, str, str, str | None]] = [
        ("agents", "agent", "agent = $agent", agent),
        ("channels", "channel", "channel = $channel", about.channel),
        (
            "escalations",
            "escalation",
            "type = 'escalation' AND coalesce(kind, 'asked') = $escalation",
            about.escalation,
        ),
        ("tools", "tool", "tool = $tool", tool if not failed else None),
        ("errors", "failed", _FAILED.format("$failed"), failed if not tool else None),
    ]
    for column, name, of_event, value in known:
        if value is not None:
            has = f"list_contains({column}, ${name})" if since is None else _OF_EVENTS.format(of_event)
            page.add(has, **{name: value})
    if tool is not None and failed is not None:
        if since is None:
            page.add("list_contains(errors, concat($failed, ' ', $tool))", failed=failed, tool=tool)
        else:
            of_event = f"tool = $tool AND {_FAILED.format('$failed')}"
            page.add(_OF_EVENTS.format(of_event), failed=failed, tool=tool)
    if since is not None and any("$from" in one for one in page.conditions):
        page.params["from"] = since


def _add_approvals(page: ListStatement, about: ConversationFilter, since: datetime) -> None:
    approval, decided_by = about.approval, about.decided_by
    if approval is None and decided_by is None:
        return
    if approval in ("asked", "pending", "by_policy"):
        if decided_by is not None:
            page.add("false")  # nobody decides a request or an automatic write
            return
        conditions = {
            "asked": _OF_REQUESTS.format("requested_at >= $from"),
            "pending": _OF_REQUESTS.format("requested_at >= $from AND decided_at IS NULL"),
            "by_policy": "by_policy" if about.counted is None else _OF_EVENTS.format(_COUNTED["by_policy"]),
        }
        page.add(conditions[approval])
    else:
        decided = ["decided_at >= $from"]
        if approval is not None:
            decided.append("outcome = $approval")
            page.params["approval"] = approval
        if decided_by is not None:
            decided.append("decided_by = $decided_by")
            page.params["decided_by"] = decided_by
        # Requested before, perhaps.
        page.add(f"thread_key IN (SELECT thread_key FROM requests WHERE {' AND '.join(decided)})")
    if "$from" in page.conditions[-1]:
        page.params["from"] = since


def _add_counted(page: ListStatement, counted: FigureSelection, since: datetime) -> None:
    """Add that a figure counted something of the conversation, in its time range.

    Args:
        since: nothing of the conversations in the list happened before.
    """
    figure = str(counted.figure)
    if counted.since is None or counted.until is None:
        page.add("false")
        return
    page.add("last_at >= $counted_since AND started_at < $counted_until")
    if figure in _REQUESTED:
        table, key, at, condition = "requests", "thread_key", "requested_at", _REQUESTED[figure]
    else:
        table, key, at, condition = "events", "thread_id", "happened_at", _COUNTED[figure]
    page.add(
        f"""{key} IN (
        SELECT {key} FROM {table}
        WHERE {at} >= $read_since AND {at} < $counted_until AND {condition}
    )""",
        counted_since=naive(counted.since),
        read_since=max(naive(counted.since), since),
        counted_until=naive(counted.until),
    )
    if "$line" in condition:
        page.params["line"] = counted.line
