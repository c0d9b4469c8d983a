"""Figures by hour or day: the parts that each figure tells of itself, put together. No query is made here."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from smart_support import clock
from smart_support.storage.state.base import Row

OUTCOMES = ("resolved", "resolved_with_approval", "escalated", "rejected", "abandoned")
COUNTS = ("conversations", "turns", "approvals", "escalations")
Rows = Sequence[Row]
# What a figure says of each hour or day, by its name.
Then = Mapping[str, Rows]
NOTHING: Then = {}


def whole_and_then(rows: Rows) -> tuple[Row, list[Row]]:
    """The row of the whole range, and those of its hours or days."""
    (whole,) = (row for row in rows if row["bucket"] is None)
    return whole, [row for row in rows if row["bucket"] is not None]


def series(counted: Rows, then: Then) -> list[dict[str, Any]]:
    """One entry an hour or day of `counted`, which has no gaps; where a figure has no row it is 0 or null."""
    by_time = {figure: {row["bucket"]: row for row in rows} for figure, rows in then.items()}
    return [
        _entry(row, {figure: rows.get(row["bucket"], {}) for figure, rows in by_time.items()})
        for row in counted
    ]


def _entry(row: Row, then: Mapping[str, Row]) -> dict[str, Any]:
    def of(figure: str, name: str) -> Any:
        return then.get(figure, {}).get(name)

    counts = {name: of("outcomes", name) or 0 for name in (*OUTCOMES, "of_known_customers", "reopened")}
    answered = of("latency", "turn") or [None] * 3
    return {
        "at": wire(row["bucket"]),
        **{name: row[name] for name in COUNTS},
        **counts,
        "by_policy": of("by_policy", "writes") or 0,
        "turns_to_resolution": _first(of("outcomes", "turns")),
        "seconds_to_decide": _first(of("approvals", "seconds")),
        "latency_ms": dict(zip(("p50", "p95", "p99"), answered, strict=True)),
        "tokens": (of("models", "input") or 0) + (of("models", "output") or 0),
        "cost_usd": of("models", "cost_usd"),
        "hours_saved": of("saved", "hours") or 0.0,
    }


def _first(parts: Sequence[float] | None) -> float | None:
    return parts[0] if parts else None


def wire(at: datetime) -> str:
    """A moment of the log as the doors tell it."""
    return clock.rfc3339(at.replace(tzinfo=UTC))
