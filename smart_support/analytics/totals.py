"""Adds up what `queries/outcomes.sql` and `queries/approvals.sql` count, in total, by line and by time.

They return few rows. To add them up in SQL would take longer: most of a small statement is its plan.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from smart_support.storage.state.base import Row

RESOLVED = ("resolved", "resolved_with_approval")
CONVERSATION_OUTCOMES = (*RESOLVED, "escalated", "rejected", "abandoned")
APPROVAL_OUTCOMES = ("approved", "rejected", "edited", "expired", "responded", "withdrawn")
TURN_SHARES = (0.5, 0.95)
# `tool`, `decided_by` or `bucket`, and its value.
Key = tuple[str, Any]


def outcome_totals(rows: Sequence[Row]) -> tuple[Row, list[Row]]:
    """The conversations of the whole range by outcome, and those of each `bucket`."""
    by_time = [{"bucket": bucket} | _outcomes(some) for bucket, some in _by(rows, "bucket").items()]
    return _outcomes(rows), by_time


def approval_totals(
    rows: Sequence[Row], seconds: Sequence[Row]
) -> tuple[Row, list[Row], list[Row], list[Row]]:
    """Approvals in total, by `tool`, by `decided_by` and by `bucket`: counts, and `seconds` to decide."""
    times = {_key_of(row): row["seconds"] for row in seconds}

    def lines(name: str) -> list[Row]:
        return [
            {name: value} | _approvals(some) | {"seconds": times.get((name, value))}
            for value, some in _by(rows, name).items()
        ]

    total = _approvals(rows) | {"seconds": times.get(("bucket", None))}
    tools = _most_first(lines("tool"), "requested", "tool")
    return total, tools, _most_first(lines("decided_by"), "decided", "decided_by"), lines("bucket")


def _key_of(row: Row) -> Key:
    name = "tool" if row["of_tool"] else "decided_by" if row["of_lead"] else "bucket"
    return name, row[name]


def _outcomes(rows: Sequence[Row]) -> Row:
    resolved = [row for row in rows if row["outcome"] in RESOLVED]
    turns: Counter[int] = Counter()
    for row in resolved:
        turns[row["turns"]] += row["conversations"]
    return {
        "conversations": _sum(rows, "conversations"),
        **{
            outcome: _sum([row for row in rows if row["outcome"] == outcome], "conversations")
            for outcome in CONVERSATION_OUTCOMES
        },
        "of_known_customers": _sum(resolved, "of_known_customers"),
        "reopened": _sum(resolved, "reopened"),
        "turns": [_percentile(turns, share) for share in TURN_SHARES] if turns else None,
    }


def _approvals(rows: Sequence[Row]) -> Row:
    of_outcome = _by(rows, "outcome")
    return {
        "requested": _sum(rows, "requested"),
        **{outcome: _sum(of_outcome.get(outcome, ()), "requested") for outcome in APPROVAL_OUTCOMES},
        "pending": _sum(of_outcome.get(None, ()), "requested"),
        "decided": _sum([row for row in rows if row["by_person"]], "requested"),
        "hasty": _sum(rows, "hasty"),
    }


def _percentile(turns: "Counter[int]", share: float) -> float:
    """The percentile, interpolated, of the numbers of turns: each with how often it occurs."""
    place = (turns.total() - 1) * share
    below, above = _at(turns, math.floor(place)), _at(turns, math.ceil(place))
    return below + (above - below) * (place - math.floor(place))


def _at(turns: "Counter[int]", place: int) -> int:
    so_far = 0
    for number, times in sorted(turns.items()):
        so_far += times
        if so_far > place:
            return number
    raise IndexError(place)


def _by(rows: Sequence[Row], name: str) -> dict[Any, list[Row]]:
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row[name]].append(row)
    return groups


def _sum(rows: Sequence[Row], name: str) -> int:
    return sum(row[name] for row in rows)


def _most_first(lines: list[Row], count: str, name: str) -> list[Row]:
    return sorted(lines, key=lambda line: (-line[count], -line["requested"], line[name] or ""))
