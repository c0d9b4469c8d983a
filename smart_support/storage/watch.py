"""Stopping a statement that takes too long or too much memory. Which ones are watched, their caller knows."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

EVERY_SECONDS = 0.05
_STATM = Path("/proc/self/statm")
_PAGE_BYTES = 4096


@contextmanager
def watched(cursor: duckdb.DuckDBPyConnection, seconds: float, most_bytes: int) -> Iterator[None]:
    """What the cursor does meanwhile is interrupted after so long, or once the process has grown so much."""
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(cursor, over, seconds, most_bytes), name="event-watch")
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _watch(cursor: duckdb.DuckDBPyConnection, over: threading.Event, seconds: float, most_bytes: int) -> None:
    until, at_first = time.monotonic() + seconds, _resident_bytes()
    while not over.wait(EVERY_SECONDS):
        if time.monotonic() >= until or _resident_bytes() - at_first > most_bytes:
            cursor.interrupt()


def _resident_bytes() -> int:
    """Of this process; 0 where the system does not tell it this way: then only time is watched."""
    try:
        return int(_STATM.read_text().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0
