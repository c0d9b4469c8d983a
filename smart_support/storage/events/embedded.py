"""The event store of one process: a journal in SQLite, and a DuckDB file.

An event is durable once it is in the journal, where a commit costs little. From there events are moved into
the DuckDB file in few large commits: at most every three seconds, and before each query over all events. So
an append never waits for DuckDB, reading a thread waits for nothing, and a query sees every event that was
durable before it. Events that a kill leaves in the journal are moved at the next start.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import duckdb

from smart_support import clock
from smart_support.events import Record
from smart_support.observability.log import get_logger
from smart_support.storage.events.base import EventStore, OnAppend
from smart_support.storage.events.compaction import attach_copy, begin_snapshot, fill_copy, finish_copy
from smart_support.storage.events.duckdb_file import (
    REFUSALS,
    WRITE_FAILED,
    DuckDBFile,
    connect,
    insert,
    refused_rows,
)
from smart_support.storage.events.group_commit import GroupCommit, nothing
from smart_support.storage.events.journal import NAME, Batch, Journal
from smart_support.storage.events.rows import as_record, as_row
from smart_support.storage.events.summaries import transaction
from smart_support.storage.state.base import Row

log = get_logger()

COMMIT_INTERVAL_SECONDS = 0.003
# Rows of one commit in the file: a failed commit repeats no more than these.
MAX_ROWS_PER_COMMIT = 20_000
# Pending rows are held in memory, some 3 kB each. With so many, an append waits for the file.
MAX_PENDING_ROWS = 50_000
# Raised, before anything is written, for a record that can't become a row.
UNSTORABLE: tuple[type[Exception], ...] = (TypeError, ValueError, sqlite3.DataError)
_READ = """
    SELECT event_id, thread_id, turn_id, first_seq, seq, happened_at, type, channel, customer_id, payload
    FROM events WHERE thread_id = ? AND seq > ? ORDER BY seq LIMIT ?
"""
_HAS = "SELECT 1 FROM events WHERE thread_id = ? AND event_id = ? LIMIT 1"
_KNOWN = """
    SELECT event_id FROM events
    WHERE happened_at >= $since::TIMESTAMP
      AND event_id IN (SELECT TRY_CAST(id AS UUID) FROM (SELECT unnest($ids::VARCHAR[]) AS id))
"""


class EmbeddedEventStore(EventStore):
    """For one process.

    Attributes:
        journal: the events that are not in the file yet.
    """

    def __init__(self, path: Path, on_append: OnAppend = lambda record: None) -> None:
        """
        Raises:
            ConfigError: another process has the file open, or the journal can't be read.
        """
        self._erasures = 0
        # Whether the last commit in the file failed. Its rows may be there all the same.
        self._check_for_duplicates = False
        file = DuckDBFile(path, self._move_pending)
        self.journal = Journal(path.with_name(NAME))
        _move_leftover(file.write_cursor, self.journal)
        commits = GroupCommit(self._commit, WRITE_FAILED, COMMIT_INTERVAL_SECONDS, UNSTORABLE)
        super().__init__(file, commits, on_append)
        file.start()

    async def read(self, thread_id: str, after: int = 0, limit: int = 1_000_000) -> list[Record]:
        erasures = self._erasures
        # Read the journal first: a record that is moved meanwhile is seen twice, and not missed.
        pending = self._pending_records(thread_id)
        records = [as_record(row) for row in await self.file.read(_READ, [thread_id, after, limit])]
        if erasures != self._erasures:
            # The pending records may be erased by now.
            return await self.read(thread_id, after, limit)
        known = {record.event_id for record in records}
        records += [record for record in pending if record.seq > after and record.event_id not in known]
        return sorted(records, key=lambda record: record.seq)[:limit]

    async def has(self, thread_id: str, event_id: str) -> bool:
        if any(record.event_id == event_id for record in self._pending_records(thread_id)):
            return True
        return bool(await self.file.read(_HAS, [thread_id, event_id]))

    async def erase(self, thread_ids: Sequence[str]) -> None:
        # First move all records out of the journal: a record left there by a kill would come back.
        await self.commits.run(nothing)
        await self.file.flush()
        await self.commits.run(self.journal.delete_done)
        self._erasures += 1
        await self.file.run(lambda: self._erase(list(thread_ids)))
        self.file.snapshots.forget()
        await self.commits.run(lambda: self.journal.erase_refused(thread_ids))
        await self.commits.run(self.journal.delete_done)

    async def compact(self) -> None:
        await self.commits.run(self.journal.compact)
        await self.file.compact()

    @contextlib.asynccontextmanager
    async def start_copy(self, path: Path) -> AsyncIterator["EventCopy"]:
        """A copy of all events in a new DuckDB file, made while the store is in use. Hold `copying`."""
        with self.file.open_cursor() as cursor:
            await asyncio.to_thread(attach_copy, cursor, path)
            yield EventCopy(self.commits, self.file, cursor)

    def close(self) -> None:
        super().close()
        with contextlib.suppress(sqlite3.Error):  # a full disk; the next start removes what is in the file
            self.journal.compact()
        self.journal.close()

    def _commit(self, records: list[Record]) -> None:
        if self.journal.rows_pending >= MAX_PENDING_ROWS:
            self.file.run_blocking()
        self.journal.add(Batch(records, [as_row(record) for record in records]))
        self.file.schedule_flush()

    def _move_pending(self) -> None:
        """Move the journal's batches into the file; in the file's writing thread."""
        while batches := self.journal.next_batches(MAX_ROWS_PER_COMMIT):
            rows = [row for batch in batches.values() for row in batch.rows]
            if self._check_for_duplicates:
                rows = _missing(self.file.write_cursor, rows)
            self._check_for_duplicates = True
            try:
                self.file.insert(rows)
            except REFUSALS:
                self.file.insert(_without_refused(self.file.write_cursor, self.journal, rows))
            self.journal.mark_done(batches)
            self._check_for_duplicates = False

    def _erase(self, thread_ids: list[str]) -> None:
        self.file.summarize()
        with transaction(self.file.write_cursor):
            self.file.erase(thread_ids)

    def _pending_records(self, thread_id: str) -> list[Record]:
        batches = self.journal.pending().values()
        return [record for batch in batches for record in batch.records if record.thread_id == thread_id]

    @property
    def _events_arrived(self) -> int:
        return self.file.rows_written + self.journal.rows_pending

    @property
    def _complete_until(self) -> datetime:
        return clock.now()

    async def _catch_up(self) -> None:
        if self.journal.pending():
            await self.file.flush()


class EventCopy:
    """A copy of an event store. It holds the events that were appended before `begin` was called."""

    def __init__(
        self, commits: GroupCommit[Record], file: DuckDBFile, cursor: duckdb.DuckDBPyConnection
    ) -> None:
        self._commits = commits
        self._file = file
        self._cursor = cursor

    def begin(self) -> None:
        """Fix what is copied. Blocks for a short time; call it in another thread than the event loop's.

        Raises:
            StorageFailed: the events could not be written in time.
        """
        self._commits.run_blocking()
        self._file.run_blocking(lambda: begin_snapshot(self._cursor))

    async def complete(self) -> None:
        """Write the copy."""
        await asyncio.to_thread(fill_copy, self._cursor)
        await asyncio.to_thread(finish_copy, self._cursor)


@contextlib.contextmanager
def exclusive_access(path: Path) -> Iterator[Callable[[], None]]:
    """Keep other processes from opening the store. Yields a function that moves all events into its file."""
    journal_path = path.with_name(NAME)
    with contextlib.closing(connect(path)) as database:

        def move_all() -> None:
            if journal_path.exists():
                with contextlib.closing(Journal(journal_path)) as journal:
                    _move_leftover(database, journal)
            database.execute("CHECKPOINT")

        yield move_all


def _move_leftover(cursor: duckdb.DuckDBPyConnection, journal: Journal) -> None:
    """Move what a kill left in the journal into the file, except for rows that are there already."""
    if not (rows := journal.leftover()):
        return
    missing = _missing(cursor, rows)
    try:
        insert(cursor, missing)
    except REFUSALS:
        insert(cursor, _without_refused(cursor, journal, missing))
    journal.delete_leftover()


def _missing(cursor: duckdb.DuckDBPyConnection, rows: list[Row]) -> list[Row]:
    """The rows that are not in the file."""
    since = min(row["happened_at"] for row in rows)
    known = cursor.execute(_KNOWN, {"since": since, "ids": [row["event_id"] for row in rows]}).fetchall()
    known_ids = {str(event_id) for (event_id,) in known}
    return [row for row in rows if row["event_id"] not in known_ids]


def _without_refused(cursor: duckdb.DuckDBPyConnection, journal: Journal, rows: list[Row]) -> list[Row]:
    """The rows that the file can store. The others are kept apart in the journal."""
    refused = refused_rows(cursor, rows)
    journal.add_refused(refused)
    for row, why in refused:
        log.error("event_row_refused", event_id=row["event_id"], thread_id=row["thread_id"], error=why)
    refused_ids = {row["event_id"] for row, _ in refused}
    return [row for row in rows if row["event_id"] not in refused_ids]
