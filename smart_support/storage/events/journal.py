"""The journal of the event store: a small SQLite file with the events that are not in the DuckDB file yet.

A commit here takes a tenth of the time of one in DuckDB, and never waits for the checkpoint of a large file.
So an event is durable once it is here. See embedded.py.
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
    """Records that were appended together, and their rows in the event file."""

    records: Sequence[Record]
    rows: list[Row]


class Journal:
    """Batches on their way into the event file. One thread adds, one removes, and any thread reads.

    Attributes:
        connection: to the file; commits each statement by itself.
    """

    def __init__(self, path: Path) -> None:
        """Open the journal. Only the process that has the event file open may do so.

        Raises:
            ConfigError: it can't be opened, or is not a journal.
        """
        self._path = path
        try:
            self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self.connection.execute("PRAGMA journal_mode=WAL")
            self.connection.execute("PRAGMA synchronous=FULL")
            self.connection.executescript(_TABLES)
        except sqlite3.Error as error:
            raise _unreadable(path, error) from None
        # By number. Every access is one operation of the interpreter, so that no lock is needed.
        self._pending: dict[int, Batch] = {}
        self._next_number = itertools.count(1)
        # The number of the last batch that is in the event file.
        self._last_done = 0
        # Counts of rows, each changed by one thread only.
        self._rows_added = 0
        self._rows_done = 0

    def leftover(self) -> list[Row]:
        """The rows that an earlier process left, in the order in which they were added.

        Raises:
            ConfigError: they can't be read.
        """
        try:
            batches = self.connection.execute("SELECT rows FROM batches ORDER BY number").fetchall()
            return [row for (rows,) in batches for row in orjson.loads(rows)]
        except (sqlite3.Error, orjson.JSONDecodeError) as error:
            raise _unreadable(self._path, error) from None

    def add(self, batch: Batch) -> None:
        """Store a batch: it is on disk when this returns."""
        number, text = next(self._next_number), orjson.dumps(batch.rows).decode()
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            self.connection.execute("DELETE FROM batches WHERE number <= ?", [self._last_done])
            self.connection.execute("INSERT INTO batches VALUES (?, ?)", [number, text])
            self.connection.execute("COMMIT")
        except BaseException:
            # With a full disk the transaction may have ended already, or be open after a failed commit.
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise
        self._pending[number] = batch
        self._rows_added += len(batch.rows)

    @property
    def rows_pending(self) -> int:
        """How many rows are not in the event file."""
        return self._rows_added - self._rows_done

    def pending(self) -> dict[int, Batch]:
        """The batches that are not in the event file, by number, in order."""
        return self._pending.copy()

    def next_batches(self, max_rows: int) -> dict[int, Batch]:
        """The oldest of them: at least one, and no more once they hold `max_rows` rows."""
        batches: dict[int, Batch] = {}
        for number, batch in self.pending().items():
            batches[number] = batch
            max_rows -= len(batch.rows)
            if max_rows <= 0:
                break
        return batches

    def mark_done(self, batches: dict[int, Batch]) -> None:
        """Record that these are in the event file. `add` or `delete_done` removes them from the journal."""
        self._last_done = max(batches)
        for number, batch in batches.items():
            del self._pending[number]
            self._rows_done += len(batch.rows)

    def add_refused(self, rows: Sequence[tuple[Row, str]]) -> None:
        """Keep rows that the event file can never store, each with the reason; in any thread."""
        values = [(row["event_id"], row["thread_id"], orjson.dumps(row).decode(), why) for row, why in rows]
        with closing(sqlite3.connect(self._path)) as database, database:
            database.executemany("INSERT OR IGNORE INTO refused VALUES (?, ?, ?, ?)", values)

    def refused(self) -> list[tuple[str, str]]:
        """The ids of the refused events, and the reasons."""
        return self.connection.execute("SELECT event_id, reason FROM refused").fetchall()

    def erase_refused(self, thread_ids: Sequence[str]) -> None:
        """Delete the refused rows of these threads; in the thread that adds."""
        ids = orjson.dumps(thread_ids).decode()
        self.connection.execute(
            "DELETE FROM refused WHERE thread_id IN (SELECT value FROM json_each(?))", [ids]
        )

    def delete_done(self) -> None:
        """Delete the batches that are in the event file; in the thread that adds."""
        self.connection.execute("DELETE FROM batches WHERE number <= ?", [self._last_done])

    def compact(self) -> None:
        """As `delete_done`, and leave nothing of them in the file's bytes. Waits while a backup reads it."""
        self.delete_done()
        self.connection.execute("VACUUM")
        self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def delete_leftover(self) -> None:
        """Delete what `leftover` returns."""
        self.connection.execute("DELETE FROM batches")

    def close(self) -> None:
        """Close the file."""
        self.connection.close()


def _unreadable(path: Path, error: Exception) -> ConfigError:
    return ConfigError(
        f"SMART_SUPPORT_DATA_DIR: {path} can't be read ({error}); it holds the last events before the app "
        f"ended: make it readable, or move it and {path.name}-wal away to start without them"
    )
