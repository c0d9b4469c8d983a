"""A range's events as a file, CSV or Parquet, written by DuckDB. Who may have it is the door's affair."""

import tempfile
from pathlib import Path
from typing import BinaryIO, Literal

from smart_support.analytics.filters import EVERYTHING, Filters
from smart_support.analytics.span import Span
from smart_support.analytics.statements import statement
from smart_support.storage.event_log import EventLog

Format = Literal["csv", "parquet"]
_OPTIONS: dict[Format, str] = {
    "csv": "FORMAT csv, HEADER, TIMESTAMPFORMAT '%Y-%m-%dT%H:%M:%S.%fZ'",
    "parquet": "FORMAT parquet, COMPRESSION zstd",
}


async def exported(
    event_log: EventLog, asked: Span, format_: Format, filters: Filters = EVERYTHING
) -> tuple[BinaryIO, int]:
    """The events of a span, of the conversations that fit, as an open file and its size in bytes.

    The file has no name any more: closing it, or dying, leaves nothing on the disk.
    """
    with tempfile.TemporaryDirectory(dir=event_log.export_folder, ignore_cleanup_errors=True) as folder:
        path = Path(folder) / f"events.{format_}"
        events = statement("export", filtered=bool(filters.params))
        sql = f"COPY ({events}) TO $path ({_OPTIONS[format_]})"
        await event_log.export(sql, asked.params | filters.params | {"path": str(path)})
        return path.open("rb"), path.stat().st_size
