"""`rebuild-figures`: computes what the figures and lists read from the recorded events again."""

import argparse
import contextlib
import time
from pathlib import Path
from typing import Any

from smart_support.errors import ConfigError
from smart_support.settings import Settings
from smart_support.storage.events.duckdb_file import DuckDBFile
from smart_support.storage.events.embedded import EmbeddedEventStore


def add(commands: Any) -> None:
    """Add the command to the parser."""
    text = "compute the figures of the dashboard and the lists of conversations again from the event log"
    note = "Stop the app first. With PostgreSQL, the copies that no process of this folder uses are rebuilt."
    commands.add_parser("rebuild-figures", help=text, description=f"{text}. {note}").set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    settings = Settings()
    folder = settings.data_dir
    paths = sorted(folder.glob("copy-*.duckdb")) if settings.database_url else [folder / "events.duckdb"]
    files = [path for path in paths if path.exists()]
    if not files:
        raise ConfigError(f"SMART_SUPPORT_DATA_DIR={folder}: there are no events here")
    for path in files:
        began = time.monotonic()
        events = _rebuild_copy(path) if settings.database_url else _rebuild(path)
        print(f"{path.name}: {events:,} events in {time.monotonic() - began:.1f} s")
    return 0


def _rebuild(path: Path) -> int:
    # The store first moves the events that are only in its journal.
    with contextlib.closing(EmbeddedEventStore(path)) as log:
        return _rebuild_file(log.file)


def _rebuild_copy(path: Path) -> int:
    with contextlib.closing(DuckDBFile(path)) as file:
        return _rebuild_file(file)


def _rebuild_file(file: DuckDBFile) -> int:
    events: list[int] = []
    file.run_blocking(lambda: events.append(file.rebuild_summaries()), timeout_seconds=None)
    return events[0]
