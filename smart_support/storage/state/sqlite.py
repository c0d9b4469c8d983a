"""The state database in one SQLite file: WAL, every commit on disk before it returns.

One connection owned by one thread; work is handed to that thread.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from smart_support.storage.private_files import make_private_folder
from smart_support.storage.state import base
from smart_support.storage.state.base import Connection, Migration, Row, StateDatabase, T, apply, unapplied


class SqliteConnection:
    """Statements on an SQLite connection; a `Connection` as base.py means it."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw

    def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> list[Row]:
        """Run one statement; its rows, or an empty list."""
        cursor = self._raw.execute(sql, params or {})
        if cursor.description is None:
            return []
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]


class EmbeddedDatabase(StateDatabase):
    """For one process."""

    def __init__(self, path: Path) -> None:
        make_private_folder(path.parent)
        self._path = path
        self._owner = ThreadPoolExecutor(1, thread_name_prefix="state")
        self._raw = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._raw.execute("PRAGMA journal_mode=WAL")
        self._raw.execute("PRAGMA synchronous=FULL")
        self._raw.execute("PRAGMA foreign_keys=ON")
        # What is overwritten leaves the file's bytes too: some of it is erased because somebody may ask that.
        self._raw.execute("PRAGMA secure_delete=ON")
        self._connection = SqliteConnection(self._raw)
        for migration in unapplied(self._connection, base.MIGRATIONS / "state"):
            self._back_up(migration)
            self._transaction(partial(apply, migration=migration))

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """Run `work` as one transaction in the owning thread; durable when this returns.

        An exception from `work` rolls everything back and is raised here.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._owner, self._transaction, work)

    async def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> list[Row]:
        """One statement as one transaction."""
        return await self.transact(lambda connection: connection.execute(sql, params))

    def execute_now(self, sql: str, params: Mapping[str, Any] | None = None) -> list[Row]:
        """One statement from a caller that is not async; waits for the owning thread."""
        return self.transact_now(lambda connection: connection.execute(sql, params))

    def transact_now(self, work: Callable[[Connection], T]) -> T:
        """As `transact`, from a caller that is not async; waits for the owning thread."""
        return self._owner.submit(self._transaction, work).result()

    async def compact(self) -> None:
        """Have what was erased leave the write-ahead log, and the copies made before migrations."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._owner, self._compact)

    def close(self) -> None:
        """Finish what was handed in, then close the file."""
        self._owner.shutdown(wait=True)
        self._raw.close()

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
