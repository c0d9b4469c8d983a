"""What was appended to the event log and is not in its DuckDB file yet: one small SQLite file.

A commit here takes a tenth of the time of one in DuckDB, and never stands still for a checkpoint of a large
file; so it is here that an event becomes durable. It is empty but for the last moment. See event_log.py.
"""

import itertools
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import orjson

from smart_support.events import Record
from smart_support.storage.database import Row

NAME = "journal.sqlite"
_TABLE = "CREATE TABLE IF NOT EXISTS batches (number INTEGER PRIMARY KEY, rows TEXT NOT NULL)"


class Batch(NamedTuple):
    """What was appended together, and as the event file holds it."""

    records: Sequence[Record]
    rows: list[Row]


class Journal:
    """Batches on their way into the event file. One thread adds, one takes out, and anybody looks."""

    def __init__(self, path: Path) -> None:
        """Open it, as who has the event file open and nobody else."""
        self._raw = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._raw.execute("PRAGMA journal_mode=WAL")
        self._raw.execute("PRAGMA synchronous=FULL")
        self._raw.execute(_TABLE)
        # By number. Each look and change is one step of the interpreter, so that no lock is needed.
        self._batches: dict[int, Batch] = {}
        self._numbers = itertools.count(1)
        self._done = 0

    def left(self) -> list[Row]:
        """The rows that the process before this one left, in the order they were added."""
        batches = self._raw.execute("SELECT rows FROM batches ORDER BY number")
        return [row for (rows,) in batches for row in orjson.loads(rows)]

    def add(self, batch: Batch) -> None:
        """Keep a batch: on disk when this returns."""
        number, text = next(self._numbers), orjson.dumps(batch.rows).decode()
        self._raw.execute("BEGIN IMMEDIATE")
        try:
            self._raw.execute("DELETE FROM batches WHERE number <= ?", [self._done])
            self._raw.execute("INSERT INTO batches VALUES (?, ?)", [number, text])
        except BaseException:
            self._raw.execute("ROLLBACK")
            raise
        self._raw.execute("COMMIT")
        self._batches[number] = batch

    def waiting(self) -> dict[int, Batch]:
        """The batches that are not in the event file, by number, in order."""
        return self._batches.copy()

    def done(self, batches: dict[int, Batch]) -> None:
        """These are in the event file. They leave the journal with a later batch, or `forget`."""
        self._done = max(batches)
        for number in batches:
            del self._batches[number]

    def forget(self) -> None:
        """Have what is done leave the journal; in the thread that adds."""
        self._raw.execute("DELETE FROM batches WHERE number <= ?", [self._done])

    def clean(self) -> None:
        """As `forget`, and leave nothing of it in the file's bytes. Waits for who copies the file."""
        self.forget()
        self._raw.execute("VACUUM")
        self._raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def empty(self) -> None:
        """Forget what was `left`."""
        self._raw.execute("DELETE FROM batches")

    def close(self) -> None:
        """Close the file."""
        self._raw.close()
