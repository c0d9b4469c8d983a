"""Exports the events of a time range as CSV or Parquet."""

import tempfile
from pathlib import Path
from typing import BinaryIO, Literal

from smart_support.analytics.filters import NO_FILTERS, Filters
from smart_support.analytics.query_files import load_query
from smart_support.analytics.time_range import TimeRange
from smart_support.storage.events.base import EventStore
from smart_support.storage.events.rows import TEXT_COLUMNS

Format = Literal["csv", "parquet"]
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


async def export_events(
    event_log: EventStore, time_range: TimeRange, format_: Format, filters: Filters = NO_FILTERS
) -> tuple[BinaryIO, int]:
    """The events of a time range as an open file, and its size in bytes.

    The file is already unlinked, so nothing is left on the disk when it is closed or the process dies.
    """
    with tempfile.TemporaryDirectory(dir=event_log.export_folder, ignore_cleanup_errors=True) as folder:
        path = Path(folder) / f"events.{format_}"
        events = load_query("export", filtered=bool(filters.params))
        params = time_range.params | filters.params | {"path": str(path)}
        if format_ == "csv":
            # The names are constants.
            columns = ", ".join(NEUTRALISED.format(name=name) for name in TEXT_COLUMNS)
            events = f"SELECT * REPLACE ({columns}) FROM ({events})"
            params |= {"formula": FORMULA, "number": NUMBER}
        await event_log.export(f"COPY ({events}) TO $path ({_OPTIONS[format_]})", params)
        return path.open("rb"), path.stat().st_size
