"""What was appended to the event log and is not in its DuckDB file yet: one small SQLite file.

A commit here takes a tenth of the time of one in DuckDB, and never stands still for a checkpoint of a large
file; so it is here that an event becomes durable. It is empty but for the last moment. See event_log.py.
"""

import itertools
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import orjson

from smart_support.errors import ConfigError
from smart_support.events import Record
from smart_support.storage.state.base import Row

NAME = "journal.sqlite"
_TABLES = """
    CREATE TABLE IF NOT EXISTS batches (number INTEGER PRIMARY KEY, rows TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS refused (event_id TEXT PRIMARY KEY, thread_id TEXT, row TEXT, reason TEXT)
"""


class Batch(NamedTuple):
    """What was appended together, and as the event file holds it."""

    records: Sequence[Record]
    rows: list[Row]


class Journal:
    """Batches on their way into the event file. One thread adds, one takes out, and anybody looks."""

    def __init__(self, path: Path) -> None:
        """Open it, as who has the event file open and nobody else.

        Raises:
            ConfigError: it can't be opened, or is no journal.
        """
        self._path = path
        try:
            self._raw = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._raw.execute("PRAGMA journal_mode=WAL")
            self._raw.execute("PRAGMA synchronous=FULL")
            self._raw.executescript(_TABLES)
        except sqlite3.Error as error:
            raise unreadable(path, error) from None
        # By number. Each look and change is one step of the interpreter, so that no lock is needed.
        self._batches: dict[int, Batch] = {}
        self._numbers = itertools.count(1)
        self._done = 0
        # Rows, of which each is counted by one thread alone.
        self._added = 0
        self._taken = 0

    def left(self) -> list[Row]:
        """The rows that the process before this one left, in the order they were added.

        Raises:
            ConfigError: they can't be read.
        """
        try:
            batches = self._raw.execute("SELECT rows FROM batches ORDER BY number").fetchall()
            return [row for (rows,) in batches for row in orjson.loads(rows)]
        except (sqlite3.Error, orjson.JSONDecodeError) as error:
            raise unreadable(self._path, error) from None

    def add(self, batch: Batch) -> None:
        """Keep a batch: on disk when this returns."""
        number, text = next(self._numbers), orjson.dumps(batch.rows).decode()
        self._raw.execute("BEGIN IMMEDIATE")
        try:
            self._raw.execute("DELETE FROM batches WHERE number <= ?", [self._done])
            self._raw.execute("INSERT INTO batches VALUES (?, ?)", [number, text])
            self._raw.execute("COMMIT")
        except BaseException:
            # A full disk may have ended it already, or left it open at its commit.
            if self._raw.in_transaction:
                self._raw.execute("ROLLBACK")
            raise
        self._batches[number] = batch
        self._added += len(batch.rows)

    @property
    def rows_waiting(self) -> int:
        """How many rows are not in the event file."""
        return self._added - self._taken

    def waiting(self) -> dict[int, Batch]:
        """The batches that are not in the event file, by number, in order."""
        return self._batches.copy()

    def first(self, rows: int) -> dict[int, Batch]:
        """The first of them: one at least, and no more once they hold so many rows."""
        found: dict[int, Batch] = {}
        for number, batch in self.waiting().items():
            found[number] = batch
            rows -= len(batch.rows)
            if rows <= 0:
                break
        return found

    def done(self, batches: dict[int, Batch]) -> None:
        """These are in the event file. They leave the journal with a later batch, or `forget`."""
        self._done = max(batches)
        for number, batch in batches.items():
            del self._batches[number]
            self._taken += len(batch.rows)

    def put_aside(self, rows: Sequence[tuple[Row, str]]) -> None:
        """Keep rows that the event file will never take, each with the reason; in any thread."""
        told = [(row["event_id"], row["thread_id"], orjson.dumps(row).decode(), why) for row, why in rows]
        with closing(sqlite3.connect(self._path)) as database, database:
            database.executemany("INSERT OR IGNORE INTO refused VALUES (?, ?, ?, ?)", told)

    def aside(self) -> list[tuple[str, str]]:
        """The ids of the events that were put aside, and the reasons."""
        return self._raw.execute("SELECT event_id, reason FROM refused").fetchall()

    def erase(self, thread_ids: Sequence[str]) -> None:
        """Delete what was put aside of these threads; in the thread that adds."""
        ids = orjson.dumps(thread_ids).decode()
        self._raw.execute("DELETE FROM refused WHERE thread_id IN (SELECT value FROM json_each(?))", [ids])

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


def unreadable(path: Path, error: Exception) -> ConfigError:
    """What to tell an operator whose journal can't be used."""
    return ConfigError(
        f"SMART_SUPPORT_DATA_DIR: {path} can't be read ({error}); it holds the events of the last moment "
        f"before the app ended: make it readable, or move it and {path.name}-wal away to start without them"
    )
