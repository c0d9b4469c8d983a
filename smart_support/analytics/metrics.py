"""The figures: one function each, one SQL statement each (`queries/<figure>.sql`), and their wire shape.

A conversation and an approval belong to the range in which they began, and are counted by what has become
of them since; so a figure for last week never shows as open what was closed the day after. Turns, calls,
tokens, costs and latency belong to the range in which they happened.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from smart_support import clock
from smart_support.analytics.page import Place, next_place, page_params
from smart_support.analytics.span import Span, naive, span
from smart_support.analytics.statements import statement
from smart_support.errors import InvalidRequest
from smart_support.storage.database import Row
from smart_support.storage.event_log import EventLog

STATUSES = ("active", "waiting", "ended")
OUTCOMES = ("resolved", "resolved_with_approval", "escalated", "abandoned")
MAX_LIMIT = 100
# Every bucket is shown where the range is this short; a longer one starts at its first event.
GRID_DAYS = 100


class Metrics:
    """Figures over the event log."""

    def __init__(self, event_log: EventLog, session_ttl_seconds: float) -> None:
        """`session_ttl_seconds`: a conversation has ended when nothing happened for that long."""
        self._log = event_log
        self._ttl = timedelta(seconds=session_ttl_seconds)

    async def analytics(
        self, range_: str | None = None, since: str | None = None, until: str | None = None
    ) -> dict[str, Any]:
        """Every figure of a range, as PROTOCOL's analytics shape. Moments are RFC 3339 in UTC.

        Args:
            range_: `24h`, `7d` (the default), `30d`, `90d` or `all`, each up to now.
            since: the first moment; it and `until`, where one is given, stand instead of the range.
            until: the moment to stop before.

        Raises:
            InvalidRequest: the range is not one of these, or can't be read.
        """
        asked = span(range_, since, until)
        # One after the other: the log has few readers, and a replay must not wait behind a whole dashboard.
        outcomes = await self.outcomes(asked)
        usage = await self.usage(asked)
        started = outcomes.pop("conversations")
        judged = sum(outcomes.values())
        resolved = outcomes["resolved"] + outcomes["resolved_with_approval"]
        cost = usage["cost_usd"]
        return {
            "range": asked.name,
            "since": clock.rfc3339(asked.since),
            "until": clock.rfc3339(asked.until),
            "conversations": started,
            "outcomes": outcomes,
            "resolution_rate": resolved / judged if judged else None,
            "escalation_rate": outcomes["escalated"] / judged if judged else None,
            "approvals": await self.approvals(asked),
            "agents": await self.agents(asked),
            "tools": await self.tools(asked),
            "latency_ms": await self.latency(asked),
            "tokens": {"input": usage["input"], "output": usage["output"]},
            "cost_usd": cost,
            "cost_per_conversation_usd": cost / started if cost is not None and started else None,
            "series": await self.series(asked),
        }

    async def outcomes(self, asked: Span) -> Row:
        """`conversations` started, and how many of them have each outcome; see `queries/judged.sql`."""
        return (await self._rows("outcomes", asked, ended_before=self._ended_before()))[0]

    async def approvals(self, asked: Span) -> Row:
        """Approvals asked for by what became of them, and the median seconds a human took to decide."""
        return (await self._rows("approvals", asked))[0]

    async def agents(self, asked: Span) -> list[Row]:
        """`agent` and the `turns` it took part in, the busiest first."""
        return await self._rows("agents", asked)

    async def tools(self, asked: Span) -> list[Row]:
        """`tool`, its `calls`, and how many results were `errors`, the most called first."""
        return await self._rows("tools", asked)

    async def latency(self, asked: Span) -> dict[str, float | None]:
        """Milliseconds that completed turns took: `p50`, `p95`, `p99`, interpolated; null without turns."""
        quantiles = (await self._rows("latency", asked))[0]["quantiles"] or [None] * 3
        return dict(zip(("p50", "p95", "p99"), quantiles, strict=True))

    async def usage(self, asked: Span) -> Row:
        """Tokens `input` and `output`, and `cost_usd`, null where no turn's price is known."""
        return (await self._rows("usage", asked))[0]

    async def series(self, asked: Span) -> list[Row]:
        """Counts by hour for up to a day, by day for more: `at` (the bucket's start), no bucket left out."""
        hourly = asked.until - asked.since <= timedelta(hours=24)
        grid = asked.until - asked.since <= timedelta(days=GRID_DAYS)
        rows = await self._rows(
            "series",
            asked,
            width="1 hour" if hourly else "1 day",
            starts_at=naive(asked.since) if grid else None,
            ends_at=naive(min(asked.until - timedelta(microseconds=1), clock.now())),
        )
        return [{"at": _wire(row.pop("bucket")), **row} for row in rows]

    async def conversations(
        self,
        *,
        status: str | None = None,
        agent: str | None = None,
        outcome: str | None = None,
        q: str | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> tuple[list[dict[str, Any]], str | None]:
        """A page of the conversations that started in a span (all, by default), the newest first.

        Args:
            agent: only those it took part in.
            q: only those with this text in a message, the thread's id or the customer's, in either case.
            cursor: where the page before left off, as it was returned; what starts meanwhile moves nothing.

        Returns:
            The page, and the cursor of the next or None.

        Raises:
            InvalidRequest: an argument is none of those allowed; the message says which are.
        """
        _check("status", status, STATUSES)
        _check("outcome", outcome, OUTCOMES)
        if not 1 <= limit <= MAX_LIMIT:
            raise InvalidRequest(f"limit {limit} is not between 1 and {MAX_LIMIT}")
        asked = span(None, since, until) if since is not None or until is not None else span("all")
        rows = await self._rows(
            "conversations",
            asked,
            ended_before=self._ended_before(),
            status=status,
            outcome=outcome,
            **page_params(agent, q, limit, Place.read(cursor), judged=bool(status or outcome)),
        )
        following = next_place(rows, limit)
        shown = [
            row | {"started_at": _wire(row["started_at"]), "last_at": _wire(row["last_at"])} for row in rows
        ]
        return shown[:limit], following

    async def _rows(self, figure: str, asked: Span, **params: Any) -> list[Row]:
        return await self._log.query(statement(figure), asked.params | params)

    def _ended_before(self) -> datetime:
        return naive(clock.now() - self._ttl)


def _check(name: str, value: str | None, allowed: tuple[str, ...]) -> None:
    if value is not None and value not in allowed:
        raise InvalidRequest(f"{name} {value[:40]!r} is not one of {', '.join(allowed)}")


def _wire(at: datetime) -> str:
    return clock.rfc3339(at.replace(tzinfo=UTC))
