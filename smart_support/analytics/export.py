"""Exports events, decisions and figures of a time range as CSV, the first two as Parquet too."""

import csv
import io
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal

from smart_support.analytics.filters import NO_FILTERS, Filters
from smart_support.analytics.query_files import load_query
from smart_support.analytics.time_range import TimeRange
from smart_support.errors import InvalidRequest
from smart_support.storage.events.base import EventStore
from smart_support.storage.events.rows import COLUMN_TYPES, TEXT_COLUMNS

Format = Literal["csv", "parquet"]
Subject = Literal["events", "decisions", "figures"]
_TIMES = ("decided_at", "requested_at")
# The columns of each subject, in their order.
COLUMNS: dict[Subject, tuple[str, ...]] = {
    "events": tuple(COLUMN_TYPES),
    "decisions": (
        *(*_TIMES, "seconds_to_decide", "outcome", "decided_by", "reason", "agent", "tool", "summary"),
        *("args", "edited_args", "customer_id", "thread_id", "approval_id"),
    ),
    "figures": (
        *("at", "conversations", "resolved", "resolved_with_approval", "escalated", "rejected", "abandoned"),
        *("turns", "approvals", "by_policy", "escalations", "reopened", "turns_to_resolution"),
        *("seconds_to_decide", "latency_p50_ms", "latency_p95_ms", "latency_p99_ms", "tokens", "cost_usd"),
        "hours_saved",
    ),
}
_QUERIES = {"events": "export", "decisions": "export_decisions"}
_TEXTS = {
    "events": TEXT_COLUMNS,
    "decisions": tuple(name for name in COLUMNS["decisions"] if name not in (*_TIMES, "seconds_to_decide")),
}
_OPTIONS: dict[Format, str] = {
    "csv": "FORMAT csv, HEADER, TIMESTAMPFORMAT '%Y-%m-%dT%H:%M:%S.%fZ'",
    "parquet": "FORMAT parquet, COMPRESSION zstd",
}
# Spreadsheets treat a cell that starts like this as a formula, also after white space and quotes; an
# apostrophe makes it text (https://owasp.org/www-community/attacks/CSV_Injection). The full-width signs are
# those of East Asian keyboards. Numbers are not changed.
FORMULA = r"^([\t\r\n]|[\s\v\p{Z}\x{FEFF}\x00\x1C-\x1F\x{85}\"']*[=+\-@＝＋－＠])"
NUMBER = r"[+-]?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]+)?"
NEUTRALISED = """
    CASE WHEN regexp_matches({name}, $formula) AND NOT regexp_full_match({name}, $number)
        THEN chr(39) || {name} ELSE {name} END AS {name}
"""


def chosen_columns(subject: Subject, names: str | None) -> tuple[str, ...]:
    """The columns named in a text with commas, or all of them.

    Raises:
        InvalidRequest: there is no such column.
    """
    if names is None:
        return COLUMNS[subject]
    chosen = tuple(dict.fromkeys(name.strip() for name in names.split(",")))
    for name in chosen:
        if name not in COLUMNS[subject]:
            raise InvalidRequest(f"columns: {name[:60]!r} is not one of {', '.join(COLUMNS[subject])}")
    return chosen


async def export_rows(
    event_log: EventStore,
    time_range: TimeRange,
    format_: Format,
    filters: Filters = NO_FILTERS,
    *,
    subject: Literal["events", "decisions"] = "events",
    columns: Iterable[str] | None = None,
) -> tuple[BinaryIO, int]:
    """The events or the decisions of a time range as an open file, and its size in bytes.

    The file is already unlinked, so nothing is left on the disk when it is closed or the process dies.
    """
    with tempfile.TemporaryDirectory(dir=event_log.export_folder, ignore_cleanup_errors=True) as folder:
        path = Path(folder) / f"{subject}.{format_}"
        rows = load_query(_QUERIES[subject], filtered=bool(filters.params))
        params = time_range.params | filters.params | {"path": str(path)}
        # The names are constants.
        names = ", ".join(columns or COLUMNS[subject])
        if format_ == "csv":
            texts = ", ".join(NEUTRALISED.format(name=name) for name in _TEXTS[subject])
            rows = f"SELECT * REPLACE ({texts}) FROM ({rows})"
            params |= {"formula": FORMULA, "number": NUMBER}
        await event_log.export(f"COPY (SELECT {names} FROM ({rows})) TO $path ({_OPTIONS[format_]})", params)
        return path.open("rb"), path.stat().st_size


def figures_as_csv(series: Iterable[Mapping[str, Any]], columns: Iterable[str]) -> tuple[BinaryIO, int]:
    """The figures of each hour or day as CSV, and its size in bytes; `series` as `Metrics` computes it."""
    text = io.StringIO()
    table = csv.DictWriter(text, list(columns), extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    for bucket in series:
        latency = {f"latency_{name}_ms": value for name, value in bucket["latency_ms"].items()}
        table.writerow({**bucket, **latency})
    content = text.getvalue().encode()
    return io.BytesIO(content), len(content)
