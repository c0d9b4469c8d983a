"""Figures that are sums of the rows of `queries/values.sql`; their definitions are there.

One statement reads the rows, which are few, for all of these figures: most of a small statement is its plan.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from smart_support.storage.state.base import Row

TURN_ENDS = ("message_complete", "interrupt", "error")


def tools(rows: Sequence[Row]) -> list[Row]:
    """`tool`, its `calls` and `errors`, the most called first."""
    of_tools = [row for row in rows if row["type"] in ("tool_call", "tool_result")]
    lines = [
        {
            "tool": tool,
            "calls": _events(row for row in some if row["type"] == "tool_call"),
            "errors": _events(row for row in some if row["status"] == "error"),
        }
        for tool, some in _grouped(of_tools, lambda row: row["tool"] or "")
    ]
    return _most_first(lines, "calls", "tool")


def tool_errors(rows: Sequence[Row]) -> list[Row]:
    """`errors` by `error_class`, most frequent first."""
    failed = [row for row in rows if row["type"] == "tool_result" and row["status"] == "error"]
    lines = [
        {"error_class": error_class, "errors": _events(some)}
        for error_class, some in _grouped(failed, lambda row: _or(row["error_class"], "unknown"))
    ]
    return _most_first(lines, "errors", "error_class")


def escalations(rows: Sequence[Row]) -> list[Row]:
    """`escalations` by `kind`, most frequent first."""
    escalated = [row for row in rows if row["type"] == "escalation"]
    lines = [
        {"kind": kind, "escalations": _events(some)}
        for kind, some in _grouped(escalated, lambda row: _or(row["kind"], "asked"))
    ]
    return _most_first(lines, "escalations", "kind")


def by_policy(rows: Sequence[Row]) -> tuple[int, list[Row]]:
    """The number of auto-approved writes; then `writes` by time."""
    writes = [row for row in rows if row["type"] == "tool_result" and row["by_policy"]]
    return _events(writes), [{"bucket": bucket, "writes": _events(some)} for bucket, some in _by_time(writes)]


def callers(rows: Sequence[Row]) -> list[Row]:
    """`caller`, its `calls`, `approvals` and `errors`, the busiest first."""
    lines = [
        {
            "caller": caller,
            "calls": _events(row for row in some if row["type"] == "tool_call"),
            "approvals": _events(row for row in some if row["type"] == "interrupt"),
            "errors": _events(
                row for row in some if row["type"] == "tool_result" and row["status"] == "error"
            ),
        }
        for caller, some in _grouped(
            [row for row in rows if row["caller"] is not None], lambda row: str(row["caller"])
        )
    ]
    return _most_first(lines, "calls", "caller")


def models(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """`turns`, tokens and `cost_usd` by `model`, the busiest first; then the same by time."""
    used = [
        row
        for row in rows
        if row["type"] == "message_complete" or (row["type"] == "interrupt" and row["has_usage"])
    ]
    lines = [
        {"model": model} | _use(some)
        for model, some in _grouped(used, lambda row: _or(row["model"], "unknown"))
        if model
    ]
    return _most_first(lines, "turns", "model"), [
        {"bucket": bucket} | _use(some) for bucket, some in _by_time(used)
    ]


def saved(rows: Sequence[Row], minutes: Mapping[str, float]) -> tuple[float, list[Row]]:
    """Saved hours of work; then the `hours` by time.

    Args:
        minutes: tool name -> minutes of work that a call saves; `*` for all other tools.
    """
    done = [row for row in rows if row["type"] == "tool_result" and row["status"] == "ok"]

    def hours(some: Iterable[Row]) -> float:
        default = minutes.get("*", 0.0)
        return math.fsum(row["events"] * minutes.get(row["tool"], default) for row in some) / 60

    return hours(done), [{"bucket": bucket, "hours": hours(some)} for bucket, some in _by_time(done)]


def series(rows: Sequence[Row], width: str, starts_at: datetime | None, ends_at: datetime) -> list[Row]:
    """Counts by hour or day without gaps, from `starts_at` or the first event if it is None, to `ends_at`."""
    by_time = dict(_by_time(rows))
    if starts_at is None:
        if not by_time:
            return []
        starts_at = min(by_time)
    at = starts_at.replace(minute=0, second=0, microsecond=0)
    at = at.replace(hour=0) if width == "day" else at
    step = timedelta(hours=1) if width == "hour" else timedelta(days=1)
    counted = []
    while at <= ends_at:
        some = by_time.get(at, [])
        counted.append(
            {
                "bucket": at,
                "conversations": _events(row for row in some if row["begins"]),
                "turns": _events(row for row in some if row["type"] in TURN_ENDS and row["caller"] is None),
                "approvals": _events(row for row in some if row["type"] == "interrupt"),
                "escalations": _events(row for row in some if row["type"] == "escalation"),
            }
        )
        at += step
    return counted


def _events(rows: Iterable[Row]) -> int:
    return sum(row["events"] for row in rows)


def _use(rows: Sequence[Row]) -> Row:
    costs = [row["cost_usd"] for row in rows if row["cost_usd"] is not None]
    return {
        "turns": _events(row for row in rows if row["type"] == "message_complete"),
        "input": sum(row["input"] or 0 for row in rows),
        "output": sum(row["output"] or 0 for row in rows),
        "cost_usd": math.fsum(costs) if costs else None,
    }


def _by_time(rows: Sequence[Row]) -> Iterator[tuple[datetime, list[Row]]]:
    return _grouped(rows, lambda row: row["bucket"])


def _grouped(rows: Sequence[Row], key: Callable[[Row], Any]) -> Iterator[tuple[Any, list[Row]]]:
    for value, some in groupby(sorted(rows, key=key), key):
        yield value, list(some)


def _or(value: str | None, default: str) -> str:
    return default if value is None else value


def _most_first(lines: list[Row], count: str, name: str) -> list[Row]:
    return sorted(lines, key=lambda line: (-line[count], line[name]))
