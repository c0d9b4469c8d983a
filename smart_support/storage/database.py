"""The state database: decisions, ledger, audit, sessions. Opened, migrated, closed; no tables' rules.

One connection owned by one thread. Work is handed to that thread as a function over the connection and
runs as one transaction, so that a rule which needs three statements crosses threads once.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
Row = dict[str, Any]
MIGRATIONS = Path(__file__).parent / "migrations"


class Connection:
    """What a transaction may do: statements with named parameters (`:name`), rows as dicts."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw

    def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> list[Row]:
        """Run one statement; its rows, or an empty list."""
        cursor = self._raw.execute(sql, params or {})
        if cursor.description is None:
            return []
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]


class StateDatabase:
    """Embedded state in one SQLite file: WAL, every commit on disk before it returns."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._owner = ThreadPoolExecutor(1, thread_name_prefix="state")
        self._raw = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._raw.execute("PRAGMA journal_mode=WAL")
        self._raw.execute("PRAGMA synchronous=FULL")
        self._raw.execute("PRAGMA foreign_keys=ON")
        # What is overwritten leaves the file's bytes too: some of it is erased because somebody may ask that.
        self._raw.execute("PRAGMA secure_delete=ON")
        self._connection = Connection(self._raw)
        for migration in unapplied(self._connection, MIGRATIONS / "state"):
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
        rows: list[Row] = self._owner.submit(self._transaction, lambda c: c.execute(sql, params)).result()
        return rows

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

    def _back_up(self, migration: "Migration") -> None:
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


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered `.sql` file. `first`: there is nothing yet that it could harm."""

    path: Path
    first: bool

    def backup_of(self, database: Path) -> Path:
        """Where the database is copied to before: `state.sqlite.before-0003_identity`."""
        return database.with_name(f"{database.name}.before-{self.path.stem}")


def unapplied(connection: Any, folder: Path) -> list[Migration]:
    """The migrations of `folder` that a database has not had, in order.

    Args:
        connection: anything whose `execute(sql)` gives rows as dicts.
    """
    connection.execute("CREATE TABLE IF NOT EXISTS applied_migrations (name VARCHAR PRIMARY KEY)")
    applied = {row["name"] for row in connection.execute("SELECT name FROM applied_migrations")}
    wanted = [path for path in sorted(folder.glob("*.sql")) if path.name not in applied]
    return [Migration(path, first=not applied) for path in wanted]


def apply(connection: Any, migration: Migration) -> None:
    """Apply one migration; the caller holds the transaction."""
    for statement in _statements(migration.path.read_text(encoding="utf-8")):
        connection.execute(statement)
    connection.execute("INSERT INTO applied_migrations VALUES (:name)", {"name": migration.path.name})


def _statements(script: str) -> list[str]:
    """The statements of a migration: SQL without strings that hold `;`, comments dropped."""
    code = "\n".join(line.split("--")[0] for line in script.splitlines())
    return [part.strip() for part in code.split(";") if part.strip()]
