"""A range's events as a file, CSV or Parquet, written by DuckDB. Who may have it is the door's affair."""

import tempfile
from pathlib import Path
from typing import BinaryIO, Literal

from smart_support.analytics.filters import EVERYTHING, Filters
from smart_support.analytics.query_files import statement
from smart_support.analytics.time_range import Span
from smart_support.storage.events.base import EventStore
from smart_support.storage.events.rows import TEXT_COLUMNS

Format = Literal["csv", "parquet"]
_OPTIONS: dict[Format, str] = {
    "csv": "FORMAT csv, HEADER, TIMESTAMPFORMAT '%Y-%m-%dT%H:%M:%S.%fZ'",
    "parquet": "FORMAT parquet, COMPRESSION zstd",
}
# A spreadsheet takes a cell that begins so for a formula, after white space and quotes too; an apostrophe
# makes it text (https://owasp.org/www-community/attacks/CSV_Injection). The wide forms of the signs are those
# of East Asian keyboards. What is a number stays one.
_FORMULA = r"^([\t\r\n]|[\s\v\p{Z}\x{FEFF}\x00\x1C-\x1F\x{85}\"']*[=+\-@＝＋－＠])"
_NUMBER = r"[+-]?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]+)?"
_PLAIN = """
    CASE WHEN regexp_matches({name}, $formula) AND NOT regexp_full_match({name}, $number)
        THEN chr(39) || {name} ELSE {name} END AS {name}
"""


async def exported(
    event_log: EventStore, asked: Span, format_: Format, filters: Filters = EVERYTHING
) -> tuple[BinaryIO, int]:
    """The events of a span, of the conversations that fit, as an open file and its size in bytes.

    The file has no name any more: closing it, or dying, leaves nothing on the disk.
    """
    with tempfile.TemporaryDirectory(dir=event_log.export_folder, ignore_cleanup_errors=True) as folder:
        path = Path(folder) / f"events.{format_}"
        events = statement("export", filtered=bool(filters.params))
        params = asked.params | filters.params | {"path": str(path)}
        if format_ == "csv":
            # Names of our own columns, nothing from outside.
            plain = ", ".join(_PLAIN.format(name=name) for name in TEXT_COLUMNS)
            events = f"SELECT * REPLACE ({plain}) FROM ({events})"
            params |= {"formula": _FORMULA, "number": _NUMBER}
        await event_log.export(f"COPY ({events}) TO $path ({_OPTIONS[format_]})", params)
        return path.open("rb"), path.stat().st_size
