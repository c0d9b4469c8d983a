"""The state database in one SQLite file, for a single process.

WAL mode: readers never wait for the writer. Every commit is on disk before it returns. Each of the two
connections belongs to one thread.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from smart_support.storage.private_files import make_private_folder
from smart_support.storage.state import base
from smart_support.storage.state.base import (
    Connection,
    Migration,
    Params,
    Row,
    StateDatabase,
    T,
    apply_migration,
    missing_migrations,
)


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


class SqliteStateDatabase(StateDatabase):
    """For one process."""

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
        self._raw_reader = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._raw_reader.execute("PRAGMA query_only=ON")
        self._reader = SqliteConnection(self._raw_reader)
        self._write_thread = ThreadPoolExecutor(1, thread_name_prefix="state-write")
        self._read_thread = ThreadPoolExecutor(1, thread_name_prefix="state-read")

    async def read(self, sql: str, params: Params | None = None) -> list[Row]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._read_thread, self._reader.execute, sql, params)

    def read_now(self, sql: str, params: Params | None = None) -> list[Row]:
        return self._read_thread.submit(self._reader.execute, sql, params).result()

    async def execute(self, sql: str, params: Params | None = None) -> list[Row]:
        return await self.transact(lambda connection: connection.execute(sql, params))

    def execute_now(self, sql: str, params: Params | None = None) -> list[Row]:
        return self.transact_now(lambda connection: connection.execute(sql, params))

    async def transact(self, work: Callable[[Connection], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._write_thread, self._transaction, work)

    def transact_now(self, work: Callable[[Connection], T]) -> T:
        return self._write_thread.submit(self._transaction, work).result()

    async def compact(self) -> None:
        """Empty the write-ahead log, and delete the copies made before migrations."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._write_thread, self._compact)

    def close(self) -> None:
        for thread, raw in ((self._read_thread, self._raw_reader), (self._write_thread, self._raw)):
            thread.shutdown(wait=True)
            raw.close()

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
