"""The figures: one function each, one SQL statement each (`queries/<figure>.sql`), and their wire shape.

A conversation and an approval belong to the range in which they began, and are counted by what has become
of them since; so a figure for last week never shows as open what was closed the day after. Turns, calls,
tokens, costs and latency belong to the range in which they happened.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from smart_support import clock
from smart_support.analytics.cursor import Place, next_place, page_params
from smart_support.analytics.filters import ANYTHING, EVERYTHING, About, Filters
from smart_support.analytics.query_files import statement
from smart_support.analytics.series import NOTHING, OUTCOMES, Then, series, whole_and_then, wire
from smart_support.analytics.time_range import Span, naive, span
from smart_support.concurrency import run_together
from smart_support.errors import InvalidRequest
from smart_support.settings import MINUTES_SAVED
from smart_support.storage.events.base import EventStore
from smart_support.storage.events.snapshots import Queryable
from smart_support.storage.state.base import Row

STATUSES = ("active", "waiting", "ended")
MAX_LIMIT = 100
# Every bucket is shown where the range is this short; a longer one starts at its first event.
GRID_DAYS = 100


@dataclass(frozen=True, slots=True)
class Asked:
    """What a figure is asked for."""

    span: Span
    filters: Filters = EVERYTHING

    @property
    def width(self) -> str:
        """Of what a series is told in: hours for up to a day, days for more."""
        return "hour" if self.span.until - self.span.since <= timedelta(hours=24) else "day"


class Metrics:
    """Figures over the event log."""

    def __init__(
        self,
        event_log: EventStore,
        session_ttl_seconds: float,
        minutes_saved: Mapping[str, float] = MINUTES_SAVED,
    ) -> None:
        """
        Args:
            session_ttl_seconds: a conversation has ended when nothing happened for that long.
            minutes_saved: what a call of a tool saves people, by its name; `*` for those not named.
        """
        self._log = event_log
        self._asks: Queryable = event_log
        self._minutes_saved = dict(minutes_saved)
        self._ttl = timedelta(seconds=session_ttl_seconds)

    async def analytics(
        self,
        range_: str | None = None,
        since: str | None = None,
        until: str | None = None,
        *,
        filters: Filters = EVERYTHING,
        compare: bool = False,
    ) -> dict[str, Any]:
        """Every figure of a range, as PROTOCOL's analytics shape. Moments are RFC 3339 in UTC.

        Args:
            range_: `24h`, `7d` (the default), `30d`, `90d` or `all`, each up to now.
            since: the first moment; it and `until`, where one is given, stand instead of the range.
            until: the moment to stop before.
            filters: only these conversations, in every figure.
            compare: add `previous`, the same of the time just before, as long; null where the record does
                not reach back that far, for a part of that time would look like less.

        Raises:
            InvalidRequest: the range is not one of these, or can't be read.
        """
        asked = Asked(span(range_, since, until), filters)
        async with self._log.snapshot() as moment:
            return await self._of(moment)._compared(asked, compare)

    def _of(self, moment: Queryable) -> "Metrics":
        """The same figures, all of one moment."""
        found = copy(self)
        found._asks = moment
        return found

    async def _compared(self, asked: Asked, compare: bool) -> dict[str, Any]:
        found = await self._dashboard(asked)
        if compare:
            before = asked.span.before
            known = before is not None and await self._reaches_back_to(before.since)
            found["previous"] = (
                await self._dashboard(replace(asked, span=before)) if before and known else None
            )
        return found

    async def _reaches_back_to(self, moment: datetime) -> bool:
        sql = "SELECT 1 FROM events WHERE happened_at <= $moment LIMIT 1"
        return bool(await self._asks.query(sql, {"moment": naive(moment)}))

    async def _dashboard(self, asked: Asked) -> dict[str, Any]:
        # The longest first, so that all others are asked beside it.
        (
            (judged_so, outcomes_then),
            (approvals, leads, approval_tools, approvals_then),
            (models, models_then),
            (turns, first_tokens, latency_then),
            (saved, saved_then),
            (agents, tools, tool_errors, escalations, (by_policy, by_policy_then), counted),
        ) = await run_together(
            self.outcomes(asked),
            self.approvals(asked),
            self.models(asked),
            self.latency(asked),
            self.saved(asked),
            run_together(
                self.agents(asked),
                self.tools(asked),
                self.tool_errors(asked),
                self.escalations(asked),
                self.by_policy(asked),
                self._counted(asked),
            ),
        )
        costs = [model["cost_usd"] for model in models if model["cost_usd"] is not None]
        started, outcomes = judged_so["conversations"], {name: judged_so[name] for name in OUTCOMES}
        known, back = judged_so["of_known_customers"], judged_so["reopened"]
        judged = sum(outcomes.values())
        resolved = outcomes["resolved"] + outcomes["resolved_with_approval"]
        cost = sum(costs) if costs else None
        then = {"outcomes": outcomes_then, "models": models_then, "latency": latency_then}
        then |= {"approvals": approvals_then, "by_policy": by_policy_then, "saved": saved_then}
        return {
            "range": asked.span.name,
            "filters": asdict(asked.filters),
            "since": clock.rfc3339(asked.span.since),
            "until": clock.rfc3339(asked.span.until),
            "conversations": started,
            "outcomes": outcomes,
            "resolution_rate": resolved / judged if judged else None,
            "escalation_rate": outcomes["escalated"] / judged if judged else None,
            "escalations": escalations,
            "reopened": {"resolved": known, "reopened": back, "rate": back / known if known else None},
            "turns_to_resolution": dict(
                zip(("median", "p95"), judged_so["turns"] or [None] * 2, strict=True)
            ),
            "approvals": approvals | {"by_policy": by_policy},
            "leads": leads,
            "approval_tools": approval_tools,
            "agents": agents,
            "tools": tools,
            "tool_errors": tool_errors,
            "latency_ms": turns,
            "first_token_ms": first_tokens,
            "tokens": {name: sum(model[name] for model in models) for name in ("input", "output")},
            "cost_usd": cost,
            "cost_per_conversation_usd": cost / started if cost is not None and started else None,
            "models": models,
            "hours_saved": saved,
            "series": series(counted, then),
        }

    async def outcomes(self, asked: Asked) -> tuple[Row, list[Row]]:
        """`conversations` started, and how many of them have each outcome; see `queries/judged.sql`.

        With them, of those that were resolved: the median and 95th percentile of their `turns`, how many are
        `of_known_customers`, and how many of these were `reopened`. Then the same by hour or day.
        """
        rows = await self._rows("outcomes", asked, width=asked.width, ended_before=self._ended_before())
        return whole_and_then(rows)

    async def escalations(self, asked: Asked) -> list[Row]:
        """`escalations` by their `kind`, the most frequent first."""
        return await self._rows("escalations", asked)

    async def approvals(self, asked: Asked) -> tuple[Row, list[Row], list[Row], list[Row]]:
        """Approvals asked for, by what became of them and how long that took: all; by lead, tool, time."""
        rows = await self._rows("approvals", asked, width=asked.width)
        leads = [_lead(row) for row in rows if row["of_lead"] and row["decided"]]
        tools = [_approval_tool(row) for row in rows if row["of_tool"]]
        whole, then = whole_and_then([row for row in rows if not row["of_tool"] and not row["of_lead"]])
        return _approvals(whole), sorted(leads, key=lambda lead: -lead["decided"]), tools, then

    async def by_policy(self, asked: Asked) -> tuple[int, list[Row]]:
        """Writes that nobody had to decide; then the `writes` by time."""
        whole, then = whole_and_then(await self._rows("by_policy", asked, width=asked.width))
        return int(whole["writes"]), then

    async def agents(self, asked: Asked) -> list[Row]:
        """`agent` and the `turns` it took part in, the busiest first."""
        return await self._rows("agents", asked)

    async def tools(self, asked: Asked) -> list[Row]:
        """`tool`, its `calls`, and how many results were `errors`, the most called first."""
        return await self._rows("tools", asked)

    async def tool_errors(self, asked: Asked) -> list[Row]:
        """`errors` by their `error_class`, the most frequent first."""
        return await self._rows("tool_errors", asked)

    async def latency(
        self, asked: Asked
    ) -> tuple[dict[str, float | None], dict[str, float | None], list[Row]]:
        """Milliseconds that turns took, and their first tokens: `p50`, `p95`, `p99`; then both by time."""
        found, then = whole_and_then(await self._rows("latency", asked, width=asked.width))
        turn, first = (found[name] or [None] * 3 for name in ("turn", "first_token"))
        names = ("p50", "p95", "p99")
        return dict(zip(names, turn, strict=True)), dict(zip(names, first, strict=True)), then

    async def models(self, asked: Asked) -> tuple[list[Row], list[Row]]:
        """`turns`, tokens and `cost_usd` by `model`, the busiest first; then the same by time."""
        rows = await self._rows("models", asked, width=asked.width)
        models = [{name: row[name] for name in row if name != "bucket"} for row in rows if row["model"]]
        return models, [row for row in rows if row["bucket"]]

    async def saved(self, asked: Asked) -> tuple[dict[str, Any], list[Row]]:
        """`hours` of work, by the `minutes` a tool's call is said to stand for; then the hours by time."""
        named = {tool: each for tool, each in self._minutes_saved.items() if tool != "*"}
        rows = await self._rows(
            "saved",
            asked,
            width=asked.width,
            tools=list(named),
            minutes=list(named.values()),
            otherwise=self._minutes_saved.get("*", 0.0),
        )
        whole, then = whole_and_then(rows)
        return {"hours": whole["hours"], "minutes": self._minutes_saved}, then

    async def series(self, asked: Asked, then: Then = NOTHING) -> list[Row]:
        """Figures by hour for up to a day, by day for more: `at` (the bucket's start), no bucket left out.

        Args:
            then: what other figures say by time, by their names, to stand beside the counts.
        """
        return series(await self._counted(asked), then)

    async def _counted(self, asked: Asked) -> list[Row]:
        since, until = asked.span.since, asked.span.until
        grid = until - since <= timedelta(days=GRID_DAYS)
        return await self._rows(
            "series",
            asked,
            width=asked.width,
            starts_at=naive(since) if grid else None,
            ends_at=naive(min(until - timedelta(microseconds=1), clock.now())),
        )

    async def conversations(
        self,
        *,
        status: str | None = None,
        agent: str | None = None,
        outcome: str | Sequence[str] | None = None,
        q: str | None = None,
        since: str | None = None,
        until: str | None = None,
        about: About = ANYTHING,
        only: list[str] | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> tuple[list[dict[str, Any]], str | None]:
        """A page of the conversations that started in a span (all, by default), the newest first.

        Args:
            agent: only those it took part in.
            outcome: only those with it, or with one of several.
            q: only those with this text in a message, the thread's id or the customer's, in either case.
            about: only those in which such things happened.
            only: only these threads.
            cursor: where the page before left off, as it was returned; what starts meanwhile moves nothing.

        Returns:
            The page, and the cursor of the next or None.

        Raises:
            InvalidRequest: an argument is none of those allowed; the message says which are.
        """
        _check("status", status, STATUSES)
        outcomes = [outcome] if isinstance(outcome, str) else [*(outcome or ())]
        for each in outcomes:
            _check("outcome", each, OUTCOMES)
        if not 1 <= limit <= MAX_LIMIT:
            raise InvalidRequest(f"limit {limit} is not between 1 and {MAX_LIMIT}")
        asked = span(None, since, until) if since is not None or until is not None else span("all")
        narrowed: dict[str, Any] = {"agent": agent, "only": only, **about.params}
        judged = bool(status or outcomes)
        params = page_params(narrowed, q, limit, Place.read(cursor), judged=judged)
        params |= {"ended_before": self._ended_before(), "status": status, "outcomes": outcomes or None}
        rows = await self._asks.query(statement("conversations"), asked.params | params)
        following = next_place(rows, limit)
        shown = [
            row | {"started_at": wire(row["started_at"]), "last_at": wire(row["last_at"])} for row in rows
        ]
        return shown[:limit], following

    async def _rows(self, figure: str, asked: Asked, **params: Any) -> list[Row]:
        narrowed = asked.filters.params
        sql = statement(figure, filtered=bool(narrowed))
        return await self._asks.query(sql, asked.span.params | narrowed | params)

    def _ended_before(self) -> datetime:
        return naive(clock.now() - self._ttl)


def _check(name: str, value: str | None, allowed: tuple[str, ...]) -> None:
    if value is not None and value not in allowed:
        raise InvalidRequest(f"{name} {value[:40]!r} is not one of {', '.join(allowed)}")


def _seconds(row: Row) -> tuple[float | None, float | None]:
    """The median and the 95th percentile, where a human decided at all."""
    median, p95 = row["seconds"] or (None, None)
    return median, p95


def _approvals(row: Row) -> Row:
    names = ("requested", "approved", "rejected", "edited", "expired", "responded", "withdrawn", "pending")
    median, p95 = _seconds(row)
    waited = {"median_seconds_to_decide": median, "p95_seconds_to_decide": p95}
    return {name: row[name] for name in names} | waited


def _lead(row: Row) -> Row:
    names = ("decided_by", "decided", "approved", "edited", "rejected", "responded")
    median, p95 = _seconds(row)
    haste = {"hasty": row["hasty"], "hasty_share": row["hasty"] / row["decided"]}
    return {name: row[name] for name in names} | {"median_seconds": median, "p95_seconds": p95} | haste


def _approval_tool(row: Row) -> Row:
    names = ("tool", "requested", "approved", "edited", "rejected", "expired", "responded", "withdrawn")
    median, p95 = _seconds(row)
    return {name: row[name] for name in names} | {"median_seconds": median, "p95_seconds": p95}
