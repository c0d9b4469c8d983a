"""Metrics: one method and one SQL file (`queries/<figure>.sql`) per figure, and the response of the API.

Conversations and approvals belong to the range in which they started and are counted by their current
outcome, so last week's figures don't show as open what was closed later. Turns, calls, tokens, costs and
latency belong to the range in which they happened.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from smart_support import clock
from smart_support.analytics import counts
from smart_support.analytics.conversation_list import page_statement
from smart_support.analytics.cursor import Cursor, next_cursor
from smart_support.analytics.filters import ANY_CONVERSATION, NO_FILTERS, ConversationFilter, Filters
from smart_support.analytics.query_files import load_query
from smart_support.analytics.series import OUTCOMES, as_rfc3339, build_series, split_total
from smart_support.analytics.time_range import TimeRange, naive, parse_range
from smart_support.analytics.totals import approval_totals, outcome_totals
from smart_support.concurrency import run_together
from smart_support.errors import InvalidRequest
from smart_support.settings import MINUTES_SAVED
from smart_support.storage.events.base import EventStore
from smart_support.storage.events.snapshots import Queryable
from smart_support.storage.state.base import Row

STATUSES = ("active", "waiting", "ended")
MAX_LIMIT = 100
# Up to this length a series covers the whole range; a longer one starts at its first event.
MAX_FULL_SERIES_DAYS = 100
SEARCHED_FIRST = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class MetricsQuery:
    """The time range and the filters of a figure."""

    time_range: TimeRange
    filters: Filters = NO_FILTERS

    @property
    def width(self) -> str:
        """The bucket of a series: `hour` for up to a day, else `day`."""
        return "hour" if self.time_range.until - self.time_range.since <= timedelta(hours=24) else "day"

    @property
    def whole_days(self) -> dict[str, datetime]:
        """As SQL parameters: the start and the end of the days of which a series has the whole."""
        if self.width == "day":
            return self.time_range.whole_days
        since = naive(self.time_range.since)
        return {"first_day": since, "last_day": since}


class Metrics:
    """Computes figures from the event log."""

    def __init__(
        self,
        event_log: EventStore,
        session_ttl_seconds: float,
        minutes_saved: Mapping[str, float] = MINUTES_SAVED,
    ) -> None:
        """
        Args:
            session_ttl_seconds: a conversation ends after this time without an event.
            minutes_saved: tool name -> minutes of work that a call saves; `*` for all other tools.
        """
        self._log = event_log
        self._asks = event_log.summaries
        self._minutes_saved = dict(minutes_saved)
        self._ttl = timedelta(seconds=session_ttl_seconds)
        # The time of a snapshot that is older than the look at it.
        self._seen_at: datetime | None = None

    async def analytics(
        self,
        range_: str | None = None,
        since: str | None = None,
        until: str | None = None,
        *,
        filters: Filters = NO_FILTERS,
        compare: bool = False,
    ) -> dict[str, Any]:
        """All figures of a range. Times are RFC 3339 in UTC.

        While many events come in, the figures may lack the last seconds. `until` is then the time up to which
        they are complete.

        Args:
            range_: `24h`, `7d` (the default), `30d`, `90d` or `all`, each up to now.
            since: the start; `since` and `until` replace the range.
            until: the end, exclusive.
            filters: only these conversations.
            compare: add `previous`: the figures of the preceding range of the same length; null if the event
                log does not cover it completely.

        Raises:
            InvalidRequest: the range or a time is invalid.
        """
        query = MetricsQuery(parse_range(range_, since, until), filters)
        looked_at = clock.now()
        async with self._log.snapshot(may_be_kept=True) as snapshot:
            complete_until = snapshot.contents.complete_until
            if complete_until >= looked_at:
                return await self._at(snapshot)._with_previous(query, compare)
            query = replace(query, time_range=query.time_range.clipped(complete_until))
            return await self._at(snapshot, complete_until)._with_previous(query, compare)

    def _at(self, snapshot: Queryable, seen_at: datetime | None = None) -> "Metrics":
        """These metrics over one snapshot, so that all figures are consistent."""
        metrics = copy(self)
        metrics._asks, metrics._seen_at = snapshot, seen_at
        return metrics

    async def _with_previous(self, query: MetricsQuery, compare: bool) -> dict[str, Any]:
        figures = await self._dashboard(query)
        if compare:
            before = query.time_range.before
            is_covered = before is not None and await self._covers(before.since)
            figures["previous"] = (
                await self._dashboard(replace(query, time_range=before)) if before and is_covered else None
            )
        return figures

    async def _covers(self, start: datetime) -> bool:
        sql = "SELECT 1 FROM events WHERE happened_at <= $start LIMIT 1"
        return bool(await self._asks.query(sql, {"start": naive(start)}))

    async def _dashboard(self, query: MetricsQuery) -> dict[str, Any]:
        # The slowest first, so that all others run at the same time.
        (
            (approvals, leads, approval_tools, approvals_by_time),
            (turns, first_tokens, latency_by_time),
            (conversations, outcomes_by_time),
            values,
            agents,
        ) = await run_together(
            self.approvals(query),
            self.latency(query),
            self.outcomes(query),
            self._values(query),
            self.agents(query),
        )
        models, models_by_time = counts.models(values)
        by_policy, by_policy_by_time = counts.by_policy(values)
        saved, saved_by_time = self._saved(values)
        costs = [model["cost_usd"] for model in models if model["cost_usd"] is not None]
        started, outcomes = conversations["conversations"], {name: conversations[name] for name in OUTCOMES}
        known, reopened = conversations["of_known_customers"], conversations["reopened"]
        closed = sum(outcomes.values())
        resolved = outcomes["resolved"] + outcomes["resolved_with_approval"]
        cost = sum(costs) if costs else None
        by_time = {"outcomes": outcomes_by_time, "models": models_by_time, "latency": latency_by_time}
        by_time |= {"approvals": approvals_by_time, "by_policy": by_policy_by_time, "saved": saved_by_time}
        return {
            "range": query.time_range.name,
            "filters": asdict(query.filters),
            "since": clock.rfc3339(query.time_range.since),
            "until": clock.rfc3339(query.time_range.until),
            "conversations": started,
            "outcomes": outcomes,
            "resolution_rate": resolved / closed if closed else None,
            "escalation_rate": outcomes["escalated"] / closed if closed else None,
            "escalations": counts.escalations(values),
            "reopened": {
                "resolved": known,
                "reopened": reopened,
                "rate": reopened / known if known else None,
            },
            "turns_to_resolution": dict(
                zip(("median", "p95"), conversations["turns"] or [None] * 2, strict=True)
            ),
            "approvals": approvals | {"by_policy": by_policy},
            "leads": leads,
            "approval_tools": approval_tools,
            "agents": agents,
            "callers": counts.callers(values),
            "tools": counts.tools(values),
            "tool_errors": counts.tool_errors(values),
            "latency_ms": turns,
            "first_token_ms": first_tokens,
            "tokens": {name: sum(model[name] for model in models) for name in ("input", "output")},
            "cost_usd": cost,
            "cost_per_conversation_usd": cost / started if cost is not None and started else None,
            "models": models,
            "hours_saved": saved,
            "series": build_series(_counts(values, query), by_time),
        }

    async def outcomes(self, query: MetricsQuery) -> tuple[Row, list[Row]]:
        """`conversations` that started, and their outcomes; see `storage/events/summaries.py`.

        For resolved ones also: the median and 95th percentile of their `turns`, the number
            `of_known_customers`,
        and how many of those were `reopened`. Then the same by hour or day.
        """
        rows = await self._rows("outcomes", query, width=query.width, ended_before=self._ended_before())
        return outcome_totals(rows)

    async def escalations(self, query: MetricsQuery) -> list[Row]:
        """`escalations` by `kind`, most frequent first."""
        return counts.escalations(await self._values(query))

    async def approvals(self, query: MetricsQuery) -> tuple[Row, list[Row], list[Row], list[Row]]:
        """Requested approvals by outcome, and the time to decide: in total, by lead, by tool, by time."""
        seconds, counted = await run_together(
            self._rows("decision_times", query, width=query.width),
            self._rows("approvals", query, width=query.width),
        )
        total, tools, leads, by_time = approval_totals(counted, seconds)
        of_leads = [_lead(row) for row in leads if row["decided"]]
        return _approvals(total), of_leads, [_approval_tool(row) for row in tools], by_time

    async def by_policy(self, query: MetricsQuery) -> tuple[int, list[Row]]:
        """The number of auto-approved writes; then `writes` by time."""
        return counts.by_policy(await self._values(query))

    async def agents(self, query: MetricsQuery) -> list[Row]:
        """`agent` and its `turns`, the busiest first."""
        # A turn that began before the range and ended after it need not have taken part in between.
        spans = "SELECT 1 FROM turn_agents WHERE first_at < $since AND last_at >= $until LIMIT 1"
        is_spanned = await self._asks.query(spans, query.time_range.params)
        return await self._rows("agents_of_events" if is_spanned else "agents", query)

    async def callers(self, query: MetricsQuery) -> list[Row]:
        """`caller`, its `calls`, `approvals` and `errors`, the busiest first."""
        return counts.callers(await self._values(query))

    async def tools(self, query: MetricsQuery) -> list[Row]:
        """`tool`, its `calls` and `errors`, the most called first."""
        return counts.tools(await self._values(query))

    async def tool_errors(self, query: MetricsQuery) -> list[Row]:
        """`errors` by `error_class`, most frequent first."""
        return counts.tool_errors(await self._values(query))

    async def latency(
        self, query: MetricsQuery
    ) -> tuple[dict[str, float | None], dict[str, float | None], list[Row]]:
        """Milliseconds of turns, and until the first token: `p50`, `p95`, `p99`; then both by time."""
        total, by_time = split_total(await self._rows("latency", query, width=query.width))
        turn, first = (total[name] or [None] * 3 for name in ("turn", "first_token"))
        names = ("p50", "p95", "p99")
        return dict(zip(names, turn, strict=True)), dict(zip(names, first, strict=True)), by_time

    async def models(self, query: MetricsQuery) -> tuple[list[Row], list[Row]]:
        """`turns`, tokens and `cost_usd` by `model`, the busiest first; then the same by time."""
        return counts.models(await self._values(query))

    async def saved(self, query: MetricsQuery) -> tuple[dict[str, Any], list[Row]]:
        """Saved `hours` of work, and the configured `minutes` per call of a tool; then the hours by time."""
        return self._saved(await self._values(query))

    def _saved(self, values: list[Row]) -> tuple[dict[str, Any], list[Row]]:
        hours, by_time = counts.saved(values, self._minutes_saved)
        return {"hours": hours, "minutes": self._minutes_saved}, by_time

    async def series(self, query: MetricsQuery) -> list[Row]:
        """Counts by hour or day without gaps; `at` is the start of the bucket."""
        return build_series(_counts(await self._values(query), query), {})

    async def _values(self, query: MetricsQuery) -> list[Row]:
        return await self._rows("values", query, width=query.width)

    async def conversations(
        self,
        *,
        status: str | None = None,
        agent: str | None = None,
        outcome: str | Sequence[str] | None = None,
        q: str | None = None,
        since: str | None = None,
        until: str | None = None,
        about: ConversationFilter = ANY_CONVERSATION,
        only: list[str] | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> tuple[list[dict[str, Any]], str | None]:
        """A page of the conversations that started in a time range (by default all), newest first.

        Args:
            agent: that took part.
            outcome: one or several.
            q: a text in a message, the thread id or the customer id, ignoring case.
            about: a filter on events.
            only: ids of threads.
            cursor: the cursor that the previous page returned. New conversations don't shift the pages.

        Returns:
            The page, and the cursor of the next page or None.

        Raises:
            InvalidRequest: an argument is invalid; the message lists the allowed values.
        """
        _check("status", status, STATUSES)
        outcomes = [outcome] if isinstance(outcome, str) else [*(outcome or ())]
        for each in outcomes:
            _check("outcome", each, OUTCOMES)
        if not 1 <= limit <= MAX_LIMIT:
            raise InvalidRequest(f"limit {limit} is not between 1 and {MAX_LIMIT}")
        time_range = (
            parse_range(None, since, until) if since is not None or until is not None else parse_range("all")
        )
        # Full-width letters, ligatures and the like as the letters that most texts have; SQL folds the rest.
        text = unicodedata.normalize("NFKC", q) if q else None
        after = Cursor.decode(cursor)
        hits = await self._log.search(text) if text else None

        async def listed(in_range: TimeRange) -> list[Row]:
            statement = page_statement(
                in_range,
                status=status,
                outcomes=outcomes,
                agent=agent,
                q=text,
                hits=hits,
                about=about,
                only=only,
                after=after,
                ended_before=self._ended_before(),
                limit=limit,
            )
            return await self._asks.query(statement.sql, statement.params)

        rows: list[Row] = []
        reads_others = about.approval or about.decided_by or about.counted or (text and hits is None)
        if reads_others and (newest := _newest(time_range, after)):
            rows = await listed(newest)
        if len(rows) <= limit:
            rows = await listed(time_range)
        following = next_cursor(rows, limit)
        page = [
            row | {"started_at": as_rfc3339(row["started_at"]), "last_at": as_rfc3339(row["last_at"])}
            for row in rows
        ]
        return page[:limit], following

    async def _rows(self, figure: str, query: MetricsQuery, **params: Any) -> list[Row]:
        filters = query.filters.params
        sql = load_query(figure, filtered=bool(filters))
        bounds = query.time_range.params | (query.time_range.whole_hours if "$first_hour" in sql else {})
        days = query.whole_days if "$first_day" in sql else {}
        bounds |= {name: at for name, at in days.items() if f"${name}" in sql}
        return await self._asks.query(sql, bounds | filters | params)

    def _ended_before(self) -> datetime:
        return naive((self._seen_at or clock.now()) - self._ttl)


def _counts(values: list[Row], query: MetricsQuery) -> list[Row]:
    since, until = query.time_range.since, query.time_range.until
    is_full = until - since <= timedelta(days=MAX_FULL_SERIES_DAYS)
    ends_at = naive(min(until - timedelta(microseconds=1), clock.now()))
    return counts.series(values, query.width, naive(since) if is_full else None, ends_at)


def _newest(time_range: TimeRange, after: Cursor | None) -> TimeRange | None:
    """The part of a range that is looked at first where other rows are read; None if the range is no longer.

    Most words and lines of figures have more conversations of these days than a page, so nothing older is
    read.
    """
    until = min(time_range.until, after.started_at.replace(tzinfo=UTC)) if after else time_range.until
    if until - time_range.since <= SEARCHED_FIRST:
        return None
    return replace(time_range, since=until - SEARCHED_FIRST)


def _check(name: str, value: str | None, allowed: tuple[str, ...]) -> None:
    if value is not None and value not in allowed:
        raise InvalidRequest(f"{name} {value[:40]!r} is not one of {', '.join(allowed)}")


def _seconds(row: Row) -> tuple[float | None, float | None]:
    """The median and the 95th percentile, or None if nobody decided."""
    median, p95 = row["seconds"] or (None, None)
    return median, p95


def _approvals(row: Row) -> Row:
    names = ("requested", "approved", "rejected", "edited", "expired", "responded", "withdrawn", "pending")
    median, p95 = _seconds(row)
    times = {"median_seconds_to_decide": median, "p95_seconds_to_decide": p95}
    return {name: row[name] for name in names} | times


def _lead(row: Row) -> Row:
    names = ("decided_by", "decided", "approved", "edited", "rejected", "responded")
    median, p95 = _seconds(row)
    hasty = {"hasty": row["hasty"], "hasty_share": row["hasty"] / row["decided"]}
    return {name: row[name] for name in names} | {"median_seconds": median, "p95_seconds": p95} | hasty


def _approval_tool(row: Row) -> Row:
    names = ("tool", "requested", "approved", "edited", "rejected", "expired", "responded", "withdrawn")
    median, p95 = _seconds(row)
    return {name: row[name] for name in names} | {"median_seconds": median, "p95_seconds": p95}
