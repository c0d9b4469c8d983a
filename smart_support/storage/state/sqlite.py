"""The state database in one SQLite file, for a single process.

WAL mode: readers never wait for the writer. Every commit is on disk before it returns. Each connection
belongs to one thread: one writes, one reads, and a few search.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from smart_support.storage.private_files import make_private_folder
from smart_support.storage.state import base
from smart_support.storage.state.base import (
    GENESIS,
    ChainedRow,
    Connection,
    Migration,
    Params,
    Row,
    StateDatabase,
    T,
    apply_migration,
    insert_into,
    missing_migrations,
)

# How many searches run at the same time.
SEARCHES = 2
# Pages of the search index that one transaction merges, so that no write waits long for it.
_PAGES_AT_ONCE = 50


class SqliteConnection:
    """A `Connection` on an SQLite connection."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw

    def execute(self, sql: str, params: Params | None = None) -> list[Row]:
        """Run one statement; its rows, or an empty list."""
        cursor = self._raw.execute(sql, params or {})
        if cursor.description is None:
            return []
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    # A transaction that writes is alone, and the file keeps text as it is.
    lock_rows = execute

    def as_stored(self, values: Row) -> Row:
        """The same values."""
        return values

    def append_to_audit(self, row: ChainedRow) -> None:
        """Write the next row of the audit trail."""
        last = self.execute("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1")
        linked = row.linked(last[0]["number"], last[0]["hash"]) if last else row.linked(0, GENESIS)
        self.execute(insert_into("audit", linked), linked)

    def form_of_audit(self) -> int | None:
        """The form of the last row of the audit trail; None where it has none."""
        last = self.execute("SELECT form FROM audit ORDER BY number DESC LIMIT 1")
        return int(last[0]["form"]) if last else None


class SqliteStateDatabase(StateDatabase):
    """For one process."""

    has_word_index = True

    def __init__(self, path: Path) -> None:
        make_private_folder(path.parent)
        self._path = path
        self._raw = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._raw.execute("PRAGMA journal_mode=WAL")
        self._raw.execute("PRAGMA synchronous=FULL")
        self._raw.execute("PRAGMA foreign_keys=ON")
        # Erased text must leave the bytes of the file too.
        self._raw.execute("PRAGMA secure_delete=ON")
        self._connection = SqliteConnection(self._raw)
        for migration in missing_migrations(self._connection, base.MIGRATIONS / "state"):
            self._back_up(migration)
            self._transaction(partial(apply_migration, migration=migration))
        self._raw_reader = _open_reader(path)
        self._reader = SqliteConnection(self._raw_reader)
        self._searchers = [_open_reader(path) for _ in range(SEARCHES)]
        self._write_thread = ThreadPoolExecutor(1, thread_name_prefix="state-write")
        self._read_thread = ThreadPoolExecutor(1, thread_name_prefix="state-read")
        self._search_threads = ThreadPoolExecutor(SEARCHES, thread_name_prefix="state-search")

    async def read(self, sql: str, params: Params | None = None) -> list[Row]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._read_thread, self._reader.execute, sql, params)

    async def search(self, sql: str, params: Params | None = None) -> list[Row]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._search_threads, self._search, sql, params)

    def read_now(self, sql: str, params: Params | None = None) -> list[Row]:
        return self._read_thread.submit(self._reader.execute, sql, params).result()

    async def execute(self, sql: str, params: Params | None = None) -> list[Row]:
        return await self.transact(lambda connection: connection.execute(sql, params))

    def execute_now(self, sql: str, params: Params | None = None) -> list[Row]:
        return self.transact_now(lambda connection: connection.execute(sql, params))

    # One thread writes, so that each transaction is alone, whatever it works on.
    async def transact(self, work: Callable[[Connection], T], on: Iterable[str] | None = None) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._write_thread, self._transaction, work)

    def transact_now(self, work: Callable[[Connection], T], on: Iterable[str] | None = None) -> T:
        return self._write_thread.submit(self._transaction, work).result()

    async def compact(self) -> None:
        """Empty the write-ahead log, and delete the copies made before migrations."""
        loop = asyncio.get_running_loop()
        # The index keeps deleted text until its parts are merged into one.
        pages = -_PAGES_AT_ONCE
        while await loop.run_in_executor(self._write_thread, self._merge_index, pages):
            pages = _PAGES_AT_ONCE
        await loop.run_in_executor(self._write_thread, self._compact)

    def close(self) -> None:
        self._search_threads.shutdown(wait=True)
        for raw in self._searchers:
            raw.close()
        for thread, raw in ((self._read_thread, self._raw_reader), (self._write_thread, self._raw)):
            thread.shutdown(wait=True)
            raw.close()

    def _search(self, sql: str, params: Params | None) -> list[Row]:
        raw = self._searchers.pop()
        try:
            return SqliteConnection(raw).execute(sql, params)
        finally:
            self._searchers.append(raw)

    def _merge_index(self, pages: int) -> bool:
        """Do a part of the merge of the search index; whether there was something to do.

        `pages`: how many; negative to begin with all parts of the index.
        """
        before = self._raw.total_changes
        merge = "INSERT INTO approval_search (approval_search, rank) VALUES ('merge', :pages)"
        self._transaction(lambda connection: connection.execute(merge, {"pages": pages}))
        # As SQLite documents it: the statement itself counts as one change.
        return self._raw.total_changes - before >= 2

    def _compact(self) -> None:
        self._raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for copy in self._path.parent.glob(f"{self._path.name}.before-*"):
            copy.unlink()

    def _back_up(self, migration: Migration) -> None:
        if migration.first:
            return
        copy = migration.backup_of(self._path)
        copy.unlink(missing_ok=True)
        self._raw.execute("VACUUM INTO ?", (str(copy),))

    def _transaction(self, work: Callable[[Connection], T]) -> T:
        self._raw.execute("BEGIN IMMEDIATE")
        try:
            result = work(self._connection)
        except BaseException:
            self._raw.execute("ROLLBACK")
            raise
        self._raw.execute("COMMIT")
        return result


def _open_reader(path: Path) -> sqlite3.Connection:
    raw = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    raw.execute("PRAGMA query_only=ON")
    return raw
