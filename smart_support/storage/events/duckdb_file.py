"""The DuckDB file of events: one thread writes it, and each reader has a cursor of its own.

The event store that owns the file decides how events get into it and when they are durable.
"""

import asyncio
import contextlib
import os
import shutil
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import orjson

from smart_support.errors import ConfigError
from smart_support.storage.events.compaction import (
    COPY,
    attach_copy,
    begin_snapshot,
    compacting_path,
    fill_copy,
    finish_copy,
    in_copy,
)
from smart_support.storage.events.group_commit import BLOCKING_SECONDS, Done, GroupCommit, Work, nothing
from smart_support.storage.events.query_limits import restrict
from smart_support.storage.events.readers_writer_lock import ReadersWriterLock
from smart_support.storage.events.rows import COLUMN_TYPES
from smart_support.storage.events.search_index import Hits, SearchIndex
from smart_support.storage.events.snapshots import Contents, Params, Snapshots, rows_of
from smart_support.storage.events.summaries import (
    Summaries,
    erase,
    skip_positions,
    text_positions,
    transaction,
)
from smart_support.storage.private_files import make_private_folder
from smart_support.storage.state.base import MIGRATIONS, Row, apply_migration, missing_migrations

# Only names and types of COLUMN_TYPES are formatted into it.
INSERT = "INSERT INTO {} BY NAME SELECT unnest(from_json(?, '{}'), recursive := true)"
# The folder of backups, beside the file.
BACKUPS = "backups"
# How long the writing thread waits for the process that copies the file.
MAX_PAUSE_SECONDS = 60.0
# A commit costs 5 ms of CPU, however small it is. Nobody waits for it: a query has all rows written first.
SECONDS_BETWEEN_COMMITS = 3.0
# So many new events are summarized at once, even if nobody looks at the figures.
MAX_NOT_SUMMARIZED = 20_000
# Raised for rows that DuckDB can never store, whatever the state of the disk.
REFUSALS = (duckdb.IntegrityError, duckdb.DataError, duckdb.InvalidInputException)
WRITE_FAILED = "The event log could not be written; check the disk of DATA_DIR."


class DuckDBFile:
    """The file, its writing thread and its readers.

    Attributes:
        write_cursor: for the writing thread only.
        lock: held shared by readers, exclusively while the file is replaced or opened again.
        is_invalid: whether DuckDB has given the file up, so that it must be opened again.
        rows_written: since it was opened, by this process.
        snapshots: of the file; for the event loop's thread.
        search_index: of the texts in the file.
    """

    def __init__(self, path: Path, write_pending: Work = nothing) -> None:
        """
        Args:
            write_pending: writes the rows that wait for the file, if there are any. Called in the writing
                thread soon after `schedule_flush`, and before all other work there.

        Raises:
            ConfigError: another process has the file open.
        """
        make_private_folder(path.parent)
        self._path = path
        self._write_pending = write_pending
        compacting_path(path).unlink(missing_ok=True)
        self._database = connect(path)
        # Only now: if another process has the file open, they are in use.
        for folder in (self.export_folder, self.question_folder):
            shutil.rmtree(folder, ignore_errors=True)
        make_private_folder(self.export_folder)
        _migrate(self._database, path)
        self.lock = ReadersWriterLock()
        self.search_index = SearchIndex(path, self._query, self.lock, self.open_cursor)
        self.write_cursor = self._database.cursor()
        self._summaries = Summaries(self.write_cursor, self.search_index.add_events)
        self.is_invalid = False
        self.rows_written = 0
        # Set by any thread, so at worst there are two flushes where one would do.
        self._is_flush_due = False
        self._writer: GroupCommit[None] = GroupCommit(
            lambda _: self._work(), WRITE_FAILED, SECONDS_BETWEEN_COMMITS
        )
        self._lookups = ThreadPoolExecutor(1, thread_name_prefix="event-read")
        self._queries = ThreadPoolExecutor(2, thread_name_prefix="event-query")
        self.snapshots = Snapshots(self.lock, self._writer, self.open_cursor, self._summaries.add)
        self._local = threading.local()
        self._reader_cursors: list[duckdb.DuckDBPyConnection] = []
        # While the file is being copied: the rows written and the threads erased since the copy began.
        self._rows_since: list[Row] | None = None
        self._erased_since: list[str] = []

    @property
    def export_folder(self) -> Path:
        """The one folder that `COPY ... TO` can write into."""
        return _export_folder(self._path)

    @property
    def question_folder(self) -> Path:
        """The folder for the copy on which an admin's SQL question runs."""
        return self._path.with_name(f"{self._path.name}.question")

    @property
    def waiting(self) -> int:
        """How many pieces of work the writing thread has not done yet."""
        return self._writer.waiting

    def start(self) -> None:
        """Begin to summarize and index what an earlier process did not. Call it once rows can be written."""
        if self._summaries.waiting >= MAX_NOT_SUMMARIZED:
            self.schedule_flush()
        self.search_index.schedule()

    def schedule_flush(self) -> None:
        """Have pending rows written soon. From any thread."""
        if not self._is_flush_due:
            self._is_flush_due = True
            self._writer.put_from_thread(None)

    def flush(self) -> Done:
        """Write pending rows now."""
        return self.run(nothing)

    def run(self, work: Work) -> Done:
        """Run work in the writing thread, after pending rows are written."""
        return self._writer.run(lambda: self._work(work))

    def run_blocking(self, work: Work = nothing, timeout_seconds: float | None = BLOCKING_SECONDS) -> None:
        """As `run`, and block until it is done. Not for the event loop's thread.

        Raises:
            StorageFailed: the file could not be written in time.
        """
        self._writer.run_blocking(lambda: self._work(work), timeout_seconds)

    def insert(self, rows: list[Row]) -> None:
        """Write rows in one commit; in the writing thread."""
        insert(self.write_cursor, rows)
        self._count_new(len(rows))
        if self._rows_since is not None:
            self._rows_since += rows

    def insert_json(self, rows: Sequence[str]) -> None:
        """Write rows given as JSON objects, in the caller's transaction; in the writing thread."""
        structure = orjson.dumps([COLUMN_TYPES]).decode()
        self.write_cursor.execute(INSERT.format("events", structure), [f"[{','.join(rows)}]"])
        self._count_new(len(rows))

    @property
    def is_summarized(self) -> bool:
        """Whether the summaries have all events of the file."""
        return not self._summaries.waiting

    def summarize(self) -> None:
        """Bring the summaries up to date; in the writing thread."""
        self._summaries.add()

    def rebuild_summaries(self) -> int:
        """Compute the summaries again; in the writing thread. Returns the number of events."""
        return self._summaries.rebuild()

    def erase(self, thread_ids: list[str]) -> None:
        """Delete the rows of these threads, in the caller's transaction, after `summarize`; in the writing
        thread."""
        self.search_index.forget(text_positions(self.write_cursor, thread_ids))
        self._summaries.erase(thread_ids)
        if self._rows_since is not None:
            erased = set(thread_ids)
            self._erased_since += thread_ids
            self._rows_since = [row for row in self._rows_since if row["thread_id"] not in erased]

    async def read(self, sql: str, params: Params) -> list[Row]:
        """As `query`, for statements that take little time: they never wait for those that take long."""
        return await asyncio.get_running_loop().run_in_executor(self._lookups, self._query, sql, params)

    async def query(self, sql: str, params: Params = ()) -> list[Row]:
        """The rows of one statement as dicts. `TIMESTAMP`s are naive, in UTC."""
        return await asyncio.get_running_loop().run_in_executor(self._queries, self._query, sql, params)

    async def search(self, q: str) -> Hits | None:
        """The texts that can have `q`; see `SearchIndex.find`."""
        return await asyncio.get_running_loop().run_in_executor(self._queries, self.search_index.find, q)

    def replace_kept_snapshot(self, contents: Contents) -> None:
        """Make a newer snapshot in the background, with pending rows, if the kept one is rather old."""
        self.snapshots.replace_kept(contents, self._work)

    @contextlib.asynccontextmanager
    async def pause_writes(self) -> AsyncIterator[Path]:
        """The path of the file, which with its write-ahead log does not change until the context ends.

        The writing thread waits meanwhile, at most `MAX_PAUSE_SECONDS`. The file must be copied by another
        process: a process that closes a file gives up all its locks on that file.
        """
        loop = asyncio.get_running_loop()
        paused: asyncio.Future[None] = loop.create_future()
        may_resume = threading.Event()

        def wait() -> None:
            # `cancel`, because `set_result` would fail where this comes too late.
            loop.call_soon_threadsafe(paused.cancel)
            may_resume.wait(MAX_PAUSE_SECONDS)

        pause = self.run(wait)
        try:
            await asyncio.wait({pause, paused}, return_when=asyncio.FIRST_COMPLETED)
            if pause.done():
                await pause  # raises: pending rows could not be written
            yield self._path
        finally:
            may_resume.set()
        await pause

    async def compact(self) -> None:
        """Rewrite the file, so that nothing erased is left in its bytes.

        Reading and writing go on until the new file takes the place of the old. A kill leaves either one.
        """
        with self.open_cursor() as cursor:
            await asyncio.to_thread(attach_copy, cursor, compacting_path(self._path))
            # In the writing thread, so that each row is either in the copy or in `_rows_since`.
            await self.run(lambda: self._begin_copy(cursor))
            await asyncio.to_thread(fill_copy, cursor)
        self.snapshots.forget()
        await asyncio.to_thread(self.lock.acquire_exclusive)
        try:
            await self.run(self._replace_file)
        finally:
            self.lock.release_exclusive()
        await asyncio.to_thread(self.search_index.compact)
        for copy in self._path.parent.glob(f"{self._path.name}.before-*"):
            copy.unlink()

    def open_cursor(self) -> duckdb.DuckDBPyConnection:
        """A new cursor. It must be closed before the file is replaced."""
        return self._database.cursor()

    def reopen(self, path: Path) -> None:
        """Open the file again, with `path` moved to its place; while the lock is held exclusively."""
        for cursor in (*self._reader_cursors, self.write_cursor):
            cursor.close()
        self._reader_cursors.clear()
        # Closing empties the write-ahead log, which would not fit the other file.
        self._database.close()
        if path != self._path:
            os.replace(path, self._path)
        self._database = connect(self._path)
        self.write_cursor = self._database.cursor()
        self._summaries.reopen(self.write_cursor)

    def close(self) -> None:
        """Write pending rows, then close the file."""
        self.schedule_flush()
        self._writer.close()
        self.search_index.close()
        self.write_cursor.close()
        self._lookups.shutdown(wait=True)
        self._queries.shutdown(wait=True)
        self.snapshots.close()
        for cursor in self._reader_cursors:
            cursor.close()
        self._database.close()

    def _count_new(self, rows: int) -> None:
        self.rows_written += rows
        self._summaries.waiting += rows

    def _work(self, work: Work = nothing) -> None:
        """Write pending rows, then do other work; in the writing thread.

        DuckDB invalidates its instance when the disk is full at a checkpoint. The file is then opened again.
        """
        # First of all: rows that come after this need another flush.
        self._is_flush_due = False
        if self.is_invalid and self.lock.try_acquire_exclusive():
            try:
                self.reopen(self._path)
            finally:
                self.lock.release_exclusive()
            self.is_invalid = False
        try:
            self._write_pending()
            work()
            if self._summaries.waiting >= MAX_NOT_SUMMARIZED:
                self._summaries.add(most=1)
                if not self.is_summarized:
                    # What is left of many is for later, so that rows need not wait long to be written.
                    self.schedule_flush()
        except duckdb.FatalException:
            self.is_invalid = True
            self.schedule_flush()
            raise
        finally:
            self.search_index.resume()

    def _query(self, sql: str, params: Params) -> list[Row]:
        with self.lock.shared():
            if getattr(self._local, "database", None) is not self._database:
                self._local.database, self._local.cursor = self._database, self.open_cursor()
                self._reader_cursors.append(self._local.cursor)
            return rows_of(self._local.cursor, sql, params)

    def _begin_copy(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._summaries.add()
        begin_snapshot(cursor)
        self._rows_since, self._erased_since = [], []

    def _replace_file(self) -> None:
        rows, self._rows_since = self._rows_since or [], None
        if self._erased_since:
            with in_copy(self.write_cursor), transaction(self.write_cursor):
                erase(self.write_cursor, self._erased_since)
        insert(self.write_cursor, rows, f"{COPY}.events")
        # What was numbered meanwhile gets other numbers.
        self.search_index.forget(skip_positions(self.write_cursor, COPY))
        finish_copy(self.write_cursor)
        self.reopen(compacting_path(self._path))


def check_free(path: Path) -> None:
    """Raise `ConfigError`, with what to do, if another process has the event file open. Makes its folder."""
    make_private_folder(path.parent)
    if path.exists():
        connect(path).close()


def applied_migrations(path: Path) -> set[str]:
    """The names of the migrations that an event file has had."""
    with contextlib.closing(connect(path)) as database:
        if not database.execute(
            "SELECT 1 FROM duckdb_tables() WHERE table_name = 'applied_migrations'"
        ).fetchall():
            return set()
        return {str(name) for (name,) in database.execute("SELECT name FROM applied_migrations").fetchall()}


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """Open the file without migrating it. All event files are opened here.

    Its statements can open no other files than its exports, its compacted copy and backups.

    Raises:
        ConfigError: another process has it open; says what to do.
    """
    # The release before this one can still open a file of the older format.
    config: dict[str, Any] = {
        # A statement takes less CPU this way, and snapshots run several in parallel.
        "threads": 1,
        "checkpoint_threshold": "1MB",
        "storage_compatibility_version": "v1.5.0",
    }
    try:
        database = duckdb.connect(str(path), config=config)
    except duckdb.IOException as error:
        raise ConfigError(
            f"SMART_SUPPORT_DATA_DIR: {path} can't be opened; stop the other process that uses it, "
            f"or choose another folder ({str(error).splitlines()[0]})"
        ) from None
    copy = compacting_path(path.resolve())
    files = [f"{copy}{ending}" for ending in ("", ".wal", ".wal.checkpoint", ".wal.recovery")]
    restrict(database, [_export_folder(path), path.resolve().with_name(BACKUPS)], files)
    return database


def insert(cursor: duckdb.DuckDBPyConnection, rows: list[Row], table: str = "events") -> None:
    """Insert rows in one commit. Names only the columns in use: planning all of them doubles the cost."""
    if not rows:
        return
    used = {name for row in rows for name, value in row.items() if value is not None}
    structure = {name: type_ for name, type_ in COLUMN_TYPES.items() if name in used}
    cursor.execute(INSERT.format(table, orjson.dumps([structure]).decode()), [orjson.dumps(rows).decode()])


def refused_rows(cursor: duckdb.DuckDBPyConnection, rows: list[Row]) -> list[tuple[Row, str]]:
    """The rows that can never be inserted, each with DuckDB's reason. Changes nothing."""
    cursor.begin()
    try:
        insert(cursor, rows)
        return []
    except REFUSALS as error:
        if len(rows) == 1:
            return [(rows[0], str(error))]
    finally:
        cursor.rollback()
    half = len(rows) // 2
    return refused_rows(cursor, rows[:half]) + refused_rows(cursor, rows[half:])


def _export_folder(path: Path) -> Path:
    # Absolute, because DuckDB compares paths as text.
    return path.resolve().with_name(f"{path.name}.exports")


def _migrate(database: duckdb.DuckDBPyConnection, path: Path) -> None:
    class Rows:
        def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> list[Row]:
            return rows_of(database, sql.replace(":name", "$name"), params or {})

    for migration in missing_migrations(Rows(), MIGRATIONS / "events"):
        if not migration.first:
            # A checkpoint writes the write-ahead log into the file, so that the file alone is a full copy.
            database.execute("CHECKPOINT")
            shutil.copyfile(path, migration.backup_of(path))
        database.begin()
        apply_migration(Rows(), migration)
        database.commit()
