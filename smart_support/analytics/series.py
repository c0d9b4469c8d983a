"""Builds the time series: figures by hour or day."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from smart_support import clock
from smart_support.storage.state.base import Row

OUTCOMES = ("resolved", "resolved_with_approval", "escalated", "rejected", "abandoned")
COUNTS = ("conversations", "turns", "approvals", "escalations")
Rows = Sequence[Row]
# Figure name -> its rows by hour or day.
RowsByFigure = Mapping[str, Rows]


def split_total(rows: Rows) -> tuple[Row, list[Row]]:
    """The row of the whole range, and the rows of its hours or days."""
    (total,) = (row for row in rows if row["bucket"] is None)
    return total, [row for row in rows if row["bucket"] is not None]


def build_series(counts: Rows, figures: RowsByFigure) -> list[dict[str, Any]]:
    """One entry per row of `counts`, which has no gaps. A figure without a row is 0 or null."""
    by_time = {figure: {row["bucket"]: row for row in rows} for figure, rows in figures.items()}
    return [
        _entry(row, {figure: rows.get(row["bucket"], {}) for figure, rows in by_time.items()})
        for row in counts
    ]


def _entry(row: Row, figures: Mapping[str, Row]) -> dict[str, Any]:
    def of(figure: str, name: str) -> Any:
        return figures.get(figure, {}).get(name)

    counts = {name: of("outcomes", name) or 0 for name in (*OUTCOMES, "of_known_customers", "reopened")}
    latency = of("latency", "turn") or [None] * 3
    return {
        "at": as_rfc3339(row["bucket"]),
        **{name: row[name] for name in COUNTS},
        **counts,
        "by_policy": of("by_policy", "writes") or 0,
        "turns_to_resolution": _first(of("outcomes", "turns")),
        "seconds_to_decide": _first(of("approvals", "seconds")),
        "latency_ms": dict(zip(("p50", "p95", "p99"), latency, strict=True)),
        "tokens": (of("models", "input") or 0) + (of("models", "output") or 0),
        "cost_usd": of("models", "cost_usd"),
        "hours_saved": of("saved", "hours") or 0.0,
    }


def _first(parts: Sequence[float] | None) -> float | None:
    return parts[0] if parts else None


def as_rfc3339(at: datetime) -> str:
    """A time of the event log as RFC 3339."""
    return clock.rfc3339(at.replace(tzinfo=UTC))
